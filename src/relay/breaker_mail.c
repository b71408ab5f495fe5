/* SPDX-License-Identifier: Apache-2.0 */
/* breaker_mail.c - see breaker_mail.h. The message goes into mailboxes of this house only: the account's and
 * postmaster's. It is in English, and says what to do next. */
#include "relay/breaker_mail.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "mail/date.h"
#include "mail/facts.h"

#define TARGETS_MAX 1000

static struct slice
domain_of(struct slice address)
{
	return slice_from(address, (size_t)(slice_find_last_char(address, '@') + 1));
}

static void
put_message(struct buf *to, const struct conf *conf, const struct store_commit_out *done)
{
	const char *host = conf->v.hostname;
	buf_printf(to, "Return-Path: <>\r\nFrom: Mail system <postmaster@%s>\r\nTo: <%.*s>\r\n", host,
	           SLICE_ARG(done->tripped_account));
	buf_printf(to, "Subject: Your mail is held: %.*s\r\nDate: ", SLICE_ARG(done->tripped));
	date_put(to, clock_wall_sec(), 0);
	/* RFC 3834 5: nobody answers it by machine */
	buf_printf(to, "\r\nMessage-ID: <%016llx.breaker@%s>\r\nAuto-Submitted: auto-generated\r\n",
	           (unsigned long long)random_u64(), host);
	buf_put(to, S("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"));
	buf_printf(to, "The account %.*s was stopped from sending: %.*s.\r\n", SLICE_ARG(done->tripped_account),
	           SLICE_ARG(done->tripped));
	buf_put(to, S("What it sent and what had not left yet is held. Nothing is lost.\r\n\r\n"
	              "This happens when somebody else has learnt the password. If you did not write to\r\n"
	              "many new people just now, change your password and tell your administrator.\r\n"
	              "If it was you, ask your administrator to let your mail go on.\r\n\r\n"
	              "For the administrator:\r\n"));
	buf_printf(to, "  posthouse breaker release %.*s   sends what is held\r\n", SLICE_ARG(done->tripped_account));
	buf_printf(to, "  posthouse breaker discard %.*s   deletes it\r\n", SLICE_ARG(done->tripped_account));
}

static bool
is_there(const struct store_mail *mail, uint64_t account)
{
	for (uint32_t i = 0; i < mail->ndeliveries; i++)
		if (mail->deliveries[i].account == account)
			return true;
	return false;
}

static enum err
await_receivers(struct ipc_client *store, const struct store_commit_out *done, struct arena *a, struct store_mail *mail)
{
	struct slice postmaster = arena_join(a, S("postmaster@"), domain_of(done->tripped_account));
	struct store_resolve_in in = { .address = postmaster };
	struct store_resolve_out out = { 0 };
	mail->deliveries = ARENA_ARRAY(a, struct store_delivery, TARGETS_MAX + 1);
	mail->deliveries[mail->ndeliveries++] = (struct store_delivery){ .account = done->tripped_id };
	enum err e = await_store_resolve(store, &in, a, &out);
	for (uint32_t i = 0; i < out.ntargets && i < TARGETS_MAX && !e; i++)
		if (out.targets[i].account && !is_there(mail, out.targets[i].account))
			mail->deliveries[mail->ndeliveries++] = (struct store_delivery){ .account = out.targets[i].account };
	return e;
}

static enum err
await_deliver(struct ipc_client *store, struct store_mail *mail, struct arena *a)
{
	struct store_commit_in in = { .mails = mail, .nmails = 1 };
	struct store_commit_out out = { 0 };
	char id[16];
	random_bytes(id, sizeof id);
	in.id = slice_of(id, sizeof id);
	enum err e = await_store_commit(store, &in, a, &out);
	return e ? e : (enum err)out.verdict;
}

/* A mailbox that takes nothing (a full one) must not keep the others from hearing of it. */
static enum err
await_deliver_each(struct ipc_client *store, struct store_mail *mail, struct arena *a)
{
	enum err e = await_deliver(store, mail, a), worst = OK;
	struct store_delivery *all = mail->deliveries;
	uint32_t n = mail->ndeliveries;
	mail->ndeliveries = 1;
	for (uint32_t i = 0; i < n && e; i++) {
		mail->deliveries = &all[i];
		enum err one = await_deliver(store, mail, a);
		worst = worst ? worst : one;
	}
	return e ? worst : OK;
}

static enum err
await_send(const struct conf *conf, struct ipc_client *store, struct shm_pool *shm, const struct store_commit_out *done,
           struct arena *a)
{
	struct store_mail mail = { .received = clock_wall_sec() };
	struct buf text, facts;
	void *block = NULL;
	enum err e = await_receivers(store, done, a, &mail);
	buf_init(&text, SHM_BLOCK_BYTES_MAX);
	buf_init(&facts, FACTS_BYTES_MAX);
	put_message(&text, conf, done);
	if (!e && (!facts_of_message(buf_slice(&text), &facts) || (block = shm_alloc(shm, text.len)) == NULL))
		e = ERR_LIMIT;
	if (!e) {
		memcpy(block, text.at, text.len);
		mail.body.at = (struct store_region){ shm_offset(shm, block), text.len };
		mail.facts = buf_slice(&facts);
		e = await_deliver_each(store, &mail, a);
	}
	if (block)
		shm_free(shm, block);
	buf_release(&text);
	buf_release(&facts);
	return e;
}

void
await_breaker_mail(const struct conf *conf, struct ipc_client *store, struct shm_pool *shm,
                   const struct store_commit_out *done, struct arena *a)
{
	if (done->tripped.len == 0)
		return;
	struct log l;
	enum err e = await_send(conf, store, shm, done, a);
	log_begin(&l, LOG_WARN, "breaker.tripped");
	log_slice(&l, "user", done->tripped_account);
	log_slice(&l, "why", done->tripped);
	if (e)
		log_err(&l, e);
	log_end(&l);
}
