/* SPDX-License-Identifier: Apache-2.0 */
/* calls.c - the calls of store.msg: arguments are checked here, then the work function of the file that knows the rows
 * runs, in a view (answered at once) or in an update (answered when it is durable). What an update asks to tell others
 * is told after it is durable, before its answer leaves. */
#include "store/rows_state.h"
#include "store/texts.h"

#include "base/counter.h"
#include "mail/bounce.h"

#define COMMIT_DELIVERIES_MAX 10000u /* of one call: the answer names all of them */

struct slice
job_keep(struct job *j, struct slice s)
{
	return slice_keep(&j->call->arena, s);
}

void
job_tell(struct job *j, uint64_t account, uint64_t mailbox, uint64_t modseq)
{
	struct job_notice *n = &j->notices[j->notices[0].account && j->notices[0].account != account];
	ASSERT(!n->account || n->account == account);
	bool other = n->account && n->mailbox != mailbox;
	n->account = account;
	n->mailbox = other ? 0 : mailbox;
	n->modseq = MAX(n->modseq, modseq);
}

static void
note(struct job *j, struct note n)
{
	struct note *kept = ARENA_NEW(&j->call->arena, struct note);
	*kept = n;
	kept->by = n.account == j->account ? j->handle : j->to_handle;
	if (j->last_note)
		j->last_note->next = kept;
	else
		j->notes = kept;
	j->last_note = kept;
}

void
job_tell_box(struct job *j, uint64_t account, const struct box *b)
{
	job_tell(j, account, b->id, b->row.modseq);
	if (b->changed)
		note(j, (struct note){ .account = account, .mailbox = b->id, .modseq = b->row.modseq, .what = b->changed });
}

void
job_note_name(struct job *j, const struct change *c, uint32_t what, struct slice name, struct slice old)
{
	note(j, (struct note){ .account = c->account,
	                       .modseq = c->counters.modseq,
	                       .what = what,
	                       .name = job_keep(j, name),
	                       .old = job_keep(j, old) });
}

void
job_note_rights(struct job *j, const struct change *c, uint32_t what, struct slice name, const struct row_acl *was)
{
	note(j, (struct note){ .account = c->account,
	                       .modseq = c->counters.modseq,
	                       .what = what,
	                       .name = job_keep(j, name),
	                       .acl = was->n ? row_acl_put(&j->call->arena, was) : SLICE_NONE });
}

void
job_note_sharer(struct job *j, const struct change *c, uint64_t sharer)
{
	note(j, (struct note){ .account = c->account,
	                       .mailbox = HISTORY_SHARER | sharer,
	                       .modseq = c->counters.modseq,
	                       .what = CHANGED_SHARER });
}

static struct store *
store_of(struct ipc_call *call)
{
	return ((struct store_peer *)call->peer->state)->store;
}

/* ---- views */

static enum err
view_run(struct store *s, struct txn *t, void *arg)
{
	struct job *j = arg;
	enum err e = job_admit(j, t);
	return e ? e : j->work(j, t);
}

static void
view(struct job *j)
{
	enum err e = store_view(j->s, view_run, j);
	if (e)
		ipc_fail(j->call, e);
	else
		ipc_reply(j->call, j->out);
}

static struct job
job_of(struct ipc_call *call, const void *in, size_t out_bytes, enum err (*work)(struct job *j, struct txn *t))
{
	return (struct job){ .s = store_of(call),
		                 .call = call,
		                 .in = in,
		                 .out = arena_alloc(&call->arena, out_bytes + 1),
		                 .out_bytes = out_bytes,
		                 .work = work,
		                 .queue_due = INT64_MAX };
}

static void
view_call(struct ipc_call *call, const void *in, size_t out_bytes, enum err (*work)(struct job *j, struct txn *t))
{
	struct job j = job_of(call, in, out_bytes, work);
	view(&j);
}

/* ---- what somebody else needs for a call (RFC 4314 4) */

static struct job_needs
needs_owner(void)
{
	return (struct job_needs){ .of = NEEDS_OWNER };
}

static struct job_needs
needs_later(void) /* the work itself looks */
{
	return (struct job_needs){ .of = NEEDS_NO_MAILBOX };
}

static struct job_needs
needs_id(uint64_t mailbox, uint32_t rights)
{
	return (struct job_needs){ .of = NEEDS_BY_ID, .rights = rights, .mailbox = mailbox };
}

static struct job_needs
needs_name(struct slice name, uint32_t rights)
{
	return (struct job_needs){ .of = NEEDS_BY_NAME, .rights = rights, .name = name };
}

/* The account of a handle and the region of a call; false: the call was answered. */
static bool
job_take_handle(struct job *j, const struct handle *h, struct job_needs need, const struct store_region *into)
{
	if (!h) {
		ipc_fail(j->call, ERR_STALE);
		return false;
	}
	j->account = h->account;
	j->handle = h->id;
	j->principal = h->principal;
	j->need = need;
	if (!into)
		return true;
	j->into = into->off % 8 ? NULL : shm_range(&j->call->peer->shm, into->off, into->len); /* rows of numbers go in */
	j->into_bytes = MIN(into->len, (uint64_t)UINT32_MAX);
	if (!j->into)
		ipc_fail(j->call, ERR_LIMIT);
	return j->into != NULL;
}

static bool
job_handle(struct job *j, uint32_t handle, struct job_needs need, const struct store_region *into)
{
	return job_take_handle(j, handle_of(j->call, handle), need, into);
}

static void
view_account(struct ipc_call *call, const void *in, size_t out_bytes, uint32_t handle, struct job_needs need,
             const struct store_region *into, enum err (*work)(struct job *j, struct txn *t))
{
	struct job j = job_of(call, in, out_bytes, work);
	if (job_handle(&j, handle, need, into))
		view(&j);
}

/* ---- updates */

static enum err
job_run(struct store *s, struct txn *t, struct update *u)
{
	struct job *j = CONTAINER_OF(u, struct job, update);
	memset(j->out, 0, j->out_bytes);
	memset(j->notices, 0, sizeof j->notices);
	j->revoke = j->unshare = 0;
	j->url_reset = (struct url_reset){ 0 };
	j->notes = j->last_note = NULL;
	j->queued = 0;
	j->queue_rows = 0;
	j->queue_due = INT64_MAX;
	j->to_remove = false;
	j->memo_kind = SLICE_NONE;
	j->modseqs = NULL;
	j->altered.n = 0;
	enum err e = job_admit(j, t);
	return e ? e : j->work(j, t);
}

/* It is durable: those who should know are told. */
static void
job_made(struct job *j)
{
	if (j->altered.n)
		index_altered(j->s, j->account, &j->altered);
	for (const struct note *n = j->notes; n; n = n->next)
		history_note(j->s, n);
	for (size_t i = 0; i < COUNT_OF(j->notices) && j->notices[i].account; i++)
		notice_changed(j->s, j->notices[i].account, j->notices[i].mailbox, j->notices[i].modseq);
	if (j->revoke)
		notice_revoked(j->s, j->revoke);
	if (j->url_reset.number)
		url_reset_made(j);
	if (j->unshare)
		account_unshare(j->s, j->unshare);
	if (j->queued)
		counter_add(COUNTER_QUEUED, j->queued);
	if (j->queue_rows)
		counter_add(COUNTER_QUEUE_ROWS, j->queue_rows);
	if (j->queue_due != INT64_MAX)
		notice_queue(j->s, j->queue_due);
	if (j->memo_kind.len)
		notice_memo(j->s, j->call->peer, j->memo_kind);
	if (j->to_remove)
		removal_soon(j->s);
}

static void
job_done(struct store *s, struct update *u, enum err e)
{
	struct job *j = CONTAINER_OF(u, struct job, update);
	if (!e)
		job_made(j);
	if (j->answers)
		j->answers(j, e);
	else if (e)
		ipc_fail(j->call, e);
	else
		ipc_reply(j->call, j->out);
}

static void
job_start(struct job *j)
{
	j->update.run = job_run;
	j->update.done = job_done;
	store_update(j->s, &j->update);
}

void
job_update(struct job *j, struct ipc_call *call, const void *in, size_t out_bytes,
           enum err (*work)(struct job *j, struct txn *t))
{
	struct job made = job_of(call, in, out_bytes, work);
	made.answers = j->answers;
	made.account = j->account;
	made.principal = j->principal;
	made.update.makes_space = j->update.makes_space;
	*j = made;
	job_start(j);
}

static struct job *
job_new(struct ipc_call *call, const void *in, size_t out_bytes, enum err (*work)(struct job *j, struct txn *t))
{
	struct job *j = ARENA_NEW(&call->arena, struct job);
	*j = job_of(call, in, out_bytes, work);
	return j;
}

static void
update_call(struct ipc_call *call, const void *in, size_t out_bytes, enum err (*work)(struct job *j, struct txn *t))
{
	job_start(job_new(call, in, out_bytes, work));
}

static void
update_account(struct ipc_call *call, const void *in, size_t out_bytes, uint32_t handle, struct job_needs need,
               enum err (*work)(struct job *j, struct txn *t))
{
	struct job *j = job_new(call, in, out_bytes, work);
	if (job_handle(j, handle, need, NULL))
		job_start(j);
}

/* ---- the simple ones: IN and OUT are the structs of the call */
#define VIEW(name)                                                                                                     \
	static void call_##name(struct ipc_call *call, const struct store_##name##_in *in)                                 \
	{                                                                                                                  \
		view_call(call, in, sizeof(struct store_##name##_out), name);                                                  \
	}
#define UPDATE(name)                                                                                                   \
	static void call_##name(struct ipc_call *call, const struct store_##name##_in *in)                                 \
	{                                                                                                                  \
		update_call(call, in, sizeof(struct store_##name##_out), name);                                                \
	}
#define VIEW_ACCOUNT(name, need)                                                                                       \
	static void call_##name(struct ipc_call *call, const struct store_##name##_in *in)                                 \
	{                                                                                                                  \
		view_account(call, in, sizeof(struct store_##name##_out), in->handle, need, NULL, name);                       \
	}
#define VIEW_INTO(name, need)                                                                                          \
	static void call_##name(struct ipc_call *call, const struct store_##name##_in *in)                                 \
	{                                                                                                                  \
		view_account(call, in, sizeof(struct store_##name##_out), in->handle, need, &in->into, name);                  \
	}
#define UPDATE_ACCOUNT(name, need)                                                                                     \
	static void call_##name(struct ipc_call *call, const struct store_##name##_in *in)                                 \
	{                                                                                                                  \
		update_account(call, in, sizeof(struct store_##name##_out), in->handle, need, name);                           \
	}

VIEW(resolve)
VIEW(sender_allowed)
UPDATE(domain_add)
UPDATE(domain_delete)
VIEW(domain_list)
VIEW(domain_show)
UPDATE(domain_set)
VIEW(unsubscribe_show)
UPDATE(unsubscribe)
UPDATE(account_add)
VIEW(account_show)
VIEW(account_list)
UPDATE(account_set)
UPDATE(alias_add)
UPDATE(maildrop_set)
VIEW(maildrop_show)
UPDATE(uidls_set)
UPDATE(alias_delete)
VIEW(alias_list)
UPDATE(memo_put)
VIEW(memo_get)
VIEW(memo_list)
VIEW(secret_get)
UPDATE(secret_put)
UPDATE(scram_put)
VIEW(store_status)
VIEW(queue_list)
UPDATE(account_public)
UPDATE(referral_set)
VIEW(referral_list)
VIEW_ACCOUNT(mailbox_referral, needs_owner())
VIEW_ACCOUNT(account_usage, needs_owner())
UPDATE_ACCOUNT(account_limit, needs_owner())
VIEW_ACCOUNT(account_changes, needs_later())
VIEW_ACCOUNT(sharer_list, needs_owner())
VIEW_ACCOUNT(acl_get, needs_name(in->name, ACL_ADMINISTER))
UPDATE_ACCOUNT(acl_set, needs_name(in->name, ACL_ADMINISTER))
VIEW_ACCOUNT(mailbox_list, needs_later())
VIEW_ACCOUNT(mailbox_status, needs_name(in->name, 0))
UPDATE_ACCOUNT(mailbox_create, needs_later())
UPDATE_ACCOUNT(mailbox_rename, needs_name(in->from, ACL_DELETE))
UPDATE_ACCOUNT(mailbox_subscribe, needs_owner())
VIEW_INTO(mailbox_changes, needs_id(in->mailbox, ACL_READ))
VIEW_ACCOUNT(maildrop_uidls, needs_owner())
VIEW_ACCOUNT(keyword_sets, needs_id(in->mailbox, ACL_READ))
VIEW_INTO(message_ids, needs_id(in->mailbox, ACL_READ))
UPDATE_ACCOUNT(mailbox_use, needs_owner())
UPDATE_ACCOUNT(url_sign, needs_name(in->name, ACL_READ))
UPDATE_ACCOUNT(url_reset, needs_later())
VIEW_ACCOUNT(metadata_get, needs_later())
UPDATE_ACCOUNT(metadata_set, needs_later())
VIEW_ACCOUNT(annotation_get, needs_id(in->mailbox, ACL_READ))
VIEW_ACCOUNT(annotation_changes, needs_id(in->mailbox, ACL_READ))

/* ---- accounts */

static void
call_account_open(struct ipc_call *call, const struct store_account_open_in *in)
{
	struct store_account_open_out out = { 0 };
	enum err e = account_open(call, in->grant, &out);
	if (e)
		ipc_fail(call, e);
	else
		ipc_reply(call, &out);
}

struct opening_shared {
	struct job job;
	uint64_t account;
};

static enum err
find_sharer(struct job *j, struct txn *t)
{
	return sharer_find(j, t, j->principal, j->in, &CONTAINER_OF(j, struct opening_shared, job)->account);
}

static void
call_account_open_shared(struct ipc_call *call, const struct store_account_open_shared_in *in)
{
	struct store_account_open_shared_out out = { 0 };
	struct opening_shared o = { .job = job_of(call, in, sizeof out, find_sharer) };
	if (!job_handle(&o.job, in->handle, needs_owner(), NULL))
		return;
	o.job.out = &out;
	enum err e = store_view(o.job.s, view_run, &o.job);
	if (e) {
		ipc_fail(call, e);
		return;
	}
	account_open_shared(handle_of(call, in->handle), o.account, &out);
	ipc_reply(call, &out);
}

struct opening_url {
	struct job job;
	uint64_t rights;
	struct opened_url opened;
};

static enum err
check_url(struct job *j, struct txn *t)
{
	struct opening_url *o = CONTAINER_OF(j, struct opening_url, job);
	return url_check(j, t, o->rights, &o->opened);
}

static void
call_url_open(struct ipc_call *call, const struct store_url_open_in *in)
{
	struct store_url_open_out out = { 0 };
	struct opening_url o = { .job = job_of(call, in, sizeof out, check_url) };
	if (!job_handle(&o.job, in->handle, needs_owner(), NULL))
		return;
	struct handle *h = handle_of(call, in->handle);
	o.rights = h->rights;
	enum err e = store_view(o.job.s, view_run, &o.job);
	if (e) {
		ipc_fail(call, e);
		return;
	}
	const struct opened_url *u = &o.opened;
	out.handle = account_open_message(h, u->account, u->principal, u->mailbox, in->url.uid);
	out.mailbox = u->mailbox;
	out.uidvalidity = u->uidvalidity;
	ipc_reply(call, &out);
}

static void
call_account_close(struct ipc_call *call, const struct store_account_close_in *in)
{
	account_close(call, in->handle);
	ipc_done(call);
}

struct maildrop_rules {
	uint64_t account;
	struct row_maildrop row;
};

static enum err
read_rules(struct store *s, struct txn *t, void *arg)
{
	struct maildrop_rules *r = arg;
	return maildrop_get(t, r->account, &r->row);
}

static void
call_maildrop_lock(struct ipc_call *call, const struct store_maildrop_lock_in *in)
{
	struct handle *h = handle_of(call, in->handle);
	struct maildrop_rules rules = { .account = h ? h->account : 0 };
	enum err e = !h ? ERR_STALE : h->by ? ERR_DENIED : maildrop_lock(h);
	e = e ? e : store_view(store_of(call), read_rules, &rules);
	struct store_maildrop_lock_out out = { rules.row.expire_days, rules.row.hide_days, rules.row.uidls };
	if (e)
		ipc_fail(call, e);
	else
		ipc_reply(call, &out);
}

static void
fetched_kept(struct job *j, enum err e)
{
	(void)e; /* a notice: they stay for longer */
	ipc_done(j->call);
}

static void
call_message_fetched(struct ipc_call *call, const struct store_message_fetched_in *in)
{
	if (!handle_of(call, in->handle)) {
		ipc_done(call);
		return;
	}
	struct job *j = job_new(call, in, 0, message_fetched);
	j->answers = fetched_kept;
	if (job_handle(j, in->handle, needs_owner(), NULL))
		job_start(j);
}

static void
call_grant_key(struct ipc_call *call, const struct store_grant_key_in *in)
{
	struct store_grant_key_out out = { slice_of(store_of(call)->rows->grant_key, GRANT_KEY_BYTES) };
	ipc_reply(call, &out);
}

static void
call_account_delete(struct ipc_call *call, const struct store_account_delete_in *in)
{
	struct job *j = job_new(call, in, sizeof(struct store_account_delete_out), account_delete);
	j->update.makes_space = true;
	job_start(j);
}

static void
call_mailbox_delete(struct ipc_call *call, const struct store_mailbox_delete_in *in)
{
	struct job *j = job_new(call, in, sizeof(struct store_mailbox_delete_out), mailbox_delete);
	j->update.makes_space = true;
	if (job_handle(j, in->handle, needs_name(in->name, ACL_DELETE), NULL))
		job_start(j);
}

/* ---- mailbox_open: a view; when messages stop being \Recent by it, an update before */

static void
opened_for_writing(struct job *j, enum err e)
{
	struct store_mailbox_open_out taken = *(struct store_mailbox_open_out *)j->out, *out = j->out;
	memset(out, 0, sizeof *out);
	j->work = mailbox_open;
	enum err read = store_view(j->s, view_run, j);
	if (!e) { /* else (the disk is full) they stay recent, and reading goes on */
		out->first_recent = taken.first_recent;
		out->mailbox.recent = taken.mailbox.recent;
	}
	if (read)
		ipc_fail(j->call, read);
	else
		ipc_reply(j->call, out);
}

static void
call_mailbox_open(struct ipc_call *call, const struct store_mailbox_open_in *in)
{
	struct job *j = job_new(call, in, sizeof(struct store_mailbox_open_out), mailbox_open);
	struct store_mailbox_open_out *out = j->out;
	if (!job_handle(j, in->handle, needs_name(in->name, ACL_READ), &in->into))
		return;
	enum err e = store_view(j->s, view_run, j);
	if (e) {
		ipc_fail(call, e);
	} else if (!in->write || out->mailbox.recent == 0 || !(j->granted & (ACL_FLAGS | ACL_INSERT | ACL_EXPUNGE))) {
		ipc_reply(call, out);
	} else {
		j->work = mailbox_open_write;
		j->answers = opened_for_writing;
		job_start(j);
	}
}

/* ---- messages */

static void
call_message_facts(struct ipc_call *call, const struct store_message_facts_in *in)
{
	struct job j = job_of(call, in, sizeof(struct store_message_facts_out), message_facts);
	uint32_t uid = in->uids.len == 4 ? (uint32_t)bytes_get_le(in->uids.at, 4) : 0;
	const struct handle *h = handle_of_reader(call, in->handle, in->mailbox, uid);
	if (job_take_handle(&j, h, needs_id(in->mailbox, ACL_READ), &in->into))
		view(&j);
}

static void
call_message_store(struct ipc_call *call, const struct store_message_store_in *in)
{
	struct job *j = job_new(call, in, sizeof(struct store_message_store_out), message_store);
	if (!job_handle(j, in->handle, needs_id(in->mailbox, ACL_READ), &in->into))
		return;
	if (in->op > FLAGS_REMOVE || (in->flags & ~(uint32_t)MESSAGE_FLAGS_ALL))
		ipc_fail(call, ERR_SYNTAX);
	else if (in->uids.len / 4 * INDEX_ROW_BYTES > j->into_bytes)
		ipc_fail(call, ERR_LIMIT);
	else
		job_start(j);
}

static void
call_annotation_set(struct ipc_call *call, const struct store_annotation_set_in *in)
{
	struct job *j = job_new(call, in, sizeof(struct store_annotation_set_out), annotation_set);
	/* RFC 5257 3.4: r for private ones; whether n is needed, the work looks */
	if (!job_handle(j, in->handle, needs_id(in->mailbox, ACL_READ), &in->into))
		return;
	if (in->uids.len / 4 * INDEX_ROW_BYTES > j->into_bytes)
		ipc_fail(call, ERR_LIMIT);
	else
		job_start(j);
}

static void
call_message_expunge(struct ipc_call *call, const struct store_message_expunge_in *in)
{
	struct job *j = job_new(call, in, sizeof(struct store_message_expunge_out), message_expunge);
	j->update.makes_space = true;
	/* RFC 4314 4: EXPUNGE; without \Deleted first it is STORE, too */
	if (job_handle(j, in->handle, needs_id(in->mailbox, ACL_EXPUNGE | (in->any ? ACL_DELETE_MESSAGE : 0)), NULL))
		job_start(j);
}

static void
call_message_copy(struct ipc_call *call, const struct store_message_copy_in *in)
{
	struct job *j = job_new(call, in, sizeof(struct store_message_copy_out), message_copy);
	struct handle *to = handle_of(call, in->to_handle ? in->to_handle : in->handle);
	/* RFC 6851 4.2: the rights of STORE, COPY and EXPUNGE */
	uint32_t need = ACL_READ | (in->move ? ACL_DELETE_MESSAGE | ACL_EXPUNGE : 0);
	if (!job_handle(j, in->handle, needs_id(in->mailbox, need), NULL))
		return;
	if (!to) {
		ipc_fail(call, ERR_STALE);
		return;
	}
	j->to_account = to->account;
	j->to_handle = to->id;
	j->to_principal = to->principal;
	job_start(j);
}

/* Where a body is; an empty one is none. */
static enum err
take_body(struct job *j, size_t i, const struct store_body *body)
{
	if (body->at.len == 0)
		return ERR_SYNTAX;
	enum err e = body_source_of(j->call->peer, body, &j->bodies[i]);
	j->update.bytes += e ? 0 : j->bodies[i].len;
	return e;
}

static enum err
check_append(struct job *j, const struct store_message_append_in *in)
{
	enum err e = in->nappends ? OK : ERR_SYNTAX;
	j->bodies = ARENA_ARRAY(&j->call->arena, struct body_source, in->nappends + 1);
	for (uint32_t i = 0; i < in->nappends && !e; i++) {
		bool strange = in->appends[i].flags & ~(uint32_t)MESSAGE_FLAGS_ALL;
		e = strange ? ERR_SYNTAX : take_body(j, i, &in->appends[i].body);
	}
	return e;
}

static void
call_message_append(struct ipc_call *call, const struct store_message_append_in *in)
{
	struct job *j = job_new(call, in, sizeof(struct store_message_append_out), message_append);
	struct handle *from = handle_of(call, in->replaced_handle ? in->replaced_handle : in->handle);
	if (!job_handle(j, in->handle, needs_name(in->mailbox, ACL_INSERT), NULL))
		return;
	enum err e = from ? check_append(j, in) : ERR_STALE;
	j->to_account = from ? from->account : 0;
	j->to_handle = from ? from->id : 0;
	j->to_principal = from ? from->principal : 0;
	if (e)
		ipc_fail(call, e);
	else
		job_start(j);
}

/* ---- commit */

/* Relay writes these into commands to other servers: what would be a line of its own there never gets into the queue,
 * whatever became of the session that asks. */
static bool
group_is_sound(const struct store_group *g)
{
	for (uint32_t i = 0; i < g->nrecipients; i++)
		if (slice_has_control(g->recipients[i].address) || slice_has_control(g->recipients[i].orcpt))
			return false;
	return g->nrecipients > 0 && !slice_has_control(g->domain) && g->due >= 0 && g->due <= SLOT_WHEN(-1ll);
}

static bool
envelope_is_sound(uint32_t class_bit, const struct store_mail *mail)
{
	const struct store_envelope *e = &mail->envelope;
	if (class_bit == IPC_CLASS_MX && e->account) /* nobody logs in there */
		return false;
	if (e->class >= CLASSES || e->priority < -PRIORITY_MAX || e->priority > PRIORITY_MAX ||
	    e->by_mode > (BY_RETURN | BY_TRACE) || e->flags > ENVELOPE_FLAGS_ALL || slice_has_control(e->language))
		return false;
	return e->skip <= mail->body.at.len && !slice_has_control(e->reverse_path) && !slice_has_control(e->envid) &&
	       !slice_has_control(e->session);
}

static enum err
check_mail(struct job *j, uint32_t i, const struct store_mail *mail)
{
	for (uint32_t d = 0; d < mail->ndeliveries; d++)
		if (mail->deliveries[d].flags & ~(uint32_t)MESSAGE_FLAGS_ALL)
			return ERR_SYNTAX;
	for (uint32_t g = 0; g < mail->ngroups; g++)
		if (!group_is_sound(&mail->groups[g]))
			return ERR_SYNTAX;
	if (!envelope_is_sound(j->call->peer->class_bit, mail))
		return ERR_SYNTAX;
	if (mail->body.at.len == 0 && mail->ndeliveries == 0 && mail->ngroups == 0)
		return OK;
	return take_body(j, i, &mail->body);
}

static bool
return_is_sound(const struct store_returned *r)
{
	for (uint32_t i = 0; i < r->nnames; i++)
		if (slice_has_control(r->names[i].text))
			return false;
	return !slice_has_control(r->path) && !slice_has_control(r->said) && !slice_has_control(r->at) &&
	       r->class < BOUNCE_CLASSES && (r->kind == BOUNCE_FAILED || r->kind == BOUNCE_COMPLAINT);
}

static bool
settle_is_sound(const struct store_settle *s)
{
	for (uint32_t i = 0; i < s->nbounced; i++)
		if (slice_has_control(s->bounced[i].address) || slice_has_control(s->bounced[i].said) ||
		    s->bounced[i].class >= BOUNCE_CLASSES)
			return false;
	return true;
}

static enum err
check_commit(struct job *j, const struct store_commit_in *in)
{
	uint32_t deliveries = 0;
	if (in->id.len != 16)
		return ERR_SYNTAX;
	if (in->nsettles && j->call->peer->class_bit != IPC_CLASS_RELAY) /* who never claimed has nothing to settle */
		return ERR_DENIED;
	for (uint32_t i = 0; i < in->nmails; i++)
		deliveries += in->mails[i].ndeliveries;
	for (uint32_t i = 0; i < in->nreturns; i++)
		if (!return_is_sound(&in->returns[i]))
			return ERR_SYNTAX;
	for (uint32_t i = 0; i < in->nsettles; i++) {
		deliveries += in->settles[i].ndeliveries;
		if (!settle_is_sound(&in->settles[i]))
			return ERR_SYNTAX;
	}
	if (deliveries > COMMIT_DELIVERIES_MAX)
		return ERR_LIMIT;
	enum err e = OK;
	j->bodies = ARENA_ARRAY(&j->call->arena, struct body_source, in->nmails + 1);
	for (uint32_t i = 0; i < in->nmails && !e; i++)
		e = check_mail(j, i, &in->mails[i]);
	return e;
}

static void
tell_delivered(struct store *s, const struct store_delivered *d, uint64_t modseq)
{
	struct note n = { .account = d->account, .mailbox = d->mailbox, .modseq = modseq, .what = CHANGED_NEW };
	history_note(s, &n);
	notice_changed(s, d->account, d->mailbox, modseq);
}

static void
committed(struct job *j, enum err e)
{
	const struct store_commit_in *in = j->in;
	struct store_commit_out *out = j->out;
	if (e) {
		out->verdict = e;
		out->delivered = NULL;
		out->ndelivered = out->rows = 0;
	} else if (j->modseqs) { /* not asked again: it was done now */
		counter_add(COUNTER_DELIVERED, out->ndelivered);
		for (uint32_t i = 0; i < out->ndelivered; i++)
			tell_delivered(j->s, &out->delivered[i], j->modseqs[i]);
	}
	for (uint32_t i = 0; i < in->nsettles && !e; i++)
		lease_settled(j->s, &in->settles[i]);
	ipc_reply(j->call, out);
}

static void
call_commit(struct ipc_call *call, const struct store_commit_in *in)
{
	struct job *j = job_new(call, in, sizeof(struct store_commit_out), commit_mails);
	enum err e = check_commit(j, in);
	if (e) {
		struct store_commit_out out = { .verdict = e, .culprit = STORE_NO_CULPRIT };
		ipc_reply(call, &out);
		return;
	}
	((struct store_commit_out *)j->out)->culprit = STORE_NO_CULPRIT; /* it may fail before it runs */
	j->answers = committed;
	j->update.makes_space = in->nmails == 0 && in->nreturns == 0;
	job_start(j);
}

const struct store_server store_handlers = {
	.resolve = call_resolve,
	.sender_allowed = call_sender_allowed,
	.commit = call_commit,
	.spool_open = spool_open_call,
	.spool_close = spool_close_call,
	.account_open = call_account_open,
	.account_open_shared = call_account_open_shared,
	.sharer_list = call_sharer_list,
	.acl_get = call_acl_get,
	.acl_set = call_acl_set,
	.account_close = call_account_close,
	.url_sign = call_url_sign,
	.url_reset = call_url_reset,
	.url_open = call_url_open,
	.account_usage = call_account_usage,
	.account_limit = call_account_limit,
	.account_changes = call_account_changes,
	.mailbox_list = call_mailbox_list,
	.mailbox_status = call_mailbox_status,
	.mailbox_create = call_mailbox_create,
	.mailbox_delete = call_mailbox_delete,
	.mailbox_rename = call_mailbox_rename,
	.mailbox_subscribe = call_mailbox_subscribe,
	.mailbox_open = call_mailbox_open,
	.mailbox_changes = call_mailbox_changes,
	.keyword_sets = call_keyword_sets,
	.mailbox_use = call_mailbox_use,
	.metadata_get = call_metadata_get,
	.metadata_set = call_metadata_set,
	.annotation_get = call_annotation_get,
	.annotation_set = call_annotation_set,
	.annotation_changes = call_annotation_changes,
	.message_facts = call_message_facts,
	.message_ids = call_message_ids,
	.message_bodies = message_bodies_call,
	.message_body = message_body_call,
	.message_store = call_message_store,
	.message_copy = call_message_copy,
	.message_expunge = call_message_expunge,
	.message_append = call_message_append,
	.search_text = search_text_call,
	.sort_keys = sort_keys_call,
	.index_next = index_next_call,
	.texts_wanted = texts_wanted_call,
	.text_body = text_body_call,
	.texts_put = texts_put_call,
	.pack_wanted = pack_wanted_call,
	.texts_get = texts_get_call,
	.pack_put = pack_put_call,
	.packs_drop = packs_drop_call,
	.search_status = search_status_call,
	.search_rebuild = search_rebuild_call,
	.maildrop_lock = call_maildrop_lock,
	.maildrop_uidls = call_maildrop_uidls,
	.maildrop_set = call_maildrop_set,
	.maildrop_show = call_maildrop_show,
	.uidls_set = call_uidls_set,
	.message_fetched = call_message_fetched,
	.queue_claim = queue_claim_call,
	.queue_renew = queue_renew_call,
	.queue_body = queue_body_call,
	.memo_put = call_memo_put,
	.memo_get = call_memo_get,
	.memo_list = call_memo_list,
	.secret_get = call_secret_get,
	.secret_put = call_secret_put,
	.scram_put = call_scram_put,
	.grant_key = call_grant_key,
	.domain_add = call_domain_add,
	.domain_delete = call_domain_delete,
	.domain_list = call_domain_list,
	.domain_show = call_domain_show,
	.domain_set = call_domain_set,
	.unsubscribe_show = call_unsubscribe_show,
	.unsubscribe = call_unsubscribe,
	.account_add = call_account_add,
	.account_show = call_account_show,
	.account_list = call_account_list,
	.account_delete = call_account_delete,
	.account_set = call_account_set,
	.account_public = call_account_public,
	.referral_set = call_referral_set,
	.referral_list = call_referral_list,
	.mailbox_referral = call_mailbox_referral,
	.alias_add = call_alias_add,
	.alias_delete = call_alias_delete,
	.alias_list = call_alias_list,
	.queue_list = call_queue_list,
	.queue_change = queue_change_call,
	.store_status = call_store_status,
	.closed = store_peer_closed,
};
