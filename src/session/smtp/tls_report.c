/* SPDX-License-Identifier: Apache-2.0 */
/* tls_report.c - TLS reports of others (RFC 8460) that arrive at an address of ours that the configuration names: scan
 * reads them, and what they say is put down as a memo ("tls-received") for the administrator. Called by deliver.c after
 * the commit: the mail is delivered whatever becomes of this. */
#include "session/smtp/smtp.h"

#include "mail/tls_report_read.h"
#include "scan_msg.h"

#define KEPT_SEC (90 * 86400)

static bool
is_wanted(const struct smtp *s)
{
	const struct conf_values *v = &s->c->conf->v;
	for (size_t i = 0; i < v->ntls_report_address; i++)
		for (uint32_t r = 0; r < s->tx.nrcpts; r++)
			if (slice_equal_nocase(s->tx.rcpts[r].address, slice_text(v->tls_report_address[i])))
				return true;
	return false;
}

static enum err
await_keep(struct smtp *s, const struct scan_tls_report_out *got)
{
	struct store_memo memo = {
		.kind = S("tls-received"), .name = got->name, .value = got->report, .until = clock_wall_sec() + KEPT_SEC
	};
	struct store_memo_put_in in = { .memos = &memo, .nmemos = 1 };
	struct store_memo_put_out out;
	return await_store_memo_put(&s->c->session->store, &in, s->command, &out);
}

static void
log_report(struct smtp *s, uint32_t found, enum err e)
{
	struct log l;
	log_begin(&l, e || found != TLS_REPORT_FOUND ? LOG_WARN : LOG_INFO, "tls_report.received");
	log_text(&l, "session", s->c->id);
	log_slice(&l, "id", tx_message_id(s));
	log_slice(&l, "from", s->tx.reverse_path);
	if (e)
		log_err(&l, e);
	else if (found == TLS_REPORT_BROKEN)
		log_text(&l, "why", "the report in the message cannot be read");
	log_end(&l);
}

void
await_tls_report(struct smtp *s)
{
	if (!is_wanted(s))
		return;
	const struct body *b = &s->tx.in.body;
	struct store_region at = body_ref_part(b, 0, b->len).at;
	struct scan_tls_report_in in = { .file = b->spool ? b->file : -1, .off = at.off, .bytes = at.len };
	struct scan_tls_report_out out = { 0 };
	enum err e = await_scan_tls_report(session_scan(s->c->session), &in, s->command, &out);
	if (e == OK && out.found == TLS_REPORT_FOUND)
		e = await_keep(s, &out);
	if (e || out.found != TLS_REPORT_NONE)
		log_report(s, out.found, e);
}
