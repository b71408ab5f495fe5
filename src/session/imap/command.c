/* SPDX-License-Identifier: Apache-2.0 */
/* command.c - reads a whole command: lines, and the literals in between (RFC 3501 4.3, 7.5; RFC 7888). The text gathers
 * in im->command, literals inline, where the parser finds them. The message of APPEND is not read here: its handler
 * takes it from the stream. Too long lines are answered with BAD, too large literals with NO [TOOBIG]; a
 * non-synchronizing literal that comes anyway is dropped, or the connection is when it is larger than that is worth. */
#include "session/imap/imap.h"

static size_t
line_bytes_max(const struct imap *im)
{
	return im->state == IMAP_NOT_AUTHENTICATED ? IMAP_LOGIN_LINE_BYTES_MAX : IMAP_LINE_BYTES_MAX;
}

static uint64_t
literal_bytes_max(const struct imap *im)
{
	return im->state == IMAP_NOT_AUTHENTICATED ? IMAP_LOGIN_LITERAL_BYTES_MAX : im->c->conf->v.imap_literal_bytes_max;
}

static struct slice
tag_of_command(const struct imap *im)
{
	struct cursor c = cursor_of(buf_slice(&im->command));
	struct slice tag;
	return imap_take_tag(&c, &tag) && peek(&c) == ' ' ? tag : S("*");
}

static void
refuse(struct imap *im, struct slice text)
{
	stream_put(&im->c->io, tag_of_command(im));
	stream_put(&im->c->io, text);
	im->bad_in_row++;
}

/* So long that its end was not waited for: what follows cannot be read, but our last words can be sent. */
static void
refuse_endless_line(struct imap *im)
{
	im->c->io.error = OK;
	refuse(im, S(" BAD [TOOBIG] command line is too long\r\n* BYE [TOOBIG] this line does not end\r\n"));
	im->ended = true;
}

static enum imap_got
refuse_line(struct imap *im, enum err e)
{
	if (im->c->io.error == ERR_LINE_TOO_LONG)
		refuse_endless_line(im);
	else if (e == ERR_LINE_TOO_LONG)
		refuse(im, S(" BAD [TOOBIG] command line is too long\r\n"));
	else if (e == ERR_BARE_EOL)
		refuse(im, S(" BAD lines end with CR LF, neither may stand alone\r\n"));
	else if (e == ERR_NUL)
		refuse(im, S(" BAD a NUL cannot be in a command\r\n"));
	else
		return IMAP_GOT_CLOSED;
	return IMAP_GOT_NOTHING;
}

enum err
await_imap_skip(struct imap *im, uint64_t bytes)
{
	struct stream *io = &im->c->io;
	while (bytes) {
		if (stream_input(io).len == 0) {
			enum err e = await_fill(io, STREAM_IN_BYTES);
			if (e != OK)
				return e;
		}
		size_t n = (size_t)MIN(bytes, (uint64_t)stream_input(io).len);
		stream_consume(io, n);
		bytes -= n;
	}
	return OK;
}

enum err
await_imap_skip_command(struct imap *im)
{
	uint64_t left = IMAP_LITERAL_SKIP_BYTES_MAX;
	for (;;) {
		struct slice line;
		struct imap_literal literal;
		enum err e = await_line(&im->c->io, IMAP_LINE_BYTES_MAX, false, &line);
		if (im->c->io.error)
			return im->c->io.error;
		/* a client that waits for "+" gets the tagged reply instead, and does not send the literal */
		if (e != OK || !imap_literal_at_end(line, &literal) || literal.sync)
			return OK;
		if (literal.bytes > left)
			return ERR_LIMIT;
		left -= literal.bytes;
		e = await_imap_skip(im, literal.bytes);
		if (e != OK)
			return e;
	}
}

/* A command whose line ends with a literal that nobody wants. */
static enum imap_got
await_refuse_command(struct imap *im, struct imap_literal literal, struct slice text)
{
	if (!literal.sync && literal.bytes > IMAP_LITERAL_SKIP_BYTES_MAX) {
		refuse(im, S(" BAD [TOOBIG] literal is too large\r\n* BYE [TOOBIG] literal is too large to be skipped\r\n"));
		im->ended = true;
		return IMAP_GOT_NOTHING;
	}
	if (!literal.sync && (await_imap_skip(im, literal.bytes) != OK || await_imap_skip_command(im) != OK))
		return IMAP_GOT_CLOSED;
	refuse(im, text);
	return IMAP_GOT_NOTHING;
}

/* RFC 6855 3: what is not UTF-8 in quoted strings is BAD; it can stand nowhere else but in literals, either. */
static enum imap_got
await_refuse_bytes(struct imap *im, struct slice line)
{
	struct imap_literal literal;
	if (!imap_literal_at_end(line, &literal))
		literal = (struct imap_literal){ 0, true };
	return await_refuse_command(im, literal, S(" BAD this line is not UTF-8\r\n"));
}

static enum err
await_literal(struct imap *im, struct imap_literal literal)
{
	if (literal.sync)
		stream_put(&im->c->io, S("+ go ahead\r\n"));
	if (!buf_room(&im->command, (size_t)literal.bytes))
		return ERR_LIMIT;
	enum err e = await_read(&im->c->io, im->command.at + im->command.len, (size_t)literal.bytes);
	if (e == OK)
		im->command.len += (size_t)literal.bytes;
	return e;
}

enum imap_got
await_imap_command_text(struct imap *im)
{
	size_t lines_left = line_bytes_max(im);
	uint64_t literals_left = IMAP_LITERALS_BYTES_MAX;
	buf_clear(&im->command);
	for (;;) {
		struct slice line;
		struct imap_literal literal;
		enum err e = await_line(&im->c->io, lines_left, false, &line);
		if (e != OK)
			return refuse_line(im, e);
		lines_left -= MIN(lines_left - 1, line.len);
		buf_put(&im->command, line);
		if (imap_utf8_accept(im) && !slice_is_utf8(line))
			return await_refuse_bytes(im, line);
		if (!imap_literal_at_end(line, &literal))
			return IMAP_GOT_COMMAND;
		buf_put(&im->command, S("\r\n"));
		im->literal = literal;
		if (imap_is_append(buf_slice(&im->command), &im->arena))
			return IMAP_GOT_COMMAND;
		if (literal.bytes > literal_bytes_max(im) || literal.bytes > literals_left)
			return await_refuse_command(im, literal, S(" NO [TOOBIG] literal is too large\r\n"));
		literals_left -= literal.bytes;
		if (await_literal(im, literal) != OK)
			return IMAP_GOT_CLOSED;
	}
}
