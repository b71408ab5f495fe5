/* SPDX-License-Identifier: Apache-2.0 */
/* relay_test.c - the relay role among scripted strangers, under the simulated clock: five days of retries in
 * milliseconds. The store and the resolver are played by the test through the same message tables; remote servers are
 * tasks at the other end of socket pairs, each following a script. Every retry time and every notice is asserted. */
#include "relay/relay.h"

#include "base/log.h"
#include "resolver_msg.h"
#include "role/role.h"
#include "store/rows.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

enum { MINUTE = 60, HOUR = 3600, DAY = 86400, BORN = 1700000000, MAILS_MAX = 64, TRIES_MAX = 256 };

/* ---- the play: one queue row, one script, what came of it */

enum script {
	ACCEPT,
	DEFER_RCPT,
	REFUSE_RCPT,
	MIXED,
	REFUSE_GREETING,
	HANG,
	DROP_AFTER_DATA,
	ENDLESS_REPLY,
	GARBAGE,
	NO_EHLO,
	NO_CONNECTION,
	DEFER_TWICE,
	REFUSE_MAIL,
	LONG_LINE,
	NO_PIPELINING,
	SLOW /* takes the message, but only after half an hour */
};

static struct {
	enum script script;
	unsigned connections, tries;
	int64_t try_at[TRIES_MAX];
	struct slice body;
	struct buf received; /* what came between DATA and the dot */
	char mail_from[400], rcpts[800];
	/* the row */
	bool there, claimed;
	int64_t due, leased_until;
	uint64_t lease;
	unsigned renewals, given_back, conflicts, taken; /* taken: how often a server said 250 to the message */
	uint32_t tries_kept, notices_kept, nrecipients;
	struct store_recipient recipients[4];
	const char *reverse_path, *domain;
	uint32_t ret;
	/* notices that were committed */
	unsigned nmails;
	unsigned memos;
	enum err refuse_mails; /* instead of taking notices */
	unsigned refused;
	struct {
		int64_t at;
		char text[20000];
		char to[100];
	} mails[MAILS_MAX];
} play;

static struct arena kept; /* what outlives calls */
static struct ipc_peer *store_peer, *resolver_peer;
static struct relay *relay;

/* ---- the store */

static void
fake_claim(struct ipc_call *call, const struct store_queue_claim_in *in)
{
	struct store_queue_row row = { .id = 7,
		                           .domain = slice_text(play.domain),
		                           .due = play.due,
		                           .born = BORN,
		                           .tries = play.tries_kept,
		                           .notices = play.notices_kept,
		                           .bytes = play.body.len };
	struct store_queue_claim_out out = { .rows = &row };
	row.envelope.reverse_path = slice_text(play.reverse_path);
	row.envelope.session = S("test");
	row.envelope.account = 1;
	row.envelope.ret = play.ret;
	row.recipients = play.recipients;
	row.nrecipients = play.nrecipients;
	int64_t when = play.claimed ? play.leased_until : play.due;
	bool astray = when > in->now + in->horizon;
	if (play.there && (when <= in->now || astray)) {
		row.lease = ++play.lease;
		play.claimed = true;
		play.leased_until = in->now + in->lease_sec;
		out.nrows = 1;
	}
	out.next = play.there && !out.nrows ? when : 0;
	store_queue_claim_reply(call, &out);
}

static void
fake_renew(struct ipc_call *call, const struct store_queue_renew_in *in)
{
	struct store_queue_lease lost[1];
	struct store_queue_renew_out out = { .lost = lost };
	assert_int_equal(in->nleases, 1);
	assert_int_equal(in->leases[0].id, 7);
	if (!play.there || !play.claimed || in->leases[0].lease != play.lease) {
		lost[out.nlost++] = in->leases[0];
	} else if (in->lease_sec == 0) {
		play.claimed = false;
		play.given_back++;
	} else {
		play.leased_until = in->now + in->lease_sec;
		play.renewals++;
	}
	store_queue_renew_reply(call, &out);
}

static void
fake_body(struct ipc_call *call, const struct store_queue_body_in *in)
{
	struct slice piece = slice_part(play.body, in->from, in->into.len);
	char *to = shm_range(&call->peer->shm, in->into.off, in->into.len);
	assert_non_null(to);
	memcpy(to, piece.at, piece.len);
	store_queue_body_reply(call,
	                       &(struct store_queue_body_out){ .filled = (uint32_t)piece.len, .total = play.body.len });
}

static void
fake_resolve(struct ipc_call *call, const struct store_resolve_in *in)
{
	struct store_target target = { .account = 3, .address = in->address };
	struct store_resolve_out out = { .local = true, .targets = &target, .ntargets = 1 };
	store_resolve_reply(call, &out);
}

static void
take_mail(struct ipc_call *call, const struct store_mail *m)
{
	assert_true(play.nmails < MAILS_MAX);
	const char *at = shm_range(&call->peer->shm, m->body.at.off, m->body.at.len);
	assert_non_null(at);
	assert_true(m->facts.len > 0);
	assert_int_equal(m->envelope.reverse_path.len, 0); /* RFC 3464 2: notices have the null reverse-path */
	bool utf8 = slice_find(slice_of(at, m->body.at.len), S("global-delivery-status")) >= 0;
	assert_true(!!(m->envelope.flags & ENVELOPE_SMTPUTF8) == utf8); /* RFC 6533 3 */
	snprintf(play.mails[play.nmails].text, sizeof play.mails[0].text, "%.*s", (int)m->body.at.len, at);
	assert_int_equal(m->ndeliveries + m->ngroups, 1);
	play.mails[play.nmails++].at = clock_wall_sec();
}

static void
fake_commit(struct ipc_call *call, const struct store_commit_in *in)
{
	if (in->nmails && play.refuse_mails) {
		play.refused++;
		store_commit_reply(call, &(struct store_commit_out){ .verdict = play.refuse_mails });
		return;
	}
	if (in->nsettles && in->settles[0].lease != play.lease) {
		play.conflicts++;
		store_commit_reply(call, &(struct store_commit_out){ .verdict = ERR_CONFLICT });
		return;
	}
	for (uint32_t i = 0; i < in->nmails; i++)
		take_mail(call, &in->mails[i]);
	for (uint32_t i = 0; i < in->nsettles; i++) {
		const struct store_settle *s = &in->settles[i];
		assert_int_equal(s->id, 7);
		play.claimed = false;
		play.there = !s->gone;
		play.due = s->due;
		play.tries_kept = s->tries;
		play.notices_kept = s->notices;
		play.nrecipients = s->nrecipients;
		for (uint32_t k = 0; k < s->nrecipients; k++) {
			play.recipients[k] = s->recipients[k];
			play.recipients[k].address = slice_keep(&kept, s->recipients[k].address);
			play.recipients[k].reply = slice_keep(&kept, s->recipients[k].reply);
			play.recipients[k].status = slice_keep(&kept, s->recipients[k].status);
			play.recipients[k].mta = slice_keep(&kept, s->recipients[k].mta);
			play.recipients[k].orcpt = slice_keep(&kept, s->recipients[k].orcpt);
		}
	}
	store_commit_reply(call, &(struct store_commit_out){ .culprit = STORE_NO_CULPRIT });
}

static void
fake_memo_get(struct ipc_call *call, const struct store_memo_get_in *in)
{
	(void)in;
	store_memo_get_reply(call, &(struct store_memo_get_out){ 0 });
}

static void
fake_memo_put(struct ipc_call *call, const struct store_memo_put_in *in)
{
	play.memos += in->nmemos;
	store_memo_put_reply(call, &(struct store_memo_put_out){ 0 });
}

static const struct store_server fake_store = { .memo_get = fake_memo_get,
	                                            .memo_put = fake_memo_put,
	                                            .queue_claim = fake_claim,
	                                            .queue_renew = fake_renew,
	                                            .queue_body = fake_body,
	                                            .resolve = fake_resolve,
	                                            .commit = fake_commit };

/* ---- DNS */

static void
fake_lookup(struct ipc_call *call, const struct resolver_lookup_in *in)
{
	struct resolver_record record[32];
	struct resolver_lookup_out out = { .records = record };
	bool mx = in->type == 15, a = in->type == 1;
	if (slice_equal(in->name, S("nowhere.test"))) {
		out.verdict = ERR_NOT_FOUND;
	} else if (slice_equal(in->name, S("broken.test"))) {
		out.verdict = ERR_AGAIN;
	} else if (mx && slice_equal(in->name, S("nomail.test"))) {
		out.nrecords = 1; /* RFC 7505: preference 0, the root */
		record[0].bytes = S("\0\0\0");
	} else if (mx && slice_equal(in->name, S("remote.test"))) {
		out.nrecords = 2;
		record[0].bytes = S("\0\x14\4mx-b\6remote\4test\0");
		record[1].bytes = S("\0\x0a\4mx-a\6remote\4test\0");
	} else if (mx && slice_equal(in->name, S("loop.test"))) {
		out.nrecords = 1;
		record[0].bytes = S("\0\x0a\4here\4test\0");
	} else if (mx && slice_equal(in->name, S("tarpit.test"))) {
		out.nrecords = 2;
		record[0].bytes = S("\0\x14\1a\6tarpit\4test\0");
		record[1].bytes = S("\0\x0a\1b\6tarpit\4test\0");
	} else if (a && slice_ends(in->name, S(".tarpit.test"))) {
		out.nrecords = 32;
		for (size_t i = 0; i < 32; i++)
			record[i].bytes = S("\xc0\0\2\1");
	} else if (a && slice_equal(in->name, S("home.test"))) {
		out.nrecords = 1;
		record[0].bytes = S("\x7f\0\0\1");
	} else if (a) {
		out.nrecords = 1;
		record[0].bytes = slice_starts(in->name, S("mx-b")) ? S("\xc0\0\2\2") : S("\xc0\0\2\1");
	} else {
		out.verdict = ERR_NOT_FOUND;
		out.nodata = true;
	}
	resolver_lookup_reply(call, &out);
}

static const struct resolver_server fake_resolver = { .lookup = fake_lookup };

/* ---- remote servers */

static bool
await_talk(struct stream *io, const char *text)
{
	stream_put(io, slice_text(text));
	return await_flush(io) == OK;
}

static void
await_take_message(struct stream *io)
{
	struct slice line;
	buf_clear(&play.received);
	while (await_line(io, 5000, false, &line) == OK && !slice_equal(line, S("."))) {
		buf_put(&play.received, line.len && line.at[0] == '.' ? slice_from(line, 1) : line);
		buf_put(&play.received, S("\r\n"));
	}
}

static void
await_rcpt(struct stream *io, struct slice line)
{
	size_t n = strlen(play.rcpts);
	snprintf(play.rcpts + n, sizeof play.rcpts - n, "%.*s|", SLICE_ARG(line));
	bool bad = slice_find(line, S("bad@")) >= 0;
	switch (play.script) {
	case DEFER_RCPT: await_talk(io, "450 4.2.1 come back later\r\n"); break;
	case DEFER_TWICE: await_talk(io, play.tries <= 2 ? "451 4.7.1 greylisted\r\n" : "250 ok\r\n"); break;
	case REFUSE_RCPT: await_talk(io, "550 5.1.1 no such user here\r\n"); break;
	case MIXED: await_talk(io, bad ? "550 5.1.1 no such user here\r\n" : "250 2.1.5 ok\r\n"); break;
	default: await_talk(io, "250 2.1.5 ok\r\n");
	}
}

/* One command line; false: close. */
static bool
await_serve_line(struct stream *io, struct slice line)
{
	if (slice_starts_nocase(line, S("EHLO"))) {
		if (play.script == NO_EHLO)
			return await_talk(io, "500 what?\r\n");
		if (play.script == NO_PIPELINING)
			return await_talk(io, "250 remote.test\r\n");
		return await_talk(io, "250-remote.test\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250-DSN\r\n250 8BITMIME\r\n");
	}
	if (slice_starts_nocase(line, S("HELO")))
		return await_talk(io, "250 remote.test\r\n");
	if (slice_starts_nocase(line, S("MAIL"))) {
		snprintf(play.mail_from, sizeof play.mail_from, "%.*s", SLICE_ARG(line));
		if (play.tries < TRIES_MAX)
			play.try_at[play.tries] = clock_wall_sec();
		play.tries++;
		play.rcpts[0] = '\0';
		return await_talk(io, play.script == REFUSE_MAIL ? "553 5.7.1 not from you\r\n" : "250 ok\r\n");
	}
	if (slice_starts_nocase(line, S("RCPT"))) {
		await_rcpt(io, line);
		return io->error == OK;
	}
	if (slice_equal_nocase(line, S("DATA"))) {
		bool nobody = play.script == DEFER_RCPT || play.script == REFUSE_RCPT || play.script == REFUSE_MAIL ||
		              (play.script == DEFER_TWICE && play.tries <= 2);
		if (nobody)
			return await_talk(io, "554 5.5.1 no valid recipients\r\n");
		if (!await_talk(io, "354 go ahead\r\n"))
			return false;
		await_take_message(io);
		if (play.script == SLOW)
			for (int i = 0; i < 29; i++)
				await_sleep(MINUTE * 1000);
		play.taken += play.script != DROP_AFTER_DATA;
		return play.script != DROP_AFTER_DATA && await_talk(io, "250 2.0.0 taken as 123\r\n");
	}
	if (slice_equal_nocase(line, S("QUIT")))
		return await_talk(io, "221 bye\r\n"), false;
	return await_talk(io, "250 ok\r\n");
}

static void
await_strange(struct stream *io)
{
	char junk[3000];
	memset(junk, 'x', sizeof junk - 1);
	junk[sizeof junk - 1] = '\0';
	switch (play.script) {
	case REFUSE_GREETING: await_talk(io, "421 4.3.2 too busy\r\n"); break;
	case GARBAGE: await_talk(io, "HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n"); break;
	case ENDLESS_REPLY:
		for (int i = 0; i < 100000 && await_talk(io, "220-and so on\r\n"); i++)
			;
		break;
	case LONG_LINE:
		for (int i = 0; i < 1000 && await_talk(io, junk); i++)
			;
		break;
	case HANG: await_sleep(10 * DAY * 1000LL); break;
	default: break;
	}
}

static void
remote_server(void *arg)
{
	struct stream io;
	struct slice line;
	stream_init(&io, (int)(intptr_t)arg);
	io.deadline_ms = deadline_in_ms(HOUR * 1000);
	play.connections++;
	bool strange = play.script == REFUSE_GREETING || play.script == GARBAGE || play.script == ENDLESS_REPLY ||
	               play.script == LONG_LINE || play.script == HANG;
	if (strange) {
		if (play.tries < TRIES_MAX)
			play.try_at[play.tries] = clock_wall_sec();
		play.tries++;
		await_strange(&io);
	} else if (await_talk(&io, "220 remote.test ESMTP\r\n")) {
		while (await_line(&io, 2000, false, &line) == OK && await_serve_line(&io, line))
			;
	}
	stream_release(&io);
}

static enum err
await_fake_connect(const struct sockaddr *to, unsigned to_len, const struct sockaddr *from, unsigned from_len,
                   int64_t deadline_ms, int *fd)
{
	int pair[2];
	(void)to_len, (void)from, (void)from_len, (void)deadline_ms;
	const struct sockaddr_in *four = (const struct sockaddr_in *)to;
	assert_int_equal(four->sin_family, AF_INET);
	if (play.script == NO_CONNECTION || (ntohl(four->sin_addr.s_addr) & 0xff) == 2) { /* mx-b is always down */
		if ((ntohl(four->sin_addr.s_addr) & 0xff) == 1 && play.tries < TRIES_MAX)
			play.try_at[play.tries++] = clock_wall_sec();
		return ERR_TIMEOUT;
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	*fd = pair[0];
	assert_true(task_start(remote_server, (void *)(intptr_t)pair[1]));
	return OK;
}

/* ---- the stage */

static int
ipc_pair(int *other)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	*other = pair[1];
	return pair[0];
}

static void
go(void *arg)
{
	const char *why = NULL;
	(void)arg;
	assert_int_equal(role_relay.await_go(relay, &why), OK);
}

static void
stop(void *arg)
{
	role_relay.await_stop(relay, 1000);
	*(bool *)arg = true;
}

static bool
is_set(void *arg)
{
	return *(bool *)arg;
}

static bool
row_gone(void *arg)
{
	(void)arg;
	return !play.there && !play.claimed;
}

static bool
tried_once(void *arg)
{
	(void)arg;
	return play.tries_kept > 0;
}

static int
stage_up(void **state)
{
	(void)state;
	int other;
	struct conf_error errors[4];
	size_t nerrors;
	memset(&play, 0, sizeof play);
	buf_init(&play.received, 1 << 20);
	play.body = S("From: a@here.test\r\nSubject: hello\r\n\r\nfirst\r\n.dot\r\nlast\r\n");
	play.reverse_path = "a@here.test";
	play.domain = "remote.test";
	play.there = true;
	play.due = BORN;
	play.nrecipients = 1;
	play.recipients[0] = (struct store_recipient){ .address = S("user@remote.test") };
	arena_init(&kept, 0);
	loop_sim_start(BORN);
	log_setup("relay", LOG_ERROR, false);
	await_connect = await_fake_connect;
	relay = must_calloc(1, sizeof *relay);
	struct conf *conf = conf_parse(S("hostname = here.test\ndata = /nowhere\n"), "test.conf", "/", &kept, errors,
	                               COUNT_OF(errors), &nerrors);
	assert_non_null(conf);
	const char *why = NULL;
	assert_int_equal(role_relay.configure(relay, conf, &why), OK);
	conf_free(&conf);
	role_relay.peer(relay, ROLE_STORE, 0, ipc_pair(&other));
	store_peer = ipc_peer_open(other, &store_protocol, &fake_store, NULL, IPC_CLASS_RELAY, 0);
	role_relay.peer(relay, ROLE_RESOLVER, 0, ipc_pair(&other));
	resolver_peer = ipc_peer_open(other, &resolver_protocol, &fake_resolver, NULL, IPC_CLASS_RELAY, 0);
	return 0;
}

static int
stage_down(void **state)
{
	(void)state;
	bool stopped = false;
	assert_true(task_start(stop, &stopped));
	assert_true(loop_run_until(is_set, &stopped, 100000));
	relay_release(relay);
	ipc_peer_close(store_peer);
	ipc_peer_close(resolver_peer);
	for (int i = 0; i < 50; i++)
		loop_turn(0);
	free(relay);
	arena_release(&kept);
	buf_release(&play.received);
	loop_reset();
	return 0;
}

static void
run_script(enum script script)
{
	play.script = script;
	if (!relay->tls)
		assert_true(task_start(go, NULL));
	assert_true(loop_run_until(row_gone, NULL, 8LL * DAY * 1000));
	for (int i = 0; i < 20; i++)
		loop_turn(0);
}

#define MAIL_HAS(i, what) assert_non_null(strstr(play.mails[i].text, what))

/* ---- the tests */

static void
delivered(void **state)
{
	(void)state;
	run_script(ACCEPT);
	assert_int_equal(play.tries, 1);
	assert_int_equal(play.nmails, 0);
	assert_true(slice_equal(buf_slice(&play.received), play.body));
	assert_non_null(strstr(play.mail_from, "MAIL FROM:<a@here.test> SIZE="));
	assert_int_equal(clock_wall_sec() - BORN, 0);
}

static void
old_servers(void **state)
{
	(void)state;
	run_script(*(enum script *)*state);
	assert_int_equal(play.tries, 1);
	assert_int_equal(play.nmails, 0);
	assert_true(slice_equal(buf_slice(&play.received), play.body));
}

static void
refused(void **state)
{
	(void)state;
	run_script(REFUSE_RCPT);
	assert_int_equal(play.tries, 1);
	assert_int_equal(play.nmails, 1);
	assert_int_equal(play.mails[0].at, BORN);
	MAIL_HAS(0, "multipart/report");
	MAIL_HAS(0, "Action: failed");
	MAIL_HAS(0, "Status: 5.1.1");
	MAIL_HAS(0, "no such user here");
	MAIL_HAS(0, "Final-Recipient: rfc822; user@remote.test");
	MAIL_HAS(0, "Subject: hello");
}

static void
refused_sender(void **state)
{
	(void)state;
	run_script(REFUSE_MAIL);
	assert_int_equal(play.tries, 1);
	assert_int_equal(play.nmails, 1);
	MAIL_HAS(0, "not from you");
}

static void
mixed(void **state)
{
	(void)state;
	play.nrecipients = 3;
	play.recipients[1] =
	    (struct store_recipient){ .address = S("bad@remote.test"), .orcpt = S("rfc822;old+2Bname@here.test") };
	play.recipients[2] = (struct store_recipient){ .address = S("other@remote.test") };
	run_script(MIXED);
	assert_int_equal(play.nmails, 1);
	MAIL_HAS(0, "Final-Recipient: rfc822; bad@remote.test");
	MAIL_HAS(0, "Original-Recipient: rfc822;old+name@here.test");
	assert_null(strstr(play.mails[0].text, "other@remote.test"));
	assert_non_null(strstr(play.rcpts, "ORCPT=rfc822;old+2Bname@here.test"));
	assert_true(slice_equal(buf_slice(&play.received), play.body));
}

/* Nobody takes the notice: the row goes all the same, and whoever has the message does not get it again. */
static void
notice_that_nobody_takes(void **state)
{
	(void)state;
	static const enum err why[] = { ERR_QUOTA, ERR_SUSPENDED, ERR_NOT_FOUND, ERR_LIMIT };
	for (size_t i = 0; i < COUNT_OF(why); i++) {
		play.there = true;
		play.claimed = false;
		play.due = clock_wall_sec();
		play.tries = play.refused = 0;
		play.nrecipients = 2;
		play.recipients[0] = (struct store_recipient){ .address = S("good@remote.test") };
		play.recipients[1] = (struct store_recipient){ .address = S("bad@remote.test") };
		play.refuse_mails = why[i];
		if (i)
			store_queue_ready_notify(store_peer, &(struct store_queue_ready_in){ play.due });
		run_script(MIXED);
		assert_int_equal(play.tries, 1);
		assert_in_range(play.refused, 1, 2);
		assert_int_equal(play.nmails, 0);
	}
}

/* Greylisting: twice "later", then taken: at 0, 5 and 15 minutes. */
static void
deferred_twice(void **state)
{
	(void)state;
	run_script(DEFER_TWICE);
	assert_int_equal(play.tries, 3);
	assert_int_equal(play.try_at[1] - BORN, 5 * MINUTE);
	assert_int_equal(play.try_at[2] - BORN, 15 * MINUTE);
	assert_int_equal(play.nmails, 0);
}

/* The whole life of a message that nobody takes: every try at its time, a delayed notice after 4 hours, a failure after
 * 5 days. */
static void
five_days(void **state)
{
	enum script script = *(enum script *)*state;
	run_script(script);
	static const int64_t first[] = { 0,        5 * MINUTE, 15 * MINUTE, 35 * MINUTE, 75 * MINUTE, 135 * MINUTE,
		                             4 * HOUR, 8 * HOUR,   12 * HOUR };
	int64_t slack = script == HANG     ? 10 * MINUTE * 40
	                : script == ACCEPT ? 0
	                                   : 2; /* a server that hangs costs its timeouts */
	if (script != HANG)
		for (size_t i = 0; i < COUNT_OF(first); i++)
			assert_in_range(play.try_at[i] - BORN, first[i], first[i] + slack);
	assert_in_range(play.try_at[play.tries - 1] - BORN, 5 * DAY - slack, 5 * DAY + slack);
	assert_int_equal(play.nmails, 2);
	MAIL_HAS(0, "Action: delayed");
	assert_in_range(play.mails[0].at - BORN, 4 * HOUR, 4 * HOUR + MAX(slack, (int64_t)2));
	MAIL_HAS(1, "Action: failed");
	assert_in_range(play.mails[1].at - BORN, 5 * DAY, 5 * DAY + MAX(slack, (int64_t)2));
	assert_in_range(play.tries, 30, 45);
}

static void
bad_domains(void **state)
{
	static const struct {
		const char *domain, *says;
	} rows[] = {
		{ "nowhere.test", "the domain does not exist" },
		{ "nomail.test", "null MX" },
		{ "loop.test", "loops back" },
		{ "home.test", "loopback" },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (i > 0) {
			stage_down(state);
			stage_up(state);
		}
		play.domain = rows[i].domain;
		run_script(ACCEPT);
		assert_int_equal(play.connections, 0);
		assert_int_equal(play.nmails, 1);
		MAIL_HAS(0, rows[i].says);
		MAIL_HAS(0, "Action: failed");
	}
}

/* A domain with many servers, each of which takes a connection and says nothing: a try ends all the same. */
static void
tarpit(void **state)
{
	(void)state;
	play.domain = "tarpit.test";
	play.script = HANG;
	assert_true(task_start(go, NULL));
	assert_true(loop_run_until(tried_once, NULL, 8LL * DAY * 1000));
	assert_in_range(clock_wall_sec() - BORN, 2 * HOUR, 2 * HOUR + 6 * MINUTE);
	assert_in_range(play.connections, 20, 30); /* five minutes each, not all 64 */
	assert_true(play.there && play.due > BORN);
}

static void
dns_is_down(void **state)
{
	(void)state;
	play.domain = "broken.test";
	run_script(ACCEPT);
	assert_int_equal(play.connections, 0);
	assert_int_equal(play.nmails, 2); /* delayed, failed after five days */
	MAIL_HAS(1, "Action: failed");
	assert_int_equal(play.mails[1].at - BORN, 5 * DAY);
}

static void
no_notice_about_a_notice(void **state)
{
	(void)state;
	play.reverse_path = "";
	run_script(REFUSE_RCPT);
	assert_int_equal(play.nmails, 0);
	assert_non_null(strstr(play.mail_from, "MAIL FROM:<>"));
}

static void
notify_never(void **state)
{
	(void)state;
	play.recipients[0].notify = NOTIFY_NEVER;
	run_script(REFUSE_RCPT);
	assert_int_equal(play.nmails, 0);
	assert_non_null(strstr(play.rcpts, "NOTIFY=NEVER"));
}

/* RFC 3461 5.2.2: the next server does not know DSN, so we say "relayed". */
static void
relayed(void **state)
{
	(void)state;
	play.recipients[0].notify = NOTIFY_SUCCESS;
	run_script(NO_EHLO);
	assert_int_equal(play.nmails, 1);
	MAIL_HAS(0, "Action: relayed");
}

static void
success_is_passed_on(void **state)
{
	(void)state;
	play.recipients[0].notify = NOTIFY_SUCCESS | NOTIFY_FAILURE;
	run_script(ACCEPT);
	assert_int_equal(play.nmails, 0);
	assert_non_null(strstr(play.rcpts, "NOTIFY=SUCCESS,FAILURE"));
}

static void
whole_message_when_asked(void **state)
{
	(void)state;
	play.ret = RET_FULL;
	run_script(REFUSE_RCPT);
	MAIL_HAS(0, ".dot\r\nlast");
}

/* The connection ends after the dot: whether it was taken is not known. It is not sent again at once. */
static void
dropped_after_data(void **state)
{
	(void)state;
	play.script = DROP_AFTER_DATA;
	assert_true(task_start(go, NULL));
	bool never = false;
	loop_run_until(is_set, &never, 4 * MINUTE * 1000);
	assert_int_equal(play.tries, 1);
	run_script(ACCEPT);
	assert_int_equal(play.tries, 2);
	assert_int_equal(play.try_at[1] - BORN, 5 * MINUTE);
}

/* ---- leases */

static void
run_for(int64_t sec)
{
	bool never = false;
	loop_run_until(is_set, &never, sec * 1000);
}

static void
begin(enum script script)
{
	play.script = script;
	if (script == SLOW)
		relay->conf->v.relay_timeout = HOUR * 1000LL;
	assert_true(task_start(go, NULL));
}

/* A try that takes longer than its lease: renewed all the time. */
static void
renewed(void **state)
{
	(void)state;
	begin(SLOW);
	run_script(SLOW);
	assert_int_equal(play.taken, 1);
	assert_in_range(clock_wall_sec() - BORN, 29 * MINUTE, 30 * MINUTE);
	assert_in_range(play.renewals, 7, 30);
	assert_int_equal(play.conflicts, 0);
}

/* The clock is set forward over the end of the lease: the claim brings the row again, under way it stays one. */
static void
clock_set_forward(void **state)
{
	(void)state;
	begin(SLOW);
	run_for(5 * MINUTE);
	clock_sim_step(DAY);
	run_script(SLOW);
	assert_int_equal(play.taken, 1);
	assert_int_equal(play.tries, 1);
	assert_in_range(play.lease, 2, 3);
	assert_int_equal(play.conflicts, 0);
}

/* Set back with a row under way: its lease ends far in the future, it is not sent twice. */
static void
clock_set_back_under_way(void **state)
{
	(void)state;
	begin(SLOW);
	run_for(5 * MINUTE);
	clock_sim_step(-DAY);
	run_script(SLOW);
	assert_int_equal(play.taken, 1);
	assert_int_equal(play.tries, 1);
}

/* Set back between tries: tried again within the ordinary wait, no notice comes early, nothing comes twice. */
static void
clock_set_back(void **state)
{
	(void)state;
	begin(DEFER_RCPT);
	run_for(6 * MINUTE);
	assert_int_equal(play.tries, 2);
	clock_sim_step(-DAY);
	int64_t set = clock_mono_ms();
	run_for(10 * MINUTE);
	assert_int_equal(play.tries, 3);
	run_for(3 * HOUR);
	assert_in_range(play.tries, 5, 8); /* the schedule goes on */
	assert_int_equal(play.nmails, 0);
	unsigned tries = play.tries;
	run_script(ACCEPT);
	assert_in_range(clock_mono_ms() - set, 3 * HOUR * 1000LL, 8 * HOUR * 1000LL);
	assert_int_equal(play.tries, tries + 1);
	assert_int_equal(play.taken, 1);
	assert_int_equal(play.nmails, 0);
}

/* Somebody else has the lease: what did not begin is dropped, what is under way goes on and is settled in vain. */
static void
lost_under_way(void **state)
{
	(void)state;
	begin(SLOW);
	run_for(5 * MINUTE);
	play.lease += 10;
	play.leased_until = clock_wall_sec() + 2 * HOUR;
	run_for(HOUR);
	assert_int_equal(play.taken, 1);
	assert_int_equal(play.conflicts, 1);
	assert_int_equal(relay->jobs, 0);
	assert_true(play.there);
}

static void
lost_before_it_began(void **state)
{
	(void)state;
	relay->connections += relay->conf->v.relay_connections_max; /* all are busy */
	begin(ACCEPT);
	run_for(MINUTE);
	assert_int_equal(relay->jobs, 1);
	play.lease += 10;
	run_for(4 * MINUTE);
	assert_int_equal(relay->jobs, 0);
	assert_int_equal(play.tries, 0);
	relay->connections = 0;
	run_script(ACCEPT); /* the other one's lease ended */
	assert_int_equal(play.taken, 1);
}

/* The store lost the connection and the row was claimed anew before the job that has it could settle. */
static void
claimed_again_while_settling(void **state)
{
	(void)state;
	begin(SLOW);
	run_for(5 * MINUTE);
	play.leased_until = 0; /* ended: as when our connection closed */
	store_queue_ready_notify(store_peer, &(struct store_queue_ready_in){ clock_wall_sec() });
	run_for(MINUTE);
	assert_int_equal(play.lease, 2);
	run_script(SLOW);
	assert_int_equal(play.taken, 1);
	assert_int_equal(play.conflicts, 0);
}

/* A store that was started again hears at once what is held. */
static void
renewed_after_reconnect(void **state)
{
	(void)state;
	int other;
	begin(SLOW);
	run_for(MINUTE);
	unsigned renewals = play.renewals;
	role_relay.peer(relay, ROLE_STORE, 0, ipc_pair(&other));
	ipc_peer_close(store_peer);
	store_peer = ipc_peer_open(other, &store_protocol, &fake_store, NULL, IPC_CLASS_RELAY, 0);
	run_for(1);
	assert_int_equal(play.renewals, renewals + 1);
	run_script(SLOW);
	assert_int_equal(play.taken, 1);
}

static void
given_back_at_the_stop(void **state)
{
	(void)state;
	bool stopped = false;
	relay->connections += relay->conf->v.relay_connections_max;
	begin(ACCEPT);
	run_for(MINUTE);
	assert_int_equal(relay->jobs, 1);
	relay->connections = 0;
	assert_true(task_start(stop, &stopped));
	assert_true(loop_run_until(is_set, &stopped, 1000));
	assert_int_equal(play.given_back, 1);
	assert_int_equal(relay->jobs, 0);
	assert_int_equal(play.tries, 0);
}

int
main(void)
{
	static enum script defer = DEFER_RCPT, greeting = REFUSE_GREETING, garbage = GARBAGE, endless = ENDLESS_REPLY,
	                   nobody = NO_CONNECTION, hang = HANG, line = LONG_LINE, no_ehlo = NO_EHLO,
	                   no_pipelining = NO_PIPELINING;
#define STAGED(fn) cmocka_unit_test_setup_teardown(fn, stage_up, stage_down)
#define STAGED_WITH(fn, what)                                                                                          \
	{                                                                                                                  \
#fn " " #what, fn, stage_up, stage_down, &what                                                                 \
	}
	const struct CMUnitTest tests[] = {
		STAGED(delivered),
		STAGED_WITH(old_servers, no_ehlo),
		STAGED_WITH(old_servers, no_pipelining),
		STAGED(refused),
		STAGED(refused_sender),
		STAGED(mixed),
		STAGED(notice_that_nobody_takes),
		STAGED(deferred_twice),
		STAGED_WITH(five_days, defer),
		STAGED_WITH(five_days, greeting),
		STAGED_WITH(five_days, garbage),
		STAGED_WITH(five_days, endless),
		STAGED_WITH(five_days, line),
		STAGED_WITH(five_days, nobody),
		STAGED_WITH(five_days, hang),
		STAGED(bad_domains),
		STAGED(tarpit),
		STAGED(dns_is_down),
		STAGED(no_notice_about_a_notice),
		STAGED(notify_never),
		STAGED(relayed),
		STAGED(success_is_passed_on),
		STAGED(whole_message_when_asked),
		STAGED(dropped_after_data),
		STAGED(renewed),
		STAGED(clock_set_forward),
		STAGED(clock_set_back_under_way),
		STAGED(clock_set_back),
		STAGED(lost_under_way),
		STAGED(lost_before_it_began),
		STAGED(claimed_again_while_settling),
		STAGED(renewed_after_reconnect),
		STAGED(given_back_at_the_stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
