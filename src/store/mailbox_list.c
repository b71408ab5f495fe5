/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox_list.c - what mailboxes there are: list, status. Work functions of calls.c, read only. A page looks at a
 * bounded number of names, however many of them whoever asks may see; the owner sees all. */
#include "store/rows_state.h"

#define LIST_PAGE 1000
#define LIST_COST_MAX 1500 /* of one page: names of somebody else, and what their lists of rights hold */
#define CHILDREN_COST_MAX 500

/* ---- children */

/* *cost grows with what is looked at. */
static enum err
is_visible(const struct job *j, struct txn *t, const struct row_name *n, uint32_t *rights, uint32_t *cost)
{
	*rights = 0;
	*cost += 1;
	if (!n->mailbox || !(n->attributes & MAILBOX_SHARED))
		return OK;
	return acl_rights_counted(t, j->account, n->mailbox, j->principal, rights, cost);
}

/* RFC 3348 3: children that may not be looked up are none; where there are very many of them it is not found out. */
static enum err
has_visible_children(const struct job *j, struct txn *t, struct slice name, bool *has, uint32_t *cost)
{
	struct key from = key_name(j->account, name);
	struct slice k, value;
	struct row_name row;
	uint32_t rights, began = *cost;
	enum err e = OK;
	key_bytes(&from, S("/"));
	struct key to = from;
	key_after_prefix(&to);
	*has = false;
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (!e && !*has && range_next(r, &k, &value)) {
		if (!row_name_take(value, &row))
			e = row_damaged("name");
		e = e ? e : is_visible(j, t, &row, &rights, cost);
		*has = !e && ((rights & ACL_LOOKUP) || *cost - began >= CHILDREN_COST_MAX);
	}
	enum err ended = range_end(&r);
	return e ? e : ended;
}

/* Names come in order: the next one mostly says whether this one has children. Only what sorts between "a" and "a/",
 * as "a-b" does, hides them. */
static enum err
has_children(const struct job *j, struct txn *t, struct slice name, struct slice next, bool *has, uint32_t *cost)
{
	*has = false;
	if (!slice_starts(next, name))
		return OK;
	if (j->principal != j->account)
		return has_visible_children(j, t, name, has, cost);
	*has = next.at[name.len] == '/';
	return (unsigned char)next.at[name.len] < '/' ? mailbox_has_children(t, j->account, name, has) : OK;
}

/* ---- one */

/* What another account keeps about its mailboxes means nothing to whom it shares them with. */
static uint32_t
attributes_for(const struct job *j, const struct row_name *n, bool parent)
{
	uint32_t hidden = MAILBOX_SHARED;
	if (j->principal != j->account)
		hidden |= MAILBOX_SUBSCRIBED | MAILBOX_SPECIAL_MASK;
	return (n->attributes & ~hidden) | (parent ? MAILBOX_HAS_CHILDREN : 0) | (n->mailbox ? 0 : MAILBOX_NOSELECT);
}

/* name is kept already. numbers: counts and the like are wanted; they take the right r. */
static enum err
describe(struct job *j, struct txn *t, struct slice name, const struct row_name *n, uint32_t rights, bool numbers,
         struct store_mailbox *out)
{
	struct row_mailbox row = { .name = name };
	enum err e = OK;
	if (n->mailbox && numbers && (rights & ACL_READ))
		e = mailbox_get(t, j->account, n->mailbox, &row);
	if (e)
		return e;
	*out = mailbox_answer(j->account, n->mailbox, &row, 0);
	out->name = name;
	out->rights = rights;
	return OK;
}

enum err
mailbox_describe(struct job *j, struct txn *t, struct slice name, struct store_mailbox *out)
{
	struct row_name row = { 0 };
	bool parent = false, own = j->principal == j->account;
	uint32_t rights = ACL_ALL, cost = 0;
	enum err e = name_get(t, j->account, name, &row);
	e = e == ERR_NOT_FOUND ? OK : e;
	if (!own && !e)
		e = is_visible(j, t, &row, &rights, &cost);
	e = e     ? e
	    : own ? mailbox_has_children(t, j->account, name, &parent)
	          : has_visible_children(j, t, name, &parent, &cost);
	e = e ? e : describe(j, t, job_keep(j, name), &row, rights, true, out);
	out->attributes = attributes_for(j, &row, parent);
	return e;
}

enum err
mailbox_status(struct job *j, struct txn *t)
{
	const struct store_mailbox_status_in *in = j->in;
	struct store_mailbox_status_out *out = j->out;
	struct slice name = in->name;
	struct row_name row;
	bool parent = false;
	uint32_t cost = 0;
	/* RFC 4314 4: MYRIGHTS wants one of these; what else is told wants r */
	if (!(j->granted & (ACL_LOOKUP | ACL_READ | ACL_INSERT | ACL_CREATE | ACL_DELETE | ACL_ADMINISTER)))
		return ERR_NOT_FOUND;
	enum err e = mailbox_id_of(t, j->account, name, &row);
	if (e)
		return e;
	mailbox_name_check(txn_arena(t), &name);
	e = j->principal == j->account ? mailbox_has_children(t, j->account, name, &parent)
	                               : has_visible_children(j, t, name, &parent, &cost);
	e = e ? e : describe(j, t, job_keep(j, name), &row, j->granted, true, &out->mailbox);
	out->mailbox.attributes = attributes_for(j, &row, parent);
	return e;
}

/* ---- all */

struct page {
	struct job *j;
	struct txn *t;
	struct store_mailbox_list_out *out;
	bool numbers, remote;
	uint32_t cost;
	/* the name before the one that is read now: it waits to be told, for its children come behind it */
	struct slice name;
	struct row_name row;
};

static enum err
page_add(struct page *p, struct slice next)
{
	struct job *j = p->j;
	uint32_t rights = ACL_ALL;
	bool parent = false;
	enum err e = OK;
	if (!p->name.len)
		return OK;
	if (j->principal != j->account)
		e = is_visible(j, p->t, &p->row, &rights, &p->cost);
	p->out->last = p->name;
	if (!p->remote && (p->row.attributes & MAILBOX_REMOTE)) /* RFC 2193 3: for those who ask for them */
		return e;
	if (e || !(rights & ACL_LOOKUP))
		return e;
	struct store_mailbox *out = &p->out->mailboxes[p->out->nmailboxes++];
	e = describe(j, p->t, p->name, &p->row, rights, p->numbers, out);
	e = e ? e : has_children(j, p->t, p->name, next, &parent, &p->cost);
	out->attributes = attributes_for(j, &p->row, parent);
	return e;
}

static bool
page_is_full(const struct page *p)
{
	return p->out->nmailboxes == LIST_PAGE || p->cost > LIST_COST_MAX;
}

enum err
mailbox_list(struct job *j, struct txn *t)
{
	const struct store_mailbox_list_in *in = j->in;
	struct store_mailbox_list_out *out = j->out;
	struct page p = { .j = j, .t = t, .out = out, .numbers = !in->names_only, .remote = in->remote };
	struct key from = key_name(j->account, in->after), to = key1('n', j->account);
	struct slice k, value;
	enum err e = OK;
	key_after_prefix(&to);
	if (in->after.len)
		key_nul(&from);
	out->mailboxes = ARENA_ARRAY(&j->call->arena, struct store_mailbox, LIST_PAGE);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (!e && !out->more && range_next(r, &k, &value)) {
		e = page_add(&p, slice_from(k, 9));
		p.name = SLICE_NONE;
		out->more = page_is_full(&p);
		if (e || out->more)
			break;
		p.name = job_keep(j, slice_from(k, 9));
		if (!row_name_take(value, &p.row))
			e = row_damaged("name");
	}
	e = e ? e : page_add(&p, SLICE_NONE);
	enum err ended = range_end(&r);
	return e ? e : ended;
}
