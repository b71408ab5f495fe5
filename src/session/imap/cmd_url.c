/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_url.c - GENURLAUTH, RESETKEY and URLFETCH (RFC 4467, RFC 5524, PARTIAL: RFC 5550 5.7.1). Tokens are made and
 * checked by the store. What a URL means is sent in pieces, like FETCH does; a URL that is not good for whatever reason
 * is NIL. */
#include "session/imap/bodystructure.h"
#include "session/imap/url_read.h"

enum {
	URLS_MAX = 256,        /* of one command */
	TEXT_BYTES = 32 << 10, /* responses that are gathered before they are handed to the stream */
};

/* ---- GENURLAUTH */

/* RFC 4467 7: what is not to be signed is BAD. */
static const char *
await_unfit(struct imap *im, struct slice text, struct imap_url *url)
{
	if (!imap_url_parse(text, &im->arena, url) || !url->absolute)
		return "that is no URL of a message, or of a part of one, with a server";
	if (!url->user.len)
		return "the URL lacks a user before its server";
	if (!url->authorized || url->verified)
		return "the URL must end with ;URLAUTH= and an access identifier";
	if (!await_url_is_own(im, &im->arena, url))
		return "the URL is one of another server or user";
	return NULL;
}

static struct imap_reply
await_sign(struct imap *im, struct slice text, struct buf *out)
{
	struct imap_url url;
	struct imap_place p;
	struct store_url_sign_in in = { 0 };
	struct store_url_sign_out signed_out = { 0 };
	const char *unfit = await_unfit(im, text, &url);
	if (unfit)
		return imap_bad(unfit);
	enum err e = await_imap_place(im, url.mailbox, &p);
	in.name = p.name;
	in.url = (struct store_url){ url.rump, url.uid, url.expires, url.access, url.access_user };
	e = e ? e : await_imap_ask_of(im, p.owner, url_sign, &in, &im->arena, &signed_out);
	if (e == ERR_NOT_FOUND || e == ERR_SYNTAX || e == ERR_DENIED)
		return imap_bad("the URL names no mailbox that you may read");
	if (e != OK)
		return imap_err(e);
	struct buf full;
	buf_init(&full, IMAP_URL_BYTES_MAX + 100);
	buf_put(&full, text);
	buf_put(&full, S(":internal:"));
	for (size_t i = 0; i < signed_out.token.len; i++)
		buf_printf(&full, "%02x", (unsigned char)signed_out.token.at[i]);
	buf_put_char(out, ' ');
	imap_put_string(out, buf_slice(&full));
	buf_release(&full);
	return imap_ok("");
}

/* genurlauth = "GENURLAUTH" 1*(SP url-rump SP mechanism) */
struct imap_reply
imap_cmd_genurlauth(struct imap *im, struct cursor *args)
{
	struct slice url, mechanism;
	struct buf made;
	struct imap_reply r = imap_ok("");
	size_t n = 0;
	buf_init(&made, (size_t)URLS_MAX * (IMAP_URL_BYTES_MAX + 120));
	buf_put(&made, S("* GENURLAUTH"));
	do {
		if (!imap_take_space(args) || !imap_take_astring(args, &im->arena, &url) || !imap_take_space(args) ||
		    !imap_take_atom(args, &mechanism))
			r = imap_bad("GENURLAUTH takes pairs of a URL and a mechanism");
		else if (!slice_equal_nocase(mechanism, S("INTERNAL")))
			r = imap_bad("the only mechanism is INTERNAL");
		else if (n++ == URLS_MAX)
			r = imap_no("LIMIT", "there are too many URLs in one command");
		else
			r = await_sign(im, url, &made);
	} while (r.status == IMAP_OK && !take_end(args));
	buf_put(&made, S("\r\n"));
	if (r.status == IMAP_OK) {
		buf_put(&im->text, buf_slice(&made));
		r = imap_ok("done");
	}
	buf_release(&made);
	return r;
}

/* ---- RESETKEY */

/* resetkey = "RESETKEY" [SP mailbox *(SP mechanism)] */
struct imap_reply
imap_cmd_resetkey(struct imap *im, struct cursor *args)
{
	struct store_url_reset_in in = { 0 };
	struct store_url_reset_out out = { 0 };
	struct imap_place p = { 0 };
	struct slice name, mechanism;
	bool valid = true, named = !take_end(args);
	if (named && (!imap_take_space(args) || !imap_take_mailbox(args, &im->arena, imap_names(im), &name, &valid)))
		return imap_bad("RESETKEY takes nothing, or a mailbox name and mechanisms");
	while (named && !take_end(args))
		if (!imap_take_space(args) || !imap_take_atom(args, &mechanism) ||
		    !slice_equal_nocase(mechanism, S("INTERNAL")))
			return imap_bad("the only mechanism is INTERNAL");
	if (!valid)
		return imap_no("NONEXISTENT", "no mailbox can have that name");
	enum err e = named ? await_imap_place(im, name, &p) : OK;
	in.name = p.name;
	e = e ? e : await_imap_ask_of(im, p.owner, url_reset, &in, &im->arena, &out);
	if (e != OK)
		return imap_err(e);
	if (named && im->state == IMAP_SELECTED && out.url_resets && im->owner == p.owner &&
	    slice_equal(p.name, slice_of(im->view.name, im->view.name_bytes)))
		im->view.url_resets = out.url_resets; /* the tagged OK says it */
	return named ? imap_ok_code(S("URLMECH INTERNAL"), "done") : imap_ok("done");
}

/* ---- URLFETCH */

enum { WANTS_BODY = 1, WANTS_BINARY = 2, WANTS_STRUCTURE = 4 };

struct url_wanted {
	struct slice url;
	uint32_t items; /* 0: the bytes, without parentheses */
};

/* url-fetch-param = "BODY" / "BINARY" / "BODYPARTSTRUCTURE", each once, not both of the first (RFC 5524 3.1) */
static bool
take_param(struct cursor *c, uint32_t *items)
{
	struct slice word;
	if (!imap_take_atom(c, &word))
		return false;
	uint32_t item = slice_equal_nocase(word, S("BODY"))                ? (uint32_t)WANTS_BODY
	                : slice_equal_nocase(word, S("BINARY"))            ? (uint32_t)WANTS_BINARY
	                : slice_equal_nocase(word, S("BODYPARTSTRUCTURE")) ? (uint32_t)WANTS_STRUCTURE
	                                                                   : 0;
	if (!item || (*items & item))
		return false;
	*items |= item;
	return (*items & (WANTS_BODY | WANTS_BINARY)) != (WANTS_BODY | WANTS_BINARY);
}

/* url-full / "(" url-full *(SP url-fetch-param) ")" */
static bool
take_wanted(struct cursor *c, struct arena *a, struct url_wanted *w)
{
	*w = (struct url_wanted){ .items = 0 };
	if (!take_char(c, '('))
		return imap_take_astring(c, a, &w->url);
	if (!imap_take_astring(c, a, &w->url))
		return false;
	while (imap_take_space(c))
		if (!take_param(c, &w->items))
			return false;
	return take_char(c, ')');
}

static void
put_literal_head(struct buf *to, const char *begin, uint64_t bytes)
{
	buf_printf(to, "%s%llu}\r\n", begin, (unsigned long long)bytes);
}

/* Once its length was said all of it must come, or the connection is of no more use. */
static enum err
await_put_bytes(struct url_part *p)
{
	struct imap *im = p->im;
	put_literal_head(&im->text, "{", p->to - p->from);
	await_imap_text(im);
	for (uint64_t at = p->from; at < p->to && im->c->io.error == OK;) {
		struct slice piece;
		if (await_url_piece(p, at, (size_t)MIN(p->to - at, (uint64_t)FETCH_PIECE_BYTES), &piece) != OK || !piece.len)
			return stream_fail(&im->c->io, ERR_IO);
		im->c->io.deadline_ms = deadline_in_ms(im->c->idle_ms);
		(void)await_put(&im->c->io, piece);
		at += piece.len;
	}
	return im->c->io.error;
}

/* The part as it is without its transfer encoding. What is no part has none. */
static enum err
await_decode(struct url_part *p, struct fetch_binary *b, bool *known)
{
	struct facts_part part;
	uint64_t from, to;
	*known = true;
	if (p->url.section.text != SECTION_ALL || !p->url.section.depth) {
		b->bytes = p->to - p->from;
		return OK;
	}
	if (!fetch_section_part(&p->facts, &p->url.section, p->body.bytes, &part, &from, &to))
		return ERR_NOT_FOUND;
	*known = part.encoding != FACTS_ENCODING_UNKNOWN;
	return *known ? await_fetch_binary(b, &part, from, to) : OK;
}

static enum err
await_put_binary(struct url_part *p, struct fetch_binary *b, bool known)
{
	struct buf *out = &p->im->text;
	uint64_t from = 0, to = b->bytes;
	buf_put(out, S(" (BINARY "));
	if (!known) {
		buf_put(out, S("NIL)"));
		return OK;
	}
	if (p->url.section.text != SECTION_ALL || !p->url.section.depth) {
		enum err e = await_put_bytes(p);
		buf_put_char(out, ')');
		return e;
	}
	url_cut_partial(&p->url, &from, &to);
	put_literal_head(out, b->nul ? "~{" : "{", to - from);
	enum err e = await_fetch_binary_put(b, from, to);
	buf_put_char(out, ')');
	return e;
}

/* Of a part, or of the whole message; false: the URL means something else (RFC 5524 3.2). */
static bool
put_structure(struct url_part *p, const struct fetch_binary *b, bool decoded)
{
	const struct imap_section *s = &p->url.section;
	struct slice part;
	if (s->text != SECTION_ALL ||
	    !bodystructure_part(facts_get(&p->facts, FACTS_BODYSTRUCTURE), s->path, s->depth, &part))
		return false;
	buf_put(&p->im->text, S(" (BODYPARTSTRUCTURE "));
	if (decoded && s->depth)
		bodystructure_put_decoded(&p->im->text, part, b->bytes);
	else
		buf_put(&p->im->text, part);
	buf_put_char(&p->im->text, ')');
	return true;
}

/* With what was asked for in parentheses; ERR_NOT_FOUND: nothing was put yet. */
static enum err
await_put_items(struct url_part *p, uint32_t items)
{
	struct fetch_binary b;
	bool known = true;
	enum err e = OK;
	fetch_binary_init(&b, &p->body);
	if (items & WANTS_BINARY)
		e = await_decode(p, &b, &known);
	if (e == OK && (items & WANTS_STRUCTURE) && !put_structure(p, &b, (items & WANTS_BINARY) && known))
		e = ERR_NOT_FOUND;
	if (e == OK && (items & WANTS_BINARY))
		e = await_put_binary(p, &b, known);
	if (e == OK && (items & WANTS_BODY)) {
		buf_put(&p->im->text, S(" (BODY "));
		e = await_put_bytes(p);
		buf_put_char(&p->im->text, ')');
	}
	fetch_binary_release(&b);
	return e;
}

static enum err
await_url(struct imap *im, const struct url_wanted *w)
{
	struct url_part p;
	enum err e = await_url_find(&p, im, w->url, (w->items & (WANTS_BINARY | WANTS_STRUCTURE)) != 0);
	if (e == OK && !p.url.authorized) /* RFC 4467 9: url-full */
		e = ERR_NOT_FOUND;
	bool failed = e == ERR_AGAIN || e == ERR_STALE || e == ERR_SUSPENDED || e == ERR_IO || e == ERR_DAMAGED;
	if (!failed) {
		buf_put(&im->text, S("* URLFETCH "));
		imap_put_string(&im->text, w->url);
		if (e == OK && w->items) {
			e = await_put_items(&p, w->items);
		} else if (e == OK) {
			buf_put_char(&im->text, ' ');
			e = await_put_bytes(&p);
		}
		buf_put(&im->text, e && im->c->io.error == OK ? S(" NIL\r\n") : S("\r\n"));
	}
	url_part_release(&p);
	if (im->text.len > TEXT_BYTES)
		await_imap_text(im);
	return failed ? e : im->c->io.error;
}

struct imap_reply
imap_cmd_urlfetch(struct imap *im, struct cursor *args)
{
	struct url_wanted *wanted = ARENA_ARRAY(&im->arena, struct url_wanted, URLS_MAX);
	size_t n = 0;
	do {
		if (n == URLS_MAX)
			return imap_no("LIMIT", "there are too many URLs in one command");
		if (!imap_take_space(args) || !take_wanted(args, &im->arena, &wanted[n++]))
			return imap_bad("URLFETCH takes URLs, or URLs and what of them in parentheses");
	} while (!take_end(args));
	for (size_t i = 0; i < n; i++) {
		enum err e = await_url(im, &wanted[i]);
		if (e != OK)
			return imap_err(e);
	}
	return imap_ok("done");
}
