/* SPDX-License-Identifier: Apache-2.0 */
/* window.c - messages read ahead: one request to the store brings as many of the following messages as fit, so that a
 * client that fetches one after the other waits for the store once in dozens. Windows live in memory shared with the
 * store; there are at most POP3_WINDOWS_MAX, and a session that is idle loses its own to one that reads. */
#include "session/pop3/pop3.h"

#define BATCH_FIRST 8
#define ENTRY_HEAD_BYTES 8

static struct link windows = { &windows, &windows }; /* least recently used first */
static size_t nwindows;

static void
forget(struct pop3_window *w)
{
	w->nentries = w->hint = 0;
}

static void
give_up(struct pop3_window *w)
{
	if (!w->at)
		return;
	shm_free(w->pool, w->at);
	w->at = NULL;
	forget(w);
	list_remove(&w->used);
	nwindows--;
}

void
pop3_window_release(struct pop3 *p)
{
	give_up(&p->window);
}

void
pop3_window_done(struct pop3 *p)
{
	p->window.busy = false;
}

static bool
give_up_another(void)
{
	LIST_EACH (&windows, it) {
		struct pop3_window *w = CONTAINER_OF(it, struct pop3_window, used);
		if (!w->busy) {
			give_up(w);
			return true;
		}
	}
	return false;
}

enum err
pop3_window_take(struct pop3 *p)
{
	struct pop3_window *w = &p->window;
	forget(w);
	if (!w->at) {
		if (nwindows >= POP3_WINDOWS_MAX && !give_up_another())
			return ERR_AGAIN;
		w->pool = p->c->session->shm;
		w->at = shm_alloc(w->pool, POP3_WINDOW_BYTES);
		if (!w->at)
			return ERR_AGAIN;
		nwindows++;
	} else {
		list_remove(&w->used);
	}
	list_append(&windows, &w->used);
	w->busy = true;
	return OK;
}

static bool
find(struct pop3_window *w, uint32_t uid, struct slice *bytes)
{
	for (size_t tried = 0; tried < w->nentries; tried++, w->hint++) {
		if (w->hint >= w->nentries)
			w->hint = 0;
		if (w->entries[w->hint].uid != uid)
			continue;
		*bytes = slice_of(w->at + w->entries[w->hint].offset, w->entries[w->hint].bytes);
		w->hint++;
		return true;
	}
	return false;
}

/* The entries of a region: u32 uid, u32 bytes, the bytes, padded to 8. */
static bool
read_entries(struct pop3_window *w, uint32_t filled)
{
	size_t at = 0;
	while (at < filled) {
		uint32_t head[2];
		if (filled - at < ENTRY_HEAD_BYTES || w->nentries == POP3_WINDOW_MESSAGES)
			return false;
		memcpy(head, w->at + at, sizeof head);
		at += ENTRY_HEAD_BYTES;
		if (head[1] > filled - at)
			return false;
		w->entries[w->nentries].uid = head[0];
		w->entries[w->nentries].offset = (uint32_t)at;
		w->entries[w->nentries++].bytes = head[1];
		at += (head[1] + 7u) & ~7u;
	}
	return true;
}

/* The message and those after it that will fit: few when it is the first of its kind, many when it follows. */
static size_t
choose(struct pop3 *p, uint32_t number, uint32_t uids[POP3_WINDOW_MESSAGES])
{
	struct pop3_window *w = &p->window;
	w->batch = w->next == number ? POP3_WINDOW_MESSAGES : BATCH_FIRST;
	size_t n = 0, room = POP3_WINDOW_BYTES, i = number - 1;
	for (; i < p->nmessages && n < w->batch; i++) {
		size_t need = ENTRY_HEAD_BYTES + (size_t)p->messages[i].bytes + 7;
		if (p->messages[i].deleted)
			continue;
		if (need > room)
			break;
		room -= need;
		uids[n++] = p->messages[i].uid;
	}
	w->next = i + 1;
	return n;
}

static enum err
await_fill_window(struct pop3 *p, uint32_t number)
{
	struct pop3_window *w = &p->window;
	uint32_t uids[POP3_WINDOW_MESSAGES];
	size_t n = choose(p, number, uids);
	if (n == 0)
		return ERR_LIMIT;
	struct store_message_bodies_in in = { .uids = slice_of(uids, n * sizeof uids[0]) };
	struct store_message_bodies_out out;
	in.into = (struct store_region){ shm_offset(w->pool, w->at), POP3_WINDOW_BYTES };
	enum err e = await_maildrop_bodies(p, &in, &out);
	if (e)
		return e;
	if (out.filled == 0 && out.need > 0)
		return ERR_LIMIT;
	return out.filled <= POP3_WINDOW_BYTES && read_entries(w, out.filled) ? OK : ERR_DAMAGED;
}

enum err
await_window(struct pop3 *p, uint32_t number, struct slice *bytes)
{
	struct pop3_window *w = &p->window;
	uint32_t uid = p->messages[number - 1].uid;
	if (w->at && find(w, uid, bytes)) {
		w->busy = true;
		return OK;
	}
	enum err e = pop3_window_take(p);
	if (!e)
		e = await_fill_window(p, number);
	if (!e && !find(w, uid, bytes))
		e = ERR_NOT_FOUND;
	if (e)
		pop3_window_done(p);
	return e;
}
