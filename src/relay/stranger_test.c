/* SPDX-License-Identifier: Apache-2.0 */
/* stranger_test.c - remote servers that break the rules, and those that keep them and say no, in each phase: what a try
 * comes to, in which words it is kept, when the next one is. Whatever a stranger does, the row is there until it is
 * known to be taken or refused, the try ends, and it is tried again by the schedule. */
#include "relay/relay_testing.h"

#define EVERY_OTHER "250-remote.test\r\n250-SIZE 1000000\r\n250 8BITMIME\r\n" /* a server without PIPELINING */
static const struct slice no_pipelines = S_ROW(EVERY_OTHER);

static const struct zone_row one_host[] = {
	{ .name = "remote.test", .type = DNS_MX, .bytes = S_ROW("\0\x0a\4mx-a\6remote\4test\0") },
	{ .name = "*", .type = DNS_A, .bytes = S_ROW("\xc0\0\2\1") },
};

enum outcome { TAKEN, WAITS, FAILS };

struct scene {
	const char *what;
	struct script script;
	enum outcome outcome;
	const char *says; /* in the reply that is kept, or in the notice */
};

/* One try of a fresh row, without PIPELINING when `alone`. */
static void
play_scene(const struct scene *s, bool alone)
{
	struct script script = s->script;
	if (alone && !script.says[AT_EHLO].len)
		script.says[AT_EHLO] = no_pipelines;
	play_open("");
	play.zone = one_host;
	play.nzone = COUNT_OF(one_host);
	begin(&script);
	run_for(4 * MINUTE + 59);
	for (int64_t waited = 0; script.hangs && play.tries_kept == 0 && waited < 3 * HOUR; waited += MINUTE)
		run_for(MINUTE);
	const char *got = play.nmails ? play.mails[0].text : slice_keep_text(&kept, play.recipients[0].reply);
	bool right = s->outcome == TAKEN   ? !play.there && play.nmails == 0 && play.taken == 1
	             : s->outcome == FAILS ? !play.there && play.nmails == 1
	                                   : play.there && play.nmails == 0 && play.tries_kept == 1;
	if (!right || (s->says && !strstr(got, s->says)))
		fail_msg("%s%s: there %d, notices %u, tries %u, taken %u, %s", s->what, alone ? " (alone)" : "", play.there,
		         play.nmails, play.tries_kept, play.taken, got);
	if (s->outcome == WAITS && !script.hangs)
		assert_int_equal(play.due - BORN, 5 * MINUTE);
	play.script = &accepts; /* later it is as good as any */
	if (s->outcome == WAITS) {
		assert_true(loop_run_until(row_gone, NULL, 8LL * DAY * 1000));
		assert_int_equal(play.nmails, 0);
		assert_true(slice_equal(buf_slice(&play.received), play.body));
	}
	play_down(NULL);
}

static void
play_scenes(const struct scene *scenes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (int alone = 0; alone < 2; alone++)
			play_scene(&scenes[i], alone);
}

/* ---- those who say no */

static void
who_says_no(void **state)
{
	(void)state;
	static const struct scene scenes[] = {
		{ "busy at the greeting", { .says[AT_GREETING] = S_ROW("421 4.3.2 Service not available\r\n") }, WAITS, "421" },
		{ "not for you, at the greeting",
		  { .says[AT_GREETING] = S_ROW("554 5.7.1 No SMTP service here\r\n") },
		  FAILS, /* RFC 5321 3.1: when there is no other host */
		  "554" },
		{ "a sender on a list", { .says[AT_MAIL] = S_ROW("550 5.7.1 Sender rejected\r\n") }, FAILS, "Sender rejected" },
		{ "a sender, for now",
		  { .says[AT_MAIL] = S_ROW("451 4.7.1 Sender address verification in progress\r\n") },
		  WAITS,
		  "verification in progress" },
		{ "nobody of that name",
		  { .says[AT_RCPT] = S_ROW("550 5.1.1 The email account that you tried to reach does not exist\r\n") },
		  FAILS,
		  "does not exist" },
		{ "nobody of that name, in many lines",
		  { .says[AT_RCPT] = S_ROW("550-5.1.1 The account that you tried to reach\r\n550-5.1.1 does not exist. Try\r\n"
		                           "550 5.1.1 checking for typos\r\n") },
		  FAILS,
		  "checking for typos" },
		{ "a full mailbox",
		  { .says[AT_RCPT] = S_ROW("452 4.2.2 The recipient's inbox is out of storage space\r\n") },
		  WAITS,
		  "out of storage" },
		{ "a full mailbox for ever",
		  { .says[AT_RCPT] = S_ROW("552 5.2.2 Over quota\r\n") },
		  FAILS,
		  "The mailbox is full." },
		{ "greylisting", { .says[AT_RCPT] = S_ROW("450 4.2.0 Greylisted for 300 seconds\r\n") }, WAITS, "Greylisted" },
		{ "one address too many", { .says[AT_RCPT] = S_ROW("452 4.5.3 Too many recipients\r\n") }, WAITS, "Too many" },
		{ "too fast",
		  { .says[AT_DOT] = S_ROW("421 4.7.28 Our system has detected an unusual rate of unsolicited mail\r\n") },
		  WAITS,
		  "unusual rate" },
		{ "spam, for now",
		  { .says[AT_DOT] = S_ROW("451 4.7.650 The mail server has been temporarily rate limited\r\n") },
		  WAITS,
		  "rate limited" },
		{ "spam",
		  { .says[AT_DOT] = S_ROW("550 5.7.1 Message contains spam or virus\r\n") },
		  FAILS,
		  "does not accept this message" },
		{ "not signed",
		  { .says[AT_DOT] = S_ROW("550 5.7.26 This mail is unauthenticated\r\n") },
		  FAILS,
		  "unauthenticated" },
		{ "not now, at DATA",
		  { .says[AT_DATA] = S_ROW("451 4.3.0 Resources temporarily exhausted\r\n") },
		  WAITS,
		  "exhausted" },
		{ "never, at DATA",
		  { .says[AT_DATA] = S_ROW("554 5.3.0 Transaction failed\r\n") },
		  FAILS,
		  "Transaction failed" },
		{ "no code of its own", { .says[AT_RCPT] = S_ROW("550 no\r\n") }, FAILS, "Status: 5.0.0" },
		{ "a code that does not fit", { .says[AT_RCPT] = S_ROW("450 5.1.1 no\r\n") }, WAITS, "450" },
		{ "shutting down in the middle", { .says[AT_RCPT] = S_ROW("421 4.3.2 shutting down\r\n") }, WAITS, "shutting" },
		{ "slow", { .slow_sec = 4 * MINUTE }, TAKEN, NULL },
	};
	play_scenes(scenes, COUNT_OF(scenes));
}

/* ---- those who go away or fall silent, in each phase */

static void
who_goes_away(void **state)
{
	(void)state;
	for (enum phase at = AT_GREETING; at < PHASES; at++)
		for (int kind = 0; kind < 2 && at != AT_HELO; kind++) {
			char what[60];
			snprintf(what, sizeof what, "%s in phase %u", kind ? "hangs" : "drops", at);
			struct scene s = { .what = what, .outcome = WAITS, .says = "4" };
			*(kind ? &s.script.hangs : &s.script.drops) = at;
			s.script.tries = 1;
			play_scenes(&s, 1);
		}
}

/* Nobody knows whether it was taken when the connection ends before the reply to the message: it is not sent again at
 * once, and once only when the schedule says so. */
static void
who_goes_with_the_message(void **state)
{
	(void)state;
	static const struct script once = { .drops = AT_DOT, .tries = 1 };
	play_open("");
	run_script(&once);
	assert_int_equal(play.tries, 2);
	assert_int_equal(play.connections, 2);
	assert_int_equal(play.try_at[1] - play.try_at[0], 5 * MINUTE);
	assert_int_equal(play.taken, 1);
	play_down(state);
}

/* ---- those who talk nonsense, in each phase */

static char long_reply[1 << 20]; /* "250 xxx...", no line end */
static char nul_reply[] = "250 o\0k\r\n", nul_no[] = "550 5.1.1 n\0o\r\n";

static void
who_talks_nonsense(void **state)
{
	(void)state;
	memset(long_reply, 'x', sizeof long_reply);
	memcpy(long_reply, "250 ", 4);
	const struct {
		const char *what;
		struct slice says;
		bool endless;
	} kinds[] = {
		{ "a megabyte in one line", { long_reply, sizeof long_reply }, false },
		{ "lines without end", S("250-and so on\r\n"), true },
		{ "no digits", S("ok\r\n"), false },
		{ "nothing but line ends", S("\r\n"), true },
		{ "a code that is none", S("999 what\r\n"), false },
		{ "a code of two digits", S("25 ok\r\n"), false },
		{ "another code in the last line", S("250-yes\r\n550 no\r\n"), false },
		{ "bytes that are no text", S("\xff\xfe\x00\x80\r\n"), false },
		{ "a web server", S("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), false },
		{ "a reply for later", S("150 wait\r\n"), false },
	};
	for (enum phase at = AT_GREETING; at < PHASES; at++)
		for (size_t i = 0; i < COUNT_OF(kinds) && at != AT_HELO; i++) {
			char what[100];
			snprintf(what, sizeof what, "%s in phase %u", kinds[i].what, at);
			struct scene s = { .what = what, .outcome = WAITS, .says = "4" };
			s.script.says[at] = kinds[i].says;
			s.script.endless = kinds[i].endless ? at : NOWHERE;
			s.script.tries = 1;
			play_scenes(&s, 1);
		}
}

/* A reply with a NUL is none. */
static void
who_says_nul(void **state)
{
	(void)state;
	struct scene good = { .what = "NUL in a yes", .outcome = WAITS, .says = "not SMTP" };
	struct scene bad = { .what = "NUL in a no", .outcome = WAITS, .says = "not SMTP" };
	good.script.tries = bad.script.tries = 1;
	good.script.says[AT_MAIL] = good.script.says[AT_RCPT] = good.script.says[AT_DOT] =
	    slice_of(nul_reply, sizeof nul_reply - 1);
	bad.script.says[AT_RCPT] = slice_of(nul_no, sizeof nul_no - 1);
	play_scenes(&good, 1);
	play_scenes(&bad, 1);
}

/* Replies before they were asked for: who says in advance that all is well is out of step. */
static void
who_answers_too_early(void **state)
{
	(void)state;
	static const struct scene scenes[] = {
		{ "all at once, behind EHLO",
		  { .says[AT_EHLO] = S_ROW("250 remote.test\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n"), .tries = 1 },
		  WAITS,
		  "before it is asked" },
		{ "that it is taken, behind the answer to DATA",
		  { .says[AT_DATA] = S_ROW("354 go\r\n250 taken\r\n"), .tries = 1 },
		  WAITS,
		  "before it is asked" },
	};
	play_scenes(scenes, COUNT_OF(scenes));
}

/* ---- DNS that lies */

static void
what_dns_says(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		struct zone_row zone[4];
		enum outcome outcome;
		const char *says;
	} rows[] = {
		{ "an MX record that is cut off", { { "x.test", DNS_MX, S_ROW("\0\x0a\7remo"), OK, 0 } }, WAITS, "4" },
		{ "an MX record of two bytes", { { "x.test", DNS_MX, S_ROW("\0\x0a"), OK, 0 } }, WAITS, "4" },
		{ "an empty MX record", { { "x.test", DNS_MX, S_ROW(""), OK, 1 } }, WAITS, "4" },
		{ "a name that names itself (compression)",
		  { { "x.test", DNS_MX, S_ROW("\0\x0a\xc0\2"), OK, 0 } },
		  WAITS,
		  "4" },
		{ "a name with a slash", { { "x.test", DNS_MX, S_ROW("\0\x0a\3a/b\4test\0"), OK, 0 } }, WAITS, "4" },
		{ "a name with a NUL", { { "x.test", DNS_MX, S_ROW("\0\x0a\3a\0b\4test\0"), OK, 0 } }, WAITS, "4" },
		{ "a host without addresses",
		  { { "x.test", DNS_MX, S_ROW("\0\x0a\2no\1x\4test\0"), OK, 0 } },
		  FAILS,
		  "Action: failed" },
		{ "an address of three bytes",
		  { { "x.test", DNS_MX, S_ROW("\0\x0a\1h\1x\4test\0"), OK, 0 },
		    { "h.x.test", DNS_A, S_ROW("\xc0\0\2"), OK, 0 } },
		  WAITS,
		  "4" },
		{ "an IPv6 address in an A record",
		  { { "x.test", DNS_MX, S_ROW("\0\x0a\1h\1x\4test\0"), OK, 0 },
		    { "h.x.test", DNS_A, S_ROW("\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), OK, 0 } },
		  WAITS,
		  "4" },
		{ "our own loopback",
		  { { "x.test", DNS_MX, S_ROW("\0\x0a\1h\1x\4test\0"), OK, 0 },
		    { "h.x.test", DNS_A, S_ROW("\x7f\0\0\1"), OK, 0 } },
		  FAILS,
		  "loopback" },
		{ "no address at all",
		  { { "x.test", DNS_MX, S_ROW("\0\x0a\1h\1x\4test\0"), OK, 0 },
		    { "h.x.test", DNS_A, S_ROW("\0\0\0\0"), OK, 0 } },
		  FAILS,
		  NULL },
		{ "our own loopback, mapped",
		  { { "x.test", DNS_MX, S_ROW("\0\x0a\1h\1x\4test\0"), OK, 0 },
		    { "h.x.test", DNS_AAAA, S_ROW("\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1"), OK, 0 } },
		  FAILS,
		  "loopback" },
		{ "no address at all, mapped",
		  { { "x.test", DNS_MX, S_ROW("\0\x0a\1h\1x\4test\0"), OK, 0 },
		    { "h.x.test", DNS_AAAA, S_ROW("\0\0\0\0\0\0\0\0\0\0\xff\xff\0\0\0\0"), OK, 0 } },
		  FAILS,
		  "loopback" },
		{ "bogus", { { "x.test", DNS_ANY, S_ROW(""), ERR_DAMAGED, 0 } }, WAITS, "4" },
		{ "no answer", { { "x.test", DNS_ANY, S_ROW(""), ERR_TIMEOUT, 0 } }, WAITS, "4" },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		play_open("");
		play.domain = "x.test";
		play.zone = rows[i].zone;
		for (play.nzone = 0; play.nzone < COUNT_OF(rows[i].zone) && rows[i].zone[play.nzone].name; play.nzone++)
			;
		begin(&accepts);
		run_for(4 * MINUTE);
		bool right = rows[i].outcome == FAILS ? !play.there && play.nmails == 1 : play.there && play.tries_kept == 1;
		const char *got = play.nmails ? play.mails[0].text : slice_keep_text(&kept, play.recipients[0].reply);
		if (!right || play.connections > 0 || (rows[i].says && !strstr(got, rows[i].says)))
			fail_msg("%s: there %d, connections %u, notices %u, %s", rows[i].what, play.there, play.connections,
			         play.nmails, got);
		play_down(state);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_says_no),
		cmocka_unit_test(who_goes_away),
		cmocka_unit_test(who_goes_with_the_message),
		cmocka_unit_test(who_talks_nonsense),
		cmocka_unit_test(who_says_nul),
		cmocka_unit_test(who_answers_too_early),
		cmocka_unit_test(what_dns_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
