/* SPDX-License-Identifier: Apache-2.0 */
/* smtp.c - the command table of SMTP, LMTP and submission, the loop around it, and the one place that writes, counts
 * and logs replies. Called by conn.c through struct protocol. The state of a connection (struct smtp) owns what it
 * malloc'ed and the transaction; what a handler needs for one command lives in s->command. */
#include "session/smtp/smtp.h"

#include "base/counter.h"
#include "session/sasl.h"
#include "store/rows.h"

#include <errno.h>
#include <sys/socket.h>

/* The rows are also what HELP prints. */
const struct smtp_command smtp_commands[] = {
	{ S_ROW("EHLO"), cmd_ehlo, FACE_SMTP | FACE_SUBMISSION, 0, "5321 4.1.1.1", "EHLO domain" },
	{ S_ROW("HELO"), cmd_helo, FACE_SMTP | FACE_SUBMISSION, 0, "5321 4.1.1.1", "HELO domain" },
	{ S_ROW("LHLO"), cmd_ehlo, FACE_LMTP, 0, "2033 4.1", "LHLO domain" },
	{ S_ROW("MAIL"), await_cmd_mail, FACE_ALL, NEEDS_HELO | NEEDS_LOGIN | NEEDS_NO_MAIL | LOGS_REFUSAL | LOGS_ARGUMENT,
	  "5321 4.1.1.2", "MAIL FROM:<address> [SIZE= BODY= SMTPUTF8 RET= ENVID=]" },
	{ S_ROW("RCPT"), await_cmd_rcpt, FACE_ALL, NEEDS_HELO | NEEDS_MAIL | LOGS_REFUSAL | LOGS_ARGUMENT, "5321 4.1.1.3",
	  "RCPT TO:<address> [NOTIFY= ORCPT=]" },
	{ S_ROW("DATA"), await_cmd_data, FACE_ALL, NEEDS_HELO | NEEDS_MAIL | LOGS_REFUSAL, "5321 4.1.1.4", "DATA" },
	{ S_ROW("BDAT"), await_cmd_bdat, FACE_ALL, LOGS_REFUSAL, "3030 2", "BDAT bytes [LAST]" },
	{ S_ROW("RSET"), cmd_rset, FACE_ALL, 0, "5321 4.1.1.5", "RSET" },
	{ S_ROW("NOOP"), cmd_noop, FACE_ALL, 0, "5321 4.1.1.9", "NOOP" },
	{ S_ROW("QUIT"), cmd_quit, FACE_ALL, 0, "5321 4.1.1.10", "QUIT" },
	{ S_ROW("VRFY"), cmd_vrfy, FACE_ALL, NEEDS_LOGIN, "5321 4.1.1.6", "VRFY address" },
	{ S_ROW("EXPN"), cmd_expn, FACE_ALL, NEEDS_LOGIN, "5321 4.1.1.7", "EXPN list" },
	{ S_ROW("HELP"), cmd_help, FACE_ALL, 0, "5321 4.1.1.8", "HELP [command]" },
	{ S_ROW("STARTTLS"), await_cmd_starttls, FACE_ALL, NEEDS_HELO, "3207 4", "STARTTLS" },
	{ S_ROW("AUTH"), await_cmd_auth, FACE_SUBMISSION, NEEDS_HELO | LOGS_REFUSAL, "4954 4",
	  "AUTH PLAIN|LOGIN [initial response]" },
};
const size_t smtp_commands_count = COUNT_OF(smtp_commands);

/* ---- replies */

struct reply
reply(uint16_t code, const char *status, const char *text)
{
	return (struct reply){ .code = code, .status = status, .text = slice_text(text) };
}

struct reply
reply_slice(uint16_t code, const char *status, struct slice text)
{
	return (struct reply){ .code = code, .status = status, .text = text };
}

struct reply
reply_close(struct reply r)
{
	r.close = true;
	return r;
}

struct reply
reply_trouble(enum err e)
{
	switch (e) {
	case ERR_DISK_FULL: return reply(452, "4.3.1", "no space left for mail here, try again later");
	case ERR_QUOTA: return reply(452, "4.2.2", "a mailbox is full, try again later");
	case ERR_LIMIT: return reply(452, "4.5.3", "too much for one message, send it in parts");
	case ERR_SUSPENDED: return reply(450, "4.2.1", "an account is suspended, try again later");
	default: return reply(451, "4.3.0", "local trouble, try again later");
	}
}

void
smtp_put_line(struct smtp *s, uint16_t code, bool more, struct slice text)
{
	char head[4] = { (char)('0' + code / 100), (char)('0' + code / 10 % 10), (char)('0' + code % 10),
		             more ? '-' : ' ' };
	stream_put(&s->c->io, slice_of(head, sizeof head));
	stream_put(&s->c->io, text);
	stream_put(&s->c->io, S("\r\n"));
}

void
smtp_put_reply(struct smtp *s, struct reply r)
{
	char line[1024]; /* longer texts are cut: RFC 5321 4.5.3.1.5 allows 512 */
	size_t n = 0;
	if (r.status && *r.status) {
		n = strlen(r.status);
		memcpy(line, r.status, n);
		line[n++] = ' ';
	}
	size_t len = MIN(r.text.len, sizeof line - n);
	if (len)
		memcpy(line + n, r.text.at, len);
	smtp_put_line(s, r.code, false, slice_of(line, n + len));
}

static void
log_refusal(const struct smtp *s, const struct smtp_command *row, struct reply r, struct slice argument)
{
	struct log l;
	log_begin(&l, row && row->needs & LOGS_REFUSAL ? LOG_INFO : LOG_DEBUG, "smtp.refused");
	log_text(&l, "session", s->c->id);
	log_text(&l, "peer", s->c->peer);
	log_slice(&l, "command", row ? row->word : S("?"));
	if (row && row->needs & LOGS_ARGUMENT)
		log_slice(&l, "argument", argument);
	log_u64(&l, "code", r.code);
	log_text(&l, "status", r.status);
	log_slice(&l, "text", r.text);
	log_end(&l);
}

/* Counts what a client does wrong; trusted ones are neither slowed nor cut off. */
static bool
await_too_many_errors(struct smtp *s)
{
	s->errors++;
	if (s->c->trusted)
		return false;
	uint64_t max = s->c->conf->v.smtp_errors_max;
	if (s->errors > max / 2 && s->errors < max)
		await_sleep(SMTP_SLOW_MS);
	return s->errors >= max;
}

static enum next
await_finish(struct smtp *s, const struct smtp_command *row, struct reply r, struct slice argument)
{
	if (r.code == 0)
		return r.close || s->c->io.error ? NEXT_CLOSE : NEXT_COMMAND;
	if (r.code >= 400)
		log_refusal(s, row, r, argument);
	if (r.code >= 500 && await_too_many_errors(s)) {
		smtp_put_reply(s, r);
		smtp_put_reply(s, reply(421, "4.7.0", "too many errors, goodbye"));
		s->c->reason = "too many errors";
		return NEXT_CLOSE;
	}
	smtp_put_reply(s, r);
	return r.close ? NEXT_CLOSE : NEXT_COMMAND;
}

/* ---- one command */

static const struct smtp_command *
find_command(struct slice word)
{
	for (size_t i = 0; i < smtp_commands_count; i++)
		if (slice_equal_nocase(smtp_commands[i].word, word))
			return &smtp_commands[i];
	return NULL;
}

static struct reply
check_row(const struct smtp *s, const struct smtp_command *row)
{
	bool helo = row->await_run == cmd_ehlo || row->await_run == cmd_helo;
	if (!(row->faces & s->face) && helo) /* RFC 2033 4.1 */
		return s->face == FACE_LMTP ? reply(500, "5.5.1", "this is LMTP: say LHLO")
		                            : reply(500, "5.5.1", "this is SMTP: say EHLO");
	if (!(row->faces & s->face))
		return reply(502, "5.5.1", "not offered here; mail programs use the submission port");
	if (row->needs & NEEDS_HELO && !s->helo)
		return s->face == FACE_LMTP ? reply(503, "5.5.1", "say LHLO first") : reply(503, "5.5.1", "say EHLO first");
	if (row->needs & NEEDS_LOGIN && s->face == FACE_SUBMISSION && !s->account)
		return s->c->secure ? reply(530, "5.7.0", "authentication required")
		                    : reply(530, "5.7.0", "say STARTTLS and log in first"); /* RFC 4954 6, RFC 3207 4 */
	if (row->needs & NEEDS_MAIL && !s->tx.open)
		return reply(503, "5.5.1", "say MAIL first");
	if (row->needs & NEEDS_NO_MAIL && s->tx.open)
		return reply(503, "5.5.1", "a message is under way: finish it, or say RSET");
	return REPLY_NONE;
}

/* A browser that was sent here by a page (cross-protocol requests): nothing of what follows is for us. */
static bool
is_http(struct slice line)
{
	return slice_starts_nocase(line, S("GET ")) || slice_starts_nocase(line, S("POST ")) ||
	       slice_starts_nocase(line, S("PUT ")) || slice_starts_nocase(line, S("CONNECT ")) ||
	       slice_starts_nocase(line, S("OPTIONS "));
}

static enum next
await_run_line(struct smtp *s, struct slice line)
{
	struct cursor args = cursor_of(line);
	struct slice word = S(""), rest = S("");
	slice_cut(line, ' ', &word, &rest);
	args.at += word.len;
	const struct smtp_command *row = find_command(word);
	if (!row && is_http(line))
		return await_finish(s, NULL, reply_close(reply(554, "5.5.1", "this is no web server")), line);
	if (!row)
		return await_finish(s, NULL, reply(500, "5.5.1", "no such command; HELP lists them"), line);
	struct reply r = check_row(s, row);
	if (r.code == 0)
		r = row->await_run(s, &args);
	return await_finish(s, row, r, rest);
}

/* RFC 4954 4: AUTH with an initial response may be 12,288 bytes long; bearer tokens are. */
static uint64_t
line_bytes_max(const struct smtp *s)
{
	uint64_t max = s->c->conf->v.smtp_line_bytes_max;
	bool may_log_in = s->face == FACE_SUBMISSION && s->c->secure && !s->account;
	return may_log_in ? MAX(max, (uint64_t)SASL_LINE_BYTES_MAX) : max;
}

static enum next
await_bad_line(struct smtp *s, enum err e)
{
	if (conn_line_is_endless(s->c)) /* RFC 5321 4.5.3.1: a command line has a limit */
		return await_finish(s, NULL, reply_close(reply(500, "5.5.2", "this line does not end")), S(""));
	if (e == ERR_LINE_TOO_LONG) {
		struct slice text =
		    arena_printf(s->command, "line too long: at most %llu bytes", (unsigned long long)line_bytes_max(s));
		return await_finish(s, NULL, reply_slice(500, "5.5.2", text), S(""));
	}
	if (e == ERR_BARE_EOL) /* RFC 5321 2.3.8 */
		return await_finish(s, NULL, reply(500, "5.5.2", "lines end with CR LF, and hold neither alone"), S(""));
	if (e == ERR_NUL)
		return await_finish(s, NULL, reply(500, "5.5.2", "NUL in a command"), S(""));
	return NEXT_CLOSE;
}

static enum next
await_smtp_command(struct conn *c)
{
	struct smtp *s = c->state;
	struct arena command;
	arena_init(&command, 0);
	s->command = &command;
	struct slice line;
	enum err e = await_line(&c->io, line_bytes_max(s), false, &line);
	enum next next = e == OK ? await_run_line(s, line) : await_bad_line(s, e);
	arena_release(&command);
	s->command = NULL;
	return next;
}

/* ---- the transaction */

void
tx_begin(struct smtp *s)
{
	ASSERT(!s->tx.open);
	tx_reset(s);
	arena_init(&s->tx.arena, 0);
	s->tx.open = true;
	s->tx.began_ms = clock_mono_ms();
}

void
tx_reset(struct smtp *s)
{
	if (s->tx.in.begun) {
		body_release(&s->tx.in.body);
		buf_release(&s->tx.in.head);
	}
	arena_release(&s->tx.arena);
	s->tx = (struct transaction){ 0 };
}

struct slice
tx_message_id(struct smtp *s)
{
	return arena_printf(s->command, "%s.%llu", s->c->id, (unsigned long long)s->messages + 1);
}

/* ---- the beginning and the end */

static bool
await_early_talker(struct conn *c)
{
	int64_t delay = c->conf->v.smtp_greeting_delay;
	if (c->io.tls)
		return stream_has_input(&c->io);
	if (delay > 0 && !c->trusted) {
		c->io.deadline_ms = deadline_in_ms(delay);
		c->io.await_ready(&c->io, LOOP_READ);
		c->io.deadline_ms = deadline_in_ms(c->idle_ms);
	}
	char byte;
	return recv(c->io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static enum next
await_greet(struct conn *c, enum smtp_face face)
{
	struct smtp *s = c->state;
	s->c = c;
	s->face = face;
	if (face != FACE_SUBMISSION) /* who submits has login.timeout until it is known who it is */
		c->idle_ms = c->conf->v.smtp_timeout;
	if (await_early_talker(c)) { /* RFC 5321 4.3.1: the client waits for the greeting */
		smtp_put_reply(s, reply(554, "5.5.1", "you spoke before the greeting, goodbye"));
		c->reason = "spoke before the greeting";
		return NEXT_CLOSE;
	}
	stream_put(&c->io, S("220 "));
	stream_put(&c->io, slice_text(c->conf->v.hostname));
	stream_put(&c->io, face == FACE_LMTP ? S(" LMTP Posthouse\r\n") : S(" ESMTP Posthouse\r\n"));
	return NEXT_COMMAND;
}

static enum next
await_start_smtp(struct conn *c)
{
	return await_greet(c, FACE_SMTP);
}

static enum next
await_start_lmtp(struct conn *c)
{
	return await_greet(c, FACE_LMTP);
}

static enum next
await_start_submission(struct conn *c)
{
	return await_greet(c, FACE_SUBMISSION);
}

/* RFC 5321 3.8, 4.5.3.2: 421 is the one reply that may come unasked. */
static void
await_smtp_goodbye(struct conn *c, bool stopping)
{
	struct smtp *s = c->state;
	if (c->revoked)
		smtp_put_reply(s, reply(421, "4.7.0", "your account was changed, log in again"));
	else
		smtp_put_reply(s, stopping ? reply(421, "4.3.2", "the server is going down, come back soon")
		                           : reply(421, "4.4.2", "nothing came for too long, goodbye"));
}

static void
smtp_release(struct conn *c)
{
	struct smtp *s = c->state;
	if (!s->c) /* it never began: the TLS handshake failed */
		return;
	tx_reset(s);
	account_release(s);
	free(s->helo);
}

const struct protocol smtp_protocol = { .name = "smtp",
	                                    .state_bytes = sizeof(struct smtp),
	                                    .await_start = await_start_smtp,
	                                    .await_command = await_smtp_command,
	                                    .await_goodbye = await_smtp_goodbye,
	                                    .release = smtp_release };
const struct protocol lmtp_protocol = { .name = "lmtp",
	                                    .state_bytes = sizeof(struct smtp),
	                                    .await_start = await_start_lmtp,
	                                    .await_command = await_smtp_command,
	                                    .await_goodbye = await_smtp_goodbye,
	                                    .release = smtp_release };
const struct protocol submission_protocol = { .name = "submission",
	                                          .state_bytes = sizeof(struct smtp),
	                                          .await_start = await_start_submission,
	                                          .await_command = await_smtp_command,
	                                          .await_goodbye = await_smtp_goodbye,
	                                          .release = smtp_release };
