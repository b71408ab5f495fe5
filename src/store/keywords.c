/* SPDX-License-Identifier: Apache-2.0 */
/* keywords.c - keyword sets: a message names one number instead of its keywords. A set is made when its combination is
 * seen for the first time in a mailbox and stays; keywords compare without case (RFC 9051 2.3.2) and are shown as they
 * were written first. Row 'k' holds the names, row 'K' finds the set by a hash of them in lower case. */
#include "store/rows_state.h"

#include <openssl/sha.h>

#define KEYWORD_BYTES_MAX 200
#define SET_BYTES_MAX 8000
#define SETS_MAX 4096                /* of a mailbox: an answer holds all */
#define SETS_BYTES_MAX (1024 * 1024) /* of a mailbox */

/* RFC 9051 9: flag-keyword is an atom. */
static bool
keyword_is_good(struct slice k)
{
	if (k.len == 0 || k.len > KEYWORD_BYTES_MAX)
		return false;
	for (size_t i = 0; i < k.len; i++)
		if ((uint8_t)k.at[i] <= ' ' || (uint8_t)k.at[i] >= 0x7f || strchr("(){%*\"\\]", k.at[i]))
			return false;
	return true;
}

static int
by_name(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	int order = slice_compare_nocase(*x, *y);
	return order ? order : slice_compare(*x, *y);
}

/* Sorted, each once, separated by spaces. */
static enum err
join_names(struct arena *a, const struct store_keyword *keywords, uint32_t n, struct slice *names)
{
	struct slice *sorted = ARENA_ARRAY(a, struct slice, n + 1);
	char *to = arena_alloc(a, SET_BYTES_MAX + 1);
	size_t len = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (!keyword_is_good(keywords[i].name))
			return ERR_SYNTAX;
		sorted[i] = keywords[i].name;
	}
	qsort(sorted, n, sizeof *sorted, by_name);
	for (uint32_t i = 0; i < n; i++) {
		if (i && slice_equal_nocase(sorted[i], sorted[i - 1]))
			continue;
		if (len + sorted[i].len + 1 > SET_BYTES_MAX)
			return ERR_LIMIT;
		if (len)
			to[len++] = ' ';
		memcpy(to + len, sorted[i].at, sorted[i].len);
		len += sorted[i].len;
	}
	*names = slice_of(to, len);
	return OK;
}

static struct key
key_of_names(struct change *c, const struct box *b, struct slice names)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	char *lower = arena_alloc(txn_arena(c->t), names.len + 1);
	for (size_t i = 0; i < names.len; i++)
		lower[i] = ascii_lower(names.at[i]);
	SHA256((const uint8_t *)lower, names.len, hash);
	struct key k = key2('K', c->account, b->id);
	key_bytes(&k, slice_of(hash, sizeof hash));
	return k;
}

static struct key
key_of_set(uint64_t account, uint64_t mailbox, uint32_t set)
{
	struct key k = key2('k', account, mailbox);
	key_u32(&k, set);
	return k;
}

static enum err
set_make(struct change *c, struct box *b, const struct key *by_names, struct slice names, uint32_t *set)
{
	if (b->row.keyword_sets >= SETS_MAX || b->row.keyword_bytes + names.len > SETS_BYTES_MAX)
		return ERR_LIMIT;
	char id[4];
	*set = ++b->row.keyword_sets;
	b->row.keyword_bytes += (uint32_t)names.len;
	bytes_set_le(id, *set, 4);
	struct key k = key_of_set(c->account, b->id, *set);
	txn_put(c->t, key_slice(&k), names);
	txn_put(c->t, key_slice(by_names), slice_of(id, 4));
	return OK;
}

enum err
keyword_set_of(struct change *c, struct box *b, const struct store_keyword *keywords, uint32_t n, uint32_t *set)
{
	struct slice names, value;
	*set = 0;
	if (n == 0)
		return OK;
	enum err e = join_names(txn_arena(c->t), keywords, n, &names);
	if (e)
		return e;
	struct key k = key_of_names(c, b, names);
	e = txn_get(c->t, key_slice(&k), &value);
	if (e == ERR_NOT_FOUND)
		return set_make(c, b, &k, names, set);
	if (!e && value.len != 4)
		return row_damaged("keyword set");
	if (!e)
		*set = (uint32_t)bytes_get_le(value.at, 4);
	return e;
}

enum err
keyword_set_names(struct txn *t, uint64_t account, uint64_t mailbox, uint32_t set, struct slice *names)
{
	*names = SLICE_NONE;
	if (set == 0)
		return OK;
	struct key k = key_of_set(account, mailbox, set);
	enum err e = txn_get(t, key_slice(&k), names);
	return e == ERR_NOT_FOUND ? row_damaged("keyword set") : e;
}

/* The names of a set as an array in the transaction's arena, with room for more. */
static enum err
set_split(struct change *c, const struct box *b, uint32_t set, uint32_t more, struct store_keyword **to, uint32_t *n)
{
	struct slice names, name;
	enum err e = keyword_set_names(c->t, c->account, b->id, set, &names);
	*n = 0;
	*to = ARENA_ARRAY(txn_arena(c->t), struct store_keyword, names.len / 2 + 2 + more);
	while (!e && names.len) {
		if (!slice_cut(names, ' ', &name, &names))
			names = SLICE_NONE;
		(*to)[(*n)++].name = name;
	}
	return e;
}

static bool
is_in(struct slice name, const struct store_keyword *keywords, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (slice_equal_nocase(keywords[i].name, name))
			return true;
	return false;
}

enum err
keyword_set_change(struct change *c, struct box *b, uint32_t was, uint32_t op, const struct store_keyword *keywords,
                   uint32_t n, uint32_t *now)
{
	struct store_keyword *names;
	uint32_t count, left = 0;
	if (op == FLAGS_SET)
		return keyword_set_of(c, b, keywords, n, now);
	enum err e = set_split(c, b, was, n, &names, &count);
	if (e)
		return e;
	if (op == FLAGS_ADD) {
		for (uint32_t i = 0; i < n; i++)
			if (!is_in(keywords[i].name, names, count))
				names[count++] = keywords[i];
		return keyword_set_of(c, b, names, count, now);
	}
	for (uint32_t i = 0; i < count; i++)
		if (!is_in(names[i].name, keywords, n))
			names[left++] = names[i];
	return keyword_set_of(c, b, names, left, now);
}

enum err
keyword_set_copy(struct change *from_c, const struct box *from, uint32_t set, struct change *c, struct box *to,
                 uint32_t *now)
{
	struct store_keyword *names;
	uint32_t n;
	enum err e = set_split(from_c, from, set, 0, &names, &n);
	return e ? e : keyword_set_of(c, to, names, n, now);
}

static enum err
sets_all(struct job *j, struct txn *t, uint64_t mailbox, struct store_keyword_sets_out *out)
{
	struct key from = key2('k', j->account, mailbox), to = from;
	struct slice k, value;
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (out->nsets < SETS_MAX && range_next(r, &k, &value))
		out->sets[out->nsets++] =
		    (struct store_keyword_set){ (uint32_t)bytes_get_be(k.at + 17, 4), job_keep(j, value) };
	return range_end(&r);
}

enum err
keyword_sets(struct job *j, struct txn *t)
{
	const struct store_keyword_sets_in *in = j->in;
	struct store_keyword_sets_out *out = j->out;
	struct row_mailbox row;
	enum err e = mailbox_get(t, j->account, in->mailbox, &row);
	if (e)
		return e;
	out->sets =
	    ARENA_ARRAY(&j->call->arena, struct store_keyword_set, in->ids.len ? in->ids.len / 4 : row.keyword_sets + 1);
	if (in->ids.len == 0)
		return sets_all(j, t, in->mailbox, out);
	for (size_t i = 0; i < in->ids.len / 4 && !e; i++) {
		uint32_t set = (uint32_t)bytes_get_le(in->ids.at + 4 * i, 4);
		struct slice names;
		if (set == 0 || set > row.keyword_sets)
			continue;
		e = keyword_set_names(t, j->account, in->mailbox, set, &names);
		out->sets[out->nsets++] = (struct store_keyword_set){ set, job_keep(j, names) };
	}
	return e;
}
