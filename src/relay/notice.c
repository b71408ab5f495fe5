/* SPDX-License-Identifier: Apache-2.0 */
/* notice.c - see notice.h. Here it is decided who wants one and what it says of each recipient. Called by settle.c,
 * whose commit carries the notice. */
#include "relay/notice.h"

#include "mail/xtext.h"
#include "relay/notice_mail.h"
#include "store/rows.h"

/* RFC 3461 5.2.2; RFC 2852 4.1.4 (by-trace) and 4.1.4.2 (a server that knows no deadlines). */
static bool
relayed_wanted(const struct store_envelope *e, const struct store_recipient *to, const struct notice_next *next)
{
	if (to->notify & NOTIFY_NEVER)
		return false;
	return ((to->notify & NOTIFY_SUCCESS) && !next->dsn) || (e->by_mode & BY_TRACE) ||
	       ((e->by_mode & BY_NOTIFY) && next->early && !next->by);
}

bool
notice_withheld(const struct store_envelope *e)
{
	return e->reverse_path.len && !e->account && !(e->flags & ENVELOPE_TRUSTED);
}

bool
notice_wanted(const struct store_envelope *e, const struct store_recipient *to, enum notice kind,
              const struct notice_next *next)
{
	if (e->reverse_path.len == 0 || notice_withheld(e))
		return false;
	switch (kind) {
	case NOTICE_FAILED:
		return to->notify == 0 || (to->notify & NOTIFY_FAILURE); /* RFC 3461 4.1: failure is the default */
	case NOTICE_DELAYED:
	case NOTICE_LATE: return to->notify == 0 || (to->notify & NOTIFY_DELAY);
	case NOTICE_RELAYED: return relayed_wanted(e, to, next);
	case NOTICE_DELIVERED: return to->notify & NOTIFY_SUCCESS;
	}
	UNREACHABLE();
}

static enum dsn_action
action_of(enum notice kind)
{
	static const enum dsn_action actions[] = { [NOTICE_FAILED] = DSN_FAILED,
		                                       [NOTICE_DELAYED] = DSN_DELAYED,
		                                       [NOTICE_LATE] = DSN_DELAYED,
		                                       [NOTICE_RELAYED] = DSN_RELAYED,
		                                       [NOTICE_DELIVERED] = DSN_DELIVERED };
	return actions[kind];
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
	if (r.action == DSN_DELAYED)
		r.until_sec = in->give_up_at;
	r.late = in->kind == NOTICE_LATE;
	if (r.late)
		r.status = S("4.4.7");
	return r;
}

bool
await_notice(const struct notice_input *in, struct arena *a, struct store_mail *mail, void **block)
{
	const struct store_queue_row *row = in->row;
	struct dsn_recipient *list = ARENA_ARRAY(a, struct dsn_recipient, row->nrecipients + 1);
	struct dsn d = { .hostname = slice_text(in->conf->v.hostname),
		             .sender = row->envelope.reverse_path,
		             .envelope = xtext_decode(row->envelope.envid, a),
		             .arrived_sec = row->born,
		             .by_sec = row->envelope.by_mode ? row->envelope.by_time : 0,
		             .hold_until = row->envelope.hold_until,
		             .hold_for = row->envelope.hold_for,
		             .now_sec = in->now,
		             .language = row->envelope.language.len ? row->envelope.language : slice_text(in->conf->v.language),
		             .recipients = list,
		             .message = in->original,
		             .utf8 = row->envelope.flags & ENVELOPE_SMTPUTF8 };
	uint32_t protect = row->envelope.flags & ENVELOPE_REQUIRETLS; /* RFC 8689 5 */
	d.full =
	    !protect && in->original_whole && row->envelope.ret == RET_FULL && in->kind == NOTICE_FAILED; /* RFC 3461 4.3 */
	for (uint32_t i = 0; i < row->nrecipients; i++)
		if (in->about[i])
			list[d.nrecipients++] = describe(in, a, &row->recipients[i]);
	if (!await_notice_mail(in->store, in->shm, &d, row->envelope.session, a, mail, block))
		return false;
	mail->envelope.flags |= protect;
	mail->envelope.priority = row->envelope.priority; /* RFC 6710 4.6 */
	return true;
}
