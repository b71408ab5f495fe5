/* SPDX-License-Identifier: Apache-2.0 */
/* append_url.c - URL parts of CATENATE (RFC 4469 3): bytes of messages of the user's own mailboxes, copied in pieces
 * from the store to the message under way, just as FETCH BODY.PEEK would send them. A URL of another server, user or
 * mailbox, or of what is not there (any more), is BADURL. */
#include "mail/facts.h"
#include "session/imap/append.h"
#include "session/imap/fetch.h"
#include "session/imap/url.h"

/* All that it allocates ends with the URL: there may be a thousand of them in a command. */
enum { FACTS_EXPECTED_BYTES = 16 * 1024, ENTRY_HEAD_BYTES = 8, HOST_BYTES_MAX = 255 };

/* RFC 4469 4.1, 5: the URL as it was, but for what no resp-text can hold. */
static void
bad_url(struct appending *ap, struct slice text)
{
	struct buf code;
	buf_init(&code, 3 * IMAP_URL_BYTES_MAX + 20);
	buf_put(&code, S("BADURL "));
	for (size_t i = 0; i < MIN(text.len, (size_t)IMAP_URL_BYTES_MAX); i++) {
		unsigned char c = (unsigned char)text.at[i];
		if (c <= 0x20 || c >= 0x7f || c == ']')
			buf_printf(&code, "%%%02X", c);
		else
			buf_put_char(&code, (char)c);
	}
	struct slice kept = slice_keep(&ap->im->arena, buf_slice(&code));
	buf_release(&code);
	append_refuse(ap, (struct imap_reply){ IMAP_NO, kept, "there is no such message, or part of one" });
}

/* Is it about this server, and about who is logged in here? */
static bool
await_is_own(struct imap *im, struct arena *a, const struct imap_url *url)
{
	if (!url->absolute)
		return true;
	if (!slice_equal_nocase(url->host, slice_text(im->c->conf->v.hostname)))
		return false;
	if (!url->user.len)
		return true;
	struct ipc_client *store = &im->c->session->store;
	struct store_account_open_in in = { .grant = slice_of(im->grant, im->grant_bytes) };
	struct store_account_open_out out = { 0 };
	if (await_store_account_open(store, &in, a, &out) != OK)
		return false;
	store_account_close_notify(store, &(struct store_account_close_in){ out.handle });
	return slice_equal_nocase(url->user, out.address);
}

/* A relative path begins beside the selected mailbox (RFC 2192 8). */
static enum err
await_mailbox_of(struct imap *im, struct arena *a, const struct imap_url *url, struct imap_place *p)
{
	struct slice selected = im->state == IMAP_SELECTED ? slice_text(im->view.name) : SLICE_NONE;
	*p = (struct imap_place){ im->owner, selected };
	if (!url->mailbox.len)
		return selected.len ? OK : ERR_NOT_FOUND;
	if (url->rooted || url->absolute || !selected.len)
		return await_imap_place(im, url->mailbox, p);
	ptrdiff_t slash = slice_find_last_char(selected, '/');
	p->name = arena_join(a, slice_part(selected, 0, (size_t)(slash + 1)), url->mailbox);
	return p->owner || slash >= 0 ? OK : await_imap_place(im, url->mailbox, p);
}

static enum err
await_mailbox(struct imap *im, struct arena *a, const struct imap_url *url, struct fetch_body *b)
{
	struct imap_place p;
	struct store_mailbox_status_in in = { 0 };
	struct store_mailbox_status_out out = { 0 };
	if (!await_is_own(im, a, url))
		return ERR_NOT_FOUND;
	enum err e = await_mailbox_of(im, a, url, &p);
	in.name = p.name;
	e = e ? e : await_imap_ask_of(im, p.owner, mailbox_status, &in, a, &out);
	if (e != OK)
		return e == ERR_SYNTAX ? ERR_NOT_FOUND : e;
	b->mailbox = out.mailbox.id;
	b->owner = p.owner;
	bool other = url->uidvalidity && url->uidvalidity != out.mailbox.uidvalidity;
	return b->mailbox && !other ? OK : ERR_NOT_FOUND;
}

/* How large the message is. */
static enum err
await_size(struct imap *im, struct arena *a, struct fetch_body *b)
{
	size_t got;
	char *block = await_imap_block(im, SHM_BLOCK_BYTES_MIN, SHM_BLOCK_BYTES_MIN, &got);
	if (!block)
		return ERR_AGAIN;
	struct store_message_body_in in = { .mailbox = b->mailbox, .uid = b->uid, .into = imap_region(im, block, 1) };
	struct store_message_body_out out = { 0 };
	enum err e = await_imap_ask_of(im, b->owner, message_body, &in, a, &out);
	shm_free(im->c->session->shm, block);
	b->bytes = out.total;
	return e;
}

/* One try with a block of so many bytes; *need: how many it takes. */
static enum err
await_facts_in(struct imap *im, struct arena *a, const struct fetch_body *b, size_t bytes, struct slice *record,
               uint64_t *need)
{
	char uid[4];
	size_t got;
	char *block = await_imap_block(im, bytes, bytes, &got);
	if (!block)
		return ERR_AGAIN;
	bytes_set_le(uid, b->uid, 4);
	struct store_message_facts_in in = { .mailbox = b->mailbox,
		                                 .uids = slice_of(uid, 4),
		                                 .into = imap_region(im, block, got) };
	struct store_message_facts_out out = { 0 };
	enum err e = await_imap_ask_of(im, b->owner, message_facts, &in, a, &out);
	*need = out.need > got ? out.need : 0;
	size_t filled = MIN((size_t)out.filled, got);
	size_t len = filled >= ENTRY_HEAD_BYTES ? (size_t)bytes_get_le(block + 4, 4) : 0;
	if (e == OK && !*need && filled < ENTRY_HEAD_BYTES)
		e = ERR_NOT_FOUND;
	if (e == OK && filled >= ENTRY_HEAD_BYTES)
		*record = slice_keep(a, slice_of(block + ENTRY_HEAD_BYTES, MIN(len, filled - ENTRY_HEAD_BYTES)));
	shm_free(im->c->session->shm, block);
	return e;
}

static enum err
await_facts(struct imap *im, struct arena *a, struct fetch_body *b, struct facts *facts)
{
	struct slice record = SLICE_NONE;
	uint64_t need;
	enum err e = await_facts_in(im, a, b, FACTS_EXPECTED_BYTES, &record, &need);
	if (e == OK && need)
		e = need > SHM_BLOCK_BYTES_MAX ? ERR_DAMAGED : await_facts_in(im, a, b, (size_t)need, &record, &need);
	return e ? e : await_fetch_facts(b, a, record, facts);
}

static enum err
await_copy_fields(struct appending *ap, const struct imap_url *url, struct fetch_body *b, uint64_t from, uint64_t to)
{
	struct slice header;
	struct buf chosen;
	buf_init(&chosen, FETCH_HEADER_BYTES_MAX + 2);
	enum err e = await_fetch_stretch(b, from, (size_t)(to - from), &header);
	if (e == OK) {
		fetch_section_fields(&url->section, header, &chosen);
		if (append_has_room(ap, chosen.len))
			await_append_put(ap, buf_slice(&chosen));
	}
	buf_release(&chosen);
	return e;
}

static enum err
await_copy(struct appending *ap, struct fetch_body *b, uint64_t from, uint64_t to)
{
	if (!append_has_room(ap, to - from))
		return OK;
	while (from < to && !ap->refused) {
		struct slice piece;
		enum err e = await_fetch_piece(b, from, (size_t)MIN(to - from, (uint64_t)FETCH_PIECE_BYTES), &piece);
		if (e != OK)
			return e;
		await_append_put(ap, piece);
		from += piece.len;
	}
	return OK;
}

static enum err
await_section(struct appending *ap, struct arena *a, const struct imap_url *url, struct fetch_body *b)
{
	const struct imap_section *s = &url->section;
	struct facts facts = { .flags = 0 };
	uint64_t from, to;
	enum err e = await_size(ap->im, a, b);
	if (e == OK && fetch_section_needs_facts(s))
		e = await_facts(ap->im, a, b, &facts);
	if (e != OK)
		return e;
	if (!fetch_section_find(&facts, s, b->bytes, &from, &to))
		return ERR_NOT_FOUND;
	if (s->text == SECTION_FIELDS || s->text == SECTION_FIELDS_NOT)
		return await_copy_fields(ap, url, b, from, to);
	return await_copy(ap, b, from, to);
}

void
await_append_url(struct appending *ap, struct slice text)
{
	struct imap_url url;
	struct fetch_body b;
	enum err e = ERR_NOT_FOUND;
	struct arena a;
	arena_init(&a, 0);
	fetch_body_init(&b, ap->im);
	if (imap_url_parse(text, &a, &url))
		e = await_mailbox(ap->im, &a, &url, &b);
	b.uid = e ? 0 : url.uid;
	if (e == OK)
		e = await_section(ap, &a, &url, &b);
	fetch_body_release(&b);
	arena_release(&a);
	if (e == ERR_NOT_FOUND)
		bad_url(ap, text);
	else if (e != OK)
		append_refuse(ap, imap_err(e));
}
