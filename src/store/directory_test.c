/* SPDX-License-Identifier: Apache-2.0 */
/* directory_test.c - domains, accounts, aliases, and who gets mail for an address. */
#include "store/directory_name.h"
#include "store/store_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct store_resolve_out
await_resolve(const char *address, uint64_t bytes)
{
	struct store_resolve_in in = { slice_text(address), bytes };
	struct store_resolve_out out;
	ASSERT(await_store_resolve(&house.mx, &in, &house.a, &out) == OK);
	return out;
}

static enum err
await_alias(const char *address, const char *first, const char *second)
{
	struct store_name targets[2] = { { slice_text(first) }, { slice_text(second) } };
	struct store_alias_add_in in = { slice_text(address), targets, second ? 2 : 1 };
	struct store_alias_add_out out;
	return await_store_alias_add(&house.admin, &in, &house.a, &out);
}

/* The first target's account, when there is exactly one and all is well. */
static uint64_t
await_only(const char *address)
{
	struct store_resolve_out out = await_resolve(address, 0);
	return out.local && out.verdict == OK && out.ntargets == 1 ? out.targets[0].account : 0;
}

static void
addresses_body(void)
{
	ASSERT(await_domain_add("Example.Test") == OK);
	ASSERT(await_domain_add("example.test") == ERR_EXISTS);
	ASSERT(await_domain_add("-not a domain-") == ERR_SYNTAX);
	uint64_t alice = await_account("Alice@example.test", RIGHTS_USER, 0);
	ASSERT(await_only("alice@example.test") == alice);
	ASSERT(await_only("ALICE@EXAMPLE.TEST") == alice);
	ASSERT(await_only("alice+lists@example.test") == alice);
	struct store_resolve_out out = await_resolve("alice+junk@example.test", 0);
	ASSERT(slice_equal(out.targets[0].mailbox, S("Junk")));
	ASSERT(slice_equal(out.targets[0].address, S("Alice@example.test")));
	out = await_resolve("nobody@example.test", 0);
	ASSERT(out.local && out.verdict == ERR_NOT_FOUND);
	out = await_resolve("bob@elsewhere.test", 0);
	ASSERT(!out.local && out.verdict == OK && out.targets[0].account == 0);
	out = await_resolve("bob@[127.0.0.1]", 0);
	ASSERT(!out.local && out.verdict == OK);
	out = await_resolve("nothing", 0);
	ASSERT(!out.local && out.verdict == ERR_SYNTAX);
	struct store_account_add_in again = { .address = S("ALICE@example.test") };
	struct store_account_add_out added;
	ASSERT(await_store_account_add(&house.admin, &again, &house.a, &added) == ERR_EXISTS);
	again.address = S("x@elsewhere.test");
	ASSERT(await_store_account_add(&house.admin, &again, &house.a, &added) == ERR_NOT_FOUND);
	struct store_domain_delete_in gone = { S("example.test") };
	struct store_domain_delete_out went;
	ASSERT(await_store_domain_delete(&house.admin, &gone, &house.a, &went) == ERR_BUSY);
}

static void
idn_body(void)
{
	ASSERT(await_domain_add("b\xc3\xbc"
	                        "cher.test") == OK);
	ASSERT(await_domain_add("xn--bcher-kva.test") == ERR_EXISTS);
	uint64_t a = await_account("a@xn--bcher-kva.test", RIGHTS_USER, 0);
	ASSERT(await_only("a@B\xc3\x9c"
	                  "CHER.test") == a);
	ASSERT(await_only("a@XN--BCHER-KVA.test") == a);
}

static void
aliases_body(void)
{
	ASSERT(await_domain_add("x.test") == OK && await_domain_add("y.test") == OK);
	uint64_t alice = await_account("alice@x.test", RIGHTS_USER, 0), bob = await_account("bob@x.test", RIGHTS_USER, 0);
	ASSERT(await_alias("team@x.test", "alice@x.test", "staff@x.test") == OK);
	ASSERT(await_alias("staff@x.test", "bob@x.test", "carol@remote.test") == OK);
	struct store_resolve_out out = await_resolve("team@x.test", 0);
	ASSERT(out.verdict == OK && out.ntargets == 3);
	ASSERT(out.targets[0].account == alice && out.targets[1].account == bob && out.targets[2].account == 0);
	ASSERT(slice_equal(out.targets[2].address, S("carol@remote.test")));
	out = await_resolve("team+junk@x.test", 0); /* the detail goes on to local targets */
	ASSERT(slice_equal(out.targets[0].mailbox, S("Junk")));
	ASSERT(await_alias("alice@x.test", "bob@x.test", NULL) == ERR_EXISTS);
	ASSERT(await_alias("bad@x.test", "no address", NULL) == ERR_SYNTAX);

	/* the same one twice is one target; a loop is an error */
	ASSERT(await_alias("twice@x.test", "bob@x.test", "staff@x.test") == OK);
	out = await_resolve("twice@x.test", 0);
	ASSERT(out.ntargets == 2);
	ASSERT(await_alias("one@x.test", "two@x.test", NULL) == OK && await_alias("two@x.test", "one@x.test", NULL) == OK);
	out = await_resolve("one@x.test", 0);
	ASSERT(out.local && out.verdict == ERR_LIMIT && out.ntargets == 0);

	/* catch-all, and a domain that is another one's */
	ASSERT(await_alias("*@x.test", "bob@x.test", NULL) == OK && await_alias("*@y.test", "*@x.test", NULL) == OK);
	ASSERT(await_only("whoever@x.test") == bob && await_only("alice@y.test") == alice);
	ASSERT(await_alias("named@x.test", "*@y.test", NULL) == ERR_SYNTAX);

	struct store_sender_allowed_in may = { alice, S("team@x.test") };
	struct store_sender_allowed_out answer;
	ASSERT(await_store_sender_allowed(&house.user, &may, &house.a, &answer) == OK && answer.allowed);
	may.address = S("alice+tag@x.test");
	ASSERT(await_store_sender_allowed(&house.user, &may, &house.a, &answer) == OK && answer.allowed);
	may.address = S("bob@x.test");
	ASSERT(await_store_sender_allowed(&house.user, &may, &house.a, &answer) == OK && !answer.allowed);

	struct store_alias_list_in list = { .address = SLICE_NONE };
	struct store_alias_list_out listed;
	ASSERT(await_store_alias_list(&house.admin, &list, &house.a, &listed) == OK && listed.naliases == 7);
	struct store_name target = { S("ALICE@x.test") };
	struct store_alias_delete_in del = { S("team@x.test"), &target, 1 };
	struct store_alias_delete_out deleted;
	ASSERT(await_store_alias_delete(&house.admin, &del, &house.a, &deleted) == OK);
	ASSERT(await_resolve("team@x.test", 0).ntargets == 2);
	ASSERT(await_store_alias_delete(&house.admin, &del, &house.a, &deleted) == ERR_NOT_FOUND);
	del.ntargets = 0;
	ASSERT(await_store_alias_delete(&house.admin, &del, &house.a, &deleted) == OK);
	ASSERT(await_only("team@x.test") == bob); /* the catch-all has it now */
}

static void
an_alias_of_too_many_body(void)
{
	ASSERT(await_domain_add("x.test") == OK);
	struct store_name *targets = ARENA_ARRAY(&house.a, struct store_name, 1000);
	for (size_t i = 0; i < 1000; i++)
		targets[i].text = arena_printf(&house.a, "user%zu@remote.test", i);
	struct store_alias_add_in in = { S("many@x.test"), targets, 1000 };
	struct store_alias_add_out out;
	ASSERT(await_store_alias_add(&house.admin, &in, &house.a, &out) == OK);
	struct store_resolve_out all = await_resolve("many@x.test", 0);
	ASSERT(all.verdict == OK && all.ntargets == 1000);
	ASSERT(await_alias("many@x.test", "one@more.test", NULL) == ERR_LIMIT);
	ASSERT(await_alias("more@x.test", "many@x.test", "one@more.test") == OK);
	ASSERT(await_resolve("more@x.test", 0).verdict == ERR_LIMIT);
}

static void
postmaster_body(void)
{
	ASSERT(await_domain_add("x.test") == OK);
	struct store_resolve_out out = await_resolve("postmaster@x.test", 0);
	ASSERT(out.local && out.verdict == ERR_NOT_FOUND);
	await_account("bob@x.test", RIGHTS_USER, 0);
	uint64_t admin = await_account("root@x.test", RIGHTS_USER | RIGHT_ADMIN, 0);
	ASSERT(await_only("PostMaster@x.test") == admin);
	ASSERT(await_only("postmaster") == admin);
	house.conf.v.postmaster = "bob@x.test";
	ASSERT(await_only("postmaster@x.test") != admin);
	uint64_t own = await_account("postmaster@x.test", RIGHTS_USER, 0);
	ASSERT(await_only("postmaster@x.test") == own);
}

static enum err
await_set(const char *address, uint32_t status, uint64_t rights, uint64_t quota)
{
	struct store_account_set_in in = { slice_text(address), status, rights, quota, UINT64_MAX, UINT64_MAX };
	struct store_account_set_out out;
	return await_store_account_set(&house.admin, &in, &house.a, &out);
}

static void
verdicts_body(void)
{
	ASSERT(await_domain_add("x.test") == OK);
	uint64_t a = await_account("a@x.test", RIGHTS_USER, 1000);
	ASSERT(await_resolve("a@x.test", 1000).verdict == OK);
	struct store_resolve_out out = await_resolve("a@x.test", 1001);
	ASSERT(out.verdict == ERR_QUOTA && out.targets[0].account == 0 && out.targets[0].verdict == ERR_QUOTA);
	char text[600];
	memset(text, 'x', sizeof text);
	ASSERT(await_deliver(a, "", slice_of(text, 600), NULL) == OK);
	ASSERT(await_deliver(a, "", slice_of(text, 600), NULL) == ERR_QUOTA);
	ASSERT(await_resolve("a@x.test", 401).verdict == ERR_QUOTA);
	ASSERT(await_set("a@x.test", ACCOUNT_SUSPENDED, UINT64_MAX, UINT64_MAX) == OK);
	ASSERT(await_resolve("a@x.test", 1).verdict == ERR_SUSPENDED);
	ASSERT(await_deliver(a, "", S("x"), NULL) == ERR_SUSPENDED);
	house.conf.v.quota = 10;
	uint64_t b = await_account("b@x.test", RIGHTS_USER, 0);
	ASSERT(b && await_resolve("b@x.test", 11).verdict == ERR_QUOTA && await_resolve("b@x.test", 10).verdict == OK);
}

static void
grants_body(void)
{
	ASSERT(await_domain_add("x.test") == OK);
	uint64_t a = await_account("a@x.test", RIGHTS_USER, 0);
	struct store_account_open_out opened, second;
	struct store_account_usage_out usage;
	ASSERT(await_grant_open(a, 1, &opened) == OK && slice_equal(opened.address, S("a@x.test")));
	ASSERT(await_grant_open(a, 2, &second) == ERR_STALE && await_grant_open(a + 7, 1, &second) == ERR_STALE);
	struct store_account_open_in forged = { S("0123456789012345678901234567890123456789012345678901234567890123") };
	ASSERT(await_store_account_open(&house.user, &forged, &house.a, &second) == ERR_DENIED);
	struct store_account_usage_in use = { opened.handle };
	ASSERT(await_store_account_usage(&house.user, &use, &house.a, &usage) == OK);
	use.handle++;
	ASSERT(await_store_account_usage(&house.user, &use, &house.a, &usage) == ERR_STALE);

	struct store_maildrop_lock_in lock = { opened.handle };
	struct store_maildrop_lock_out locked;
	ASSERT(await_store_maildrop_lock(&house.user, &lock, &house.a, &locked) == OK);
	ASSERT(await_grant_open(a, 1, &second) == OK);
	lock.handle = second.handle;
	ASSERT(await_store_maildrop_lock(&house.user, &lock, &house.a, &locked) == ERR_BUSY);
	store_account_close_notify(&house.user, &(struct store_account_close_in){ opened.handle });
	ASSERT(await_store_maildrop_lock(&house.user, &lock, &house.a, &locked) == OK);

	/* another password ends what was given for the old one, its lock included */
	struct store_secret_put_in put = { S("A@x.test"), S("$new$") };
	struct store_secret_put_out made;
	ASSERT(await_store_secret_put(&house.auth, &put, &house.a, &made) == OK && made.generation == 2);
	use.handle = second.handle;
	ASSERT(await_store_account_usage(&house.user, &use, &house.a, &usage) == ERR_STALE);
	ASSERT(house.revoked == 1);
	ASSERT(await_grant_open(a, 1, &second) == ERR_STALE && await_grant_open(a, 2, &second) == OK);
	lock.handle = second.handle;
	ASSERT(await_store_maildrop_lock(&house.user, &lock, &house.a, &locked) == OK);
	struct store_secret_get_in get = { S("a@X.test") };
	struct store_secret_get_out secret;
	ASSERT(await_store_secret_get(&house.auth, &get, &house.a, &secret) == OK && secret.account == a);
	ASSERT(slice_equal(secret.hash, S("$new$")) && secret.generation == 2);
	get.address = S("nobody@x.test");
	ASSERT(await_store_secret_get(&house.auth, &get, &house.a, &secret) == OK && secret.account == 0);
	ASSERT(await_set("a@x.test", ACCOUNT_SUSPENDED, UINT64_MAX, UINT64_MAX) == OK && house.revoked == 2);
	ASSERT(await_grant_open(a, 3, &second) == ERR_SUSPENDED);
	ASSERT(house.auth_heard == 2);
}

/* Nothing of an account is left behind, and nothing of others goes. */
static size_t
rows_of_kind(char kind)
{
	struct txn *t = txn_begin(house.s.engine, false);
	char from[1] = { kind }, to[1] = { (char)(kind + 1) };
	struct range *r = range_begin(t, slice_of(from, 1), slice_of(to, 1), false);
	struct slice k, value;
	size_t n = 0;
	while (range_next(r, &k, &value))
		n++;
	ASSERT(range_end(&r) == OK);
	txn_end(&t);
	return n;
}

static void
deletion_body(void)
{
	ASSERT(await_domain_add("x.test") == OK);
	uint64_t a = await_account("a@x.test", RIGHTS_USER, 0), b = await_account("b@x.test", RIGHTS_USER, 0);
	for (size_t i = 0; i < 1300; i++)
		ASSERT(await_deliver(a, i % 2 ? "Lists/Test" : "", S("to be removed"), NULL) == OK);
	ASSERT(await_deliver(b, "", S("to be kept"), NULL) == OK);
	struct store_account_delete_in in = { S("a@x.test") };
	struct store_account_delete_out out;
	ASSERT(await_store_account_delete(&house.admin, &in, &house.a, &out) == OK);
	ASSERT(await_resolve("a@x.test", 0).verdict == ERR_NOT_FOUND);
	ASSERT(await_deliver(a, "", S("late"), NULL) == ERR_NOT_FOUND);
	ASSERT(await_account("a@x.test", RIGHTS_USER, 0) != a); /* the address is free, the id is not */
	await_reopen();                                         /* the rest goes on after a restart */
	for (size_t i = 0; i < 2000 && rows_of_kind('D'); i++)
		await_sleep(5);
	ASSERT(rows_of_kind('u') == 1 && rows_of_kind('o') == 1 && rows_of_kind('f') == 1 && rows_of_kind('c') == 2);
	ASSERT(rows_of_kind('m') == 12 && rows_of_kind('n') == 12);
	struct store_store_status_in ask = { 0 };
	struct store_store_status_out status;
	ASSERT(await_store_store_status(&house.admin, &ask, &house.a, &status) == OK);
	ASSERT(status.accounts == 2 && status.messages == 1 && status.domains == 1 && status.engine.len);
}

static void
lists_body(void)
{
	ASSERT(await_domain_add("a.test") == OK && await_domain_add("b.test") == OK);
	for (size_t i = 0; i < 1203; i++)
		await_account(arena_printf(&house.a, "user%04zu@%s", i, i < 700 ? "a.test" : "b.test").at, RIGHTS_USER, 0);
	struct store_account_list_in in = { .domain = SLICE_NONE };
	struct store_account_list_out out;
	size_t total = 0;
	do {
		ASSERT(await_store_account_list(&house.admin, &in, &house.a, &out) == OK);
		total += out.naccounts;
		in.after = out.accounts[out.naccounts - 1].address;
	} while (out.more);
	ASSERT(total == 1203);
	in = (struct store_account_list_in){ .domain = S("B.test") };
	ASSERT(await_store_account_list(&house.admin, &in, &house.a, &out) == OK && out.naccounts == 500 && out.more);
	struct store_domain_list_in domains = { S("a.test") };
	struct store_domain_list_out listed;
	ASSERT(await_store_domain_list(&house.admin, &domains, &house.a, &listed) == OK);
	ASSERT(listed.ndomains == 1 && slice_equal(listed.domains[0].text, S("b.test")));
	struct store_account_show_in show = { S("USER0003@a.test") };
	struct store_account_show_out shown;
	ASSERT(await_store_account_show(&house.admin, &show, &house.a, &shown) == OK);
	ASSERT(slice_equal(shown.account.address, S("user0003@a.test")));
}

static struct slice
await_like(const char *address)
{
	struct store_secret_get_in in = { slice_text(address) };
	struct store_secret_get_out out = { 0 };
	ASSERT(await_store_secret_get(&house.auth, &in, &house.a, &out) == OK);
	return out.like;
}

/* Whoever has no keys for SCRAM looks like some account that has: always like the same one, and not all like one. */
static void
likeness_body(void)
{
	const struct slice keys[] = { S_ROW("SCRAM-SHA-256$4096:x$y:z"), S_ROW("SCRAM-SHA-256$50000:x$y:z") };
	char name[32];
	size_t found[2] = { 0, 0 };
	ASSERT(await_domain_add("x.test") == OK);
	ASSERT(await_like("nobody@x.test").len == 0);
	for (size_t i = 0; i < 40; i++) {
		struct store_account_add_in in = { .address = slice_text((snprintf(name, sizeof name, "u%zu@x.test", i), name)),
			                               .scram = keys[i % 4 == 0] };
		struct store_account_add_out out;
		ASSERT(await_store_account_add(&house.admin, &in, &house.a, &out) == OK);
	}
	for (size_t i = 0; i < 400; i++) {
		struct slice like = await_like((snprintf(name, sizeof name, "nobody%zu@x.test", i), name));
		ASSERT(slice_equal(like, await_like(name)));
		name[0] = 'N';
		ASSERT(slice_equal(like, await_like(name)));
		found[slice_equal(like, keys[1])]++;
		ASSERT(slice_equal(like, keys[0]) || slice_equal(like, keys[1]));
	}
	ASSERT(found[0] > 200 && found[1] > 40); /* as they are in use: three of four, one of four */
}

static enum err
await_refer(const char *name, const char *url)
{
	struct store_referral_set_in in = { S("a@x.test"), slice_text(name), slice_text(url), false };
	struct store_referral_set_out out;
	return await_store_referral_set(&house.admin, &in, &house.a, &out);
}

/* Mailboxes of an account that are on other servers: 100 at most, and none where there is one here. */
static void
referrals_body(void)
{
	char name[32];
	ASSERT(await_domain_add("x.test") == OK);
	uint64_t account = await_account("a@x.test", RIGHTS_USER, 0);
	ASSERT(await_refer("INBOX", "imap://h.test/x") == ERR_EXISTS &&
	       await_refer("Sent", "imap://h.test/x") == ERR_EXISTS);
	ASSERT(await_refer("n", "imap://h.test/") == ERR_SYNTAX && await_refer("n", "imap://h.test/x]") == ERR_SYNTAX);
	ASSERT(await_refer("", "imap://h.test/x") == ERR_SYNTAX && await_refer("none", "") == OK);
	for (int i = 0; i < 100; i++)
		ASSERT(await_refer((snprintf(name, sizeof name, "far/n%d", i), name), "imap://h.test/x") == OK);
	ASSERT(await_refer("more", "imap://h.test/x") == ERR_LIMIT);
	ASSERT(await_refer("far/n8", "imap://h.test/y") == OK); /* it moved again */
	ASSERT(await_refer("far/n7", "") == OK && await_refer("more", "imap://h.test/more") == OK);
	uint32_t handle = await_handle(account);
	struct store_mailbox_subscribe_in subscribe = { handle, S("far/n9/below"), true };
	struct store_mailbox_subscribe_out subscribed;
	ASSERT(await_store_mailbox_subscribe(&house.user, &subscribe, &house.a, &subscribed) == OK);
	ASSERT(await_refer("far/n9", "imap://h.test/z") == OK && await_refer("far/n9", "") == OK);
	ASSERT(await_refer("last", "imap://h.test/last") == OK);
	struct store_mailbox_rename_in rename = { handle, S("more"), S("other") };
	struct store_mailbox_rename_out renamed;
	ASSERT(await_store_mailbox_rename(&house.user, &rename, &house.a, &renamed) == ERR_NOT_FOUND);
	struct store_mailbox_referral_in in = { handle, S("more/x/y") };
	struct store_mailbox_referral_out out = { 0 };
	ASSERT(await_store_mailbox_referral(&house.user, &in, &house.a, &out) == OK);
	ASSERT(slice_equal(out.url, S("imap://h.test/more")) && slice_equal(out.rest, S("/x/y")));
	in.name = S("moreover");
	ASSERT(await_store_mailbox_referral(&house.user, &in, &house.a, &out) == OK && out.url.len == 0);
	struct store_referral_list_in list = { S("a@x.test") };
	struct store_referral_list_out all = { 0 };
	ASSERT(await_store_referral_list(&house.admin, &list, &house.a, &all) == OK && all.nreferrals == 100);
}

#define HOUSE_TEST(name)                                                                                               \
	static void name(void **state)                                                                                     \
	{                                                                                                                  \
		on_new_house(name##_body);                                                                                     \
	}
HOUSE_TEST(addresses)
HOUSE_TEST(idn)
HOUSE_TEST(aliases)
HOUSE_TEST(an_alias_of_too_many)
HOUSE_TEST(postmaster)
HOUSE_TEST(verdicts)
HOUSE_TEST(grants)
HOUSE_TEST(deletion)
HOUSE_TEST(lists)
HOUSE_TEST(likeness)
HOUSE_TEST(referrals)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),  cmocka_unit_test(idn),
		cmocka_unit_test(aliases),    cmocka_unit_test(an_alias_of_too_many),
		cmocka_unit_test(postmaster), cmocka_unit_test(verdicts),
		cmocka_unit_test(grants),     cmocka_unit_test(deletion),
		cmocka_unit_test(lists),      cmocka_unit_test(likeness),
		cmocka_unit_test(referrals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
