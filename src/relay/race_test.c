/* SPDX-License-Identifier: Apache-2.0 */
/* race_test.c - which address of a host is connected to, when, and what is remembered of it, on a simulated network:
 * each address answers after a while, fails after a while, or never says anything. */
#include "relay/race.h"

#include "relay/relay_testing.h"
#include "relay/tls_report.h"
#include "task/task_testing.h"

#include <unistd.h>

enum { LINKS = 64, NEVER = 1000000000 };

/* How the address that ends in this byte behaves; IPv6 ones end in 100 and up. */
static struct {
	int64_t after_ms;
	bool refuses;
	const char *greeting;            /* NULL: a good one */
	unsigned tries, sessions, bytes; /* sessions: connections that read the greeting and spoke */
	int64_t tried_ms;
} at[256];
static int64_t began_ms;

static unsigned
number_of(const struct sockaddr *to)
{
	if (to->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)to)->sin_addr.s_addr) & 0xff;
	return ((const struct sockaddr_in6 *)to)->sin6_addr.s6_addr[15];
}

struct serving {
	int fd;
	unsigned number;
};

static void
server(void *arg)
{
	struct serving s = *(struct serving *)arg;
	struct stream io;
	struct slice line;
	stream_init(&io, s.fd);
	io.deadline_ms = deadline_in_ms(HOUR * 1000);
	(void)await_talk(&io, at[s.number].greeting ? at[s.number].greeting : "220 mx ESMTP\r\n");
	bool spoke = false;
	while (await_line(&io, 2000, false, &line) == OK) {
		spoke = true;
		(void)await_talk(&io, slice_starts(line, S("QUIT")) ? "221 bye\r\n" : "250 mx\r\n");
	}
	at[s.number].sessions += spoke;
	at[s.number].bytes += (unsigned)io.bytes_in;
	stream_release(&io);
}

static enum err
await_slow_connect(const struct sockaddr *to, unsigned to_len, const struct sockaddr *from, unsigned from_len,
                   int64_t deadline_ms, int *fd)
{
	struct serving s = { .number = number_of(to) };
	(void)to_len, (void)from, (void)from_len;
	at[s.number].tries++;
	at[s.number].tried_ms = clock_mono_ms() - began_ms;
	int64_t wait = MIN(at[s.number].after_ms, deadline_ms - clock_mono_ms());
	if (wait > 0 && await_sleep(wait))
		return ERR_CLOSED;
	if (clock_mono_ms() >= deadline_ms)
		return ERR_TIMEOUT;
	if (at[s.number].refuses)
		return ERR_CLOSED;
	*fd = stage_pair(&s.fd);
	assert_true(task_start(server, &s)); /* copies before it waits */
	return OK;
}

/* ---- the race itself */

static struct race_entry entries[ROUTE_ADDRESSES_MAX];
static size_t nentries, won;
static int64_t took_ms;

static void
entry_add(int family, unsigned number)
{
	struct race_entry *e = &entries[nentries++];
	*e = (struct race_entry){ 0 };
	e->address.to.ss_family = (sa_family_t)family;
	if (family == AF_INET)
		((struct sockaddr_in *)&e->address.to)->sin_addr.s_addr = htonl(0xc0000200 | number);
	else
		((struct sockaddr_in6 *)&e->address.to)->sin6_addr.s6_addr[15] = (uint8_t)number;
}

static void
run_race(void *unused)
{
	int fd;
	(void)unused;
	began_ms = clock_mono_ms();
	won = await_race(entries, nentries, 30000, &fd);
	took_ms = clock_mono_ms() - began_ms;
	assert_true((fd >= 0) == (won < nentries));
	if (fd >= 0)
		close(fd);
}

static const struct {
	const char *what;
	struct {
		unsigned number;
		int64_t after_ms;
		bool refuses;
	} links[4];
	unsigned won; /* number; 0: nobody */
	int64_t took_ms;
	unsigned tried;
} races[] = {
	{ "one address", { { 1, 10, false } }, 1, 10, 1 },
	{ "one that refuses", { { 1, 10, true } }, 0, 10, 1 },
	{ "one that is silent", { { 1, NEVER, false } }, 0, 30000, 1 },
	{ "the first is fast enough", { { 100, 200, false }, { 1, 1, false } }, 100, 200, 1 },
	{ "the first is silent", { { 100, NEVER, false }, { 1, 20, false } }, 1, 270, 2 },
	{ "the first refuses: the next goes at once", { { 100, 30, true }, { 1, 20, false } }, 1, 50, 2 },
	{ "it refuses before it waits", { { 100, 0, true }, { 1, 20, false } }, 1, 20, 2 },
	{ "the first is slow, and faster all the same", { { 100, 400, false }, { 1, 300, false } }, 100, 400, 2 },
	{ "the third", { { 100, NEVER, false }, { 1, NEVER, false }, { 101, 5, false } }, 101, 505, 3 },
	{ "all refuse", { { 100, 5, true }, { 1, 5, true }, { 101, 5, true } }, 0, 15, 3 },
	{ "all are silent", { { 100, NEVER, false }, { 1, NEVER, false } }, 0, 30250, 2 },
	{ "the slow one wins when the others refuse",
	  { { 100, 5000, false }, { 1, 5, true }, { 101, 5, true } },
	  100,
	  5000,
	  3 },
};

static void
races_are_won(void **state)
{
	(void)state;
	stage_begin();
	await_connect = await_slow_connect;
	for (size_t i = 0; i < COUNT_OF(races); i++) {
		unsigned tried = 0, winner = 0, spoke = 0;
		memset(at, 0, sizeof at);
		nentries = 0;
		for (size_t k = 0; k < COUNT_OF(races[0].links) && races[i].links[k].number; k++) {
			unsigned n = races[i].links[k].number;
			at[n].after_ms = races[i].links[k].after_ms;
			at[n].refuses = races[i].links[k].refuses;
			entry_add(n >= 100 ? AF_INET6 : AF_INET, n);
		}
		test_in_task(run_race, NULL);
		if (won < nentries)
			winner = number_of((const struct sockaddr *)&entries[won].address.to);
		for (size_t n = 0; n < COUNT_OF(at); n++)
			tried += at[n].tries, spoke += at[n].bytes;
		if (winner != races[i].won || took_ms != races[i].took_ms || tried != races[i].tried || spoke)
			fail_msg("%s: %u won after %lld ms, %u tried, %u bytes", races[i].what, winner, (long long)took_ms, tried,
			         spoke);
	}
	stage_end();
}

/* Who lost may be tried again: it did not fail. */
static void
losers_are_left(void **state)
{
	(void)state;
	stage_begin();
	await_connect = await_slow_connect;
	memset(at, 0, sizeof at);
	at[100].after_ms = 600;
	at[2].refuses = true;
	nentries = 0;
	entry_add(AF_INET6, 100);
	entry_add(AF_INET, 2);
	entry_add(AF_INET, 1);
	test_in_task(run_race, NULL);
	assert_int_equal(won, 2);
	assert_true(!entries[0].out && entries[1].out && entries[2].out);
	assert_int_equal(entries[1].failed, ERR_CLOSED);
	test_in_task(run_race, NULL);
	assert_int_equal(won, 0);
	assert_int_equal(at[100].tries, 2);
	assert_int_equal(at[1].tries + at[2].tries, 2);
	stage_end();
}

static void
cancelled(void *unused)
{
	task_cancel(task_self());
	run_race(unused);
}

static void
a_cancelled_race_ends(void **state)
{
	(void)state;
	stage_begin();
	await_connect = await_slow_connect;
	memset(at, 0, sizeof at);
	at[100].after_ms = at[1].after_ms = 50;
	nentries = 0;
	entry_add(AF_INET6, 100);
	entry_add(AF_INET, 1);
	test_in_task(cancelled, NULL);
	assert_int_equal(won, nentries);
	stage_end();
}

static void
families_in_turn(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
		int first;
		bool both;
	} rows[] = { { "666444", "646464", AF_INET6, true },
		         { "666444", "464646", AF_INET, true },
		         { "64", "46", AF_INET, true },
		         { "6664", "6466", AF_INET6, true },
		         { "444", "444", AF_INET6, false },
		         { "6", "6", AF_INET, false },
		         { "", "", AF_INET, false } };
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char got[ROUTE_ADDRESSES_MAX + 1] = "";
		unsigned last[2] = { 0 };
		nentries = 0;
		for (const char *c = rows[i].in; *c; c++)
			entry_add(*c == '6' ? AF_INET6 : AF_INET, (unsigned)nentries + 1);
		assert_int_equal(race_order(entries, nentries, rows[i].first), rows[i].both);
		for (size_t k = 0; k < nentries; k++) {
			bool six = entries[k].address.to.ss_family == AF_INET6;
			unsigned n = number_of((const struct sockaddr *)&entries[k].address.to);
			got[k] = six ? '6' : '4';
			assert_true(n > last[six]); /* the order within a family stays */
			last[six] = n;
		}
		assert_string_equal(got, rows[i].out);
	}
}

/* ---- what is remembered: hN.test has the addresses N (IPv4) and 100+N (IPv6), and no MX */

static char memos[8][40];
static int64_t memo_until[8];

static void
host_lookup(struct ipc_call *call, const struct resolver_lookup_in *in)
{
	struct resolver_record records[4] = { 0 };
	struct resolver_lookup_out out = { .records = records, .canonical = in->name };
	char bytes[4][16] = { { 0 } };
	struct cursor c = cursor_of(in->name);
	uint32_t n = 0;
	bool two = take_char(&c, 't'), host = two || take_char(&c, 'h');
	if (host && take_u32(&c, &n) && (in->type == DNS_A || (in->type == DNS_AAAA && !two))) {
		out.nrecords = two ? 2 : 1; /* "tN.test": IPv4 only, N and N + 1 */
		for (uint32_t i = 0; i < out.nrecords; i++) {
			bool six = in->type == DNS_AAAA;
			memcpy(bytes[i], six ? "\x20\x01\x0d\xb8" : "\xc0\0\2\0", 4);
			bytes[i][six ? 15 : 3] = (char)(n + i + (six ? 100 : 0));
			records[i].bytes = slice_of(bytes[i], six ? 16 : 4);
		}
	} else {
		out.verdict = ERR_NOT_FOUND;
		out.nodata = true;
	}
	resolver_lookup_reply(call, &out);
}

static void
keep_memo(struct ipc_call *call, const struct store_memo_put_in *in)
{
	for (uint32_t i = 0; i < in->nmemos; i++) {
		size_t k = 0;
		if (!slice_equal(in->memos[i].kind, S("host")))
			continue;
		assert_true(slice_equal(in->memos[i].value, S("family=4")));
		while (memos[k][0] && !slice_equal(slice_text(memos[k]), in->memos[i].name))
			assert_true(++k < COUNT_OF(memos));
		snprintf(memos[k], sizeof memos[k], "%.*s", SLICE_ARG(in->memos[i].name));
		memo_until[k] = in->memos[i].until;
	}
	store_memo_put_reply(call, &(struct store_memo_put_out){ 0 });
}

static void
give_memo(struct ipc_call *call, const struct store_memo_get_in *in)
{
	struct store_memo_get_out out = { 0 };
	for (size_t k = 0; k < COUNT_OF(memos); k++)
		if (slice_equal(slice_text(memos[k]), in->name) && memo_until[k] > clock_wall_sec()) {
			out.found = true;
			out.memo = (struct store_memo){ in->kind, in->name, S("family=4"), memo_until[k] };
		}
	store_memo_get_reply(call, &out);
}

static void
no_memos(struct ipc_call *call, const struct store_memo_list_in *in)
{
	(void)in;
	store_memo_list_reply(call, &(struct store_memo_list_out){ 0 });
}

static const struct store_server memo_store = { .memo_list = no_memos, .memo_get = give_memo, .memo_put = keep_memo };
static const struct resolver_server host_resolver = { .lookup = host_lookup };

static char address[64], said[700];

static void
open_one(void *arg)
{
	struct remote *remote = must_calloc(1, sizeof *remote);
	struct route *route = must_calloc(1, sizeof *route);
	struct remote_reply why;
	struct job j = { .relay = relay, .row.domain = slice_text(arg) };
	began_ms = clock_mono_ms();
	remote->end_ms = deadline_in_ms(HOUR * 1000);
	await_route(&relay->resolver, relay->conf, j.row.domain, route);
	why = route->reply;
	bool open = await_open(relay, &j, route, remote, &why);
	snprintf(address, sizeof address, "%s", open ? remote->address : "");
	snprintf(said, sizeof said, "%u %s %s", why.code, why.status, why.text);
	took_ms = clock_mono_ms() - began_ms;
	if (open)
		await_remote_quit(remote);
	free(remote);
	free(route);
}

/* Where mail for the domain goes, and after how long. */
static const char *
reach(const char *domain)
{
	test_in_task(open_one, (void *)(intptr_t)domain);
	return address;
}

static void
role_up(const char *options)
{
	relay_open(options, &memo_store, &host_resolver);
	relay->tls = tls_client_context(NULL);
	tls_reports_go(relay->reports);
}

static int
up(void **state)
{
	(void)state;
	stage_begin();
	memset(at, 0, sizeof at);
	memset(memos, 0, sizeof memos);
	await_connect = await_slow_connect;
	role_up("relay.timeout = 5s\nrelay.connect-timeout = 10s\n");
	return 0;
}

static int
down(void **state)
{
	(void)state;
	relay_close();
	stage_end();
	return 0;
}

static void
what_worked_is_remembered(void **state)
{
	(void)state;
	assert_string_equal(reach("h1.test"), "[2001:db8::65]:25");
	assert_int_equal(took_ms, 0);
	assert_int_equal(at[1].tries, 0);
	at[101].after_ms = NEVER;
	assert_string_equal(reach("h1.test"), "192.0.2.1:25");
	assert_int_equal(took_ms, RACE_DELAY_MS);
	assert_string_equal(memos[0], "h1.test");
	at[101].tries = 0;
	assert_string_equal(reach("h1.test"), "192.0.2.1:25");
	assert_int_equal(took_ms, 0);
	assert_int_equal(at[101].tries, 0); /* not even tried */
	relay_close();
	role_up(""); /* a restart: the memo tells */
	assert_string_equal(reach("h1.test"), "192.0.2.1:25");
	assert_int_equal(at[101].tries, 0);
	run_for(FAMILY_KEPT_SEC + 1);
	at[101].after_ms = 0;
	assert_string_equal(reach("h1.test"), "[2001:db8::65]:25"); /* IPv6 has another chance */
	assert_string_equal(reach("h1.test"), "[2001:db8::65]:25");
	assert_int_equal(at[101].sessions, 3);
}

/* When IPv4 is what fails, IPv6 takes over, and is what comes first again. */
static void
it_goes_the_other_way_too(void **state)
{
	(void)state;
	at[101].refuses = true;
	assert_string_equal(reach("h1.test"), "192.0.2.1:25");
	at[101].refuses = false;
	at[1].refuses = true;
	assert_string_equal(reach("h1.test"), "[2001:db8::65]:25");
	at[1].refuses = false;
	assert_string_equal(reach("h1.test"), "[2001:db8::65]:25");
	assert_true(memo_until[0] <= clock_wall_sec());
}

static void
a_machine_without_ipv6(void **state)
{
	static const char *const hosts[] = { "h1.test", "h2.test", "h3.test", "h4.test" };
	(void)state;
	for (unsigned n = 100; n < 120; n++)
		at[n].after_ms = NEVER;
	for (size_t i = 0; i < COUNT_OF(hosts); i++) {
		(void)reach(hosts[i]);
		assert_int_equal(took_ms, RACE_DELAY_MS);
	}
	assert_string_equal(reach("h9.test"), "192.0.2.9:25"); /* never seen before */
	assert_int_equal(took_ms, 0);
	assert_int_equal(at[109].tries, 0);
	relay_close();
	role_up("");
	assert_string_equal(reach("h10.test"), "192.0.2.10:25");
	assert_int_equal(took_ms, 0);
	run_for(FAMILY_BROKEN_SEC + 1);
	assert_string_equal(reach("h11.test"), "192.0.2.11:25");
	assert_int_equal(took_ms, RACE_DELAY_MS); /* asked again */
	at[112].after_ms = 0;
	assert_string_equal(reach("h12.test"), "[2001:db8::70]:25");
}

/* RFC 5321 5.1, 4.2.1: who says "not now" may have a neighbour; a timeout has one too; 5xx is the host's word. */
static void
greetings(void **state)
{
	(void)state;
	at[1].greeting = "421 4.3.2 too busy\r\n";
	assert_string_equal(reach("t1.test"), "192.0.2.2:25");
	at[1].greeting = "220-endless\r\n";
	assert_string_equal(reach("t1.test"), "192.0.2.2:25");
	at[1].greeting = "HTTP/1.1 400 Bad Request\r\n\r\n";
	assert_string_equal(reach("t1.test"), "192.0.2.2:25");
	at[1].greeting = "554 5.3.2 no service here\r\n";
	at[2].tries = 0;
	assert_string_equal(reach("t1.test"), "");
	assert_non_null(strstr(said, "554 5.3.2 no service"));
	assert_int_equal(at[2].tries, 0);
	at[1].greeting = at[2].greeting = "421 4.3.2 too busy\r\n";
	assert_string_equal(reach("t1.test"), "");
	assert_non_null(strstr(said, "421 4.3.2 too busy"));
	at[1].after_ms = at[2].after_ms = NEVER;
	assert_string_equal(reach("t1.test"), "");
	assert_non_null(strstr(said, "cannot connect to 192.0.2.2:25"));
}

static void
sources_of_one_family(void **state)
{
	(void)state;
	relay_close();
	role_up("route = h1.test mx source=192.0.2.200\nroute = h2.test mx source=192.0.2.200,2001:db8::99\n");
	assert_string_equal(reach("h1.test"), "192.0.2.1:25");
	assert_int_equal(at[101].tries, 0);
	assert_int_equal(took_ms, 0);
	assert_string_equal(reach("h2.test"), "[2001:db8::66]:25");
}

/* A chain is tried in its order; what is permanent at one host is asked of the next. */
static void
chains(void **state)
{
	(void)state;
	relay_close();
	role_up("route = one.test t1.test,t5.test:26,[192.0.2.9]:27,[IPv6:2001:db8::6f]\n");
	assert_string_equal(reach("one.test"), "192.0.2.1:25");
	at[1].refuses = at[2].refuses = true;
	assert_string_equal(reach("one.test"), "192.0.2.5:26");
	at[5].greeting = "554 5.3.2 no service here\r\n";
	assert_string_equal(reach("one.test"), "192.0.2.9:27");
	at[9].refuses = true;
	assert_string_equal(reach("one.test"), "[2001:db8::6f]:25");
	at[111].greeting = "554 5.3.2 nor here\r\n";
	assert_string_equal(reach("one.test"), "");
	assert_non_null(strstr(said, "451 4.4.1 cannot connect")); /* one may come back: it is not final */
}

/* RFC 5321 4.1.3: mail for an address. Its own and no other; not this machine's. */
static void
literals(void **state)
{
	(void)state;
	assert_string_equal(reach("[192.0.2.7]"), "192.0.2.7:25");
	assert_string_equal(reach("[IPv6:2001:db8::77]"), "[2001:db8::77]:25");
	assert_string_equal(reach("[ipv6:2001:DB8::77]"), "[2001:db8::77]:25");
	static const char *const bad[] = { "[127.0.0.1]", "[IPv6:::1]",    "[IPv6:::ffff:127.0.0.1]",
		                               "[0.0.0.0]",   "[224.0.0.1]",   "[IPv6:ff02::1]",
		                               "[x400:1]",    "[192.0.2.300]", "[ ]" };
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		assert_string_equal(reach(bad[i]), "");
		if (!strstr(said, "550 5.4.4"))
			fail_msg("%s: %s", bad[i], said);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(races_are_won),
		cmocka_unit_test(losers_are_left),
		cmocka_unit_test(a_cancelled_race_ends),
		cmocka_unit_test(families_in_turn),
		cmocka_unit_test_setup_teardown(what_worked_is_remembered, up, down),
		cmocka_unit_test_setup_teardown(it_goes_the_other_way_too, up, down),
		cmocka_unit_test_setup_teardown(a_machine_without_ipv6, up, down),
		cmocka_unit_test_setup_teardown(greetings, up, down),
		cmocka_unit_test_setup_teardown(sources_of_one_family, up, down),
		cmocka_unit_test_setup_teardown(chains, up, down),
		cmocka_unit_test_setup_teardown(literals, up, down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
