/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.c - who gets mail for an address: accounts, aliases (nested, to several targets, local and remote),
 * sub-addresses, catch-alls, postmaster. Reads rows only. Called for RCPT TO, and to say whom an account may send as.
 *
 * An address is looked up as it is, then without its detail, then as postmaster, then as the domain's catch-all "*". A
 * catch-all target "*@other.domain" keeps the local-part. A detail that an alias did not use goes on to its local
 * targets, as with Postfix. */
#include "store/backup.h"
#include "store/directory_name.h"
#include "store/rows_state.h"

#define RESOLVE_TARGETS_MAX 1000
#define DETAIL_NAMES_MAX 10000 /* names that are looked through for the one that a detail means */

struct node {
	struct slice address, detail;
	uint64_t key;    /* hash of the row that it was found in; 0: none yet */
	uint32_t parent; /* index; the first one is its own */
};

struct resolver {
	struct store *s;
	struct txn *t;
	struct arena *a;
	uint64_t bytes;
	bool local;           /* the first address is in a domain of ours */
	struct backup backup; /* of the first address */
	struct node *nodes;
	uint32_t n, cap;
	struct store_target *targets;
	uint32_t ntargets, targets_cap;
};

struct found {
	struct row_address row;
	struct slice domain, local; /* key of the row */
	struct slice detail;        /* of the address that the row did not use */
	bool catch_all;
};

/* The first account with administrator's rights. */
static enum err
first_admin(struct txn *t, uint64_t *account)
{
	struct slice k, value;
	struct range *r = range_begin(t, S("H"), S("I"), false);
	bool any = range_next(r, &k, &value) && k.len == 9;
	*account = any ? bytes_get_be(k.at + 1, 8) : 0;
	enum err e = range_end(&r);
	return e ? e : any ? OK : ERR_NOT_FOUND;
}

/* RFC 5321 4.5.1: postmaster of every domain here is somebody. */
static enum err
find_postmaster(struct resolver *r, struct found *f)
{
	const char *to = r->s->conf->v.postmaster;
	struct row_address row = { .kind = ADDRESS_ALIAS, .ntargets = 1 };
	row.targets = arena_alloc(r->a, sizeof *row.targets);
	if (to && to[0]) {
		row.targets[0].text = slice_text(to);
	} else {
		uint64_t admin;
		struct row_account account;
		enum err e = first_admin(r->t, &admin);
		e = e ? e : account_get(r->t, admin, &account);
		if (e)
			return e;
		row.targets[0].text = account.address;
	}
	f->row = row;
	return OK;
}

static enum err
find(struct resolver *r, const struct address_name *name, struct found *f)
{
	struct slice user, detail;
	*f = (struct found){ .domain = name->domain, .local = name->local };
	enum err e = address_get(r->t, name->domain, name->local, &f->row);
	if (e != ERR_NOT_FOUND)
		return e;
	if (directory_split_detail(name->local, r->s->conf->v.subaddress, &user, &detail)) {
		f->local = user;
		f->detail = slice_from(name->local_given, user.len + 1);
		e = address_get(r->t, name->domain, user, &f->row);
		if (e != ERR_NOT_FOUND)
			return e;
	}
	if (slice_equal(f->local, S("postmaster"))) {
		e = find_postmaster(r, f);
		if (e != ERR_NOT_FOUND)
			return e;
	}
	*f = (struct found){ .domain = name->domain, .local = S("*"), .catch_all = true };
	return address_get(r->t, name->domain, S("*"), &f->row);
}

static bool
target_known(const struct resolver *r, uint64_t account, struct slice address, struct slice mailbox)
{
	for (uint32_t i = 0; i < r->ntargets; i++) {
		const struct store_target *t = &r->targets[i];
		bool same = account ? t->account == account && slice_equal(t->mailbox, mailbox)
		                    : t->account == 0 && slice_equal_nocase(t->address, address);
		if (same)
			return true;
	}
	return false;
}

static enum err
add_target(struct resolver *r, struct store_target target)
{
	if (target_known(r, target.account, target.address, target.mailbox))
		return OK;
	if (r->ntargets == RESOLVE_TARGETS_MAX)
		return ERR_LIMIT;
	if (r->ntargets == r->targets_cap) {
		r->targets_cap = r->targets_cap ? r->targets_cap * 2 : 8;
		r->targets = must_realloc(r->targets, r->targets_cap * sizeof *r->targets);
	}
	r->targets[r->ntargets++] = target;
	return OK;
}

/* The mailbox that a detail names, as it is written or in any case; empty when there is none. Among very many names
 * only the first are looked through for another case: this happens for each recipient. */
static enum err
mailbox_of_detail(struct resolver *r, uint64_t account, struct slice detail, struct slice *mailbox)
{
	*mailbox = SLICE_NONE;
	if (detail.len == 0 || detail.len > 255)
		return OK;
	struct key from = key1('n', account), to = from;
	key_after_prefix(&to);
	struct slice k, value;
	struct row_name row;
	uint32_t looked_at = 0;
	enum err e = name_get(r->t, account, detail, &row);
	if (!e && row.mailbox)
		*mailbox = slice_keep(r->a, detail);
	if (mailbox->len || (e && e != ERR_NOT_FOUND))
		return e;
	struct range *range = range_begin(r->t, key_slice(&from), key_slice(&to), false);
	while (looked_at++ < DETAIL_NAMES_MAX && range_next(range, &k, &value)) {
		struct slice name = slice_from(k, 9);
		if (slice_equal_nocase(name, detail) && row_name_take(value, &row) && row.mailbox) {
			*mailbox = slice_keep(r->a, name);
			break;
		}
	}
	return range_end(&range);
}

static enum err
add_account(struct resolver *r, uint64_t account, struct slice detail)
{
	struct row_account row;
	struct row_counters counters;
	enum err e = account_get(r->t, account, &row);
	e = e ? e : counters_get(r->t, account, &counters);
	if (e)
		return e;
	struct store_target target = { .account = account, .address = row.address };
	e = mailbox_of_detail(r, account, detail, &target.mailbox);
	if (e)
		return e;
	target.verdict = row.status == ACCOUNT_ACTIVE ? quota_check(r->s, &row, &counters, r->bytes, 1) : ERR_SUSPENDED;
	return add_target(r, target);
}

static enum err
add_node(struct resolver *r, struct slice address, struct slice detail, uint32_t parent)
{
	if (r->n > RESOLVE_TARGETS_MAX)
		return ERR_LIMIT;
	if (r->n == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 8;
		r->nodes = must_realloc(r->nodes, r->cap * sizeof *r->nodes);
	}
	r->nodes[r->n++] = (struct node){ .address = address, .detail = detail, .parent = parent };
	return OK;
}

/* Remembers which row this node came from: ERR_LIMIT when one of its ancestors came from it (a loop), ERR_EXISTS when
 * another node did (its targets are there already). */
static enum err
enter_row(struct resolver *r, uint32_t at, const struct found *f)
{
	uint64_t key = slice_hash(arena_join(r->a, arena_join(r->a, f->local, S("@")), f->domain));
	if (f->catch_all)
		key ^= slice_hash(r->nodes[at].address);
	key |= 1;
	for (uint32_t i = at; i != 0;) {
		i = r->nodes[i].parent;
		if (r->nodes[i].key == key)
			return ERR_LIMIT;
	}
	for (uint32_t i = 0; i < at; i++)
		if (r->nodes[i].key == key)
			return ERR_EXISTS;
	r->nodes[at].key = key;
	return OK;
}

/* "*@other.domain" as a target of a catch-all: the same local-part there. */
static struct slice
target_address(struct resolver *r, const struct address_name *name, const struct found *f, struct slice target)
{
	if (!f->catch_all || !slice_starts(target, S("*@")))
		return target;
	return arena_join(r->a, name->local_given, slice_from(target, 1));
}

static enum err
expand_alias(struct resolver *r, uint32_t at, const struct address_name *name, const struct found *f)
{
	enum err e = enter_row(r, at, f);
	if (e)
		return e == ERR_EXISTS ? OK : e;
	struct slice detail = f->detail.len ? f->detail : r->nodes[at].detail;
	for (uint32_t i = 0; i < f->row.ntargets && !e; i++)
		e = add_node(r, target_address(r, name, f, f->row.targets[i].text), detail, at);
	return e;
}

static enum err
refuse(struct resolver *r, struct slice address, enum err why)
{
	return add_target(r, (struct store_target){ .address = address, .verdict = why });
}

/* RFC 5321 4.5.1: without a domain, too. */
static enum err
expand_bare_postmaster(struct resolver *r)
{
	struct found f = { .local = S("postmaster") };
	struct address_name name = { 0 };
	r->local = true;
	enum err e = find_postmaster(r, &f);
	if (e == ERR_NOT_FOUND)
		return refuse(r, S("postmaster"), e);
	return e ? e : expand_alias(r, 0, &name, &f);
}

static enum err
expand(struct resolver *r, uint32_t at)
{
	struct node node = r->nodes[at];
	struct address_name name;
	struct row_domain domain;
	struct found f;
	if (at == 0 && slice_equal_nocase(node.address, S("postmaster")))
		return expand_bare_postmaster(r);
	/* An address literal, or what only its own server understands, is not ours. */
	if (!directory_address(node.address, r->a, &name))
		return refuse(r, node.address, slice_find_char(node.address, '@') > 0 ? OK : ERR_SYNTAX);
	enum err e = domain_get(r->t, name.domain, &domain);
	if (e == ERR_NOT_FOUND && at == 0 && (e = backup_find(r->t, &name, &r->backup)) == OK)
		e = ERR_NOT_FOUND;
	if (e == ERR_NOT_FOUND)
		return add_target(r, (struct store_target){ .address = node.address });
	if (at == 0)
		r->local = !e;
	e = e ? e : find(r, &name, &f);
	if (e == ERR_NOT_FOUND)
		return refuse(r, node.address, e);
	if (e)
		return e;
	if (f.row.kind == ADDRESS_ALIAS)
		return expand_alias(r, at, &name, &f);
	return add_account(r, f.row.account, f.detail.len ? f.detail : node.detail);
}

static enum err
walk(struct resolver *r, struct job *j, struct txn *t, struct slice address, uint64_t bytes)
{
	*r = (struct resolver){ .s = j->s, .t = t, .a = txn_arena(t), .bytes = bytes };
	enum err e = add_node(r, address, SLICE_NONE, 0);
	for (uint32_t i = 0; i < r->n && !e; i++)
		e = expand(r, i);
	return e;
}

static void
resolver_release(struct resolver *r)
{
	free(r->nodes);
	free(r->targets);
}

/* OK when anybody gets it, else why the first one does not. */
static uint32_t
verdict_of(const struct resolver *r)
{
	for (uint32_t i = 0; i < r->ntargets; i++)
		if (r->targets[i].verdict == OK)
			return OK;
	return r->ntargets ? r->targets[0].verdict : ERR_NOT_FOUND;
}

/* What comes back at a return path of bulk mail is for whom it was sent by. */
static enum err
return_path(struct job *j, struct txn *t, struct store_resolve_out *out, struct slice *address)
{
	struct row_account row;
	uint64_t account;
	enum err e = bounced_path(j, t, *address, &out->verp, &account, &out->forward);
	if (e || !out->verp)
		return e;
	e = account_get(t, account, &row);
	*address = e ? *address : row.address;
	return e;
}

enum err
resolve(struct job *j, struct txn *t)
{
	const struct store_resolve_in *in = j->in;
	struct store_resolve_out *out = j->out;
	struct suppression s = { 0 };
	struct resolver r;
	struct slice address = in->address;
	enum err e = return_path(j, t, out, &address);
	e = e ? e : bounced_feedback(t, in->address, &out->feedback);
	if (e)
		return e;
	e = walk(&r, j, t, address, in->bytes);
	out->local = r.local;
	out->backup = r.backup.relay;
	out->why = job_keep(j, r.backup.why);
	out->user = job_keep(j, slice_part(r.backup.user, 0, MEMO_NAME_BYTES_MAX));
	out->verdict = e == ERR_LIMIT ? ERR_LIMIT : verdict_of(&r);
	if (!e) {
		out->targets = ARENA_ARRAY(&j->call->arena, struct store_target, r.ntargets + 1);
		out->ntargets = r.ntargets;
		for (uint32_t i = 0; i < r.ntargets; i++) {
			struct store_target *target = &out->targets[i];
			*target = r.targets[i];
			target->address = job_keep(j, target->address);
			target->mailbox = job_keep(j, target->mailbox);
			if (target->verdict)
				target->account = 0;
		}
	}
	resolver_release(&r);
	if (!e && !out->local && in->sender.len)
		e = bounced_suppressed(t, in->sender, in->address, &s);
	out->suppressed = job_keep(j, slice_part(s.text, 0, 300));
	out->reason = s.reason;
	return e == ERR_LIMIT ? OK : e;
}

enum err
sender_allowed(struct job *j, struct txn *t)
{
	const struct store_sender_allowed_in *in = j->in;
	struct store_sender_allowed_out *out = j->out;
	struct resolver r;
	enum err e = walk(&r, j, t, in->address, 0);
	for (uint32_t i = 0; i < r.ntargets && !e; i++)
		if (r.targets[i].account == in->account && in->account)
			out->allowed = true;
	resolver_release(&r);
	return e == ERR_LIMIT ? OK : e;
}

enum err
directory_account_of(struct txn *t, struct slice address, uint64_t *account)
{
	struct address_name name;
	struct row_address row;
	if (!directory_address(address, txn_arena(t), &name))
		return ERR_NOT_FOUND;
	enum err e = address_get(t, name.domain, name.local, &row);
	if (e)
		return e;
	*account = row.account;
	return row.kind == ADDRESS_ACCOUNT ? OK : ERR_NOT_FOUND;
}
