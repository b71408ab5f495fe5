/* SPDX-License-Identifier: Apache-2.0 */
/* fetch_ahead.c - the batch behind the one that is being sent: asked for meanwhile, in a task of its own. Called by
 * fetch_read.c. A batch holds nothing of the IMAP session, which may end before its answer comes: then it frees itself.
 * What fails here fails silently: fetch_read.c asks again, and hears why. */
#include "session/imap/fetch.h"

struct fetch_ahead {
	struct session *session;
	enum read_what what;
	uint32_t handle;
	uint64_t mailbox;
	struct fetch_batch batch;
	struct slice uids;
	struct arena arena;
	enum err e;
	bool done, forgotten;
	struct gate ready;
};

static void
ahead_free(struct fetch_ahead *a)
{
	shm_free(a->session->shm, a->batch.block);
	arena_release(&a->arena);
	free(a);
}

#define ASK(a, call, region)                                                                                           \
	do {                                                                                                               \
		struct store_##call##_in in = { (a)->handle, (a)->mailbox, (a)->uids, (region) };                              \
		struct store_##call##_out out = { 0 };                                                                         \
		(a)->e = await_store_##call(&(a)->session->store, &in, &(a)->arena, &out);                                     \
		(a)->batch.filled = MIN(out.filled, (a)->batch.got);                                                           \
		(a)->batch.last = out.last;                                                                                    \
	} while (0)

static void
await_ahead(void *arg)
{
	struct fetch_ahead *a = arg;
	struct store_region into = { shm_offset(a->session->shm, a->batch.block), a->batch.got };
	switch (a->what) {
	case READ_FACTS: ASK(a, message_facts, into); break;
	case READ_IDS: ASK(a, message_ids, into); break;
	default: ASK(a, message_bodies, into); break;
	}
	a->done = true;
	if (a->forgotten)
		ahead_free(a);
	else
		gate_open(&a->ready, OK);
}

struct fetch_ahead *
fetch_ahead_start(struct imap *im, enum read_what what, struct slice uids, size_t bytes, char **spare)
{
	struct session *s = im->c->session;
	if (im->handle_generation != s->store.generation || bytes > imap_block_share(im))
		return NULL;
	bool reuse = *spare && shm_block_bytes(s->shm, *spare) >= bytes;
	char *block = reuse ? *spare : shm_alloc(s->shm, bytes);
	if (!block)
		return NULL;
	*spare = reuse ? NULL : *spare;
	struct fetch_ahead *a = must_calloc(1, sizeof *a);
	*a = (struct fetch_ahead){ .session = s, .what = what, .handle = im->handle, .mailbox = im->view.mailbox };
	arena_init(&a->arena, 0);
	gate_init(&a->ready);
	a->batch = (struct fetch_batch){ .block = block, .got = shm_block_bytes(s->shm, block) };
	a->uids = slice_keep(&a->arena, uids);
	if (task_start(await_ahead, a))
		return a;
	ahead_free(a);
	return NULL;
}

bool
await_fetch_ahead(struct fetch_ahead **at, uint32_t uid, struct fetch_batch *out)
{
	struct fetch_ahead *a = *at;
	if (!a)
		return false;
	while (!a->done)
		if (await_gate(&a->ready, DEADLINE_NONE) != OK) { /* cancelled */
			fetch_ahead_forget(at);
			return false;
		}
	uint32_t first = (uint32_t)bytes_get_le(a->uids.at, 4);
	bool good = a->e == OK && a->batch.filled && first <= uid && uid <= a->batch.last;
	if (good) {
		*out = a->batch;
		a->batch.block = NULL;
	}
	fetch_ahead_forget(at);
	return good;
}

void
fetch_ahead_forget(struct fetch_ahead **at)
{
	struct fetch_ahead *a = *at;
	*at = NULL;
	if (!a)
		return;
	a->forgotten = true;
	if (a->done)
		ahead_free(a);
}
