/* SPDX-License-Identifier: Apache-2.0 */
/* maildrop.c - INBOX as POP3 sees it: opened and locked at login, numbered once, asked through a handle. When the store
 * was started again the handle and the lock are taken anew with the grant, and the session goes on. */
#include "session/pop3/pop3.h"

#include "base/clock.h"
#include "store/rows.h"

#define ROWS_BYTES (1u << 20)
#define DAY_SEC 86400
#define UIDLS_BYTES_MAX (POP3_MESSAGES_MAX * 71u)
#define EXPUNGE_MAX 65536 /* uids in one request */

void
maildrop_close(struct pop3 *p)
{
	struct ipc_client *store = &p->c->session->store;
	if (p->open && p->generation == store->generation)
		store_account_close_notify(store, &(struct store_account_close_in){ p->handle });
	p->open = false;
}

/* RFC 1939 3: one session at a time. */
static enum err
await_lock(struct pop3 *p)
{
	struct store_maildrop_lock_in in = { p->handle };
	struct store_maildrop_lock_out out;
	enum err e = await_store_maildrop_lock(&p->c->session->store, &in, p->arena, &out);
	if (e) {
		maildrop_close(p);
		return e;
	}
	p->expire_days = out.expire_days;
	p->hide_days = out.hide_days;
	p->has_uidls = out.uidls;
	return OK;
}

static enum err
await_handle(struct pop3 *p)
{
	struct ipc_client *store = &p->c->session->store;
	if (p->open && p->generation == store->generation)
		return OK;
	p->open = false;
	struct store_account_open_in in = { .grant = p->grant };
	struct store_account_open_out out;
	enum err e = await_store_account_open(store, &in, p->arena, &out);
	if (e)
		return e;
	p->handle = out.handle;
	p->generation = store->generation;
	p->open = true;
	return await_lock(p);
}

/* Whether a call is to be made again on a new handle: once. */
static bool
again(struct pop3 *p, enum err e, unsigned *tries)
{
	if ((e != ERR_STALE && e != ERR_AGAIN) || (*tries)++)
		return false;
	maildrop_close(p);
	return true;
}

enum err
await_maildrop_bodies(struct pop3 *p, struct store_message_bodies_in *in, struct store_message_bodies_out *out)
{
	enum err e;
	unsigned tries = 0;
	do {
		e = await_handle(p);
		in->handle = p->handle;
		in->mailbox = p->mailbox;
		if (!e)
			e = await_store_message_bodies(&p->c->session->store, in, p->arena, out);
	} while (again(p, e, &tries));
	return e;
}

enum err
await_maildrop_piece(struct pop3 *p, struct store_message_body_in *in, struct store_message_body_out *out)
{
	enum err e;
	unsigned tries = 0;
	do {
		e = await_handle(p);
		in->handle = p->handle;
		in->mailbox = p->mailbox;
		if (!e)
			e = await_store_message_body(&p->c->session->store, in, p->arena, out);
	} while (again(p, e, &tries));
	return e;
}

static enum err
await_expunge_some(struct pop3 *p, const uint32_t *uids, size_t n, bool *more)
{
	struct store_message_expunge_out out = { 0 };
	enum err e;
	unsigned tries = 0;
	do {
		e = await_handle(p);
		struct store_message_expunge_in in = { p->handle, p->mailbox, slice_of(uids, n * sizeof *uids), true };
		if (!e)
			e = await_store_message_expunge(&p->c->session->store, &in, p->arena, &out);
	} while (again(p, e, &tries)); /* uids that went already do no harm */
	*more = out.more;
	return e;
}

enum err
await_maildrop_expunge(struct pop3 *p, const uint32_t *uids, size_t n)
{
	enum err e = OK;
	for (size_t at = 0; at < n && !e; at += EXPUNGE_MAX) {
		bool more = true;
		while (more && !e) {
			e = await_expunge_some(p, uids + at, MIN(n - at, (size_t)EXPUNGE_MAX), &more);
			arena_clear(p->arena);
		}
	}
	return e;
}

static bool
keep_rows(struct pop3 *p, const char *at, uint32_t filled, uint32_t *last)
{
	size_t n = filled / INDEX_ROW_BYTES, room = POP3_MESSAGES_MAX - p->nmessages;
	n = MIN(n, room);
	int64_t oldest = p->hide_days ? clock_wall_sec() - (int64_t)p->hide_days * DAY_SEC : INT64_MIN;
	p->messages = must_realloc(p->messages, (p->nmessages + n + 1) * sizeof *p->messages);
	for (size_t i = 0; i < n; i++) {
		struct index_row row;
		memcpy(&row, at + i * INDEX_ROW_BYTES, sizeof row);
		*last = row.uid;
		if (row.received >= oldest)
			p->messages[p->nmessages++] = (struct pop3_message){ .uid = row.uid, .bytes = row.bytes };
	}
	return n > 0 && p->nmessages < POP3_MESSAGES_MAX;
}

/* Not for writing: what POP3 reads stays \Recent for IMAP. */
static enum err
await_rows(struct pop3 *p, char *at)
{
	struct session *s = p->c->session;
	struct store_mailbox_open_in in = { .handle = p->handle, .name = S("INBOX"), .from_uid = 1 };
	in.into = (struct store_region){ shm_offset(s->shm, at), ROWS_BYTES };
	for (bool more = true; more;) {
		struct store_mailbox_open_out out;
		uint32_t last = 0;
		enum err e = await_store_mailbox_open(&s->store, &in, p->arena, &out);
		if (e)
			return e;
		p->mailbox = out.mailbox.id;
		p->uidvalidity = out.mailbox.uidvalidity;
		more = out.filled <= ROWS_BYTES && keep_rows(p, at, out.filled, &last) && out.more;
		if (more)
			in.from_uid = last + 1;
		arena_clear(p->arena);
	}
	return OK;
}

/* Both lists are in order of uids. */
static void
keep_uidls(struct pop3 *p, const struct store_maildrop_uidls_out *out, size_t *at)
{
	for (uint32_t i = 0; i < out->nuidls; i++) {
		while (*at < p->nmessages && p->messages[*at].uid < out->uidls[i].uid)
			++*at;
		if (*at == p->nmessages || p->messages[*at].uid != out->uidls[i].uid)
			continue;
		p->messages[*at].uidl = (uint32_t)p->uidls.len + 1;
		buf_put(&p->uidls, out->uidls[i].uidl);
		buf_put_char(&p->uidls, '\0');
	}
}

static enum err
await_uidls(struct pop3 *p)
{
	struct store_maildrop_uidls_in in = { .handle = p->handle, .mailbox = p->mailbox };
	size_t at = 0;
	buf_release(&p->uidls);
	buf_init(&p->uidls, UIDLS_BYTES_MAX);
	for (bool more = p->has_uidls; more;) {
		struct store_maildrop_uidls_out out;
		enum err e = await_store_maildrop_uidls(&p->c->session->store, &in, p->arena, &out);
		if (e)
			return e;
		keep_uidls(p, &out, &at);
		more = out.more && out.nuidls > 0;
		if (more)
			in.after = out.uidls[out.nuidls - 1].uid;
		arena_clear(p->arena);
	}
	return p->uidls.over ? ERR_LIMIT : OK;
}

void
maildrop_tell_fetched(struct pop3 *p, size_t n)
{
	struct ipc_client *store = &p->c->session->store;
	struct store_message_fetched_in in = { p->handle, p->mailbox, slice_of(p->fetched, n * sizeof p->fetched[0]) };
	if (n && p->open && p->generation == store->generation)
		store_message_fetched_notify(store, &in);
	p->nfetched -= n;
	memmove(p->fetched, p->fetched + n, p->nfetched * sizeof p->fetched[0]);
}

void
maildrop_fetched(struct pop3 *p, uint32_t uid)
{
	if (!p->expire_days)
		return;
	if (p->nfetched == POP3_FETCHED_MAX)
		maildrop_tell_fetched(p, p->nfetched);
	p->fetched[p->nfetched++] = uid;
}

enum err
await_maildrop_open(struct pop3 *p)
{
	struct session *s = p->c->session;
	enum err e = await_handle(p);
	if (e)
		return e;
	char *at = shm_alloc(s->shm, ROWS_BYTES);
	p->nmessages = p->ndeleted = 0;
	e = at ? await_rows(p, at) : ERR_AGAIN;
	if (at)
		shm_free(s->shm, at);
	e = e ? e : await_uidls(p);
	if (e)
		maildrop_close(p);
	return e;
}

struct pop3_message *
maildrop_message(struct pop3 *p, uint32_t number)
{
	if (number == 0 || number > p->nmessages || p->messages[number - 1].deleted)
		return NULL;
	return &p->messages[number - 1];
}
