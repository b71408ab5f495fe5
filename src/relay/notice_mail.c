/* SPDX-License-Identifier: Apache-2.0 */
/* notice_mail.c - see notice_mail.h. Called by notice.c and by success.c of SMTP. scan is not asked: we wrote the text
 * ourselves. */
#include "relay/notice_mail.h"

#include "base/log.h"
#include "base/random.h"
#include "mail/facts.h"
#include "store/rows.h"

enum { NOTICE_BYTES_MAX = SHM_BLOCK_BYTES_MAX }; /* a thousand recipients, each with what a server said about it */

static struct store_group
group_of(struct slice address, struct slice domain, struct arena *a)
{
	struct store_recipient *r = ARENA_NEW(a, struct store_recipient);
	r->address = address;
	r->notify = NOTIFY_NEVER; /* RFC 3461 5.2.8 */
	return (struct store_group){ .domain = domain, .recipients = r, .nrecipients = 1 };
}

enum err
await_mail_to(struct ipc_client *store, struct slice to, struct arena *a, struct store_mail *mail)
{
	struct store_resolve_in ask = { .address = to };
	struct store_resolve_out got = { 0 };
	enum err e = await_store_resolve(store, &ask, a, &got);
	if (e == OK && got.local)
		e = (enum err)got.verdict;
	if (e)
		return e;
	if (!got.local) { /* the store knows our own domains only */
		got.ntargets = 1;
		got.targets = ARENA_NEW(a, struct store_target);
		got.targets->address = to;
	}
	mail->deliveries = ARENA_ARRAY(a, struct store_delivery, got.ntargets + 1);
	mail->groups = ARENA_ARRAY(a, struct store_group, got.ntargets + 1);
	for (uint32_t i = 0; i < got.ntargets; i++) {
		const struct store_target *t = &got.targets[i];
		ptrdiff_t at = slice_find_last_char(t->address, '@');
		if (t->verdict)
			continue;
		if (t->account)
			mail->deliveries[mail->ndeliveries++] =
			    (struct store_delivery){ .account = t->account, .mailbox = t->mailbox };
		else if (at >= 0)
			mail->groups[mail->ngroups++] = group_of(t->address, slice_from(t->address, (size_t)at + 1), a);
	}
	return mail->ndeliveries + mail->ngroups > 0 ? OK : ERR_NOT_FOUND;
}

static enum err
write_report(struct shm_pool *shm, const struct dsn *d, struct arena *a, struct store_mail *mail, void **block)
{
	struct buf text, facts;
	buf_init(&text, NOTICE_BYTES_MAX);
	buf_init(&facts, FACTS_BYTES_MAX);
	buf_put(&text, S("Return-Path: <>\r\n")); /* RFC 3464 2: the null reverse-path */
	mail->envelope.skip = (uint32_t)text.len;
	bool good = dsn_build(d, &text) && facts_of_message(buf_slice(&text), &facts);
	if (good && (*block = shm_alloc(shm, text.len)) != NULL) {
		memcpy(*block, text.at, text.len);
		mail->body.at = (struct store_region){ shm_offset(shm, *block), text.len };
		mail->facts = slice_keep(a, buf_slice(&facts));
		mail->envelope.flags = (slice_is_ascii(buf_slice(&text)) ? 0u : ENVELOPE_8BIT) |
		                       (dsn_needs_utf8(d) ? ENVELOPE_SMTPUTF8 : 0u); /* RFC 6533 3: message/global-... */
	}
	buf_release(&text);
	buf_release(&facts);
	return *block ? OK : ERR_LIMIT;
}

static void
log_notice(const struct dsn *d, struct slice id, enum err e)
{
	static const char *const kinds[] = { [DSN_FAILED] = "failed",
		                                 [DSN_DELAYED] = "delayed",
		                                 [DSN_DELIVERED] = "delivered",
		                                 [DSN_RELAYED] = "relayed",
		                                 [DSN_EXPANDED] = "expanded" };
	struct log l;
	log_begin(&l, e ? LOG_WARN : LOG_INFO, e ? "notice.lost" : "notice.sent");
	log_slice(&l, "id", id);
	log_text(&l, "kind", kinds[d->recipients->action]);
	log_slice(&l, "to", d->sender);
	if (e)
		log_err(&l, e);
	log_end(&l);
}

bool
await_notice_mail(struct ipc_client *store, struct shm_pool *shm, const struct dsn *d, struct slice id, struct arena *a,
                  struct store_mail *mail, void **block)
{
	struct dsn named = *d;
	named.id = arena_printf(a, "%016llx.notice", (unsigned long long)random_u64());
	*mail = (struct store_mail){ .received = d->now_sec, .envelope.session = id, .envelope.class = CLASS_NOTICE };
	*block = NULL;
	ASSERT(d->nrecipients > 0);
	enum err e = await_mail_to(store, d->sender, a, mail);
	if (e == OK)
		e = write_report(shm, &named, a, mail, block);
	log_notice(d, id, e);
	return e == OK;
}
