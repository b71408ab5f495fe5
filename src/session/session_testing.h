/* SPDX-License-Identifier: Apache-2.0 */
/* session_testing.h - a session process for unit tests and fuzzers: connections over socket pairs, and servers in the
 * same process that answer by the message tables as store, auth and scan would.
 *
 * example.test is ours: alice (account 1), bob (2), full@ is over quota, gone@ is suspended, all@ is an alias of alice,
 * bob and carol@elsewhere.test. The password of alice is "secret". */
#ifndef SESSION_SESSION_TESTING_H
#define SESSION_SESSION_TESTING_H

#include "session/session.h"

#include "base/log.h"

#include "auth_msg.h"
#include "mail/bounce.h"
#include "mail/facts.h"
#include "scan_msg.h"
#include "store/rows.h"
#include "store/suppression.h"
#include "store_msg.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct fake_house {
	struct session s;
	struct conf *conf;
	struct arena arena;
	/* what the servers are told to do */
	enum err commit_verdict, scan_error, store_error;
	uint64_t commit_culprit; /* this account cannot be delivered to */
	/* what they saw */
	unsigned commits, deliveries, rows, notices, returns;
	struct buf body; /* of the last commit */
	uint32_t skip;
};

static struct fake_house *fake_current;

/* ---- store */

static void
fake_target(struct store_resolve_out *out, struct store_target *all, uint64_t account, const char *address)
{
	out->targets = all;
	all[out->ntargets++] = (struct store_target){ .account = account, .address = slice_text(address) };
}

static void
fake_resolve(struct ipc_call *call, const struct store_resolve_in *in)
{
	struct store_resolve_out out = { .local = slice_ends(in->address, S("@example.test")) };
	struct store_target all[3];
	if (fake_current->store_error) {
		ipc_fail(call, fake_current->store_error);
		return;
	}
	out.local |= slice_equal(in->address, S("postmaster"));
	if (slice_equal(in->address, S("alice@example.test")) || slice_equal(in->address, S("postmaster"))) {
		fake_target(&out, all, 1, "alice@example.test");
	} else if (slice_equal(in->address, S("bob@example.test"))) {
		fake_target(&out, all, 2, "bob@example.test");
	} else if (slice_equal(in->address, S("all@example.test"))) {
		fake_target(&out, all, 1, "alice@example.test");
		fake_target(&out, all, 2, "bob@example.test");
		fake_target(&out, all, 0, "carol@elsewhere.test");
	} else if (slice_starts(in->address, S("bounce+")) && out.local) {
		fake_target(&out, all, 1, "alice@example.test");
		out.verp = true;
	} else if (slice_equal(in->address, S("fbl@example.test"))) {
		fake_target(&out, all, 2, "bob@example.test");
		out.feedback = true;
	} else if (in->sender.len && (slice_starts(in->address, S("never@")) || slice_starts(in->address, S("seldom@")))) {
		out.suppressed = S("hard bounce");
		out.reason = slice_starts(in->address, S("never@")) ? SUPPRESS_ADMINISTRATOR : SUPPRESS_HARD;
	} else if (out.local) {
		out.verdict = slice_starts(in->address, S("full@"))   ? ERR_QUOTA
		              : slice_starts(in->address, S("gone@")) ? ERR_SUSPENDED
		                                                      : ERR_NOT_FOUND;
	}
	store_resolve_reply(call, &out);
}

static void
fake_sender_allowed(struct ipc_call *call, const struct store_sender_allowed_in *in)
{
	struct store_sender_allowed_out out = { .allowed = slice_equal(in->address, S("alice@example.test")) };
	store_sender_allowed_reply(call, &out);
}

static void
fake_keep_body(struct ipc_call *call, const struct store_mail *mail)
{
	buf_clear(&fake_current->body);
	fake_current->skip = mail->envelope.skip;
	if (mail->body.spool)
		return;
	const char *at = shm_range(&call->peer->shm, mail->body.at.off, mail->body.at.len);
	ASSERT(at || mail->body.at.len == 0);
	buf_put(&fake_current->body, slice_of(at, mail->body.at.len));
}

static void
fake_commit(struct ipc_call *call, const struct store_commit_in *in)
{
	struct store_commit_out out = { .verdict = fake_current->commit_verdict, .culprit = STORE_NO_CULPRIT };
	ASSERT(in->id.len == 16 && in->nmails + in->nreturns >= 1);
	fake_current->returns += in->nreturns;
	fake_current->commits += in->nmails == 0;
	if (in->nmails == 0) {
		store_commit_reply(call, &out);
		return;
	}
	for (uint32_t i = 0; i < in->mails[0].ndeliveries && fake_current->commit_culprit; i++)
		if (in->mails[0].deliveries[i].account == fake_current->commit_culprit) {
			out.verdict = ERR_QUOTA;
			out.culprit = i;
		}
	fake_current->commits++;
	if (out.verdict == OK) {
		fake_keep_body(call, &in->mails[0]);
		fake_current->deliveries += in->mails[0].ndeliveries;
		fake_current->rows += in->mails[0].ngroups;
		fake_current->notices += in->nmails - 1;
	}
	store_commit_reply(call, &out);
}

static void
fake_spool_open(struct ipc_call *call, const struct store_spool_open_in *in)
{
	struct store_spool_open_out out = { .spool = 1, .file = memfd_create("spool", MFD_CLOEXEC) };
	ASSERT(out.file >= 0);
	store_spool_open_reply(call, &out);
	close(out.file);
}

static void
fake_account_open(struct ipc_call *call, const struct store_account_open_in *in)
{
	struct store_account_open_out out = { .handle = 7, .account = 1, .address = S("alice@example.test") };
	ASSERT(slice_equal(in->grant, S("grant")));
	if (fake_current->store_error)
		ipc_fail(call, fake_current->store_error);
	else
		store_account_open_reply(call, &out);
}

static const struct store_server fake_store = { .account_open = fake_account_open,

	                                            .resolve = fake_resolve,
	                                            .sender_allowed = fake_sender_allowed,
	                                            .commit = fake_commit,
	                                            .spool_open = fake_spool_open };

/* ---- auth, scan */

static void
fake_login(struct ipc_call *call, const struct auth_login_in *in)
{
	struct auth_login_out out = { .verdict = ERR_DENIED };
	if (slice_equal(in->user, S("alice@example.test")) && slice_equal(in->password, S("secret"))) {
		out.verdict = OK;
		out.account = 1;
		out.address = in->user;
		out.grant = S("grant");
	}
	auth_login_reply(call, &out);
}

static const struct auth_server fake_auth = { .login = fake_login };

/* Numbers alone: enough for policy, and as cheap as a fuzzer wants it. */
static void
fake_facts(struct ipc_call *call, const struct scan_facts_in *in)
{
	struct facts_numbers numbers = { .date = INT64_MIN };
	struct facts_writer w;
	struct buf record;
	if (in->file >= 0)
		close(in->file);
	if (fake_current->scan_error) {
		ipc_fail(call, fake_current->scan_error);
		return;
	}
	const char *at = in->file < 0 ? shm_range(&call->peer->shm, in->off, in->bytes) : NULL;
	struct slice rest = slice_of(at, at ? in->bytes : 0);
	for (ptrdiff_t i; (i = slice_find(rest, S("Received:"))) >= 0; rest = slice_from(rest, (size_t)i + 9))
		numbers.received++;
	facts_writer_init(&w);
	facts_add(&w, FACTS_NUMBERS, slice_of(&numbers, sizeof numbers));
	buf_init(&record, FACTS_BYTES_MAX);
	ASSERT(facts_finish(&w, &record));
	facts_writer_release(&w);
	struct scan_facts_out out = { .facts = buf_slice(&record) };
	scan_facts_reply(call, &out);
	buf_release(&record);
}

/* By the message itself, so that a fuzzer reaches what scan does, and what is done with it. */
static void
fake_bounce(struct ipc_call *call, const struct scan_bounce_in *in)
{
	struct scan_bounced recipients[BOUNCE_RECIPIENTS_MAX];
	struct scan_bounced_path paths[BOUNCE_PATHS_MAX];
	struct bounce b;
	struct arena a;
	if (in->file >= 0)
		close(in->file);
	const char *at = in->file < 0 ? shm_range(&call->peer->shm, in->off, in->bytes) : NULL;
	arena_init(&a, 0);
	bounce_read(slice_of(at, at ? in->bytes : 0), &a, &b);
	struct scan_bounce_out out = { b.kind, b.class, b.status, b.said, recipients, 0, paths, 0 };
	for (size_t i = 0; i < b.nrecipients; i++)
		if (b.recipients[i].address.len)
			recipients[out.nrecipients++].address = b.recipients[i].address;
	for (size_t i = 0; i < b.npaths; i++)
		paths[out.npaths++].text = b.paths[i];
	scan_bounce_reply(call, &out);
	arena_release(&a);
}

static const struct scan_server fake_scan = { .facts = fake_facts, .bounce = fake_bounce };

/* ---- the session */

static void
fake_connect(struct fake_house *h, struct ipc_client *c, const struct ipc_protocol *p, const void *handlers)
{
	int pair[2];
	ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	ASSERT(ipc_peer_open(pair[0], p, handlers, h, IPC_CLASS_USER, 0) != NULL);
	ipc_client_connect(c, pair[1]);
}

static UNUSED void
fake_house_open(struct fake_house *h, const char *conf_text)
{
	struct conf_error errors[4];
	size_t nerrors = 0;
	memset(h, 0, sizeof *h);
	fake_current = h;
	arena_init(&h->arena, 0);
	buf_init(&h->body, 8 << 20);
	h->conf = conf_parse(slice_text(conf_text), "test", "/", &h->arena, errors, COUNT_OF(errors), &nerrors);
	ASSERT(h->conf && nerrors == 0);
	session_init(&h->s, h->conf, IPC_CLASS_USER, 1, 4 * (size_t)SHM_BLOCK_BYTES_MAX);
	fake_connect(h, &h->s.store, &store_protocol, &fake_store);
	fake_connect(h, &h->s.auth, &auth_protocol, &fake_auth);
	fake_connect(h, &h->s.scan[0], &scan_protocol, &fake_scan);
}

static UNUSED void
fake_house_close(struct fake_house *h)
{
	ASSERT(h->s.open == 0 && shm_used(h->s.shm) == 0);
	session_release(&h->s);
	for (int i = 0; i < 4; i++)
		loop_turn(0); /* the servers' ends see that and go */
	conf_free(&h->conf);
	buf_release(&h->body);
	arena_release(&h->arena);
}

/* A connection of its own from address 192.0.2.1; the client's end. */
static UNUSED int
fake_client(struct fake_house *h, enum listener_kind kind, const struct protocol *p)
{
	int pair[2];
	struct conf_listener l = { .kind = kind, .name = p->name, .address = "test" };
	struct conn_from from = { .text = "192.0.2.1", .port = 1234, .uid = UINT32_MAX };
	memcpy(from.address, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1", 16);
	ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	struct listening *listening = listening_new(&l);
	conn_start(&h->s, pair[0], listening, p, &from);
	listening_free(&listening);
	return pair[1];
}

static void
fake_drain(int fd, struct buf *out)
{
	char room[4096];
	for (ssize_t n; (n = read(fd, room, sizeof room)) > 0;)
		buf_put(out, slice_of(room, (size_t)n));
}

/* Sends `in` in pieces of at most step bytes, each after all that was ready was done; then no more. All that came back
 * is in out. */
static UNUSED void
fake_dialog(struct fake_house *h, enum listener_kind kind, const struct protocol *p, struct slice in, size_t step,
            struct buf *out)
{
	int fd = fake_client(h, kind, p);
	while (in.len > 0 && h->s.open > 0) {
		struct slice piece = slice_part(in, 0, step);
		ssize_t n = send(fd, piece.at, piece.len, MSG_NOSIGNAL);
		in = slice_from(in, n > 0 ? (size_t)n : 0);
		loop_turn(n > 0 ? 0 : 1000); /* not taken: it is slowed down; let its time pass */
		fake_drain(fd, out);
	}
	shutdown(fd, SHUT_WR);
	for (int turns = 0; h->s.open > 0; turns++) {
		ASSERT(turns < 100000);
		loop_turn(10);
		fake_drain(fd, out);
	}
	fake_drain(fd, out);
	close(fd);
}

#endif
