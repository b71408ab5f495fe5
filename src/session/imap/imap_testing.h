/* SPDX-License-Identifier: Apache-2.0 */
/* imap_testing.h - for fuzzers: a store of one account in memory, behind store.msg. INBOX has messages; "other" has
 * none, takes any, and keeps nothing. Every fail_every-th call fails with `failure`. */
#ifndef IMAP_IMAP_TESTING_H
#define IMAP_IMAP_TESTING_H

#include "session/imap/keys_walk.h"
#include "session/session_testing.h"

#define FAKE_MESSAGES_MAX 64

struct fake_mail {
	struct index_row rows[FAKE_MESSAGES_MAX];
	struct slice bodies[FAKE_MESSAGES_MAX];
	uint32_t gone[FAKE_MESSAGES_MAX]; /* uids */
	uint64_t gone_at[FAKE_MESSAGES_MAX];
	size_t n, ngone;
	uint32_t uidnext;
	uint64_t modseq;
	unsigned calls, fail_every, columns_asked;
	enum err failure;
	struct arena arena;
};
static struct fake_mail fake_mail;

static bool
fake_fails(struct ipc_call *call)
{
	struct fake_mail *m = &fake_mail;
	if (!m->fail_every || ++m->calls % m->fail_every)
		return false;
	ipc_fail(call, m->failure);
	return true;
}

static void
fake_add(struct slice body, uint32_t flags)
{
	struct fake_mail *m = &fake_mail;
	if (m->n == FAKE_MESSAGES_MAX)
		return;
	m->bodies[m->n] = slice_keep(&m->arena, body);
	m->rows[m->n++] = (struct index_row){ .uid = m->uidnext++,
		                                  .flags = flags,
		                                  .modseq = ++m->modseq,
		                                  .keyword_set = m->n % 2,
		                                  .bytes = (uint32_t)body.len,
		                                  .received = 1000000000 };
}

static void
fake_remove(size_t i)
{
	struct fake_mail *m = &fake_mail;
	if (m->ngone < FAKE_MESSAGES_MAX) {
		m->gone[m->ngone] = m->rows[i].uid;
		m->gone_at[m->ngone++] = ++m->modseq;
	}
	m->n--;
	memmove(&m->rows[i], &m->rows[i + 1], (m->n - i) * sizeof m->rows[0]);
	memmove(&m->bodies[i], &m->bodies[i + 1], (m->n - i) * sizeof m->bodies[0]);
}

static struct store_mailbox
fake_mailbox(void)
{
	return (struct store_mailbox){ .id = 1,
		                           .name = S("INBOX"),
		                           .uidvalidity = 1,
		                           .uidnext = fake_mail.uidnext,
		                           .modseq = fake_mail.modseq,
		                           .messages = (uint32_t)fake_mail.n,
		                           .attributes = MAILBOX_SUBSCRIBED,
		                           .rights = ACL_ALL };
}

static char *
fake_region(struct ipc_call *call, struct store_region r)
{
	char *at = shm_range(&call->peer->shm, r.off, r.len);
	ASSERT(at || r.len == 0);
	return at;
}

static bool
fake_named(struct slice uids, uint32_t uid)
{
	for (size_t i = 0; i + 4 <= uids.len; i += 4)
		if (bytes_get_le(uids.at + i, 4) == uid)
			return true;
	return false;
}

/* ---- account, mailboxes */

static void
fake_open_account(struct ipc_call *call, const struct store_account_open_in *in)
{
	store_account_open_reply(call,
	                         &(struct store_account_open_out){ .handle = 1, .account = 1, .address = S("me@x.test") });
}

static void
fake_account_close(struct ipc_call *call, const struct store_account_close_in *in)
{
	ipc_done(call);
}

static void
fake_account_usage(struct ipc_call *call, const struct store_account_usage_in *in)
{
	if (!fake_fails(call))
		store_account_usage_reply(call, &(struct store_account_usage_out){ .usage.bytes_max = 1 << 20 });
}

/* bob shares his INBOX and more, "Team" is public and has no INBOX to see. */
static void
fake_account_open_shared(struct ipc_call *call, const struct store_account_open_shared_in *in)
{
	ASSERT((in->address.len > 0) != (in->public.len > 0));
	if (fake_fails(call))
		return;
	if (slice_equal_nocase(in->address, S("bob@x.test")) || slice_equal_nocase(in->public, S("Team")))
		store_account_open_shared_reply(call, &(struct store_account_open_shared_out){ .handle = 2, .account = 2 });
	else
		ipc_fail(call, ERR_NOT_FOUND);
}

static void
fake_sharer_list(struct ipc_call *call, const struct store_sharer_list_in *in)
{
	struct store_sharer all[] = { { 2, S("team@x.test"), S("Team"), false, true },
		                          { 3, S("bob@x.test"), S(""), true, true } };
	if (!fake_fails(call))
		store_sharer_list_reply(call, &(struct store_sharer_list_out){ all, 2, 3, false });
}

static void
fake_acl_get(struct ipc_call *call, const struct store_acl_get_in *in)
{
	struct store_acl_entry all[] = { { S("me@x.test"), ACL_ALL },
		                             { S("anyone"), 3 },
		                             { S("-\xc3\xbc@x.test"), 0x400 } };
	if (!fake_fails(call))
		store_acl_get_reply(call, &(struct store_acl_get_out){ all, 3 });
}

static void
fake_acl_set(struct ipc_call *call, const struct store_acl_set_in *in)
{
	ASSERT(in->op <= ACL_REVOKE && !(in->rights & ~(uint32_t)ACL_ALL) && in->identifier.len);
	if (fake_fails(call))
		return;
	if (slice_starts(in->identifier, S("me")))
		ipc_fail(call, ERR_CONFLICT);
	else if (!slice_equal(in->identifier, S("anyone")))
		ipc_fail(call, ERR_SYNTAX);
	else
		store_acl_set_reply(call, &(struct store_acl_set_out){ 0 });
}

static void
fake_url_sign(struct ipc_call *call, const struct store_url_sign_in *in)
{
	char token[URL_TOKEN_BYTES] = { 1 };
	ASSERT(in->url.uid && in->url.text.len && in->url.access <= URL_SUBMIT && in->url.expires >= 0);
	ASSERT((in->url.access >= URL_USER) == (in->url.user.len > 0) && slice_is_utf8(in->name));
	if (fake_fails(call))
		return;
	if (slice_equal(in->name, S("INBOX")))
		store_url_sign_reply(call, &(struct store_url_sign_out){ slice_of(token, sizeof token) });
	else
		ipc_fail(call, ERR_NOT_FOUND);
}

static void
fake_url_reset(struct ipc_call *call, const struct store_url_reset_in *in)
{
	if (!fake_fails(call))
		store_url_reset_reply(call, &(struct store_url_reset_out){ 0 });
}

/* Any token is good whose last byte is even. */
static void
fake_url_open(struct ipc_call *call, const struct store_url_open_in *in)
{
	ASSERT(in->token.len == URL_TOKEN_BYTES && in->signer.len && in->url.uid);
	if (fake_fails(call))
		return;
	if (in->token.at[URL_TOKEN_BYTES - 1] % 2)
		ipc_fail(call, ERR_NOT_FOUND);
	else
		store_url_open_reply(call, &(struct store_url_open_out){ .handle = 3, .mailbox = 1, .uidvalidity = 1 });
}

static void
fake_account_limit(struct ipc_call *call, const struct store_account_limit_in *in)
{
	if (!fake_fails(call))
		ipc_fail(call, ERR_DENIED);
}

static void
fake_metadata_get(struct ipc_call *call, const struct store_metadata_get_in *in)
{
	struct store_annotation all[100];
	struct store_metadata_get_out out = { all, 0 };
	if (fake_fails(call))
		return;
	for (uint32_t i = 0; i < in->nentries; i++)
		all[out.nannotations++] =
		    (struct store_annotation){ in->entries[i].text,
			                           slice_ends(in->entries[i].text, S("/x")) ? S("OR ALL SEEN") : S("FILTER x"),
			                           in->entries[i].text.len % 3 == 0 };
	store_metadata_get_reply(call, &out);
}

static void
fake_metadata_set(struct ipc_call *call, const struct store_metadata_set_in *in)
{
	if (!fake_fails(call))
		store_metadata_set_reply(call, &(struct store_metadata_set_out){ 0 });
}

/* Each second message has annotations, one of them with any bytes. */
static void
fake_annotation_get(struct ipc_call *call, const struct store_annotation_get_in *in)
{
	static struct store_annotated all[2 * FAKE_MESSAGES_MAX];
	struct store_annotation_get_out out = { all, 0 };
	ASSERT(in->uids.len >= 4 && (in->private || in->shared) && in->nentries <= 100);
	if (fake_fails(call))
		return;
	for (size_t i = 0; i < fake_mail.n; i++) {
		uint32_t uid = fake_mail.rows[i].uid;
		if (uid % 2 || !fake_named(in->uids, uid))
			continue;
		all[out.nannotated++] = (struct store_annotated){ uid, { S("/comment"), S("a \"comment\""), .shared = true } };
		all[out.nannotated++] = (struct store_annotated){ uid, { S("/vendor/x y/z"), slice_of("a\0\r\n", 4) } };
	}
	out.last = (uint32_t)bytes_get_le(in->uids.at + in->uids.len - 4, 4);
	store_annotation_get_reply(call, &out);
}

static void
fake_annotation_set(struct ipc_call *call, const struct store_annotation_set_in *in)
{
	struct store_annotation_set_out out = { .was = fake_mail.modseq, .modseq = fake_mail.modseq + 1 };
	struct index_row *to = (void *)fake_region(call, in->into);
	ASSERT(in->into.len >= in->uids.len / 4 * INDEX_ROW_BYTES && in->uids.len && in->nannotations);
	for (uint32_t i = 0; i < in->nannotations; i++)
		ASSERT(slice_starts(in->annotations[i].entry, S("/")) && slice_is_ascii(in->annotations[i].entry));
	if (fake_fails(call))
		return;
	fake_mail.modseq++;
	for (size_t i = 0; i < fake_mail.n; i++) {
		struct index_row *row = &fake_mail.rows[i];
		if (!fake_named(in->uids, row->uid) || row->modseq > in->unchanged_since)
			continue;
		row->modseq = fake_mail.modseq;
		to[out.filled / INDEX_ROW_BYTES] = *row;
		out.filled += INDEX_ROW_BYTES;
	}
	store_annotation_set_reply(call, &out);
}

static void
fake_annotation_changes(struct ipc_call *call, const struct store_annotation_changes_in *in)
{
	struct store_annotation_change all[] = { { 2, S("/comment"), fake_mail.modseq },
		                                     { 2, S("/vendor/x y/z"), in->since + 1 },
		                                     { 99, S("/comment"), fake_mail.modseq } };
	if (!fake_fails(call))
		store_annotation_changes_reply(call, &(struct store_annotation_changes_out){ all, 3, in->after == 0 });
}

static void
fake_mailbox_referral(struct ipc_call *call, const struct store_mailbox_referral_in *in)
{
	struct store_mailbox_referral_out out = { .address = S("me@x.test") };
	if (slice_starts(in->name, S("far"))) {
		out.url = fake_mail.calls % 3 ? S("imap://far.test/Far") : S("imap://no url]");
		out.rest = slice_from(in->name, 3);
	}
	if (!fake_fails(call))
		store_mailbox_referral_reply(call, &out);
}

static void
fake_mailbox_use(struct ipc_call *call, const struct store_mailbox_use_in *in)
{
	if (!fake_fails(call))
		store_mailbox_use_reply(call, &(struct store_mailbox_use_out){ 0 });
}

static void
fake_mailbox_list(struct ipc_call *call, const struct store_mailbox_list_in *in)
{
	struct store_mailbox all[] = {
		fake_mailbox(),
		{ .name = S("sub"), .attributes = MAILBOX_NOSELECT | MAILBOX_HAS_CHILDREN },
		{ .id = 2, .name = S("sub/\xc3\xbc"), .attributes = MAILBOX_SUBSCRIBED, .rights = 1 },
		{ .name = S("Shared/Team/old"), .attributes = MAILBOX_SUBSCRIBED }
	};
	if (!fake_fails(call))
		store_mailbox_list_reply(call, &(struct store_mailbox_list_out){ .mailboxes = all, .nmailboxes = 4 });
}

static void
fake_account_changes(struct ipc_call *call, const struct store_account_changes_in *in)
{
	struct store_account_change all[] = {
		{ fake_mail.calls | CHANGED_MESSAGES, S("old"), fake_mail.calls & ACL_ALL, fake_mailbox() },
		{ CHANGED_RENAMED, S("\xc3\xbc"), ACL_ALL, { .id = 2, .name = S("sub/\xc3\xbc") } },
		{ CHANGED_RIGHTS, S(""), ACL_ALL, { .name = S("INBOX") } },
		{ CHANGED_SHARER, S("bob@x.test"), ACL_ALL, { .name = S("") } },
		{ CHANGED_SUBSCRIPTION,
		  S(""),
		  ACL_ALL,
		  { .name = S("Other Users/bob@x.test"), .attributes = MAILBOX_SUBSCRIBED } },
	};
	if (!fake_fails(call))
		store_account_changes_reply(call,
		                            &(struct store_account_changes_out){ .upto = fake_mail.modseq,
		                                                                 .changes = all,
		                                                                 .nchanges = in->since ? COUNT_OF(all) : 0,
		                                                                 .lost = in->since % 5 == 4 });
}

static void
fake_mailbox_status(struct ipc_call *call, const struct store_mailbox_status_in *in)
{
	ASSERT(slice_is_utf8(in->name) && in->name.len);
	if (fake_fails(call))
		return;
	if (!slice_equal(in->name, S("INBOX")))
		ipc_fail(call, ERR_NOT_FOUND);
	else
		store_mailbox_status_reply(call, &(struct store_mailbox_status_out){ fake_mailbox() });
}

static void
fake_mailbox_create(struct ipc_call *call, const struct store_mailbox_create_in *in)
{
	if (!fake_fails(call))
		store_mailbox_create_reply(call, &(struct store_mailbox_create_out){ 3, 3 });
}

static void
fake_mailbox_delete(struct ipc_call *call, const struct store_mailbox_delete_in *in)
{
	if (!fake_fails(call))
		store_mailbox_delete_reply(call, &(struct store_mailbox_delete_out){ 0 });
}

static void
fake_mailbox_rename(struct ipc_call *call, const struct store_mailbox_rename_in *in)
{
	if (!fake_fails(call))
		store_mailbox_rename_reply(call, &(struct store_mailbox_rename_out){ 0 });
}

static void
fake_mailbox_subscribe(struct ipc_call *call, const struct store_mailbox_subscribe_in *in)
{
	if (!fake_fails(call))
		store_mailbox_subscribe_reply(call, &(struct store_mailbox_subscribe_out){ 0 });
}

static void
fake_mailbox_open(struct ipc_call *call, const struct store_mailbox_open_in *in)
{
	struct store_mailbox_open_out out = { .mailbox = fake_mailbox(), .first_recent = 2, .shared = -1 };
	struct index_row *to = (void *)fake_region(call, in->into);
	size_t max = in->into.len / INDEX_ROW_BYTES;
	if (fake_fails(call))
		return;
	if (!slice_equal(in->name, S("INBOX"))) {
		ipc_fail(call, ERR_NOT_FOUND);
		return;
	}
	for (size_t i = 0; i < fake_mail.n; i++) {
		if (fake_mail.rows[i].uid < in->from_uid)
			continue;
		if (out.filled / INDEX_ROW_BYTES == max) {
			out.more = true;
			break;
		}
		to[out.filled / INDEX_ROW_BYTES] = fake_mail.rows[i];
		out.filled += INDEX_ROW_BYTES;
	}
	store_mailbox_open_reply(call, &out);
}

static void
fake_mailbox_changes(struct ipc_call *call, const struct store_mailbox_changes_in *in)
{
	struct store_mailbox_changes_out out = { .mailbox = fake_mailbox(), .upto = fake_mail.modseq };
	struct index_row *to = (void *)fake_region(call, in->into);
	char vanished[4 * FAKE_MESSAGES_MAX];
	ASSERT(in->into.len >= FAKE_MESSAGES_MAX * INDEX_ROW_BYTES);
	if (fake_fails(call))
		return;
	out.whole = in->since % 7 == 5;
	for (size_t i = 0; i < fake_mail.n; i++)
		if (fake_mail.rows[i].modseq > in->since) {
			to[out.filled / INDEX_ROW_BYTES] = fake_mail.rows[i];
			out.filled += INDEX_ROW_BYTES;
		}
	for (size_t i = 0; i < fake_mail.ngone; i++)
		if (fake_mail.gone_at[i] > in->since) {
			bytes_set_le(vanished + out.vanished.len, fake_mail.gone[i], 4);
			out.vanished.len += 4;
		}
	out.vanished.at = vanished;
	store_mailbox_changes_reply(call, &out);
}

static void
fake_keyword_sets(struct ipc_call *call, const struct store_keyword_sets_in *in)
{
	struct store_keyword_set set = { 1, S("$Forwarded x") };
	if (!fake_fails(call))
		store_keyword_sets_reply(call, &(struct store_keyword_sets_out){ &set, 1 });
}

/* ---- messages */

enum fake_entry { FAKE_FACTS, FAKE_IDS, FAKE_BODIES };

/* Entries of the uids, as many as fit. */
static void
fake_entries(struct ipc_call *call, struct slice uids, struct store_region into, enum fake_entry what, uint32_t *filled,
             uint32_t *last, uint64_t *need)
{
	char *to = fake_region(call, into);
	for (size_t i = 0; i < fake_mail.n; i++) {
		struct buf record;
		buf_init(&record, FACTS_BYTES_MAX);
		if (!fake_named(uids, fake_mail.rows[i].uid))
			continue;
		if (what == FAKE_IDS)
			buf_put_le(&record, fake_mail.rows[i].uid, 8);
		else if (what == FAKE_FACTS)
			ASSERT(facts_of_message(fake_mail.bodies[i], &record));
		else
			buf_put(&record, fake_mail.bodies[i].len ? fake_mail.bodies[i] : S(""));
		size_t room = 8 + ((record.len + 7) & ~(size_t)7);
		bool fits = room <= into.len - *filled;
		if (fits) {
			bytes_set_le(to + *filled, fake_mail.rows[i].uid, 4);
			bytes_set_le(to + *filled + 4, record.len, 4);
			if (record.len)
				memcpy(to + *filled + 8, record.at, record.len);
			*filled += (uint32_t)room;
			*last = fake_mail.rows[i].uid;
		} else {
			*need = *filled ? 0 : room;
		}
		buf_release(&record);
		if (!fits)
			return;
	}
	*last = (uint32_t)bytes_get_le(uids.at + uids.len - 4, 4);
}

static void
fake_message_facts(struct ipc_call *call, const struct store_message_facts_in *in)
{
	struct store_message_facts_out out = { 0 };
	if (fake_fails(call))
		return;
	fake_entries(call, in->uids, in->into, FAKE_FACTS, &out.filled, &out.last, &out.need);
	store_message_facts_reply(call, &out);
}

static void
fake_message_ids(struct ipc_call *call, const struct store_message_ids_in *in)
{
	struct store_message_ids_out out = { 0 };
	if (fake_fails(call))
		return;
	fake_entries(call, in->uids, in->into, FAKE_IDS, &out.filled, &out.last, &out.need);
	store_message_ids_reply(call, &out);
}

static void
fake_message_bodies(struct ipc_call *call, const struct store_message_bodies_in *in)
{
	struct store_message_bodies_out out = { 0 };
	if (fake_fails(call))
		return;
	fake_entries(call, in->uids, in->into, FAKE_BODIES, &out.filled, &out.last, &out.need);
	store_message_bodies_reply(call, &out);
}

static void
fake_message_store(struct ipc_call *call, const struct store_message_store_in *in)
{
	struct store_message_store_out out = { .was = fake_mail.modseq, .modseq = fake_mail.modseq + 1 };
	struct index_row *to = (void *)fake_region(call, in->into);
	fake_mail.modseq = out.modseq;
	ASSERT(in->into.len >= in->uids.len / 4 * INDEX_ROW_BYTES && in->uids.len);
	if (fake_fails(call))
		return;
	char refused[4 * FAKE_MESSAGES_MAX];
	out.refused.at = refused;
	for (size_t i = 0; i < fake_mail.n; i++) {
		struct index_row *row = &fake_mail.rows[i];
		if (!fake_named(in->uids, row->uid))
			continue;
		if (row->modseq > in->unchanged_since) {
			bytes_set_le(refused + out.refused.len, row->uid, 4);
			out.refused.len += 4;
			continue;
		}
		row->flags = in->op == FLAGS_SET      ? in->flags
		             : in->op == FLAGS_REMOVE ? row->flags & ~in->flags
		                                      : row->flags | in->flags;
		row->modseq = fake_mail.modseq;
		to[out.filled / INDEX_ROW_BYTES] = *row;
		out.filled += INDEX_ROW_BYTES;
	}
	store_message_store_reply(call, &out);
}

static void
fake_message_copy(struct ipc_call *call, const struct store_message_copy_in *in)
{
	struct store_message_copy_out out = { .uidvalidity = 1 };
	char from[4 * FAKE_MESSAGES_MAX], into[4 * FAKE_MESSAGES_MAX];
	if (fake_fails(call))
		return;
	if (!slice_equal(in->to, S("INBOX")) && !slice_equal(in->to, S("other"))) {
		ipc_fail(call, ERR_NOT_FOUND);
		return;
	}
	size_t n = fake_mail.n, k = 0;
	for (size_t i = 0; i < n; i++) {
		if (!fake_named(in->uids, fake_mail.rows[i].uid))
			continue;
		bytes_set_le(from + 4 * k, fake_mail.rows[i].uid, 4);
		bytes_set_le(into + 4 * k++, fake_mail.uidnext, 4);
		if (slice_equal(in->to, S("INBOX")))
			fake_add(fake_mail.bodies[i], fake_mail.rows[i].flags);
	}
	for (size_t i = n; in->move && i-- > 0;)
		if (fake_named(in->uids, fake_mail.rows[i].uid))
			fake_remove(i);
	out.from = slice_of(from, 4 * k);
	out.into = slice_of(into, 4 * k);
	store_message_copy_reply(call, &out);
}

static void
fake_message_expunge(struct ipc_call *call, const struct store_message_expunge_in *in)
{
	struct store_message_expunge_out out = { 0 };
	char vanished[4 * FAKE_MESSAGES_MAX];
	if (fake_fails(call))
		return;
	for (size_t i = fake_mail.n; i-- > 0;) {
		uint32_t uid = fake_mail.rows[i].uid;
		if (!(fake_mail.rows[i].flags & MESSAGE_DELETED) || (in->uids.len && !fake_named(in->uids, uid)))
			continue;
		bytes_set_le(vanished + out.vanished.len, uid, 4);
		out.vanished.len += 4;
		fake_remove(i);
	}
	out.vanished.at = vanished;
	store_message_expunge_reply(call, &out);
}

static void
fake_message_body(struct ipc_call *call, const struct store_message_body_in *in)
{
	struct store_message_body_out out = { 0 };
	char *to = fake_region(call, in->into);
	size_t i = 0;
	if (fake_fails(call))
		return;
	while (i < fake_mail.n && fake_mail.rows[i].uid != in->uid)
		i++;
	if (i == fake_mail.n || in->mailbox != 1) {
		ipc_fail(call, ERR_NOT_FOUND);
		return;
	}
	struct slice piece = slice_part(fake_mail.bodies[i], (size_t)in->from, (size_t)in->into.len);
	if (piece.len)
		memcpy(to, piece.at, piece.len);
	out.filled = (uint32_t)piece.len;
	out.total = fake_mail.bodies[i].len;
	store_message_body_reply(call, &out);
}

static void
fake_message_append(struct ipc_call *call, const struct store_message_append_in *in)
{
	static char uids[4 * 10000];
	ASSERT(in->nappends >= 1 && in->nappends <= 10000);
	if (fake_fails(call))
		return;
	size_t old = 0;
	while (in->replaced && old < fake_mail.n && fake_mail.rows[old].uid != in->replaced)
		old++;
	ASSERT(!in->replaced || (in->replaced_mailbox == 1 && in->nappends == 1));
	if (in->replaced && old == fake_mail.n) {
		ipc_fail(call, ERR_CONFLICT);
		return;
	}
	if (in->replaced)
		fake_remove(old);
	for (uint32_t i = 0; i < in->nappends; i++) {
		const struct store_append *a = &in->appends[i];
		ASSERT(a->body.at.len);
		bytes_set_le(uids + 4 * i, fake_mail.uidnext, 4);
		if (slice_equal(in->mailbox, S("INBOX")) && !a->body.spool)
			fake_add(slice_of(fake_region(call, a->body.at), a->body.at.len), a->flags);
	}
	store_message_append_reply(
	    call, &(struct store_message_append_out){ 1, slice_of(uids, 4 * in->nappends), fake_mail.modseq });
}

/* Every third message has no text yet; of the others each second has what is looked for. Two messages in one answer. */
static void
fake_search_text(struct ipc_call *call, const struct store_search_text_in *in)
{
	struct store_search_text_out out = { 0 };
	char *to = fake_region(call, in->into);
	ASSERT(in->nkeys >= 1 && in->nkeys <= STORE_SEARCH_KEYS_MAX && in->into.len >= 8 && in->from);
	for (uint32_t i = 0; i < in->nkeys; i++)
		ASSERT(in->keys[i].where <= 2 && slice_is_utf8(in->keys[i].needle));
	if (fake_fails(call))
		return;
	for (size_t i = 0; i < fake_mail.n; i++) {
		uint32_t uid = fake_mail.rows[i].uid;
		if (uid < in->from || (in->uids.len && !fake_named(in->uids, uid)))
			continue;
		out.more = out.filled == 16;
		if (out.more)
			break;
		bytes_set_le(to + out.filled, uid, 4);
		bytes_set_le(to + out.filled + 4, uid % 2, 2);
		bytes_set_le(to + out.filled + 6, uid % 3 ? 0 : UINT16_MAX, 2);
		out.filled += 8;
		out.upto = uid;
	}
	store_search_text_reply(call, &out);
}

/* Packs of two messages, of which every third is not known, some without the second column; one pack in one answer. */
static void
fake_sort_keys(struct ipc_call *call, const struct store_sort_keys_in *in)
{
	struct store_sort_keys_out out = { .upto = in->to };
	struct sort_keys_maker *m = sort_keys_maker_new();
	char *to = fake_region(call, in->into);
	struct buf columns;
	uint32_t n = 0;
	fake_mail.columns_asked++;
	ASSERT(in->from && in->from <= in->to && (in->columns & 1) && in->columns < 1u << SORT_KEYS_COLUMNS);
	buf_init(&columns, 1u << 20);
	for (size_t i = 0; i < fake_mail.n && n < 2; i++) {
		uint32_t uid = fake_mail.rows[i].uid;
		struct buf record;
		if (uid < in->from || uid > in->to)
			continue;
		buf_init(&record, FACTS_BYTES_MAX);
		ASSERT(facts_of_message(fake_mail.bodies[i], &record));
		sort_keys_add(m, uid, uid % 3 ? buf_slice(&record) : S(""));
		buf_release(&record);
		n++;
		out.upto = uid;
	}
	if (n)
		sort_keys_finish(m, &columns);
	if (n && columns.len + 8 <= in->into.len) {
		bytes_set_le(to, columns.len, 8);
		memcpy(to + 8, columns.at, columns.len);
		if (out.upto % 7 == 0)
			bytes_set_le(to + 8 + 12 + 12, 0, 4); /* dates are not here */
		out.filled = (uint32_t)columns.len + 8;
	}
	out.more = n == 2;
	sort_keys_maker_free(&m);
	buf_release(&columns);
	if (!fake_fails(call))
		store_sort_keys_reply(call, &out);
}

static const struct store_server fake_mail_store = {
	.account_open = fake_open_account,
	.account_close = fake_account_close,
	.account_usage = fake_account_usage,
	.account_open_shared = fake_account_open_shared,
	.sharer_list = fake_sharer_list,
	.acl_get = fake_acl_get,
	.acl_set = fake_acl_set,
	.url_sign = fake_url_sign,
	.url_reset = fake_url_reset,
	.url_open = fake_url_open,
	.mailbox_list = fake_mailbox_list,
	.account_changes = fake_account_changes,
	.mailbox_status = fake_mailbox_status,
	.mailbox_create = fake_mailbox_create,
	.mailbox_delete = fake_mailbox_delete,
	.mailbox_rename = fake_mailbox_rename,
	.mailbox_subscribe = fake_mailbox_subscribe,
	.mailbox_open = fake_mailbox_open,
	.mailbox_changes = fake_mailbox_changes,
	.keyword_sets = fake_keyword_sets,
	.account_limit = fake_account_limit,
	.metadata_get = fake_metadata_get,
	.metadata_set = fake_metadata_set,
	.annotation_get = fake_annotation_get,
	.annotation_set = fake_annotation_set,
	.annotation_changes = fake_annotation_changes,
	.mailbox_use = fake_mailbox_use,
	.mailbox_referral = fake_mailbox_referral,
	.message_facts = fake_message_facts,
	.message_ids = fake_message_ids,
	.message_bodies = fake_message_bodies,
	.message_store = fake_message_store,
	.message_copy = fake_message_copy,
	.message_expunge = fake_message_expunge,
	.message_body = fake_message_body,
	.message_append = fake_message_append,
	.search_text = fake_search_text,
	.sort_keys = fake_sort_keys,
};

/* ---- scan */

static void
fake_match(struct ipc_call *call, const struct scan_match_in *in)
{
	ASSERT(in->nkeys >= 1 && in->file < 0);
	ASSERT(shm_range(&call->peer->shm, in->off, in->bytes) || !in->bytes);
	for (uint32_t i = 0; i < in->nkeys; i++)
		ASSERT(slice_is_utf8(in->keys[i].needle));
	scan_match_reply(call, &(struct scan_match_out){ .hits = in->bytes * 2654435761u });
}

static void
fake_score(struct ipc_call *call, const struct scan_score_in *in)
{
	ASSERT(in->where <= 2 && slice_is_utf8(in->needle));
	scan_score_reply(call, &(struct scan_score_out){ .score = in->bytes * 2654435761u % 120 });
}

static const struct scan_server fake_mail_scan = { .facts = fake_facts, .match = fake_match, .score = fake_score };

static void
fake_mail_open(struct fake_house *h)
{
	fake_connect(h, &h->s.store, &store_protocol, &fake_mail_store);
	fake_connect(h, &h->s.scan[0], &scan_protocol, &fake_mail_scan);
}

static void
fake_mail_reset(unsigned fail_every, enum err failure)
{
	arena_release(&fake_mail.arena);
	fake_mail = (struct fake_mail){ .uidnext = 1, .modseq = 1, .fail_every = fail_every, .failure = failure };
	arena_init(&fake_mail.arena, 0);
	fake_add(S("From: a@example.net\r\nSubject: one\r\n\r\nhello\r\n"), MESSAGE_SEEN);
	fake_add(
	    S("Subject: two\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: "
	      "message/rfc822\r\n\r\nSubject: in\r\n\r\ninner\r\n--b--\r\n"),
	    0);
	fake_add(S(""), MESSAGE_DELETED);
	fake_add(S("no header at all"), MESSAGE_DELETED | MESSAGE_FLAGGED);
}

#endif
