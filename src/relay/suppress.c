/* SPDX-License-Identifier: Apache-2.0 */
/* suppress.c - recipients of bulk mail that do not exist go onto the suppression list of the sender's domain: who goes
 * on writing to them is taken for a spammer by those that refused. Called by settle.c. When the list is full, or the
 * store does not answer, the next message asks again. */
#include "relay/relay.h"

#include "base/clock.h"
#include "base/log.h"
#include "mail/charset.h"
#include "store/rows.h"

#define SUPPRESS_DAYS 180
#define DAY_SEC 86400
#define REASON_BYTES_MAX 200
#define MEMOS_AT_ONCE 100

/* RFC 3463 3.2: the mailbox, or its syntax, or where it moved: nobody will ever get it there. RFC 7505 4.2: no mail at
 * all for the domain. */
static bool
is_gone(const struct store_recipient *to)
{
	static const struct slice codes[] = { S_ROW("5.1.1"), S_ROW("5.1.2"), S_ROW("5.1.3"), S_ROW("5.1.6"),
		                                  S_ROW("5.1.10") };
	for (size_t i = 0; i < COUNT_OF(codes); i++)
		if (to->state == RECIPIENT_FAILED && slice_equal(to->status, codes[i]))
			return true;
	return false;
}

static struct slice
name_of(struct job *j, const struct store_recipient *to)
{
	struct slice sender = j->row.envelope.reverse_path;
	struct slice domain = slice_from(sender, (size_t)(slice_find_last_char(sender, '@') + 1));
	struct slice name = arena_printf(&j->arena, "%.*s/%.*s", SLICE_ARG(domain), SLICE_ARG(to->address));
	char *lower = arena_alloc(&j->arena, name.len + 1);
	for (size_t i = 0; i < name.len; i++)
		lower[i] = ascii_lower(name.at[i]);
	return slice_of(lower, name.len);
}

/* What strangers said, as one line. */
static struct slice
reason_of(struct job *j, const struct store_recipient *to)
{
	struct slice said = utf8_prefix(to->reply, REASON_BYTES_MAX);
	char *line = arena_alloc(&j->arena, said.len + 1);
	for (size_t i = 0; i < said.len; i++)
		line[i] = (unsigned char)said.at[i] < 0x20 || said.at[i] == 0x7f ? ' ' : said.at[i];
	return arena_join(&j->arena, S("hard bounce: "), slice_of(line, said.len));
}

static void
await_keep(struct job *j, struct store_memo *memos, uint32_t n)
{
	struct store_memo_put_in in = { memos, n };
	struct store_memo_put_out out;
	enum err e = n ? await_store_memo_put(&j->relay->store, &in, &j->arena, &out) : OK;
	if (e == OK)
		return;
	struct log l;
	log_begin(&l, LOG_WARN, "suppression.lost");
	log_slice(&l, "id", j->row.envelope.session);
	log_err(&l, e);
	log_end(&l);
}

void
await_suppress_refused(struct job *j)
{
	struct store_memo memos[MEMOS_AT_ONCE];
	uint32_t n = 0;
	if (j->row.envelope.class != CLASS_BULK || !j->row.envelope.account || !j->tried ||
	    !j->relay->conf->v.suppression_bounces)
		return;
	for (uint32_t i = 0; i < j->row.nrecipients; i++) {
		const struct store_recipient *to = &j->row.recipients[i];
		struct slice name = is_gone(to) ? name_of(j, to) : S("");
		if (name.len == 0 || name.len > MEMO_NAME_BYTES_MAX)
			continue;
		memos[n++] = (struct store_memo){ S("suppress"), name, reason_of(j, to),
			                              clock_wall_sec() + (int64_t)SUPPRESS_DAYS * DAY_SEC };
		if (n == MEMOS_AT_ONCE) {
			await_keep(j, memos, n);
			n = 0;
		}
	}
	await_keep(j, memos, n);
}
