/* SPDX-License-Identifier: Apache-2.0 */
/* notice.c - see notice.h. Here it is decided who wants one and what it says of each recipient. Called by settle.c,
 * whose commit carries the notice. */
#include "relay/notice.h"

#include "mail/xtext.h"
#include "relay/notice_mail.h"
#include "store/rows.h"

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

bool
await_notice(const struct notice_input *in, struct arena *a, struct store_mail *mail, void **block)
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
	uint32_t protect = row->envelope.flags & ENVELOPE_REQUIRETLS; /* RFC 8689 5 */
	d.full =
	    !protect && in->original_whole && row->envelope.ret == RET_FULL && in->kind == NOTICE_FAILED; /* RFC 3461 4.3 */
	for (uint32_t i = 0; i < row->nrecipients; i++)
		if (in->about[i])
			list[d.nrecipients++] = describe(in, a, &row->recipients[i]);
	if (!await_notice_mail(in->store, in->shm, &d, row->envelope.session, a, mail, block))
		return false;
	mail->envelope.flags |= protect;
	return true;
}
