/* SPDX-License-Identifier: Apache-2.0 */
/* notice.c - see notice.h. mail/dsn.c writes the report; here it is decided who wants one and where it goes. A notice
 * for a local sender goes straight into the mailbox in the same commit, for a remote one it becomes a queue row. */
#include "relay/notice.h"

#include "base/log.h"
#include "base/random.h"
#include "mail/dsn.h"
#include "mail/facts.h"
#include "mail/xtext.h"
#include "store/rows.h"

enum { NOTICE_BYTES_MAX = SHM_BLOCK_BYTES_MAX }; /* a thousand recipients, each with what a server said about it */

bool
notice_wanted(const struct store_envelope *e, const struct store_recipient *to, enum notice kind, bool remote_dsn)
{
	if (e->reverse_path.len == 0)
		return false;
	switch (kind) {
	case NOTICE_FAILED:
		return to->notify == 0 || (to->notify & NOTIFY_FAILURE); /* RFC 3461 4.1: failure is the default */
	case NOTICE_DELAYED: return to->notify == 0 || (to->notify & NOTIFY_DELAY);
	case NOTICE_RELAYED: return (to->notify & NOTIFY_SUCCESS) && !remote_dsn; /* RFC 3461 5.2.2 */
	}
	UNREACHABLE();
}

static enum dsn_action
action_of(enum notice kind)
{
	return kind == NOTICE_FAILED ? DSN_FAILED : kind == NOTICE_DELAYED ? DSN_DELAYED : DSN_RELAYED;
}

static struct dsn_recipient
describe(const struct notice_input *in, struct arena *a, const struct store_recipient *to)
{
	struct dsn_recipient r = {
		.address = to->address, .action = action_of(in->kind), .status = to->status, .last_try_sec = in->now
	};
	r.original = xtext_decode(to->orcpt, a);
	if (to->mta.len) {
		r.remote = to->mta;
		r.diagnostic = to->reply;
	} else {
		r.reason = to->reply;
	}
	if (in->kind == NOTICE_DELAYED)
		r.until_sec = in->give_up_at;
	return r;
}

static bool
build(const struct notice_input *in, struct arena *a, struct buf *out)
{
	const struct store_queue_row *row = in->row;
	struct dsn_recipient *list = ARENA_ARRAY(a, struct dsn_recipient, row->nrecipients + 1);
	struct dsn d = { .hostname = slice_text(in->conf->v.hostname),
		             .sender = row->envelope.reverse_path,
		             .envelope = xtext_decode(row->envelope.envid, a),
		             .arrived_sec = row->born,
		             .now_sec = in->now,
		             .recipients = list,
		             .message = in->original,
		             .utf8 = row->envelope.flags & ENVELOPE_SMTPUTF8 };
	d.id = arena_printf(a, "%016llx.notice", (unsigned long long)random_u64());
	d.full = in->original_whole && row->envelope.ret == RET_FULL && in->kind == NOTICE_FAILED; /* RFC 3461 4.3 */
	for (uint32_t i = 0; i < row->nrecipients; i++)
		if (in->about[i])
			list[d.nrecipients++] = describe(in, a, &row->recipients[i]);
	return dsn_build(&d, out);
}

/* Local targets become deliveries, remote ones queue rows. False: nobody would get it. */
static bool
await_address(const struct notice_input *in, struct arena *a, struct store_mail *mail, enum err *why)
{
	struct slice to = in->row->envelope.reverse_path;
	struct store_resolve_in ask = { .address = to };
	struct store_resolve_out got;
	*why = await_store_resolve(in->store, &ask, a, &got);
	if (*why == OK && got.local)
		*why = (enum err)got.verdict;
	if (*why)
		return false;
	if (!got.local) { /* the resolver of addresses leaves strangers to DNS */
		got.ntargets = 1;
		got.targets = ARENA_NEW(a, struct store_target);
		got.targets->address = to;
	}
	mail->deliveries = ARENA_ARRAY(a, struct store_delivery, got.ntargets);
	mail->groups = ARENA_ARRAY(a, struct store_group, got.ntargets);
	for (uint32_t i = 0; i < got.ntargets; i++) {
		const struct store_target *t = &got.targets[i];
		ptrdiff_t at = slice_find_last_char(t->address, '@');
		if (t->verdict)
			continue;
		if (t->account) {
			mail->deliveries[mail->ndeliveries++] =
			    (struct store_delivery){ .account = t->account, .mailbox = t->mailbox };
		} else if (at >= 0) {
			struct store_group *g = &mail->groups[mail->ngroups++];
			g->domain = slice_from(t->address, (size_t)at + 1);
			g->recipients = ARENA_NEW(a, struct store_recipient);
			g->recipients->address = t->address;
			g->recipients->notify = NOTIFY_NEVER; /* RFC 3461 5.2.8 */
			g->nrecipients = 1;
		}
	}
	return mail->ndeliveries + mail->ngroups > 0;
}

static void
log_notice(const struct notice_input *in, const char *event, enum err why)
{
	static const char *const kinds[] = { "failed", "delayed", "relayed" };
	struct log l;
	log_begin(&l, why ? LOG_WARN : LOG_INFO, event);
	log_slice(&l, "session", in->row->envelope.session);
	log_u64(&l, "row", in->row->id);
	log_text(&l, "kind", kinds[in->kind]);
	log_slice(&l, "to", in->row->envelope.reverse_path);
	if (why)
		log_err(&l, why);
	log_end(&l);
}

bool
await_notice(const struct notice_input *in, struct arena *a, struct store_mail *mail, void **block)
{
	struct buf text, facts;
	enum err why = OK;
	*mail = (struct store_mail){ .received = in->now };
	*block = NULL;
	if (!await_address(in, a, mail, &why)) {
		log_notice(in, "notice.undeliverable", why ? why : ERR_NOT_FOUND);
		return false;
	}
	buf_init(&text, NOTICE_BYTES_MAX);
	buf_init(&facts, FACTS_BYTES_MAX);
	buf_put(&text, S("Return-Path: <>\r\n")); /* RFC 3464 2: the null reverse-path */
	mail->envelope.skip = (uint32_t)text.len;
	bool good = build(in, a, &text) && facts_of_message(buf_slice(&text), &facts);
	if (good && (*block = shm_alloc(in->shm, text.len)) != NULL) {
		memcpy(*block, text.at, text.len);
		mail->body.at = (struct store_region){ shm_offset(in->shm, *block), text.len };
		mail->facts = slice_keep(a, buf_slice(&facts));
		mail->envelope.session = in->row->envelope.session;
		mail->envelope.flags = slice_is_ascii(buf_slice(&text)) ? 0 : ENVELOPE_8BIT;
	}
	buf_release(&text);
	buf_release(&facts);
	log_notice(in, *block ? "notice.sent" : "notice.lost", *block ? OK : ERR_LIMIT);
	return *block != NULL;
}
