/* SPDX-License-Identifier: Apache-2.0 */
/* requiretls_test.c - notices about messages that demand TLS (RFC 8689 5): they are protected like the message, never
 * carry its text, and are not lost where their way is not protected. */
#include "relay/relay_testing.h"

static uint32_t flags_of_mail; /* the envelope of the last notice that was committed */

static void
keep_commit(struct ipc_call *call, const struct store_commit_in *in)
{
	if (in->nmails)
		flags_of_mail = in->mails[0].envelope.flags;
	play_commit(call, in);
}

static const struct store_server keep_store = { .memo_get = fake_no_memo,
	                                            .memo_put = play_memo_put,
	                                            .queue_claim = play_claim,
	                                            .queue_renew = play_renew,
	                                            .queue_body = play_body,
	                                            .resolve = fake_resolve,
	                                            .commit = keep_commit };

static int
up(void **state)
{
	int status = play_up(state);
	relay_close();
	relay_open("", &keep_store, &play_resolver);
	flags_of_mail = 0;
	return status;
}

/* Nobody vouches for the name of the host, so the message comes back at once. */
static void
the_text_is_not_returned(void **state)
{
	(void)state;
	play.envelope.flags = ENVELOPE_REQUIRETLS;
	play.envelope.ret = RET_FULL;
	run_script(&accepts);
	assert_int_equal(play.nmails, 1);
	assert_int_equal(play.taken, 0);
	assert_true(flags_of_mail & ENVELOPE_REQUIRETLS);
	MAIL_HAS(0, "5.7.10");
	MAIL_HAS(0, "REQUIRETLS");
	MAIL_HAS(0, "Subject: hello");
	assert_null(strstr(play.mails[0].text, "first\r\n")); /* RET=FULL is disregarded */
	assert_null(strstr(play.mails[0].text, "last\r\n"));
}

static void
other_mail_is_returned_whole(void **state)
{
	(void)state;
	play.envelope.ret = RET_FULL;
	run_script(&refuses);
	assert_int_equal(play.nmails, 1);
	assert_false(flags_of_mail & ENVELOPE_REQUIRETLS);
	MAIL_HAS(0, "first\r\n");
	MAIL_HAS(0, "last\r\n");
}

/* Whatever the reason of the notice is. */
static void
a_delay_is_told_under_the_same_demand(void **state)
{
	(void)state;
	static const struct zone_row silent[] = { { .name = "remote.test", .type = DNS_MX, .verdict = ERR_AGAIN } };
	play.zone = silent;
	play.nzone = COUNT_OF(silent);
	play.envelope.flags = ENVELOPE_REQUIRETLS;
	begin(&accepts);
	run_for(5 * HOUR);
	assert_int_equal(play.nmails, 1);
	assert_true(flags_of_mail & ENVELOPE_REQUIRETLS);
	MAIL_HAS(0, "Action: delayed");
	flags_of_mail = 0;
	run_for(6 * DAY);
	assert_int_equal(play.nmails, 2);
	assert_true(flags_of_mail & ENVELOPE_REQUIRETLS);
	MAIL_HAS(1, "Action: failed");
}

/* A notice is not lost because its next hop does not know REQUIRETLS. */
static void
a_notice_goes_without_protection(void **state)
{
	(void)state;
	play.envelope.flags = ENVELOPE_REQUIRETLS;
	play.envelope.reverse_path = S("");
	run_script(&accepts);
	assert_int_equal(play.taken, 1);
	assert_int_equal(play.nmails, 0);
	assert_non_null(strstr(play.mail_from, "MAIL FROM:<>"));
	assert_null(strstr(play.mail_from, "REQUIRETLS"));
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, up, play_down)

int
main(void)
{
	const struct CMUnitTest tests[] = { CASE(the_text_is_not_returned), CASE(other_mail_is_returned_whole),
		                                CASE(a_delay_is_told_under_the_same_demand),
		                                CASE(a_notice_goes_without_protection) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
