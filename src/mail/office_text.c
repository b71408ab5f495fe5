/* SPDX-License-Identifier: Apache-2.0 */
/* office_text.c - see office_text.h. A zip file is read from its central directory (APPNOTE.TXT 4.3), so that what
 * other programs would open is what is found; entries are inflated by zlib. Called by search_text.c. */
#include "mail/office_text.h"

#include "mail/html_text.h"

#include <zlib.h>

enum { END_BYTES = 22, COMMENT_BYTES_MAX = 65535, CENTRAL_BYTES = 46, LOCAL_BYTES = 30 };
enum { METHOD_STORED = 0, METHOD_DEFLATED = 8, FLAG_ENCRYPTED = 1 };
#define END_MAGIC 0x06054b50u
#define CENTRAL_MAGIC 0x02014b50u
#define LOCAL_MAGIC 0x04034b50u

/* ---- which files */

bool
office_is(struct slice subtype, struct slice name)
{
	static const struct slice types[] = { S_ROW("vnd.openxmlformats-officedocument."), S_ROW("vnd.oasis.opendocument."),
		                                  S_ROW("vnd.ms-word.document.macro"), S_ROW("vnd.ms-excel.sheet.macro"),
		                                  S_ROW("vnd.ms-powerpoint.presentation.macro") };
	static const struct slice ends[] = { S_ROW(".docx"), S_ROW(".xlsx"), S_ROW(".pptx"), S_ROW(".docm"),
		                                 S_ROW(".xlsm"), S_ROW(".pptm"), S_ROW(".odt"),  S_ROW(".ods"),
		                                 S_ROW(".odp"),  S_ROW(".ott"),  S_ROW(".ots"),  S_ROW(".otp") };
	for (size_t i = 0; i < COUNT_OF(types); i++)
		if (slice_starts_nocase(subtype, types[i]))
			return true;
	for (size_t i = 0; i < COUNT_OF(ends); i++)
		if (slice_ends_nocase(name, ends[i]))
			return true;
	return false;
}

/* What of a document is text that a reader sees. */
static bool
entry_has_text(struct slice name)
{
	static const struct slice whole[] = { S_ROW("content.xml"),        S_ROW("word/document.xml"),
		                                  S_ROW("word/footnotes.xml"), S_ROW("word/endnotes.xml"),
		                                  S_ROW("word/comments.xml"),  S_ROW("xl/sharedStrings.xml") };
	static const struct slice starts[] = { S_ROW("word/header"), S_ROW("word/footer"), S_ROW("ppt/slides/slide"),
		                                   S_ROW("ppt/notesSlides/notesSlide"), S_ROW("xl/comments") };
	for (size_t i = 0; i < COUNT_OF(whole); i++)
		if (slice_equal(name, whole[i]))
			return true;
	for (size_t i = 0; i < COUNT_OF(starts); i++)
		if (slice_starts(name, starts[i]) && slice_ends(name, S(".xml")))
			return true;
	return false;
}

/* ---- zip */

struct zip {
	struct slice file, entries; /* entries: the central directory from the next one on */
	size_t seen;
};

struct entry {
	struct slice name, packed;
	unsigned method;
};

static uint32_t
number(struct slice s, size_t at, size_t bytes)
{
	return (uint32_t)bytes_get_le(s.at + at, bytes);
}

/* The end record is the last thing in the file but for a comment. False: no zip file, or one that we do not read
 * (several disks, more than 4 GiB). */
static bool
zip_open(struct zip *z, struct slice file)
{
	*z = (struct zip){ .file = file };
	size_t least = file.len > END_BYTES + COMMENT_BYTES_MAX ? file.len - END_BYTES - COMMENT_BYTES_MAX : 0;
	for (size_t at = file.len; at >= least + END_BYTES; at--) {
		struct slice end = slice_from(file, at - END_BYTES);
		if (number(end, 0, 4) != END_MAGIC)
			continue;
		uint32_t bytes = number(end, 12, 4), from = number(end, 16, 4);
		if (from > file.len || bytes > file.len - from)
			return false;
		z->entries = slice_part(file, from, bytes);
		return true;
	}
	return false;
}

/* The bytes of an entry, whose local header says where they begin. */
static bool
entry_locate(const struct zip *z, uint32_t from, uint32_t bytes, struct entry *e)
{
	struct slice local = slice_from(z->file, MIN((size_t)from, z->file.len));
	if (local.len < LOCAL_BYTES || number(local, 0, 4) != LOCAL_MAGIC)
		return false;
	size_t head = LOCAL_BYTES + (size_t)number(local, 26, 2) + number(local, 28, 2);
	if (head > local.len || bytes > local.len - head)
		return false;
	e->packed = slice_part(local, head, bytes);
	return true;
}

/* The next entry that can be read. False: no more. */
static bool
zip_next(struct zip *z, struct entry *e)
{
	while (z->entries.len >= CENTRAL_BYTES && z->seen++ < OFFICE_ENTRIES_MAX) {
		struct slice c = z->entries;
		size_t name = number(c, 28, 2), all = CENTRAL_BYTES + name + number(c, 30, 2) + number(c, 32, 2);
		if (number(c, 0, 4) != CENTRAL_MAGIC || all > c.len)
			return false;
		z->entries = slice_from(c, all);
		*e = (struct entry){ .name = slice_part(c, CENTRAL_BYTES, name), .method = number(c, 10, 2) };
		bool readable =
		    !(number(c, 8, 2) & FLAG_ENCRYPTED) && (e->method == METHOD_STORED || e->method == METHOD_DEFLATED);
		if (readable && entry_locate(z, number(c, 42, 4), number(c, 20, 4), e))
			return true;
	}
	return false;
}

/* As much as there is room for; what comes before damage counts. */
static void
inflate_put(struct buf *to, struct slice packed, size_t room, size_t *work)
{
	z_stream s = { .next_in = (Bytef *)(uintptr_t)packed.at, .avail_in = (uInt)MIN(packed.len, *work) };
	char out[16384];
	if (inflateInit2(&s, -MAX_WBITS) != Z_OK)
		return;
	for (int result = Z_OK; result == Z_OK && room > 0 && !to->over;) {
		s.next_out = (Bytef *)out;
		s.avail_out = (uInt)MIN(sizeof out, room);
		uInt had = s.avail_out;
		result = inflate(&s, Z_NO_FLUSH);
		buf_put(to, slice_of(out, had - s.avail_out));
		room -= had - s.avail_out;
		if (had == s.avail_out && result == Z_OK)
			break; /* the input is cut off */
	}
	*work -= MIN((size_t)s.total_in, *work);
	inflateEnd(&s);
}

/* ---- text */

void
office_text_put(struct buf *to, struct slice file, size_t *work)
{
	/* Runs of one word may be elements of their own: only what ends a paragraph, a cell or a line parts words. */
	static const struct slice lines[] = { S_ROW("w:p"),
		                                  S_ROW("a:p"),
		                                  S_ROW("si"),
		                                  S_ROW("text:p"),
		                                  S_ROW("text:h"),
		                                  S_ROW("w:br"),
		                                  S_ROW("a:br"),
		                                  S_ROW("w:tab"),
		                                  S_ROW("text:s"),
		                                  S_ROW("text:tab"),
		                                  S_ROW("text:line-break"),
		                                  S_ROW("w:tc"),
		                                  S_ROW("table:table-cell") };
	struct zip z;
	struct entry e;
	struct buf xml;
	size_t texts = 0, left = OFFICE_XML_BYTES_MAX;
	if (!zip_open(&z, file))
		return;
	buf_init(&xml, OFFICE_XML_BYTES_MAX);
	while (left > 0 && *work > 0 && texts < OFFICE_TEXTS_MAX && !to->over && zip_next(&z, &e)) {
		if (!entry_has_text(e.name))
			continue;
		size_t room = MIN(left, *work);
		texts++;
		buf_clear(&xml);
		if (e.method == METHOD_STORED)
			buf_put(&xml, slice_part(e.packed, 0, room));
		else
			inflate_put(&xml, e.packed, room, work);
		left -= xml.len;
		*work -= MIN(xml.len, *work);
		xml_text_put(to, buf_slice(&xml), lines, COUNT_OF(lines));
		buf_put_char(to, '\n');
	}
	buf_release(&xml);
}
