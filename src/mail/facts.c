/* SPDX-License-Identifier: Apache-2.0 */
/* facts.c - the record of what is known about a message: its reader and its writer. Called by scan (which writes it,
 * facts_make.c), by sessions and by whoever shows messages. The store keeps it without looking inside. */
#include "mail/facts.h"

enum { HEAD_BYTES = 8, ROW_BYTES = 12, ROWS_MAX = 32 };

static const char *
row_at(const struct facts *f, uint32_t i)
{
	return f->all.at + HEAD_BYTES + (size_t)i * ROW_BYTES;
}

static struct slice
row_value(const struct facts *f, uint32_t i)
{
	const char *row = row_at(f, i);
	return slice_part(f->all, bytes_get_le(row + 4, 4), bytes_get_le(row + 8, 4));
}

bool
facts_open(struct facts *f, struct slice record)
{
	*f = (struct facts){ 0 };
	if (record.len < HEAD_BYTES || record.len > FACTS_BYTES_MAX || bytes_get_le(record.at, 2) != FACTS_VERSION)
		return false;
	uint64_t count = bytes_get_le(record.at + 4, 4), values = HEAD_BYTES + count * ROW_BYTES, last = 0;
	if (count > (record.len - HEAD_BYTES) / ROW_BYTES)
		return false;
	struct facts all = { .all = record, .count = (uint32_t)count, .flags = (uint16_t)bytes_get_le(record.at + 2, 2) };
	for (uint32_t i = 0; i < all.count; i++) {
		const char *row = row_at(&all, i);
		uint64_t id = bytes_get_le(row, 4), offset = bytes_get_le(row + 4, 4), bytes = bytes_get_le(row + 8, 4);
		if (id <= last || offset < values || offset > record.len || bytes > record.len - offset)
			return false;
		last = id;
	}
	*f = all;
	return true;
}

struct slice
facts_get(const struct facts *f, enum facts_id id)
{
	for (uint32_t i = 0; i < f->count; i++)
		if (bytes_get_le(row_at(f, i), 4) == (uint64_t)id)
			return row_value(f, i);
	return SLICE_NONE;
}

size_t
facts_parts(const struct facts *f)
{
	return facts_get(f, FACTS_PARTS).len / FACTS_PART_BYTES;
}

bool
facts_part(const struct facts *f, size_t index, struct facts_part *part)
{
	struct slice all = facts_get(f, FACTS_PARTS);
	if (index >= all.len / FACTS_PART_BYTES)
		return false;
	const char *p = all.at + index * FACTS_PART_BYTES;
	*part = (struct facts_part){
		.header = (uint32_t)bytes_get_le(p, 4),
		.body = (uint32_t)bytes_get_le(p + 4, 4),
		.end = (uint32_t)bytes_get_le(p + 8, 4),
		.lines = (uint32_t)bytes_get_le(p + 12, 4),
		.parent = (uint16_t)bytes_get_le(p + 16, 2),
		.number = (uint16_t)bytes_get_le(p + 18, 2),
		.children = (uint16_t)bytes_get_le(p + 20, 2),
		.depth = (uint16_t)bytes_get_le(p + 22, 2),
		.kind = (uint8_t)p[24],
		.encoding = (uint8_t)p[25],
		.flags = (uint16_t)bytes_get_le(p + 26, 2),
		.decoded = (uint32_t)bytes_get_le(p + 28, 4),
		.next = (uint32_t)bytes_get_le(p + 32, 4),
		.first = (uint32_t)bytes_get_le(p + 36, 4),
	};
	return true;
}

void
facts_put_part(struct buf *to, const struct facts_part *part)
{
	char p[FACTS_PART_BYTES];
	bytes_set_le(p, part->header, 4);
	bytes_set_le(p + 4, part->body, 4);
	bytes_set_le(p + 8, part->end, 4);
	bytes_set_le(p + 12, part->lines, 4);
	bytes_set_le(p + 16, part->parent, 2);
	bytes_set_le(p + 18, part->number, 2);
	bytes_set_le(p + 20, part->children, 2);
	bytes_set_le(p + 22, part->depth, 2);
	p[24] = (char)part->kind;
	p[25] = (char)part->encoding;
	bytes_set_le(p + 26, part->flags, 2);
	bytes_set_le(p + 28, part->decoded, 4);
	bytes_set_le(p + 32, part->next, 4);
	bytes_set_le(p + 36, part->first, 4);
	buf_put(to, slice_of(p, sizeof p));
}

/* i64 date, i32 zone, u32 attachments, u32 received, u32 reserved */
bool
facts_numbers(const struct facts *f, struct facts_numbers *n)
{
	struct slice s = facts_get(f, FACTS_NUMBERS);
	if (s.len < 24)
		return false;
	*n = (struct facts_numbers){
		.date = (int64_t)bytes_get_le(s.at, 8),
		.zone = (int32_t)bytes_get_le(s.at + 8, 4),
		.attachments = (uint32_t)bytes_get_le(s.at + 12, 4),
		.received = (uint32_t)bytes_get_le(s.at + 16, 4),
	};
	return true;
}

void
facts_put_numbers(struct buf *to, const struct facts_numbers *n)
{
	buf_put_le(to, (uint64_t)n->date, 8);
	buf_put_le(to, (uint32_t)n->zone, 4);
	buf_put_le(to, n->attachments, 4);
	buf_put_le(to, n->received, 4);
	buf_put_le(to, 0, 4);
}

/* ---- writer */

void
facts_writer_init(struct facts_writer *w)
{
	w->count = 0;
	w->flags = 0;
	buf_init(&w->values, FACTS_BYTES_MAX);
}

void
facts_writer_release(struct facts_writer *w)
{
	buf_release(&w->values);
	w->count = 0;
}

struct buf *
facts_begin(struct facts_writer *w, enum facts_id id)
{
	ASSERT(w->count < ROWS_MAX && (w->count == 0 || w->rows[w->count - 1].id < (uint32_t)id));
	w->rows[w->count].id = (uint32_t)id;
	w->rows[w->count].offset = (uint32_t)w->values.len;
	w->count++;
	return &w->values;
}

void
facts_end(struct facts_writer *w)
{
	ASSERT(w->count > 0);
	w->rows[w->count - 1].bytes = (uint32_t)w->values.len - w->rows[w->count - 1].offset;
	if (w->rows[w->count - 1].bytes == 0)
		w->count--;
}

void
facts_add(struct facts_writer *w, enum facts_id id, struct slice value)
{
	buf_put(facts_begin(w, id), value);
	facts_end(w);
}

bool
facts_finish(struct facts_writer *w, struct buf *out)
{
	size_t values = HEAD_BYTES + w->count * ROW_BYTES;
	if (w->values.over || values + w->values.len > FACTS_BYTES_MAX)
		return false;
	buf_clear(out);
	buf_put_le(out, FACTS_VERSION, 2);
	buf_put_le(out, w->flags, 2);
	buf_put_le(out, w->count, 4);
	for (uint32_t i = 0; i < w->count; i++) {
		buf_put_le(out, w->rows[i].id, 4);
		buf_put_le(out, values + w->rows[i].offset, 4);
		buf_put_le(out, w->rows[i].bytes, 4);
	}
	buf_put(out, buf_slice(&w->values));
	return !out->over;
}
