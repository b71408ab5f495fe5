/* SPDX-License-Identifier: Apache-2.0 */
/* wishes.c - when and how a submitted message is to be sent: FUTURERELEASE (RFC 4865: HOLDFOR, HOLDUNTIL), DELIVERBY
 * (RFC 2852: BY), MT-PRIORITY (RFC 6710), and of which class its sender is. The parameters exist on submission alone.
 * Called by cmd_mail.c and deliver.c. */
#include "session/smtp/smtp.h"

#include "mail/date.h"
#include "mail/header.h"
#include "store/rows.h"

#include <unistd.h>

enum { HEAD_LOOK_BYTES = 64 * 1024 };

/* ---- MAIL */

static struct reply
hold(struct smtp *s, struct wishes *w, int64_t until)
{
	int64_t max = (int64_t)s->c->conf->v.submission_hold_max / 1000, now = clock_wall_sec();
	if (w->hold_until) /* RFC 4865 4.2 (9) */
		return reply(501, "5.5.4", "HOLDFOR and HOLDUNTIL: one of them, once");
	if (until <= now)
		return reply(501, "5.5.4", "that time is over");
	if (until > now + max) /* RFC 4865 4.2 (7), (8) */
		return reply_slice(501, "5.5.4",
		                   arena_printf(s->command, "too far ahead: at most %lld seconds", (long long)max));
	w->hold_until = until;
	return REPLY_NONE;
}

struct reply
wish_hold_for(struct smtp *s, struct wishes *w, struct slice value)
{
	uint64_t sec;
	if (value.len > 9 || !slice_to_u64(value, &sec) || *value.at == '0')
		return reply(501, "5.5.4", "HOLDFOR is a number of seconds: 1 to 999999999");
	w->hold_for = (uint32_t)sec;
	return hold(s, w, clock_wall_sec() + (int64_t)sec);
}

struct reply
wish_hold_until(struct smtp *s, struct wishes *w, struct slice value)
{
	int64_t until;
	if (!slice_ends_nocase(value, S("Z")) || !date_parse_rfc3339(value, &until))
		return reply(501, "5.5.4", "HOLDUNTIL is a time of UTC such as 2026-11-22T08:00:00Z");
	return hold(s, w, until);
}

struct reply
wish_by(struct smtp *s, struct wishes *w, struct slice value)
{
	struct cursor c = cursor_of(value);
	uint64_t sec;
	struct slice digits;
	bool negative = take_char(&c, '-');
	if (!negative)
		take_char(&c, '+');
	bool good =
	    take_while(&c, ascii_digit, &digits) && digits.len <= 9 && slice_to_u64(digits, &sec) && take_char(&c, ';');
	uint32_t mode = !good                     ? BY_NONE
	                : take_nocase(&c, S("N")) ? BY_NOTIFY
	                : take_nocase(&c, S("R")) ? BY_RETURN
	                                          : BY_NONE;
	if (good && take_nocase(&c, S("T")))
		mode |= BY_TRACE;
	if (!good || !(mode & ~(uint32_t)BY_TRACE) || !take_end(&c))
		return reply(501, "5.5.4", "BY is a number of seconds, ';', and N or R, perhaps with T: BY=3600;R");
	if ((mode & BY_RETURN) && (negative || sec == 0)) /* RFC 2852 4 */
		return reply(501, "5.5.4", "BY with R needs time to come");
	uint64_t least = s->c->conf->v.submission_deliver_by_min / 1000;
	if ((mode & BY_RETURN) && sec < least) /* RFC 2852 3 */
		return reply_slice(
		    555, "5.5.4",
		    arena_printf(s->command, "that is too soon to promise: at least %llu seconds", (unsigned long long)least));
	w->by_time = clock_wall_sec() + (negative ? -(int64_t)sec : (int64_t)sec);
	w->by_mode = mode;
	return REPLY_NONE;
}

struct reply
wish_priority(struct smtp *s, struct wishes *w, struct slice value)
{
	struct slice digits = value.len == 2 && *value.at == '-' ? slice_from(value, 1) : value;
	if (digits.len != 1 || !ascii_digit(*digits.at) || (digits.len < value.len && *digits.at == '0'))
		return reply(501, "5.5.2", "MT-PRIORITY is a number from -9 to 9"); /* RFC 6710 4.1 (1) */
	w->priority = *digits.at - '0';
	if (digits.len < value.len)
		w->priority = -w->priority;
	int64_t most = (int64_t)s->c->conf->v.submission_priority_max;
	w->lowered = w->priority > most;
	w->priority = MIN(w->priority, most);
	return REPLY_NONE;
}

struct reply
wishes_check(const struct wishes *w)
{
	if (w->hold_until && w->by_mode && w->hold_until > w->by_time) /* RFC 4865 5.2.2 */
		return reply(501, "5.5.4", "the message is to be delivered before it may be sent");
	return REPLY_NONE;
}

/* ---- the class of the sender */

/* The header of the message, or its beginning. */
static struct slice
head_of(struct smtp *s)
{
	const struct intake *in = &s->tx.in;
	if (in->body.at)
		return slice_part(slice_of(in->body.at, in->body.len), in->skip, HEAD_LOOK_BYTES);
	char *at = arena_alloc(s->command, HEAD_LOOK_BYTES);
	ssize_t n = pread(in->body.file, at, HEAD_LOOK_BYTES, in->skip);
	return slice_of(at, n > 0 ? (size_t)n : 0);
}

static bool
is_bulk(struct slice head)
{
	struct header_field f;
	if (header_find(head, S("List-Id"), &f) || header_find(head, S("List-Unsubscribe"), &f))
		return true;
	if (!header_find(head, S("Precedence"), &f))
		return false;
	struct slice word = slice_trim(f.value);
	return slice_equal_nocase(word, S("bulk")) || slice_equal_nocase(word, S("list")) ||
	       slice_equal_nocase(word, S("junk"));
}

uint32_t
sender_class(struct smtp *s)
{
	if (s->tx.reverse.len == 0)
		return CLASS_NOTICE;
	return is_bulk(head_of(s)) ? CLASS_BULK : CLASS_PERSONAL;
}
