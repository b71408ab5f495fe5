/* SPDX-License-Identifier: Apache-2.0 */
/* fuzzy.c - scores of fuzzy searches (RFC 6203). Called by store and scan, which have the texts. Each word of the term
 * gets the best likeness that a word of the message has with it, less where it stands in the text than in the subject;
 * the score is their mean. The whole term as it was written counts more than its words, and at least half of the words
 * must occur. What is found without FUZZY is found with it, too. */
#include "mail/fuzzy.h"

enum { /* per cent */
	   LIKE_EQUAL = 100,
	   LIKE_STEM = 90,
	   LIKE_PREFIX = 85,
	   LIKE_ONE_EDIT = 70,
	   LIKE_SHORTENED = 55,
	   LIKE_TWO_EDITS = 50,
	   LIKE_INSIDE = 45,
	   WORDS_APART = 95, /* all words, but not side by side */
	   TERM_INSIDE = 60, /* the term within longer words */
};

enum { IN_SUBJECT = 100, IN_ADDRESSES = 90, IN_BODY = 75, IN_OTHER_FIELDS = 40 };

/* ---- words */

static bool
is_letter(uint32_t c)
{
	if (c < 0x80)
		return ascii_alpha((char)c) || ascii_digit((char)c);
	/* signs of Latin-1, punctuation, CJK punctuation, what could not be decoded */
	return !(c < 0xc0 || (c >= 0x2000 && c <= 0x206f) || (c >= 0x3000 && c <= 0x303f) || c == 0xfffd);
}

static bool
is_accent(uint32_t c)
{
	return c >= 0x300 && c <= 0x36f;
}

/* Folded texts are UTF-8; a byte that is none all the same is passed over. */
static uint32_t
next_char(const char **at, const char *end)
{
	const unsigned char *p = (const unsigned char *)*at;
	size_t left = (size_t)(end - *at), n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	if (n > left) {
		*at = end;
		return ' ';
	}
	for (size_t i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3fu);
	*at += n;
	return c;
}

/* The next word from *at on; len 0: none. One that is too long has no letters: len is FUZZY_LETTERS_MAX + 1. */
static void
next_word(const char **at, const char *end, struct fuzzy_word *w)
{
	w->len = 0;
	w->mask = 0;
	while (*at < end) {
		uint32_t c = next_char(at, end);
		if (is_accent(c))
			continue;
		if (is_letter(c)) {
			w->mask |= 1ull << (c & 63);
			if (w->len < FUZZY_LETTERS_MAX)
				w->letters[w->len] = c;
			w->len += w->len <= FUZZY_LETTERS_MAX;
		} else if (w->len) {
			return;
		}
	}
}

/* Endings that words of the languages around us change by; the longest first. */
static const struct slice endings[] = {
	S_ROW("UNGEN"), S_ROW("MENTS"), S_ROW("MENT"), S_ROW("INGS"), S_ROW("ING"), S_ROW("UNG"),
	S_ROW("IES"),   S_ROW("ERS"),   S_ROW("ERN"),  S_ROW("ED"),   S_ROW("ES"),  S_ROW("ER"),
	S_ROW("EN"),    S_ROW("EM"),    S_ROW("LY"),   S_ROW("S"),    S_ROW("E"),   S_ROW("Y"),
};

static bool
ends_with(const struct fuzzy_word *w, struct slice ending)
{
	for (size_t i = 0; i < ending.len; i++)
		if (w->letters[w->len - ending.len + i] != (unsigned char)ending.at[i])
			return false;
	return true;
}

static uint8_t
stem_of(const struct fuzzy_word *w)
{
	uint8_t n = w->len;
	for (size_t i = 0; i < COUNT_OF(endings) && n == w->len; i++)
		if (w->len >= endings[i].len + 3 && ends_with(w, endings[i]))
			n = (uint8_t)(w->len - endings[i].len);
	/* "planned" and "plan" */
	return n < w->len && n > 3 && w->letters[n - 1] == w->letters[n - 2] ? (uint8_t)(n - 1) : n;
}

/* ---- likeness */

static bool
same(const uint32_t *a, const uint32_t *b, size_t n)
{
	return memcmp(a, b, n * sizeof *a) == 0;
}

static unsigned
least(unsigned a, unsigned b, unsigned c)
{
	return MIN(a, MIN(b, c));
}

/* Letters to add, drop, change or swap with their neighbour (optimal string alignment). */
static unsigned
edits_between(const struct fuzzy_word *a, const struct fuzzy_word *b)
{
	uint8_t rows[3][FUZZY_LETTERS_MAX + 1];
	for (size_t j = 0; j <= b->len; j++)
		rows[0][j] = (uint8_t)j;
	for (size_t i = 1; i <= a->len; i++) {
		uint8_t *row = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
		row[0] = (uint8_t)i;
		for (size_t j = 1; j <= b->len; j++) {
			bool equal = a->letters[i - 1] == b->letters[j - 1];
			unsigned d = least(row[j - 1] + 1u, last[j] + 1u, last[j - 1] + !equal);
			if (i > 1 && j > 1 && a->letters[i - 1] == b->letters[j - 2] && a->letters[i - 2] == b->letters[j - 1])
				d = MIN(d, before[j - 2] + 1u);
			row[j] = (uint8_t)d;
		}
	}
	return rows[a->len % 3][b->len];
}

static unsigned
edits_allowed(const struct fuzzy_word *term)
{
	return term->len >= 8 ? 2 : term->len >= 4 ? 1 : 0;
}

/* Each edit brings at most one letter that the other has not: most pairs are told apart by that. */
static bool
may_be_alike(const struct fuzzy_word *a, const struct fuzzy_word *b, int edits)
{
	return abs(a->len - b->len) <= edits && __builtin_popcountll(a->mask & ~b->mask) <= edits &&
	       __builtin_popcountll(b->mask & ~a->mask) <= edits;
}

static bool
is_inside(const struct fuzzy_word *term, const struct fuzzy_word *w)
{
	if (term->len < 3 || term->len > w->len || (term->mask & ~w->mask))
		return false;
	for (size_t i = 0; i + term->len <= w->len; i++)
		if (same(w->letters + i, term->letters, term->len))
			return true;
	return false;
}

static unsigned
likeness(const struct fuzzy_word *term, const struct fuzzy_word *w)
{
	unsigned common = MIN(term->len, w->len), edits = edits_allowed(term);
	if (term->letters[0] == w->letters[0]) {
		if (term->len == w->len && same(term->letters, w->letters, common))
			return LIKE_EQUAL;
		uint8_t stem = stem_of(w);
		if (stem == term->stem && stem >= 3 && same(term->letters, w->letters, stem))
			return LIKE_STEM;
		if (term->len >= 3 && term->len < w->len && same(term->letters, w->letters, common))
			return LIKE_PREFIX - MIN(2u * (w->len - term->len), 20u);
	}
	if (edits && may_be_alike(term, w, (int)edits)) {
		unsigned d = edits_between(term, w);
		if (d <= edits)
			return d == 1 ? LIKE_ONE_EDIT : LIKE_TWO_EDITS;
	}
	if (w->len >= 4 && 4 * w->len >= 3 * term->len && w->len < term->len && same(term->letters, w->letters, common))
		return LIKE_SHORTENED;
	return is_inside(term, w) ? LIKE_INSIDE : 0;
}

/* ---- a message */

struct scoring {
	const struct fuzzy *f;
	unsigned best[FUZZY_WORDS_MAX]; /* likeness times place, of 10,000 */
	unsigned term;                  /* of the term as a whole */
	size_t left;                    /* bytes that may still be looked at */
};

static bool
touches_letter(struct slice text, size_t at)
{
	return at < text.len && ((unsigned char)text.at[at] >= 0x80 || is_letter((unsigned char)text.at[at]));
}

static void
score_term(struct scoring *s, struct slice piece, unsigned place)
{
	struct slice needle = s->f->key.needle;
	for (size_t from = 0; s->term < LIKE_EQUAL * place && from <= piece.len;) {
		ptrdiff_t at = slice_find(slice_from(piece, from), needle);
		if (at < 0)
			return;
		size_t start = from + (size_t)at;
		bool inside = (start && touches_letter(piece, start - 1)) || touches_letter(piece, start + needle.len);
		s->term = MAX(s->term, (inside ? TERM_INSIDE : LIKE_EQUAL) * place);
		from = start + needle.len + (needle.len == 0);
	}
}

static void
score_words(struct scoring *s, struct slice piece, unsigned place)
{
	const char *at = piece.at, *end = piece.at + MIN(piece.len, s->left);
	struct fuzzy_word w;
	s->left -= MIN(piece.len, s->left);
	for (;;) {
		next_word(&at, end, &w);
		if (!w.len)
			return;
		for (size_t i = 0; i < s->f->n && w.len <= FUZZY_LETTERS_MAX; i++)
			if (s->best[i] < LIKE_EQUAL * place)
				s->best[i] = MAX(s->best[i], likeness(&s->f->words[i], &w) * place);
	}
}

static void
score_piece(struct scoring *s, struct slice piece, unsigned place)
{
	score_term(s, piece, place);
	if (s->term < LIKE_EQUAL * place)
		score_words(s, piece, place);
}

static unsigned
place_of(struct slice field, struct slice *value)
{
	static const struct slice addresses[] = { S_ROW("FROM"), S_ROW("TO"), S_ROW("CC"), S_ROW("BCC"), S_ROW("SENDER") };
	if (search_field_value(field, S("SUBJECT"), value))
		return IN_SUBJECT;
	for (size_t i = 0; i < COUNT_OF(addresses); i++)
		if (search_field_value(field, addresses[i], value))
			return IN_ADDRESSES;
	*value = field;
	return IN_OTHER_FIELDS;
}

static void
score_fields(struct scoring *s, struct slice header)
{
	const struct search_key *k = &s->f->key;
	struct slice field, value, rest = header;
	while (rest.len) {
		(void)slice_cut(rest, '\n', &field, &rest);
		if (k->where == SEARCH_IN_TEXT) {
			unsigned place = place_of(field, &value);
			score_piece(s, value, place);
			score_term(s, field, IN_OTHER_FIELDS); /* the name of a field is searched, too */
		} else if (search_field_value(field, k->field, &value)) {
			score_piece(s, value, LIKE_EQUAL); /* it is the place that was asked for */
		}
	}
}

static void
score_body(struct scoring *s, struct slice body)
{
	struct slice piece, rest = body;
	while (rest.len) {
		(void)slice_cut(rest, '\n', &piece, &rest);
		score_piece(s, piece, s->f->key.where == SEARCH_IN_BODY ? LIKE_EQUAL : IN_BODY);
	}
}

static unsigned
mean_of_words(const struct scoring *s)
{
	size_t found = 0, n = s->f->n;
	unsigned sum = 0;
	for (size_t i = 0; i < n; i++) {
		found += s->best[i] > 0;
		sum += s->best[i];
	}
	return n && 2 * found >= n ? (unsigned)(sum / n) * WORDS_APART / 100 : 0;
}

uint8_t
fuzzy_score(const struct fuzzy *f, const struct search_text *t)
{
	struct scoring s = { .f = f, .left = FUZZY_BYTES_MAX };
	if (!f->key.needle.len) /* is there such a field? */
		return search_text_find(t, &f->key) == SEARCH_FOUND ? LIKE_EQUAL : 0;
	if (f->key.where != SEARCH_IN_BODY)
		score_fields(&s, t->header);
	if (f->key.where != SEARCH_IN_HEADER)
		score_body(&s, t->body);
	unsigned score = MAX(s.term, mean_of_words(&s));
	return score ? (uint8_t)MAX(score / 100, 1u) : 0;
}

void
fuzzy_init(struct fuzzy *f, const struct search_key *key)
{
	*f = (struct fuzzy){ .key = *key };
	const char *at = key->needle.at, *end = at + key->needle.len;
	while (f->n < FUZZY_WORDS_MAX) {
		struct fuzzy_word *w = &f->words[f->n];
		next_word(&at, end, w);
		if (!w->len)
			return;
		if (w->len > FUZZY_LETTERS_MAX)
			continue; /* found as part of the term only */
		w->stem = stem_of(w);
		f->n++;
	}
}
