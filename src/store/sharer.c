/* SPDX-License-Identifier: Apache-2.0 */
/* sharer.c - who shares mailboxes with whom: sharer_list, the search behind account_open_shared, and the names under
 * which accounts are public in their domain. Reads the lists of acl.c.
 *
 * What is granted to an account itself leads there (rows 'g'); what is granted to anyone shows in lists only when the
 * administrator made the account public, so that nobody can fill the lists of others. */
#include "store/directory_name.h"
#include "store/rows_state.h"

#define PUBLIC_NAMES_MAX 100 /* of a domain */
#define SHARERS_PAGE 200     /* besides the public ones */
#define LOOKED_AT_MAX 1500   /* grants that one call looks at, and what their lists hold */
#define PUBLIC_LEAST 260     /* of it for each public account: none hides the next one */

static struct key
key_public(struct slice domain, struct slice name)
{
	struct key k;
	key_begin(&k, 'P');
	key_bytes(&k, domain);
	key_nul(&k);
	key_bytes(&k, name);
	return k;
}

static enum err
domain_of(struct txn *t, uint64_t account, struct slice *domain, struct row_account *row)
{
	struct address_name name;
	enum err e = account_get(t, account, row);
	if (!e && !directory_address(row->address, txn_arena(t), &name))
		return row_damaged("account");
	*domain = e ? SLICE_NONE : name.domain;
	return e;
}

/* ---- public names */

enum err
sharer_public_name(struct txn *t, uint64_t account, struct slice *name)
{
	struct key k = key1('p', account);
	enum err e = txn_get(t, key_slice(&k), name);
	if (e == ERR_NOT_FOUND) {
		*name = SLICE_NONE;
		return OK;
	}
	return e;
}

static struct slice
lower(struct arena *a, struct slice s)
{
	char *to = arena_alloc(a, s.len + 1);
	for (size_t i = 0; i < s.len; i++)
		to[i] = ascii_lower(s.at[i]);
	return slice_of(to, s.len);
}

static enum err
public_find(struct txn *t, struct slice domain, struct slice name, uint64_t *account)
{
	struct key k = key_public(domain, lower(txn_arena(t), name));
	struct slice value;
	enum err e = txn_get(t, key_slice(&k), &value);
	if (!e && value.len != 8)
		return row_damaged("public name");
	if (!e)
		*account = bytes_get_le(value.at, 8);
	return e;
}

/* The public accounts of a domain, at most PUBLIC_NAMES_MAX. */
static enum err
public_all(struct txn *t, struct slice domain, uint64_t accounts[PUBLIC_NAMES_MAX], size_t *n)
{
	struct key from = key_public(domain, SLICE_NONE), to = from;
	struct slice k, value;
	key_after_prefix(&to);
	*n = 0;
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (*n < PUBLIC_NAMES_MAX && range_next(r, &k, &value))
		if (value.len == 8)
			accounts[(*n)++] = bytes_get_le(value.at, 8);
	return range_end(&r);
}

enum err
sharer_forget(struct txn *t, uint64_t account, struct slice domain)
{
	struct slice name;
	enum err e = sharer_public_name(t, account, &name);
	if (e || !name.len)
		return e;
	struct key by_name = key_public(domain, lower(txn_arena(t), name)), by_account = key1('p', account);
	txn_delete(t, key_slice(&by_name));
	txn_delete(t, key_slice(&by_account));
	return OK;
}

static enum err
public_set(struct txn *t, uint64_t account, struct slice domain, struct slice name)
{
	uint64_t all[PUBLIC_NAMES_MAX], other;
	size_t n;
	enum err e = public_find(t, domain, name, &other);
	if (e != ERR_NOT_FOUND)
		return e ? e : ERR_EXISTS;
	e = public_all(t, domain, all, &n);
	if (e || n == PUBLIC_NAMES_MAX)
		return e ? e : ERR_LIMIT;
	struct key by_name = key_public(domain, lower(txn_arena(t), name)), by_account = key1('p', account);
	char id[8];
	bytes_set_le(id, account, 8);
	txn_put(t, key_slice(&by_name), slice_of(id, sizeof id));
	txn_put(t, key_slice(&by_account), name);
	return OK;
}

enum err
account_public(struct job *j, struct txn *t)
{
	const struct store_account_public_in *in = j->in;
	struct row_account row;
	struct slice domain, name = in->name;
	uint64_t account;
	if (name.len && (slice_find_char(name, '/') >= 0 || mailbox_name_check(txn_arena(t), &name)))
		return ERR_SYNTAX;
	enum err e = directory_account_of(t, in->address, &account);
	e = e ? e : domain_of(t, account, &domain, &row);
	e = e ? e : sharer_forget(t, account, domain);
	j->unshare = account; /* some found it by the old name */
	return e || !name.len ? e : public_set(t, account, domain, name);
}

/* ---- what may be looked up */

struct looking {
	struct txn *t;
	uint64_t principal, account;
	bool inbox, others; /* found */
	size_t left;        /* of LOOKED_AT_MAX */
};

/* May this one be looked up? */
static enum err
look_at(struct looking *l, uint64_t mailbox, bool *yes)
{
	uint32_t rights, cost = 0;
	enum err e = acl_rights_counted(l->t, l->account, mailbox, l->principal, &rights, &cost);
	l->left -= MIN(l->left, cost);
	*yes = !e && (rights & ACL_LOOKUP);
	return e;
}

/* INBOX, when it names the grantee. */
static enum err
look_at_inbox(struct looking *l, uint64_t grantee)
{
	struct key k = key_granted(grantee, l->account);
	struct row_name row;
	struct slice value;
	enum err e = l->inbox ? ERR_NOT_FOUND : name_get(l->t, l->account, S("INBOX"), &row);
	if (e || !(row.attributes & MAILBOX_SHARED))
		return e == ERR_NOT_FOUND ? OK : e;
	key_u64(&k, row.mailbox);
	e = txn_get(l->t, key_slice(&k), &value);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	return look_at(l, row.mailbox, &l->inbox);
}

/* Looks at INBOX, and follows the rows that name the grantee (the principal himself, or 0: anyone) until another
 * mailbox is found. */
static enum err
look(struct looking *l, uint64_t grantee)
{
	struct key from = key_granted(grantee, l->account), to = from;
	struct slice k, value;
	enum err e = look_at_inbox(l, grantee);
	key_after_prefix(&to);
	struct range *r = range_begin(l->t, key_slice(&from), key_slice(&to), false);
	while (!e && l->left && !l->others && range_next(r, &k, &value)) {
		struct row_mailbox row;
		uint64_t mailbox = bytes_get_be(k.at + 17, 8);
		bool yes;
		e = look_at(l, mailbox, &yes);
		if (e || !yes)
			continue;
		e = mailbox_get(l->t, l->account, mailbox, &row);
		l->others = !e && !slice_equal(row.name, S("INBOX"));
		e = e == ERR_NOT_FOUND ? OK : e;
	}
	enum err ended = range_end(&r);
	return e ? e : ended;
}

/* Does anything lead from the grantee to the account? */
static enum err
is_named(struct txn *t, uint64_t grantee, uint64_t account, bool *named)
{
	struct key from = key_granted(grantee, account), to = from;
	struct slice k, value;
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	*named = range_next(r, &k, &value);
	return range_end(&r);
}

enum err
sharer_find(struct job *j, struct txn *t, uint64_t principal, const struct store_account_open_shared_in *in,
            uint64_t *account)
{
	struct row_account mine, row;
	struct slice domain;
	bool named = false, anyone = false;
	enum err e;
	if (in->address.len) {
		e = directory_account_of(t, in->address, account);
	} else {
		e = domain_of(t, principal, &domain, &mine);
		e = e ? e : public_find(t, domain, in->public, account);
	}
	e = e ? e : account_get(t, *account, &row);
	e = e ? e : is_named(t, principal, *account, &named);
	e = e ? e : is_named(t, 0, *account, &anyone);
	if (e)
		return e;
	if (*account == principal || row.status != ACCOUNT_ACTIVE || !(named || anyone))
		return ERR_NOT_FOUND;
	((struct store_account_open_shared_out *)j->out)->address = job_keep(j, row.address);
	return OK;
}

/* ---- sharer_list */

struct sharers {
	struct job *j;
	struct txn *t;
	struct store_sharer_list_out *out;
	uint64_t public[PUBLIC_NAMES_MAX]; /* accounts of the domain */
	size_t npublic, left;
};

/* Adds the account when there is anything to see. */
static enum err
add(struct sharers *s, uint64_t account, bool is_public)
{
	struct looking l = { .t = s->t, .principal = s->j->account, .account = account, .left = s->left };
	struct row_account row;
	struct slice name = SLICE_NONE;
	if (account == s->j->account)
		return OK;
	enum err e = account_get(s->t, account, &row);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	if (row.status != ACCOUNT_ACTIVE)
		return OK;
	e = look(&l, s->j->account);
	if (!e && (is_public || l.inbox || l.others))
		e = look(&l, 0);
	e = e || !is_public ? e : sharer_public_name(s->t, account, &name);
	s->left = l.left;
	if (e || !(l.inbox || l.others))
		return e;
	s->out->sharers[s->out->nsharers++] = (struct store_sharer){ .account = account,
		                                                         .address = job_keep(s->j, row.address),
		                                                         .public = job_keep(s->j, name),
		                                                         .inbox = l.inbox,
		                                                         .others = l.others };
	return OK;
}

static bool
is_public(const struct sharers *s, uint64_t account)
{
	for (size_t i = 0; i < s->npublic; i++)
		if (s->public[i] == account)
			return true;
	return false;
}

/* The next account after this one that names the principal; 0: there is none. */
static enum err
next_sharer(struct sharers *s, uint64_t after, uint64_t *account)
{
	struct key from = key_granted(s->j->account, after + 1), to = key1('g', s->j->account);
	struct slice k, value;
	key_after_prefix(&to);
	struct range *r = range_begin(s->t, key_slice(&from), key_slice(&to), false);
	*account = range_next(r, &k, &value) ? bytes_get_be(k.at + 9, 8) : 0;
	return range_end(&r);
}

enum err
sharer_list(struct job *j, struct txn *t)
{
	const struct store_sharer_list_in *in = j->in;
	struct sharers s = { .j = j, .t = t, .out = j->out, .left = LOOKED_AT_MAX };
	struct row_account mine;
	struct slice domain;
	uint64_t account;
	s.out->sharers = ARENA_ARRAY(&j->call->arena, struct store_sharer, PUBLIC_NAMES_MAX + SHARERS_PAGE);
	enum err e = domain_of(t, j->account, &domain, &mine);
	e = e ? e : public_all(t, domain, s.public, &s.npublic);
	for (size_t i = 0; i < s.npublic && !in->after && !e; i++) {
		s.left = MAX(s.left, (size_t)PUBLIC_LEAST);
		e = add(&s, s.public[i], true);
	}
	s.out->after = in->after;
	while (!e && !s.out->more) {
		e = next_sharer(&s, s.out->after, &account);
		if (e || !account)
			break;
		s.out->more = s.left == 0 || s.out->nsharers >= SHARERS_PAGE;
		if (s.out->more)
			break;
		if (!is_public(&s, account))
			e = add(&s, account, false);
		s.out->after = account;
	}
	return e;
}
