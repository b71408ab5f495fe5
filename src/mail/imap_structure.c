/* SPDX-License-Identifier: Apache-2.0 */
/* imap_structure.c - what IMAP tells about a message without its body. Called by facts only (and by tests). Where the
 * RFC leaves room it does as Dovecot: address parts that are missing are named MISSING_MAILBOX and MISSING_DOMAIN, a
 * text part without charset is us-ascii, a multipart without parts has one empty text part. Iterative; cannot fail. */
#include "mail/imap_structure.h"

#include "mail/address.h"
#include "mail/charset.h"
#include "mail/mime_param.h"

#define MERGED_BYTES_MAX (256u << 10) /* of the fields of one name that are read as one list */

/* ---- strings */

enum { NEEDS_ESCAPE = 1, NEEDS_LITERAL = 2 };

static int
string_needs(struct slice s)
{
	int needs = 0;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];
		if (c >= 0x80 || c == 0 || c == '\r' || c == '\n')
			return NEEDS_LITERAL;
		if (c == '"' || c == '\\')
			needs = NEEDS_ESCAPE;
	}
	return needs;
}

static void
put_literal(struct buf *to, struct slice s)
{
	struct buf utf8;
	buf_init(&utf8, 3 * s.len);
	charset_put_guess(&utf8, s);
	buf_put_char(to, '{');
	buf_put_u64(to, utf8.len);
	buf_put(to, S("}\r\n"));
	buf_put(to, buf_slice(&utf8));
	buf_release(&utf8);
}

void
structure_put_string(struct buf *to, struct slice s)
{
	int needs = string_needs(s);
	if (needs == NEEDS_LITERAL) {
		put_literal(to, s);
		return;
	}
	buf_put_char(to, '"');
	if (needs == 0)
		buf_put(to, s);
	for (size_t i = 0; needs && i < s.len; i++) {
		if (s.at[i] == '"' || s.at[i] == '\\')
			buf_put_char(to, '\\');
		buf_put_char(to, s.at[i]);
	}
	buf_put_char(to, '"');
}

/* What is there but empty: NIL. */
static void
put_string_or_nil(struct buf *to, struct slice s)
{
	if (s.len)
		structure_put_string(to, s);
	else
		buf_put(to, S("NIL"));
}

static struct slice
cut(struct slice s, size_t bytes)
{
	while (s.len > bytes && bytes > 0 && ((unsigned char)s.at[bytes] & 0xc0) == 0x80)
		bytes--;
	return slice_part(s, 0, bytes);
}

/* ---- envelope */

static bool
is_address_field(enum header_id id)
{
	return id >= HEADER_FROM && id <= HEADER_BCC;
}

/* Fields of addresses that come more than once are read as one list: mail to many has many Cc fields. */
static void
merge_field(struct buf *all, struct slice *value, struct slice more)
{
	if (all->len == 0)
		buf_put(all, *value);
	if (all->len + more.len >= MERGED_BYTES_MAX)
		return;
	buf_put_char(all, ',');
	buf_put(all, more);
	*value = buf_slice(all);
}

void
envelope_fields_read(struct envelope_fields *e, struct slice header, struct arena *a)
{
	struct header_reader r;
	struct header_field f;
	struct buf merged[HEADER_BCC + 1];
	*e = (struct envelope_fields){ 0 };
	for (size_t i = 0; i < COUNT_OF(merged); i++)
		buf_init(&merged[i], MERGED_BYTES_MAX + 1);
	for (header_begin(&r, header); header_next(&r, &f);) {
		enum header_id id = header_id(f.name);
		if (id == HEADER_RECEIVED)
			e->received++;
		if (id == HEADER_OTHER || id >= HEADER_RECEIVED)
			continue;
		e->more_fields = e->more_fields || e->value[id].at || f.value.len > MIME_FIELD_BYTES_MAX;
		f.value = slice_part(f.value, 0, MIME_FIELD_BYTES_MAX);
		if (!e->value[id].at)
			e->value[id] = f.value;
		else if (is_address_field(id))
			merge_field(&merged[id], &e->value[id], f.value);
	}
	for (size_t i = 0; i < COUNT_OF(merged); i++) {
		if (merged[i].len)
			e->value[i] = slice_keep(a, e->value[i]);
		buf_release(&merged[i]);
	}
}

static void
put_address(struct buf *to, const struct address *a, size_t text_max)
{
	if (a->kind == ADDRESS_GROUP_END) {
		buf_put(to, S("(NIL NIL NIL NIL)"));
		return;
	}
	if (a->kind == ADDRESS_GROUP) { /* RFC 9051 7.5.2: the name stands as mailbox, host is NIL */
		buf_put(to, S("(NIL NIL "));
		structure_put_string(to, cut(a->name, text_max));
		buf_put(to, S(" NIL)"));
		return;
	}
	buf_put_char(to, '(');
	put_string_or_nil(to, cut(a->name, text_max));
	buf_put_char(to, ' ');
	put_string_or_nil(to, cut(a->route, text_max));
	buf_put_char(to, ' ');
	structure_put_string(to, a->local.len ? cut(a->local, text_max) : S("MISSING_MAILBOX"));
	buf_put_char(to, ' ');
	structure_put_string(to, a->domain.len ? cut(a->domain, text_max) : S("MISSING_DOMAIN"));
	buf_put_char(to, ')');
}

/* "(" 1*address ")" / NIL. False: there is none. */
static bool
put_addresses(struct buf *to, struct slice value, const struct imap_limits *limits)
{
	struct arena a;
	struct address_reader r;
	struct address next;
	size_t n = 0;
	arena_init(&a, 0);
	if (value.len)
		for (address_begin(&r, &a, value); n < limits->addresses && address_next(&r, &next); n++) {
			if (n == 0)
				buf_put_char(to, '(');
			put_address(to, &next, limits->text_bytes);
		}
	if (n > 0 && r.in_group)
		put_address(to, &(struct address){ .kind = ADDRESS_GROUP_END }, 0);
	arena_release(&a);
	if (n > 0)
		buf_put_char(to, ')');
	return n > 0;
}

/* NIL where the field is missing, "" where it is empty. */
static void
put_text(struct buf *to, struct slice value, const struct imap_limits *limits)
{
	struct arena a;
	arena_init(&a, 0);
	if (value.at) {
		struct slice text = cut(header_unfold(&a, value), limits->text_bytes);
		structure_put_string(to, text);
	} else {
		buf_put(to, S("NIL"));
	}
	arena_release(&a);
}

/* Sender and Reply-To that are missing or empty are what From is (RFC 9051 7.5.2). */
void
imap_put_envelope(struct buf *to, const struct envelope_fields *e, const struct imap_limits *limits)
{
	static const enum header_id lists[] = { HEADER_FROM, HEADER_SENDER, HEADER_REPLY_TO,
		                                    HEADER_TO,   HEADER_CC,     HEADER_BCC };
	buf_put_char(to, '(');
	put_text(to, e->value[HEADER_DATE], limits);
	buf_put_char(to, ' ');
	put_text(to, e->value[HEADER_SUBJECT], limits);
	for (size_t i = 0; i < COUNT_OF(lists); i++) {
		buf_put_char(to, ' ');
		bool or_from = lists[i] == HEADER_SENDER || lists[i] == HEADER_REPLY_TO;
		if (!put_addresses(to, e->value[lists[i]], limits) &&
		    !(or_from && put_addresses(to, e->value[HEADER_FROM], limits)))
			buf_put(to, S("NIL"));
	}
	buf_put_char(to, ' ');
	put_text(to, e->value[HEADER_IN_REPLY_TO], limits);
	buf_put_char(to, ' ');
	put_text(to, e->value[HEADER_MESSAGE_ID], limits);
	buf_put_char(to, ')');
}

/* ---- body */

struct printer {
	struct buf *to;
	const struct mime *m;
	struct slice message;
	bool extended;
	const struct imap_limits *limits;
	struct arena arena; /* of the field that is being written */
};

/* body-fld-param. Joined continuations of RFC 2231 keep their "*". */
static void
put_params(struct printer *p, struct slice text, bool want_charset)
{
	struct cursor c = cursor_of(slice_part(text, 0, MIME_FIELD_BYTES_MAX));
	struct mime_params params;
	arena_clear(&p->arena);
	mime_params_take(&c, &p->arena, &params);
	char separator = '(';
	for (size_t i = 0; i < params.count; i++) {
		const struct mime_param *row = &params.rows[i];
		struct slice name = cut(row->name, p->limits->text_bytes);
		buf_put_char(p->to, separator);
		separator = ' ';
		structure_put_string(p->to, row->extended ? arena_join(&p->arena, name, S("*")) : name);
		buf_put_char(p->to, ' ');
		structure_put_string(p->to, cut(row->value, p->limits->text_bytes));
		want_charset = want_charset && !slice_equal_nocase(row->name, S("charset"));
	}
	if (want_charset) { /* RFC 2045 5.2 */
		buf_put_char(p->to, separator);
		separator = ' ';
		buf_put(p->to, S("\"charset\" \"us-ascii\""));
	}
	buf_put(p->to, separator == '(' ? S("NIL") : S(")"));
}

static void
put_field(struct printer *p, struct slice value)
{
	arena_clear(&p->arena);
	value = slice_part(value, 0, MIME_FIELD_BYTES_MAX);
	struct slice text = value.at ? header_unfold(&p->arena, value) : value;
	put_string_or_nil(p->to, cut(text, p->limits->text_bytes));
}

/* body-fld-dsp = "(" string SP body-fld-param ")" / nil */
static void
put_disposition(struct printer *p, struct slice value)
{
	struct cursor c = cursor_of(value);
	struct slice word;
	header_skip_cfws(&c);
	if (!mime_take_token(&c, &word)) {
		buf_put(p->to, S("NIL"));
		return;
	}
	buf_put_char(p->to, '(');
	structure_put_string(p->to, cut(word, p->limits->text_bytes));
	buf_put_char(p->to, ' ');
	put_params(p, cursor_rest(&c), false);
	buf_put_char(p->to, ')');
}

/* body-fld-lang = nstring / "(" string *(SP string) ")"; the field is a list of tags (RFC 3282 2). */
static void
put_language(struct printer *p, struct slice value)
{
	struct cursor c = cursor_of(slice_part(value, 0, 1000));
	struct slice tag;
	char separator = '(';
	while (!cursor_done(&c)) {
		header_skip_cfws(&c);
		if (mime_take_token(&c, &tag)) {
			buf_put_char(p->to, separator);
			structure_put_string(p->to, tag);
			separator = ' ';
		} else if (!cursor_done(&c)) {
			c.at++;
		}
	}
	buf_put(p->to, separator == '(' ? S("NIL") : S(")"));
}

/* SP body-fld-dsp SP body-fld-lang SP body-fld-loc */
static void
put_extension(struct printer *p, const struct mime_part *part)
{
	buf_put_char(p->to, ' ');
	put_disposition(p, part->disposition);
	buf_put_char(p->to, ' ');
	put_language(p, part->language);
	buf_put_char(p->to, ' ');
	put_field(p, part->location);
}

/* media-type SP media-subtype SP body-fields */
static void
put_fields(struct printer *p, const struct mime_part *part, bool text)
{
	structure_put_string(p->to, cut(part->type, p->limits->text_bytes));
	buf_put_char(p->to, ' ');
	structure_put_string(p->to, cut(part->subtype, p->limits->text_bytes));
	buf_put_char(p->to, ' ');
	put_params(p, part->params, text);
	buf_put_char(p->to, ' ');
	put_field(p, part->id);
	buf_put_char(p->to, ' ');
	put_field(p, part->description);
	buf_put_char(p->to, ' ');
	structure_put_string(p->to, part->encoding.len ? cut(part->encoding, p->limits->text_bytes) : S("7bit"));
	buf_put_char(p->to, ' ');
	buf_put_u64(p->to, part->at.end - part->at.body);
}

static void
put_md5_and_extension(struct printer *p, const struct mime_part *part)
{
	if (p->extended) {
		buf_put_char(p->to, ' ');
		put_field(p, part->md5);
		put_extension(p, part);
	}
	buf_put_char(p->to, ')');
}

static void
put_lines(struct printer *p, const struct mime_part *part)
{
	buf_put_char(p->to, ' ');
	buf_put_u64(p->to, part->at.lines);
}

/* A message whose content is no part (it is encoded, or a limit was passed) may not be called one: clients would look
 * for the envelope. */
static void
put_leaf(struct printer *p, struct mime_part part)
{
	bool text = part.at.kind == FACTS_KIND_TEXT;
	bool like_message = slice_equal_nocase(part.type, S("message")) && (slice_equal_nocase(part.subtype, S("rfc822")) ||
	                                                                    slice_equal_nocase(part.subtype, S("global")));
	if (like_message || slice_equal_nocase(part.type, S("multipart"))) {
		part.type = S("application");
		part.subtype = S("octet-stream");
	}
	buf_put_char(p->to, '(');
	put_fields(p, &part, text);
	if (text)
		put_lines(p, &part);
	put_md5_and_extension(p, &part);
}

static void
put_message_head(struct printer *p, const struct mime_part *part)
{
	const struct mime_part *inside = mime_part(p->m, part->at.first);
	struct envelope_fields e;
	struct arena a;
	buf_put_char(p->to, '(');
	put_fields(p, part, false);
	buf_put_char(p->to, ' ');
	arena_init(&a, 0);
	envelope_fields_read(&e, slice_part(p->message, inside->at.header, inside->at.body - inside->at.header), &a);
	imap_put_envelope(p->to, &e, p->limits);
	arena_release(&a);
	buf_put_char(p->to, ' ');
}

static void
put_multipart_tail(struct printer *p, const struct mime_part *part)
{
	buf_put_char(p->to, ' ');
	structure_put_string(p->to, cut(part->subtype, p->limits->text_bytes));
	if (p->extended) {
		buf_put_char(p->to, ' ');
		put_params(p, part->params, false);
		put_extension(p, part);
	}
	buf_put_char(p->to, ')');
}

/* What stands before the parts inside; true when there are any, else the whole part was written. */
static bool
put_head(struct printer *p, const struct mime_part *part)
{
	if (part->at.first && part->at.kind == FACTS_KIND_MESSAGE) {
		put_message_head(p, part);
		return true;
	}
	if (part->at.kind != FACTS_KIND_MULTIPART) {
		put_leaf(p, *part);
		return false;
	}
	buf_put_char(p->to, '(');
	if (part->at.first)
		return true;
	buf_put(p->to, S("(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0"));
	buf_put(p->to, p->extended ? S(" NIL NIL NIL NIL)") : S(")"));
	put_multipart_tail(p, part);
	return false;
}

static void
put_tail(struct printer *p, const struct mime_part *part)
{
	if (part->at.kind == FACTS_KIND_MULTIPART) {
		put_multipart_tail(p, part);
	} else {
		put_lines(p, part);
		put_md5_and_extension(p, part);
	}
}

void
imap_put_body(struct buf *to, const struct mime *m, struct slice message, bool extended,
              const struct imap_limits *limits)
{
	struct printer p = { .to = to, .m = m, .message = message, .extended = extended, .limits = limits };
	arena_init(&p.arena, 0);
	for (uint32_t i = 0;;) {
		const struct mime_part *part = mime_part(m, i);
		if (put_head(&p, part)) {
			i = part->at.first;
			continue;
		}
		while (i != 0 && part->at.next == 0) {
			i = part->at.parent;
			part = mime_part(m, i);
			put_tail(&p, part);
		}
		if (i == 0)
			break;
		i = part->at.next;
	}
	arena_release(&p.arena);
}
