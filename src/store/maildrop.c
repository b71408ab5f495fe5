/* SPDX-License-Identifier: Apache-2.0 */
/* maildrop.c - what the store keeps for POP3 alone: rules of an account's maildrop (row 'Y'), and beside messages that
 * need it (row 'y') a UIDL that came from another server and when the message was fetched first. Work functions of
 * calls.c. Rows 'y' of messages that went are removed by expiry.c, so that nobody pays for them who has none. */
#include "store/rows_state.h"

#include "base/clock.h"
#include "base/map.h"
#include "mail/facts.h"

#define UIDL_PAGE 1000
#define UIDL_BYTES_MAX 70 /* RFC 1939 7 */
#define STRETCH_MESSAGES 2000
#define MAILDROP_UNCHANGED UINT32_MAX
#define DAYS_MAX 36500u

enum err
maildrop_get(struct txn *t, uint64_t account, struct row_maildrop *row)
{
	struct key k = key1('Y', account);
	struct slice value;
	*row = (struct row_maildrop){ 0 };
	enum err e = txn_get(t, key_slice(&k), &value);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	return row_maildrop_take(value, row) ? OK : row_damaged("maildrop");
}

static void
maildrop_put(struct txn *t, uint64_t account, const struct row_maildrop *row)
{
	struct key k = key1('Y', account);
	txn_put(t, key_slice(&k), row_maildrop_put(txn_arena(t), row));
}

enum err
fetched_get(struct txn *t, struct slice key, struct row_fetched *row)
{
	struct slice value;
	*row = (struct row_fetched){ 0 };
	enum err e = txn_get(t, key, &value);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	return row_fetched_take(value, row) ? OK : row_damaged("fetched");
}

static struct key
key_fetched(uint64_t account, uint64_t mailbox, uint32_t uid)
{
	struct key k = key2('y', account, mailbox);
	key_u32(&k, uid);
	return k;
}

/* ---- rules */

enum err
maildrop_set(struct job *j, struct txn *t)
{
	const struct store_maildrop_set_in *in = j->in;
	struct row_maildrop row;
	uint64_t account;
	enum err e = directory_account_of(t, in->address, &account);
	e = e ? e : maildrop_get(t, account, &row);
	if (e)
		return e;
	if (in->expire_days != MAILDROP_UNCHANGED)
		row.expire_days = in->expire_days;
	if (in->hide_days != MAILDROP_UNCHANGED)
		row.hide_days = in->hide_days;
	if (row.expire_days > DAYS_MAX || row.hide_days > DAYS_MAX)
		return ERR_LIMIT;
	maildrop_put(t, account, &row);
	return OK;
}

enum err
maildrop_show(struct job *j, struct txn *t)
{
	const struct store_maildrop_show_in *in = j->in;
	struct store_maildrop_show_out *out = j->out;
	struct row_maildrop row;
	uint64_t account;
	enum err e = directory_account_of(t, in->address, &account);
	e = e ? e : maildrop_get(t, account, &row);
	if (e)
		return e;
	out->expire_days = row.expire_days;
	out->hide_days = row.hide_days;
	return OK;
}

/* ---- fetched messages */

enum err
message_fetched(struct job *j, struct txn *t)
{
	const struct store_message_fetched_in *in = j->in;
	struct row_maildrop rules;
	enum err e = maildrop_get(t, j->account, &rules);
	for (size_t at = 0; !e && rules.expire_days && at + 4 <= in->uids.len; at += 4) {
		uint32_t uid = (uint32_t)bytes_get_le(in->uids.at + at, 4);
		struct key k = key_fetched(j->account, in->mailbox, uid);
		struct row_message message;
		struct row_fetched row;
		if (message_get(t, j->account, in->mailbox, uid, &message))
			continue;
		e = fetched_get(t, key_slice(&k), &row);
		if (e || row.fetched)
			continue;
		row.fetched = clock_wall_sec();
		txn_put(t, key_slice(&k), row_fetched_put(txn_arena(t), &row));
	}
	return e;
}

/* ---- UIDLs of another server */

enum err
maildrop_uidls(struct job *j, struct txn *t)
{
	const struct store_maildrop_uidls_in *in = j->in;
	struct store_maildrop_uidls_out *out = j->out;
	struct key from = key_fetched(j->account, in->mailbox, in->after), to = key2('y', j->account, in->mailbox);
	struct slice k, value;
	key_nul(&from);
	key_after_prefix(&to);
	out->uidls = ARENA_ARRAY(&j->call->arena, struct store_uidl, UIDL_PAGE);
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	while (!out->more && range_next(r, &k, &value)) {
		struct row_fetched row;
		if (!row_fetched_take(value, &row) || row.uidl.len == 0)
			continue;
		if (out->nuidls == UIDL_PAGE)
			out->more = true;
		else
			out->uidls[out->nuidls++] = (struct store_uidl){ .uid = (uint32_t)bytes_get_be(k.at + k.len - 4, 4),
				                                             .uidl = job_keep(j, row.uidl) };
	}
	return range_end(&r);
}

/* Ours are UIDVALIDITY.UID: who brings one of these would name another message with it. */
static bool
uidl_is_good(struct slice uidl, uint32_t uidvalidity)
{
	struct slice head, tail;
	uint64_t a, b;
	if (uidl.len == 0 || uidl.len > UIDL_BYTES_MAX)
		return false;
	for (size_t i = 0; i < uidl.len; i++)
		if (uidl.at[i] < 0x21 || uidl.at[i] > 0x7e)
			return false;
	return !slice_cut(uidl, '.', &head, &tail) || !slice_to_u64(head, &a) || a != uidvalidity ||
	       !slice_to_u64(tail, &b);
}

struct import {
	struct job *j;
	struct txn *t;
	uint64_t account, mailbox;
	const struct store_uidls_set_in *in;
	struct map by_uid, by_id, taken; /* uid -> entry, hash of Message-ID -> entry, hash of UIDL -> uid */
};

/* Those that messages have already, and those that come: each once. */
static enum err
import_begin(struct import *i, uint32_t uidvalidity)
{
	for (uint32_t n = 0; n < i->in->nuidls; n++) {
		struct store_uidl *u = &i->in->uidls[n];
		if (!uidl_is_good(u->uidl, uidvalidity) || (u->uid == 0) == (u->message_id.len == 0))
			return ERR_SYNTAX;
		if (map_get(&i->taken, slice_hash(u->uidl)))
			return ERR_EXISTS;
		map_set(&i->taken, slice_hash(u->uidl), u);
		if (u->uid)
			map_set(&i->by_uid, u->uid, u);
		else
			map_set(&i->by_id, slice_hash(u->message_id), u);
	}
	return OK;
}

static struct store_uidl *
entry_of(struct import *i, uint32_t uid, const struct row_message *m)
{
	struct store_uidl *u = map_get(&i->by_uid, uid);
	struct slice record;
	struct facts f;
	if (u || i->by_id.count == 0 || object_facts(i->t, m->object, &record) || !facts_open(&f, record))
		return u;
	struct slice id = facts_get(&f, FACTS_MESSAGE_ID);
	u = id.len ? map_get(&i->by_id, slice_hash(id)) : NULL;
	return u && slice_equal(u->message_id, id) ? u : NULL;
}

/* Another message that has one of these UIDLs already. */
static enum err
import_conflicts(struct import *i)
{
	struct key from = key2('y', i->account, i->mailbox), to = from;
	struct slice k, value;
	enum err e = OK;
	key_after_prefix(&to);
	struct range *r = range_begin(i->t, key_slice(&from), key_slice(&to), false);
	while (!e && range_next(r, &k, &value)) {
		struct row_fetched row;
		uint32_t uid = (uint32_t)bytes_get_be(k.at + k.len - 4, 4);
		const struct store_uidl *u =
		    row_fetched_take(value, &row) && row.uidl.len ? map_get(&i->taken, slice_hash(row.uidl)) : NULL;
		if (!u || !slice_equal(u->uidl, row.uidl) || (u->uid && u->uid == uid))
			continue;
		struct row_message m;
		bool there = message_get(i->t, i->account, i->mailbox, uid, &m) == OK;
		if (there && entry_of(i, uid, &m) != u)
			e = ERR_EXISTS;
		else if (there) /* an earlier stretch: another message with the same Message-ID does not get it, too */
			map_remove(&i->by_id, slice_hash(u->message_id));
	}
	enum err ended = range_end(&r);
	return e ? e : ended;
}

static enum err
import_one(struct import *i, uint32_t uid, const struct store_uidl *u)
{
	struct key k = key_fetched(i->account, i->mailbox, uid);
	struct row_fetched row;
	enum err e = fetched_get(i->t, key_slice(&k), &row);
	row.uidl = u->uidl;
	if (!e)
		txn_put(i->t, key_slice(&k), row_fetched_put(txn_arena(i->t), &row));
	return e;
}

static enum err
import_stretch(struct import *i, struct store_uidls_set_out *out)
{
	struct key from = key_message(i->account, i->mailbox, i->in->after), to = key2('u', i->account, i->mailbox);
	struct slice k, value;
	enum err e = OK;
	key_nul(&from);
	key_after_prefix(&to);
	out->last = i->in->after;
	struct range *r = range_begin(i->t, key_slice(&from), key_slice(&to), false);
	for (size_t n = 0; !e && !out->more && range_next(r, &k, &value); n++) {
		struct row_message m;
		if (n == STRETCH_MESSAGES) {
			out->more = true;
			break;
		}
		out->last = (uint32_t)bytes_get_be(k.at + k.len - 4, 4);
		const struct store_uidl *u = row_message_take(value, &m) ? entry_of(i, out->last, &m) : NULL;
		e = u ? import_one(i, out->last, u) : OK;
		out->found += u && !e;
		if (u)
			map_remove(u->uid ? &i->by_uid : &i->by_id, u->uid ? u->uid : slice_hash(u->message_id));
	}
	enum err ended = range_end(&r);
	return e ? e : ended;
}

enum err
uidls_set(struct job *j, struct txn *t)
{
	const struct store_uidls_set_in *in = j->in;
	struct import i = { .j = j, .t = t, .in = in };
	struct row_maildrop rules;
	struct row_name name;
	struct row_mailbox mailbox;
	enum err e = directory_account_of(t, in->address, &i.account);
	e = e ? e : maildrop_get(t, i.account, &rules);
	e = e ? e : name_get(t, i.account, S("INBOX"), &name);
	i.mailbox = e ? 0 : name.mailbox;
	e = e ? e : mailbox_get(t, i.account, i.mailbox, &mailbox);
	e = e ? e : import_begin(&i, mailbox.uidvalidity);
	e = e ? e : import_conflicts(&i);
	e = e ? e : import_stretch(&i, j->out);
	if (!e && !rules.uidls) {
		rules.uidls = true;
		maildrop_put(t, i.account, &rules);
	}
	map_release(&i.by_uid);
	map_release(&i.by_id);
	map_release(&i.taken);
	return e;
}
