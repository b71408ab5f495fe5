/* SPDX-License-Identifier: Apache-2.0 */
/* seven_bit.c - see seven_bit.h. Called by scan. Reads hostile mail: whatever it is, the steps cover the message in its
 * order and what they make has no byte that the transport does not take. */
#include "mail/seven_bit.h"

#include "mail/downgrade.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "mail/transfer_encode.h"

enum { LINE_BYTES_MAX = 998, HEADER_TEXT_BYTES = 256 * 1024 }; /* RFC 5321 4.5.3.1.6 */

struct planning {
	struct seven_bit_plan *plan;
	struct slice message;
	struct mime mime;
	bool eight_bit, bad;
	uint32_t done; /* the steps cover the message up to here */
};

void
seven_bit_init(struct seven_bit_plan *p)
{
	*p = (struct seven_bit_plan){ 0 };
	buf_init(&p->steps, SEVEN_BIT_STEPS_MAX * sizeof(struct seven_bit_step));
	buf_init(&p->text, SEVEN_BIT_TEXT_BYTES_MAX);
}

void
seven_bit_release(struct seven_bit_plan *p)
{
	buf_release(&p->steps);
	buf_release(&p->text);
}

size_t
seven_bit_steps(const struct seven_bit_plan *p)
{
	return p->steps.len / sizeof(struct seven_bit_step);
}

struct seven_bit_step
seven_bit_step(const struct seven_bit_plan *p, size_t i)
{
	struct seven_bit_step s;
	ASSERT(i < seven_bit_steps(p));
	memcpy(&s, p->steps.at + i * sizeof s, sizeof s);
	return s;
}

/* ---- steps */

static struct slice
bytes_of(const struct planning *p, uint32_t from, uint32_t to)
{
	return slice_part(p->message, from, to - from);
}

static void
step_add(struct planning *p, uint32_t how, uint32_t at, uint32_t len)
{
	struct seven_bit_step s = { how, at, len };
	if (len > 0)
		buf_put(&p->plan->steps, slice_of((const char *)&s, sizeof s));
}

static bool
is_clean(struct slice bytes)
{
	return (mime_flags_of_bytes(bytes) & (FACTS_8BIT | FACTS_NUL)) == 0;
}

/* The bytes up to `to`, as they are or encoded. */
static void
pass(struct planning *p, uint32_t to, enum encode_how how)
{
	struct slice bytes = bytes_of(p, p->done, to);
	step_add(p, how, p->done, to - p->done);
	p->plan->bytes += encoded_bytes(how, bytes);
	p->done = to;
}

/* What stands between parts: nobody reads it. */
static void
pass_rest(struct planning *p, uint32_t to)
{
	pass(p, to, p->eight_bit || is_clean(bytes_of(p, p->done, to)) ? ENCODE_COPY : ENCODE_MASK);
}

/* In place of the bytes up to `to`. */
static void
say(struct planning *p, struct slice text, uint32_t to)
{
	struct buf *all = &p->plan->text;
	step_add(p, SEVEN_BIT_TEXT, (uint32_t)all->len, (uint32_t)text.len);
	buf_put(all, text);
	p->plan->bytes += text.len;
	p->done = to;
}

/* ---- headers */

static bool
has_field(struct slice header, struct slice name)
{
	struct header_field f;
	return header_find(header, name, &f);
}

/* RFC 2045 4, 5.2: an encoding means nothing without these. */
static void
put_mime_fields(struct buf *to, struct slice header, struct slice body)
{
	if (!has_field(header, S("MIME-Version")))
		buf_put(to, S("MIME-Version: 1.0\r\n"));
	if (!has_field(header, S("Content-Type")))
		buf_printf(to, "Content-Type: text/plain; charset=%s\r\n", slice_is_utf8(body) ? "utf-8" : "unknown-8bit");
}

/* encoding NULL: as it is. */
static void
say_header(struct planning *p, const struct facts_part *at, const char *encoding, bool is_message)
{
	struct slice header = bytes_of(p, at->header, at->body), ascii = header;
	struct header_reader r;
	struct header_field f;
	struct buf surrogate, out;
	bool told = !encoding;
	buf_init(&surrogate, HEADER_TEXT_BYTES * 4);
	buf_init(&out, HEADER_TEXT_BYTES * 4);
	if (!p->eight_bit && downgrade_header(&surrogate, header))
		ascii = buf_slice(&surrogate);
	header_begin(&r, ascii);
	while (header_next(&r, &f)) {
		bool is_encoding = encoding && slice_equal_nocase(f.name, S("Content-Transfer-Encoding"));
		if (!is_encoding)
			buf_put(&out, f.whole);
		else if (!told)
			buf_printf(&out, "Content-Transfer-Encoding: %s\r\n", encoding);
		told = told || is_encoding;
	}
	if (!told && is_message)
		put_mime_fields(&out, ascii, bytes_of(p, at->body, at->end));
	if (!told)
		buf_printf(&out, "Content-Transfer-Encoding: %s\r\n", encoding);
	buf_put(&out, S("\r\n"));
	for (size_t i = 0; i < out.len; i++) /* what was no UTF-8 */
		if (out.at[i] == '\0' || ((out.at[i] & 0x80) && !p->eight_bit))
			out.at[i] = '?';
	p->bad |= out.over || surrogate.over;
	say(p, buf_slice(&out), at->body);
	buf_release(&out);
	buf_release(&surrogate);
}

static bool
ends_with_empty_line(struct slice header)
{
	return slice_equal(header, S("\r\n")) || slice_ends(header, S("\r\n\r\n"));
}

/* ---- parts */

static bool
is_lines(struct slice bytes)
{
	while (bytes.len > 0) {
		ptrdiff_t lf = slice_find_char(bytes, '\n');
		size_t n = lf < 0 ? bytes.len : (size_t)lf + 1;
		struct slice line = slice_part(bytes, 0, n);
		ptrdiff_t cr = slice_find_char(line, '\r');
		if (n > LINE_BYTES_MAX + 2 || (lf >= 0 ? cr != (ptrdiff_t)n - 2 : cr >= 0))
			return false;
		bytes = slice_from(bytes, n);
	}
	return true;
}

/* Text that is text, and for which quoted-printable is not much longer than base64. */
static enum encode_how
better_of(const struct mime_part *part, struct slice body)
{
	size_t high = 0;
	if (!slice_equal_nocase(part->type, S("text")) || slice_find_char(body, '\0') >= 0)
		return ENCODE_BASE64;
	for (size_t i = 0; i < body.len; i++)
		high += (unsigned char)body.at[i] >> 7;
	return high * 5 > body.len ? ENCODE_BASE64 : ENCODE_QP;
}

static bool
is_message_type(const struct mime_part *part)
{
	return slice_equal_nocase(part->type, S("message")) || slice_equal_nocase(part->type, S("multipart"));
}

static void
plan_leaf(struct planning *p, const struct mime_part *part, bool is_message)
{
	const struct facts_part *at = &part->at;
	struct slice body = bytes_of(p, at->body, at->end), header = bytes_of(p, at->header, at->body);
	uint16_t bits = mime_flags_of_bytes(body);
	bool declared = at->encoding == FACTS_ENCODING_8BIT || at->encoding == FACTS_ENCODING_BINARY;
	bool lines = is_lines(body), plain = declared || at->encoding == FACTS_ENCODING_7BIT;
	bool dirty = (bits & FACTS_NUL) || !lines || ((bits & FACTS_8BIT) && !p->eight_bit);
	bool header_dirty = !p->eight_bit && !is_clean(header);
	if (at->encoding == FACTS_ENCODING_7BIT && !p->eight_bit && (bits & (FACTS_8BIT | FACTS_NUL)) == 0)
		dirty = false; /* a long line that was declared as text stays what it is */
	const char *encoding = NULL;
	enum encode_how how = ENCODE_COPY;
	if (dirty && plain) {
		how = better_of(part, body);
		encoding = how == ENCODE_QP ? "quoted-printable" : "base64";
		p->bad |= is_message_type(part) || !ends_with_empty_line(header);
	} else if (dirty) {
		how = at->encoding == FACTS_ENCODING_QP ? ENCODE_ESCAPE : ENCODE_MASK;
		p->bad |= at->encoding == FACTS_ENCODING_UNKNOWN;
	} else if (declared) {
		encoding = (bits & FACTS_8BIT) ? "8bit" : "7bit";
	}
	if (encoding || header_dirty)
		say_header(p, at, encoding, is_message);
	else
		pass(p, at->body, ENCODE_COPY);
	pass(p, at->end, how);
	if (how == ENCODE_BASE64 && at->end == p->message.len)
		say(p, S("\r\n"), at->end);
}

/* RFC 2045 6.4: whatever is inside, these are 7bit or 8bit. */
static void
plan_composite(struct planning *p, const struct mime_part *part)
{
	const struct facts_part *at = &part->at;
	bool declared = at->encoding == FACTS_ENCODING_8BIT || at->encoding == FACTS_ENCODING_BINARY;
	bool dirty = !p->eight_bit && !is_clean(bytes_of(p, at->header, at->body));
	if (declared || dirty)
		say_header(p, at, declared ? (p->eight_bit ? "8bit" : "7bit") : NULL, false);
	else
		pass(p, at->body, ENCODE_COPY);
}

bool
seven_bit_make(struct seven_bit_plan *plan, struct slice message, bool eight_bit)
{
	struct planning p = { .plan = plan, .message = message, .eight_bit = eight_bit };
	struct arena a;
	arena_init(&a, 0);
	mime_init(&p.mime);
	mime_parse(&p.mime, message, &a);
	p.bad = p.mime.flags & FACTS_CUT;
	for (size_t i = 0; i < p.mime.count && !p.bad; i++) {
		const struct mime_part *part = mime_part(&p.mime, i);
		bool inside = i == 0 || mime_part(&p.mime, part->at.parent)->at.kind == FACTS_KIND_MESSAGE;
		pass_rest(&p, part->at.header);
		if (part->at.first)
			plan_composite(&p, part);
		else
			plan_leaf(&p, part, inside);
	}
	pass_rest(&p, (uint32_t)message.len);
	mime_release(&p.mime);
	arena_release(&a);
	return !p.bad && !plan->steps.over && !plan->text.over;
}
