/* SPDX-License-Identifier: Apache-2.0 */
/* memo.c - memos: small values under a name that go by themselves when their time is over. Work functions of calls.c,
 * and what removal.c runs by the hour. A row 'w' holds a memo, a row 'W' puts it in the order of time. */
#include "store/memo.h"

#include "base/clock.h"
#include "store/rows_state.h"

#define UNTIL_BYTES 8

static const struct memo_kind kinds[] = {
	{ S_ROW("sts"), IPC_CLASS_RELAY },        /* MTA-STS policies (RFC 8461), by domain */
	{ S_ROW("tls-report"), IPC_CLASS_RELAY }, /* sessions of a day to be reported (RFC 8460), by day and domain */
	{ S_ROW("tls-sent"), IPC_CLASS_RELAY },   /* reports that were sent, by domain and day */
	{ S_ROW("tls-received"), IPC_CLASS_MX | IPC_CLASS_USER,
	  TLS_RECEIVED_MAX },                                 /* reports of others, by day, domain and sender */
	{ S_ROW("host"), IPC_CLASS_RELAY },                   /* what worked with a host: address family, TLS */
	{ S_ROW("pace"), IPC_CLASS_RELAY | IPC_CLASS_ADMIN }, /* limits of a site, learnt from its answers, by site */
	{ S_ROW("relay-domain"), IPC_CLASS_ADMIN },           /* domains whose mail we take for others: users=.. to=.. */
	{ S_ROW("relay-user"), IPC_CLASS_ADMIN },             /* addresses there, by domain and local-part */
	{ S_ROW("verify"), IPC_CLASS_MX | IPC_CLASS_RELAY },  /* addresses that relay is to ask for: as they were given */
	{ S_ROW("verified"), IPC_CLASS_RELAY },               /* what came of it */
	{ S_ROW("pace-reset"), IPC_CLASS_RELAY | IPC_CLASS_ADMIN }, /* sites whose pace relay is to forget */
	{ S_ROW("reputation"), IPC_CLASS_RELAY },                   /* counts by destination */
	{ S_ROW("source"), IPC_CLASS_RELAY },                       /* counts by our own address, as "reputation" */
	{ S_ROW("warm-up"), IPC_CLASS_RELAY },                      /* what new sources sent on a day, by site */
	{ S_ROW("pause"), IPC_CLASS_ADMIN },    /* scopes of the queue that wait: "all", "domain/D", "sender/A",
	                                         * "account/ID" */
	{ S_ROW("suppress"), IPC_CLASS_ADMIN }, /* by sending domain and address; what comes in is judged in bounced.c */
	{ S_ROW("sent"), IPC_CLASS_ADMIN },     /* what an account sent of late, by account */
	{ S_ROW("known"), 0 },                  /* addresses that an account has written to */
	{ S_ROW("limits"), IPC_CLASS_ADMIN },   /* what an account may send (sent.h), by account */
	{ S_ROW("plan"), IPC_CLASS_ADMIN },     /* the same for accounts that have this plan, by its name */
	{ S_ROW("breaker"), IPC_CLASS_ADMIN },  /* accounts whose mail is held */
	{ S_ROW("language"), IPC_CLASS_ADMIN }, /* in which an account reads notices (RFC 5646), by account */
	{ S_ROW("bounced"), 0 },                /* days on which mail of a domain to an address came back (bounced.c) */
	{ S_ROW("feedback"), 0 },               /* "ADDRESS DOMAIN": where complaints about mail of a domain come in */
	{ S_ROW("forgotten"), 0 },              /* domains and accounts that are gone, whose memos go (removal.c) */
};

const struct memo_kind *
memo_kind_find(struct slice kind)
{
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		if (slice_equal(kind, kinds[i].kind))
			return &kinds[i];
	return NULL;
}

static struct key
memo_key(struct slice kind, struct slice name)
{
	struct key k = key_text('w', kind);
	key_nul(&k);
	key_bytes(&k, name);
	return k;
}

static struct key
time_key(int64_t until, struct slice kind, struct slice name)
{
	struct key k = key1('W', (uint64_t)MAX(until, (int64_t)0));
	key_bytes(&k, kind);
	key_nul(&k);
	key_bytes(&k, name);
	return k;
}

static enum err
row_get(struct txn *t, const struct key *k, int64_t *until, struct slice *value)
{
	enum err e = txn_get(t, key_slice(k), value);
	if (e)
		return e;
	if (value->len < UNTIL_BYTES)
		return row_damaged("memo");
	*until = (int64_t)bytes_get_le(value->at, UNTIL_BYTES);
	*value = slice_from(*value, UNTIL_BYTES);
	return OK;
}

/* One more of this kind, or fewer. */
static enum err
count(struct txn *t, struct slice kind, int64_t more)
{
	struct slice name = arena_join(txn_arena(t), S("memos "), kind);
	struct row_sequence s;
	enum err e = sequence_get(t, name, &s);
	if (e)
		return e;
	const struct memo_kind *row = memo_kind_find(kind);
	if (more > 0 && s.count >= (row && row->max ? row->max : MEMOS_MAX))
		return ERR_LIMIT;
	s.count = more > 0 ? s.count + 1 : s.count - MIN(s.count, (uint64_t)1);
	sequence_put(t, name, &s);
	return OK;
}

/* With its place in time, when it is there. */
static enum err
row_take_out(struct txn *t, struct slice kind, struct slice name)
{
	struct key k = memo_key(kind, name);
	struct slice value;
	int64_t until = 0;
	enum err e = row_get(t, &k, &until, &value);
	if (e == ERR_NOT_FOUND)
		return OK;
	struct key at = time_key(until, kind, name);
	if (e)
		return e;
	txn_delete(t, key_slice(&k));
	txn_delete(t, key_slice(&at));
	return count(t, kind, -1);
}

static enum err
row_put(struct txn *t, const struct store_memo *m)
{
	struct key k = memo_key(m->kind, m->name), at = time_key(m->until, m->kind, m->name);
	enum err e = count(t, m->kind, 1);
	if (e)
		return e;
	char *bytes = arena_alloc(txn_arena(t), UNTIL_BYTES + m->value.len);
	bytes_set_le(bytes, (uint64_t)m->until, UNTIL_BYTES);
	if (m->value.len)
		memcpy(bytes + UNTIL_BYTES, m->value.at, m->value.len);
	txn_put(t, key_slice(&k), slice_of(bytes, UNTIL_BYTES + m->value.len));
	txn_put(t, key_slice(&at), SLICE_NONE);
	return OK;
}

enum err
memo_read(struct txn *t, struct slice kind, struct slice name, struct slice *value)
{
	struct key k = memo_key(kind, name);
	int64_t until = 0;
	enum err e = row_get(t, &k, &until, value);
	return e ? e : until > clock_wall_sec() ? OK : ERR_NOT_FOUND;
}

enum err
memo_write(struct txn *t, const struct store_memo *m)
{
	enum err e = row_take_out(t, m->kind, m->name);
	return e ? e : row_put(t, m);
}

enum err
memo_remove(struct txn *t, struct slice kind, struct slice name)
{
	return row_take_out(t, kind, name);
}

enum err
memo_put(struct job *j, struct txn *t)
{
	const struct store_memo_put_in *in = j->in;
	int64_t now = clock_wall_sec();
	enum err e = OK;
	for (uint32_t i = 0; i < in->nmemos && !e; i++) {
		const struct store_memo *m = &in->memos[i];
		const struct memo_kind *kind = memo_kind_find(m->kind);
		if (!kind || m->name.len == 0 || slice_has_control(m->name))
			return ERR_SYNTAX;
		if (!(kind->putters & j->call->peer->class_bit))
			return ERR_DENIED;
		e = m->until > now ? memo_write(t, m) : row_take_out(t, m->kind, m->name);
		j->memo_kind = kind->kind;
	}
	return e;
}

enum err
memo_get(struct job *j, struct txn *t)
{
	const struct store_memo_get_in *in = j->in;
	struct store_memo_get_out *out = j->out;
	struct key k = memo_key(in->kind, in->name);
	struct slice value;
	int64_t until = 0;
	enum err e = row_get(t, &k, &until, &value);
	out->found = !e && until > clock_wall_sec();
	out->memo = (struct store_memo){ S(""), S(""), S(""), 0 };
	if (out->found)
		out->memo = (struct store_memo){ in->kind, in->name, job_keep(j, value), until };
	return e == ERR_NOT_FOUND ? OK : e;
}

enum err
memo_until(struct txn *t, struct slice kind, struct slice name, int64_t *until)
{
	struct key k = memo_key(kind, name);
	struct slice value;
	*until = 0;
	enum err e = row_get(t, &k, until, &value);
	if (*until <= clock_wall_sec())
		*until = 0;
	return e == ERR_NOT_FOUND ? OK : e;
}

enum err
memo_any(struct txn *t, struct slice kind, bool *any)
{
	struct row_sequence s;
	enum err e = sequence_get(t, arena_join(txn_arena(t), S("memos "), kind), &s);
	*any = !e && s.count > 0;
	return e;
}

enum err
memo_any_with(struct txn *t, struct slice kind, struct slice prefix, bool *any)
{
	struct key from = memo_key(kind, prefix), to = from;
	struct slice k, value;
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	*any = range_next(r, &k, &value);
	return range_end(&r);
}

enum err
memo_list(struct job *j, struct txn *t)
{
	const struct store_memo_list_in *in = j->in;
	struct store_memo_list_out *out = j->out;
	struct key from = memo_key(in->kind, in->prefix), to = from, after = memo_key(in->kind, in->after);
	size_t head = memo_key(in->kind, SLICE_NONE).len, bytes = 0, max = MIN(in->max, 1000u);
	struct slice k, value;
	int64_t now = clock_wall_sec();
	key_after_prefix(&to);
	key_nul(&after);
	if (in->after.len && slice_compare(key_slice(&after), key_slice(&from)) > 0)
		from = after;
	out->memos = ARENA_ARRAY(&j->call->arena, struct store_memo, max + 1);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (!out->more && range_next(r, &k, &value)) {
		int64_t until = value.len < UNTIL_BYTES ? 0 : (int64_t)bytes_get_le(value.at, UNTIL_BYTES);
		if (until <= now)
			continue;
		out->more = out->nmemos == max || (out->nmemos && bytes + value.len > MEMO_LIST_BYTES_MAX);
		bytes += value.len;
		if (!out->more)
			out->memos[out->nmemos++] = (struct store_memo){ in->kind, job_keep(j, slice_from(k, head)),
				                                             job_keep(j, slice_from(value, UNTIL_BYTES)), until };
	}
	return range_end(&r);
}

void
notice_memo(struct store *s, const struct ipc_peer *putter, struct slice kind)
{
	struct store_memo_changed_in notice = { .kind = kind };
	for (size_t i = 0; i < s->npeers; i++)
		if (s->peers[i] != putter && s->peers[i]->class_bit == IPC_CLASS_RELAY && s->peers[i]->conn)
			store_memo_changed_notify(s->peers[i], &notice);
}

enum err
memos_remove(struct txn *t, size_t max, bool *more)
{
	struct key from, to = key1('W', (uint64_t)clock_wall_sec() + 1);
	struct arena *a = txn_arena(t);
	struct slice k, value, *gone = ARENA_ARRAY(a, struct slice, max);
	size_t n = 0;
	key_begin(&from, 'W');
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (n < max && range_next(r, &k, &value))
		gone[n++] = slice_keep(a, k);
	enum err e = range_end(&r);
	for (size_t i = 0; i < n && !e; i++) {
		struct slice rest = slice_from(gone[i], 9);
		ptrdiff_t nul = slice_find_char(rest, '\0');
		txn_delete(t, gone[i]);
		if (nul < 0)
			continue;
		e = row_take_out(t, slice_part(rest, 0, (size_t)nul), slice_from(rest, (size_t)nul + 1));
	}
	*more = n == max;
	return e;
}

/* ---- memos of what is gone */

/* At most *budget of those whose names begin with prefix. */
static enum err
remove_with(struct txn *t, struct slice kind, struct slice prefix, size_t *budget)
{
	struct key from = memo_key(kind, prefix), to = from;
	size_t head = memo_key(kind, SLICE_NONE).len, n = 0;
	struct arena *a = txn_arena(t);
	struct slice k, value, *gone = ARENA_ARRAY(a, struct slice, *budget + 1);
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (n < *budget && range_next(r, &k, &value))
		gone[n++] = slice_keep(a, slice_from(k, head));
	enum err e = range_end(&r);
	for (size_t i = 0; i < n && !e; i++)
		e = row_take_out(t, kind, gone[i]);
	*budget -= n;
	return e;
}

static enum err
forget(struct txn *t, struct slice what)
{
	struct store_memo m = { S("forgotten"), what, S(""), MEMO_FOREVER };
	return memo_write(t, &m);
}

/* Its breaker, and what holds its mail, stay until an administrator says what becomes of that mail. */
enum err
memos_forget_account(struct txn *t, uint64_t account)
{
	struct slice name = arena_printf(txn_arena(t), "%llu", (unsigned long long)account);
	enum err e = row_take_out(t, S("limits"), name);
	e = e ? e : row_take_out(t, S("sent"), name);
	e = e ? e : row_take_out(t, S("language"), name);
	return e ? e : forget(t, arena_join(txn_arena(t), S("account/"), name));
}

enum err
memos_forget_domain(struct txn *t, struct slice domain)
{
	return forget(t, arena_join(txn_arena(t), S("domain/"), domain));
}

enum err
memos_forget(struct txn *t, size_t max, bool *more)
{
	static const struct slice of_account[] = { S_ROW("known") };
	static const struct slice of_domain[] = { S_ROW("suppress"), S_ROW("bounced") };
	struct key from = memo_key(S("forgotten"), SLICE_NONE), to = from;
	struct slice k, value, name = SLICE_NONE, sort, what;
	size_t budget = max;
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	if (range_next(r, &k, &value))
		name = slice_keep(txn_arena(t), slice_from(k, from.len));
	enum err e = range_end(&r);
	*more = !e && name.len > 0;
	if (!*more)
		return e;
	(void)slice_cut(name, '/', &sort, &what);
	bool account = slice_equal(sort, S("account"));
	const struct slice *sorts = account ? of_account : of_domain;
	struct slice prefix = arena_join(txn_arena(t), what, S("/"));
	for (size_t i = 0; i < (account ? COUNT_OF(of_account) : COUNT_OF(of_domain)) && budget && !e; i++)
		e = remove_with(t, sorts[i], prefix, &budget);
	return !e && budget ? row_take_out(t, S("forgotten"), name) : e;
}
