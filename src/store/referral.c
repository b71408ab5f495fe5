/* SPDX-License-Identifier: Apache-2.0 */
/* referral.c - accounts and mailboxes that live on other servers: URLs that the administrator set, which sessions give
 * to clients (RFC 2221, RFC 2193). Work functions of calls.c.
 *
 * Rows 'R': of the account itself (without a name), or of a mailbox name, which then has a row 'n' without a mailbox,
 * marked MAILBOX_REMOTE; names below it are referred with it. */
#include "mail/referral.h"
#include "store/rows_state.h"

#define REFERRALS_MAX 100 /* of an account */

static struct key
key_referral(uint64_t account, struct slice name)
{
	struct key k = key1('R', account);
	key_bytes(&k, name);
	return k;
}

enum err
referral_get(struct txn *t, uint64_t account, struct slice name, struct slice *url, bool *open)
{
	struct key k = key_referral(account, name);
	struct slice value;
	*url = SLICE_NONE;
	*open = false;
	enum err e = txn_get(t, key_slice(&k), &value);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	if (value.len < 2)
		return row_damaged("referral");
	*open = value.at[0] != 0;
	*url = slice_keep(txn_arena(t), slice_from(value, 1));
	return OK;
}

static void
referral_put(struct txn *t, uint64_t account, struct slice name, struct slice url, bool open)
{
	struct key k = key_referral(account, name);
	if (url.len)
		txn_put(t, key_slice(&k), arena_join(txn_arena(t), open ? S("\1") : slice_of("\0", 1), url));
	else
		txn_delete(t, key_slice(&k));
}

enum err
referral_move(struct txn *t, uint64_t account, struct slice from, struct slice to)
{
	struct slice url;
	bool open;
	enum err e = referral_get(t, account, from, &url, &open);
	if (e)
		return e;
	referral_put(t, account, from, SLICE_NONE, false);
	referral_put(t, account, to, url, open);
	return OK;
}

/* ---- referral_set, referral_list */

/* RFC 2193 3: no referral leads back here. */
static enum err
check_url(const struct store *s, struct slice url, bool server)
{
	struct referral r;
	if (!url.len)
		return OK;
	if (!referral_take(url, &r) || server != !r.mailbox.len)
		return ERR_SYNTAX;
	return slice_equal_nocase(r.host, slice_text(s->conf->v.hostname)) ? ERR_CONFLICT : OK;
}

static enum err
count(struct txn *t, uint64_t account, size_t *n)
{
	struct key from = key1('R', account), to = from;
	struct slice k, value;
	key_after_prefix(&to);
	*n = 0;
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (range_next(r, &k, &value))
		++*n;
	return range_end(&r);
}

static enum err
set_name(struct job *j, struct txn *t, uint64_t account, struct slice name, struct slice url)
{
	struct change c;
	struct row_name row;
	bool there, parent;
	size_t n;
	enum err e = change_begin(&c, j->s, t, account);
	e = e ? e : mailbox_name_find(&c, name, &row, &there);
	e = e ? e : mailbox_has_children(t, account, name, &parent);
	e = e ? e : count(t, account, &n);
	if (e)
		return e;
	bool known = row.attributes & MAILBOX_REMOTE; /* then what is subscribed to below it is there, too */
	if (row.mailbox || (parent && !known) || slice_equal(name, S("INBOX")))
		return ERR_EXISTS;
	if (url.len && !known && n >= REFERRALS_MAX)
		return ERR_LIMIT;
	row.attributes &= MAILBOX_SUBSCRIBED;
	row.attributes |= url.len ? MAILBOX_REMOTE : 0;
	e = mailbox_name_keep(&c, name, there, &row);
	referral_put(t, account, name, url, false);
	job_tell(j, account, 0, change_modseq(&c));
	change_end(&c);
	return e;
}

enum err
referral_set(struct job *j, struct txn *t)
{
	const struct store_referral_set_in *in = j->in;
	struct slice name = in->name;
	struct row_account row;
	uint64_t account;
	enum err e = check_url(j->s, in->url, !name.len);
	e = e || !name.len ? e : mailbox_name_check(txn_arena(t), &name);
	e = e ? e : directory_account_of(t, in->address, &account);
	e = e ? e : account_get(t, account, &row);
	if (e || name.len)
		return e ? e : set_name(j, t, account, name, in->url);
	referral_put(t, account, SLICE_NONE, in->url, in->open);
	row.generation++; /* what auth and sessions know of it is over */
	account_put(t, account, &row);
	j->revoke = account;
	return OK;
}

enum err
referral_list(struct job *j, struct txn *t)
{
	const struct store_referral_list_in *in = j->in;
	struct store_referral_list_out *out = j->out;
	struct slice k, value;
	uint64_t account;
	enum err e = directory_account_of(t, in->address, &account);
	if (e)
		return e;
	struct key from = key1('R', account), to = from;
	key_after_prefix(&to);
	out->referrals = ARENA_ARRAY(&j->call->arena, struct store_referral, REFERRALS_MAX + 1);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (out->nreferrals <= REFERRALS_MAX && range_next(r, &k, &value))
		if (value.len > 1)
			out->referrals[out->nreferrals++] = (struct store_referral){ .name = job_keep(j, slice_from(k, 9)),
				                                                         .url = job_keep(j, slice_from(value, 1)),
				                                                         .open = value.at[0] != 0 };
	return range_end(&r);
}

/* ---- mailbox_referral */

enum err
mailbox_referral(struct job *j, struct txn *t)
{
	const struct store_mailbox_referral_in *in = j->in;
	struct store_mailbox_referral_out *out = j->out;
	struct slice name = in->name, url;
	struct row_account row;
	bool open;
	if (mailbox_name_check(txn_arena(t), &name))
		return OK;
	enum err e = account_get(t, j->account, &row);
	if (e)
		return e;
	out->address = job_keep(j, row.address);
	for (size_t n = name.len; n > 0; n--) {
		if (n < name.len && name.at[n] != '/')
			continue;
		e = referral_get(t, j->account, slice_part(name, 0, n), &url, &open);
		if (e || url.len) {
			out->url = job_keep(j, url);
			out->rest = job_keep(j, slice_from(name, n));
			return e;
		}
	}
	return OK;
}
