/* SPDX-License-Identifier: Apache-2.0 */
/* relay_testing.h - for tests: the stage on which the relay role plays under the simulated clock. The store and the
 * resolver are played through the same message tables as in the house; remote servers are tasks at the other end of
 * socket pairs.
 *
 * The first part is for every such test: the role and its peers, connections. The second is a play of one queue row:
 * DNS from a table, a server that follows a script, a store that keeps the row and the notices that are committed. A
 * test with a queue, a DNS or servers of its own brings those functions and takes the rest from here. */
#ifndef RELAY_RELAY_TESTING_H
#define RELAY_RELAY_TESTING_H

#include "base/log.h"
#include "relay/relay.h"
#include "resolver_msg.h"
#include "role/role.h"
#include "store/rows.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

enum { MINUTE = 60, HOUR = 3600, DAY = 86400, BORN = 1700000000 };
enum { DNS_A = 1, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28, DNS_TLSA = 52, DNS_ANY = 255 };

static struct arena kept; /* what outlives calls */
static struct ipc_peer *store_peer, *resolver_peer;
static struct relay *relay;

/* ---- connections */

/* A pair of sockets: one end is returned, *other is the other. */
static inline int
stage_pair(int *other)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	*other = pair[1];
	return pair[0];
}

/* The last byte of the IPv4 address: which server is meant. */
static inline unsigned
stage_server_number(const struct sockaddr *to)
{
	assert_int_equal(to->sa_family, AF_INET);
	return ntohl(((const struct sockaddr_in *)to)->sin_addr.s_addr) & 0xff;
}

static inline bool
await_talk(struct stream *io, const char *text)
{
	stream_put(io, slice_text(text));
	return await_flush(io) == OK;
}

/* ---- the role and its peers */

static inline bool
is_set(void *arg)
{
	return *(bool *)arg;
}

static inline void
run_for(int64_t sec)
{
	bool never = false;
	loop_run_until(is_set, &never, sec * 1000);
}

static inline void
stage_store(const struct store_server *store)
{
	int other;
	role_relay.peer(relay, ROLE_STORE, 0, stage_pair(&other));
	store_peer = ipc_peer_open(other, &store_protocol, store, NULL, IPC_CLASS_RELAY, 0);
}

/* A role with these lines of configuration. */
static inline void
relay_open(const char *options, const struct store_server *store, const struct resolver_server *resolver)
{
	int other;
	struct conf_error errors[4];
	size_t nerrors;
	const char *why = NULL;
	relay = must_calloc(1, sizeof *relay);
	struct slice text = arena_printf(&kept, "hostname = here.test\ndata = /nowhere\n%s", options);
	struct conf *conf = conf_parse(text, "test.conf", "/", &kept, errors, COUNT_OF(errors), &nerrors);
	assert_non_null(conf);
	assert_int_equal(role_relay.configure(relay, conf, &why), OK);
	conf_free(&conf);
	stage_store(store);
	role_relay.peer(relay, ROLE_RESOLVER, 0, stage_pair(&other));
	resolver_peer = ipc_peer_open(other, &resolver_protocol, resolver, NULL, IPC_CLASS_RELAY, 0);
}

static inline void
relay_close(void)
{
	ipc_peer_close(store_peer);
	ipc_peer_close(resolver_peer);
	for (int i = 0; i < 50; i++)
		loop_turn(0);
	relay_release(relay);
	free(relay);
}

static inline void
go(void *arg)
{
	const char *why = NULL;
	(void)arg;
	assert_int_equal(role_relay.await_go(relay, &why), OK);
}

static inline void
stop(void *arg)
{
	role_relay.await_stop(relay, 1000);
	*(bool *)arg = true;
}

static inline void
relay_stop(int64_t within_sec)
{
	bool stopped = false;
	assert_true(task_start(stop, &stopped));
	assert_true(loop_run_until(is_set, &stopped, within_sec * 1000));
}

static inline void
stage_begin(void)
{
	arena_init(&kept, 0);
	loop_sim_start(BORN);
	log_setup("relay", LOG_ERROR, false);
}

static inline void
stage_end(void)
{
	arena_release(&kept);
	loop_reset();
}

/* ---- what any store says */

static inline void
fake_resolve(struct ipc_call *call, const struct store_resolve_in *in)
{
	struct store_target target = { .account = 3, .address = in->address };
	struct store_resolve_out out = { .local = true, .targets = &target, .ntargets = 1 };
	out.verdict = slice_starts(in->address, S("gone@"))   ? ERR_NOT_FOUND
	              : slice_starts(in->address, S("full@")) ? ERR_QUOTA
	                                                      : OK;
	store_resolve_reply(call, &out);
}

static inline void
fake_no_memo(struct ipc_call *call, const struct store_memo_get_in *in)
{
	(void)in;
	store_memo_get_reply(call, &(struct store_memo_get_out){ 0 });
}

static inline void
reply_with_body(struct ipc_call *call, const struct store_queue_body_in *in, struct slice body)
{
	struct slice piece = slice_part(body, in->from, in->into.len);
	char *to = shm_range(&call->peer->shm, in->into.off, in->into.len);
	assert_non_null(to);
	memcpy(to, piece.at, piece.len);
	store_queue_body_reply(call, &(struct store_queue_body_out){ .filled = (uint32_t)piece.len, .total = body.len });
}

/* ---- scripts of a remote server */

enum phase { NOWHERE, AT_GREETING, AT_EHLO, AT_HELO, AT_MAIL, AT_RCPT, AT_DATA, AT_DOT, PHASES };

struct script {
	struct slice says[PHASES]; /* whole replies; empty: what a good server says */
	const char *bad;           /* to the recipient bad@ */
	unsigned tries;            /* with the first so many tries it is like that, afterwards good; 0: always */
	enum phase drops, hangs;   /* the connection ends there, or nothing more comes */
	enum phase endless;        /* says[] of it comes a hundred thousand times */
	int64_t slow_sec;          /* before the reply to the message */
	bool unreachable;
};

static char long_line[3000]; /* of 'x' */

static const struct script accepts = { 0 };
static const struct script defers = { .says[AT_RCPT] = S_ROW("450 4.2.1 come back later\r\n") };
static const struct script greylists = { .says[AT_RCPT] = S_ROW("451 4.7.1 greylisted\r\n"), .tries = 2 };
static const struct script refuses = { .says[AT_RCPT] = S_ROW("550 5.1.1 no such user here\r\n") };
static const struct script refuses_bad = { .bad = "550 5.1.1 no such user here\r\n" };
static const struct script refuses_sender = { .says[AT_MAIL] = S_ROW("553 5.7.1 not from you\r\n"),
	                                          .says[AT_RCPT] = S_ROW("503 5.5.1 no\r\n") };
static const struct script too_busy = { .says[AT_GREETING] = S_ROW("421 4.3.2 too busy\r\n") };
static const struct script hangs = { .hangs = AT_GREETING };
static const struct script drops_after_data = { .drops = AT_DOT };
static const struct script endless = { .endless = AT_GREETING, .says[AT_GREETING] = S_ROW("220-and so on\r\n") };
static const struct script endless_line = { .endless = AT_GREETING,
	                                        .says[AT_GREETING] = { long_line, sizeof long_line } };
static const struct script garbage = { .says[AT_GREETING] = S_ROW("HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n") };
static const struct script no_ehlo = { .says[AT_EHLO] = S_ROW("500 what?\r\n") };
static const struct script no_pipelining = { .says[AT_EHLO] = S_ROW("250 remote.test\r\n") };
static const struct script unreachable = { .unreachable = true };
static const struct script slow = { .slow_sec = 29 * MINUTE };

/* ---- the play: one queue row, one script, what came of it */

enum { MAILS_MAX = 64, TRIES_MAX = 256, PLAY_RECIPIENTS_MAX = 4 };

struct zone_row {
	const char *name; /* one that begins with a dot: all below; "*": all that no other row names */
	uint16_t type;
	struct slice bytes;
	enum err verdict;
	unsigned times; /* so often is it in the answer; 0: once */
};

static struct {
	const struct script *script;
	const struct zone_row *zone;
	size_t nzone;
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
	struct store_recipient recipients[PLAY_RECIPIENTS_MAX];
	struct store_envelope envelope;
	const char *domain;
	bool local; /* for mailboxes of ours */
	struct slice verp;
	/* notices that were committed */
	unsigned nmails;
	unsigned memos;
	enum err refuse_mails; /* instead of taking notices */
	unsigned refused;
	struct {
		int64_t at;
		char text[20000];
	} mails[MAILS_MAX];
} play;

#define MAIL_HAS(i, what) assert_non_null(strstr(play.mails[i].text, what))

/* ---- its store */

static inline void
play_claim(struct ipc_call *call, const struct store_queue_claim_in *in)
{
	struct store_queue_row row = { .id = 7,
		                           .domain = slice_text(play.domain),
		                           .due = play.due,
		                           .born = BORN,
		                           .tries = play.tries_kept,
		                           .notices = play.notices_kept,
		                           .bytes = play.body.len,
		                           .envelope = play.envelope,
		                           .local = play.local,
		                           .verp = play.verp,
		                           .recipients = play.recipients,
		                           .nrecipients = play.nrecipients };
	struct store_queue_claim_out out = { .rows = &row };
	int64_t when = play.claimed ? play.leased_until : play.due;
	bool appointed = play.envelope.hold_until && play.due == play.envelope.hold_until;
	bool astray = when > in->now + in->horizon && !appointed;
	if (play.there && (when <= in->now || astray)) {
		row.lease = ++play.lease;
		play.claimed = true;
		play.leased_until = in->now + in->lease_sec;
		out.nrows = 1;
	}
	out.next = play.there && !out.nrows ? when : 0;
	store_queue_claim_reply(call, &out);
}

static inline void
play_renew(struct ipc_call *call, const struct store_queue_renew_in *in)
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

static inline void
play_body(struct ipc_call *call, const struct store_queue_body_in *in)
{
	reply_with_body(call, in, play.body);
}

static inline void
play_mail(struct ipc_call *call, const struct store_mail *m)
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

static inline void
play_settle(const struct store_settle *s)
{
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

static inline void
play_commit(struct ipc_call *call, const struct store_commit_in *in)
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
		play_mail(call, &in->mails[i]);
	for (uint32_t i = 0; i < in->nsettles; i++)
		play_settle(&in->settles[i]);
	store_commit_reply(call, &(struct store_commit_out){ .culprit = STORE_NO_CULPRIT });
}

static inline void
play_memo_put(struct ipc_call *call, const struct store_memo_put_in *in)
{
	play.memos += in->nmemos;
	store_memo_put_reply(call, &(struct store_memo_put_out){ 0 });
}

static const struct store_server play_store = { .memo_get = fake_no_memo,
	                                            .memo_put = play_memo_put,
	                                            .queue_claim = play_claim,
	                                            .queue_renew = play_renew,
	                                            .queue_body = play_body,
	                                            .resolve = fake_resolve,
	                                            .commit = play_commit };

/* ---- its DNS */

static inline bool
zone_row_matches(const struct zone_row *z, const struct resolver_lookup_in *in, bool others)
{
	struct slice name = slice_text(z->name);
	if (z->type != in->type && z->type != DNS_ANY)
		return false;
	if (slice_equal(name, S("*")))
		return others;
	return slice_equal(name, in->name) || (z->name[0] == '.' && slice_ends(in->name, name));
}

static inline void
zone_answer(struct resolver_lookup_out *out, const struct resolver_lookup_in *in, bool others)
{
	struct resolver_record *records = out->records;
	for (size_t i = 0; i < play.nzone; i++) {
		const struct zone_row *z = &play.zone[i];
		if (!zone_row_matches(z, in, others))
			continue;
		out->verdict = z->verdict;
		for (unsigned k = 0; z->verdict == OK && k < MAX(z->times, 1U); k++)
			records[out->nrecords++].bytes = z->bytes;
	}
}

static inline void
play_lookup(struct ipc_call *call, const struct resolver_lookup_in *in)
{
	struct resolver_record records[32] = { 0 };
	struct resolver_lookup_out out = { .records = records };
	zone_answer(&out, in, false);
	if (out.nrecords == 0 && out.verdict == OK)
		zone_answer(&out, in, true);
	if (out.nrecords == 0 && out.verdict == OK) {
		out.verdict = ERR_NOT_FOUND;
		out.nodata = true;
	}
	resolver_lookup_reply(call, &out);
}

static const struct resolver_server play_resolver = { .lookup = play_lookup };

/* ---- its server */

static inline bool
script_holds(void)
{
	return play.script->tries == 0 || play.tries <= play.script->tries;
}

static inline void
note_try(void)
{
	if (play.tries < TRIES_MAX)
		play.try_at[play.tries] = clock_wall_sec();
	play.tries++;
}

/* What the script says in this phase, else `good`. False: the connection ends. */
static inline bool
await_say(struct stream *io, enum phase at, const char *good)
{
	const struct script *s = play.script;
	bool holds = script_holds();
	struct slice text = holds && s->says[at].len ? s->says[at] : slice_text(good);
	if (holds && s->drops == at)
		return false;
	if (holds && s->hangs == at)
		return await_sleep(10 * DAY * 1000LL), false;
	for (int n = holds && s->endless == at ? 100000 : 1; n > 0 && io->error == OK; n--) {
		stream_put(io, text);
		(void)await_flush(io);
	}
	return io->error == OK;
}

static inline void
await_take_message(struct stream *io)
{
	struct slice line;
	buf_clear(&play.received);
	while (await_line(io, 5000, false, &line) == OK && !slice_equal(line, S("."))) {
		buf_put(&play.received, line.len && line.at[0] == '.' ? slice_from(line, 1) : line);
		buf_put(&play.received, S("\r\n"));
	}
}

/* What a server says of a recipient; *accepted counts those that it takes. */
static inline bool
await_play_rcpt(struct stream *io, struct slice line, unsigned *accepted)
{
	size_t n = strlen(play.rcpts);
	snprintf(play.rcpts + n, sizeof play.rcpts - n, "%.*s|", SLICE_ARG(line));
	if (play.script->bad && slice_find(line, S("bad@")) >= 0)
		return await_talk(io, play.script->bad);
	struct slice says = script_holds() ? play.script->says[AT_RCPT] : SLICE_NONE;
	*accepted += !says.len || says.at[0] == '2';
	return await_say(io, AT_RCPT, "250 2.1.5 ok\r\n");
}

static inline bool
await_play_data(struct stream *io, unsigned accepted)
{
	if (accepted == 0)
		return await_talk(io, "554 5.5.1 no valid recipients\r\n");
	if (!await_say(io, AT_DATA, "354 go ahead\r\n"))
		return false;
	await_take_message(io);
	if (script_holds() && play.script->slow_sec)
		await_sleep(play.script->slow_sec * 1000);
	struct slice says = script_holds() ? play.script->says[AT_DOT] : SLICE_NONE;
	play.taken += (!says.len || says.at[0] == '2') && !(script_holds() && play.script->drops == AT_DOT);
	return await_say(io, AT_DOT, "250 2.0.0 taken as 123\r\n");
}

/* One command line; false: close. */
static inline bool
await_play_line(struct stream *io, struct slice line, unsigned *accepted)
{
	if (slice_starts_nocase(line, S("EHLO")))
		return await_say(io, AT_EHLO,
		                 "250-remote.test\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250-DSN\r\n250 8BITMIME\r\n");
	if (slice_starts_nocase(line, S("HELO")))
		return await_say(io, AT_HELO, "250 remote.test\r\n");
	if (slice_starts_nocase(line, S("MAIL"))) {
		snprintf(play.mail_from, sizeof play.mail_from, "%.*s", SLICE_ARG(line));
		note_try();
		play.rcpts[0] = '\0';
		*accepted = 0;
		return await_say(io, AT_MAIL, "250 ok\r\n");
	}
	if (slice_starts_nocase(line, S("RCPT")))
		return await_play_rcpt(io, line, accepted);
	if (slice_equal_nocase(line, S("DATA")))
		return await_play_data(io, *accepted);
	if (slice_equal_nocase(line, S("QUIT")))
		return await_talk(io, "221 bye\r\n"), false;
	return await_talk(io, "250 ok\r\n");
}

static inline bool
is_strange_greeting(const struct script *s)
{
	return s->drops == AT_GREETING || s->hangs == AT_GREETING || s->says[AT_GREETING].len > 0;
}

static inline void
play_server(void *arg)
{
	struct stream io;
	struct slice line;
	unsigned accepted = 0;
	stream_init(&io, (int)(intptr_t)arg);
	io.deadline_ms = deadline_in_ms(HOUR * 1000);
	play.connections++;
	if (is_strange_greeting(play.script)) {
		note_try();
		(void)await_say(&io, AT_GREETING, "");
	} else if (await_talk(&io, "220 remote.test ESMTP\r\n")) {
		while (await_line(&io, 2000, false, &line) == OK && await_play_line(&io, line, &accepted))
			;
	}
	stream_release(&io);
}

/* The server whose address ends in 1 follows the script; 2 is always down. */
static inline enum err
await_play_connect(const struct sockaddr *to, unsigned to_len, const struct sockaddr *from, unsigned from_len,
                   int64_t deadline_ms, int *fd)
{
	int other;
	(void)to_len, (void)from, (void)from_len, (void)deadline_ms;
	unsigned number = stage_server_number(to);
	if (play.script->unreachable || number == 2) {
		if (number == 1)
			note_try();
		return ERR_TIMEOUT;
	}
	*fd = stage_pair(&other);
	assert_true(task_start(play_server, (void *)(intptr_t)other));
	return OK;
}

/* ---- its stage */

static const struct zone_row play_zone[] = {
	{ .name = "remote.test", .type = DNS_MX, .bytes = S_ROW("\0\x14\4mx-b\6remote\4test\0") },
	{ .name = "remote.test", .type = DNS_MX, .bytes = S_ROW("\0\x0a\4mx-a\6remote\4test\0") },
	{ .name = "mx-b.remote.test", .type = DNS_A, .bytes = S_ROW("\xc0\0\2\2") },
	{ .name = "*", .type = DNS_A, .bytes = S_ROW("\xc0\0\2\1") },
};

/* One row to user@remote.test, due now; the play does not begin before the role runs (begin, run_script). */
static inline void
play_open(const char *options)
{
	memset(&play, 0, sizeof play);
	stage_begin();
	buf_init(&play.received, 1 << 20);
	play.zone = play_zone;
	play.nzone = COUNT_OF(play_zone);
	play.body = S("From: a@here.test\r\nSubject: hello\r\n\r\nfirst\r\n.dot\r\nlast\r\n");
	play.envelope = (struct store_envelope){ .reverse_path = S("a@here.test"), .session = S("test"), .account = 1 };
	play.domain = "remote.test";
	play.there = true;
	play.due = BORN;
	play.nrecipients = 1;
	play.recipients[0] = (struct store_recipient){ .address = S("user@remote.test") };
	memset(long_line, 'x', sizeof long_line);
	await_connect = await_play_connect;
	relay_open(options, &play_store, &play_resolver);
}

static inline int
play_up(void **state)
{
	(void)state;
	play_open("");
	return 0;
}

static inline int
play_down(void **state)
{
	(void)state;
	relay_stop(100);
	relay_close();
	buf_release(&play.received);
	stage_end();
	return 0;
}

#define STAGED(fn) cmocka_unit_test_setup_teardown(fn, play_up, play_down)
/* The same with the script `what` as *state. */
#define STAGED_WITH(fn, what)                                                                                          \
	{                                                                                                                  \
		.name = #fn " " #what, .test_func = fn, .setup_func = play_up, .teardown_func = play_down,                     \
		.initial_state = (void *)(intptr_t)&what                                                                       \
	}

static inline bool
row_gone(void *arg)
{
	(void)arg;
	return !play.there && !play.claimed;
}

static inline void
begin(const struct script *script)
{
	play.script = script;
	assert_true(task_start(go, NULL));
}

/* Until the row is gone, for eight days at most. */
static inline void
run_script(const struct script *script)
{
	play.script = script;
	if (!relay->tls)
		begin(script);
	assert_true(loop_run_until(row_gone, NULL, 8LL * DAY * 1000));
	for (int i = 0; i < 20; i++)
		loop_turn(0);
}

#endif
