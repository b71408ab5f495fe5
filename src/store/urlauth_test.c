/* SPDX-License-Identifier: Apache-2.0 */
/* urlauth_test.c - tokens of URLs (RFC 4467): what they open, for whom, until when; that nothing else is opened by the
 * handle that url_open gives; that keys go with their mailboxes. */
#include "store/store_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t ann, bob, eve;
static uint32_t ann_handle, bob_handle, eve_handle;
static struct store_delivered mail[2];

static void
await_people(void)
{
	ASSERT(await_domain_add("x.test") == OK);
	ann = await_account("ann@x.test", RIGHTS_USER, 0);
	bob = await_account("bob@x.test", RIGHTS_USER, 0);
	eve = await_account("eve@x.test", RIGHTS_USER | RIGHT_SUBMISSION, 0);
	ann_handle = await_handle(ann);
	bob_handle = await_handle(bob);
	eve_handle = await_handle(eve);
	ASSERT(await_deliver(ann, "INBOX", S("a: b\r\n\r\nfirst"), &mail[0]) == OK);
	ASSERT(await_deliver(ann, "INBOX", S("a: b\r\n\r\nsecond"), &mail[1]) == OK);
}

static struct store_url
url_of(uint32_t access, const char *user)
{
	return (struct store_url){ S("imap://ann@x/INBOX/;UID=1;URLAUTH=x"), mail[0].uid, 0, access, slice_text(user) };
}

static enum err
await_sign(uint32_t handle, const char *name, const struct store_url *url, struct slice *token)
{
	struct store_url_sign_in in = { handle, slice_text(name), *url };
	struct store_url_sign_out out = { 0 };
	enum err e = await_store_url_sign(&house.user, &in, &house.a, &out);
	*token = out.token;
	return e;
}

static enum err
await_reset(uint32_t handle, const char *name)
{
	struct store_url_reset_in in = { handle, slice_text(name) };
	struct store_url_reset_out out;
	return await_store_url_reset(&house.user, &in, &house.a, &out);
}

static struct store_url_open_in
opening_of(uint32_t handle, const struct store_url *url, struct slice token)
{
	return (struct store_url_open_in){
		.handle = handle, .signer = S("ann@x.test"), .name = S("INBOX"), .url = *url, .token = token
	};
}

static enum err
await_open(const struct store_url_open_in *in, struct store_url_open_out *out)
{
	struct store_url_open_in asked = *in;
	*out = (struct store_url_open_out){ 0 };
	return await_store_url_open(&house.user, &asked, &house.a, out);
}

static enum err
await_try(uint32_t handle, const struct store_url *url, struct slice token)
{
	struct store_url_open_out out;
	struct store_url_open_in in = opening_of(handle, url, token);
	return await_open(&in, &out);
}

static enum err
await_body(uint32_t handle, uint64_t mailbox, uint32_t uid)
{
	struct store_message_body_in in = { .handle = handle, .mailbox = mailbox, .uid = uid, .into = in_region() };
	struct store_message_body_out out = { 0 };
	return await_store_message_body(&house.user, &in, &house.a, &out);
}

static enum err
await_facts(uint32_t handle, uint64_t mailbox, const uint32_t *uids, size_t n)
{
	struct store_message_facts_in in = {
		.handle = handle, .mailbox = mailbox, .uids = uid_list(uids, n), .into = in_region()
	};
	struct store_message_facts_out out = { 0 };
	return await_store_message_facts(&house.user, &in, &house.a, &out);
}

static enum err
await_status(uint32_t handle, const char *name)
{
	struct store_mailbox_status_in in = { handle, slice_text(name) };
	struct store_mailbox_status_out out = { 0 };
	return await_store_mailbox_status(&house.user, &in, &house.a, &out);
}

static void
one_message_body(void)
{
	await_people();
	struct store_url url = url_of(URL_ANONYMOUS, "");
	struct store_url_open_out out, again;
	struct slice token;
	ASSERT(await_sign(ann_handle, "INBOX", &url, &token) == OK && token.len == URL_TOKEN_BYTES);
	struct store_url_open_in in = opening_of(bob_handle, &url, token);
	ASSERT(await_open(&in, &out) == OK && out.mailbox == mail[0].mailbox && out.uidvalidity == mail[0].uidvalidity);
	ASSERT(await_body(out.handle, out.mailbox, mail[0].uid) == OK);
	ASSERT(await_facts(out.handle, out.mailbox, &mail[0].uid, 1) == OK);
	/* nothing else */
	uint32_t both[] = { mail[0].uid, mail[1].uid };
	ASSERT(await_body(out.handle, out.mailbox, mail[1].uid) == ERR_STALE);
	ASSERT(await_body(out.handle, out.mailbox + 1, mail[0].uid) == ERR_STALE);
	ASSERT(await_facts(out.handle, out.mailbox, both, 2) == ERR_STALE);
	ASSERT(await_facts(out.handle, out.mailbox, both + 1, 1) == ERR_STALE);
	ASSERT(await_facts(out.handle, out.mailbox, both, 0) == ERR_STALE);
	ASSERT(await_status(out.handle, "INBOX") == ERR_STALE);
	ASSERT(await_sign(out.handle, "INBOX", &url, &token) == ERR_STALE);
	ASSERT(await_reset(out.handle, "INBOX") == ERR_STALE && await_reset(out.handle, "") == ERR_STALE);
	in.handle = out.handle;
	ASSERT(await_open(&in, &again) == ERR_STALE);
	/* it ends with the handle of who asked */
	store_account_close_notify(&house.user, &(struct store_account_close_in){ bob_handle });
	ASSERT(await_body(out.handle, out.mailbox, mail[0].uid) == ERR_STALE);
}

/* Whatever differs from what was signed opens nothing. */
static void
tampering_body(void)
{
	await_people();
	const struct store_url url = url_of(URL_USER, "bob@x.test");
	struct store_url_open_out out;
	struct slice token, other;
	ASSERT(await_sign(ann_handle, "INBOX", &url, &token) == OK);
	const struct store_url_open_in good = opening_of(bob_handle, &url, token);
	ASSERT(await_open(&good, &out) == OK);
	struct store_url_open_in bad[11];
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		bad[i] = good;
	bad[0].url.uid = mail[1].uid;
	bad[1].url.text = S("imap://ann@x/INBOX/;UID=1;URLAUTH=");
	bad[2].url.expires = 4000000000;
	bad[3].url.access = URL_SUBMIT;
	bad[4].url.user = S("Bob@x.test");
	bad[5].signer = S("bob@x.test");
	bad[6].signer = S("nobody@x.test");
	bad[7].name = S("Drafts");
	bad[8].token = slice_part(token, 0, 32);
	bad[9].address = S("ann@x.test");
	bad[10].url.user = S("");
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		if (await_open(&bad[i], &out) != ERR_NOT_FOUND)
			fail_msg("bad url %zu opens", i);
	for (size_t i = 0; i < token.len * 8; i++) {
		char flipped[URL_TOKEN_BYTES];
		memcpy(flipped, token.at, sizeof flipped);
		flipped[i / 8] = (char)(flipped[i / 8] ^ 1 << i % 8);
		ASSERT(await_try(bob_handle, &url, slice_of(flipped, sizeof flipped)) == ERR_NOT_FOUND);
	}
	ASSERT(await_try(ann_handle, &url, token) == ERR_NOT_FOUND && await_try(eve_handle, &url, token) == ERR_NOT_FOUND);
	struct store_url unsound[] = { url, url, url, url };
	unsound[0].uid = 0;
	unsound[1].access = URL_SUBMIT + 1;
	unsound[2].expires = -1;
	unsound[3].access = URL_ANONYMOUS; /* with a user */
	for (size_t i = 0; i < COUNT_OF(unsound); i++)
		ASSERT(await_sign(ann_handle, "INBOX", &unsound[i], &other) == ERR_SYNTAX);
	ASSERT(await_sign(ann_handle, "none", &url, &other) == ERR_NOT_FOUND);
}

static void
who_may_body(void)
{
	struct slice token;
	await_people();
	struct store_url url = url_of(URL_SUBMIT, "ann@x.test");
	ASSERT(await_sign(ann_handle, "INBOX", &url, &token) == OK);
	/* the grant of these handles does not have the right, whatever the account may */
	ASSERT(await_try(eve_handle, &url, token) == ERR_NOT_FOUND && await_try(bob_handle, &url, token) == ERR_NOT_FOUND);
	url = url_of(URL_AUTHUSER, "");
	ASSERT(await_sign(ann_handle, "INBOX", &url, &token) == OK && await_try(eve_handle, &url, token) == OK);
	url.expires = clock_wall_sec() - 1;
	ASSERT(await_sign(ann_handle, "INBOX", &url, &token) == OK && await_try(eve_handle, &url, token) == ERR_NOT_FOUND);
	url.expires = clock_wall_sec() + 1000;
	ASSERT(await_sign(ann_handle, "INBOX", &url, &token) == OK && await_try(eve_handle, &url, token) == OK);
	struct store_account_set_in set = { S("ann@x.test"), ACCOUNT_SUSPENDED, RIGHTS_USER, 0, 0, 0 };
	struct store_account_set_out done;
	ASSERT(await_store_account_set(&house.admin, &set, &house.a, &done) == OK);
	ASSERT(await_try(eve_handle, &url, token) == ERR_NOT_FOUND);
}

/* Keys are of a user and a mailbox, stay over a restart, and go with the mailbox. */
static void
keys_body(void)
{
	await_people();
	const struct store_url url = url_of(URL_ANONYMOUS, "");
	struct store_mailbox_create_in box = { .name = S("Box") };
	struct store_mailbox_create_out made;
	struct store_mailbox_delete_in gone = { .name = S("Box") };
	struct store_mailbox_delete_out removed;
	struct slice inbox, in_box, again;
	box.handle = ann_handle;
	ASSERT(await_store_mailbox_create(&house.user, &box, &house.a, &made) == OK);
	ASSERT(await_sign(ann_handle, "INBOX", &url, &inbox) == OK && await_sign(ann_handle, "Box", &url, &in_box) == OK);
	ASSERT(!slice_equal(inbox, in_box));
	await_reopen();
	ann_handle = await_handle(ann);
	bob_handle = await_handle(bob);
	ASSERT(await_try(bob_handle, &url, inbox) == OK);
	ASSERT(await_reset(ann_handle, "Box") == OK && await_try(bob_handle, &url, inbox) == OK);
	ASSERT(await_sign(ann_handle, "Box", &url, &again) == OK && !slice_equal(again, in_box));
	ASSERT(await_reset(ann_handle, "") == OK && await_try(bob_handle, &url, inbox) == ERR_NOT_FOUND);
	ASSERT(await_reset(ann_handle, "none") == ERR_NOT_FOUND);
	gone.handle = ann_handle;
	ASSERT(await_store_mailbox_delete(&house.user, &gone, &house.a, &removed) == OK);
}

/* The mailbox of somebody else: with the rights that the one who signed has at the time, and keys of his own. */
static void
shared_body(void)
{
	await_people();
	const struct store_url url = url_of(URL_ANONYMOUS, "");
	struct slice token;
	struct store_url_open_out out;
	struct store_acl_set_in acl = { ann_handle, S("INBOX"), S("bob@x.test"), ACL_REPLACE, ACL_LOOKUP | ACL_READ };
	struct store_acl_set_out done;
	ASSERT(await_store_acl_set(&house.user, &acl, &house.a, &done) == OK);
	struct store_account_open_shared_in by = { bob_handle, S("ann@x.test"), S("") };
	struct store_account_open_shared_out shared;
	ASSERT(await_store_account_open_shared(&house.user, &by, &house.a, &shared) == OK);
	ASSERT(await_sign(shared.handle, "INBOX", &url, &token) == OK);
	struct store_url_open_in in = opening_of(eve_handle, &url, token);
	in.signer = S("bob@x.test");
	in.address = S("ann@x.test");
	ASSERT(await_open(&in, &out) == OK && await_body(out.handle, out.mailbox, mail[0].uid) == OK);
	ASSERT(await_reset(ann_handle, "INBOX") == OK && await_reset(ann_handle, "") == OK);
	ASSERT(await_open(&in, &out) == OK);
	struct store_url_open_in as_ann = opening_of(eve_handle, &url, token), by_shared = in;
	ASSERT(await_open(&as_ann, &out) == ERR_NOT_FOUND);
	by_shared.handle = shared.handle; /* rights do not add up */
	ASSERT(await_open(&by_shared, &out) == ERR_DENIED);
	ASSERT(await_open(&in, &out) == OK);
	acl.rights = ACL_LOOKUP;
	ASSERT(await_store_acl_set(&house.user, &acl, &house.a, &done) == OK);
	ASSERT(await_body(out.handle, out.mailbox, mail[0].uid) == ERR_DENIED); /* with the next call */
	ASSERT(await_open(&in, &out) == ERR_NOT_FOUND);
	ASSERT(await_sign(shared.handle, "INBOX", &url, &token) == ERR_DENIED);
	ASSERT(await_reset(shared.handle, "INBOX") == ERR_DENIED);
}

#define HOUSE_TEST(name)                                                                                               \
	static void name(void **state)                                                                                     \
	{                                                                                                                  \
		on_checked_house(name##_body);                                                                                 \
	}
HOUSE_TEST(one_message)
HOUSE_TEST(tampering)
HOUSE_TEST(who_may)
HOUSE_TEST(keys)
HOUSE_TEST(shared)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_message), cmocka_unit_test(tampering), cmocka_unit_test(who_may),
		cmocka_unit_test(keys),        cmocka_unit_test(shared),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
