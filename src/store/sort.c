/* SPDX-License-Identifier: Apache-2.0 */
/* sort.c - sort_keys: columns of packs by which SORT and THREAD compare messages (mail/sort_keys.h), so that they read
 * no facts. Runs on the threads for searches; one answer is no more than the region holds. A pack that is damaged, or
 * does not fit, is left out: who asks looks at the facts of its messages. */
#include "store/texts.h"

#include "mail/search_pack.h"
#include "mail/sort_keys.h"
#include "store/rows_state.h"

#define ENTRY_HEAD_BYTES 8
#define PACKS_MAX 2000 /* that are looked at for one answer: none of them may fit */

struct keys_asked {
	struct ipc_call *call;
	struct store *s;
	const struct store_sort_keys_in *in;
	uint64_t account, principal;
	char *into;
	size_t into_bytes;
	struct store_sort_keys_out out;
	enum err e;
};

struct pack_file {
	struct store *s;
	struct object object;
};

static bool
read_pack(void *from, uint64_t at, void *to, size_t len)
{
	const struct pack_file *f = from;
	return object_read(f->s, &f->object, at, to, len) == OK;
}

/* ---- one pack */

/* The columns that are asked for, into the region behind what is there. False: there is no room for them. A pack that
 * does not read is passed over. */
static bool
put_columns(struct keys_asked *a, const struct search_pack *p, const struct sort_keys *whole,
            const uint64_t at[SORT_KEYS_COLUMNS])
{
	char *to = a->into + a->out.filled + ENTRY_HEAD_BYTES;
	struct sort_keys k = *whole;
	size_t place = SORT_KEYS_HEAD_BYTES;
	for (size_t c = 0; c < SORT_KEYS_COLUMNS; c++)
		if (!(a->in->columns >> c & 1))
			k.columns[c] = SLICE_NONE;
	char head[SORT_KEYS_HEAD_BYTES];
	size_t bytes = sort_keys_put_head(&k, head);
	if (ENTRY_HEAD_BYTES + bytes > a->into_bytes - a->out.filled)
		return false;
	memcpy(to, head, sizeof head);
	for (size_t c = 0; c < SORT_KEYS_COLUMNS; c++) {
		size_t len = k.columns[c].len;
		if (len && !p->read(p->from, p->at_keys + at[c], to + place, len))
			return true;
		place += (len + 7) & ~(size_t)7;
	}
	bytes_set_le(to - ENTRY_HEAD_BYTES, bytes, 4);
	bytes_set_le(to - ENTRY_HEAD_BYTES + 4, 0, 4);
	if (sort_keys_open(&k, slice_of(to, bytes)) && sort_keys_is_sound(&k))
		a->out.filled += (uint32_t)(ENTRY_HEAD_BYTES + bytes);
	return true;
}

static bool
put_pack(struct keys_asked *a, struct txn *t, const struct row_pack *row)
{
	struct pack_file file = { .s = a->s };
	char head[SORT_KEYS_HEAD_BYTES];
	uint64_t at[SORT_KEYS_COLUMNS];
	struct sort_keys k;
	if (object_get(t, row->object, &file.object))
		return true;
	struct search_pack p = { .read = read_pack, .from = &file, .bytes = file.object.at.bytes };
	if (!search_pack_open(&p) || sizeof head > p.bytes - p.at_keys || !read_pack(&file, p.at_keys, head, sizeof head) ||
	    !sort_keys_open_head(&k, slice_of(head, sizeof head), at))
		return true;
	for (size_t c = 0; c < SORT_KEYS_COLUMNS; c++)
		if (k.columns[c].len > p.bytes - p.at_keys || at[c] > p.bytes - p.at_keys - k.columns[c].len)
			return true;
	return put_columns(a, &p, &k, at);
}

/* ---- all of them */

static enum err
put_packs(struct keys_asked *a, struct txn *t)
{
	struct key from = key2('z', a->account, a->in->mailbox), to = from;
	struct slice k, value;
	struct row_pack row;
	size_t looked = 0;
	key_u32(&from, a->in->from);
	key_after_prefix(&to);
	a->out.upto = a->in->to;
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (!a->out.more && range_next(r, &k, &value)) {
		if (!row_pack_take(k, value, &row) || row.from > a->in->to)
			break;
		bool fits = looked++ < PACKS_MAX && put_pack(a, t, &row);
		a->out.more = !fits && (a->out.filled || looked > PACKS_MAX); /* else it is passed over: no region has room */
		if (a->out.more)
			a->out.upto = row.from - 1;
	}
	return range_end(&r);
}

static void
keys_run(void *arg)
{
	struct keys_asked *a = arg;
	struct txn *t = txn_begin(a->s->engine, false);
	a->e = acl_check(t, a->account, a->in->mailbox, a->principal, ACL_READ);
	if (!a->e)
		a->e = put_packs(a, t);
	txn_end(&t);
}

static void
keys_done(void *arg)
{
	struct keys_asked *a = arg;
	if (a->e)
		ipc_fail(a->call, a->e);
	else
		ipc_reply(a->call, &a->out);
}

void
sort_keys_call(struct ipc_call *call, const struct store_sort_keys_in *in)
{
	struct store *store = ((struct store_peer *)call->peer->state)->store;
	struct handle *h = handle_of(call, in->handle);
	struct keys_asked *a = ARENA_NEW(&call->arena, struct keys_asked);
	*a = (struct keys_asked){ .call = call, .s = store, .in = in };
	a->into = shm_range(&call->peer->shm, in->into.off, in->into.len);
	a->into_bytes = MIN(in->into.len, (uint64_t)UINT32_MAX) & ~(size_t)7;
	if (!h) {
		ipc_fail(call, ERR_STALE);
	} else if (!store->conf->v.search_index) {
		ipc_fail(call, ERR_UNSUPPORTED);
	} else if (!a->into || in->from == 0 || !(in->columns & 1u << SORT_KEYS_UIDS)) {
		ipc_fail(call, ERR_SYNTAX);
	} else {
		a->account = h->account;
		a->principal = h->principal;
		store_search_later(store, h->principal, keys_run, keys_done, a);
	}
}
