/* SPDX-License-Identifier: Apache-2.0 */
/* downgrade.c - what becomes of the fields of an internationalized header (RFC 6858 2): addresses that cannot be shown
 * become invalid ones whose display-name says what they were, the subject becomes encoded words, parameters and fields
 * that cannot be shown are left out. Called for IMAP clients that did not ask for UTF-8. A field that is no UTF-8 is
 * none of an internationalized message and stays. Cannot fail. */
#include "mail/downgrade.h"

#include "mail/address.h"
#include "mail/charset.h"
#include "mail/encoded_words.h"
#include "mail/header.h"

enum { SEGMENTS_MAX = 100, TEXT_BYTES_MAX = 4000 };

static const struct slice address_fields[] = {
	S_ROW("Bcc"),           S_ROW("Cc"),        S_ROW("From"),        S_ROW("Reply-To"),
	S_ROW("Resent-Bcc"),    S_ROW("Resent-Cc"), S_ROW("Resent-From"), S_ROW("Resent-Reply-To"),
	S_ROW("Resent-Sender"), S_ROW("Resent-To"), S_ROW("Sender"),      S_ROW("To"),
};

static bool
is_address_field(struct slice name)
{
	for (size_t i = 0; i < COUNT_OF(address_fields); i++)
		if (slice_equal_nocase(name, address_fields[i]))
			return true;
	return false;
}

/* ---- addresses, RFC 6858 2.1 */

static void
put_quoted(struct buf *to, struct slice text)
{
	buf_put_char(to, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] == '"' || text.at[i] == '\\')
			buf_put_char(to, '\\');
		buf_put_char(to, text.at[i]);
	}
	buf_put_char(to, '"');
}

/* A phrase (RFC 5322 3.2.5): as it is, in quotes, or as encoded words. */
static void
put_phrase(struct buf *to, struct slice text)
{
	bool plain = true;
	text = slice_part(text, 0, TEXT_BYTES_MAX);
	for (size_t i = 0; i < text.len; i++)
		plain = plain && (ascii_alpha(text.at[i]) || ascii_digit(text.at[i]) || text.at[i] == ' ');
	if (plain)
		buf_put(to, text);
	else if (!slice_is_ascii(text) || slice_has_control(text) || slice_find(text, S("=?")) >= 0)
		encoded_words_encode(to, text);
	else
		put_quoted(to, text);
}

static bool
is_dot_atom(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.at[i] <= ' ' || s.at[i] >= 0x7f || slice_find_char(S("()<>[]:;@\\,\""), s.at[i]) >= 0)
			return false;
	return s.len > 0;
}

static void
put_mailbox(struct buf *to, const struct address *a)
{
	buf_put_char(to, '<');
	if (is_dot_atom(a->local))
		buf_put(to, a->local);
	else
		put_quoted(to, a->local);
	if (a->domain.len) {
		buf_put_char(to, '@');
		buf_put(to, a->domain);
	}
	buf_put_char(to, '>');
}

/* The display-name tells what happened: "Fred (fred@EXAMPLE.com)". */
static void
put_invalid(struct buf *to, struct slice name, const struct address *a)
{
	struct buf text;
	buf_init(&text, 3 * TEXT_BYTES_MAX);
	buf_put(&text, slice_part(name, 0, TEXT_BYTES_MAX / 2));
	buf_put(&text, name.len ? S(" (") : S(""));
	buf_put(&text, slice_part(a->local, 0, TEXT_BYTES_MAX / 4));
	buf_put_char(&text, '@');
	buf_put(&text, slice_part(a->domain, 0, TEXT_BYTES_MAX / 4));
	buf_put(&text, name.len ? S(")") : S(""));
	put_phrase(to, buf_slice(&text));
	buf_put(to, S(" <invalid@internationalized-address.invalid>"));
	buf_release(&text);
}

static void
put_address(struct buf *to, const struct address *a)
{
	struct buf name;
	if (a->kind == ADDRESS_GROUP_END) {
		buf_put_char(to, ';');
		return;
	}
	buf_init(&name, 3 * TEXT_BYTES_MAX);
	encoded_words_put(&name, slice_part(a->name, 0, TEXT_BYTES_MAX));
	if (a->kind == ADDRESS_GROUP) {
		put_phrase(to, buf_slice(&name));
		buf_put(to, S(": "));
	} else if (slice_is_ascii(a->local) && slice_is_ascii(a->domain) && !slice_has_control(a->local) &&
	           !slice_has_control(a->domain)) {
		put_phrase(to, buf_slice(&name));
		buf_put(to, name.len ? S(" ") : S(""));
		put_mailbox(to, a);
	} else {
		put_invalid(to, buf_slice(&name), a);
	}
	buf_release(&name);
}

static void
put_addresses(struct buf *to, const struct header_field *f)
{
	struct arena arena;
	struct address_reader r;
	struct address a;
	enum address_kind last = ADDRESS_GROUP; /* nothing comes before the first, nor after the start of a group */
	arena_init(&arena, 0);
	buf_put(to, f->name);
	buf_put(to, S(": "));
	for (address_begin(&r, &arena, f->value); address_next(&r, &a); last = a.kind) {
		if (last != ADDRESS_GROUP && a.kind != ADDRESS_GROUP_END)
			buf_put(to, S(",\r\n "));
		put_address(to, &a);
	}
	if (r.in_group && last != ADDRESS_GROUP_END)
		buf_put_char(to, ';');
	buf_put(to, S("\r\n"));
	arena_release(&arena);
}

/* ---- MIME parameters, RFC 6858 2.2 */

/* Up to the next ";" that stands in no quotes. */
static bool
take_segment(struct cursor *c, struct slice *segment)
{
	const char *start = c->at;
	bool quoted = false;
	if (cursor_done(c))
		return false;
	for (; !cursor_done(c) && (quoted || *c->at != ';'); c->at++) {
		if (*c->at == '"')
			quoted = !quoted;
		else if (quoted && *c->at == '\\' && c->at + 1 < c->end)
			c->at++;
	}
	*segment = slice_of(start, (size_t)(c->at - start));
	if (!cursor_done(c))
		c->at++;
	return true;
}

/* filename*0 is a piece of filename (RFC 2231 3). */
static struct slice
name_of(struct slice segment)
{
	size_t n = 0;
	while (n < segment.len && segment.at[n] != '=' && segment.at[n] != '*')
		n++;
	return slice_trim(slice_part(segment, 0, n));
}

/* Is the parameter to be left out: because of this piece of it, or of another? */
static bool
is_left_out(const struct slice *segments, size_t n, size_t i)
{
	for (size_t k = 1; k < n; k++)
		if (!slice_is_ascii(segments[k]) && slice_equal_nocase(name_of(segments[k]), name_of(segments[i])))
			return true;
	return false;
}

static void
put_parameters(struct buf *to, const struct header_field *f)
{
	struct slice segments[SEGMENTS_MAX];
	struct cursor c = cursor_of(f->value);
	size_t n = 0;
	while (n < SEGMENTS_MAX && take_segment(&c, &segments[n]))
		n++;
	if (n == 0 || !slice_is_ascii(segments[0]))
		return;
	buf_put(to, f->name);
	buf_put_char(to, ':');
	for (size_t i = 0; i < n; i++) {
		if (i && is_left_out(segments, n, i))
			continue;
		if (i)
			buf_put_char(to, ';');
		buf_put(to, segments[i]);
	}
	buf_put(to, S("\r\n"));
}

/* ---- all fields */

static void
put_field(struct buf *to, const struct header_field *f)
{
	if (slice_equal_nocase(f->name, S("Subject"))) { /* RFC 6858 2.3 */
		struct buf text;
		buf_init(&text, 4 * f->value.len + 16);
		encoded_words_put(&text, f->value);
		buf_put(to, f->name);
		buf_put(to, S(": "));
		encoded_words_encode(to, buf_slice(&text));
		buf_put(to, S("\r\n"));
		buf_release(&text);
	} else if (slice_equal_nocase(f->name, S("Return-Path"))) {
		buf_put(to, f->name);
		buf_put(to, S(": <invalid@internationalized-address.invalid>\r\n"));
	} else if (is_address_field(f->name)) {
		put_addresses(to, f);
	} else if (slice_equal_nocase(f->name, S("Content-Type")) ||
	           slice_equal_nocase(f->name, S("Content-Disposition"))) {
		put_parameters(to, f);
	}
	/* RFC 6858 2.4: all others are left out */
}

bool
downgrade_header(struct buf *to, struct slice header)
{
	struct header_reader r;
	struct header_field f;
	size_t done = 0, start = to->len;
	bool changed = false;
	if (ascii_prefix(header) == header.len)
		return false;
	for (header_begin(&r, header); header_next(&r, &f);) {
		bool international = ascii_prefix(f.whole) != f.whole.len && slice_is_utf8(f.whole);
		if (international)
			put_field(to, &f);
		else
			buf_put(to, f.whole);
		changed = changed || international;
		done = (size_t)(f.whole.at - header.at) + f.whole.len;
	}
	buf_put(to, slice_from(header, done));
	if (!changed || to->over)
		to->len = start;
	return changed && !to->over;
}
