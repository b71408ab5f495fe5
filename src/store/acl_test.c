/* SPDX-License-Identifier: Apache-2.0 */
/* acl_test.c - rights on mailboxes (RFC 4314): every call of somebody else's handle with each right that it needs
 * missing; how rights add up; who shares with whom; what is left when mailboxes and accounts go. Each store is checked
 * by fsck at the end. */
#include "store/store_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t owner, friend, stranger;
static uint32_t owner_handle, friend_handle;

static void
await_people(void)
{
	ASSERT(await_domain_add("x.test") == OK);
	owner = await_account("owner@x.test", RIGHTS_USER, 0);
	friend = await_account("friend@x.test", RIGHTS_USER, 0);
	stranger = await_account("stranger@x.test", RIGHTS_USER, 0);
	owner_handle = await_handle(owner);
	friend_handle = await_handle(friend);
}

static enum err
await_set(uint32_t handle, const char *mailbox, const char *who, uint32_t op, uint32_t rights)
{
	struct store_acl_set_in in = { handle, slice_text(mailbox), slice_text(who), op, rights };
	struct store_acl_set_out out;
	return await_store_acl_set(&house.user, &in, &house.a, &out);
}

/* The owner lets friend do exactly this. */
static void
await_let(const char *mailbox, uint32_t rights)
{
	ASSERT(await_set(owner_handle, mailbox, "friend@x.test", ACL_REPLACE, rights) == OK);
}

static enum err
await_open_shared(uint32_t handle, const char *address, const char *public, struct store_account_open_shared_out *out)
{
	struct store_account_open_shared_in in = { handle, slice_text(address), slice_text(public) };
	return await_store_account_open_shared(&house.user, &in, &house.a, out);
}

static uint32_t
await_shared(uint64_t account, const char *address)
{
	struct store_account_open_shared_out out;
	ASSERT(await_open_shared(await_handle(account), address, "", &out) == OK);
	return out.handle;
}

static enum err
await_create(uint32_t handle, const char *name)
{
	struct store_mailbox_create_in in = { handle, slice_text(name), 0 };
	struct store_mailbox_create_out out;
	return await_store_mailbox_create(&house.user, &in, &house.a, &out);
}

static enum err
await_delete(uint32_t handle, const char *name)
{
	struct store_mailbox_delete_in in = { handle, slice_text(name) };
	struct store_mailbox_delete_out out;
	return await_store_mailbox_delete(&house.user, &in, &house.a, &out);
}

static enum err
await_rename(uint32_t handle, const char *from, const char *to)
{
	struct store_mailbox_rename_in in = { handle, slice_text(from), slice_text(to) };
	struct store_mailbox_rename_out out;
	return await_store_mailbox_rename(&house.user, &in, &house.a, &out);
}

static enum err
await_status(uint32_t handle, const char *name, struct store_mailbox *m)
{
	struct store_mailbox_status_in in = { handle, slice_text(name) };
	struct store_mailbox_status_out out = { 0 };
	enum err e = await_store_mailbox_status(&house.user, &in, &house.a, &out);
	*m = out.mailbox;
	return e;
}

static uint32_t
await_rights(uint32_t handle, const char *name)
{
	struct store_mailbox m;
	return await_status(handle, name, &m) == OK ? m.rights : 0;
}

/* ---- each call */

struct where {
	uint32_t handle, own;
	uint64_t mailbox;
	uint32_t uid;
};

static struct slice
uid_of(const struct where *w)
{
	return uid_list(&w->uid, 1);
}

static enum err
try_status(const struct where *w)
{
	struct store_mailbox m;
	return await_status(w->handle, "Box", &m);
}

static enum err
try_open(const struct where *w)
{
	struct store_mailbox_open_in in = { .handle = w->handle, .name = S("Box"), .from_uid = 1, .into = in_region() };
	struct store_mailbox_open_out out;
	return await_store_mailbox_open(&house.user, &in, &house.a, &out);
}

static enum err
try_changes(const struct where *w)
{
	struct store_mailbox_changes_in in = { w->handle, w->mailbox, 0, 0, in_region() };
	struct store_mailbox_changes_out out;
	return await_store_mailbox_changes(&house.user, &in, &house.a, &out);
}

static enum err
try_keywords(const struct where *w)
{
	struct store_keyword_sets_in in = { w->handle, w->mailbox, SLICE_NONE };
	struct store_keyword_sets_out out;
	return await_store_keyword_sets(&house.user, &in, &house.a, &out);
}

static enum err
try_facts(const struct where *w)
{
	struct store_message_facts_in in = { w->handle, w->mailbox, uid_of(w), in_region() };
	struct store_message_facts_out out;
	return await_store_message_facts(&house.user, &in, &house.a, &out);
}

static enum err
try_ids(const struct where *w)
{
	struct store_message_ids_in in = { w->handle, w->mailbox, uid_of(w), in_region() };
	struct store_message_ids_out out;
	return await_store_message_ids(&house.user, &in, &house.a, &out);
}

static enum err
try_bodies(const struct where *w)
{
	struct store_message_bodies_in in = { w->handle, w->mailbox, uid_of(w), in_region() };
	struct store_message_bodies_out out;
	return await_store_message_bodies(&house.user, &in, &house.a, &out);
}

static enum err
try_body(const struct where *w)
{
	struct store_message_body_in in = { w->handle, w->mailbox, w->uid, 0, in_region() };
	struct store_message_body_out out;
	return await_store_message_body(&house.user, &in, &house.a, &out);
}

static enum err
try_flags(const struct where *w, uint32_t op, uint32_t flags, const char *keyword)
{
	struct store_keyword k = { slice_text(keyword) };
	struct store_message_store_in in = { .handle = w->handle,
		                                 .mailbox = w->mailbox,
		                                 .uids = uid_of(w),
		                                 .op = op,
		                                 .flags = flags,
		                                 .keywords = &k,
		                                 .nkeywords = k.name.len > 0,
		                                 .unchanged_since = STORE_MODSEQ_ANY,
		                                 .into = in_region() };
	struct store_message_store_out out;
	return await_store_message_store(&house.user, &in, &house.a, &out);
}

static enum err
try_seen(const struct where *w)
{
	return try_flags(w, FLAGS_ADD, MESSAGE_SEEN, "");
}

static enum err
try_deleted(const struct where *w)
{
	return try_flags(w, FLAGS_REMOVE, MESSAGE_DELETED, "");
}

static enum err
try_flagged(const struct where *w)
{
	return try_flags(w, FLAGS_ADD, MESSAGE_FLAGGED, "");
}

static enum err
try_keyword(const struct where *w)
{
	return try_flags(w, FLAGS_ADD, 0, "word");
}

static enum err
try_copy_out(const struct where *w)
{
	struct store_message_copy_in in = { w->handle, w->mailbox, uid_of(w), S("INBOX"), false, w->own };
	struct store_message_copy_out out;
	return await_store_message_copy(&house.user, &in, &house.a, &out);
}

static enum err
try_copy_in(const struct where *w)
{
	struct store_delivered d;
	ASSERT(await_deliver(friend, "", S("mine"), &d) == OK);
	struct store_message_copy_in in = { w->own, d.mailbox, uid_list(&d.uid, 1), S("Box"), false, w->handle };
	struct store_message_copy_out out;
	return await_store_message_copy(&house.user, &in, &house.a, &out);
}

static enum err
try_move_out(const struct where *w)
{
	struct store_message_copy_in in = { w->handle, w->mailbox, uid_of(w), S("INBOX"), true, w->own };
	struct store_message_copy_out out;
	return await_store_message_copy(&house.user, &in, &house.a, &out);
}

static enum err
try_expunge(const struct where *w)
{
	struct store_message_expunge_in in = { w->handle, w->mailbox, uid_of(w), false };
	struct store_message_expunge_out out;
	return await_store_message_expunge(&house.user, &in, &house.a, &out);
}

static enum err
try_expunge_any(const struct where *w)
{
	struct store_message_expunge_in in = { w->handle, w->mailbox, uid_of(w), true };
	struct store_message_expunge_out out;
	return await_store_message_expunge(&house.user, &in, &house.a, &out);
}

static enum err
try_append(const struct where *w)
{
	struct store_append a = { .body = body_of(S("appended")), .flags = MESSAGE_FLAGS_ALL };
	struct store_message_append_in in = { w->handle, S("Box"), &a, 1 };
	struct store_message_append_out out;
	return await_store_message_append(&house.user, &in, &house.a, &out);
}

static enum err
try_create(const struct where *w)
{
	return await_create(w->handle, "Box/new");
}

static enum err
try_rename_below(const struct where *w)
{
	return await_rename(w->handle, "Free", "Box/moved");
}

static enum err
try_rename(const struct where *w)
{
	return await_rename(w->handle, "Box", "Free/Box");
}

static enum err
try_delete(const struct where *w)
{
	return await_delete(w->handle, "Box");
}

static enum err
try_acl_get(const struct where *w)
{
	struct store_acl_get_in in = { w->handle, S("Box") };
	struct store_acl_get_out out;
	return await_store_acl_get(&house.user, &in, &house.a, &out);
}

static enum err
try_acl_set(const struct where *w)
{
	return await_set(w->handle, "Box", "stranger@x.test", ACL_GRANT, ACL_LOOKUP);
}

static enum err
try_usage(const struct where *w)
{
	struct store_account_usage_in in = { w->handle };
	struct store_account_usage_out out;
	return await_store_account_usage(&house.user, &in, &house.a, &out);
}

static enum err
try_subscribe(const struct where *w)
{
	struct store_mailbox_subscribe_in in = { w->handle, S("Box"), true };
	struct store_mailbox_subscribe_out out;
	return await_store_mailbox_subscribe(&house.user, &in, &house.a, &out);
}

static enum err
try_maildrop(const struct where *w)
{
	struct store_maildrop_lock_in in = { w->handle };
	struct store_maildrop_lock_out out;
	return await_store_maildrop_lock(&house.user, &in, &house.a, &out);
}

static enum err
try_sharers(const struct where *w)
{
	struct store_sharer_list_in in = { w->handle, 0 };
	struct store_sharer_list_out out;
	return await_store_sharer_list(&house.user, &in, &house.a, &out);
}

static enum err
try_open_further(const struct where *w)
{
	struct store_account_open_shared_out out;
	return await_open_shared(w->handle, "friend@x.test", "", &out);
}

#define NOBODY UINT32_MAX
static const struct {
	const char *what;
	enum err (*try)(const struct where *w);
	uint32_t needs; /* all of these; without any one of them it is refused */
} calls[] = {
	{ "mailbox_status", try_status, ACL_LOOKUP },
	{ "mailbox_open", try_open, ACL_READ },
	{ "mailbox_changes", try_changes, ACL_READ },
	{ "keyword_sets", try_keywords, ACL_READ },
	{ "message_facts", try_facts, ACL_READ },
	{ "message_ids", try_ids, ACL_READ },
	{ "message_bodies", try_bodies, ACL_READ },
	{ "message_body", try_body, ACL_READ },
	{ "message_store of \\Seen", try_seen, ACL_READ | ACL_SEEN },
	{ "message_store of \\Deleted", try_deleted, ACL_READ | ACL_DELETE_MESSAGE },
	{ "message_store of \\Flagged", try_flagged, ACL_READ | ACL_WRITE },
	{ "message_store of a keyword", try_keyword, ACL_READ | ACL_WRITE },
	{ "message_copy to one's own", try_copy_out, ACL_READ },
	{ "message_copy into it", try_copy_in, ACL_INSERT },
	{ "message_append", try_append, ACL_INSERT },
	{ "mailbox_create below it", try_create, ACL_CREATE },
	{ "mailbox_rename below it", try_rename_below, ACL_CREATE },
	{ "acl_get", try_acl_get, ACL_ADMINISTER },
	{ "acl_set", try_acl_set, ACL_ADMINISTER },
	{ "message_expunge", try_expunge, ACL_EXPUNGE },
	{ "message_copy that moves", try_move_out, ACL_READ | ACL_DELETE_MESSAGE | ACL_EXPUNGE },
	{ "message_expunge of any", try_expunge_any, ACL_DELETE_MESSAGE | ACL_EXPUNGE },
	{ "mailbox_rename", try_rename, ACL_DELETE },
	{ "mailbox_delete", try_delete, ACL_DELETE },
	{ "account_usage", try_usage, NOBODY },
	{ "mailbox_subscribe", try_subscribe, NOBODY },
	{ "maildrop_lock", try_maildrop, NOBODY },
	{ "sharer_list", try_sharers, NOBODY },
	{ "account_open_shared", try_open_further, NOBODY },
};

/* A mailbox with a message that friend may look up, and one where he may do all. */
static void
await_box(struct where *w)
{
	struct store_delivered d;
	(void)await_delete(owner_handle, "Box/new");
	(void)await_delete(owner_handle, "Box/moved");
	(void)await_delete(owner_handle, "Box");
	(void)await_delete(owner_handle, "Free/Box");
	(void)await_create(owner_handle, "Free");
	await_let("Free", ACL_ALL);
	ASSERT(await_deliver(owner, "Box", S("text"), &d) == OK);
	w->mailbox = d.mailbox;
	w->uid = d.uid;
	await_let("Box", ACL_LOOKUP);
	if (!w->handle)
		w->handle = await_shared(friend, "owner@x.test");
}

static void
await_expect(size_t i, const struct where *w, uint32_t rights, enum err expected)
{
	await_let("Box", rights);
	enum err e = calls[i].try(w);
	if (e != expected)
		print_error("%s with rights %x: %s instead of %s\n", calls[i].what, rights, err_text(e), err_text(expected));
	ASSERT(e == expected);
}

static void
each_call_body(void)
{
	await_people();
	struct where w = { .own = friend_handle };
	for (size_t i = 0; i < COUNT_OF(calls); i++) {
		await_box(&w);
		if (calls[i].needs == NOBODY) {
			await_expect(i, &w, ACL_ALL, ERR_DENIED);
			continue;
		}
		for (uint32_t bit = 1; bit <= ACL_ALL; bit <<= 1) {
			if (!(calls[i].needs & bit) || bit == ACL_LOOKUP)
				continue;
			await_expect(i, &w, ACL_ALL & ~bit, ERR_DENIED);
			/* what may be neither looked up nor read is not there; for CREATE the answer is one for all */
			bool creates = calls[i].needs == ACL_CREATE;
			await_expect(i, &w, ACL_ALL & ~(bit | ACL_LOOKUP | ACL_READ), creates ? ERR_DENIED : ERR_NOT_FOUND);
		}
		await_expect(i, &w, 0, calls[i].needs == ACL_CREATE ? ERR_DENIED : ERR_NOT_FOUND);
		await_expect(i, &w, calls[i].needs, OK);
	}
}

/* ---- how rights add up */

static const struct {
	const char *what;
	const char *who[3];
	uint32_t rights[3], expected;
} sums[] = {
	{ "nobody was named", { 0 }, { 0 }, 0 },
	{ "rights of anyone", { "anyone" }, { 3 }, 3 },
	{ "anyone is written in any case", { "ANYONE" }, { 3 }, 3 },
	{ "authenticated is anyone", { "authenticated" }, { 3 }, 3 },
	{ "what anyone has and one's own", { "anyone", "friend@x.test" }, { 3, 4 }, 7 },
	{ "the address in another case", { "Friend@X.TEST" }, { 5 }, 5 },
	{ "a negative right", { "friend@x.test", "-friend@x.test" }, { 7, 2 }, 5 },
	{ "a negative right takes what anyone has", { "anyone", "-friend@x.test" }, { 7, 1 }, 6 },
	{ "negative rights of anyone", { "friend@x.test", "-anyone" }, { 7, 6 }, 1 },
	{ "rights of somebody else", { "stranger@x.test", "-stranger@x.test" }, { 7, 1 }, 0 },
	{ "all three", { "anyone", "friend@x.test", "-anyone" }, { 1, 0x400, 1 }, 0x400 },
};

static void
rights_add_up_body(void)
{
	await_people();
	ASSERT(await_create(owner_handle, "Other") == OK);
	await_let("Other", ACL_LOOKUP);
	uint32_t handle = await_shared(friend, "owner@x.test");
	for (size_t i = 0; i < COUNT_OF(sums); i++) {
		ASSERT(await_create(owner_handle, "Sum") == OK);
		for (size_t k = 0; k < COUNT_OF(sums[i].who) && sums[i].who[k]; k++)
			ASSERT(await_set(owner_handle, "Sum", sums[i].who[k], ACL_REPLACE, sums[i].rights[k]) == OK);
		struct store_mailbox_list_in in = { .handle = handle };
		struct store_mailbox_list_out out;
		ASSERT(await_store_mailbox_list(&house.user, &in, &house.a, &out) == OK);
		uint32_t listed = out.nmailboxes == 2 ? out.mailboxes[1].rights : 0, rights = await_rights(handle, "Sum");
		if (rights != sums[i].expected)
			print_error("%s: %x instead of %x\n", sums[i].what, rights, sums[i].expected);
		/* MYRIGHTS is answered with any of l r i k x a, LIST wants l */
		ASSERT(rights == (sums[i].expected & (1 | 2 | 0x10 | 0x40 | 0x80 | 0x400) ? sums[i].expected : 0));
		ASSERT(listed == (sums[i].expected & ACL_LOOKUP ? sums[i].expected : 0));
		ASSERT(await_rights(owner_handle, "Sum") == ACL_ALL);
		ASSERT(await_delete(owner_handle, "Sum") == OK);
	}
}

static void
changing_body(void)
{
	await_people();
	ASSERT(await_create(owner_handle, "Box") == OK);
	await_let("Box", ACL_LOOKUP | ACL_READ);
	ASSERT(await_set(owner_handle, "Box", "friend@x.test", ACL_GRANT, ACL_SEEN) == OK);
	ASSERT(await_set(owner_handle, "Box", "friend@x.test", ACL_REVOKE, ACL_READ) == OK);
	ASSERT(await_set(owner_handle, "Box", "-friend@x.test", ACL_REVOKE, ACL_READ) == OK); /* nothing there */
	uint32_t handle = await_shared(friend, "owner@x.test");
	ASSERT(await_rights(handle, "Box") == (ACL_LOOKUP | ACL_SEEN));
	/* the owner stays what he is, whoever asks */
	ASSERT(await_set(owner_handle, "Box", "owner@x.test", ACL_REPLACE, ACL_LOOKUP) == ERR_CONFLICT);
	ASSERT(await_set(owner_handle, "Box", "owner@x.test", ACL_REVOKE, ACL_ADMINISTER) == ERR_CONFLICT);
	ASSERT(await_set(owner_handle, "Box", "-owner@x.test", ACL_REPLACE, ACL_LOOKUP) == ERR_CONFLICT);
	ASSERT(await_set(owner_handle, "Box", "owner@x.test", ACL_GRANT, ACL_READ) == OK);
	await_let("Box", ACL_ALL);
	ASSERT(await_set(handle, "Box", "owner@x.test", ACL_REPLACE, 0) == ERR_CONFLICT);
	ASSERT(await_set(handle, "Box", "friend@x.test", ACL_REPLACE, 0) == OK); /* he gives them back */
	ASSERT(await_set(handle, "Box", "friend@x.test", ACL_GRANT, ACL_ALL) == ERR_NOT_FOUND);
	/* nobody */
	const char *bad[] = { "", "-", "nobody@x.test", "owner", "--owner@x.test", "x@elsewhere.test", "@", "\xff@x.test" };
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		ASSERT(await_set(owner_handle, "Box", bad[i], ACL_REPLACE, 1) == ERR_SYNTAX);
	ASSERT(await_set(owner_handle, "Box", "friend@x.test", 3, 1) == ERR_SYNTAX);
	ASSERT(await_set(owner_handle, "Box", "friend@x.test", ACL_REPLACE, ACL_ALL + 1) == ERR_SYNTAX);
	ASSERT(await_set(owner_handle, "None", "friend@x.test", ACL_REPLACE, 1) == ERR_NOT_FOUND);
}

static void
flags_body(void)
{
	await_people();
	struct where w = { .own = friend_handle };
	await_box(&w);
	/* RFC 4314 4: what may not be set is left out, and the rest is done */
	await_let("Box", ACL_READ | ACL_INSERT | ACL_SEEN);
	ASSERT(try_append(&w) == OK);
	struct store_mailbox_open_in in = { .handle = owner_handle, .name = S("Box"), .from_uid = 1, .into = in_region() };
	struct store_mailbox_open_out out;
	ASSERT(await_store_mailbox_open(&house.user, &in, &house.a, &out) == OK && out.filled == 2 * INDEX_ROW_BYTES);
	const struct index_row *rows = (const void *)house.region;
	ASSERT(rows[1].flags == MESSAGE_SEEN && rows[1].keyword_set == 0);
	ASSERT(try_flags(&w, FLAGS_ADD, MESSAGE_SEEN | MESSAGE_FLAGGED, "word") == OK);
	ASSERT(rows[0].flags == MESSAGE_SEEN && rows[0].keyword_set == 0);
	/* FLAGS replaces what may be changed, and leaves the rest */
	struct where all = { owner_handle, friend_handle, w.mailbox, w.uid };
	ASSERT(try_flags(&all, FLAGS_SET, MESSAGE_DELETED | MESSAGE_DRAFT | MESSAGE_SEEN, "word") == OK);
	await_let("Box", ACL_READ | ACL_DELETE_MESSAGE);
	ASSERT(try_flags(&w, FLAGS_SET, MESSAGE_FLAGGED, "") == OK);
	ASSERT(rows[0].flags == (MESSAGE_DRAFT | MESSAGE_SEEN) && rows[0].keyword_set == 1);
	await_let("Box", ACL_READ);
	ASSERT(try_flags(&w, FLAGS_SET, 0, "") == ERR_DENIED);
}

/* ---- between accounts */

static uint64_t
await_used(uint32_t handle)
{
	struct store_account_usage_in in = { handle };
	struct store_account_usage_out out;
	ASSERT(await_store_account_usage(&house.user, &in, &house.a, &out) == OK);
	return out.usage.bytes;
}

static void
move_body(void)
{
	await_people();
	struct where w = { .own = friend_handle };
	await_box(&w);
	await_let("Box", ACL_ALL);
	struct where all = { owner_handle, friend_handle, w.mailbox, w.uid };
	ASSERT(try_flags(&all, FLAGS_SET, MESSAGE_FLAGGED, "word") == OK);
	ASSERT(await_used(owner_handle) == 4 && await_used(friend_handle) == 0);
	ASSERT(try_copy_out(&w) == OK);
	ASSERT(await_used(owner_handle) == 4 && await_used(friend_handle) == 4);
	ASSERT(try_move_out(&w) == OK);
	ASSERT(await_used(owner_handle) == 0 && await_used(friend_handle) == 8);
	struct store_mailbox_open_in in = { .handle = friend_handle, .name = S("INBOX"), .from_uid = 1 };
	struct store_mailbox_open_out out;
	in.into = in_region();
	ASSERT(await_store_mailbox_open(&house.user, &in, &house.a, &out) == OK && out.filled == 2 * INDEX_ROW_BYTES);
	const struct index_row *rows = (const void *)house.region;
	ASSERT(rows[0].flags == MESSAGE_FLAGGED && rows[1].flags == MESSAGE_FLAGGED && rows[1].keyword_set == 1);
	/* the quota of the owner counts */
	struct store_account_set_in quota = { S("owner@x.test"), ACCOUNT_ACTIVE, UINT64_MAX, 3, UINT64_MAX, UINT64_MAX };
	struct store_account_set_out set;
	ASSERT(await_store_account_set(&house.admin, &quota, &house.a, &set) == OK);
	ASSERT(try_copy_in(&w) == ERR_QUOTA);
	ASSERT(try_append(&w) == ERR_QUOTA);
}

/* ---- REPLACE (RFC 8508) across owners */

struct replacing {
	uint32_t handle, from; /* of the new message, of the one that is replaced */
	const char *into;
	uint64_t mailbox;
	uint32_t uid;
};

static enum err
await_replace(const struct replacing *r, const char *text)
{
	struct store_append a = { .body = body_of(slice_text(text)) };
	struct store_message_append_in in = { r->handle, slice_text(r->into), &a, 1, r->mailbox, r->uid, r->from };
	struct store_message_append_out out = { 0 };
	return await_store_message_append(&house.user, &in, &house.a, &out);
}

/* With each right missing nothing comes and nothing goes; then it is done. */
static void
await_replace_needs(const struct replacing *r, uint32_t need)
{
	uint64_t owned = await_used(owner_handle), mine = await_used(friend_handle);
	for (uint32_t bit = 1; bit <= ACL_ALL; bit <<= 1) {
		if (!(need & bit))
			continue;
		await_let("Box", ACL_ALL & ~bit);
		ASSERT(await_replace(r, "other text") == ERR_DENIED);
	}
	await_let("Box", 0);
	enum err e = await_replace(r, "other text"); /* as if there were neither mailbox nor message */
	ASSERT(e == ERR_NOT_FOUND || e == ERR_CONFLICT);
	ASSERT(await_used(owner_handle) == owned && await_used(friend_handle) == mine);
	await_let("Box", need | ACL_LOOKUP);
	ASSERT(await_replace(r, "other text") == OK);
	ASSERT(await_replace(r, "other text") == ERR_CONFLICT); /* it is gone */
}

static void
replace_body(void)
{
	const uint32_t goes = ACL_DELETE_MESSAGE | ACL_EXPUNGE;
	struct store_delivered own;
	struct where w = { .own = 0 };
	await_people();
	await_box(&w); /* "text": 4 bytes */
	/* the owner's goes, the new one is mine */
	await_replace_needs(&(struct replacing){ friend_handle, w.handle, "INBOX", w.mailbox, w.uid }, goes);
	ASSERT(await_used(owner_handle) == 0 && await_used(friend_handle) == 10);
	/* mine goes, the new one is the owner's */
	ASSERT(await_deliver(friend, "Drafts", S("draft"), &own) == OK);
	await_replace_needs(&(struct replacing){ w.handle, friend_handle, "Box", own.mailbox, own.uid }, ACL_INSERT);
	ASSERT(await_used(owner_handle) == 10 && await_used(friend_handle) == 10);
	/* both are the owner's */
	await_box(&w);
	await_replace_needs(&(struct replacing){ w.handle, w.handle, "Box", w.mailbox, w.uid }, goes | ACL_INSERT);
	ASSERT(await_used(owner_handle) == 10);
	/* a mailbox of mine is none of the owner's, whatever its number */
	await_let("Box", ACL_ALL);
	ASSERT(await_replace(&(struct replacing){ friend_handle, w.handle, "INBOX", own.mailbox + 1000, 1 }, "x") != OK);
	ASSERT(await_replace(&(struct replacing){ friend_handle, 12345, "INBOX", w.mailbox, 1 }, "x") == ERR_STALE);
	/* the quota of whoever gets it counts, and nothing goes when it is full */
	await_box(&w);
	await_let("Box", ACL_ALL);
	struct store_account_set_in quota = { S("friend@x.test"), ACCOUNT_ACTIVE, UINT64_MAX, 12, UINT64_MAX, UINT64_MAX };
	struct store_account_set_out set;
	ASSERT(await_store_account_set(&house.admin, &quota, &house.a, &set) == OK);
	struct replacing full = { friend_handle, w.handle, "INBOX", w.mailbox, w.uid };
	ASSERT(await_replace(&full, "xyz") == ERR_QUOTA && await_used(owner_handle) == 4);
	ASSERT(await_replace(&full, "xy") == OK && await_used(owner_handle) == 0 && await_used(friend_handle) == 12);
}

/* A handle means one mailbox after the other only as far as each of them allows. */
static void
guessing_body(void)
{
	await_people();
	struct where w = { .own = friend_handle };
	await_box(&w);
	await_let("Box", ACL_ALL);
	struct store_delivered d;
	ASSERT(await_deliver(owner, "Secret", S("secret"), &d) == OK);
	for (uint64_t id = 0; id < 50; id++) {
		struct where guess = { w.handle, w.own, id, 1 };
		bool good = id == w.mailbox;
		ASSERT(try_body(&guess) == (good ? OK : ERR_NOT_FOUND) || try_status(&guess) == OK);
		if (id == d.mailbox)
			for (size_t i = 0; i < COUNT_OF(calls); i++)
				if (calls[i].try == try_changes || calls[i].try == try_facts || calls[i].try == try_bodies ||
				    calls[i].try == try_body || calls[i].try == try_seen || calls[i].try == try_expunge ||
				    calls[i].try == try_move_out || calls[i].try == try_copy_out || calls[i].try == try_keywords)
					ASSERT(calls[i].try(&guess) == ERR_NOT_FOUND);
	}
	struct store_account_open_shared_out out;
	ASSERT(await_open_shared(await_handle(stranger), "owner@x.test", "", &out) == ERR_NOT_FOUND);
	ASSERT(await_open_shared(owner_handle, "owner@x.test", "", &out) == ERR_NOT_FOUND);
	ASSERT(await_open_shared(friend_handle, "stranger@x.test", "", &out) == ERR_NOT_FOUND);
	ASSERT(await_open_shared(friend_handle, "nobody@x.test", "", &out) == ERR_NOT_FOUND);
	ASSERT(await_open_shared(friend_handle, "", "", &out) == ERR_NOT_FOUND);
	ASSERT(await_open_shared(12345, "owner@x.test", "", &out) == ERR_STALE);
}

/* A handle of somebody else ends with the one that opened it, and with the owner's account. */
static void
handles_body(void)
{
	await_people();
	struct where w = { .own = friend_handle };
	await_box(&w);
	struct store_account_open_shared_out out;
	ASSERT(await_open_shared(friend_handle, "owner@x.test", "", &out) == OK && out.account == owner);
	w.handle = out.handle;
	ASSERT(try_status(&w) == OK);
	store_account_close_notify(&house.user, &(struct store_account_close_in){ friend_handle });
	ASSERT(try_status(&w) == ERR_STALE);
	struct store_secret_put_in secret = { S("friend@x.test"), S("$new$") };
	struct store_secret_put_out put;
	w.handle = await_shared(friend, "owner@x.test");
	ASSERT(await_store_secret_put(&house.auth, &secret, &house.a, &put) == OK);
	ASSERT(try_status(&w) == ERR_STALE);
	/* the owner is suspended */
	struct store_account_open_out again;
	ASSERT(await_grant_open(friend, 2, &again) == OK);
	ASSERT(await_open_shared(again.handle, "owner@x.test", "", &out) == OK);
	w.handle = out.handle;
	struct store_account_set_in set = { S("owner@x.test"), ACCOUNT_SUSPENDED, UINT64_MAX,
		                                UINT64_MAX,        UINT64_MAX,        UINT64_MAX };
	struct store_account_set_out done;
	ASSERT(await_store_account_set(&house.admin, &set, &house.a, &done) == OK);
	ASSERT(try_status(&w) == ERR_STALE);
	ASSERT(await_open_shared(again.handle, "owner@x.test", "", &out) == ERR_NOT_FOUND);
}

/* ---- names */

static void
inherit_body(void)
{
	await_people();
	struct store_account_open_shared_out out;
	ASSERT(await_create(owner_handle, "Team") == OK);
	await_let("Team", ACL_ALL & ~ACL_ADMINISTER);
	ASSERT(await_open_shared(friend_handle, "owner@x.test", "", &out) == OK);
	ASSERT(await_create(out.handle, "Team/a/b") == OK);
	ASSERT(await_rights(out.handle, "Team/a") == (ACL_ALL & ~(uint32_t)ACL_ADMINISTER));
	ASSERT(await_rights(out.handle, "Team/a/b") == (ACL_ALL & ~(uint32_t)ACL_ADMINISTER));
	ASSERT(await_create(out.handle, "Top") == ERR_DENIED);
	ASSERT(await_create(out.handle, "Archive/x") == ERR_DENIED);
	/* RENAME moves the rights with their mailboxes, and those below */
	await_let("Team/a", ACL_LOOKUP | ACL_DELETE);
	ASSERT(await_rename(out.handle, "Team/a", "Elsewhere") == ERR_DENIED);
	ASSERT(await_rename(out.handle, "Team/a", "Team/c/d") == OK);
	ASSERT(await_rights(out.handle, "Team/c/d") == (ACL_LOOKUP | ACL_DELETE));
	ASSERT(await_rights(out.handle, "Team/c/d/b") == (ACL_ALL & ~(uint32_t)ACL_ADMINISTER));
	ASSERT(await_rights(out.handle, "Team/a") == 0);
	/* INBOX */
	await_let("INBOX", ACL_ALL);
	ASSERT(await_rename(out.handle, "INBOX", "Team/in") == ERR_DENIED);
	ASSERT(await_delete(out.handle, "INBOX") == ERR_DENIED);
	ASSERT(await_rename(owner_handle, "INBOX", "Old") == OK);
	ASSERT(await_rights(out.handle, "INBOX") == ACL_ALL && await_rights(out.handle, "Old") == ACL_ALL);
	/* a mailbox that was deleted takes its rights with it */
	ASSERT(await_delete(owner_handle, "Team/c/d") == OK);
	ASSERT(await_create(owner_handle, "Team/c/d") == OK);
	ASSERT(await_delete(owner_handle, "Old") == OK);
	ASSERT(await_create(owner_handle, "Old") == OK);
	ASSERT(await_rights(out.handle, "Old") == 0);
	/* nobody has mailboxes where those of others show */
	const char *taken[] = { "Other Users", "Other Users/x", "Shared", "Shared/x/y" };
	for (size_t i = 0; i < COUNT_OF(taken); i++) {
		ASSERT(await_create(owner_handle, taken[i]) == ERR_DENIED);
		ASSERT(await_rename(owner_handle, "Old", taken[i]) == ERR_DENIED);
		ASSERT(await_deliver(owner, taken[i], S("x"), NULL) == ERR_DENIED);
	}
	ASSERT(await_create(owner_handle, "Shared files") == OK);
	struct store_mailbox_subscribe_in subscribe = { owner_handle, S("Other Users/x/y"), true };
	struct store_mailbox_subscribe_out done;
	ASSERT(await_store_mailbox_subscribe(&house.user, &subscribe, &house.a, &done) == OK);
}

static void
children_body(void)
{
	await_people();
	const char *names[] = { "A", "A-b", "A/hidden", "B", "B/seen", "C", "C-d", "C/e/f" };
	for (size_t i = 0; i < COUNT_OF(names); i++)
		ASSERT(await_create(owner_handle, names[i]) == OK);
	const char *shown[] = { "A", "B", "B/seen", "C/e/f" };
	for (size_t i = 0; i < COUNT_OF(shown); i++)
		await_let(shown[i], ACL_LOOKUP);
	struct store_mailbox_list_in in = { .handle = await_shared(friend, "owner@x.test") };
	struct store_mailbox_list_out out;
	ASSERT(await_store_mailbox_list(&house.user, &in, &house.a, &out) == OK && out.nmailboxes == 4 && !out.more);
	const uint32_t has[] = { 0, MAILBOX_HAS_CHILDREN, 0, 0 };
	for (size_t i = 0; i < COUNT_OF(shown); i++) {
		ASSERT(slice_equal(out.mailboxes[i].name, slice_text(shown[i])));
		ASSERT(out.mailboxes[i].attributes == has[i] && out.mailboxes[i].rights == ACL_LOOKUP);
		ASSERT(out.mailboxes[i].uidnext == 0); /* numbers want r */
	}
	in.handle = owner_handle;
	ASSERT(await_store_mailbox_list(&house.user, &in, &house.a, &out) == OK);
	for (uint32_t i = 0; i < out.nmailboxes; i++) {
		struct slice name = out.mailboxes[i].name;
		bool parent = slice_equal(name, S("A")) || slice_equal(name, S("B")) || slice_equal(name, S("C")) ||
		              slice_equal(name, S("C/e"));
		ASSERT(parent == ((out.mailboxes[i].attributes & MAILBOX_HAS_CHILDREN) != 0));
		ASSERT(out.mailboxes[i].uidnext == 1 && out.mailboxes[i].rights == ACL_ALL);
	}
}

/* ---- who shares with whom */

static uint32_t
await_sharers(uint32_t handle, struct store_sharer_list_out *out)
{
	struct store_sharer_list_in in = { handle, 0 };
	ASSERT(await_store_sharer_list(&house.user, &in, &house.a, out) == OK);
	return out->nsharers;
}

static enum err
await_public(const char *address, const char *name)
{
	struct store_account_public_in in = { slice_text(address), slice_text(name) };
	struct store_account_public_out out;
	return await_store_account_public(&house.admin, &in, &house.a, &out);
}

static void
sharers_body(void)
{
	struct store_sharer_list_out out;
	struct store_account_open_shared_out opened;
	await_people();
	ASSERT(await_domain_add("y.test") == OK);
	uint32_t abroad = await_handle(await_account("abroad@y.test", RIGHTS_USER, 0));
	ASSERT(await_sharers(friend_handle, &out) == 0);
	await_let("INBOX", ACL_READ); /* without l it is not seen */
	ASSERT(await_sharers(friend_handle, &out) == 0);
	await_let("INBOX", ACL_LOOKUP);
	ASSERT(await_sharers(friend_handle, &out) == 1 && out.sharers[0].inbox && !out.sharers[0].others);
	ASSERT(slice_equal(out.sharers[0].address, S("owner@x.test")) && !out.sharers[0].public.len);
	await_let("Sent", ACL_LOOKUP);
	await_let("INBOX", 0);
	ASSERT(await_sharers(friend_handle, &out) == 1 && !out.sharers[0].inbox && out.sharers[0].others);
	/* what anyone may see is not in the lists of all; it can be opened by who knows the name */
	uint32_t stranger_handle = await_handle(stranger);
	ASSERT(await_set(owner_handle, "Archive", "anyone", ACL_REPLACE, ACL_LOOKUP) == OK);
	ASSERT(await_sharers(stranger_handle, &out) == 0);
	ASSERT(await_open_shared(stranger_handle, "owner@x.test", "", &opened) == OK);
	ASSERT(await_rights(opened.handle, "Archive") == ACL_LOOKUP && await_rights(opened.handle, "Sent") == 0);
	/* public in the domain */
	ASSERT(await_open_shared(stranger_handle, "", "Owner", &opened) == ERR_NOT_FOUND);
	ASSERT(await_public("owner@x.test", "Owner's") == OK);
	ASSERT(await_public("friend@x.test", "OWNER'S") == ERR_EXISTS);
	ASSERT(await_public("friend@x.test", "a/b") == ERR_SYNTAX && await_public("friend@x.test", "\n") == ERR_SYNTAX);
	ASSERT(await_public("nobody@x.test", "x") == ERR_NOT_FOUND);
	ASSERT(await_sharers(stranger_handle, &out) == 1 && slice_equal(out.sharers[0].public, S("Owner's")));
	ASSERT(await_sharers(friend_handle, &out) == 1 && out.sharers[0].public.len);
	ASSERT(await_sharers(owner_handle, &out) == 0 && await_sharers(abroad, &out) == 0);
	ASSERT(await_open_shared(stranger_handle, "", "owner's", &opened) == OK && opened.account == owner);
	ASSERT(await_open_shared(abroad, "", "owner's", &opened) == ERR_NOT_FOUND);
	struct store_account_show_in show = { S("owner@x.test") };
	struct store_account_show_out shown;
	ASSERT(await_store_account_show(&house.admin, &show, &house.a, &shown) == OK);
	ASSERT(slice_equal(shown.account.public, S("Owner's")));
	ASSERT(await_public("owner@x.test", "New") == OK && await_public("friend@x.test", "Owner's") == OK);
	ASSERT(await_public("owner@x.test", "") == OK && await_public("owner@x.test", "") == OK);
	ASSERT(await_sharers(stranger_handle, &out) == 0);
}

static void
public_names_are_limited_body(void)
{
	await_people();
	char address[40], name[260];
	for (int i = 0; i < 101; i++) {
		snprintf(address, sizeof address, "team%d@x.test", i);
		snprintf(name, sizeof name, "Team %d", i);
		await_account(address, RIGHTS_USER, 0);
		ASSERT(await_public(address, name) == (i < 100 ? OK : ERR_LIMIT));
	}
}

/* ---- what is left when somebody goes */

static void
await_account_gone(const char *address)
{
	struct store_account_delete_in in = { slice_text(address) };
	struct store_account_delete_out out;
	ASSERT(await_store_account_delete(&house.admin, &in, &house.a, &out) == OK);
}

static void
gone_body(void)
{
	await_people();
	for (int i = 0; i < 300; i++) {
		char name[40];
		snprintf(name, sizeof name, "Box %d", i);
		ASSERT(await_create(owner_handle, name) == OK);
		await_let(name, ACL_LOOKUP | ACL_READ);
		if (i % 3 == 0)
			ASSERT(await_set(owner_handle, name, "anyone", ACL_REPLACE, ACL_LOOKUP) == OK);
	}
	ASSERT(await_public("friend@x.test", "Friend") == OK);
	ASSERT(rows_of('r') == 300 && rows_of('g') == 400);
	await_account_gone("friend@x.test");
	await_removed();
	ASSERT(rows_of('r') == 100 && rows_of('g') == 100 && rows_of('P') == 0 && rows_of('p') == 0);
	/* the address is somebody else's now: he inherits nothing */
	uint64_t other = await_account("friend@x.test", RIGHTS_USER, 0);
	struct store_sharer_list_out out;
	ASSERT(await_sharers(await_handle(other), &out) == 0);
	await_account_gone("owner@x.test");
	await_removed();
	ASSERT(rows_of('r') == 0 && rows_of('g') == 0);
}

static void
limit_body(void)
{
	await_people();
	ASSERT(await_create(owner_handle, "Box") == OK);
	char address[40];
	for (int i = 0; i < 1001; i++) {
		snprintf(address, sizeof address, "user%d@x.test", i);
		await_account(address, RIGHTS_USER, 0);
		ASSERT(await_set(owner_handle, "Box", address, ACL_REPLACE, ACL_ALL) == (i < 1000 ? OK : ERR_LIMIT));
	}
	ASSERT(await_set(owner_handle, "Box", "user1@x.test", ACL_REVOKE, ACL_ALL) == OK);
	ASSERT(await_set(owner_handle, "Box", address, ACL_REPLACE, ACL_ALL) == OK);
	struct store_acl_get_in in = { owner_handle, S("Box") };
	struct store_acl_get_out out;
	ASSERT(await_store_acl_get(&house.user, &in, &house.a, &out) == OK && out.nentries == 1001);
	ASSERT(slice_equal(out.entries[0].identifier, S("owner@x.test")) && out.entries[0].rights == ACL_ALL);
	ASSERT(await_create(owner_handle, "Box/child") == OK && rows_of('g') == 2000);
	ASSERT(await_delete(owner_handle, "Box/child") == OK && rows_of('g') == 1000);
}

/* Of all lists of an account together: a deep path below a long list would copy it for each level. */
static void
limit_of_an_account_body(void)
{
	uint32_t most = acl_entries_max;
	acl_entries_max = 5;
	await_people();
	ASSERT(await_create(owner_handle, "Box") == OK && await_create(owner_handle, "Other") == OK);
	ASSERT(await_set(owner_handle, "Box", "friend@x.test", ACL_REPLACE, ACL_ALL) == OK);
	ASSERT(await_set(owner_handle, "Box", "anyone", ACL_REPLACE, ACL_READ) == OK);
	ASSERT(await_create(owner_handle, "Box/a/b") == ERR_LIMIT && rows_of('r') == 1);
	ASSERT(await_create(owner_handle, "Box/a") == OK && rows_of('r') == 2);
	ASSERT(await_set(owner_handle, "Other", "friend@x.test", ACL_REPLACE, ACL_ALL) == OK);
	ASSERT(await_set(owner_handle, "Other", "anyone", ACL_REPLACE, ACL_READ) == ERR_LIMIT);
	ASSERT(await_set(owner_handle, "Other", "friend@x.test", ACL_REVOKE, ACL_READ) == OK);
	ASSERT(await_delete(owner_handle, "Box/a") == OK);
	ASSERT(await_set(owner_handle, "Other", "anyone", ACL_REPLACE, ACL_READ) == OK);
	await_account_gone("friend@x.test"); /* its entries go, too */
	await_removed();
	ASSERT(await_create(owner_handle, "Box/a") == OK && await_create(owner_handle, "Other/a") == OK);
	acl_entries_max = most;
}

/* Somebody else's session hears of what happens in the account. */
static void
notices_body(void)
{
	await_people();
	struct where w = { .own = friend_handle };
	await_box(&w);
	house.changed = 0;
	await_let("Box", ACL_ALL);
	while (!house.changed)
		await_sleep(1);
	ASSERT(house.last_changed.account == owner && house.last_changed.mailbox == 0);
}

#define HOUSE_TEST(name)                                                                                               \
	static void name(void **state)                                                                                     \
	{                                                                                                                  \
		on_checked_house(name##_body);                                                                                 \
	}
HOUSE_TEST(each_call)
HOUSE_TEST(rights_add_up)
HOUSE_TEST(changing)
HOUSE_TEST(flags)
HOUSE_TEST(move)
HOUSE_TEST(replace)
HOUSE_TEST(guessing)
HOUSE_TEST(handles)
HOUSE_TEST(inherit)
HOUSE_TEST(children)
HOUSE_TEST(sharers)
HOUSE_TEST(public_names_are_limited)
HOUSE_TEST(gone)
HOUSE_TEST(limit)
HOUSE_TEST(limit_of_an_account)
HOUSE_TEST(notices)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_call), cmocka_unit_test(rights_add_up),
		cmocka_unit_test(changing),  cmocka_unit_test(flags),
		cmocka_unit_test(move),      cmocka_unit_test(replace),
		cmocka_unit_test(guessing),  cmocka_unit_test(handles),
		cmocka_unit_test(inherit),   cmocka_unit_test(children),
		cmocka_unit_test(sharers),   cmocka_unit_test(public_names_are_limited),
		cmocka_unit_test(gone),      cmocka_unit_test(limit),
		cmocka_unit_test(notices),   cmocka_unit_test(limit_of_an_account),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
