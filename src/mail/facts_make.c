/* SPDX-License-Identifier: Apache-2.0 */
/* facts_make.c - the one way from a message to its facts. Called by scan for every message that arrives, so it is fast:
 * about a dozen microseconds for an ordinary message. Any bytes have facts. When strangers wrote so much that the
 * record would pass FACTS_BYTES_MAX, it is made again with less of it, FACTS_CUT set. */
#include "mail/address.h"
#include "mail/base_subject.h"
#include "mail/charset.h"
#include "mail/date.h"
#include "mail/encoded_words.h"
#include "mail/facts.h"
#include "mail/imap_structure.h"
#include "mail/part_text.h"
#include "mail/preview.h"

#define SORT_TEXT_BYTES 1000 /* of a sort key or a displayed name */

struct maker {
	struct slice message;
	struct mime mime;
	struct arena arena;
	struct envelope_fields fields;
	struct facts_writer w;
	struct imap_limits limits;
};

/* What is kept at most; tried from the top. The last always fits. */
static const struct {
	struct imap_limits limits;
	size_t parts;
} ladder[] = {
	{ { MIME_FIELD_BYTES_MAX, 10000 }, MIME_PARTS_MAX },
	{ { 4000, 1000 }, 1000 },
	{ { 1000, 100 }, 100 },
	{ { 200, 10 }, 1 },
};

static void
cut_from(struct buf *b, size_t start, size_t bytes)
{
	struct slice s = utf8_prefix(slice_of(b->at + start, b->len - start), bytes);
	b->len = start + s.len;
}

/* Decoded, for people and for search. */
static void
add_text(struct maker *k, enum facts_id id, enum header_id header)
{
	if (k->fields.value[header].len == 0)
		return;
	struct buf *to = facts_begin(&k->w, id);
	size_t start = to->len;
	encoded_words_put(to, k->fields.value[header]);
	if (to->len > start)
		cut_from(to, start, k->limits.text_bytes);
	facts_end(&k->w);
}

static void
add_base_subject(struct maker *k)
{
	struct facts_writer *w = &k->w;
	for (uint32_t i = 0; i < w->count; i++)
		if (w->rows[i].id == FACTS_SUBJECT) {
			struct buf base;
			buf_init(&base, BASE_SUBJECT_BYTES_MAX);
			base_subject_put(&base, slice_of(w->values.at + w->rows[i].offset, w->rows[i].bytes));
			facts_add(w, FACTS_BASE_SUBJECT, buf_slice(&base));
			buf_release(&base);
			return;
		}
}

/* msg-id = "<" id-left "@" id-right ">" (RFC 5322 3.6.4); white space inside is dropped. */
static bool
take_message_id(struct cursor *c, struct buf *to)
{
	ptrdiff_t open = slice_find_char(cursor_rest(c), '<');
	if (open < 0)
		return false;
	c->at += open + 1;
	ptrdiff_t close = slice_find_char(cursor_rest(c), '>');
	size_t n = close < 0 ? cursor_left(c) : (size_t)close;
	for (size_t i = 0; i < n; i++)
		if (c->at[i] > ' ' || (unsigned char)c->at[i] >= 0x80)
			buf_put_char(to, c->at[i]);
	c->at += close < 0 ? n : n + 1;
	return true;
}

/* Ids without brackets, NUL between them; at most max. */
static void
put_message_ids(struct maker *k, struct buf *to, struct slice value, size_t max)
{
	size_t start = to->len, n = 0;
	struct cursor c = cursor_of(value);
	for (bool more = true; more && n < max;) {
		size_t before = to->len;
		if (n > 0)
			buf_put_char(to, 0);
		size_t at = to->len;
		more = take_message_id(&c, to) && to->len - start <= k->limits.text_bytes;
		if (more && to->len > at)
			n++;
		else
			to->len = before;
	}
}

static void
add_message_ids(struct maker *k, enum facts_id id, enum header_id header, size_t max)
{
	struct slice value = k->fields.value[header];
	if (value.len == 0)
		return;
	struct buf *to = facts_begin(&k->w, id);
	size_t start = to->len;
	put_message_ids(k, to, value, max);
	if (to->len == start && id == FACTS_MESSAGE_ID) /* one without brackets is still an id */
		buf_put(to, slice_part(header_unfold(&k->arena, value), 0, MIN(k->limits.text_bytes, (size_t)1000)));
	facts_end(&k->w);
}

/* RFC 5256 3: without References the first of In-Reply-To. */
static void
add_references(struct maker *k)
{
	bool has = slice_find_char(k->fields.value[HEADER_REFERENCES], '<') >= 0;
	add_message_ids(k, FACTS_REFERENCES, has ? HEADER_REFERENCES : HEADER_IN_REPLY_TO, has ? SIZE_MAX : 1);
}

static bool
first_address(struct maker *k, enum header_id header, struct address *a)
{
	struct address_reader r;
	if (k->fields.value[header].len == 0)
		return false;
	address_begin(&r, &k->arena, k->fields.value[header]);
	return address_next(&r, a);
}

/* RFC 5256 3: addr-mailbox of the first address; of a group that is its name. */
static void
add_sort_address(struct maker *k, enum facts_id id, enum header_id header)
{
	struct address a;
	if (!first_address(k, header, &a))
		return;
	struct buf *to = facts_begin(&k->w, id);
	size_t start = to->len;
	charset_put_guess(to, a.kind == ADDRESS_GROUP ? a.name : a.local);
	if (to->len > start)
		cut_from(to, start, SORT_TEXT_BYTES);
	facts_end(&k->w);
}

/* RFC 5957 3: the decoded display-name, else mailbox@host. */
static void
add_display(struct maker *k, enum facts_id id, enum header_id header)
{
	struct address a;
	if (!first_address(k, header, &a))
		return;
	struct buf *to = facts_begin(&k->w, id);
	size_t start = to->len;
	if (a.name.len) {
		encoded_words_put(to, a.name);
	} else {
		charset_put_guess(to, a.local);
		if (a.domain.len)
			buf_put_char(to, '@');
		charset_put_guess(to, a.domain);
	}
	if (to->len > start)
		cut_from(to, start, SORT_TEXT_BYTES);
	facts_end(&k->w);
}

static void
add_structure(struct maker *k)
{
	imap_put_envelope(facts_begin(&k->w, FACTS_ENVELOPE), &k->fields, &k->limits);
	facts_end(&k->w);
	imap_put_body(facts_begin(&k->w, FACTS_BODY), &k->mime, k->message, false, &k->limits);
	facts_end(&k->w);
	imap_put_body(facts_begin(&k->w, FACTS_BODYSTRUCTURE), &k->mime, k->message, true, &k->limits);
	facts_end(&k->w);
	struct buf *to = facts_begin(&k->w, FACTS_PARTS);
	for (size_t i = 0; i < k->mime.count; i++)
		facts_put_part(to, &mime_part(&k->mime, i)->at);
	facts_end(&k->w);
}

static void
add_numbers(struct maker *k)
{
	struct facts_numbers n = { .received = k->fields.received };
	struct slice date = k->fields.value[HEADER_DATE];
	(void)date_parse(date, &n.date, &n.zone);
	for (size_t i = 0; i < k->mime.count; i++) {
		const struct mime_part *part = mime_part(&k->mime, i);
		n.attachments += part->at.kind != FACTS_KIND_MULTIPART && part_is_attachment(part);
	}
	facts_put_numbers(facts_begin(&k->w, FACTS_NUMBERS), &n);
	facts_end(&k->w);
}

static void
add_all(struct maker *k)
{
	add_structure(k);
	add_numbers(k);
	add_text(k, FACTS_SUBJECT, HEADER_SUBJECT);
	add_text(k, FACTS_FROM, HEADER_FROM);
	add_text(k, FACTS_TO, HEADER_TO);
	add_text(k, FACTS_CC, HEADER_CC);
	add_text(k, FACTS_BCC, HEADER_BCC);
	add_base_subject(k);
	add_message_ids(k, FACTS_MESSAGE_ID, HEADER_MESSAGE_ID, 1);
	add_references(k);
	preview_put(facts_begin(&k->w, FACTS_PREVIEW), &k->mime, k->message);
	facts_end(&k->w);
	add_sort_address(k, FACTS_SORT_FROM, HEADER_FROM);
	add_sort_address(k, FACTS_SORT_TO, HEADER_TO);
	add_sort_address(k, FACTS_SORT_CC, HEADER_CC);
	add_display(k, FACTS_DISPLAY_FROM, HEADER_FROM);
	add_display(k, FACTS_DISPLAY_TO, HEADER_TO);
	add_message_ids(k, FACTS_IN_REPLY_TO, HEADER_IN_REPLY_TO, SIZE_MAX);
}

static uint16_t
byte_flags(struct slice header, struct slice body)
{
	uint16_t h = mime_flags_of_bytes(header), b = mime_flags_of_bytes(body);
	return (uint16_t)((h & FACTS_8BIT ? FACTS_8BIT_HEADER : 0) | (h & FACTS_NUL) | b);
}

static bool
try_level(struct maker *k, size_t level, struct buf *out)
{
	arena_clear(&k->arena);
	k->limits = ladder[level].limits;
	k->mime.parts_max = ladder[level].parts;
	mime_parse(&k->mime, k->message, &k->arena);
	size_t header = mime_part(&k->mime, 0)->at.body;
	struct slice top = slice_part(k->message, 0, header);
	envelope_fields_read(&k->fields, top, &k->arena);
	facts_writer_release(&k->w);
	facts_writer_init(&k->w);
	k->w.flags = (uint16_t)(byte_flags(top, slice_from(k->message, header)) | k->mime.flags | (level ? FACTS_CUT : 0) |
	                        (k->fields.more_fields ? FACTS_MORE_FIELDS : 0));
	add_all(k);
	return facts_finish(&k->w, out);
}

bool
facts_of_message(struct slice message, struct buf *out)
{
	struct maker k = { .message = message };
	bool ok = false;
	buf_clear(out);
	if (message.len >= UINT32_MAX)
		return false;
	mime_init(&k.mime);
	arena_init(&k.arena, 256u << 20);
	facts_writer_init(&k.w);
	for (size_t level = 0; !ok && level < COUNT_OF(ladder); level++)
		ok = try_level(&k, level, out);
	facts_writer_release(&k.w);
	arena_release(&k.arena);
	mime_release(&k.mime);
	return ok;
}
