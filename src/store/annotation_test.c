/* SPDX-License-Identifier: Apache-2.0 */
/* annotation_test.c - annotations of messages (RFC 5257): every call without the right that it needs, whose annotations
 * who sees, limits, and what is counted and left when messages are copied, moved, expunged, replaced, and when their
 * mailbox goes. Each store is checked by fsck at the end. */
#include "store/store_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t owner, friend, box, born;            /* born: the modseq of Box before anything is annotated */
static uint32_t owner_handle, friend_handle, theirs; /* theirs: the owner's, opened by friend */
static char value_text[65536];

static void
await_let(uint32_t rights)
{
	struct store_acl_set_in in = { owner_handle, S("Box"), S("friend@x.test"), ACL_REPLACE, rights };
	struct store_acl_set_out out;
	ASSERT(await_store_acl_set(&house.user, &in, &house.a, &out) == OK);
}

/* Box of the owner has messages 1 to 3, which friend may read and annotate. */
static void
await_people(void)
{
	struct store_account_open_shared_out opened;
	struct store_delivered d;
	ASSERT(await_domain_add("x.test") == OK);
	owner = await_account("owner@x.test", RIGHTS_USER, 0);
	friend = await_account("friend@x.test", RIGHTS_USER, 0);
	owner_handle = await_handle(owner);
	friend_handle = await_handle(friend);
	for (int i = 0; i < 3; i++)
		ASSERT(await_deliver(owner, "Box", S("text"), &d) == OK);
	ASSERT(d.uid == 3);
	box = d.mailbox;
	struct store_mailbox_status_in look = { owner_handle, S("Box") };
	struct store_mailbox_status_out status = { 0 };
	ASSERT(await_store_mailbox_status(&house.user, &look, &house.a, &status) == OK);
	born = status.mailbox.modseq;
	await_let(ACL_LOOKUP | ACL_READ | ACL_ANNOTATE);
	struct store_account_open_shared_in open = { friend_handle, S("owner@x.test"), S("") };
	ASSERT(await_store_account_open_shared(&house.user, &open, &house.a, &opened) == OK);
	theirs = opened.handle;
}

/* ---- calls */

static struct slice
first_uids(uint32_t n)
{
	char *at = arena_alloc(&house.a, 4 * (size_t)n + 1);
	for (uint32_t i = 0; i < n; i++)
		bytes_set_le(at + 4 * (size_t)i, i + 1, 4);
	return slice_of(at, 4 * (size_t)n);
}

static enum err
await_set_list(uint32_t handle, uint64_t mailbox, struct slice uids, struct store_message_annotation *list, uint32_t n)
{
	struct store_annotation_set_in in = { handle, mailbox, uids, list, n, STORE_MODSEQ_ANY, in_region() };
	struct store_annotation_set_out out = { 0 };
	return await_store_annotation_set(&house.user, &in, &house.a, &out);
}

#define PRIVATE false
#define SHARED true
/* value NULL: it goes */
static enum err
await_set(uint32_t handle, uint32_t uid, const char *entry, const char *value, bool shared)
{
	struct store_message_annotation a = { slice_text(entry), slice_text(value ? value : ""), shared, !value };
	return await_set_list(handle, box, uid_list(&uid, 1), &a, 1);
}

static enum err
await_get_from(uint32_t handle, uint64_t mailbox, uint32_t uid, struct store_annotation_get_out *out)
{
	struct store_annotation_get_in in = {
		.handle = handle, .mailbox = mailbox, .uids = uid_list(&uid, 1), .private = true, .shared = true
	};
	*out = (struct store_annotation_get_out){ 0 };
	return await_store_annotation_get(&house.user, &in, &house.a, out);
}

/* All that the handle's user sees of a message: "shared:/entry=value private:..." */
static const char *
await_seen(uint32_t handle, uint64_t mailbox, uint32_t uid)
{
	struct store_annotation_get_out out;
	static char text[1000];
	size_t len = 0;
	ASSERT(await_get_from(handle, mailbox, uid, &out) == OK);
	text[0] = 0;
	for (uint32_t i = 0; i < out.nannotated; i++) {
		const struct store_message_annotation *a = &out.annotated[i].annotation;
		ASSERT(out.annotated[i].uid == uid);
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%s:%.*s=%.*s", i ? " " : "",
		                        a->shared ? "shared" : "private", SLICE_ARG(a->entry), SLICE_ARG(a->value));
	}
	return text;
}

static bool
await_sees(uint32_t handle, uint64_t mailbox, uint32_t uid, const char *expected)
{
	const char *seen = await_seen(handle, mailbox, uid);
	bool same = strcmp(seen, expected) == 0;
	if (!same)
		print_error("message %u: %s instead of %s\n", uid, seen, expected);
	return same;
}

static enum err
await_changed(uint32_t handle, struct store_annotation_changes_out *out)
{
	struct store_annotation_changes_in in = { handle, box, born, 1000, 0 };
	*out = (struct store_annotation_changes_out){ 0 };
	return await_store_annotation_changes(&house.user, &in, &house.a, out);
}

static enum err
await_copy(uint32_t from, uint32_t uid, uint32_t into, const char *name, bool move, struct store_message_copy_out *out)
{
	struct store_message_copy_in in = { from, box, uid_list(&uid, 1), slice_text(name), move, into };
	*out = (struct store_message_copy_out){ 0 };
	return await_store_message_copy(&house.user, &in, &house.a, out);
}

static enum err
await_append(uint32_t handle, const char *name, bool shared, uint32_t replaced)
{
	struct store_append a = { .body = body_of(S("appended")) };
	struct store_message_annotation with = { S("/with"), S("it"), shared, false };
	struct store_message_append_in in = { handle, slice_text(name), &a, 1, replaced ? box : 0, replaced };
	struct store_message_append_out out;
	a.annotations = &with;
	a.nannotations = 1;
	return await_store_message_append(&house.user, &in, &house.a, &out);
}

static enum err
await_expunge(uint32_t uid)
{
	struct store_message_expunge_in in = { owner_handle, box, uid_list(&uid, 1), true };
	struct store_message_expunge_out out;
	return await_store_message_expunge(&house.user, &in, &house.a, &out);
}

/* Bytes of annotations that an account has. */
static uint64_t
await_held(uint32_t handle)
{
	struct store_account_usage_in in = { handle };
	struct store_account_usage_out out;
	ASSERT(await_store_account_usage(&house.user, &in, &house.a, &out) == OK);
	return out.usage.annotations;
}

static uint64_t
await_mailbox(uint32_t handle, const char *name)
{
	struct store_mailbox_status_in in = { handle, slice_text(name) };
	struct store_mailbox_status_out out = { 0 };
	ASSERT(await_store_mailbox_status(&house.user, &in, &house.a, &out) == OK);
	return out.mailbox.id;
}

/* Long before the background looks again by itself. */
static void
await_rows_removed(void)
{
	for (int i = 0; i < 2000 && rows_of('E'); i++)
		await_sleep(1);
	ASSERT(rows_of('E') == 0);
}

/* ---- rights */

static enum err
try_get(void)
{
	struct store_annotation_get_out out;
	return await_get_from(theirs, box, 1, &out);
}

static enum err
try_changes(void)
{
	struct store_annotation_changes_out out;
	return await_changed(theirs, &out);
}

static enum err
try_private(void)
{
	return await_set(theirs, 1, "/own", "x", PRIVATE);
}

static enum err
try_shared(void)
{
	return await_set(theirs, 1, "/all", "x", SHARED);
}

static enum err
try_remove(void)
{
	return await_set(theirs, 1, "/all", NULL, SHARED);
}

static enum err
try_remove_unknown(void)
{
	return await_set(theirs, 1, "/none", NULL, SHARED);
}

static enum err
try_append_private(void)
{
	return await_append(theirs, "Box", PRIVATE, 0);
}

static enum err
try_append_shared(void)
{
	return await_append(theirs, "Box", SHARED, 0);
}

static const struct {
	const char *what;
	enum err (*try)(void);
	uint32_t needs; /* all of these; without any one of them it is refused */
} calls[] = {
	{ "annotation_get", try_get, ACL_READ },
	{ "annotation_changes", try_changes, ACL_READ },
	{ "annotation_set of a private one", try_private, ACL_READ },
	{ "annotation_set of a shared one", try_shared, ACL_READ | ACL_ANNOTATE },
	{ "annotation_set that removes a shared one", try_remove, ACL_READ | ACL_ANNOTATE },
	{ "annotation_set that removes nothing", try_remove_unknown, ACL_READ | ACL_ANNOTATE },
	{ "message_append with a private one", try_append_private, ACL_INSERT },
	{ "message_append with a shared one", try_append_shared, ACL_INSERT | ACL_ANNOTATE },
};

static void
await_expect(size_t i, uint32_t rights, enum err expected)
{
	await_let(rights);
	enum err e = calls[i].try();
	if (e != expected)
		print_error("%s with rights %x: %s instead of %s\n", calls[i].what, rights, err_text(e), err_text(expected));
	ASSERT(e == expected);
}

static void
rights_body(void)
{
	await_people();
	ASSERT(await_set(owner_handle, 1, "/all", "secret", SHARED) == OK);
	for (size_t i = 0; i < COUNT_OF(calls); i++) {
		uint64_t held = await_held(owner_handle);
		for (uint32_t bit = 1; bit <= ACL_ALL; bit <<= 1)
			if (calls[i].needs & bit)
				await_expect(i, ACL_ALL & ~bit, ERR_DENIED);
		await_expect(i, 0, ERR_NOT_FOUND);
		ASSERT(await_held(owner_handle) == held);
		await_expect(i, calls[i].needs | ACL_LOOKUP, OK);
	}
}

/* One shared entry that may not be set: nothing of the list is. */
static void
mixed_body(void)
{
	await_people();
	struct store_message_annotation list[] = { { S("/a"), S("1"), PRIVATE, false },
		                                       { S("/b"), S("2"), SHARED, false } };
	await_let(ACL_LOOKUP | ACL_READ);
	ASSERT(await_set_list(theirs, box, first_uids(3), list, 2) == ERR_DENIED);
	ASSERT(await_sees(theirs, box, 1, "") && rows_of('e') == 0 && await_held(owner_handle) == 0);
}

static void
hostile_body(void)
{
	await_people();
	struct store_annotation_get_out out;
	struct store_message_annotation a = { S("/a"), S("1"), SHARED, false };
	ASSERT(await_set(owner_handle, 1, "/a", "secret", SHARED) == OK);
	/* numbers of another's mailboxes mean nothing under one's own handle */
	ASSERT(await_get_from(friend_handle, box, 1, &out) == ERR_NOT_FOUND);
	ASSERT(await_set_list(friend_handle, box, first_uids(1), &a, 1) == ERR_NOT_FOUND);
	ASSERT(await_get_from(12345, box, 1, &out) == ERR_STALE);
	ASSERT(await_set_list(12345, box, first_uids(1), &a, 1) == ERR_STALE);
	const uint32_t twice[] = { 1, 1 }, down[] = { 2, 1 }, zero[] = { 0, 1 };
	struct slice lists[] = { uid_list(twice, 2), uid_list(down, 2), uid_list(zero, 2), S("\1\0\0\0\2") };
	for (size_t i = 0; i < COUNT_OF(lists); i++)
		ASSERT(await_set_list(owner_handle, box, lists[i], &a, 1) == ERR_SYNTAX);
	struct slice names[] = { S(""), S("a") };
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		a.entry = names[i];
		ASSERT(await_set_list(owner_handle, box, first_uids(1), &a, 1) == ERR_SYNTAX);
	}
	struct store_annotation_set_in small = { owner_handle, box, first_uids(2), &a, 1, STORE_MODSEQ_ANY, in_region() };
	struct store_annotation_set_out set;
	a.entry = S("/a");
	small.into.len = INDEX_ROW_BYTES;
	ASSERT(await_store_annotation_set(&house.user, &small, &house.a, &set) == ERR_LIMIT);
	small.into = in_region();
	ASSERT(await_store_annotation_set(&house.mx, &small, &house.a, &set) == ERR_DENIED);
	ASSERT(await_sees(owner_handle, box, 1, "shared:/a=secret"));
}

/* ---- whose */

static void
two_users_body(void)
{
	await_people();
	ASSERT(await_set(owner_handle, 1, "/comment", "mine", PRIVATE) == OK);
	ASSERT(await_set(theirs, 1, "/comment", "his", PRIVATE) == OK);
	ASSERT(await_set(theirs, 1, "/comment", "ours", SHARED) == OK);
	ASSERT(await_sees(owner_handle, box, 1, "shared:/comment=ours private:/comment=mine"));
	ASSERT(await_sees(theirs, box, 1, "shared:/comment=ours private:/comment=his"));
	ASSERT(await_held(owner_handle) == 3 * 8 + 4 + 3 + 4 && await_held(friend_handle) == 0);
	struct store_annotation_changes_out out;
	ASSERT(await_changed(owner_handle, &out) == OK && out.nchanges == 2); /* nobody hears of another's */
	ASSERT(await_changed(theirs, &out) == OK && out.nchanges == 2);
	ASSERT(await_set(theirs, 1, "/comment", NULL, PRIVATE) == OK);
	ASSERT(await_sees(owner_handle, box, 1, "shared:/comment=ours private:/comment=mine"));
	ASSERT(await_sees(theirs, box, 1, "shared:/comment=ours"));
	ASSERT(await_held(owner_handle) == 2 * 8 + 4 + 4);
	await_reopen();
	owner_handle = await_handle(owner);
	ASSERT(await_sees(owner_handle, box, 1, "shared:/comment=ours private:/comment=mine"));
}

/* RFC 5257 4.6: a copy has the shared ones, and those of whoever copies, as far as he may set them there. */
static void
copies_body(void)
{
	struct store_message_copy_out out;
	await_people();
	ASSERT(await_set(owner_handle, 1, "/a", "own", PRIVATE) == OK);
	ASSERT(await_set(theirs, 1, "/a", "his", PRIVATE) == OK);
	ASSERT(await_set(theirs, 1, "/b", "all", SHARED) == OK);
	ASSERT(await_held(owner_handle) == 15);
	ASSERT(await_copy(theirs, 1, friend_handle, "INBOX", false, &out) == OK);
	uint64_t inbox = await_mailbox(friend_handle, "INBOX");
	ASSERT(await_sees(friend_handle, inbox, 1, "shared:/b=all private:/a=his"));
	ASSERT(await_held(owner_handle) == 15 && await_held(friend_handle) == 10);
	/* without n only private ones come along */
	await_let(ACL_LOOKUP | ACL_READ | ACL_INSERT);
	ASSERT(await_copy(theirs, 1, theirs, "Box", false, &out) == OK);
	ASSERT(await_sees(theirs, box, 4, "private:/a=his") && await_sees(owner_handle, box, 4, ""));
	ASSERT(await_held(owner_handle) == 20);
	/* without r and n nothing does */
	await_let(ACL_LOOKUP | ACL_INSERT);
	struct store_message_copy_in back = { friend_handle, inbox, first_uids(1), S("Box"), false, theirs };
	ASSERT(await_store_message_copy(&house.user, &back, &house.a, &out) == OK);
	await_let(ACL_LOOKUP | ACL_READ);
	ASSERT(await_sees(theirs, box, 5, "") && await_sees(owner_handle, box, 5, "") && await_held(owner_handle) == 20);
}

/* ---- what goes */

static void
gone_body(void)
{
	struct store_message_copy_out out;
	await_people();
	ASSERT(await_set(owner_handle, 1, "/a", "one", SHARED) == OK);
	ASSERT(await_set(theirs, 1, "/a", "his", PRIVATE) == OK);
	ASSERT(await_set(owner_handle, 2, "/a", "two", SHARED) == OK);
	ASSERT(await_set(owner_handle, 3, "/a", "tri", SHARED) == OK && await_held(owner_handle) == 20);
	ASSERT(await_copy(owner_handle, 1, owner_handle, "Trash", true, &out) == OK);
	ASSERT(await_held(owner_handle) == 15); /* what others noted for themselves went with the message */
	ASSERT(await_sees(owner_handle, await_mailbox(owner_handle, "Trash"), 1, "shared:/a=one"));
	ASSERT(await_sees(owner_handle, box, 1, ""));
	await_rows_removed();
	ASSERT(rows_of('e') == 3 * 2);
	ASSERT(await_expunge(2) == OK && await_held(owner_handle) == 10);
	await_rows_removed();
	ASSERT(rows_of('e') == 2 * 2);
	ASSERT(await_append(owner_handle, "Box", PRIVATE, 3) == OK && await_held(owner_handle) == 5 + 7);
	ASSERT(await_sees(owner_handle, box, 4, "private:/with=it"));
	await_rows_removed();
	ASSERT(rows_of('e') == 2 * 2);
	/* in the mailbox itself */
	ASSERT(await_copy(owner_handle, 4, owner_handle, "Box", true, &out) == OK);
	ASSERT(await_sees(owner_handle, box, 5, "private:/with=it") && await_held(owner_handle) == 5 + 7);
	await_rows_removed();
	ASSERT(rows_of('e') == 2 * 2);
	struct store_mailbox_delete_in gone = { owner_handle, S("Box") };
	ASSERT(await_store_mailbox_delete(&house.user, &gone, &house.a, &(struct store_mailbox_delete_out){ 0 }) == OK);
	ASSERT(await_held(owner_handle) == 5);
	await_removed();
	ASSERT(rows_of('e') == 2);
}

/* RFC 9051 6.3.6: the messages of INBOX move, and theirs with them. */
static void
renamed_body(void)
{
	await_people();
	ASSERT(await_append(owner_handle, "INBOX", SHARED, 0) == OK && await_held(owner_handle) == 7);
	struct store_mailbox_rename_in in = { owner_handle, S("INBOX"), S("Old") };
	ASSERT(await_store_mailbox_rename(&house.user, &in, &house.a, &(struct store_mailbox_rename_out){ 0 }) == OK);
	ASSERT(await_sees(owner_handle, await_mailbox(owner_handle, "Old"), 1, "shared:/with=it"));
	ASSERT(await_held(owner_handle) == 7);
	struct store_account_delete_in gone = { S("owner@x.test") };
	ASSERT(await_store_account_delete(&house.admin, &gone, &house.a, &(struct store_account_delete_out){ 0 }) == OK);
	await_removed();
	ASSERT(rows_of('e') == 0 && rows_of('E') == 0);
}

/* More rows than one step of the background takes. */
static void
many_gone_body(void)
{
	struct store_message_annotation list[100];
	await_people();
	for (uint32_t i = 0; i < COUNT_OF(list); i++)
		list[i] = (struct store_message_annotation){ arena_printf(&house.a, "/%u", i), S("x"), i % 2, false };
	for (int i = 3; i < 30; i++)
		ASSERT(await_deliver(owner, "Box", S("text"), NULL) == OK);
	struct slice uids = first_uids(30);
	ASSERT(await_set_list(owner_handle, box, uids, list, COUNT_OF(list)) == OK);
	ASSERT(await_set_list(theirs, box, uids, list, COUNT_OF(list)) == OK);
	ASSERT(rows_of('e') == 30 * 151);
	struct store_message_expunge_in in = { owner_handle, box, uids, true };
	struct store_message_expunge_out out;
	ASSERT(await_store_message_expunge(&house.user, &in, &house.a, &out) == OK && out.vanished.len == uids.len);
	ASSERT(await_held(owner_handle) == 0 && rows_of('e') > 0);
	await_reopen(); /* and it goes on */
	await_rows_removed();
	ASSERT(rows_of('e') == 0);
}

/* The last of those that went are remembered, for sessions that are to hear of them. */
static void
remembered_body(void)
{
	char name[16];
	struct store_annotation_changes_out out;
	await_people();
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "/%d", i);
		ASSERT(await_set(owner_handle, 1, name, "x", SHARED) == OK);
		ASSERT(await_set(owner_handle, 1, name, NULL, SHARED) == OK);
	}
	ASSERT(rows_of('e') == 1 + 16 && await_held(owner_handle) == 0);
	ASSERT(await_changed(theirs, &out) == OK && out.nchanges == 16 && !out.more);
	for (uint32_t i = 0; i < 16; i++)
		ASSERT(slice_starts(out.changes[i].entry, S("/2")) || slice_starts(out.changes[i].entry, S("/3")));
	ASSERT(await_sees(owner_handle, box, 1, ""));
}

/* ---- limits */

static void
entries_body(void)
{
	struct store_message_annotation list[100], one = { S("/more"), S("x"), SHARED, false };
	await_people();
	for (uint32_t i = 0; i < COUNT_OF(list); i++)
		list[i] = (struct store_message_annotation){ arena_printf(&house.a, "/%u", i), S("x"), SHARED, false };
	ASSERT(await_set_list(owner_handle, box, first_uids(1), list, COUNT_OF(list)) == OK);
	uint64_t held = await_held(owner_handle);
	ASSERT(await_set_list(owner_handle, box, first_uids(2), &one, 1) == ERR_LIMIT); /* of neither message */
	ASSERT(await_held(owner_handle) == held && await_sees(owner_handle, box, 2, ""));
	one.shared = false;
	ASSERT(await_set_list(owner_handle, box, first_uids(1), &one, 1) == OK); /* of each user as many */
	for (uint32_t i = 0; i < COUNT_OF(list); i++)
		list[i].shared = false;
	ASSERT(await_set_list(owner_handle, box, first_uids(1), list, COUNT_OF(list)) == ERR_LIMIT);
	ASSERT(await_set_list(theirs, box, first_uids(1), list, COUNT_OF(list)) == OK);
	ASSERT(await_set(owner_handle, 1, "/5", NULL, SHARED) == OK);
	ASSERT(await_set(owner_handle, 1, "/more", "x", SHARED) == OK);
}

/* Names and values together, to the byte. */
static void
bytes_body(void)
{
	struct store_message_annotation list[4];
	await_people();
	for (uint32_t i = 0; i < COUNT_OF(list); i++)
		list[i] = (struct store_message_annotation){ arena_printf(&house.a, "/%u", i),
			                                         slice_of(value_text, sizeof value_text), PRIVATE, false };
	list[3].value.len -= 7;
	ASSERT(await_set_list(theirs, box, first_uids(1), list, COUNT_OF(list)) == ERR_LIMIT);
	ASSERT(await_held(owner_handle) == 0 && rows_of('e') == 0);
	list[3].value.len--;
	ASSERT(await_set_list(theirs, box, first_uids(1), list, COUNT_OF(list)) == OK);
	ASSERT(await_held(owner_handle) == 256 << 10);
	ASSERT(await_set(theirs, 1, "/4", "", PRIVATE) == ERR_LIMIT && await_set(theirs, 1, "/4", "x", SHARED) == OK);
}

/* What one call sets, counted for each message that it names. */
static void
set_body(void)
{
	struct store_message_annotation list[100];
	await_people();
	for (uint32_t i = 0; i < COUNT_OF(list); i++)
		list[i] = (struct store_message_annotation){ arena_printf(&house.a, "/%u", i), S("x"), SHARED, false };
	ASSERT(await_set_list(owner_handle, box, first_uids(201), list, COUNT_OF(list)) == ERR_LIMIT);
	ASSERT(rows_of('e') == 0);
	ASSERT(await_set_list(owner_handle, box, first_uids(200), list, COUNT_OF(list)) == OK);
	list[0].value = slice_of(value_text, sizeof value_text);
	ASSERT(await_set_list(owner_handle, box, first_uids(257), list, 1) == ERR_LIMIT);
	ASSERT(await_set_list(owner_handle, box, first_uids(256), list, 1) == OK);
	ASSERT(await_held(owner_handle) == 3 * (10 * 2 + 90 * 3 + 99 + sizeof value_text));
}

static void
await_copy_of_three(enum err expected)
{
	struct store_message_copy_in in = { owner_handle, box, first_uids(3), S("Trash") };
	struct store_message_copy_out out;
	uint64_t held = await_held(owner_handle);
	ASSERT(await_store_message_copy(&house.user, &in, &house.a, &out) == expected);
	ASSERT(await_held(owner_handle) == (expected ? held : held + 3 * 8));
}

/* What one COPY writes; the real limits are 200,000 and 64 MiB. */
static void
copy_limits_body(void)
{
	uint32_t rows = annotations_copy_rows_max, bytes = annotations_copy_bytes_max;
	struct store_message_annotation list[] = { { S("/a"), S("12"), SHARED, false },
		                                       { S("/b"), S("34"), PRIVATE, false } };
	await_people();
	ASSERT(rows == 200000 && bytes == 64 << 20);
	ASSERT(await_set_list(owner_handle, box, first_uids(3), list, 2) == OK && await_held(owner_handle) == 24);
	annotations_copy_rows_max = 5;
	await_copy_of_three(ERR_LIMIT);
	annotations_copy_rows_max = 6;
	annotations_copy_bytes_max = 23;
	await_copy_of_three(ERR_LIMIT);
	ASSERT(rows_of('e') == 9);
	annotations_copy_bytes_max = 24;
	await_copy_of_three(OK);
	ASSERT(rows_of('e') == 18);
	annotations_copy_rows_max = rows;
	annotations_copy_bytes_max = bytes;
}

static void
quota_body(void)
{
	struct store_message_copy_out out;
	await_people();
	house.conf.v.quota_annotations = 20;
	ASSERT(await_set(theirs, 1, "/a", "12345678", SHARED) == OK); /* the owner's quota counts */
	ASSERT(await_set(theirs, 2, "/a", "123456789", PRIVATE) == ERR_QUOTA && await_held(owner_handle) == 10);
	ASSERT(await_set(theirs, 2, "/a", "12345678", PRIVATE) == OK && await_held(owner_handle) == 20);
	ASSERT(await_append(owner_handle, "INBOX", PRIVATE, 0) == ERR_QUOTA);
	ASSERT(await_copy(owner_handle, 1, owner_handle, "Trash", false, &out) == ERR_QUOTA);
	ASSERT(await_held(owner_handle) == 20 && rows_of('e') == 4);
	ASSERT(await_set(theirs, 1, "/a", "1", SHARED) == OK && await_held(owner_handle) == 13);
	/* what is too much by now stays, shrinks and moves, and does not grow */
	house.conf.v.quota_annotations = 5;
	ASSERT(await_set(theirs, 1, "/b", "", SHARED) == ERR_QUOTA);
	ASSERT(await_copy(owner_handle, 1, owner_handle, "Trash", true, &out) == OK && await_held(owner_handle) == 13);
	ASSERT(await_set(theirs, 2, "/a", NULL, PRIVATE) == OK && await_held(owner_handle) == 3);
	ASSERT(await_set(theirs, 3, "/b", "", SHARED) == OK);
}

#define HOUSE_TEST(name)                                                                                               \
	static void name(void **state)                                                                                     \
	{                                                                                                                  \
		on_checked_house(name##_body);                                                                                 \
	}
HOUSE_TEST(rights)
HOUSE_TEST(mixed)
HOUSE_TEST(hostile)
HOUSE_TEST(two_users)
HOUSE_TEST(copies)
HOUSE_TEST(gone)
HOUSE_TEST(renamed)
HOUSE_TEST(many_gone)
HOUSE_TEST(remembered)
HOUSE_TEST(entries)
HOUSE_TEST(bytes)
HOUSE_TEST(set)
HOUSE_TEST(copy_limits)
HOUSE_TEST(quota)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rights),    cmocka_unit_test(mixed),       cmocka_unit_test(hostile),
		cmocka_unit_test(two_users), cmocka_unit_test(copies),      cmocka_unit_test(gone),
		cmocka_unit_test(renamed),   cmocka_unit_test(many_gone),   cmocka_unit_test(remembered),
		cmocka_unit_test(entries),   cmocka_unit_test(bytes),       cmocka_unit_test(set),
		cmocka_unit_test(quota),     cmocka_unit_test(copy_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
