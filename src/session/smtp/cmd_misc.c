/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_misc.c - RSET, NOOP, QUIT, VRFY, EXPN, HELP and STARTTLS. */
#include "session/smtp/smtp.h"

struct reply
cmd_rset(struct smtp *s, struct cursor *args)
{
	skip_spaces(args);
	if (!take_end(args))
		return reply(501, "5.5.4", "RSET takes no arguments");
	tx_reset(s);
	return reply(250, "2.0.0", "forgotten");
}

/* RFC 5321 4.1.1.9: an argument is ignored. */
struct reply
cmd_noop(struct smtp *s, struct cursor *args)
{
	return reply(250, "2.0.0", "done nothing");
}

struct reply
cmd_quit(struct smtp *s, struct cursor *args)
{
	skip_spaces(args);
	if (!take_end(args))
		return reply(501, "5.5.4", "QUIT takes no arguments");
	return reply_close(reply(221, "2.0.0", "goodbye"));
}

/* RFC 5321 3.5.3, 7.3: who exists here is not told to those who only ask. */
struct reply
cmd_vrfy(struct smtp *s, struct cursor *args)
{
	skip_spaces(args);
	if (cursor_done(args))
		return reply(501, "5.5.4", "VRFY takes an address");
	return reply(252, "2.5.2", "not told; send the message, it will be tried");
}

struct reply
cmd_expn(struct smtp *s, struct cursor *args)
{
	skip_spaces(args);
	if (cursor_done(args))
		return reply(501, "5.5.4", "EXPN takes the name of a list");
	return reply(502, "5.5.1", "who is on a list is not told");
}

struct reply
cmd_help(struct smtp *s, struct cursor *args)
{
	struct slice what = slice_trim(cursor_rest(args));
	for (size_t i = 0; i < smtp_commands_count; i++) {
		const struct smtp_command *row = &smtp_commands[i];
		if (!(row->faces & s->face) || (what.len > 0 && !slice_equal_nocase(what, row->word)))
			continue;
		struct slice text = arena_printf(s->command, "%s (RFC %s)", row->help, row->rfc);
		if (what.len > 0)
			return reply_slice(214, "2.0.0", text);
		smtp_put_line(s, 214, true, text);
	}
	if (what.len > 0)
		return reply(504, "5.5.4", "no such command");
	return reply(214, "2.0.0", "that is all");
}

/* RFC 3207 4. What the client sent after the command in the clear is dropped, what it said before is forgotten: both
 * could be somebody else's words. */
struct reply
await_cmd_starttls(struct smtp *s, struct cursor *args)
{
	skip_spaces(args);
	if (!take_end(args))
		return reply(501, "5.5.4", "STARTTLS takes no arguments");
	if (s->c->io.tls)
		return reply(503, "5.5.1", "TLS is on already");
	if (s->account)
		return reply(503, "5.5.1", "you are logged in: TLS comes before that");
	if (!conn_can_starttls(s->c))
		return reply(454, "4.7.0", "TLS is not available now");
	smtp_put_reply(s, reply(220, "2.0.0", "go ahead with TLS"));
	tx_reset(s);
	free(s->helo);
	s->helo = NULL;
	s->esmtp = false;
	await_conn_starttls(s->c); /* a failure is the stream's and ends the connection */
	return REPLY_NONE;
}
