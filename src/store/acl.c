/* SPDX-License-Identifier: Apache-2.0 */
/* acl.c - rights of others on mailboxes (RFC 4314): who may do what (acl_rights, asked by calls.c before each call of
 * somebody else's handle), acl_get and acl_set, and what becomes of a list when mailboxes and accounts come and go.
 *
 * A list is a row 'r' of its mailbox; it names accounts by their numbers, so an address that is given to another
 * account later does not inherit anything. For each account that is named a row 'g' leads back to the mailbox. The name
 * of a mailbox with a list is marked MAILBOX_SHARED, so that listing the others costs nothing. The owner stands in no
 * list: he has all rights. */
#include "store/rows_state.h"

#define ACL_ENTRIES_MAX 1000 /* of a mailbox: an answer holds all */
#define ANYONE 0

uint32_t acl_entries_max = 100000;

static struct key
key_acl(uint64_t account, uint64_t mailbox)
{
	return key2('r', account, mailbox);
}

struct key
key_granted(uint64_t grantee, uint64_t account)
{
	return key2('g', grantee, account);
}

enum err
acl_read(struct txn *t, uint64_t account, uint64_t mailbox, struct row_acl *acl)
{
	struct key k = key_acl(account, mailbox);
	struct slice value;
	*acl = (struct row_acl){ 0 };
	enum err e = txn_get(t, key_slice(&k), &value);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	return row_acl_take(value, txn_arena(t), acl) ? OK : row_damaged("acl");
}

/* ---- who may do what */

/* The union of what applies to the account, less what any entry takes away (RFC 4314 2). */
uint32_t
acl_rights_in(const struct row_acl *acl, uint64_t principal)
{
	uint32_t granted = 0, taken = 0;
	for (uint32_t i = 0; i < acl->n; i++) {
		const struct row_acl_entry *it = &acl->entries[i];
		if (it->account != ANYONE && it->account != principal)
			continue;
		if (it->negative)
			taken |= it->rights;
		else
			granted |= it->rights;
	}
	return granted & ~taken;
}

enum err
acl_rights(struct txn *t, uint64_t account, uint64_t mailbox, uint64_t principal, uint32_t *rights)
{
	struct row_acl acl;
	*rights = ACL_ALL;
	if (principal == account)
		return OK;
	*rights = 0;
	enum err e = acl_read(t, account, mailbox, &acl);
	if (!e)
		*rights = acl_rights_in(&acl, principal);
	return e;
}

enum err
acl_rights_counted(struct txn *t, uint64_t account, uint64_t mailbox, uint64_t principal, uint32_t *rights,
                   uint32_t *cost)
{
	struct row_acl acl;
	enum err e = acl_read(t, account, mailbox, &acl);
	*rights = e ? 0 : acl_rights_in(&acl, principal);
	*cost += 1 + acl.n / 8;
	return e;
}

enum err
acl_verdict(uint32_t rights, uint32_t need)
{
	if ((rights & need) == need)
		return OK;
	return rights & (ACL_LOOKUP | ACL_READ) ? ERR_DENIED : ERR_NOT_FOUND;
}

/* RFC 4314 4: s for \Seen, t for \Deleted, w for all others. */
uint32_t
acl_flags(uint32_t rights)
{
	uint32_t flags = rights & ACL_WRITE ? MESSAGE_FLAGS_ALL & ~(uint32_t)(MESSAGE_SEEN | MESSAGE_DELETED) : 0;
	flags |= rights & ACL_SEEN ? MESSAGE_SEEN : 0;
	return flags | (rights & ACL_DELETE_MESSAGE ? MESSAGE_DELETED : 0);
}

enum err
acl_check(struct txn *t, uint64_t account, uint64_t mailbox, uint64_t principal, uint32_t need)
{
	uint32_t rights;
	enum err e = acl_rights(t, account, mailbox, principal, &rights);
	return e ? e : acl_verdict(rights, need);
}

enum err
job_admit(struct job *j, struct txn *t)
{
	struct row_name row = { .mailbox = j->need.mailbox };
	j->granted = ACL_ALL;
	if (j->principal == j->account)
		return OK;
	j->granted = 0;
	if (j->need.of == NEEDS_OWNER)
		return ERR_DENIED;
	if (j->need.of == NEEDS_NO_MAILBOX)
		return OK;
	enum err e = j->need.of == NEEDS_BY_NAME ? mailbox_id_of(t, j->account, j->need.name, &row) : OK;
	e = e ? e : acl_rights(t, j->account, row.mailbox, j->principal, &j->granted);
	return e ? e : acl_verdict(j->granted, j->need.rights);
}

/* ---- writing lists */

static void
granted_put(struct txn *t, uint64_t grantee, uint64_t account, uint64_t mailbox, bool on)
{
	struct key k = key_granted(grantee, account);
	key_u64(&k, mailbox);
	if (on)
		txn_put(t, key_slice(&k), SLICE_NONE);
	else
		txn_delete(t, key_slice(&k));
}

static enum err
mark_name(struct txn *t, uint64_t account, struct slice name, bool shared)
{
	struct row_name row;
	enum err e = name_get(t, account, name, &row);
	if (e || shared == ((row.attributes & MAILBOX_SHARED) != 0))
		return e;
	row.attributes ^= MAILBOX_SHARED;
	name_put(t, account, name, &row);
	return OK;
}

static enum err
acl_write(struct txn *t, uint64_t account, uint64_t mailbox, struct slice name, const struct row_acl *acl)
{
	struct key k = key_acl(account, mailbox);
	if (acl->n)
		txn_put(t, key_slice(&k), row_acl_put(txn_arena(t), acl));
	else
		txn_delete(t, key_slice(&k));
	return mark_name(t, account, name, acl->n > 0);
}

/* The account's lists have so many entries more, or less. */
static enum err
count_entries(struct row_counters *counters, int64_t change)
{
	int64_t n = counters->acl_entries + change;
	if (change > 0 && n > acl_entries_max)
		return ERR_LIMIT;
	counters->acl_entries = (uint32_t)MAX(n, (int64_t)0);
	return OK;
}

enum err
acl_copy(struct change *c, uint64_t from, uint64_t to, struct slice to_name)
{
	struct row_acl acl;
	struct row_account row;
	struct txn *t = c->t;
	uint64_t account = c->account;
	uint32_t n = 0;
	enum err e = acl_read(t, account, from, &acl);
	e = e ? e : count_entries(&c->counters, acl.n);
	if (e || acl.n == 0)
		return e;
	for (uint32_t i = 0; i < acl.n; i++) {
		const struct row_acl_entry *entry = &acl.entries[i];
		if (entry->account != ANYONE && account_get(t, entry->account, &row))
			continue; /* it is being removed, and would not be found here */
		granted_put(t, entry->account, account, to, true);
		acl.entries[n++] = *entry;
	}
	(void)count_entries(&c->counters, (int64_t)n - acl.n);
	acl.n = n;
	return acl_write(t, account, to, to_name, &acl);
}

enum err
acl_drop(struct txn *t, uint64_t account, uint64_t mailbox, struct row_counters *counters)
{
	struct row_acl acl;
	enum err e = acl_read(t, account, mailbox, &acl);
	if (!e && counters)
		(void)count_entries(counters, -(int64_t)acl.n);
	if (e || acl.n == 0)
		return e;
	for (uint32_t i = 0; i < acl.n; i++)
		granted_put(t, acl.entries[i].account, account, mailbox, false);
	struct key k = key_acl(account, mailbox);
	txn_delete(t, key_slice(&k));
	return OK;
}

enum err
acl_forget(struct store *s, struct txn *t, struct slice granted_key)
{
	struct change c;
	uint64_t grantee = bytes_get_be(granted_key.at + 1, 8), account = bytes_get_be(granted_key.at + 9, 8);
	uint64_t mailbox = bytes_get_be(granted_key.at + 17, 8);
	struct row_acl acl;
	struct row_mailbox row;
	uint32_t left = 0;
	enum err e = acl_read(t, account, mailbox, &acl);
	e = e ? e : mailbox_get(t, account, mailbox, &row);
	if (e) /* the mailbox goes, too */
		return e == ERR_NOT_FOUND ? OK : e;
	e = change_begin(&c, s, t, account);
	if (e) /* so does the account */
		return e == ERR_NOT_FOUND ? OK : e;
	for (uint32_t i = 0; i < acl.n; i++)
		if (acl.entries[i].account != grantee)
			acl.entries[left++] = acl.entries[i];
	(void)count_entries(&c.counters, (int64_t)left - acl.n);
	change_end(&c);
	acl.n = left;
	e = acl_write(t, account, mailbox, row.name, &acl);
	return e == ERR_NOT_FOUND ? OK : e;
}

/* ---- acl_set */

struct identifier {
	uint64_t account; /* ANYONE */
	bool negative;
};

/* RFC 4314 2: "anyone" is everybody, "-" takes rights away; else the address of an account. Nobody is anonymous here,
 * so "authenticated", as other servers have it, is the same as "anyone". */
static enum err
identifier_of(struct txn *t, struct slice text, struct identifier *id)
{
	*id = (struct identifier){ .negative = slice_starts(text, S("-")) };
	if (id->negative)
		text = slice_from(text, 1);
	if (slice_equal_nocase(text, S("anyone")) || slice_equal_nocase(text, S("authenticated")))
		return OK;
	enum err e = directory_account_of(t, text, &id->account);
	return e == ERR_NOT_FOUND ? ERR_SYNTAX : e;
}

static bool
is_entry(const struct row_acl_entry *entry, const struct identifier *id)
{
	return entry->account == id->account && entry->negative == id->negative;
}

/* Where the identifier stands, or where it belongs. */
static uint32_t
entry_at(const struct row_acl *acl, const struct identifier *id)
{
	uint32_t i = 0;
	while (i < acl->n && (acl->entries[i].account < id->account ||
	                      (acl->entries[i].account == id->account && acl->entries[i].negative < id->negative)))
		i++;
	return i;
}

static uint32_t
rights_after(uint32_t was, uint32_t op, uint32_t rights)
{
	return op == ACL_REPLACE ? rights : op == ACL_GRANT ? was | rights : was & ~rights;
}

/* The list with the entry changed; there is room for one more. */
static enum err
entry_set(struct row_acl *acl, const struct identifier *id, uint32_t op, uint32_t rights)
{
	uint32_t at = entry_at(acl, id);
	bool there = at < acl->n && is_entry(&acl->entries[at], id);
	rights = rights_after(there ? acl->entries[at].rights : 0, op, rights);
	struct row_acl_entry *entry = acl->entries + at;
	size_t behind = (acl->n - at - there) * sizeof *entry;
	if (!rights && there) {
		memmove(entry, entry + 1, behind);
		acl->n--;
	} else if (rights && !there) {
		if (acl->n == ACL_ENTRIES_MAX)
			return ERR_LIMIT;
		memmove(entry + 1, entry, behind);
		acl->n++;
	}
	if (rights)
		*entry = (struct row_acl_entry){ id->account, id->negative, rights };
	return OK;
}

static bool
names_account(const struct row_acl *acl, uint64_t account)
{
	for (uint32_t i = 0; i < acl->n; i++)
		if (acl->entries[i].account == account)
			return true;
	return false;
}

/* The owner cannot lose rights: what would change nothing is fine. */
static enum err
owner_set(const struct identifier *id, uint32_t op, uint32_t rights)
{
	uint32_t after = rights_after(id->negative ? 0 : ACL_ALL, op, rights);
	return after == (id->negative ? 0 : ACL_ALL) ? OK : ERR_CONFLICT;
}

/* A list that is changed: as it was, and as it is now. */
struct changed_list {
	struct row_acl was, now;
	struct slice name;
};

static enum err
change_list(struct change *c, const struct row_name *name, const struct identifier *id,
            const struct store_acl_set_in *in, struct changed_list *l)
{
	struct txn *t = c->t;
	uint64_t account = c->account;
	struct row_mailbox row;
	enum err e = acl_read(t, account, name->mailbox, &l->was);
	e = e ? e : mailbox_get(t, account, name->mailbox, &row);
	if (e)
		return e;
	l->name = slice_keep(txn_arena(t), row.name);
	l->now = (struct row_acl){ ARENA_ARRAY(txn_arena(t), struct row_acl_entry, l->was.n + 1), l->was.n };
	if (l->was.n)
		memcpy(l->now.entries, l->was.entries, l->was.n * sizeof *l->was.entries);
	e = entry_set(&l->now, id, in->op, in->rights);
	e = e ? e : count_entries(&c->counters, (int64_t)l->now.n - l->was.n);
	if (e)
		return e;
	granted_put(t, id->account, account, name->mailbox, names_account(&l->now, id->account));
	return acl_write(t, account, name->mailbox, l->name, &l->now);
}

/* RFC 5465 5.4: to whom the right l is given, the mailbox came. Whoever watches may not know this account yet. */
static enum err
note_grantee(struct job *j, struct txn *t, uint64_t grantee, const struct changed_list *l)
{
	struct change c;
	uint32_t gained = acl_rights_in(&l->now, grantee) & ~acl_rights_in(&l->was, grantee);
	if (grantee == ANYONE || !(gained & ACL_LOOKUP))
		return OK;
	enum err e = change_begin(&c, j->s, t, grantee);
	if (e)
		return e;
	job_tell(j, grantee, 0, change_modseq(&c));
	job_note_sharer(j, &c, j->account);
	change_end(&c);
	return OK;
}

enum err
acl_set(struct job *j, struct txn *t)
{
	const struct store_acl_set_in *in = j->in;
	struct change c;
	struct row_name name;
	struct identifier id;
	struct changed_list l;
	if (in->op > ACL_REVOKE || (in->rights & ~(uint32_t)ACL_ALL))
		return ERR_SYNTAX;
	enum err e = mailbox_id_of(t, j->account, in->name, &name);
	e = e ? e : identifier_of(t, in->identifier, &id);
	if (!e && id.account == j->account)
		return owner_set(&id, in->op, in->rights);
	e = e ? e : change_begin(&c, j->s, t, j->account);
	e = e ? e : change_list(&c, &name, &id, in, &l);
	if (e)
		return e;
	job_tell(j, j->account, 0, change_modseq(&c));
	job_note_rights(j, &c, CHANGED_RIGHTS, l.name, &l.was);
	change_end(&c);
	return note_grantee(j, t, id.account, &l);
}

/* ---- acl_get */

/* False: the account is gone, and its entries go soon. */
static bool
entry_answer(struct job *j, struct txn *t, const struct row_acl_entry *entry, struct store_acl_entry *out)
{
	struct row_account account = { .address = S("anyone") };
	if (entry->account != ANYONE && account_get(t, entry->account, &account))
		return false;
	out->identifier = arena_join(&j->call->arena, entry->negative ? S("-") : S(""), account.address);
	out->rights = entry->rights;
	return true;
}

enum err
acl_get(struct job *j, struct txn *t)
{
	const struct store_acl_get_in *in = j->in;
	struct store_acl_get_out *out = j->out;
	const struct row_acl_entry owner = { .account = j->account, .rights = ACL_ALL };
	struct row_name name;
	struct row_acl acl;
	enum err e = mailbox_id_of(t, j->account, in->name, &name);
	e = e ? e : acl_read(t, j->account, name.mailbox, &acl);
	if (e)
		return e;
	out->entries = ARENA_ARRAY(&j->call->arena, struct store_acl_entry, acl.n + 1);
	out->nentries += entry_answer(j, t, &owner, &out->entries[0]);
	for (uint32_t i = 0; i < acl.n; i++)
		out->nentries += entry_answer(j, t, &acl.entries[i], &out->entries[out->nentries]);
	return OK;
}
