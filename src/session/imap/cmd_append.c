/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_append.c - APPEND (RFC 3501 6.3.11). The message goes from the stream into a struct body (shared memory, or a
 * spool file when it is large), never through the memory of this process. What speaks against it is said before the
 * client sends it; what a LITERAL+ client sends anyway is skipped when it is too large. */
#include "session/imap/notify.h"

enum { SKIP_MORE = 4 }; /* how many times the largest message is skipped before the connection is ended instead */

/* Is there such a mailbox, and room? The store looks again when it keeps the message. */
static enum err
await_check(struct imap *im, struct slice name)
{
	struct store_mailbox_status_in in = { .name = name };
	struct store_mailbox_status_out out = { 0 };
	enum err e = await_imap_ask(im, mailbox_status, &in, &im->arena, &out);
	if (e != OK)
		return e;
	if (!out.mailbox.id || (out.mailbox.attributes & MAILBOX_NOSELECT))
		return ERR_NOT_FOUND;
	struct store_account_usage_in ask = { 0 };
	struct store_account_usage_out usage = { 0 };
	e = await_imap_ask(im, account_usage, &ask, &im->arena, &usage);
	if (e == OK && usage.usage.bytes_max && usage.usage.bytes + im->literal.bytes > usage.usage.bytes_max)
		e = ERR_QUOTA;
	return e;
}

static struct imap_reply
refuse_append(enum err e)
{
	if (e == ERR_NOT_FOUND)
		return imap_no("TRYCREATE", "there is no such mailbox, create it first");
	return imap_err(e);
}

/* What is known against it before the first byte came; OK status: nothing. */
static struct imap_reply
await_judge(struct imap *im, const struct imap_append *append)
{
	if (!append->valid)
		return imap_no("CANNOT", "no mailbox can have that name");
	if (im->literal.bytes == 0)
		return imap_no("CANNOT", "an empty message cannot be kept");
	if (im->literal.bytes > im->c->conf->v.message_bytes_max)
		return imap_no("TOOBIG", "the message is too large for this server");
	/* a message that comes anyway is judged by the store alone */
	enum err e = im->literal.sync ? await_check(im, append->mailbox) : OK;
	return e ? refuse_append(e) : imap_ok("");
}

/* The refused message of a client that did not wait. */
static void
await_drop(struct imap *im)
{
	if (im->literal.sync)
		return;
	if (im->literal.bytes > SKIP_MORE * im->c->conf->v.message_bytes_max) {
		imap_untagged(im, S("BYE [TOOBIG] the message is too large to be skipped"));
		im->ended = true;
	} else if (await_imap_skip(im, im->literal.bytes) != OK || await_imap_skip_command(im) != OK) {
		im->ended = true;
	}
}

/* False: the connection is lost. *nul: there is a NUL in it, which no literal may hold (RFC 3501 9: CHAR8). */
static bool
await_message(struct imap *im, struct body *b, bool *nul)
{
	struct stream *io = &im->c->io;
	uint64_t left = im->literal.bytes;
	while (left) {
		io->deadline_ms = deadline_in_ms(im->c->idle_ms);
		if (stream_input(io).len == 0 && await_fill(io, STREAM_OUT_BYTES) != OK)
			return false;
		struct slice piece = slice_part(stream_input(io), 0, (size_t)MIN(left, (uint64_t)SIZE_MAX));
		*nul = *nul || slice_find_char(piece, '\0') >= 0;
		await_body_put(b, piece);
		stream_consume(io, piece.len);
		left -= piece.len;
	}
	return true;
}

static struct imap_reply
await_keep(struct imap *im, const struct imap_append *append, struct body *b)
{
	struct store_append a = { .flags = append->flags.system, .received = clock_wall_sec() };
	enum err e = await_body_end(b);
	if (e == OK)
		e = await_body_facts(b, &im->arena, &a.facts);
	if (e != OK)
		return imap_err(e);
	a.body = *body_ref(b, &im->arena);
	if (append->dated)
		a.received = append->date;
	a.nkeywords = (uint32_t)append->flags.nkeywords;
	a.keywords = ARENA_ARRAY(&im->arena, struct store_keyword, a.nkeywords);
	for (size_t i = 0; i < a.nkeywords; i++)
		a.keywords[i].name = append->flags.keywords[i];
	struct store_message_append_in in = { .mailbox = append->mailbox, .appends = &a, .nappends = 1 };
	struct store_message_append_out out = { 0 };
	e = await_imap_ask(im, message_append, &in, &im->arena, &out);
	im->changed = true; /* the selected mailbox may have got it */
	if (e != OK || out.uids.len != 4)
		return refuse_append(e != OK ? e : ERR_AGAIN);
	imap_notify_own(im, out.uidvalidity, out.uids);
	/* RFC 4315 3 */
	return imap_ok_code(
	    arena_printf(&im->arena, "APPENDUID %u %u", out.uidvalidity, (unsigned)bytes_get_le(out.uids.at, 4)),
	    "appended");
}

/* The message, the end of the command, and what becomes of it. */
static struct imap_reply
await_take(struct imap *im, const struct imap_append *append, struct body *b)
{
	struct slice rest;
	bool nul = false;
	if (im->literal.sync)
		stream_put(&im->c->io, S("+ go ahead\r\n"));
	if (!await_message(im, b, &nul)) {
		im->ended = true;
		return imap_silent;
	}
	enum err e = await_line(&im->c->io, IMAP_LINE_BYTES_MAX, false, &rest);
	struct imap_literal more;
	if (e == OK && imap_literal_at_end(rest, &more) && !more.sync && await_imap_skip(im, more.bytes) == OK)
		(void)await_imap_skip_command(im);
	if (e != OK || rest.len)
		return imap_bad("APPEND ends after one message");
	if (nul)
		return imap_bad("a NUL cannot be in a literal");
	return await_keep(im, append, b);
}

struct imap_reply
imap_cmd_append(struct imap *im, struct cursor *args)
{
	struct imap_append append;
	if (!imap_take_space(args) || !imap_take_append(args, &im->arena, imap_names(im), &append))
		return imap_bad("APPEND takes a mailbox name, perhaps flags, perhaps a date, and a literal");
	struct imap_reply r = await_judge(im, &append);
	if (r.status != IMAP_OK) {
		await_drop(im);
		return r;
	}
	struct body b;
	body_init(&b, im->c->session, im->c->conf->v.message_bytes_max);
	r = await_take(im, &append, &b);
	body_release(&b);
	return r;
}
