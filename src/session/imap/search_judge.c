/* SPDX-License-Identifier: Apache-2.0 */
/* search_judge.c - one message against a SEARCH program (RFC 3501 6.4.4), as far as what is known of it reaches:
 * three-valued, so that an OR of a flag and a text needs no text where the flag is set. Pure. */
#include "session/imap/search.h"

#include "mail/fold.h"
#include "mail/fuzzy.h"

bool
search_text_holds(struct buf *scratch, enum fold_how how, struct slice text, struct slice folded)
{
	buf_clear(scratch);
	fold_put_as(scratch, how, text);
	return slice_find(buf_slice(scratch), folded) >= 0;
}

/* ---- header fields that facts hold */

static const struct {
	struct slice field;
	enum facts_id id;
} fields_in_facts[] = {
	{ S_ROW("From"), FACTS_FROM }, { S_ROW("To"), FACTS_TO },           { S_ROW("Cc"), FACTS_CC },
	{ S_ROW("Bcc"), FACTS_BCC },   { S_ROW("Subject"), FACTS_SUBJECT },
};

static uint8_t
judge_header(struct search_run *r, const struct imap_search_key *k, const struct facts *facts)
{
	if (!facts || !k->text.len || (facts->flags & (FACTS_CUT | FACTS_MORE_FIELDS)))
		return SEARCH_UNKNOWN; /* an empty text asks whether there is such a field */
	for (size_t i = 0; i < COUNT_OF(fields_in_facts); i++)
		if (slice_equal_nocase(k->field, fields_in_facts[i].field))
			return search_text_holds(&r->scratch, r->program->how, slice_trim(facts_get(facts, fields_in_facts[i].id)),
			                         k->folded);
	return SEARCH_UNKNOWN;
}

/* ---- texts that the store keeps */

static uint8_t
judge_kept(const struct search_run *r, size_t key, size_t index)
{
	unsigned bit = r->kept && r->kept_bit[key] ? 1u << (r->kept_bit[key] - 1) : 0;
	if (!bit || (r->kept[index].unknown & bit))
		return SEARCH_UNKNOWN;
	return (r->kept[index].found & bit) != 0;
}

/* RFC 6203 3 */
static uint8_t
judge_fuzzy(const struct search_run *r, size_t key, size_t index)
{
	uint8_t score = r->scores[key][index];
	return score == FUZZY_NOT_KNOWN ? SEARCH_UNKNOWN : score > 0;
}

static uint8_t
judge_text(struct search_run *r, size_t key, size_t index, const struct facts *facts)
{
	const struct imap_search_key *k = &r->program->keys[key];
	uint8_t kept = judge_kept(r, key, index);
	return kept == SEARCH_UNKNOWN && k->op == SEARCH_HEADER ? judge_header(r, k, facts) : kept;
}

/* ---- dates */

static int64_t
day_of(int64_t seconds)
{
	return seconds >= 0 ? seconds / 86400 : -((86399 - seconds) / 86400);
}

static uint8_t
judge_day(enum imap_search_op op, int64_t day, int64_t asked)
{
	switch (op) {
	case SEARCH_BEFORE:
	case SEARCH_SAVEDBEFORE:
	case SEARCH_SENTBEFORE: return day < asked;
	case SEARCH_ON:
	case SEARCH_SAVEDON:
	case SEARCH_SENTON: return day == asked;
	default: return day >= asked;
	}
}

/* RFC 3501 6.4.4: the date of the Date field, disregarding time and timezone: as it is written there */
static uint8_t
judge_sent(const struct imap_search_key *k, const struct facts *facts)
{
	struct facts_numbers n;
	if (!facts)
		return SEARCH_UNKNOWN;
	if (!facts_numbers(facts, &n) || n.date == INT64_MIN)
		return SEARCH_NO;
	return judge_day(k->op, day_of(n.date + (int64_t)n.zone * 60), k->day);
}

/* ---- one key */

static uint8_t
judge_key(struct search_run *r, size_t key, size_t index, const struct facts *facts, const bool *hits)
{
	const struct imap_search_key *k = &r->program->keys[key];
	const struct index_row *row = &r->im->view.rows[index];
	switch (k->op) {
	case SEARCH_ALL: return SEARCH_YES;
	case SEARCH_SEQUENCE:
	case SEARCH_UID: return view_spans_hold(&r->sets[key], index);
	case SEARCH_FLAG: return (row->flags & k->number) != 0;
	case SEARCH_KEYWORD: return view_has_keyword(&r->im->view, row, k->text);
	case SEARCH_EMAILID: return r->ids[index] != 0 && r->ids[index] == k->object;
	case SEARCH_ANNOTATION: return r->annotated[key][index];
	case SEARCH_NONE: return SEARCH_NO;
	case SEARCH_RECENT: return (row->flags & VIEW_RECENT) != 0;
	case SEARCH_BEFORE:
	case SEARCH_ON:
	case SEARCH_SINCE: return judge_day(k->op, day_of(row->received), k->day);
	case SEARCH_SAVEDBEFORE:
	case SEARCH_SAVEDON:
	case SEARCH_SAVEDSINCE: return judge_day(k->op, day_of(row->saved), k->day);
	case SEARCH_MODSEQ: return row->modseq >= k->modseq;
	case SEARCH_OLDER: return row->received <= r->now - (int64_t)k->number; /* RFC 5032 2 */
	case SEARCH_YOUNGER: return row->received >= r->now - (int64_t)k->number;
	case SEARCH_LARGER: return row->bytes > k->number;
	case SEARCH_SMALLER: return row->bytes < k->number;
	case SEARCH_SENTBEFORE:
	case SEARCH_SENTON:
	case SEARCH_SENTSINCE: return judge_sent(k, facts);
	default:
		if (k->fuzzy)
			return judge_fuzzy(r, key, index);
		return hits ? hits[key] : judge_text(r, key, index, facts);
	}
}

static uint8_t
judge_and(uint8_t a, uint8_t b)
{
	if (a == SEARCH_NO || b == SEARCH_NO)
		return SEARCH_NO;
	return a == SEARCH_YES && b == SEARCH_YES ? SEARCH_YES : SEARCH_UNKNOWN;
}

static uint8_t
judge_not(uint8_t a)
{
	return a == SEARCH_UNKNOWN ? SEARCH_UNKNOWN : !a;
}

uint8_t
search_judge(struct search_run *r, size_t index, const struct facts *facts, const bool *hits)
{
	size_t top = 0;
	for (size_t i = 0; i < r->program->count; i++) {
		uint8_t *last = top ? &r->stack[top - 1] : r->stack;
		switch (r->program->keys[i].op) {
		case SEARCH_AND:
			top--;
			last[-1] = judge_and(last[-1], last[0]);
			break;
		case SEARCH_OR:
			top--;
			last[-1] = judge_not(judge_and(judge_not(last[-1]), judge_not(last[0])));
			break;
		case SEARCH_NOT: *last = judge_not(*last); break;
		default: r->stack[top++] = judge_key(r, i, index, facts, hits);
		}
	}
	ASSERT(top == 1);
	return r->stack[0];
}
