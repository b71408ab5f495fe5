/* SPDX-License-Identifier: Apache-2.0 */
/* sort_keys_make.c - makes columns of sort keys (sort_keys.h) from facts. Called by the packer of the indexer
 * (search_packer.c). Memory: the columns, and a number for each id. */
#include "mail/sort_keys.h"

#include "base/crc32c.h"
#include "base/map.h"
#include "mail/base_subject.h"
#include "mail/fold.h"
#include "mail/search_pack.h"

#define FOLDED_BYTES_MAX (64u << 10)

enum { TEXTS = SORT_KEYS_DISPLAY_TO - SORT_KEYS_SUBJECT + 1 };

static const enum facts_id text_facts[TEXTS] = { FACTS_BASE_SUBJECT, FACTS_SORT_FROM,    FACTS_SORT_TO,
	                                             FACTS_SORT_CC,      FACTS_DISPLAY_FROM, FACTS_DISPLAY_TO };

struct sort_keys_maker {
	uint32_t n;
	struct buf uids, flags, dates;
	struct {
		struct buf offsets, bytes;
	} texts[TEXTS];
	struct buf id_offsets, id_bytes, starts, own, list; /* offsets: where each begins */
	struct map ids;                                     /* hash -> number + 1 */
	uint32_t nids;
	struct buf folded;
};

struct sort_keys_maker *
sort_keys_maker_new(void)
{
	struct sort_keys_maker *m = must_calloc(1, sizeof *m);
	struct buf *all[] = { &m->uids, &m->flags, &m->dates, &m->id_offsets, &m->id_bytes, &m->starts, &m->own, &m->list };
	for (size_t i = 0; i < COUNT_OF(all); i++)
		buf_init(all[i], 64u << 20);
	for (size_t i = 0; i < TEXTS; i++) {
		buf_init(&m->texts[i].offsets, 64u << 20);
		buf_init(&m->texts[i].bytes, 64u << 20);
	}
	buf_init(&m->folded, FOLDED_BYTES_MAX);
	return m;
}

/* Calls each for all buffers. */
static void
each_buf(struct sort_keys_maker *m, void (*each)(struct buf *b))
{
	struct buf *all[] = { &m->uids,   &m->flags, &m->dates, &m->id_offsets, &m->id_bytes,
		                  &m->starts, &m->own,   &m->list,  &m->folded };
	for (size_t i = 0; i < COUNT_OF(all); i++)
		each(all[i]);
	for (size_t i = 0; i < TEXTS; i++) {
		each(&m->texts[i].offsets);
		each(&m->texts[i].bytes);
	}
}

void
sort_keys_maker_free(struct sort_keys_maker **m)
{
	if (!*m)
		return;
	each_buf(*m, buf_release);
	map_release(&(*m)->ids);
	free(*m);
	*m = NULL;
}

bool
sort_keys_is_full(const struct sort_keys_maker *m)
{
	size_t bytes = m->id_bytes.len + m->id_offsets.len + m->list.len + (size_t)m->n * 64;
	for (size_t i = 0; i < TEXTS; i++)
		bytes += m->texts[i].bytes.len;
	return bytes > SORT_KEYS_BYTES_MAX || m->nids > SORT_KEYS_IDS_MAX - SORT_KEYS_REFERENCES_MAX - 1;
}

/* ---- one message */

static struct slice
id_at(const struct sort_keys_maker *m, uint32_t number)
{
	size_t from, to = m->id_bytes.len;
	from = bytes_get_le(m->id_offsets.at + 4 * (size_t)number, 4);
	if (number + 1 < m->nids)
		to = bytes_get_le(m->id_offsets.at + 4 * ((size_t)number + 1), 4);
	return slice_part(buf_slice(&m->id_bytes), from, to - from);
}

/* False: another id has the same hash. */
static bool
number_of(struct sort_keys_maker *m, struct slice id, uint32_t *number)
{
	uint64_t hash = slice_hash(id);
	void *known = map_get(&m->ids, hash);
	if (known) {
		*number = (uint32_t)((uintptr_t)known - 1);
		return slice_equal(id_at(m, *number), id);
	}
	*number = m->nids++;
	buf_put_le(&m->id_offsets, m->id_bytes.len, 4);
	buf_put(&m->id_bytes, id);
	map_set(&m->ids, hash, (void *)(uintptr_t)(*number + 1));
	return true;
}

/* False: too many or too long. What was added of them before does no harm. */
static bool
add_references(struct sort_keys_maker *m, struct slice references)
{
	struct slice id, rest = references;
	uint32_t number;
	size_t n = 0;
	for (bool more = rest.len > 0; more;) {
		more = slice_cut(rest, '\0', &id, &rest);
		if (n++ == SORT_KEYS_REFERENCES_MAX || !number_of(m, id, &number))
			return false;
		buf_put_le(&m->list, number, 2);
	}
	return true;
}

static bool
add_ids(struct sort_keys_maker *m, const struct facts *f)
{
	struct slice own = facts_get(f, FACTS_MESSAGE_ID), references = facts_get(f, FACTS_REFERENCES);
	uint32_t number = SORT_KEYS_NO_ID;
	if (own.len + references.len > SORT_KEYS_IDS_BYTES_MAX || (own.len && !number_of(m, own, &number)))
		return false;
	bytes_set_le(m->own.at + m->own.len - 2, number, 2);
	return add_references(m, references);
}

static bool
add_texts(struct sort_keys_maker *m, const struct facts *f)
{
	for (size_t i = 0; i < TEXTS; i++) {
		buf_clear(&m->folded);
		fold_put_ordered(&m->folded, FOLD_UNICODE, facts_get(f, text_facts[i]));
		if (m->folded.over || m->folded.len > SORT_KEYS_TEXT_BYTES_MAX)
			return false;
		buf_put(&m->texts[i].bytes, buf_slice(&m->folded));
	}
	return true;
}

static bool
is_reply(struct sort_keys_maker *m, const struct facts *f)
{
	buf_clear(&m->folded);
	return base_subject_put(&m->folded, facts_get(f, FACTS_SUBJECT));
}

void
sort_keys_add(struct sort_keys_maker *m, uint32_t uid, struct slice record)
{
	struct facts f;
	struct facts_numbers numbers = { .date = INT64_MIN };
	size_t begun[TEXTS], list = m->list.len;
	uint8_t flags = 0;
	buf_put_le(&m->uids, uid, 4);
	buf_put_le(&m->starts, list / 2, 4);
	buf_put_le(&m->own, SORT_KEYS_NO_ID, 2);
	for (size_t i = 0; i < TEXTS; i++) {
		begun[i] = m->texts[i].bytes.len;
		buf_put_le(&m->texts[i].offsets, begun[i], 4);
	}
	bool known = facts_open(&f, record) && f.count && add_texts(m, &f) && add_ids(m, &f);
	if (known) {
		(void)facts_numbers(&f, &numbers);
		flags = (uint8_t)(SORT_KEYS_KNOWN | (is_reply(m, &f) ? SORT_KEYS_REPLY : 0));
	} else {
		m->list.len = list;
		for (size_t i = 0; i < TEXTS; i++)
			m->texts[i].bytes.len = begun[i];
	}
	buf_put_le(&m->dates, (uint64_t)numbers.date, 8);
	buf_put_char(&m->flags, (char)flags);
	m->n++;
}

/* ---- the columns */

/* What was put from `begin` on is column c. */
static void
end_column(struct buf *to, size_t all, size_t c, size_t begin)
{
	size_t bytes = to->len - begin;
	buf_put(to, slice_of("\0\0\0\0\0\0\0", (8 - bytes % 8) % 8));
	if (to->over)
		return;
	char *row = to->at + all + 8 + 12 * c;
	bytes_set_le(row, begin - all, 4);
	bytes_set_le(row + 4, bytes, 4);
	bytes_set_le(row + 8, crc32c(0, to->at + begin, bytes), 4);
}

static void
put_ids(struct sort_keys_maker *m, struct buf *to)
{
	buf_put_le(to, m->nids, 4);
	buf_put(to, buf_slice(&m->id_offsets));
	buf_put_le(to, m->id_bytes.len, 4);
	buf_put(to, buf_slice(&m->starts));
	buf_put_le(to, m->list.len / 2, 4);
	buf_put(to, buf_slice(&m->own));
	buf_put(to, buf_slice(&m->list));
	buf_put(to, buf_slice(&m->id_bytes));
}

static void
put_column(struct sort_keys_maker *m, size_t c, struct buf *to)
{
	if (c == SORT_KEYS_UIDS) {
		buf_put(to, buf_slice(&m->uids));
		buf_put(to, buf_slice(&m->flags));
	} else if (c == SORT_KEYS_DATE) {
		buf_put(to, buf_slice(&m->dates));
	} else if (c == SORT_KEYS_IDS) {
		put_ids(m, to);
	} else {
		buf_put(to, buf_slice(&m->texts[c - SORT_KEYS_SUBJECT].offsets));
		buf_put_le(to, m->texts[c - SORT_KEYS_SUBJECT].bytes.len, 4);
		buf_put(to, buf_slice(&m->texts[c - SORT_KEYS_SUBJECT].bytes));
	}
}

void
sort_keys_finish(struct sort_keys_maker *m, struct buf *to)
{
	const struct sort_keys none = { .n = m->n };
	char head[SORT_KEYS_HEAD_BYTES];
	size_t all = to->len;
	ASSERT(m->n > 0);
	(void)sort_keys_put_head(&none, head);
	buf_put(to, slice_of(head, sizeof head));
	for (size_t c = 0; c < SORT_KEYS_COLUMNS; c++) {
		size_t begin = to->len;
		put_column(m, c, to);
		end_column(to, all, c, begin);
	}
	each_buf(m, buf_clear);
	map_release(&m->ids);
	m->n = m->nids = 0;
}
