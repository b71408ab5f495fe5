/* SPDX-License-Identifier: Apache-2.0 */
/* url_read.c - finds what an IMAP URL means (RFC 5092), just as FETCH BODY.PEEK would send it. A URL without URLAUTH is
 * about mailboxes that the user may read; with URLAUTH the store looks whether it is good (RFC 4467 6), and gives a
 * handle for that one message. A URL of another server, or of what is not there, is answered with ERR_NOT_FOUND. */
#include "session/imap/url_read.h"

enum { FACTS_EXPECTED_BYTES = 16 * 1024, ENTRY_HEAD_BYTES = 8 };

static bool
is_here(const struct imap *im, const struct imap_url *url)
{
	return slice_equal_nocase(url->host, slice_text(im->c->conf->v.hostname));
}

bool
await_url_is_own(struct imap *im, struct arena *a, const struct imap_url *url)
{
	if (!url->absolute)
		return true;
	if (!is_here(im, url))
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

/* A relative path begins beside the selected mailbox (RFC 5092 7.1). */
static enum err
await_place_of(struct url_part *p, struct imap_place *place)
{
	struct imap *im = p->im;
	const struct imap_url *url = &p->url;
	struct slice selected = im->state == IMAP_SELECTED ? slice_text(im->view.name) : SLICE_NONE;
	*place = (struct imap_place){ im->owner, selected };
	if (!url->mailbox.len)
		return selected.len ? OK : ERR_NOT_FOUND;
	if (url->rooted || url->absolute || !selected.len)
		return await_imap_place(im, url->mailbox, place);
	ptrdiff_t slash = slice_find_last_char(selected, '/');
	place->name = arena_join(&p->arena, slice_part(selected, 0, (size_t)(slash + 1)), url->mailbox);
	return place->owner || slash >= 0 ? OK : await_imap_place(im, url->mailbox, place);
}

static enum err
await_mailbox(struct url_part *p)
{
	struct imap_place place;
	struct store_mailbox_status_in in = { 0 };
	struct store_mailbox_status_out out = { 0 };
	if (!await_url_is_own(p->im, &p->arena, &p->url))
		return ERR_NOT_FOUND;
	enum err e = await_place_of(p, &place);
	in.name = place.name;
	e = e ? e : await_imap_ask_of(p->im, place.owner, mailbox_status, &in, &p->arena, &out);
	if (e != OK)
		return e == ERR_SYNTAX ? ERR_NOT_FOUND : e;
	p->body.mailbox = out.mailbox.id;
	p->body.owner = place.owner;
	bool other = p->url.uidvalidity && p->url.uidvalidity != out.mailbox.uidvalidity;
	return p->body.mailbox && !other ? OK : ERR_NOT_FOUND;
}

/* RFC 4467 6: who let it sign is named in the URL, and the mailbox is one that he sees. */
static enum err
await_authorized(struct url_part *p)
{
	const struct imap_url *url = &p->url;
	struct store_url_open_in *in = &p->opening;
	struct slice owner, name;
	bool is_public = false;
	uint32_t handle;
	if (!url->absolute || !is_here(p->im, url) || !url->user.len || url->user.len > IMAP_URL_USER_BYTES_MAX ||
	    url->mailbox.len > 1000 || !url->token.len || !imap_split_place(url->mailbox, &owner, &is_public, &name))
		return ERR_NOT_FOUND;
	*in = (struct store_url_open_in){ .signer = url->user, .name = name, .token = url->token };
	*(is_public ? &in->public : &in->address) = owner;
	in->url = (struct store_url){ url->rump, url->uid, url->expires, url->access, url->access_user };
	p->signer.url = in;
	if (!await_imap_handle(p->im, &p->signer, &handle))
		return p->im->asked;
	p->body.mailbox = p->signer.opened.mailbox;
	p->body.owner = &p->signer;
	return url->uidvalidity && url->uidvalidity != p->signer.opened.uidvalidity ? ERR_NOT_FOUND : OK;
}

/* How large the message is. */
static enum err
await_size(struct url_part *p)
{
	size_t got;
	struct fetch_body *b = &p->body;
	char *block = await_imap_block(p->im, SHM_BLOCK_BYTES_MIN, SHM_BLOCK_BYTES_MIN, &got);
	if (!block)
		return ERR_AGAIN;
	struct store_message_body_in in = { .mailbox = b->mailbox, .uid = b->uid, .into = imap_region(p->im, block, 1) };
	struct store_message_body_out out = { 0 };
	enum err e = await_imap_ask_of(p->im, b->owner, message_body, &in, &p->arena, &out);
	shm_free(p->im->c->session->shm, block);
	b->bytes = out.total;
	return e;
}

/* One try with a block of so many bytes; *need: how many it takes. */
static enum err
await_facts_in(struct url_part *p, size_t bytes, struct slice *record, uint64_t *need)
{
	char uid[4];
	size_t got;
	char *block = await_imap_block(p->im, bytes, bytes, &got);
	if (!block)
		return ERR_AGAIN;
	bytes_set_le(uid, p->body.uid, 4);
	struct store_message_facts_in in = { .mailbox = p->body.mailbox,
		                                 .uids = slice_of(uid, 4),
		                                 .into = imap_region(p->im, block, got) };
	struct store_message_facts_out out = { 0 };
	enum err e = await_imap_ask_of(p->im, p->body.owner, message_facts, &in, &p->arena, &out);
	*need = out.need > got ? out.need : 0;
	size_t filled = MIN((size_t)out.filled, got);
	size_t len = filled >= ENTRY_HEAD_BYTES ? (size_t)bytes_get_le(block + 4, 4) : 0;
	if (e == OK && !*need && filled < ENTRY_HEAD_BYTES)
		e = ERR_NOT_FOUND;
	if (e == OK && filled >= ENTRY_HEAD_BYTES)
		*record = slice_keep(&p->arena, slice_of(block + ENTRY_HEAD_BYTES, MIN(len, filled - ENTRY_HEAD_BYTES)));
	shm_free(p->im->c->session->shm, block);
	return e;
}

static enum err
await_facts(struct url_part *p)
{
	struct slice record = SLICE_NONE;
	uint64_t need;
	enum err e = await_facts_in(p, FACTS_EXPECTED_BYTES, &record, &need);
	if (e == OK && need)
		e = need > SHM_BLOCK_BYTES_MAX ? ERR_DAMAGED : await_facts_in(p, (size_t)need, &record, &need);
	return e ? e : await_fetch_facts(&p->body, &p->arena, record, &p->facts);
}

void
url_cut_partial(const struct imap_url *url, uint64_t *from, uint64_t *to)
{
	if (!url->partial)
		return;
	*from += MIN(url->from, *to - *from);
	*to = MIN(*to, *from + MIN(url->count, *to - *from));
}

static enum err
await_fields(struct url_part *p)
{
	struct slice header;
	enum err e = await_fetch_stretch(&p->body, p->from, (size_t)(p->to - p->from), &header);
	if (e == OK)
		fetch_section_fields(&p->url.section, header, &p->fields);
	p->in_fields = true;
	p->from = 0;
	p->to = p->fields.len;
	return e;
}

static enum err
await_section(struct url_part *p, bool with_facts)
{
	const struct imap_section *s = &p->url.section;
	enum err e = await_size(p);
	if (e == OK && (with_facts || fetch_section_needs_facts(s)))
		e = await_facts(p);
	if (e != OK)
		return e;
	if (!fetch_section_find(&p->facts, s, p->body.bytes, &p->from, &p->to))
		return ERR_NOT_FOUND;
	if (s->text == SECTION_FIELDS || s->text == SECTION_FIELDS_NOT)
		e = await_fields(p);
	url_cut_partial(&p->url, &p->from, &p->to);
	return e;
}

enum err
await_url_find(struct url_part *p, struct imap *im, struct slice text, bool with_facts)
{
	*p = (struct url_part){ .im = im };
	arena_init(&p->arena, 0);
	buf_init(&p->fields, FETCH_HEADER_BYTES_MAX + 2);
	fetch_body_init(&p->body, im);
	if (!imap_url_parse(text, &p->arena, &p->url))
		return ERR_NOT_FOUND;
	enum err e = p->url.authorized ? await_authorized(p) : await_mailbox(p);
	p->body.uid = p->url.uid;
	return e ? e : await_section(p, with_facts);
}

void
url_part_release(struct url_part *p)
{
	struct ipc_client *store = &p->im->c->session->store;
	if (p->signer.handle_generation && p->signer.handle_generation == store->generation)
		store_account_close_notify(store, &(struct store_account_close_in){ p->signer.handle });
	fetch_body_release(&p->body);
	buf_release(&p->fields);
	arena_release(&p->arena);
}

enum err
await_url_piece(struct url_part *p, uint64_t from, size_t len, struct slice *out)
{
	if (!p->in_fields)
		return await_fetch_piece(&p->body, from, MIN(len, (size_t)FETCH_PIECE_BYTES), out);
	*out = slice_part(buf_slice(&p->fields), (size_t)from, len);
	return OK;
}
