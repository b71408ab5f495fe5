/* SPDX-License-Identifier: Apache-2.0 */
/* drop.c - the commands that look at the maildrop as a whole or mark messages: STAT, LIST, UIDL, DELE, RSET, NOOP,
 * QUIT. */
#include "session/pop3/pop3.h"

#define GATHER_BYTES 4096
#define LINE_ROOM 80

/* STAT - RFC 1939 5 */
static struct pop3_reply
await_stat(struct pop3 *p, const struct pop3_line *line)
{
	if (line->has_rest)
		return pop3_err("STAT takes no argument");
	uint64_t bytes = 0;
	for (size_t i = 0; i < p->nmessages; i++)
		bytes += p->messages[i].deleted ? 0 : p->messages[i].bytes;
	return pop3_ok(arena_printf(p->arena, "%zu %llu", p->nmessages - p->ndeleted, (unsigned long long)bytes).at);
}

/* "1 4096" or "1 33.7" without a line end; returns its length. */
static size_t
describe(const struct pop3 *p, size_t i, bool uidl, char to[LINE_ROOM])
{
	const struct pop3_message *m = &p->messages[i];
	int n = !uidl     ? snprintf(to, LINE_ROOM, "%zu %u", i + 1, m->bytes)
	        : m->uidl ? snprintf(to, LINE_ROOM, "%zu %s", i + 1, p->uidls.at + m->uidl - 1)
	                  : snprintf(to, LINE_ROOM, "%zu %u.%u", i + 1, p->uidvalidity, m->uid);
	return (size_t)n;
}

static struct pop3_reply
await_listing(struct pop3 *p, bool uidl)
{
	struct stream *io = &p->c->io;
	char gather[GATHER_BYTES];
	size_t have = 0;
	pop3_put_count(p, p->nmessages - p->ndeleted, "messages");
	for (size_t i = 0; i < p->nmessages && !io->error; i++) {
		if (p->messages[i].deleted)
			continue;
		have += describe(p, i, uidl, gather + have);
		gather[have++] = '\r';
		gather[have++] = '\n';
		if (have + LINE_ROOM + 2 > sizeof gather) {
			await_put(io, slice_of(gather, have));
			have = 0;
		}
	}
	await_put(io, slice_of(gather, have));
	await_put(io, S(".\r\n"));
	return pop3_sent();
}

static struct pop3_reply
await_list_or_uidl(struct pop3 *p, const struct pop3_line *line, bool uidl)
{
	uint32_t number;
	int n = pop3_numbers(line->rest, &number, 1);
	if (n < 0)
		return pop3_err("the argument is not the number of a message");
	if (n == 0)
		return await_listing(p, uidl);
	if (!maildrop_message(p, number))
		return pop3_err("there is no such message");
	char *text = arena_alloc(p->arena, LINE_ROOM);
	describe(p, number - 1, uidl, text);
	return pop3_ok(text);
}

/* LIST [n] - RFC 1939 5 */
static struct pop3_reply
await_list(struct pop3 *p, const struct pop3_line *line)
{
	return await_list_or_uidl(p, line, false);
}

/* UIDL [n] - RFC 1939 7; unique for ever: UIDVALIDITY.UID as IMAP has them, or what another server gave */
static struct pop3_reply
await_uidl(struct pop3 *p, const struct pop3_line *line)
{
	return await_list_or_uidl(p, line, true);
}

/* DELE n - RFC 1939 5: marked now, removed at QUIT */
static struct pop3_reply
await_dele(struct pop3 *p, const struct pop3_line *line)
{
	uint32_t number;
	if (pop3_numbers(line->rest, &number, 1) != 1)
		return pop3_err("DELE takes the number of a message");
	struct pop3_message *m = maildrop_message(p, number);
	if (!m)
		return pop3_err("there is no such message");
	m->deleted = true;
	p->ndeleted++;
	return pop3_ok("marked; it goes at QUIT");
}

/* RSET - RFC 1939 5 */
static struct pop3_reply
await_rset(struct pop3 *p, const struct pop3_line *line)
{
	if (line->has_rest)
		return pop3_err("RSET takes no argument");
	for (size_t i = 0; i < p->nmessages; i++)
		p->messages[i].deleted = false;
	p->ndeleted = 0;
	return pop3_ok("no message is marked");
}

/* NOOP - RFC 1939 5 */
static struct pop3_reply
await_noop(struct pop3 *p, const struct pop3_line *line)
{
	(void)p;
	return line->has_rest ? pop3_err("NOOP takes no argument") : pop3_ok("");
}

/* The maildrop is free before the client hears of it: it may come back at once. */
static struct pop3_reply
bye(struct pop3 *p, struct pop3_reply r)
{
	maildrop_close(p);
	r.close = true;
	return r;
}

/* QUIT - RFC 1939 4 and 6: here, and only here, messages are removed */
static struct pop3_reply
await_quit(struct pop3 *p, const struct pop3_line *line)
{
	(void)line;
	maildrop_tell_fetched(p, p->nfetched);
	if (p->state == POP3_AUTHORIZATION || p->ndeleted == 0)
		return bye(p, pop3_ok("goodbye"));
	uint32_t *uids = must_calloc(p->ndeleted, sizeof *uids);
	size_t n = 0;
	for (size_t i = 0; i < p->nmessages; i++)
		if (p->messages[i].deleted)
			uids[n++] = p->messages[i].uid;
	enum err e = await_maildrop_expunge(p, uids, n);
	free(uids);
	if (e)
		return bye(p, pop3_err("[SYS/TEMP] some deleted messages are not removed: try again later"));
	return bye(p, pop3_count(p, n, "removed, goodbye"));
}

static const struct pop3_command rows[] = {
	{ S_ROW("STAT"), await_stat, POP3_TRANSACTION, "1939 5" },
	{ S_ROW("LIST"), await_list, POP3_TRANSACTION, "1939 5" },
	{ S_ROW("UIDL"), await_uidl, POP3_TRANSACTION, "1939 7" },
	{ S_ROW("DELE"), await_dele, POP3_TRANSACTION, "1939 5" },
	{ S_ROW("RSET"), await_rset, POP3_TRANSACTION, "1939 5" },
	{ S_ROW("NOOP"), await_noop, POP3_TRANSACTION, "1939 5" },
	{ S_ROW("QUIT"), await_quit, POP3_AUTHORIZATION | POP3_TRANSACTION, "1939 4, 6" },
};
const struct pop3_commands pop3_drop_commands = { rows, COUNT_OF(rows) };
