/* SPDX-License-Identifier: Apache-2.0 */
/* pop3.c - the POP3 protocol of the session role: greeting, one command at a time, one place that writes replies. Which
 * commands there are stands in the tables of login.c, drop.c and retr.c. */
#include "session/pop3/pop3.h"

#include "base/counter.h"
#include "base/random.h"

static const struct pop3_commands *const tables[] = { &pop3_retr_commands, &pop3_drop_commands, &pop3_login_commands };

struct pop3_reply
pop3_trouble(struct pop3 *p, enum err e)
{
	bool lasting = e == ERR_DAMAGED || e == ERR_SUSPENDED || e == ERR_DENIED || e == ERR_UNSUPPORTED;
	return pop3_err(arena_printf(p->arena, "[SYS/%s] %s", lasting ? "PERM" : "TEMP", err_text(e)).at);
}

static const struct pop3_command *
find(struct slice word)
{
	for (size_t t = 0; t < COUNT_OF(tables); t++)
		for (size_t i = 0; i < tables[t]->count; i++)
			if (slice_equal_nocase(word, tables[t]->rows[i].word))
				return &tables[t]->rows[i];
	return NULL;
}

static struct pop3_reply
await_run(struct pop3 *p, struct slice text)
{
	struct pop3_line line;
	const struct pop3_command *command = pop3_line_parse(text, &line) ? find(line.word) : NULL;
	if (!command)
		return pop3_err("there is no such command");
	if (!(command->states & p->state))
		return pop3_err(p->state == POP3_AUTHORIZATION ? "not before the login" : "not after the login");
	return command->await_run(p, &line);
}

/* "[CODE] text": the code stays as it is. */
static void
put_text(struct pop3 *p, struct slice text)
{
	size_t code = slice_starts(text, S("[")) ? (size_t)(slice_find(text, S("] ")) + 2) : 0;
	stream_put(&p->c->io, slice_part(text, 0, code));
	stream_put(&p->c->io, lang_text(p->language, slice_from(text, code)));
}

void
pop3_put_ok(struct pop3 *p, const char *text)
{
	stream_put(&p->c->io, S("+OK "));
	put_text(p, slice_text(text));
	stream_put(&p->c->io, S("\r\n"));
}

void
pop3_put_count(struct pop3 *p, uint64_t n, const char *text)
{
	stream_printf(&p->c->io, "+OK %llu ", (unsigned long long)n);
	put_text(p, slice_text(text));
	stream_put(&p->c->io, S("\r\n"));
}

struct pop3_reply
pop3_count(struct pop3 *p, uint64_t n, const char *text)
{
	pop3_put_count(p, n, text);
	p->errors = 0;
	return pop3_sent();
}

static enum next
write_reply(struct pop3 *p, struct pop3_reply r)
{
	struct stream *io = &p->c->io;
	if (r.kind != POP3_SENT) {
		stream_put(io, r.kind == POP3_OK ? S("+OK ") : S("-ERR "));
		put_text(p, slice_text(r.text));
		stream_put(io, S("\r\n"));
	}
	p->errors = r.kind == POP3_ERR ? p->errors + 1 : 0;
	if (p->errors >= POP3_ERRORS_MAX && !r.close) {
		stream_put(io, S("-ERR "));
		put_text(p, S("too many refused commands, goodbye"));
		stream_put(io, S("\r\n"));
		r.close = true;
	}
	return r.close || io->error ? NEXT_CLOSE : NEXT_COMMAND;
}

static enum next
await_command(struct conn *c)
{
	struct pop3 *p = c->state;
	struct arena arena;
	struct slice text;
	enum err e = await_line(&c->io, POP3_LINE_BYTES_MAX, true, &text);
	bool endless = conn_line_is_endless(c);
	if (c->io.error)
		return NEXT_CLOSE;
	counter_add(COUNTER_POP3_COMMANDS, 1);
	if (e)
		return write_reply(p, pop3_err(endless                  ? "this line does not end"
		                               : e == ERR_LINE_TOO_LONG ? "the line is too long"
		                                                        : "a line may hold no NUL and no bare CR"));
	arena_init(&arena, 0);
	p->arena = &arena;
	enum next next = write_reply(p, await_run(p, text));
	p->arena = NULL;
	arena_release(&arena);
	return next;
}

static enum next
await_start(struct conn *c)
{
	struct pop3 *p = c->state;
	p->c = c;
	p->state = POP3_AUTHORIZATION;
	c->idle_ms = c->conf->v.login_timeout;
	stream_printf(&c->io, "+OK %s POP3 ready\r\n", c->conf->v.hostname);
	return NEXT_COMMAND;
}

static void
release(struct conn *c)
{
	struct pop3 *p = c->state;
	if (!p->c)
		return; /* never greeted */
	/* Whether the last one arrived is not known, when no command came after it. */
	maildrop_tell_fetched(p, p->nfetched ? p->nfetched - 1 : 0);
	maildrop_close(p);
	pop3_window_release(p);
	buf_release(&p->user);
	buf_release(&p->uidls);
	free(p->messages);
}

/* RFC 1939 3: a client that is silent for too long is cut off without a word, and nothing is removed. */
const struct protocol pop3_protocol = {
	.name = "pop3",
	.state_bytes = sizeof(struct pop3),
	.await_start = await_start,
	.await_command = await_command,
	.release = release,
};
