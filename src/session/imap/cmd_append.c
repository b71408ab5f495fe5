/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_append.c - APPEND (RFC 3501 6.3.11) of one message or several (RFC 3502), put together of parts (RFC 4469), with
 * NULs (RFC 3516 4.4) or UTF-8 headers (RFC 6855 4); and REPLACE (RFC 8508). All messages of a command go from the
 * stream into one struct body (shared memory, or a spool file when they are large), never through the memory of this
 * process, and become durable together. What speaks against them is said before the client sends more; what a LITERAL+
 * client sends anyway is skipped. */
#include "session/imap/append.h"
#include "session/imap/notify.h"

#include "mail/facts.h"

/* ---- what speaks against it */

void
append_refuse(struct appending *ap, struct imap_reply r)
{
	if (!ap->refused)
		ap->refusal = r;
	ap->refused = true;
}

static void
refuse_append(struct appending *ap, enum err e)
{
	if (e == ERR_NOT_FOUND)
		append_refuse(ap, imap_no("TRYCREATE", "there is no such mailbox, create it first"));
	else if (e == ERR_CONFLICT) /* RFC 5530 3 */
		append_refuse(ap, imap_no("EXPUNGEISSUED", "the message is gone already"));
	else
		append_refuse(ap, ap->annotated ? imap_annotations_err(e) : imap_err(e));
}

static struct appended *
message_now(struct appending *ap)
{
	return &ap->messages[ap->count - 1];
}

bool
append_has_room(struct appending *ap, uint64_t bytes)
{
	uint64_t max = ap->im->c->conf->v.message_bytes_max;
	if (ap->refused)
		return false;
	if (bytes > max || message_now(ap)->bytes > max - bytes)
		append_refuse(ap, imap_no("TOOBIG", "the message is too large for this server"));
	else if (bytes > ap->body.bytes_max - ap->body.len)
		append_refuse(ap, imap_no("LIMIT", "the messages of one command are too large together"));
	return !ap->refused;
}

/* Is there such a mailbox, and room? The store looks again when it keeps the messages. */
static enum err
await_check(struct appending *ap)
{
	struct imap *im = ap->im;
	struct imap_place p;
	struct store_mailbox_status_in in = { 0 };
	struct store_mailbox_status_out out = { 0 };
	enum err e = await_imap_place(im, ap->mailbox, &p);
	in.name = p.name;
	e = e ? e : await_imap_ask_of(im, p.owner, mailbox_status, &in, &im->arena, &out);
	if (e == OK && !(out.mailbox.rights & ACL_INSERT)) /* RFC 4314 4 */
		e = out.mailbox.rights & (ACL_LOOKUP | ACL_READ) ? ERR_DENIED : ERR_NOT_FOUND;
	if (e != OK || p.owner) /* how full his account is, is not for others to know */
		return e;
	if (!out.mailbox.id || (out.mailbox.attributes & MAILBOX_NOSELECT))
		return ERR_NOT_FOUND;
	struct store_account_usage_in ask = { 0 };
	struct store_account_usage_out usage = { 0 };
	e = await_imap_ask(im, account_usage, &ask, &im->arena, &usage);
	/* of a REPLACE only the difference counts, and that is for the store to say */
	if (e == OK && !ap->replaced && usage.usage.bytes_max &&
	    usage.usage.bytes + ap->body.len + ap->parse.literal.bytes > usage.usage.bytes_max)
		e = ERR_QUOTA;
	return e;
}

/* What is known against a literal before its first byte came. */
static void
await_judge(struct appending *ap)
{
	const struct imap_literal *literal = &ap->parse.literal;
	if (literal->bytes == 0 && !ap->parse.catenate)
		append_refuse(ap, imap_no("CANNOT", "an empty message cannot be kept"));
	/* messages that come anyway are judged by the store alone */
	enum err e = append_has_room(ap, literal->bytes) && literal->sync ? await_check(ap) : OK;
	if (e)
		refuse_append(ap, e);
}

/* ---- the command's text, stretch by stretch */

static void
lose(struct appending *ap)
{
	ap->im->ended = true;
	append_refuse(ap, imap_silent);
}

/* What is read only to be dropped has its limit. False: the connection ends. */
static bool
may_skip(struct appending *ap, uint64_t bytes)
{
	if (bytes <= ap->skip_left) {
		ap->skip_left -= bytes;
		return true;
	}
	imap_untagged(ap->im, S("BYE [TOOBIG] this is too large to be skipped"));
	lose(ap);
	return false;
}

/* The line behind a literal; its bytes must live as long as the command: flags and URLs point to them. */
static bool
await_stretch(struct appending *ap)
{
	struct slice line;
	struct imap_literal literal;
	enum err e = await_line(&ap->im->c->io, IMAP_LINE_BYTES_MAX, false, &line);
	if (ap->im->c->io.error) {
		lose(ap);
		return false;
	}
	if (e != OK) {
		ap->stretch = SLICE_NONE;
		append_refuse(ap, imap_bad("the line behind a literal is malformed, or too long"));
		return false;
	}
	if (line.len > ap->text_left)
		append_refuse(ap, imap_bad("the command is too long, its messages not counted"));
	ap->text_left -= MIN(ap->text_left, line.len);
	bool more = imap_literal_at_end(line, &literal);
	ap->stretch = arena_join(&ap->im->arena, line, more ? S("\r\n") : SLICE_NONE);
	ap->text = cursor_of(ap->stretch);
	return true;
}

/* What the client still sends of a refused command. One that waits for "+" gets the tagged reply instead. */
static void
await_drop(struct appending *ap)
{
	struct slice line = ap->stretch;
	struct imap_literal literal;
	if (!slice_ends(line, S("\r\n")))
		return;
	line.len -= 2;
	while (imap_literal_at_end(line, &literal) && !literal.sync && may_skip(ap, literal.bytes)) {
		ap->im->c->io.deadline_ms = deadline_in_ms(ap->im->c->idle_ms);
		enum err e = await_imap_skip(ap->im, literal.bytes);
		e = e ? e : await_line(&ap->im->c->io, IMAP_LINE_BYTES_MAX, false, &line);
		if (ap->im->c->io.error)
			lose(ap);
		if (e || !may_skip(ap, line.len))
			return;
	}
}

/* ---- messages */

void
await_append_put(struct appending *ap, struct slice bytes)
{
	struct appended *m = message_now(ap);
	if (!append_has_room(ap, bytes.len))
		return;
	m->nul = m->nul || slice_find_char(bytes, '\0') >= 0;
	await_body_put(&ap->body, bytes);
	m->bytes += bytes.len;
	if (ap->body.error)
		refuse_append(ap, ap->body.error);
}

/* Is there one message too many in the command? Refuses. */
static bool
has_too_many(struct appending *ap)
{
	size_t limit = imap_save_max(ap->im),
	       max = limit ? MIN(limit, (size_t)APPEND_MESSAGES_MAX) : APPEND_MESSAGES_USUAL_MAX;
	if (ap->replaced && ap->count == 1)
		append_refuse(ap, imap_bad("REPLACE takes one message"));
	else if (ap->count == max && limit)
		append_refuse(ap, imap_over_limit(ap->im, max, &(struct view_spans){ .messages = 0 }));
	else if (ap->count == max)
		append_refuse(ap, imap_no("LIMIT", "too many messages in one command"));
	return ap->refused;
}

static void
make_room(struct appending *ap)
{
	struct arena *a = &ap->im->arena;
	if (ap->count < ap->cap)
		return;
	ap->cap = ap->cap ? 4 * ap->cap : 16;
	struct appended *messages = ARENA_ARRAY(a, struct appended, ap->cap);
	struct store_append *appends = ARENA_ARRAY(a, struct store_append, ap->cap);
	if (ap->count) {
		memcpy(messages, ap->messages, ap->count * sizeof *messages);
		memcpy(appends, ap->appends, ap->count * sizeof *appends);
	}
	ap->messages = messages;
	ap->appends = appends;
}

static void
message_begin(struct appending *ap)
{
	const struct imap_append *p = &ap->parse;
	if (ap->refused || has_too_many(ap))
		return;
	make_room(ap);
	struct store_append *a = &ap->appends[ap->count];
	ap->messages[ap->count++] = (struct appended){ .from = ap->body.len };
	*a = (struct store_append){ .flags = p->flags.system, .received = p->dated ? p->date : clock_wall_sec() };
	a->nkeywords = (uint32_t)p->flags.nkeywords;
	a->keywords = ARENA_ARRAY(&ap->im->arena, struct store_keyword, a->nkeywords);
	for (size_t i = 0; i < a->nkeywords; i++)
		a->keywords[i].name = p->flags.keywords[i];
	struct imap_reply no = imap_annotations_judge(&p->annotations);
	if (no.status != IMAP_OK)
		append_refuse(ap, no);
	ap->messages[ap->count - 1].annotations = p->annotations;
	a->nannotations = (uint32_t)p->annotations.n;
	a->annotations = imap_annotations_call(&ap->im->arena, &p->annotations);
	ap->annotated = ap->annotated || a->nannotations;
}

static void
message_end(struct appending *ap)
{
	struct appended *m = message_now(ap);
	if (!ap->refused && m->bytes == 0)
		append_refuse(ap, imap_no("CANNOT", "an empty message cannot be kept"));
}

/* The bytes of a literal go to the message, or nowhere when it is refused meanwhile. */
static void
await_literal_bytes(struct appending *ap)
{
	struct stream *io = &ap->im->c->io;
	uint64_t left = ap->parse.literal.bytes;
	while (left) {
		io->deadline_ms = deadline_in_ms(ap->im->c->idle_ms);
		if (stream_input(io).len == 0 && await_fill(io, STREAM_OUT_BYTES) != OK) {
			lose(ap);
			return;
		}
		struct slice piece = slice_part(stream_input(io), 0, (size_t)MIN(left, (uint64_t)SIZE_MAX));
		if (!ap->parse.binary && slice_find_char(piece, '\0') >= 0) /* RFC 3501 9: CHAR8 */
			append_refuse(ap, imap_bad("a NUL cannot be in a literal, only in a literal8"));
		await_append_put(ap, piece);
		stream_consume(io, piece.len);
		left -= piece.len;
	}
}

static void
await_literal(struct appending *ap)
{
	if (!ap->refused && ++ap->parts > APPEND_PARTS_MAX && ap->parse.catenate)
		append_refuse(ap, imap_no("LIMIT", "too many parts in one command"));
	if (!ap->refused)
		await_judge(ap);
	if (ap->refused)
		return;
	message_now(ap)->utf8 = message_now(ap)->utf8 || ap->parse.utf8;
	if (ap->parse.literal.sync)
		stream_put(&ap->im->c->io, S("+ go ahead\r\n"));
	await_literal_bytes(ap);
	if (!ap->im->ended)
		(void)await_stretch(ap);
}

static void
await_url(struct appending *ap, struct slice url)
{
	if (!ap->refused && ++ap->parts > APPEND_PARTS_MAX)
		append_refuse(ap, imap_no("LIMIT", "too many parts in one command"));
	if (!ap->refused)
		await_append_url(ap, url);
}

static void
await_url_literal(struct appending *ap)
{
	const struct imap_literal *literal = &ap->parse.literal;
	if (!ap->refused && literal->bytes > ap->text_left)
		append_refuse(ap, imap_no("TOOBIG", "literal is too large"));
	if (ap->refused)
		return;
	ap->text_left -= literal->bytes;
	if (literal->sync)
		stream_put(&ap->im->c->io, S("+ go ahead\r\n"));
	char *url = arena_alloc(&ap->im->arena, (size_t)literal->bytes + 1);
	if (await_read(&ap->im->c->io, url, (size_t)literal->bytes) != OK)
		lose(ap);
	else if (await_stretch(ap))
		await_url(ap, slice_of(url, (size_t)literal->bytes));
}

/* A value of an annotation that stands in a literal: it and the line behind it become part of the stretch. */
static void
await_more(struct appending *ap)
{
	struct imap *im = ap->im;
	const struct imap_literal *literal = &ap->parse.literal;
	struct slice before = cursor_rest(&ap->text);
	if (literal->bytes > ap->text_left || literal->bytes > im->c->conf->v.imap_literal_bytes_max) {
		append_refuse(ap, imap_no("TOOBIG", "literal is too large"));
		return;
	}
	ap->text_left -= literal->bytes;
	if (literal->sync)
		stream_put(&im->c->io, S("+ go ahead\r\n"));
	char *value = arena_alloc(&im->arena, (size_t)literal->bytes + 1);
	if (await_read(&im->c->io, value, (size_t)literal->bytes) != OK) {
		lose(ap);
		return;
	}
	before = arena_join(&im->arena, before, slice_of(value, (size_t)literal->bytes));
	if (!await_stretch(ap))
		return;
	ap->stretch = arena_join(&im->arena, before, ap->stretch);
	ap->text = cursor_of(ap->stretch);
}

/* ---- all of them */

/* Facts of each, and what they tell against it. */
static void
await_facts(struct appending *ap)
{
	struct imap *im = ap->im;
	size_t bytes = 0;
	enum err e = await_body_end(&ap->body);
	for (uint32_t i = 0; i < ap->count && !e && !ap->refused; i++) {
		const struct appended *m = &ap->messages[i];
		struct store_append *a = &ap->appends[i];
		struct facts facts;
		e = await_body_facts_part(&ap->body, m->from, m->bytes, &im->arena, &a->facts);
		a->body = body_ref_part(&ap->body, m->from, m->bytes);
		bytes += a->facts.len + m->annotations.bytes;
		if (bytes > APPEND_FACTS_BYTES_MAX && i)
			append_refuse(ap, imap_no("LIMIT", "too much in one command, send the messages one by one"));
		if (!e && m->annotations.n && facts_open(&facts, a->facts) &&
		    !imap_annotations_fit(&m->annotations, &facts, m->bytes)) /* RFC 5257 3.2.1 */
			append_refuse(ap, imap_bad("the message has no such part"));
		if (!e && m->utf8 && !imap_utf8_accept(im) && facts_open(&facts, a->facts) &&
		    (facts.flags & FACTS_8BIT_HEADER)) /* RFC 6855 4 */
			append_refuse(ap, imap_no("CANNOT", "enable UTF8=ACCEPT before you send UTF-8 headers"));
	}
	if (e)
		refuse_append(ap, e);
}

static struct slice
append_uid(struct imap *im, const struct store_message_append_out *out)
{
	struct buf code;
	buf_init(&code, 12 * APPEND_MESSAGES_MAX + 40);
	buf_printf(&code, "APPENDUID %u ", out->uidvalidity); /* RFC 4315 3, with a set (RFC 3502) */
	imap_put_set(&code, out->uids);
	struct slice kept = slice_keep(&im->arena, buf_slice(&code));
	buf_release(&code);
	return kept;
}

static struct imap_reply
await_keep(struct appending *ap)
{
	struct imap *im = ap->im;
	await_facts(ap);
	if (ap->refused)
		return ap->refusal;
	struct imap_place p;
	struct store_message_append_in in = { .appends = ap->appends, .nappends = ap->count };
	struct store_message_append_out out = { 0 };
	enum err e = await_imap_place(im, ap->mailbox, &p);
	if (e == OK && ap->replaced && !await_imap_handle(im, im->owner, &in.replaced_handle))
		e = im->asked;
	in.mailbox = p.name;
	in.replaced = ap->replaced;
	in.replaced_mailbox = ap->replaced ? im->view.mailbox : 0;
	e = e ? e : await_imap_ask_of(im, p.owner, message_append, &in, &im->arena, &out);
	im->changed = true; /* the selected mailbox may have got them */
	if (e == OK && out.uids.len != 4 * ap->count)
		e = ERR_AGAIN;
	if (e != OK) {
		refuse_append(ap, e);
		return ap->refusal;
	}
	imap_notify_own(im, out.uidvalidity, out.uids);
	struct slice code = append_uid(im, &out);
	if (!ap->replaced)
		return imap_ok_code(code, "appended");
	/* RFC 8508 4.3: the uid comes before the EXPUNGE */
	buf_printf(&im->text, "* OK [%.*s] replacement message ready\r\n", SLICE_ARG(code));
	return await_imap_expunged(im, true, "replaced");
}

/* From step to step, to the end of the command or to where it is refused. */
static struct imap_reply
await_steps(struct appending *ap)
{
	while (!ap->refused && !ap->im->ended) {
		switch (imap_append_next(&ap->text, &ap->im->arena, &ap->parse)) {
		case APPEND_MESSAGE: message_begin(ap); break;
		case APPEND_LITERAL: await_literal(ap); break;
		case APPEND_URL: await_url(ap, ap->parse.url); break;
		case APPEND_URL_LITERAL: await_url_literal(ap); break;
		case APPEND_MESSAGE_END:
			message_end(ap);
			if (!ap->refused && message_now(ap)->nul)
				await_append_encode(ap, message_now(ap));
			break;
		case APPEND_MORE: await_more(ap); break;
		case APPEND_END: return await_keep(ap);
		case APPEND_FAULT:
			append_refuse(ap, imap_bad("a message is perhaps flags, perhaps a date, and a literal or CATENATE"));
		}
	}
	if (!ap->im->ended)
		await_drop(ap);
	return ap->refusal;
}

static struct imap_reply
await_append(struct imap *im, struct cursor *args, uint32_t replaced, const struct imap_reply *refusal)
{
	struct appending ap = { .im = im, .replaced = replaced, .text_left = APPEND_TEXT_BYTES_MAX };
	uint64_t max = im->c->conf->v.message_bytes_max;
	bool valid;
	if (!imap_take_space(args) || !imap_take_append(args, &im->arena, imap_names(im), &ap.mailbox, &valid, &ap.parse))
		append_refuse(&ap, imap_bad("APPEND takes a mailbox name and messages"));
	else if (!valid)
		append_refuse(&ap, imap_no("CANNOT", "no mailbox can have that name"));
	if (refusal && !ap.refused)
		append_refuse(&ap, *refusal);
	ap.text = *args;
	if (imap_is_append(buf_slice(&im->command), &im->arena))
		ap.stretch = buf_slice(&im->command);
	ap.skip_left = APPEND_SKIP_FACTOR * max;
	body_init(&ap.body, im->c->session, APPEND_COMMAND_FACTOR * max);
	struct imap_reply r = await_steps(&ap);
	body_release(&ap.body);
	return r;
}

struct imap_reply
imap_cmd_append(struct imap *im, struct cursor *args)
{
	return await_append(im, args, 0, NULL);
}

/* ---- REPLACE */

/* seq-number / uniqueid: the uid of the message, which is there. */
static bool
take_replaced(struct imap *im, struct cursor *args, uint32_t *uid, struct imap_reply *no)
{
	struct imap_set set;
	struct view_spans spans;
	size_t i;
	*uid = 1; /* of a message that is refused: REPLACE it is */
	*no = imap_bad("REPLACE takes the number of a message, a mailbox name and a message");
	if (!imap_take_space(args) || !imap_take_set(args, &im->arena, &set) || set.saved || set.count != 1 ||
	    (set.ranges[0].low != set.ranges[0].high))
		return false;
	*no = imap_bad("there is no message of that number");
	if (!view_resolve(&im->view, &set, im->by_uid, &im->arena, &spans))
		return false;
	struct view_walk w = view_walk_of(&spans);
	*no = imap_no("NONEXISTENT", "there is no message of that UID");
	if (!view_walk_next(&w, &i))
		return false;
	*no = imap_no("EXPUNGEISSUED", "the message is gone already"); /* RFC 5530 3 */
	*uid = im->view.rows[i].uid;
	return !(im->view.rows[i].flags & VIEW_GONE);
}

/* RFC 8508 3.2 */
struct imap_reply
imap_cmd_replace(struct imap *im, struct cursor *args)
{
	uint32_t uid;
	struct imap_reply no;
	bool found = take_replaced(im, args, &uid, &no);
	if (found && im->view.read_only) {
		no = imap_no("READ-ONLY", "the mailbox is open for reading only");
		found = false;
	}
	return await_append(im, args, uid, found ? NULL : &no);
}
