/* SPDX-License-Identifier: Apache-2.0 */
/* answer_test.c - what is made of the answers of remote servers. */
#include "relay/answer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SEC = 1000, MIN_MS = 60 * SEC, HOUR = 60 * MIN_MS };

static void
answers(void **state)
{
	(void)state;
	static const struct {
		const char *reply;
		enum answer_action action;
		int64_t ms;
	} rows[] = {
		{ "450 4.2.0 <a@b.test>: Greylisted, see http://help.test", ANSWER_RECIPIENT, 0 },
		{ "451 4.7.1 Greylisting in action, please come back in 300 seconds", ANSWER_RECIPIENT, 0 },
		{ "450-4.2.1 The user you write to is receiving mail at a rate that", ANSWER_RECIPIENT, 0 },
		{ "452 4.2.2 the mailbox is over quota", ANSWER_RECIPIENT, 0 },
		{ "450 4.1.1 something that nobody wrote a row for", ANSWER_RECIPIENT, 0 },
		{ "421 4.7.0 Too many concurrent SMTP connections from this address", ANSWER_CONNECTIONS, 0 },
		{ "421 too busy", ANSWER_CONNECTIONS, 0 },
		{ "421 mx.test closes now", ANSWER_CONNECTIONS, 0 },
		{ "452 4.3.1 Insufficient system storage", ANSWER_CONNECTIONS, 0 },
		{ "421 4.7.28 unusually many mails from your network: they are rate limited", ANSWER_SLOW, 0 },
		{ "451 4.7.500 Server busy, try again later from 192.0.2.1", ANSWER_SLOW, 0 },
		{ "421 Try again later", ANSWER_SLOW, 0 },
		{ "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints", ANSWER_SUSPEND,
		  4 * HOUR },
		{ "451 You have exceeded the rate limit of this hour", ANSWER_SUSPEND, 10 * MIN_MS },
		{ "421 4.7.0 This domain has a very low reputation here", ANSWER_SUSPEND, 2 * HOUR },
		{ "550 5.7.1 Your IP 192.0.2.1 is blocked", ANSWER_SUSPEND, HOUR },
		{ "550 5.1.1 no such user", ANSWER_NONE, 0 },
		{ "250 2.0.0 rate limit", ANSWER_NONE, 0 },
		{ "", ANSWER_NONE, 0 },
		{ "4", ANSWER_RECIPIENT, 0 },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct answer a = answer_find(NULL, 0, slice_text(rows[i].reply));
		if (a.action != rows[i].action || a.ms != rows[i].ms)
			print_error("%s\n", rows[i].reply);
		assert_int_equal(a.action, rows[i].action);
		assert_int_equal(a.ms, rows[i].ms);
	}
}

static void
own_rows_come_first(void **state)
{
	(void)state;
	static const char *const own[] = { "suspend 90s 45x house * closed", "recipient - 421 too busy" };
	struct answer a = answer_find(own, COUNT_OF(own), S("451 4.3.0 the HOUSE of b.test is closed"));
	assert_int_equal(a.action, ANSWER_SUSPEND);
	assert_int_equal(a.ms, 90 * SEC);
	assert_int_equal(answer_find(own, COUNT_OF(own), S("421 too busy")).action, ANSWER_RECIPIENT);
	assert_int_equal(answer_find(own, COUNT_OF(own), S("421 closed is the house")).action, ANSWER_CONNECTIONS);
}

static void
every_row_is_read(void **state)
{
	(void)state;
	struct answer a;
	assert_true(answer_rows_count > 50);
	for (size_t i = 0; i < answer_rows_count; i++)
		assert_true(answer_parse(slice_text(answer_rows[i]), &a));
}

static void
bad_rows(void **state)
{
	(void)state;
	static const char *const rows[] = { "",
		                                "suspend",
		                                "suspend 1h",
		                                "suspend 1h 421",
		                                "suspend 1h 421 ",
		                                "stop 1h 421 x",
		                                "suspend 1d 421 x",
		                                "suspend 0s 421 x",
		                                "suspend 99999h 421 x",
		                                "suspend 1h 42 x",
		                                "suspend 1h 250 x",
		                                "slow - 4yy x" };
	struct answer a;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_false(answer_parse(slice_text(rows[i]), &a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(answers), cmocka_unit_test(own_rows_come_first),
		                                cmocka_unit_test(every_row_is_read), cmocka_unit_test(bad_rows) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
