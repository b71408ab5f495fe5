/* SPDX-License-Identifier: Apache-2.0 */
/* send_test.c - what is said to a server that offers this and that, and what its answers mean for each recipient. The
 * server answers each command with what its script says next for that word, else with what a good server says; all
 * that it was told is compared. */
#include "relay/send.h"

#include "base/clock.h"
#include "store/rows.h"
#include "task/task_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

#define UE "\xc3\xbc"
#define BODY "Subject: x\r\n\r\n.dot\r\n"
#define ALL "SIZE 1000 8BITMIME SMTPUTF8 PIPELINING CHUNKING BINARYMIME DSN"

enum { W = RECIPIENT_WAITING, D = RECIPIENT_DONE, F = RECIPIENT_FAILED };

struct scene {
	const char *what;
	const char *offers; /* words; those with a parameter as "SIZE=10" */
	uint32_t flags;
	const char *from, *to[3];
	const char *answers; /* "WORD REPLY|WORD REPLY": instead of the good ones, each once */
	const char *told;    /* after EHLO; NULL: not looked at */
	uint32_t states[3];
	const char *status; /* of the first recipient */
	bool usable;
	bool lmtp;
};

static const struct scene scenes[] = {
	{ "pipelined, with DATA",
	  "PIPELINING",
	  0,
	  "a@x",
	  { "b@y", "c@y" },
	  "",
	  "MAIL FROM:<a@x>|RCPT TO:<b@y>|RCPT TO:<c@y>|DATA|Subject: x||..dot|.",
	  { D, D },
	  "2.0.0",
	  true },
	{ "a chunk: no dots are doubled",
	  "PIPELINING CHUNKING",
	  0,
	  "a@x",
	  { "b@y" },
	  "",
	  "MAIL FROM:<a@x>|RCPT TO:<b@y>|BDAT 20 LAST|Subject: x||.dot",
	  { D },
	  "2.0.0",
	  true },
	{ "a chunk without pipelining",
	  "CHUNKING",
	  0,
	  "a@x",
	  { "b@y" },
	  "",
	  "MAIL FROM:<a@x>|RCPT TO:<b@y>|BDAT 20 LAST|Subject: x||.dot",
	  { D },
	  "2.0.0",
	  true },
	{ "nobody is taken: no chunk",
	  "PIPELINING CHUNKING",
	  0,
	  "a@x",
	  { "b@y" },
	  "RCPT 550 5.1.1 no",
	  "MAIL FROM:<a@x>|RCPT TO:<b@y>|RSET",
	  { F },
	  "5.1.1",
	  true },
	{ "a chunk that is refused for its contents",
	  "CHUNKING",
	  0,
	  "a@x",
	  { "b@y" },
	  "BDAT 554 5.7.1 spam",
	  NULL,
	  { F },
	  "5.7.1",
	  true },
	{ "CHUNKING was a lie", "CHUNKING", 0, "a@x", { "b@y" }, "BDAT 500 5.5.1 what?", NULL, { W }, "4.5.0", false },
	{ "CHUNKING was a lie (502)", "CHUNKING", 0, "a@x", { "b@y" }, "BDAT 502 what?", NULL, { W }, "4.5.0", false },
	{ "a chunk is deferred", "CHUNKING", 0, "a@x", { "b@y" }, "BDAT 451 4.3.0 later", NULL, { W }, "4.3.0", true },
	{ "it ends after the chunk", "CHUNKING", 0, "a@x", { "b@y" }, "BDAT ", NULL, { W }, "4.4.2", false },
	{ "SIZE is told",
	  "SIZE=1000",
	  0,
	  "a@x",
	  { "b@y" },
	  "",
	  "MAIL FROM:<a@x> SIZE=20|RCPT TO:<b@y>|DATA|Subject: x||..dot|.",
	  { D },
	  "2.0.0",
	  true },
	{ "SIZE without a number", "SIZE", 0, "a@x", { "b@y" }, "", NULL, { D }, "2.0.0", true },
	{ "too large: not even asked", "SIZE=19", 0, "a@x", { "b@y", "c@y" }, "", "", { F, F }, "5.3.4", true },
	{ "just not too large", "SIZE=20", 0, "a@x", { "b@y" }, "", NULL, { D }, "2.0.0", true },
	{ "SIZE announced, and refused at MAIL",
	  "SIZE=1000",
	  0,
	  "a@x",
	  { "b@y" },
	  "MAIL 552 5.3.4 too big",
	  "MAIL FROM:<a@x> SIZE=20",
	  { F },
	  "5.3.4",
	  true },
	{ "no room now",
	  "SIZE=1000 PIPELINING",
	  0,
	  "a@x",
	  { "b@y" },
	  "MAIL 452 4.3.1 full|RCPT 503 no|DATA 503 no",
	  NULL,
	  { W },
	  "4.3.1",
	  true },
	{ "8BITMIME is told",
	  "8BITMIME",
	  ENVELOPE_8BIT,
	  "a@x",
	  { "b@y" },
	  "",
	  "MAIL FROM:<a@x> BODY=8BITMIME|RCPT TO:<b@y>|DATA|Subject: x||..dot|.",
	  { D },
	  "2.0.0",
	  true },
	{ "7-bit mail says nothing",
	  "8BITMIME",
	  0,
	  "a@x",
	  { "b@y" },
	  "",
	  "MAIL FROM:<a@x>|RCPT TO:<b@y>|DATA|Subject: x||..dot|.",
	  { D },
	  "2.0.0",
	  true },
	{ "8-bit mail, and no 8BITMIME", "", ENVELOPE_8BIT, "a@x", { "b@y" }, "", "", { F }, "5.6.3", true },
	{ "8BITMIME offered, and refused",
	  "8BITMIME",
	  ENVELOPE_8BIT,
	  "a@x",
	  { "b@y" },
	  "MAIL 555 5.5.4 BODY?",
	  NULL,
	  { F },
	  "5.5.4",
	  true },
	{ "binary mail goes as a chunk",
	  "8BITMIME CHUNKING BINARYMIME",
	  ENVELOPE_BINARY,
	  "a@x",
	  { "b@y" },
	  "",
	  "MAIL FROM:<a@x> BODY=BINARYMIME|RCPT TO:<b@y>|BDAT 20 LAST|Subject: x||.dot",
	  { D },
	  "2.0.0",
	  true },
	{ "binary mail, and no BINARYMIME",
	  "8BITMIME CHUNKING",
	  ENVELOPE_BINARY,
	  "a@x",
	  { "b@y" },
	  "",
	  "",
	  { F },
	  "5.6.3",
	  true },
	{ "BINARYMIME without CHUNKING is of no use",
	  "8BITMIME BINARYMIME",
	  ENVELOPE_BINARY,
	  "a@x",
	  { "b@y" },
	  "",
	  "",
	  { F },
	  "5.6.3",
	  true },
	{ "SMTPUTF8 is told",
	  "SMTPUTF8 8BITMIME",
	  ENVELOPE_SMTPUTF8 | ENVELOPE_8BIT,
	  UE "@x",
	  { "b@y" },
	  "",
	  "MAIL FROM:<" UE "@x> BODY=8BITMIME SMTPUTF8|RCPT TO:<b@y>|DATA|Subject: x||..dot|.",
	  { D },
	  "2.0.0",
	  true },
	{ "the sender needs it", "8BITMIME", ENVELOPE_SMTPUTF8, UE "@x", { "b@y" }, "", "", { F }, "5.6.7", true },
	{ "the header needs it",
	  "8BITMIME",
	  ENVELOPE_SMTPUTF8 | ENVELOPE_UTF8_HEADER,
	  "a@x",
	  { "b@y" },
	  "",
	  "",
	  { F },
	  "5.6.7",
	  true },
	{ "one recipient needs it",
	  "",
	  ENVELOPE_SMTPUTF8,
	  "a@x",
	  { UE "@y", "b@y" },
	  "",
	  "MAIL FROM:<a@x>|RCPT TO:<b@y>|DATA|Subject: x||..dot|.",
	  { F, D },
	  "5.6.7",
	  true },
	{ "only the domain is not ASCII",
	  "",
	  ENVELOPE_SMTPUTF8,
	  "a@x",
	  { "b@" UE },
	  "",
	  "MAIL FROM:<a@x>|RCPT TO:<b@y>|DATA|Subject: x||..dot|.",
	  { D },
	  "2.0.0",
	  true },
	{ "only the domain is not ASCII, which the server can read",
	  "SMTPUTF8",
	  ENVELOPE_SMTPUTF8,
	  "a@x",
	  { "b@" UE },
	  "",
	  "MAIL FROM:<a@x> SMTPUTF8|RCPT TO:<b@" UE ">|DATA|Subject: x||..dot|.",
	  { D },
	  "2.0.0",
	  true },
	{ "all recipients need it", "", ENVELOPE_SMTPUTF8, "a@x", { UE "@y" }, "", "", { F }, "5.6.7", true },
	{ "nothing needs it",
	  "",
	  ENVELOPE_SMTPUTF8,
	  "a@x",
	  { "b@y" },
	  "",
	  "MAIL FROM:<a@x>|RCPT TO:<b@y>|DATA|Subject: x||..dot|.",
	  { D },
	  "2.0.0",
	  true },
	{ "SMTPUTF8 offered, and refused",
	  "SMTPUTF8",
	  ENVELOPE_SMTPUTF8,
	  UE "@x",
	  { "b@y" },
	  "MAIL 553 5.6.7 no",
	  NULL,
	  { F },
	  "5.6.7",
	  true },
	{ "PIPELINING: MAIL refused, the rest is read",
	  "PIPELINING",
	  0,
	  "a@x",
	  { "b@y", "c@y" },
	  "MAIL 550 5.7.1 no|RCPT 503 no|RCPT 503 no|DATA 503 no",
	  NULL,
	  { F, F },
	  "5.7.1",
	  true },
	{ "PIPELINING: one of two",
	  "PIPELINING",
	  0,
	  "a@x",
	  { "b@y", "c@y" },
	  "RCPT 450 4.2.1 later",
	  "MAIL FROM:<a@x>|RCPT TO:<b@y>|RCPT TO:<c@y>|DATA|Subject: x||..dot|.",
	  { W, D },
	  "4.2.1",
	  true },
	{ "PIPELINING: nobody, and 354 all the same",
	  "PIPELINING",
	  0,
	  "a@x",
	  { "b@y" },
	  "RCPT 550 5.1.1 no",
	  "MAIL FROM:<a@x>|RCPT TO:<b@y>|DATA|.",
	  { F },
	  "5.1.1",
	  true },
	{ "PIPELINING offered, and it ends in the middle",
	  "PIPELINING",
	  0,
	  "a@x",
	  { "b@y", "c@y" },
	  "RCPT 250 ok|RCPT ",
	  NULL,
	  { W, W },
	  "4.4.2",
	  false },
	{ "LMTP: an answer for each",
	  "PIPELINING",
	  0,
	  "a@x",
	  { "b@y", "c@y" },
	  "DOT 250 2.0.0 ok|DOT 552 5.2.2 full",
	  "MAIL FROM:<a@x>|RCPT TO:<b@y>|RCPT TO:<c@y>|DATA|Subject: x||..dot|.",
	  { D, F },
	  "2.0.0",
	  true,
	  true },
	{ "LMTP: only those that were taken answer",
	  "PIPELINING",
	  0,
	  "a@x",
	  { "b@y", "c@y", "d@y" },
	  "RCPT 250 ok|RCPT 550 5.1.1 no|DOT 451 4.2.2 full|DOT 250 2.0.0 ok",
	  NULL,
	  { W, F, D },
	  "4.2.2",
	  true,
	  true },
	{ "LMTP: it ends after the first answer",
	  "",
	  0,
	  "a@x",
	  { "b@y", "c@y" },
	  "DOT 250 2.0.0 ok|DOT ",
	  NULL,
	  { D, W },
	  "2.0.0",
	  false,
	  true },
	{ "LMTP: a chunk, an answer for each",
	  "PIPELINING CHUNKING",
	  0,
	  "a@x",
	  { "b@y", "c@y" },
	  "BDAT 250 2.0.0 ok|DOT 452 4.2.2 full",
	  NULL,
	  { D, W },
	  "2.0.0",
	  true,
	  true },
	{ "LMTP: a chunk, refused for the second: that is no unknown command",
	  "CHUNKING",
	  0,
	  "a@x",
	  { "b@y", "c@y" },
	  "BDAT 250 2.0.0 ok|DOT 503 5.5.1 no",
	  NULL,
	  { D, F },
	  "2.0.0",
	  true,
	  true },
	{ "everything at once", ALL, 0, "a@x", { "b@y" }, "", NULL, { D }, "2.0.0", true },
};

static const struct scene *scene;
static struct {
	struct stream io;
	struct buf told;
	const char *next; /* of the answers */
	unsigned accepted;
} server;

/* The next answer when it is for this word. */
static bool
await_answer(const char *word, const char *good)
{
	const char *answer = good;
	size_t n = strlen(word), len = strlen(good);
	if (strncmp(server.next, word, n) == 0 && server.next[n] == ' ') {
		answer = server.next + n + 1;
		len = strcspn(answer, "|");
		server.next = answer + len + (answer[len] == '|');
		if (len == 0)
			return false; /* it closes */
	}
	server.accepted += strcmp(word, "RCPT") == 0 && *answer == '2';
	stream_printf(&server.io, "%.*s\r\n", (int)len, answer);
	return await_flush(&server.io) == OK;
}

static void
note(struct slice line)
{
	if (server.told.len > 0)
		buf_put_char(&server.told, '|');
	buf_put(&server.told, line);
}

static bool
await_dots(void)
{
	struct slice line = SLICE_NONE;
	while (!slice_equal(line, S("."))) {
		if (await_line(&server.io, 1000, false, &line))
			return false;
		note(line);
	}
	for (unsigned i = 0; i < (scene->lmtp ? server.accepted : 1); i++)
		if (!await_answer("DOT", "250 2.0.0 ok"))
			return false;
	return true;
}

static bool
await_chunk(struct slice line)
{
	char body[100];
	uint32_t n = 0;
	struct slice number, rest;
	slice_cut(slice_from(line, 5), ' ', &number, &rest);
	assert_true(slice_to_u32(number, &n) && n < sizeof body);
	if (await_read(&server.io, body, n))
		return false;
	for (struct slice text = slice_of(body, n), one; text.len; note(one)) {
		slice_cut(text, '\n', &one, &text);
		one.len -= one.len > 0;
	}
	bool more = await_answer("BDAT", "250 2.0.0 ok");
	for (unsigned i = 1; more && scene->lmtp && i < server.accepted; i++)
		more = await_answer("DOT", "250 2.0.0 ok");
	return more;
}

static bool
await_hello(void)
{
	struct slice rest = slice_text(scene->offers), word;
	stream_put(&server.io, S("250-mx\r\n"));
	while (slice_cut(rest, ' ', &word, &rest), word.len) {
		char line[100];
		snprintf(line, sizeof line, "%.*s", SLICE_ARG(word));
		if (strchr(line, '='))
			*strchr(line, '=') = ' ';
		stream_printf(&server.io, "250-%s\r\n", line);
	}
	return await_answer("EHLO", "250 HELP");
}

static bool
await_serve(struct slice line)
{
	char word[5];
	snprintf(word, sizeof word, "%.4s", line.at);
	if (strcmp(word, "EHLO") == 0 || strcmp(word, "LHLO") == 0) {
		assert_true(strcmp(word, scene->lmtp ? "LHLO" : "EHLO") == 0);
		return await_hello();
	}
	if (strcmp(word, "QUIT") == 0)
		return await_answer(word, "221 bye"), false;
	note(line);
	if (strcmp(word, "BDAT") == 0)
		return await_chunk(line);
	if (strcmp(word, "DATA") == 0) {
		bool refused = strncmp(server.next, "DATA", 4) == 0;
		return await_answer(word, "354 go") && (refused || await_dots());
	}
	return await_answer(word, "250 2.1.0 ok");
}

static void
serve(void *unused)
{
	struct slice line;
	(void)unused;
	server.io.deadline_ms = deadline_in_ms(60000);
	bool more = await_answer("GREET", "220 mx");
	while (more && await_line(&server.io, 1000, false, &line) == OK)
		more = await_serve(line);
	stream_release(&server.io);
}

/* ---- the client */

static struct store_recipient recipients[3];
static bool usable;

static enum err
await_pair(void *arg, int *fd)
{
	int pair[2];
	(void)arg;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	stream_init(&server.io, pair[1]);
	*fd = pair[0];
	test_start(serve, NULL);
	return OK;
}

static enum err
await_body_piece(void *arg, uint64_t from, struct slice *piece)
{
	(void)arg;
	*piece = slice_part(S(BODY), from, 7);
	return OK;
}

static void
play(void *arena)
{
	struct remote *r = must_calloc(1, sizeof *r);
	struct send_settings s = {
		.ehlo = "here.test", .await_socket = await_pair, .timeout_ms = 5000, .lmtp = scene->lmtp
	};
	struct store_queue_row row = { .domain = S("y"), .bytes = strlen(BODY), .recipients = recipients };
	s.policy.words = "none";
	row.envelope.reverse_path = slice_text(scene->from);
	row.envelope.flags = scene->flags;
	while (row.nrecipients < 3 && scene->to[row.nrecipients]) {
		recipients[row.nrecipients] = (struct store_recipient){ .address = slice_text(scene->to[row.nrecipients]) };
		row.nrecipients++;
	}
	r->end_ms = deadline_in_ms(60000);
	assert_true(await_remote_open(r, &s));
	await_remote_send(r, &row, arena, await_body_piece, NULL);
	usable = r->usable;
	await_remote_quit(r);
	free(r);
}

static void
each_scene(void **state)
{
	unsigned wrong = 0;
	struct arena a;
	(void)state;
	arena_init(&a, 0);
	loop_sim_start(1700000000);
	for (size_t i = 0; i < COUNT_OF(scenes); i++) {
		scene = &scenes[i];
		server.next = scene->answers;
		server.accepted = 0;
		buf_init(&server.told, 10000);
		test_in_task(play, &a);
		bool good = usable == scene->usable && slice_equal(recipients[0].status, slice_text(scene->status));
		for (size_t k = 0; k < 3 && scene->to[k]; k++)
			good = good && recipients[k].state == scene->states[k];
		good = good && (!scene->told || slice_equal(buf_slice(&server.told), slice_text(scene->told)));
		if (!good)
			wrong++,
			    print_error("%s: usable %d, states %u %u, %.*s\n  %.*s\n", scene->what, usable, recipients[0].state,
			                recipients[1].state, SLICE_ARG(recipients[0].reply), (int)server.told.len, server.told.at);
		buf_release(&server.told);
	}
	loop_reset();
	arena_release(&a);
	assert_int_equal(wrong, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_scene) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
