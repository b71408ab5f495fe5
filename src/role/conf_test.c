/* SPDX-License-Identifier: Apache-2.0 */
/* conf_test.c - each wrong line is named with its number, the value and what is allowed; good ones mean what they say.
 */
#include "role/conf.h"

#include "ipc/ipc.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ERRORS_MAX 8
#define LONG_PATH                                                                                                      \
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789/lmtp.sock"
static struct arena arena;
static struct conf_error errors[ERRORS_MAX];
static size_t nerrors;

static struct conf *
parse(const char *text)
{
	return conf_parse(slice_text(text), "test.conf", "/etc/posthouse", &arena, errors, ERRORS_MAX, &nerrors);
}

static int
setup(void **state)
{
	arena_init(&arena, 0);
	return 0;
}

static int
teardown(void **state)
{
	arena_release(&arena);
	return 0;
}

static const struct {
	const char *what, *text;
	unsigned line;
	const char *says[3];
} wrong[] = {
	{ "no equals sign", "hostname example.test\n", 1, { "name = value", "hostname example.test" } },
	{ "unknown option, near one", "\n\nhostnam = x\n", 3, { "hostnam", "'hostname'" } },
	{ "unknown option, near none", "zzzzzzzzzzzzzzz = x\n", 1, { "zzzz", "posthouse.conf(5)" } },
	{ "twice", "hostname = a\nhostname = b\n", 2, { "twice", "line 1", "'b'" } },
	{ "not a number", "sessions = many\n", 1, { "sessions", "'many'", "a number" } },
	{ "number out of range", "sessions = 65\n", 1, { "'65'", "0 to 64" } },
	{ "number too large for any type", "sessions = 99999999999999999999\n", 1, { "not a number" } },
	{ "time without a unit that is known", "smtp.timeout = 5 years\n", 1, { "5 years", "a time such as" } },
	{ "time out of range", "smtp.timeout = 2h\n", 1, { "1s to 1h" } },
	{ "size that overflows", "message-bytes-max = 99999999999t\n", 1, { "a size such as" } },
	{ "not one of the words", "log.format = xml\n", 1, { "'xml'", "text, json" } },
	{ "neither yes nor no", "relay.loopback = maybe\n", 1, { "'maybe'", "neither yes nor no" } },
	{ "listener without a kind", "listen = 127.0.0.1:25\n", 1, { "kind", "smtp, submission" } },
	{ "listener of the admin kind", "listen = admin 127.0.0.1:25\n", 1, { "kind" } },
	{ "listener with a name for address", "listen = smtp localhost:25\n", 1, { "localhost:25", "127.0.0.1:25" } },
	{ "listener with port 0", "listen = smtp 127.0.0.1:0\n", 1, { "names no address" } },
	{ "listener with port 65536", "listen = smtp 127.0.0.1:65536\n", 1, { "names no address" } },
	{ "IPv6 without brackets", "listen = smtp ::1:25\n", 1, { "[::1]:25" } },
	{ "one address twice", "listen = smtp 127.0.0.1:25\nlisten = imap 127.0.0.1:25\n", 2, { "second time" } },
	{ "range of 33 bits", "trusted = 10.0.0.0/33\n", 1, { "10.0.0.0/33", "10.0.0.0/8" } },
	{ "range of nonsense", "trusted = ten\n", 1, { "'ten'" } },
	{ "route without host", "route = example.test\n", 1, { "DOMAIN HOST[:PORT][,...]" } },
	{ "route with a wrong flag", "route = example.test host tls=maybe\n", 1, { "tls=auto|none|try|must|dane|verify" } },
	{ "route with a wait that is none", "route = * mx retry=5m,soon\n", 1, { "retry=TIME,..." } },
	{ "route with a life of nothing", "route = * mx lifetime=0s\n", 1, { "lifetime=TIME" } },
	{ "route that tells too late", "route = * mx delayed-after=31d\n", 1, { "delayed-after=TIME" } },
	{ "route with a wrong port", "route = * host:99999\n", 1, { "HOST[:PORT]" } },
	{ "route to a socket without lmtp", "route = * /run/lmtp.sock\n", 1, { "lmtp:/PATH" } },
	{ "route to a socket with a long path", "route = * lmtp:/" LONG_PATH "\n", 1, { "lmtp:/PATH" } },
	{ "route to more hosts than there may be", "route = * a,b,c,d,e,f,g,h,i\n", 1, { "HOST[:PORT][,...]" } },
	{ "route to a literal that is none", "route = * [192.0.2]\n", 1, { "HOST[:PORT][,...]" } },
	{ "route to MX hosts by LMTP", "route = * mx lmtp\n", 1, { "HOST[:PORT][,...]" } },
	{ "waits that are none", "relay.retry = often\n", 1, { "'often'", "5m 20m 1h" } },
	{ "no waits", "relay.retry =\n", 1, { "row of waits" } },
	{ "a wait of nothing", "relay.retry = 0s\n", 1, { "1s to 30d" } },
	{ "host name with a space", "hostname = a b\n", 1, { "'a b'", "letters" } },
	{ "host name empty", "hostname =\n", 1, { "letters" } },
	{ "reports from nobody", "tls-report.contact = postmaster\n", 1, { "'postmaster'", "tls-reports@example.org" } },
	{ "reports from a display name", "tls-report.contact = P <p@x.test>\n", 1, { "no address" } },
	{ "reports to no host", "tls-report.address = tls@a_b!\n", 1, { "tls-report.address" } },
	{ "DNS server by name", "dns.server = ns.example.test\n", 1, { "192.0.2.1@5353" } },
	{ "two characters divide", "subaddress = +-\n", 1, { "'+-'", "one such as" } },
	{ "no admin socket", "admin-socket =\n", 1, { "no path" } },
	{ "control characters are not repeated", "log.level = a\x01z\n", 1, { "'a?z'", "debug, info, warn, error" } },
};

static void
each_wrong_line_is_named(void **state)
{
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		struct conf *c = parse(wrong[i].text);
		if (c || nerrors != 1 || errors[0].line != wrong[i].line)
			fail_msg("%s: %zu errors, line %u", wrong[i].what, nerrors, nerrors ? errors[0].line : 0);
		assert_string_equal(errors[0].file, "test.conf");
		for (size_t k = 0; k < 3 && wrong[i].says[k]; k++)
			if (!strstr(errors[0].text, wrong[i].says[k]))
				fail_msg("%s: \"%s\" does not say \"%s\"", wrong[i].what, errors[0].text, wrong[i].says[k]);
	}
}

static void
all_errors_are_counted(void **state)
{
	struct conf *c = parse("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n");
	assert_null(c);
	assert_int_equal(nerrors, 10);
	assert_int_equal(errors[ERRORS_MAX - 1].line, ERRORS_MAX);
}

static void
a_nul_is_refused(void **state)
{
	assert_null(conf_parse(S("hostname = a\0b\n"), "test.conf", "/", &arena, errors, ERRORS_MAX, &nerrors));
	assert_non_null(strstr(errors[0].text, "NUL"));
}

static void
a_huge_file_is_refused(void **state)
{
	char *text = must_calloc(1, CONF_BYTES_MAX + 1);
	memset(text, '\n', CONF_BYTES_MAX + 1);
	assert_null(conf_parse(slice_of(text, CONF_BYTES_MAX + 1), "f", "/", &arena, errors, ERRORS_MAX, &nerrors));
	assert_int_equal(nerrors, 1);
	struct conf *c = conf_parse(slice_of(text, CONF_BYTES_MAX), "f", "/", &arena, errors, ERRORS_MAX, &nerrors);
	assert_non_null(c);
	conf_free(&c);
	free(text);
}

static void
an_empty_file_gives_the_defaults(void **state)
{
	struct conf *c = parse("");
	assert_non_null(c);
	assert_string_equal(c->v.hostname, "localhost");
	assert_string_equal(c->v.data, "/etc/posthouse/data");
	assert_string_equal(c->v.login_without_tls, "loopback");
	assert_int_equal(c->v.message_bytes_max, 50 << 20);
	assert_int_equal(c->v.smtp_timeout, 300000);
	assert_false(c->v.relay_loopback);
	assert_int_equal(c->nlisteners, 1);
	assert_int_equal(c->listeners[0].kind, LISTEN_ADMIN);
	assert_string_equal(c->listeners[0].address, "/etc/posthouse/run/admin.sock");
	assert_int_equal(c->nretry, 7);
	assert_int_equal(c->retry_sec[0], 300);
	assert_int_equal(c->retry_sec[6], 14400);
	conf_free(&c);
}

static void
values_mean_what_they_say(void **state)
{
	struct conf *c = parse("# a comment\n"
	                       "hostname = mail.example.test # another\r\n"
	                       "postmaster=a#b@example.test\n"
	                       "  data =   /srv/mail  \n"
	                       "listen = smtp 127.0.0.1:2525\n"
	                       "listen = imaps [::1]:9993\n"
	                       "listen = lmtp run/lmtp.sock\n"
	                       "route = Example.Test 127.0.0.1:2626 tls=none\n"
	                       "route = * [::1]:24 lmtp retry=1m,2h lifetime=3d delayed-after=90s\n"
	                       "route = other.test relay.other.test,[IPv6:2001:db8::1]:26,[192.0.2.1] tls=must\n"
	                       "route = local.test lmtp:/run/dovecot/lmtp,lmtp.other.test\n"
	                       "route = .mx.test mx:2525\n"
	                       "relay.loopback = yes\n"
	                       "relay.retry = 1s 2m");
	assert_non_null(c);
	assert_string_equal(c->v.hostname, "mail.example.test");
	assert_string_equal(c->v.postmaster, "a#b@example.test");
	assert_string_equal(c->v.data, "/srv/mail");
	assert_true(c->v.relay_loopback);
	assert_int_equal(c->nlisteners, 4);
	assert_int_equal(c->listeners[1].kind, LISTEN_IMAPS);
	assert_true(c->listeners[1].implicit_tls);
	assert_int_equal(c->listeners[1].class_bit, IPC_CLASS_USER);
	assert_string_equal(c->listeners[1].address, "[::1]:9993");
	assert_string_equal(c->listeners[2].address, "/etc/posthouse/run/lmtp.sock");
	assert_int_equal(c->nroutes, 5);
	assert_string_equal(c->routes[0].domain, "example.test");
	assert_string_equal(c->routes[0].hops[0].host, "127.0.0.1");
	assert_int_equal(c->routes[0].hops[0].port, 2626);
	assert_int_equal(c->routes[0].tls, ROUTE_TLS_NONE);
	assert_string_equal(c->routes[1].hops[0].host, "::1");
	assert_true(c->routes[1].lmtp);
	assert_int_equal(c->routes[0].schedule.nretry, 0);
	assert_int_equal(c->routes[1].schedule.nretry, 2);
	assert_int_equal(c->routes[1].schedule.retry_sec[1], 7200);
	assert_int_equal(c->routes[1].schedule.lifetime_sec, 3 * 86400);
	assert_int_equal(c->routes[1].schedule.delayed_after_sec, 90);
	assert_int_equal(c->routes[2].nhops, 3);
	assert_int_equal(c->routes[2].hops[0].port, 0);
	assert_string_equal(c->routes[2].hops[1].host, "2001:db8::1");
	assert_int_equal(c->routes[2].hops[1].port, 26);
	assert_string_equal(c->routes[2].hops[2].host, "192.0.2.1");
	assert_int_equal(c->routes[2].tls, ROUTE_TLS_MUST);
	assert_true(c->routes[3].lmtp);
	assert_string_equal(c->routes[3].hops[0].host, "/run/dovecot/lmtp");
	assert_string_equal(c->routes[3].hops[1].host, "lmtp.other.test");
	assert_int_equal(c->routes[4].nhops, 0);
	assert_int_equal(c->routes[4].port, 2525);
	assert_int_equal(c->nretry, 2);
	assert_int_equal(c->retry_sec[1], 120);
	struct conf *same = conf_keep(c);
	conf_free(&c);
	assert_string_equal(same->v.hostname, "mail.example.test");
	conf_free(&same);
}

static bool
trusts(const struct conf *c, const char *address)
{
	uint8_t ip[16];
	uint16_t port;
	char text[80];
	snprintf(text, sizeof text, strchr(address, ':') ? "[%s]:1" : "%s:1", address);
	assert_int_not_equal(conf_socket_address(slice_text(text), ip, &port), 0);
	return conf_trusts(c, ip);
}

static void
address_ranges_end_where_they_say(void **state)
{
	struct conf *c = parse("");
	assert_true(trusts(c, "127.255.0.1") && trusts(c, "::1"));
	assert_false(trusts(c, "128.0.0.1") || trusts(c, "::2") || trusts(c, "10.0.0.1"));
	conf_free(&c);
	c = parse("trusted = 10.1.0.0/15\ntrusted = fd00::/9\ntrusted = 192.0.2.7");
	assert_true(trusts(c, "10.0.0.1") && trusts(c, "10.1.255.255") && trusts(c, "fd7f::1") && trusts(c, "192.0.2.7"));
	assert_false(trusts(c, "10.2.0.0") || trusts(c, "fd80::1") || trusts(c, "192.0.2.6") || trusts(c, "127.0.0.1"));
	conf_free(&c);
}

static void
a_file_that_is_not_there(void **state)
{
	assert_null(conf_load("/nonexistent/posthouse.conf", &arena, errors, ERRORS_MAX, &nerrors));
	assert_int_equal(errors[0].line, 0);
	assert_non_null(strstr(errors[0].text, "No such file"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_wrong_line_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(all_errors_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(a_nul_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_huge_file_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(an_empty_file_gives_the_defaults, setup, teardown),
		cmocka_unit_test_setup_teardown(values_mean_what_they_say, setup, teardown),
		cmocka_unit_test_setup_teardown(address_ranges_end_where_they_say, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_is_not_there, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
