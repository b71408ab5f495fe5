/* SPDX-License-Identifier: Apache-2.0 */
/* encoded_words.c - RFC 2047. Called for every header text that is shown or searched, and by what writes headers.
 * Words that follow each other in one charset are put together before they are converted, because some programs cut
 * characters in two. Linear; what is no word stays text. */
#include "mail/encoded_words.h"

#include "base/base64.h"
#include "base/cursor.h"
#include "mail/charset.h"
#include "mail/transfer.h"

#define CHARSET_BYTES_MAX 60

struct word {
	struct slice charset, text;
	bool q;
};

struct decoder {
	struct buf *to;
	struct buf bytes;     /* of the words that belong together, not yet converted */
	struct slice charset; /* of them */
	bool no_more_ends;    /* "?=" does not come any more: keeps the search linear */
};

/* Controls are not shown: a tab is a space, and so is everything else below it. */
static void
clean_from(struct buf *b, size_t at)
{
	for (; at < b->len; at++)
		if ((unsigned char)b->at[at] < 0x20 || b->at[at] == 0x7f)
			b->at[at] = ' ';
}

/* RFC 5322 2.2.3: unfolding drops the line ends, nothing else. */
static void
put_plain(struct buf *to, struct slice text)
{
	size_t start = to->len;
	while (text.len > 0) {
		const char *lf = memchr(text.at, '\n', text.len);
		struct slice line = lf ? slice_part(text, 0, (size_t)(lf - text.at)) : text;
		text = slice_from(text, line.len + (lf != NULL));
		if (lf && slice_ends(line, S("\r")))
			line.len--;
		charset_put_guess(to, line);
	}
	clean_from(to, start);
}

static void
flush_words(struct decoder *d)
{
	size_t start = d->to->len;
	charset_put(d->to, d->charset, buf_slice(&d->bytes));
	clean_from(d->to, start);
	buf_clear(&d->bytes);
}

/* encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?=" (RFC 2047 2, RFC 2231 5) */
static bool
take_word(struct decoder *d, struct cursor *c, struct word *w)
{
	struct cursor in = *c;
	struct slice label, language;
	char encoding;
	if (d->no_more_ends || !take_exact(&in, S("=?")))
		return false;
	ptrdiff_t mark = slice_find_char(slice_part(cursor_rest(&in), 0, CHARSET_BYTES_MAX), '?');
	if (mark <= 0 || !take_bytes(&in, (size_t)mark, &label) || slice_has_control(label))
		return false;
	slice_cut(label, '*', &w->charset, &language);
	in.at++;
	if (!take_any(&in, &encoding) || !take_char(&in, '?'))
		return false;
	w->q = ascii_lower(encoding) == 'q';
	if (!w->q && ascii_lower(encoding) != 'b')
		return false;
	ptrdiff_t end = slice_find(cursor_rest(&in), S("?="));
	d->no_more_ends = end < 0;
	if (end < 0 || !take_bytes(&in, (size_t)end, &w->text))
		return false;
	in.at += 2;
	*c = in;
	return true;
}

/* A word that was cut by a fold against the rules still ends somewhere: its line ends are skipped. */
static void
decode_word(struct decoder *d, const struct word *w)
{
	if (d->bytes.len && !slice_equal_nocase(d->charset, w->charset))
		flush_words(d);
	d->charset = w->charset;
	struct slice rest = w->text;
	if (!w->q) {
		transfer_decode_word(false, rest, &d->bytes);
		return;
	}
	while (rest.len > 0) {
		struct slice line;
		slice_cut(rest, '\n', &line, &rest);
		if (slice_ends(line, S("\r")))
			line.len--;
		transfer_decode_word(true, line, &d->bytes);
	}
}

static void
skip_blanks(struct cursor *c)
{
	while (!cursor_done(c) && (*c->at == ' ' || *c->at == '\t' || *c->at == '\r' || *c->at == '\n'))
		c->at++;
}

/* Words that follow each other, with nothing but white space between them, which is not shown (RFC 2047 6.2). */
static bool
take_words(struct decoder *d, struct cursor *c)
{
	struct word w;
	if (!take_word(d, c, &w))
		return false;
	for (struct cursor next;; *c = next) {
		decode_word(d, &w);
		next = *c;
		skip_blanks(&next);
		if (!take_word(d, &next, &w))
			break;
	}
	flush_words(d);
	return true;
}

static void
put_mixed(struct decoder *d, struct slice value)
{
	struct cursor c = cursor_of(value);
	const char *plain = c.at;
	while (!cursor_done(&c) && !d->no_more_ends) {
		ptrdiff_t mark = slice_find(cursor_rest(&c), S("=?"));
		if (mark < 0)
			break;
		c.at += mark;
		struct slice before = slice_of(plain, (size_t)(c.at - plain));
		struct cursor word = c;
		struct word w;
		if (!take_word(d, &word, &w)) {
			c.at += 2;
			continue;
		}
		put_plain(d->to, before);
		take_words(d, &c);
		plain = c.at;
	}
	put_plain(d->to, slice_of(plain, (size_t)(c.end - plain)));
}

void
encoded_words_put(struct buf *to, struct slice value)
{
	value = slice_trim(value);
	if (slice_find(value, S("=?")) < 0) {
		put_plain(to, value);
		return;
	}
	size_t start = to->len;
	struct decoder d = { .to = to };
	buf_init(&d.bytes, value.len + 4);
	put_mixed(&d, value);
	buf_release(&d.bytes);
	while (to->len > start && to->at[to->len - 1] == ' ')
		to->len--;
}

/* 45 bytes are 60 characters of base64: with "=?utf-8?B?" and "?=" 72, below the 75 of RFC 2047 2. */
void
encoded_words_encode(struct buf *to, struct slice text)
{
	if (slice_is_ascii(text) && !slice_has_control(text) && slice_find(text, S("=?")) < 0) {
		buf_put(to, text);
		return;
	}
	struct buf utf8;
	buf_init(&utf8, text.len * 3);
	charset_put_guess(&utf8, text);
	clean_from(&utf8, 0);
	struct slice rest = buf_slice(&utf8);
	for (bool first = true; rest.len > 0; first = false) {
		struct slice piece = utf8_prefix(rest, 45);
		buf_put(to, first ? S("=?utf-8?B?") : S("\r\n =?utf-8?B?"));
		base64_encode(piece, to);
		buf_put(to, S("?="));
		rest = slice_from(rest, piece.len);
	}
	buf_release(&utf8);
}
