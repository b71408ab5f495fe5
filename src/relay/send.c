/* SPDX-License-Identifier: Apache-2.0 */
/* send.c - see send.h. Reads like RFC 5321 4.1.4: greeting, EHLO, STARTTLS, EHLO, then for each message MAIL, RCPT,
 * DATA. */
#include "relay/send.h"

#include "base/clock.h"
#include "mail/smtp_path.h"
#include "mail/stuff.h"
#include "relay/copy.h"
#include "relay/login.h"
#include "store/rows.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static void
fill_deadline(struct remote *r, int64_t factor)
{
	r->io.deadline_ms = MIN(deadline_in_ms(r->timeout_ms * factor), r->end_ms);
}

/* What went wrong without the remote server having said so, as a reply that may be tried again. */
static void
local_trouble(struct remote *r, const char *doing)
{
	enum err e = r->io.error ? r->io.error : ERR_SYNTAX;
	char text[200];
	snprintf(text, sizeof text, "%s: %s", doing,
	         e == ERR_SYNTAX ? "the remote server's answer is not SMTP" : err_text(e));
	reply_set(&r->reply, 451, e == ERR_TIMEOUT ? "4.4.1" : e == ERR_SYNTAX ? "4.5.0" : "4.4.2", text);
	r->usable = false;
}

/* Reads one whole reply into r->reply; false (and unusable) when none came. */
static bool
await_reply(struct remote *r, const char *doing)
{
	struct slice line;
	reply_begin(&r->reply);
	while (!r->reply.done) {
		enum err e = await_line(&r->io, REPLY_LINE_BYTES_MAX, true, &line);
		if (e || !reply_add(&r->reply, line)) {
			local_trouble(r, doing);
			return false;
		}
	}
	if (r->reply.code == 421) /* RFC 5321 3.8: it will close */
		r->usable = false;
	return true;
}

bool
await_remote_command(struct remote *r, const char *doing)
{
	if (await_flush(&r->io)) {
		local_trouble(r, doing);
		return false;
	}
	return await_reply(r, doing);
}

static unsigned
auth_offered(struct slice words)
{
	static const struct {
		struct slice word;
		unsigned bit;
	} known[] = { { S_ROW("PLAIN"), REMOTE_AUTH_PLAIN },
		          { S_ROW("LOGIN"), REMOTE_AUTH_LOGIN },
		          { S_ROW("SCRAM-SHA-256"), REMOTE_AUTH_SCRAM } };
	struct slice one;
	unsigned bits = 0;
	while (words.len) {
		slice_cut(words, ' ', &one, &words);
		for (size_t i = 0; i < COUNT_OF(known); i++)
			bits |= slice_equal_nocase(one, known[i].word) ? known[i].bit : 0;
	}
	return bits;
}

/* One line of the EHLO reply (RFC 5321 4.1.1.1: keyword and parameters). */
static void
take_keyword(struct remote *r, struct slice line)
{
	struct slice word, rest;
	slice_cut(slice_from(line, 4), ' ', &word, &rest);
	const struct {
		struct slice word;
		bool *flag;
	} known[] = {
		{ S("SIZE"), &r->size },
		{ S("8BITMIME"), &r->eightbit },
		{ S("SMTPUTF8"), &r->smtputf8 },
		{ S("PIPELINING"), &r->pipelining },
		{ S("CHUNKING"), &r->chunking },
		{ S("BINARYMIME"), &r->binary },
		{ S("DSN"), &r->dsn },
		{ S("STARTTLS"), &r->starttls },
		{ S("REQUIRETLS"), &r->requiretls },
		{ S("DELIVERBY"), &r->deliverby },
		{ S("MT-PRIORITY"), &r->priority },
	};
	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (slice_equal_nocase(word, known[i].word))
			*known[i].flag = true;
	if (slice_equal_nocase(word, S("SIZE")))
		(void)slice_to_u64(rest, &r->size_max);
	if (slice_equal_nocase(word, S("AUTH")))
		r->auth |= auth_offered(rest);
	if (slice_equal_nocase(word, S("DELIVERBY"))) { /* RFC 2852 2: [min-by-time] *( "," extension ) */
		slice_cut(rest, ',', &word, &rest);
		(void)slice_to_u64(word, &r->by_min);
	}
}

static bool
await_ehlo(struct remote *r, const char *name)
{
	r->size = r->eightbit = r->smtputf8 = r->pipelining = r->chunking = r->binary = r->dsn = r->starttls =
	    r->requiretls = false;
	r->auth = 0;
	r->deliverby = r->priority = false;
	r->size_max = r->by_min = 0;
	stream_printf(&r->io, "%s %s\r\n", r->lmtp ? "LHLO" : "EHLO", name);
	if (await_flush(&r->io)) {
		local_trouble(r, "sending EHLO");
		return false;
	}
	struct slice line;
	reply_begin(&r->reply);
	for (size_t n = 0; !r->reply.done; n++) {
		if (await_line(&r->io, REPLY_LINE_BYTES_MAX, true, &line) || !reply_add(&r->reply, line)) {
			local_trouble(r, "waiting for the answer to EHLO");
			return false;
		}
		if (n > 0 && line.len > 4)
			take_keyword(r, line);
	}
	r->chunking = r->chunking && !r->chunk_refused;
	r->eightbit = r->eightbit || r->smtputf8; /* RFC 6531 3.1: it has to offer both */
	if (r->reply.code >= 500 && !r->lmtp) {   /* RFC 5321 3.2: an old server knows HELO only */
		stream_printf(&r->io, "HELO %s\r\n", name);
		return await_remote_command(r, "waiting for the answer to HELO") && reply_good(&r->reply);
	}
	return reply_good(&r->reply);
}

/* What is wrong with the certificate, for people. */
static const char *
verdict_text(enum tls_verdict v)
{
	switch (v) {
	case TLS_EXPIRED: return "the certificate has expired, or is not valid yet";
	case TLS_WRONG_NAME: return "the certificate is for another name";
	case TLS_UNTRUSTED: return "nobody who is trusted signed the certificate";
	case TLS_NOT_IN_TLSA: return "the certificate is not the one that the TLSA records name";
	default: return "the TLS handshake failed";
	}
}

static bool
await_handshake(struct remote *r, const struct send_settings *s)
{
	bool dane = s->check.ntlsa > 0, names = !dane && s->check.nnames > 0 && (s->trusting || !s->check.soft);
	const struct tls_check *check = dane || names ? &s->check : NULL;
	if (names && !s->trusting) {
		reply_set(&r->reply, 451, "4.7.5", "no trusted certificates are configured (relay.ca-file)");
		return false;
	}
	enum err e = await_tls_connect_checked(&r->io, names ? s->trusting : s->tls, s->server_name, check);
	r->verdict = tls_verdict(&r->io);
	r->secure = e == OK;
	if (e) {
		char text[200];
		snprintf(text, sizeof text, "%s (policy: %s)", verdict_text(r->verdict), s->policy.words);
		reply_set(&r->reply, 451, "4.7.5", text);
	}
	return e == OK;
}

/* RFC 3207. False: the connection cannot go on (r->usable tells nothing yet). */
static bool
await_secure(struct remote *r, const struct send_settings *s)
{
	stream_put(&r->io, S("STARTTLS\r\n"));
	if (!await_remote_command(r, "waiting for the answer to STARTTLS"))
		return false;
	if (r->reply.code != 220) { /* offered and refused: like a broken handshake */
		r->verdict = TLS_BROKEN;
		reply_set(&r->reply, 451, "4.7.5", "the remote server offers STARTTLS and refuses it");
		return false;
	}
	return await_handshake(r, s) && await_ehlo(r, s->ehlo);
}

static bool
await_connected(struct remote *r, const struct send_settings *s)
{
	int fd = -1;
	enum err e = s->await_socket(s->socket_arg, &fd);
	if (e) {
		char text[200];
		snprintf(text, sizeof text, "cannot connect to %s: %s", r->address, err_text(e));
		reply_set(&r->reply, 451, "4.4.1", text);
		return false;
	}
	stream_init(&r->io, fd);
	fill_deadline(r, 1);
	return true;
}

static void
note_local(struct remote *r)
{
	struct sockaddr_storage own;
	socklen_t len = sizeof own;
	r->local[0] = '\0';
	if (getsockname(r->io.fd, (struct sockaddr *)&own, &len) != 0)
		return;
	const void *at = own.ss_family == AF_INET6 ? (const void *)&((struct sockaddr_in6 *)&own)->sin6_addr
	                                           : (const void *)&((struct sockaddr_in *)&own)->sin_addr;
	if (own.ss_family == AF_INET || own.ss_family == AF_INET6)
		(void)inet_ntop(own.ss_family, at, r->local, sizeof r->local);
}

static bool
await_greeted(struct remote *r, enum tls_level level, const struct send_settings *s)
{
	note_local(r);
	if (s->implicit_tls && !await_handshake(r, s))
		return false;
	if (!await_reply(r, "waiting for the greeting") || !reply_good(&r->reply) || !await_ehlo(r, s->ehlo))
		return false;
	if (s->implicit_tls || level == TLS_LEVEL_NONE)
		return true;
	r->no_starttls = !r->starttls;
	if (r->starttls)
		return await_secure(r, s);
	if (level == TLS_LEVEL_TRY)
		return true;
	char text[200];
	snprintf(text, sizeof text, "the remote server offers no TLS, which the policy demands: %s", s->policy.words);
	reply_set(&r->reply, 451, "4.7.4", text);
	return false;
}

static bool
await_opened(struct remote *r, enum tls_level level, const struct send_settings *s)
{
	r->secure = false;
	if (!await_connected(r, s))
		return false;
	r->usable = await_greeted(r, level, s) && (s->user.len == 0 || await_remote_login(r, s));
	if (!r->usable)
		stream_release(&r->io);
	return r->usable;
}

static bool
await_open(struct remote *r, const struct send_settings *s)
{
	r->lmtp = s->lmtp;
	r->timeout_ms = s->timeout_ms;
	r->messages = 0;
	r->policy = s->policy;
	r->verdict = TLS_UNCHECKED;
	r->no_starttls = r->in_plain = r->starttls = false;
	if (await_opened(r, s->policy.level, s))
		return true;
	/* RFC 7435: opportunistic; when TLS itself fails, mail goes in plain rather than not at all. */
	bool tls_failed = r->starttls && s->policy.level == TLS_LEVEL_TRY && !s->implicit_tls && !r->secure &&
	                  !reply_permanent(&r->reply) && strcmp(r->reply.status, "4.7.5") == 0;
	return tls_failed && (r->in_plain = await_opened(r, TLS_LEVEL_NONE, s));
}

bool
await_remote_open(struct remote *r, const struct send_settings *s)
{
	bool open = await_open(r, s);
	if (s->report)
		s->report(s->report_arg, r, open);
	return open;
}

void
await_remote_quit(struct remote *r)
{
	if (r->usable) {
		fill_deadline(r, 1);
		r->io.deadline_ms = MIN(r->io.deadline_ms, deadline_in_ms(5000));
		stream_put(&r->io, S("QUIT\r\n"));
		(void)await_remote_command(r, "waiting for the answer to QUIT");
	}
	stream_release(&r->io);
	r->usable = false;
}

/* ---- one message */

struct sending {
	struct remote *r;
	const struct store_queue_row *row;
	struct arena *arena;
	uint32_t *asked; /* indexes of recipients named in this transaction */
	uint32_t nasked, naccepted;
	bool *accepted;
	struct copy copy; /* what the message is sent with */
};

static void
settle_one(struct sending *s, uint32_t i)
{
	struct store_recipient *to = &s->row->recipients[i];
	const struct remote_reply *reply = &s->r->reply;
	to->state = reply_good(reply) ? RECIPIENT_DONE : reply_permanent(reply) ? RECIPIENT_FAILED : RECIPIENT_WAITING;
	const char *status = reply->status[0]         ? reply->status
	                     : reply_good(reply)      ? "2.0.0"
	                     : reply_permanent(reply) ? "5.0.0"
	                                              : "4.0.0";
	to->status = slice_keep(s->arena, slice_text(status));
	to->reply =
	    arena_printf(s->arena, "%u %s%s%s", reply->code, reply->status, reply->status[0] ? " " : "", reply->text);
	to->mta = slice_keep(s->arena, slice_text(s->r->host));
}

/* The present reply goes for all that have no answer of their own yet. */
static void
settle_rest(struct sending *s)
{
	for (uint32_t i = 0; i < s->nasked; i++)
		if (s->accepted[i])
			settle_one(s, s->asked[i]);
}

/* Addresses are kept without quotes; a local-part that needs them gets them back (RFC 5321 4.1.2). */
static void
put_path(struct stream *io, const char *before, struct slice address)
{
	struct buf text;
	ptrdiff_t at = slice_find_last_char(address, '@');
	buf_init(&text, 4096);
	buf_put(&text, slice_text(before));
	if (at >= 0)
		path_put_parts(&text, slice_part(address, 0, (size_t)at), slice_from(address, (size_t)at + 1));
	buf_put_char(&text, '>');
	stream_put(io, buf_slice(&text));
	buf_release(&text);
}

static uint64_t
message_bytes(const struct sending *s)
{
	return s->copy.head.len + s->row->bytes - s->row->envelope.skip;
}

/* The null reverse-path: nobody is told of what comes of it. */
bool
await_remote_probe_begin(struct remote *r)
{
	fill_deadline(r, 1);
	stream_put(&r->io, S("MAIL FROM:<>\r\n"));
	return await_remote_command(r, "waiting for the answer to MAIL") && reply_good(&r->reply);
}

bool
await_remote_probe(struct remote *r, struct slice address)
{
	if (!slice_is_ascii(address) && !r->smtputf8) {
		reply_set(&r->reply, 450, "4.6.7", "the address needs SMTPUTF8");
		return true;
	}
	fill_deadline(r, 1);
	put_path(&r->io, "RCPT TO:<", address);
	stream_put(&r->io, S("\r\n"));
	return await_remote_command(r, "waiting for the answer to RCPT");
}

/* RFC 2852 4: the time that is left, and RFC 6710 4.2. */
static void
put_wishes(struct sending *s)
{
	const struct store_envelope *e = &s->row->envelope;
	if (e->by_mode && s->r->deliverby)
		stream_printf(&s->r->io, " BY=%lld;%c%s", (long long)(e->by_time - clock_wall_sec()),
		              e->by_mode & BY_RETURN ? 'R' : 'N', e->by_mode & BY_TRACE ? "T" : "");
	if (e->priority && s->r->priority)
		stream_printf(&s->r->io, " MT-PRIORITY=%lld", (long long)e->priority);
}

/* RFC 5321 4.1.1.2, RFC 1870 (SIZE), RFC 6152 (BODY), RFC 6531 (SMTPUTF8), RFC 3461 4.3 and 4.4 (RET, ENVID). */
static void
put_mail(struct sending *s)
{
	const struct store_envelope *e = &s->row->envelope;
	struct remote *r = s->r;
	put_path(&r->io, "MAIL FROM:<", s->copy.reverse_path);
	if (r->size)
		stream_printf(&r->io, " SIZE=%llu", (unsigned long long)message_bytes(s));
	if (e->flags & ENVELOPE_BINARY)
		stream_put(&r->io, S(" BODY=BINARYMIME"));
	else if ((e->flags & ENVELOPE_8BIT) && r->eightbit)
		stream_put(&r->io, S(" BODY=8BITMIME"));
	if ((e->flags & ENVELOPE_SMTPUTF8) && r->smtputf8)
		stream_put(&r->io, S(" SMTPUTF8"));
	if ((e->flags & ENVELOPE_REQUIRETLS) && r->requiretls && r->secure)
		stream_put(&r->io, S(" REQUIRETLS"));
	if (r->dsn && e->ret)
		stream_printf(&r->io, " RET=%s", e->ret == RET_FULL ? "FULL" : "HDRS");
	if (r->dsn && e->envid.len)
		stream_printf(&r->io, " ENVID=%.*s", SLICE_ARG(e->envid));
	put_wishes(s);
	stream_put(&r->io, S("\r\n"));
}

/* RFC 2852 4.1.4.2: a server that knows no deadlines is asked to tell of delays. */
static uint32_t
notify_for(const struct sending *s, uint32_t notify)
{
	if (!(s->row->envelope.by_mode & BY_NOTIFY) || s->r->deliverby || (notify & NOTIFY_NEVER))
		return notify;
	return notify ? notify | NOTIFY_DELAY : NOTIFY_FAILURE | NOTIFY_DELAY;
}

/* RFC 6531 3.2: where the local-part is ASCII, the domain in A-labels is the same address; the row has it so. Any
 * other is left as it is. */
static struct slice
ascii_address(const struct sending *s, struct slice address)
{
	struct slice domain = s->row->domain;
	ptrdiff_t at = slice_find_last_char(address, '@');
	if (s->r->smtputf8 || slice_is_ascii(address) || at < 0 || domain.len == 0 || !slice_is_ascii(domain))
		return address;
	struct slice local = slice_part(address, 0, (size_t)at);
	return arena_printf(s->arena, "%.*s@%.*s", SLICE_ARG(local), SLICE_ARG(domain));
}

/* RFC 5321 4.1.1.3, RFC 3461 4.1 and 4.2. */
static void
put_rcpt(struct sending *s, const struct store_recipient *to)
{
	struct remote *r = s->r;
	put_path(&r->io, "RCPT TO:<", ascii_address(s, to->address));
	uint32_t notify = notify_for(s, to->notify);
	if (r->dsn && notify) {
		static const struct {
			uint32_t bit;
			const char *word;
		} words[] = { { NOTIFY_NEVER, "NEVER" },
			          { NOTIFY_SUCCESS, "SUCCESS" },
			          { NOTIFY_FAILURE, "FAILURE" },
			          { NOTIFY_DELAY, "DELAY" } };
		const char *before = " NOTIFY=";
		for (size_t i = 0; i < COUNT_OF(words); i++)
			if (notify & words[i].bit) {
				stream_printf(&r->io, "%s%s", before, words[i].word);
				before = ",";
			}
	}
	if (r->dsn && to->orcpt.len && (r->smtputf8 || slice_is_ascii(to->orcpt))) /* RFC 6533 3 */
		stream_printf(&r->io, " ORCPT=%.*s", SLICE_ARG(to->orcpt));
	stream_put(&r->io, S("\r\n"));
}

enum remote_takes
remote_takes(const struct remote *r, const struct store_queue_row *row)
{
	uint32_t flags = row->envelope.flags;
	bool binary = (flags & ENVELOPE_BINARY) && !(r->binary && r->chunking);
	if ((flags & (ENVELOPE_8BIT | ENVELOPE_BINARY)) && !r->eightbit && !(r->binary && !binary))
		return REMOTE_TAKES_7BIT;
	return binary ? REMOTE_TAKES_8BIT : REMOTE_TAKES_IT;
}

/* RFC 6531 3.6: the message goes as any other where neither its addresses nor its header need the extension. */
static bool
needs_utf8(const struct store_envelope *e)
{
	return (e->flags & ENVELOPE_UTF8_HEADER) || !slice_is_ascii(e->reverse_path);
}

/* What the remote server cannot take is known before it is asked. */
static bool
fits(struct sending *s)
{
	const struct store_envelope *e = &s->row->envelope;
	struct remote *r = s->r;
	if (r->size_max && message_bytes(s) > r->size_max)
		reply_set(&r->reply, 552, "5.3.4", "the message is larger than the remote server takes (RFC 1870 6.1)");
	else if (!r->smtputf8 && needs_utf8(e))
		reply_set(&r->reply, 550, "5.6.7",
		          "the sender's address or the header needs SMTPUTF8, which the remote server does not offer (RFC 6531 "
		          "3.5)");
	else if (remote_takes(r, s->row) != REMOTE_TAKES_IT)
		reply_set(&r->reply, 554, "5.6.3",
		          "the message is 8-bit or binary, which the remote server does not take, and nothing is converted "
		          "(relay.convert)");
	else if ((e->by_mode & BY_RETURN) && !r->deliverby) /* RFC 2852 4.1.4.1 */
		reply_set(
		    &r->reply, 554, "5.3.3",
		    "the message is to be delivered in time or returned, which the remote server does not offer (RFC 2852)");
	else if ((e->by_mode & BY_RETURN) && e->by_time - clock_wall_sec() < (int64_t)MIN(r->by_min, (uint64_t)INT32_MAX))
		reply_set(&r->reply, 554, "5.4.7", "the remote server cannot deliver in the time that is left (RFC 2852)");
	else
		return true;
	return false;
}

/* The message in pieces, dots stuffed, the end marked. */
static enum err
await_put_data(struct sending *s, await_piece_fn *await_piece, void *arg)
{
	struct stuffer st;
	struct slice piece, out;
	struct stream *io = &s->r->io;
	stuffer_init(&st, STUFF_MEND);
	stream_put(io, s->copy.head); /* ours: no line begins with a dot */
	for (uint64_t from = s->row->envelope.skip;;) {
		enum err e = await_piece(arg, from, &piece);
		if (e || piece.len == 0)
			return e ? e : await_put(io, stuffer_end(&st));
		from += piece.len;
		fill_deadline(s->r, 1); /* RFC 5321 4.5.3.2.5: for each block */
		while (stuffer_next(&st, &piece, &out))
			if ((e = await_put(io, out)) != OK)
				return e;
	}
}

/* Without looking for dots, and without the wait for 354. */
static bool
sends_chunk(const struct sending *s)
{
	return s->r->chunking || (s->row->envelope.flags & ENVELOPE_BINARY);
}

/* RFC 3030 2: one chunk, the last. */
static enum err
await_put_chunk(struct sending *s, await_piece_fn *await_piece, void *arg)
{
	struct slice piece;
	struct stream *io = &s->r->io;
	uint64_t end = s->row->bytes;
	stream_printf(io, "BDAT %llu LAST\r\n", (unsigned long long)message_bytes(s));
	stream_put(io, s->copy.head);
	for (uint64_t from = s->row->envelope.skip;; from += piece.len) {
		enum err e = await_piece(arg, from, &piece);
		if (e == OK && (piece.len > end - from || (piece.len == 0 && from < end)))
			e = ERR_DAMAGED; /* another number was announced: the rest would be taken for commands */
		if (e || piece.len == 0)
			return e;
		fill_deadline(s->r, 1);
		if ((e = await_put(io, piece)) != OK)
			return e;
	}
}

static bool
is_unknown_command(const struct remote_reply *r)
{
	return r->code == 500 || r->code == 502 || r->code == 503 || r->code == 504;
}

/* It offers CHUNKING and does not know BDAT. What it took the message for nobody knows: the next connection sends it
 * with DATA. */
static void
refuse_chunk(struct sending *s)
{
	struct remote *r = s->r;
	char text[REPLY_TEXT_BYTES + 1];
	snprintf(text, sizeof text, "the remote server offers CHUNKING and refuses BDAT: %u %.500s", r->reply.code,
	         r->reply.text);
	reply_set(&r->reply, 451, "4.5.0", text);
	r->chunk_refused = true;
	r->usable = false;
	settle_rest(s);
}

/* The replies after the end of the message: one, or with LMTP one for each accepted recipient (RFC 2033 4.2). */
static void
await_final(struct sending *s, bool chunk)
{
	struct remote *r = s->r;
	fill_deadline(r, 2); /* RFC 5321 4.5.3.2.6: ten minutes where others have five */
	r->data_sent = true;
	if (await_flush(&r->io)) {
		local_trouble(r, "sending the message");
		settle_rest(s);
		return;
	}
	for (uint32_t i = 0; i < s->nasked; i++) {
		if (!s->accepted[i])
			continue;
		if (!await_reply(r, "waiting for the answer to the message")) {
			settle_rest(s);
			return;
		}
		if (chunk && is_unknown_command(&r->reply)) {
			refuse_chunk(s);
			return;
		}
		chunk = false; /* with LMTP others follow, about recipients */
		if (!r->lmtp) {
			settle_rest(s);
			break;
		}
		settle_one(s, s->asked[i]);
		s->accepted[i] = false;
	}
	r->messages++;
}

static void
await_body(struct sending *s, await_piece_fn *await_piece, void *arg)
{
	bool chunk = sends_chunk(s);
	enum err e = chunk ? await_put_chunk(s, await_piece, arg) : await_put_data(s, await_piece, arg);
	if (e) { /* half a message is out: only closing the connection keeps it from being taken for a whole one */
		local_trouble(s->r, s->r->io.error ? "sending the message" : "reading the message from the queue");
		settle_rest(s);
		return;
	}
	await_final(s, chunk);
}

static bool
await_rcpt_replies(struct sending *s)
{
	for (uint32_t i = 0; i < s->nasked; i++) {
		if (!await_reply(s->r, "waiting for the answer to RCPT")) {
			settle_rest(s);
			return false;
		}
		s->accepted[i] = reply_good(&s->r->reply);
		s->naccepted += s->accepted[i];
		if (!s->accepted[i])
			settle_one(s, s->asked[i]);
	}
	return true;
}

/* MAIL refused: that is the answer for all. The replies to what was pipelined behind it are read and dropped. */
static void
await_refused(struct sending *s, unsigned pipelined)
{
	struct remote_reply why = s->r->reply;
	for (; pipelined > 0 && await_reply(s->r, "waiting for the answer to RCPT"); pipelined--)
		if (pipelined == 1 && s->r->reply.code == 354) /* RFC 2920 3.1: answer with a lone dot */
			stream_put(&s->r->io, S(".\r\n")), (void)await_remote_command(s->r, "ending an empty message");
	s->r->reply = why;
	settle_rest(s);
}

/* Ends a transaction in which nobody was accepted. */
static void
await_nobody(struct sending *s, bool data_sent)
{
	struct remote *r = s->r;
	if (data_sent) {
		if (!await_reply(r, "waiting for the answer to DATA"))
			return;
		if (r->reply.code == 354) {
			stream_put(&r->io, S(".\r\n"));
			(void)await_remote_command(r, "ending an empty message");
			return;
		}
	}
	stream_put(&r->io, S("RSET\r\n"));
	if (await_remote_command(r, "waiting for the answer to RSET") && !reply_good(&r->reply))
		r->usable = false;
}

/* RFC 5321 4.3.1: replies come after commands. One that is there before would be taken for the answer to the message.
 */
static bool
spoke_too_early(struct sending *s)
{
	struct remote *r = s->r;
	if (r->io.in.len == r->io.in_at)
		return false;
	reply_set(&r->reply, 451, "4.5.0", "the remote server answers before it is asked");
	r->usable = false;
	settle_rest(s);
	return true;
}

static void
await_transaction(struct sending *s, await_piece_fn *await_piece, void *arg)
{
	struct remote *r = s->r;
	bool chunk = sends_chunk(s), pipe = r->pipelining;
	fill_deadline(r, 1);
	put_mail(s);
	if (!pipe && (!await_remote_command(r, "waiting for the answer to MAIL") || !reply_good(&r->reply))) {
		await_refused(s, 0);
		return;
	}
	for (uint32_t i = 0; i < s->nasked; i++) {
		put_rcpt(s, &s->row->recipients[s->asked[i]]);
		if (!pipe && await_flush(&r->io) != OK)
			break;
	}
	bool data_sent = pipe && !chunk; /* RFC 2920 3.1: DATA may end a group */
	if (data_sent)
		stream_put(&r->io, S("DATA\r\n"));
	if (pipe && (!await_remote_command(r, "waiting for the answer to MAIL") || !reply_good(&r->reply))) {
		await_refused(s, r->usable ? s->nasked + data_sent : 0);
		return;
	}
	if (!await_rcpt_replies(s))
		return;
	if (s->naccepted == 0) {
		await_nobody(s, data_sent);
		return;
	}
	if (!chunk) {
		if (!data_sent)
			stream_put(&r->io, S("DATA\r\n"));
		if (!await_remote_command(r, "waiting for the answer to DATA") || r->reply.code != 354) {
			if (reply_good(&r->reply)) { /* 2xx to DATA makes no sense: out of step */
				reply_set(&r->reply, 451, "4.5.0",
				          "the remote server answered DATA with success before there was a message");
				r->usable = false;
			}
			settle_rest(s);
			return;
		}
	}
	if (!spoke_too_early(s))
		await_body(s, await_piece, arg);
}

/* An address that the server cannot read fails for itself. */
static bool
may_name(struct sending *s, uint32_t i)
{
	if (s->r->smtputf8 || slice_is_ascii(ascii_address(s, s->row->recipients[i].address)))
		return true;
	reply_set(&s->r->reply, 550, "5.6.7",
	          "the address needs SMTPUTF8, which the remote server does not offer (RFC 6531 3.5)");
	settle_one(s, i);
	return false;
}

/* One transaction for all that are asked. */
static void
await_message(struct sending *s, await_piece_fn *await_piece, void *arg)
{
	s->r->data_sent = false;
	for (uint32_t i = 0; i < s->nasked; i++) /* who has no answer of his own gets the one for all */
		s->accepted[i] = true;
	if (!fits(s)) {
		settle_rest(s);
	} else if (!spoke_too_early(s)) {
		s->r->copies++;
		await_transaction(s, await_piece, arg);
	}
	if (s->r->io.error)
		s->r->usable = false;
}

enum { COPIES_MAX = 100, COPIES_MS = 10000 };

/* A crash sends again what is not settled yet: there is little of it. Who was put off is not asked at once again, so
 * then all are asked. */
static bool
is_enough(const struct sending *all, uint32_t sent, int64_t began_ms)
{
	if (sent == 0 || !all->r->usable || (sent < COPIES_MAX && clock_mono_ms() - began_ms < COPIES_MS))
		return false;
	for (uint32_t i = 0; i < sent; i++)
		if (all->row->recipients[all->asked[i]].state == RECIPIENT_WAITING)
			return false;
	return true;
}

/* One transaction for each of them, who have return paths of their own. When the connection ends, the others have the
 * reason, too. */
static void
await_copies(const struct sending *all, await_piece_fn *await_piece, void *arg)
{
	struct remote *r = all->r;
	int64_t began_ms = clock_mono_ms();
	for (uint32_t i = 0; i < all->nasked && !(r->more = is_enough(all, i, began_ms)); i++) {
		struct sending one = *all;
		const struct store_recipient *to = &all->row->recipients[all->asked[i]];
		one.asked = all->asked + i;
		one.nasked = 1;
		one.naccepted = 0;
		one.copy = copy_for(all->row, to->address, all->arena);
		if (r->usable)
			await_message(&one, await_piece, arg);
		else if (!reply_good(&r->reply) && !reply_permanent(&r->reply))
			settle_one(&one, *one.asked);
	}
}

void
await_remote_send(struct remote *r, const struct store_queue_row *row, struct arena *arena, await_piece_fn *await_piece,
                  void *arg)
{
	struct sending s = { .r = r, .row = row, .arena = arena, .copy.reverse_path = row->envelope.reverse_path };
	r->data_sent = r->more = false;
	r->copies = 0;
	s.asked = ARENA_ARRAY(arena, uint32_t, row->nrecipients);
	s.accepted = ARENA_ARRAY(arena, bool, row->nrecipients);
	for (uint32_t i = 0; i < row->nrecipients; i++)
		if (row->recipients[i].state == RECIPIENT_WAITING && may_name(&s, i))
			s.asked[s.nasked++] = i;
	if (s.nasked == 0)
		return;
	if (row->verp.len)
		await_copies(&s, await_piece, arg);
	else
		await_message(&s, await_piece, arg);
}
