/* SPDX-License-Identifier: Apache-2.0 */
/* internet_test.c - the relay role in a simulated internet: hundreds of domains on a few dozen sites, each with a
 * temper of its own (limits of connections and of rate, complaints, greylisting, hanging, dropping), days in seconds
 * under the simulated clock. Nobody's mail is lost, what was accepted is not sent again, limits are kept, and a letter
 * does not wait for 100,000 newsletters. */
#include "relay/relay_testing.h"

#include "base/random.h"
#include "relay/site.h"

enum { SITES = 40, ROWS_MAX = 110000, TRIES_KEPT = 12 };

enum temper {
	PLAIN,
	FEW_CONNECTIONS, /* 421 to the fourth */
	LIMITED,         /* 451 to more than 60 a minute */
	COMPLAINS,       /* 421 for the first ten minutes, and at each try */
	GREYLISTS,       /* 451 to each recipient's first try */
	HANGS,
	DOWN,
	DROPS_DATA,  /* the first time of each recipient the connection ends after DATA */
	DROPS_REPLY, /* the first time it ends before the reply: whether it was taken nobody knows */
	SLOW,        /* two seconds for each message */
	REFUSES
};

struct row {
	bool there, bulk, claimed;
	uint16_t domain;
	uint8_t tries, taken, failed; /* taken: 250s that the server said */
	uint32_t sender;
	uint64_t lease;
	int64_t due, until, born, taken_at;
	int64_t try_at[TRIES_KEPT]; /* at the server */
	uint8_t seen;
};

static struct {
	struct row rows[ROWS_MAX];
	uint32_t nrows, left, domains;
	unsigned mails, put_back, over, early; /* over: connections above the limit; early: came while suspended */
	uint64_t leases;
	struct {
		enum temper temper;
		unsigned connections, most, refused, taken;
		int64_t times[600]; /* of the last messages */
		unsigned ntimes, most_a_minute;
	} sites[SITES];
} net;

/* ---- the store */

static bool
row_is_due(const struct row *r, int64_t now)
{
	return r->there && (r->claimed ? r->until : r->due) <= now;
}

static void
claim_row(uint32_t i, const struct store_queue_claim_in *in, struct store_queue_row *out)
{
	struct row *r = &net.rows[i];
	r->claimed = true;
	r->lease = ++net.leases;
	r->until = in->now + in->lease_sec;
	*out = (struct store_queue_row){ .id = i + 1, .lease = r->lease, .due = r->due, .born = r->born };
	out->tries = r->tries;
	out->notices = QUEUE_NOTICE_DELAYED; /* one notice less to count */
	out->bytes = 20;
	out->domain = arena_printf(&kept, "d%u.test", r->domain);
	out->envelope.reverse_path = arena_printf(&kept, "s%u@here.test", r->sender);
	out->envelope.session = S("test");
	out->envelope.account = r->sender + 1;
	out->envelope.class = r->bulk ? CLASS_BULK : CLASS_PERSONAL;
	out->recipients = ARENA_NEW(&kept, struct store_recipient);
	out->recipients[0].address = arena_printf(&kept, "u%u@d%u.test", i, r->domain);
	out->nrecipients = 1;
}

/* As the store does it: letters first, an eighth for bulk. */
static void
fake_claim(struct ipc_call *call, const struct store_queue_claim_in *in)
{
	struct store_queue_row rows[64];
	struct store_queue_claim_out out = { .rows = rows };
	arena_clear(&kept);
	for (int bulk = 0; bulk < 2; bulk++) {
		uint32_t most = bulk ? in->max : in->max - in->max / 8;
		for (uint32_t i = 0; i < net.nrows && out.nrows < most; i++)
			if (net.rows[i].bulk == bulk && row_is_due(&net.rows[i], in->now))
				claim_row(i, in, &rows[out.nrows++]);
	}
	for (uint32_t i = 0; i < net.nrows && out.nrows < in->max; i++) {
		const struct row *r = &net.rows[i];
		int64_t when = r->claimed ? r->until : r->due;
		if (r->there && (out.next == 0 || when < out.next))
			out.next = MAX(when, (int64_t)1);
	}
	store_queue_claim_reply(call, &out);
}

static void
fake_renew(struct ipc_call *call, const struct store_queue_renew_in *in)
{
	for (uint32_t i = 0; i < in->nleases; i++) {
		struct row *r = &net.rows[in->leases[i].id - 1];
		assert_true(r->there && r->claimed && r->lease == in->leases[i].lease);
		r->until = in->now + in->lease_sec;
		r->claimed = in->lease_sec > 0;
	}
	store_queue_renew_reply(call, &(struct store_queue_renew_out){ 0 });
}

static void
settle(const struct store_settle *s)
{
	struct row *r = &net.rows[s->id - 1];
	assert_true(r->there && r->claimed && r->lease == s->lease);
	r->claimed = false;
	net.put_back += !s->gone && s->tries == r->tries;
	r->tries = (uint8_t)s->tries;
	r->due = s->due;
	if (!s->gone) {
		assert_true(s->due > clock_wall_sec());
		return;
	}
	r->there = false;
	r->failed = r->taken == 0;
	r->taken_at = clock_wall_sec();
	net.left--;
}

static void
fake_commit(struct ipc_call *call, const struct store_commit_in *in)
{
	net.mails += in->nmails;
	for (uint32_t i = 0; i < in->nsettles; i++)
		settle(&in->settles[i]);
	store_commit_reply(call, &(struct store_commit_out){ .culprit = STORE_NO_CULPRIT });
}

static void
fake_memo_put(struct ipc_call *call, const struct store_memo_put_in *in)
{
	(void)in;
	store_memo_put_reply(call, &(struct store_memo_put_out){ 0 });
}

static const struct store_server fake_store = { .queue_claim = fake_claim,
	                                            .queue_renew = fake_renew,
	                                            .queue_body = play_body,
	                                            .resolve = fake_resolve,
	                                            .memo_get = fake_no_memo,
	                                            .memo_put = fake_memo_put,
	                                            .commit = fake_commit };

/* ---- DNS: dN.test has the mail host mN.test of its site; all of them have addresses that name the site */

static void
fake_lookup(struct ipc_call *call, const struct resolver_lookup_in *in)
{
	struct resolver_record record;
	struct resolver_lookup_out out = { .records = &record, .nrecords = 1 };
	struct arena a;
	uint32_t n = 0;
	struct cursor c = cursor_of(in->name);
	arena_init(&a, 0);
	if (in->type == 15 && take_char(&c, 'd') && take_u32(&c, &n)) {
		char *mx = arena_alloc(&a, 32);
		int len = snprintf(mx + 3, 20, "m%02u", n % SITES);
		mx[1] = 10;
		mx[2] = (char)len;
		memcpy(mx + 3 + len, "\4test", 6);
		record.bytes = slice_of(mx, 3 + (size_t)len + 6);
	} else if (in->type == 1 && take_char(&c, 'm') && take_u32(&c, &n)) {
		char *four = arena_alloc(&a, 4);
		memcpy(four, "\x0a\1\1", 3);
		four[3] = (char)(n + 1);
		record.bytes = slice_of(four, 4);
	} else {
		out.nrecords = 0;
		out.verdict = ERR_NOT_FOUND;
		out.nodata = true;
	}
	resolver_lookup_reply(call, &out);
	arena_release(&a);
}

static const struct resolver_server fake_resolver = { .lookup = fake_lookup };

/* ---- remote servers */

struct server {
	struct stream io;
	unsigned site;
	struct row *row;
	bool too_fast; /* this recipient was told so */
};

static void
count_message(struct server *s)
{
	unsigned n = net.sites[s->site].ntimes++, within = 0, cap = COUNT_OF(net.sites[0].times);
	int64_t now = clock_mono_ms();
	net.sites[s->site].times[n % cap] = now;
	for (unsigned i = 0; i <= MIN(n, cap - 1); i++)
		within += now - net.sites[s->site].times[(n - i) % cap] < MINUTE * 1000;
	net.sites[s->site].most_a_minute = MAX(net.sites[s->site].most_a_minute, within);
	if (net.sites[s->site].temper == LIMITED && within > 60)
		net.sites[s->site].refused++;
}

static bool
is_over_rate(const struct server *s)
{
	unsigned n = net.sites[s->site].ntimes;
	return n > 60 &&
	       clock_mono_ms() - net.sites[s->site].times[(n - 61) % COUNT_OF(net.sites[0].times)] < MINUTE * 1000;
}

static bool
await_rcpt(struct server *s, struct slice line)
{
	uint32_t id = 0;
	struct cursor c = cursor_of(line);
	assert_true(take_nocase(&c, S("RCPT TO:<u")) && take_u32(&c, &id) && id < net.nrows);
	s->row = &net.rows[id];
	bool first = s->row->seen == 0;
	if (s->row->seen < TRIES_KEPT)
		s->row->try_at[s->row->seen] = clock_wall_sec();
	s->row->seen = (uint8_t)MIN(s->row->seen + 1, 200);
	count_message(s);
	switch (net.sites[s->site].temper) {
	case LIMITED:
		s->too_fast = is_over_rate(s);
		return await_talk(&s->io, s->too_fast ? "451 4.7.1 rate limited, slow down\r\n" : "250 ok\r\n");
	case GREYLISTS: return await_talk(&s->io, first ? "451 4.7.1 greylisted\r\n" : "250 ok\r\n");
	case REFUSES: return await_talk(&s->io, "450 4.2.1 not today\r\n");
	case COMPLAINS:
		if (clock_wall_sec() < BORN + 10 * MINUTE) {
			net.early++;
			(void)await_talk(&s->io, "421 4.7.0 deferred due to user complaints\r\n");
			return false;
		}
		return await_talk(&s->io, "250 ok\r\n");
	default: return await_talk(&s->io, "250 ok\r\n");
	}
}

static bool
await_data(struct server *s)
{
	struct slice line;
	enum temper temper = net.sites[s->site].temper;
	if (temper == GREYLISTS && s->row->seen == 1)
		return await_talk(&s->io, "554 no recipients\r\n");
	if (temper == REFUSES || (temper == LIMITED && s->too_fast))
		return await_talk(&s->io, "554 no recipients\r\n");
	if (!await_talk(&s->io, "354 go on\r\n"))
		return false;
	while (await_line(&s->io, 2000, false, &line) == OK && !slice_equal(line, S(".")))
		;
	if (temper == SLOW)
		await_sleep(2000);
	if ((temper == DROPS_DATA || temper == DROPS_REPLY) && s->row->seen == 1)
		return false;
	s->row->taken++;
	net.sites[s->site].taken++;
	return await_talk(&s->io, "250 2.0.0 taken\r\n");
}

static bool
await_serve(struct server *s, struct slice line)
{
	if (slice_starts_nocase(line, S("EHLO")))
		return await_talk(&s->io, "250 remote.test\r\n");
	if (slice_starts_nocase(line, S("RCPT")))
		return await_rcpt(s, line);
	if (slice_starts_nocase(line, S("DATA")))
		return await_data(s);
	if (slice_starts_nocase(line, S("QUIT")))
		return await_talk(&s->io, "221 bye\r\n"), false;
	return await_talk(&s->io, "250 ok\r\n");
}

struct arrival {
	int fd;
	unsigned site;
};

static void
server_task(void *arg)
{
	struct arrival a = *(struct arrival *)arg;
	struct server s = { .site = a.site };
	struct slice line;
	stream_init(&s.io, a.fd);
	s.io.deadline_ms = deadline_in_ms(HOUR * 1000);
	unsigned now = ++net.sites[a.site].connections;
	net.sites[a.site].most = MAX(net.sites[a.site].most, now);
	if (net.sites[a.site].temper == HANGS) {
		await_sleep(HOUR * 1000);
	} else if (net.sites[a.site].temper == FEW_CONNECTIONS && now > 3) {
		net.sites[a.site].refused++;
		await_talk(&s.io, "421 4.7.0 too many connections from you\r\n");
	} else if (await_talk(&s.io, "220 remote.test\r\n")) {
		while (await_line(&s.io, 2000, false, &line) == OK && await_serve(&s, line))
			;
	}
	net.sites[a.site].connections--;
	stream_release(&s.io);
}

static enum err
await_fake_connect(const struct sockaddr *to, unsigned to_len, const struct sockaddr *from, unsigned from_len,
                   int64_t deadline_ms, int *fd)
{
	struct arrival a = { .site = stage_server_number(to) - 1 };
	(void)to_len, (void)from, (void)from_len, (void)deadline_ms;
	assert_true(a.site < SITES);
	await_sleep(5); /* so far away */
	if (net.sites[a.site].temper == DOWN)
		return ERR_IO;
	*fd = stage_pair(&a.fd);
	assert_true(task_start(server_task, &a));
	return OK;
}

/* ---- the stage */

static int
stage_up(void **state)
{
	(void)state;
	memset(&net, 0, sizeof net);
	stage_begin();
	play.body = S("Subject: x\r\n\r\nbody\r\n");
	await_connect = await_fake_connect;
	return 0;
}

static bool
all_gone(void *arg)
{
	(void)arg;
	return net.left == 0;
}

static void
begin_with(const char *options)
{
	relay_open(options, &fake_store, &fake_resolver);
	assert_true(task_start(go, NULL));
}

static int
stage_down(void **state)
{
	(void)state;
	relay_stop(2 * HOUR);
	run_for(2 * HOUR); /* servers that hang end */
	relay_close();
	stage_end();
	return 0;
}

static uint32_t
add(uint16_t domain, uint32_t sender, bool bulk)
{
	int64_t now = clock_wall_sec();
	assert_true(net.nrows < ROWS_MAX);
	net.rows[net.nrows] =
	    (struct row){ .there = true, .bulk = bulk, .domain = domain, .sender = sender, .due = now, .born = now };
	net.left++;
	return net.nrows++;
}

/* ---- tests */

/* All tempers at once: five days. Every recipient has the message once, or its sender a notice. */
static void
five_days(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SITES; i++)
		net.sites[i].temper = i % (REFUSES + 1);
	for (uint16_t d = 0; d < 400; d++)
		for (uint32_t k = 0; k < 5; k++)
			add(d, k, k < 3);
	begin_with("");
	assert_true(loop_run_until(all_gone, NULL, 6LL * DAY * 1000));
	unsigned failed = 0;
	for (uint32_t i = 0; i < net.nrows; i++) {
		const struct row *r = &net.rows[i];
		enum temper temper = net.sites[r->domain % SITES].temper;
		bool never = temper == HANGS || temper == DOWN || temper == REFUSES;
		assert_int_equal(r->taken, never ? 0 : 1);
		assert_int_equal(r->failed, never);
		failed += never;
		if (never)
			assert_in_range(r->taken_at - BORN, 5 * DAY - 1, 5 * DAY + 3 * HOUR);
		if (temper == PLAIN)
			assert_in_range(r->taken_at - BORN, 0, MINUTE);
		if (temper == GREYLISTS || temper == DROPS_DATA || temper == DROPS_REPLY)
			assert_in_range(r->try_at[1] - r->try_at[0], 5 * MINUTE, 5 * MINUTE + HOLD_MS / 1000);
		if (temper == REFUSES) {
			static const int64_t waits[] = {
				5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR
			};
			for (size_t k = 0; k < COUNT_OF(waits); k++)
				assert_in_range(r->try_at[k + 1] - r->try_at[k], waits[k], waits[k] + 2 * HOLD_MS / 1000);
		}
	}
	assert_int_equal(net.mails, failed); /* a notice for each */
	for (unsigned i = 0; i < SITES; i++)
		assert_in_range(net.sites[i].most, 0, net.sites[i].temper == HANGS ? UINT32_MAX : 20); /* those notice late */
	run_for(1);
	assert_int_equal(relay->jobs, 0);
}

/* What the answers ask for is done: connections go down to what is taken, so does the rate; a site that suspends is
 * left in peace. */
static void
adapts(void **state)
{
	(void)state;
	net.sites[1].temper = FEW_CONNECTIONS;
	net.sites[2].temper = LIMITED;
	net.sites[3].temper = COMPLAINS;
	for (unsigned i = 0; i < 4; i++)
		for (uint32_t k = 0; k < 1000; k++)
			add((uint16_t)(i + SITES * (k % 10)), k % 3, true);
	begin_with("");
	run_for(2 * HOUR);
	assert_int_equal(net.sites[0].taken, 1000);
	assert_in_range(net.sites[1].taken, 900, 1000); /* a few wait for their next try */
	assert_in_range(net.sites[2].taken, 900, 1000);
	assert_int_equal(net.sites[3].taken, 0);
	assert_true(loop_run_until(all_gone, NULL, DAY * 1000LL));
	assert_in_range(net.sites[1].refused, 1, 50);
	assert_in_range(net.sites[2].refused, 1, 100);
	assert_in_range(net.early, 1, 20); /* those under way when it said so */
	for (uint32_t i = 0; i < net.nrows; i++)
		assert_int_equal(net.rows[i].taken, 1);
}

/* The limits of the configuration, with domains that share hosts. */
static void
limits_are_kept(void **state)
{
	(void)state;
	for (uint32_t k = 0; k < 2000; k++)
		add((uint16_t)(k % 100), k % 7, k % 2);
	net.sites[3].temper = SLOW;
	begin_with("relay.rate = 30\nrelay.connections = 4\npace = m05.test rate=6/m connections=1\n");
	run_for(10 * MINUTE);
	for (unsigned i = 0; i < SITES; i++) {
		assert_in_range(net.sites[i].most_a_minute, 0, i == 5 ? 6 : 30);
		assert_in_range(net.sites[i].most, 0, i == 5 ? 1 : 4);
		assert_in_range(net.sites[i].taken, i == 5 ? 55 : 20, i == 5 ? 61 : 60); /* 40 or 60 rows each */
	}
}

/* 100,000 rows of a newsletter wait, a letter comes each second: what it waits is bounded, and the newsletter goes at
 * the pace of its destinations all the same. */
static void
letters_pass(void **state)
{
	(void)state;
	static uint32_t letters[600];
	for (uint32_t k = 0; k < 100000; k++)
		add((uint16_t)(k % 1000), 1, true);
	begin_with("relay.rate = 60\n");
	run_for(10);
	for (uint32_t k = 0; k < 120; k++) {
		letters[k] = add((uint16_t)(random_u64() % 1000), 2 + k % 5, false);
		store_queue_ready_notify(store_peer, &(struct store_queue_ready_in){ clock_wall_sec() });
		run_for(1);
	}
	run_for(20);
	int64_t most = 0;
	for (uint32_t k = 0; k < 120; k++) {
		const struct row *r = &net.rows[letters[k]];
		assert_int_equal(r->taken, 1);
		most = MAX(most, r->try_at[0] - r->born);
	}
	assert_in_range(most, 0, 5);
	unsigned sent = 0;
	for (unsigned i = 0; i < SITES; i++) {
		assert_in_range(net.sites[i].most_a_minute, 0, 61); /* it takes some ms more over a new connection */
		sent += net.sites[i].taken;
	}
	assert_in_range(sent, SITES * 150 * 3 / 4, SITES * 151);
	assert_in_range(relay->jobs, 0, JOBS_MAX);
}

int
main(void)
{
#define IN_NET(fn) cmocka_unit_test_setup_teardown(fn, stage_up, stage_down)
	const struct CMUnitTest tests[] = { IN_NET(adapts), IN_NET(limits_are_kept), IN_NET(letters_pass),
		                                IN_NET(five_days) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
