/* SPDX-License-Identifier: Apache-2.0 */
/* directory.c - domains, accounts, aliases and secrets: what the administrator's command and auth ask for. Work
 * functions of calls.c; resolve.c reads the same rows.
 *
 * An account that is deleted is gone at once (its address and its row 'A' with it); its mail goes in the background
 * (row 'D', removal.c). Whatever changes a password, a status or rights raises the account's generation, which ends all
 * grants that were given before. */
#include "store/directory_name.h"
#include "store/memo.h"
#include "store/rows_state.h"

#include "base/clock.h"
#include "base/random.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/statvfs.h>

#define DOMAIN_PAGE 1000
#define ACCOUNT_PAGE 500
#define ALIAS_PAGE 100
#define ALIAS_TARGETS_MAX 1000

static bool
is_there(struct txn *t, const struct key *k, enum err *e)
{
	struct slice value;
	*e = txn_get(t, key_slice(k), &value);
	if (*e == ERR_NOT_FOUND) {
		*e = OK;
		return false;
	}
	return *e == OK;
}

/* ---- domains */

enum err
domain_add(struct job *j, struct txn *t)
{
	const struct store_domain_add_in *in = j->in;
	struct slice domain;
	enum err e;
	if (!directory_domain(in->domain, txn_arena(t), &domain))
		return ERR_SYNTAX;
	struct key k = key_text('d', domain);
	if (is_there(t, &k, &e))
		return ERR_EXISTS;
	struct row_domain row = { .shown = in->domain, .created = clock_wall_sec() };
	if (slice_is_ascii(in->domain))
		row.shown = domain;
	txn_put(t, key_slice(&k), row_domain_put(txn_arena(t), &row));
	return e;
}

/* The first key of a range, if there is any. */
static enum err
range_is_empty(struct txn *t, const struct key *prefix, bool *empty)
{
	struct key to = *prefix;
	struct slice k, value;
	key_after_prefix(&to);
	struct range *r = range_begin(t, key_slice(prefix), key_slice(&to), false);
	*empty = !range_next(r, &k, &value);
	return range_end(&r);
}

/* ---- how a domain sends bulk mail */

/* "address domain": who looks for the address finds that it has domains. */
static struct slice
feedback_name(struct txn *t, struct slice domain, struct slice feedback)
{
	struct arena *a = txn_arena(t);
	return suppression_name(a, S(""), arena_join(a, arena_join(a, feedback, S(" ")), domain));
}

static enum err
feedback_remove(struct txn *t, struct slice domain, const struct row_domain *row)
{
	return row->feedback.len ? memo_remove(t, S("feedback"), feedback_name(t, domain, row->feedback)) : OK;
}

enum err
domain_show(struct job *j, struct txn *t)
{
	const struct store_domain_show_in *in = j->in;
	struct store_domain_show_out *out = j->out;
	struct row_domain row;
	struct slice domain;
	if (!directory_domain(in->domain, txn_arena(t), &domain))
		return ERR_NOT_FOUND;
	enum err e = domain_get(t, domain, &row);
	if (e)
		return e;
	out->domain = job_keep(j, row.shown);
	out->settings = (struct store_domain_settings){ row.verp, row.forward, job_keep(j, row.feedback), row.unsubscribe };
	return OK;
}

enum err
domain_set(struct job *j, struct txn *t)
{
	const struct store_domain_set_in *in = j->in;
	struct row_domain row;
	struct address_name name;
	struct slice domain, feedback = in->settings.feedback;
	if (!directory_domain(in->domain, txn_arena(t), &domain))
		return ERR_NOT_FOUND;
	if (feedback.len && (!directory_address(feedback, txn_arena(t), &name) || slice_find_char(feedback, ' ') >= 0 ||
	                     feedback_name(t, domain, feedback).len == 0))
		return ERR_SYNTAX;
	enum err e = domain_get(t, domain, &row);
	e = e ? e : feedback_remove(t, domain, &row);
	if (e)
		return e;
	row.verp = in->settings.verp;
	row.forward = in->settings.forward;
	row.feedback = feedback;
	row.unsubscribe = in->settings.unsubscribe;
	struct key k = key_text('d', domain);
	txn_put(t, key_slice(&k), row_domain_put(txn_arena(t), &row));
	struct store_memo m = { S("feedback"), feedback_name(t, domain, feedback), S("1"), MEMO_FOREVER };
	return feedback.len ? memo_write(t, &m) : OK;
}

enum err
domain_delete(struct job *j, struct txn *t)
{
	const struct store_domain_delete_in *in = j->in;
	struct slice domain;
	bool empty;
	enum err e;
	if (!directory_domain(in->domain, txn_arena(t), &domain))
		return ERR_NOT_FOUND;
	struct key k = key_text('d', domain), addresses = key_address(domain, SLICE_NONE);
	if (!is_there(t, &k, &e))
		return e ? e : ERR_NOT_FOUND;
	e = range_is_empty(t, &addresses, &empty);
	if (!e && !empty)
		return ERR_BUSY;
	struct row_domain row;
	e = e ? e : domain_get(t, domain, &row);
	e = e ? e : feedback_remove(t, domain, &row);
	txn_delete(t, key_slice(&k));
	j->to_remove = true;
	return e ? e : memos_forget_domain(t, domain);
}

enum err
domain_list(struct job *j, struct txn *t)
{
	const struct store_domain_list_in *in = j->in;
	struct store_domain_list_out *out = j->out;
	struct slice after = SLICE_NONE, k, value;
	if (in->after.len && !directory_domain(in->after, txn_arena(t), &after))
		return ERR_SYNTAX;
	struct key from = key_text('d', after);
	if (after.len)
		key_nul(&from);
	out->domains = ARENA_ARRAY(&j->call->arena, struct store_name, DOMAIN_PAGE);
	struct range *r = range_begin(t, key_slice(&from), S("e"), false);
	while (!out->more && range_next(r, &k, &value)) {
		struct row_domain row;
		if (out->ndomains == DOMAIN_PAGE)
			out->more = true;
		else if (row_domain_take(value, &row))
			out->domains[out->ndomains++].text = job_keep(j, row.shown);
	}
	return range_end(&r);
}

/* ---- accounts */

/* The name of an address that may be added: its domain is ours, the address is free. */
static enum err
free_address(struct txn *t, struct slice address, struct address_name *name)
{
	struct row_domain domain;
	struct row_address row;
	if (!directory_address(address, txn_arena(t), name))
		return ERR_SYNTAX;
	enum err e = domain_get(t, name->domain, &domain);
	if (e)
		return e;
	e = address_get(t, name->domain, name->local, &row);
	return e == ERR_NOT_FOUND ? OK : e ? e : ERR_EXISTS;
}

/* The address as people see it: the local-part as given, an ASCII domain in lower case. */
static struct slice
shown_address(struct txn *t, struct slice address, const struct address_name *name)
{
	if (!slice_is_ascii(address))
		return address;
	return arena_join(txn_arena(t), arena_join(txn_arena(t), name->local_given, S("@")), name->domain);
}

static void
admin_put(struct txn *t, uint64_t account, uint64_t rights)
{
	struct key k = key1('H', account);
	if (rights & RIGHT_ADMIN)
		txn_put(t, key_slice(&k), SLICE_NONE);
	else
		txn_delete(t, key_slice(&k));
}

/* Keys for SCRAM stand beside the account's row, which is read for each recipient and stays small. */
static void
scram_keep(struct txn *t, uint64_t account, struct slice scram)
{
	struct key k = key1('S', account);
	if (scram.len)
		txn_put(t, key_slice(&k), scram);
	else
		txn_delete(t, key_slice(&k));
}

static enum err
next_account(struct txn *t, uint64_t *account)
{
	struct row_sequence sequence;
	enum err e = sequence_get(t, S("accounts"), &sequence);
	if (e)
		return e;
	*account = ++sequence.last;
	sequence.count++;
	sequence_put(t, S("accounts"), &sequence);
	return OK;
}

enum err
account_add(struct job *j, struct txn *t)
{
	const struct store_account_add_in *in = j->in;
	struct store_account_add_out *out = j->out;
	struct address_name name;
	enum err e = free_address(t, in->address, &name);
	if (!e && slice_equal(name.local, S("*")))
		return ERR_SYNTAX;
	e = e ? e : next_account(t, &out->account);
	if (e)
		return e;
	struct row_address address = { .kind = ADDRESS_ACCOUNT,
		                           .account = out->account,
		                           .shown = shown_address(t, in->address, &name) };
	struct row_account account = { .address = address.shown,
		                           .hash = in->hash,
		                           .status = ACCOUNT_ACTIVE,
		                           .generation = 1,
		                           .rights = in->rights,
		                           .quota = in->quota,
		                           .created = clock_wall_sec() };
	address_put(t, name.domain, name.local, &address);
	account_put(t, out->account, &account);
	if (in->scram.len)
		scram_keep(t, out->account, in->scram);
	admin_put(t, out->account, in->rights);
	struct change c = { .s = j->s, .t = t, .account = out->account, .counters.next_mailbox = 1 };
	e = mailbox_make_default(&c);
	change_end(&c);
	return e;
}

static enum err
account_answer(struct job *j, struct txn *t, uint64_t id, struct store_account *out)
{
	struct row_account row;
	struct row_counters counters;
	struct slice public;
	enum err e = account_get(t, id, &row);
	e = e ? e : counters_get(t, id, &counters);
	e = e ? e : sharer_public_name(t, id, &public);
	if (e)
		return e;
	*out = (struct store_account){ .id = id,
		                           .public = job_keep(j, public),
		                           .address = job_keep(j, row.address),
		                           .status = row.status,
		                           .rights = row.rights,
		                           .quota = row.quota,
		                           .messages_max = row.messages_max,
		                           .mailboxes_max = row.mailboxes_max,
		                           .mailboxes = counters.mailboxes,
		                           .used = counters.bytes,
		                           .messages = counters.messages,
		                           .created = row.created };
	return OK;
}

enum err
account_show(struct job *j, struct txn *t)
{
	const struct store_account_show_in *in = j->in;
	struct store_account_show_out *out = j->out;
	uint64_t id;
	enum err e = directory_account_of(t, in->address, &id);
	return e ? e : account_answer(j, t, id, &out->account);
}

/* The range of address rows for a list: of a domain or of all, those after an address. */
static bool
address_range(struct txn *t, struct slice domain, struct slice after, struct key *from, struct key *to)
{
	struct slice key;
	struct address_name name;
	key_begin(from, 'a');
	if (domain.len) {
		if (!directory_domain(domain, txn_arena(t), &key))
			return false;
		*from = key_address(key, SLICE_NONE);
	}
	*to = *from;
	key_after_prefix(to);
	if (after.len) {
		if (!directory_address(after, txn_arena(t), &name))
			return false;
		*from = key_address(name.domain, name.local);
		key_nul(from);
	}
	return true;
}

enum err
account_list(struct job *j, struct txn *t)
{
	const struct store_account_list_in *in = j->in;
	struct store_account_list_out *out = j->out;
	struct key from, to;
	struct slice k, value;
	enum err e = OK;
	if (!address_range(t, in->domain, in->after, &from, &to))
		return ERR_SYNTAX;
	out->accounts = ARENA_ARRAY(&j->call->arena, struct store_account, ACCOUNT_PAGE);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (!e && !out->more && range_next(r, &k, &value)) {
		struct row_address row;
		if (!row_address_take(value, txn_arena(t), &row) || row.kind != ADDRESS_ACCOUNT)
			continue;
		if (out->naccounts == ACCOUNT_PAGE)
			out->more = true;
		else
			e = account_answer(j, t, row.account, &out->accounts[out->naccounts++]);
	}
	enum err ended = range_end(&r);
	return e ? e : ended;
}

enum err
account_delete(struct job *j, struct txn *t)
{
	const struct store_account_delete_in *in = j->in;
	struct row_sequence sequence;
	uint64_t id;
	enum err e = directory_account_of(t, in->address, &id);
	e = e ? e : sequence_get(t, S("accounts"), &sequence);
	if (e)
		return e;
	sequence.count--;
	sequence_put(t, S("accounts"), &sequence);
	struct address_name name;
	directory_address(in->address, txn_arena(t), &name);
	struct key address = key_address(name.domain, name.local), account = key1('A', id), rest = key2('D', id, 0);
	txn_delete(t, key_slice(&address));
	txn_delete(t, key_slice(&account));
	admin_put(t, id, 0);
	e = sharer_forget(t, id, name.domain);
	if (e)
		return e;
	e = memos_forget_account(t, id);
	if (e)
		return e;
	scram_keep(t, id, S(""));
	txn_put(t, key_slice(&rest), SLICE_NONE);
	j->revoke = id;
	j->to_remove = true;
	return OK;
}

enum err
account_set(struct job *j, struct txn *t)
{
	const struct store_account_set_in *in = j->in;
	struct row_account row;
	uint64_t id;
	if (in->status != ACCOUNT_ACTIVE && in->status != ACCOUNT_SUSPENDED)
		return ERR_SYNTAX;
	enum err e = directory_account_of(t, in->address, &id);
	e = e ? e : account_get(t, id, &row);
	if (e)
		return e;
	uint64_t rights = in->rights == UINT64_MAX ? row.rights : in->rights;
	if (row.status != in->status || row.rights != rights) {
		row.generation++;
		j->revoke = id;
	}
	row.status = in->status;
	row.rights = rights;
	if (in->quota != UINT64_MAX)
		row.quota = in->quota;
	if (in->messages_max != UINT64_MAX)
		row.messages_max = in->messages_max;
	if (in->mailboxes_max != UINT64_MAX)
		row.mailboxes_max = in->mailboxes_max;
	account_put(t, id, &row);
	admin_put(t, id, rights);
	return OK;
}

/* ---- aliases */

static bool
has_target(const struct store_name *targets, uint32_t n, struct slice address)
{
	for (uint32_t i = 0; i < n; i++)
		if (slice_equal_nocase(targets[i].text, address))
			return true;
	return false;
}

/* "*@domain" names the same local-part there: for catch-alls only. */
static bool
target_is_good(struct txn *t, const struct address_name *alias, struct slice target)
{
	struct address_name name;
	if (!directory_address(target, txn_arena(t), &name))
		return false;
	return !slice_equal(name.local, S("*")) || slice_equal(alias->local, S("*"));
}

enum err
alias_add(struct job *j, struct txn *t)
{
	const struct store_alias_add_in *in = j->in;
	struct address_name name;
	struct row_address row = { .kind = ADDRESS_ALIAS };
	if (in->ntargets == 0 || !directory_address(in->address, txn_arena(t), &name))
		return ERR_SYNTAX;
	struct row_domain domain;
	enum err e = domain_get(t, name.domain, &domain);
	if (e)
		return e;
	e = address_get(t, name.domain, name.local, &row);
	if (e && e != ERR_NOT_FOUND)
		return e;
	if (!e && row.kind != ADDRESS_ALIAS)
		return ERR_EXISTS;
	struct store_name *targets = ARENA_ARRAY(txn_arena(t), struct store_name, row.ntargets + in->ntargets);
	uint32_t n = row.ntargets;
	if (n)
		memcpy(targets, row.targets, n * sizeof *targets);
	for (uint32_t i = 0; i < in->ntargets; i++) {
		if (!target_is_good(t, &name, in->targets[i].text))
			return ERR_SYNTAX;
		if (!has_target(targets, n, in->targets[i].text))
			targets[n++] = in->targets[i];
	}
	if (n > ALIAS_TARGETS_MAX)
		return ERR_LIMIT;
	row.kind = ADDRESS_ALIAS;
	row.shown = row.shown.len ? row.shown : shown_address(t, in->address, &name);
	row.targets = targets;
	row.ntargets = n;
	address_put(t, name.domain, name.local, &row);
	return OK;
}

enum err
alias_delete(struct job *j, struct txn *t)
{
	const struct store_alias_delete_in *in = j->in;
	struct address_name name;
	struct row_address row;
	if (!directory_address(in->address, txn_arena(t), &name))
		return ERR_NOT_FOUND;
	enum err e = address_get(t, name.domain, name.local, &row);
	if (e)
		return e;
	if (row.kind != ADDRESS_ALIAS)
		return ERR_NOT_FOUND;
	uint32_t left = 0;
	for (uint32_t i = 0; i < row.ntargets && in->ntargets; i++)
		if (!has_target(in->targets, in->ntargets, row.targets[i].text))
			row.targets[left++] = row.targets[i];
	if (left && left == row.ntargets)
		return ERR_NOT_FOUND;
	row.ntargets = left;
	struct key k = key_address(name.domain, name.local);
	if (left)
		address_put(t, name.domain, name.local, &row);
	else
		txn_delete(t, key_slice(&k));
	return OK;
}

static size_t
alias_answer(struct job *j, const struct row_address *row, struct store_alias *out)
{
	size_t bytes = row->shown.len + 8;
	out->address = job_keep(j, row->shown);
	out->targets = ARENA_ARRAY(&j->call->arena, struct store_name, row->ntargets + 1);
	out->ntargets = row->ntargets;
	for (uint32_t i = 0; i < row->ntargets; i++) {
		out->targets[i].text = job_keep(j, row->targets[i].text);
		bytes += row->targets[i].text.len + 4;
	}
	return bytes;
}

static enum err
alias_one(struct job *j, struct txn *t, struct slice address, struct store_alias_list_out *out)
{
	struct address_name name;
	struct row_address row;
	if (!directory_address(address, txn_arena(t), &name))
		return ERR_NOT_FOUND;
	enum err e = address_get(t, name.domain, name.local, &row);
	if (!e && row.kind != ADDRESS_ALIAS)
		return ERR_NOT_FOUND;
	if (!e)
		alias_answer(j, &row, &out->aliases[out->naliases++]);
	return e;
}

enum err
alias_list(struct job *j, struct txn *t)
{
	const struct store_alias_list_in *in = j->in;
	struct store_alias_list_out *out = j->out;
	struct key from, to;
	struct slice k, value;
	size_t bytes = 0;
	out->aliases = ARENA_ARRAY(&j->call->arena, struct store_alias, ALIAS_PAGE);
	if (in->address.len)
		return alias_one(j, t, in->address, out);
	if (!address_range(t, SLICE_NONE, in->after, &from, &to))
		return ERR_SYNTAX;
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (!out->more && range_next(r, &k, &value)) {
		struct row_address row;
		if (!row_address_take(value, txn_arena(t), &row) || row.kind != ADDRESS_ALIAS)
			continue;
		/* An alias has at most 1000 targets of at most 1000 bytes: one more fits into the frame. */
		if (out->naliases == ALIAS_PAGE || bytes > ANSWER_BYTES_MAX)
			out->more = true;
		else
			bytes += alias_answer(j, &row, &out->aliases[out->naliases++]);
	}
	return range_end(&r);
}

/* ---- secrets, for auth */

/* From 0 to below: always the same for an address, and only the store can work it out. */
static uint64_t
drawn_by(const struct store *s, struct slice address, uint64_t below)
{
	uint8_t mac[32];
	char lower[1000];
	size_t n = MIN(address.len, sizeof lower);
	for (size_t i = 0; i < n; i++)
		lower[i] = ascii_lower(address.at[i]);
	ASSERT(HMAC(EVP_sha256(), s->rows->grant_key, GRANT_KEY_BYTES, (const uint8_t *)lower, n, mac, NULL));
	return bytes_get_le((const char *)mac, 8) % below;
}

/* Keys for SCRAM of some account. So who has none is asked for as many iterations as others are, in the proportion in
 * which these are in use (RFC 5802 9). */
static enum err
scram_like(struct job *j, struct txn *t, struct slice address, struct slice *like)
{
	struct slice k, value;
	struct range *r = range_begin(t, S("S"), S("T"), true);
	uint64_t last = range_next(r, &k, &value) ? bytes_get_be(k.at + 1, 8) : 0;
	enum err e = range_end(&r);
	if (e || !last)
		return e;
	struct key from = key1('S', 1 + drawn_by(j->s, address, last));
	r = range_begin(t, key_slice(&from), S("T"), false);
	if (range_next(r, &k, &value))
		*like = job_keep(j, value);
	return range_end(&r);
}

enum err
secret_get(struct job *j, struct txn *t)
{
	const struct store_secret_get_in *in = j->in;
	struct store_secret_get_out *out = j->out;
	struct row_account row;
	uint64_t id;
	enum err e = scram_like(j, t, in->address, &out->like);
	e = e ? e : directory_account_of(t, in->address, &id);
	e = e ? e : account_get(t, id, &row);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	out->account = id;
	out->address = job_keep(j, row.address);
	out->status = row.status;
	out->generation = row.generation;
	out->hash = job_keep(j, row.hash);
	out->rights = row.rights;
	struct key k = key1('S', id);
	struct slice scram;
	e = txn_get(t, key_slice(&k), &scram);
	if (!e)
		out->scram = job_keep(j, scram);
	e = e == ERR_NOT_FOUND ? OK : e;
	e = e ? e : referral_get(t, id, SLICE_NONE, &out->moved_to, &out->moved_open);
	out->moved_to = job_keep(j, out->moved_to);
	return e;
}

enum err
scram_put(struct job *j, struct txn *t)
{
	const struct store_scram_put_in *in = j->in;
	struct row_account row;
	enum err e = account_get(t, in->account, &row);
	if (!e && row.generation != in->generation)
		e = ERR_CONFLICT;
	if (!e)
		scram_keep(t, in->account, in->scram);
	return e;
}

enum err
secret_put(struct job *j, struct txn *t)
{
	const struct store_secret_put_in *in = j->in;
	struct store_secret_put_out *out = j->out;
	struct row_account row;
	enum err e = directory_account_of(t, in->address, &out->account);
	e = e ? e : account_get(t, out->account, &row);
	if (e)
		return e;
	row.hash = in->hash;
	out->generation = ++row.generation;
	account_put(t, out->account, &row);
	scram_keep(t, out->account, in->scram);
	j->revoke = out->account;
	return OK;
}

/* ---- the whole */

static enum err
count_messages(struct txn *t, uint64_t *messages)
{
	struct slice k, value;
	struct row_counters row;
	struct range *r = range_begin(t, S("c"), S("d"), false);
	while (range_next(r, &k, &value))
		if (row_counters_take(value, &row))
			*messages += row.messages;
	return range_end(&r);
}

static enum err
count_domains(struct txn *t, uint64_t *domains)
{
	struct slice k, value;
	struct range *r = range_begin(t, S("d"), S("e"), false);
	while (range_next(r, &k, &value))
		++*domains;
	return range_end(&r);
}

enum err
store_status(struct job *j, struct txn *t)
{
	struct store_store_status_out *out = j->out;
	struct row_sequence accounts, queue;
	struct statvfs fs;
	enum err e = sequence_get(t, S("accounts"), &accounts);
	e = e ? e : sequence_get(t, S("queue"), &queue);
	e = e ? e : count_domains(t, &out->domains);
	e = e ? e : count_messages(t, &out->messages);
	e = e ? e : object_usage(j->s, t, &out->body_bytes, &out->segment_bytes);
	if (e)
		return e;
	out->accounts = accounts.count;
	out->queued = queue.count;
	if (fstatvfs(j->s->data_dir, &fs) == 0)
		out->free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	out->engine = slice_text(engine_name(j->s->engine));
	return OK;
}

/* ---- start and end */

/* A key that is made once. */
static enum err
key_make(struct store *s, struct slice name, void *at, size_t bytes)
{
	struct txn *t = txn_begin(s->engine, true);
	struct key k = key_head(name);
	struct slice value;
	enum err e = txn_get(t, key_slice(&k), &value);
	if (!e) {
		if (value.len == bytes)
			memcpy(at, value.at, bytes);
		else
			e = row_damaged("key");
	} else if (e == ERR_NOT_FOUND) {
		random_bytes(at, bytes);
		txn_put(t, key_slice(&k), slice_of(at, bytes));
		e = txn_commit(t);
	}
	txn_end(&t);
	return e;
}

enum err
directory_open(struct store *s)
{
	s->rows = must_calloc(1, sizeof *s->rows);
	s->rows->s = s;
	/* Sessions still hold numbers that an earlier run gave them: those must not mean another account now. */
	s->rows->last_handle = (uint32_t)random_u64();
	list_init(&s->rows->pending);
	s->rows->indexes = indexes_new(s, s->conf->v.store_index_cache);
	s->rows->removal = removal_new(s);
	s->rows->expiry = expiry_new(s);
	enum err e = key_make(s, S("grant"), s->rows->grant_key, sizeof s->rows->grant_key);
	e = e ? e : key_make(s, S("verp"), s->rows->verp_key, sizeof s->rows->verp_key);
	if (!e)
		removal_soon(s);
	if (!e)
		expiry_soon(s);
	return e;
}

void
directory_close(struct store *s)
{
	if (!s->rows)
		return;
	struct rows *r = s->rows;
	ASSERT(r->handles.count == 0 && r->held.count == 0);
	later_cancel(&r->notices);
	later_cancel(&r->queue_notice);
	removal_free(&r->removal);
	expiry_free(&r->expiry);
	indexes_free(&r->indexes);
	map_release(&r->handles);
	map_release(&r->held);
	map_release(&s->accounts_open);
	secret_wipe(r->grant_key, sizeof r->grant_key);
	secret_wipe(r->verp_key, sizeof r->verp_key);
	free(r);
	s->rows = NULL;
}
