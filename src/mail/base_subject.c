/* SPDX-License-Identifier: Apache-2.0 */
/* base_subject.c - RFC 5256 2.1, step by step. Called by facts. Pure; the subject is cut at a length that keeps the
 * repeated steps cheap. */
#include "mail/base_subject.h"

#include "base/cursor.h"
#include "mail/charset.h"

/* subj-blob = "[" *BLOBCHAR "]" *WSP */
static bool
take_blob(struct cursor *c)
{
	struct cursor in = *c;
	if (!take_char(&in, '['))
		return false;
	while (!cursor_done(&in) && *in.at != '[' && *in.at != ']')
		in.at++;
	if (!take_char(&in, ']'))
		return false;
	skip_spaces(&in);
	*c = in;
	return true;
}

/* subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":" */
static bool
take_refwd(struct cursor *c)
{
	struct cursor in = *c;
	if (!take_nocase(&in, S("re")) && !take_nocase(&in, S("fwd")) && !take_nocase(&in, S("fw")))
		return false;
	skip_spaces(&in);
	take_blob(&in);
	if (!take_char(&in, ':'))
		return false;
	*c = in;
	return true;
}

/* subj-leader = (*subj-blob subj-refwd) / WSP; step 3 */
static bool
take_leader(struct cursor *c, bool *reply)
{
	if (take_spaces(c))
		return true;
	struct cursor in = *c;
	while (take_blob(&in))
		;
	if (!take_refwd(&in))
		return false;
	*c = in;
	*reply = true;
	return true;
}

/* subj-trailer = "(fwd)" / WSP; step 2 */
static struct slice
without_trailers(struct slice s, bool *reply)
{
	for (;;) {
		s = slice_trim_end(s);
		if (!slice_ends_nocase(s, S("(fwd)")))
			return s;
		s.len -= 5;
		*reply = true;
	}
}

/* Steps 3 to 5. */
static struct slice
without_leaders(struct slice s, bool *reply)
{
	struct cursor c = cursor_of(s);
	for (;;) {
		while (take_leader(&c, reply))
			;
		struct cursor in = c;
		if (!take_blob(&in) || cursor_done(&in)) /* step 4: a base must be left */
			return cursor_rest(&c);
		c = in;
	}
}

bool
base_subject_put(struct buf *to, struct slice subject)
{
	struct buf spaced; /* step 1: one space where there were several */
	bool reply = false;
	subject = utf8_prefix(subject, BASE_SUBJECT_BYTES_MAX);
	buf_init(&spaced, subject.len);
	for (size_t i = 0; i < subject.len; i++) {
		bool space = subject.at[i] == ' ' || subject.at[i] == '\t';
		if (!space || spaced.len == 0 || spaced.at[spaced.len - 1] != ' ')
			buf_put_char(&spaced, space ? ' ' : subject.at[i]);
	}
	struct slice s = buf_slice(&spaced);
	for (;;) {
		s = without_leaders(without_trailers(s, &reply), &reply);
		if (!slice_starts_nocase(s, S("[fwd:")) || !slice_ends(s, S("]"))) /* step 6 */
			break;
		s = slice_part(s, 5, s.len - 6);
		reply = true;
	}
	buf_put(to, s);
	buf_release(&spaced);
	return reply;
}
