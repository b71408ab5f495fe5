/* SPDX-License-Identifier: Apache-2.0 */
/* indexer.c - the indexer role: makes in the background what SEARCH wants to find ready. It asks the store which
 * mailboxes have messages without a text, hands their bodies to scan, which takes them apart, and gives the texts back
 * to the store. It looks into nothing itself, keeps nothing, and works on one message at a time, half of the time at
 * most, and hardly at all while mail comes in fast.
 *
 * A message that scan cannot read (or ends over) gets a text that says that nothing is known, so that it is not tried
 * for ever. Fails: when store or scan are away it asks again later; what was not kept is asked for again. */
#include "base/log.h"
#include "mail/search_pack.h"
#include "role/role.h"
#include "scan/rows.h"
#include "scan_msg.h"
#include "store_msg.h"

#include <sys/mman.h>
#include <unistd.h>

enum {
	SCANS_MAX = 16,
	WANTED_MAX = 64, /* of store.msg */
	BUSY_MAX = 8,    /* texts in a second while mail comes in fast */
	BUSY_WAIT_MS = 1000,
	RETRY_MS = 1000,
	TRIES_MAX = 2,
	PUT_BYTES = 1 << 20, /* texts that are given to the store together */
	REST_MS_MAX = 200,
	TEXT_HEAD_BYTES = 24, /* of an entry of texts_get */
};
#define SHM_BYTES (2u * SHM_BLOCK_BYTES_MAX)

struct indexer {
	struct conf *conf;
	struct ipc_client store, scan[SCANS_MAX];
	size_t nscan, next_scan;
	struct shm_pool *shm;
	char *block; /* SHM_BLOCK_BYTES_MAX, for the body or the texts under way, and for a pack */
	bool serving, working, again, stopping;
	struct gate idle;
	struct timer wake;
};

/* The body under way: in shared memory, a large one in a file without a name. */
struct body {
	int file;
	uint64_t bytes;
};

/* ---- one message */

static enum err
await_body(struct indexer *x, struct arena *a, const struct store_text_body_in *of, struct body *b)
{
	struct store_text_body_in in = *of;
	in.into = (struct store_region){ shm_offset(x->shm, x->block), SHM_BLOCK_BYTES_MAX };
	for (;;) {
		struct store_text_body_out out = { 0 };
		enum err e = await_store_text_body(&x->store, &in, a, &out);
		if (e)
			return e;
		bool whole = in.from == 0 && out.filled == out.total;
		b->bytes = in.from + MIN(out.filled, SHM_BLOCK_BYTES_MAX);
		if (whole)
			return OK;
		if (b->file < 0)
			b->file = memfd_create("posthouse-text", MFD_CLOEXEC);
		if (b->file < 0 || pwrite(b->file, x->block, out.filled, (off_t)in.from) != (ssize_t)out.filled)
			return ERR_AGAIN;
		in.from = b->bytes;
		if (out.filled == 0 || in.from >= out.total)
			return OK;
	}
}

/* No scan is asked twice in a row when there are several: one may have ended over the message. */
static enum err
await_scan(struct indexer *x, struct arena *a, const struct body *b, struct slice *text)
{
	struct scan_text_in in = { .file = b->file, .bytes = b->bytes, .max = (uint32_t)x->conf->v.search_text_bytes };
	struct scan_text_out out = { 0 };
	in.off = b->file < 0 ? shm_offset(x->shm, x->block) : 0;
	enum err e = ERR_AGAIN;
	for (unsigned tries = 0; tries < TRIES_MAX && e == ERR_AGAIN && !x->stopping; tries++)
		e = await_scan_text(&x->scan[x->nscan ? x->next_scan++ % x->nscan : 0], &in, a, &out);
	*text = out.text;
	return e;
}

static struct slice
nothing_known(struct arena *a)
{
	struct buf record, packed;
	buf_init(&record, SEARCH_TEXT_HEAD_BYTES);
	buf_init(&packed, 2 * SEARCH_TEXT_HEAD_BYTES);
	search_text_make_unknown(&record);
	search_text_pack(buf_slice(&record), &packed);
	struct slice kept = slice_keep(a, buf_slice(&packed));
	buf_release(&record);
	buf_release(&packed);
	return kept;
}

/* ERR_NOT_FOUND: the message went meanwhile. */
static enum err
await_text(struct indexer *x, struct arena *a, const struct store_text_body_in *of, struct slice *text)
{
	struct body b = { .file = -1 };
	enum err e = await_body(x, a, of, &b);
	bool read = e == OK;
	if (read)
		e = await_scan(x, a, &b, text);
	if (b.file >= 0)
		close(b.file);
	if (x->stopping)
		return ERR_CLOSED;
	if (e == ERR_DAMAGED || (e && read)) {
		log_event(LOG_WARN, "search.text", "why", "a message cannot be read: it is searched by itself each time");
		*text = nothing_known(a);
		return OK;
	}
	return e;
}

/* ---- one mailbox */

struct gathered {
	struct store_text texts[WANTED_MAX];
	uint32_t n;
	size_t bytes;
};

static enum err
await_put(struct indexer *x, struct arena *a, uint64_t account, uint64_t mailbox, uint32_t upto, struct gathered *g)
{
	struct store_texts_put_in in = {
		.account = account, .mailbox = mailbox, .upto = upto, .texts = g->texts, .ntexts = g->n
	};
	struct store_texts_put_out out;
	g->n = 0;
	g->bytes = 0;
	return await_store_texts_put(&x->store, &in, a, &out);
}

static enum err
await_texts(struct indexer *x, struct arena *a, uint64_t account, uint64_t mailbox,
            const struct store_texts_wanted_out *w)
{
	struct gathered g = { .n = 0 };
	enum err e = OK;
	for (uint32_t i = 0; i < w->nwanted && !e; i++) {
		struct store_text_body_in of = { .account = account, .mailbox = mailbox, .uid = w->wanted[i].uid };
		struct slice text;
		e = await_text(x, a, &of, &text);
		if (!e) {
			g.texts[g.n++] = (struct store_text){ w->wanted[i].object, text };
			g.bytes += text.len;
		}
		e = e == ERR_NOT_FOUND ? OK : e;
		if (!e && g.bytes > PUT_BYTES / 2)
			e = await_put(x, a, account, mailbox, w->wanted[i].uid, &g);
	}
	return e ? e : await_put(x, a, account, mailbox, w->upto, &g);
}

/* As long a rest as the work took; a second while changes come in fast. */
static enum err
await_rest(int64_t begun, bool busy)
{
	return await_sleep(busy ? (int64_t)BUSY_WAIT_MS : MIN(clock_mono_ms() - begun, (int64_t)REST_MS_MAX));
}

static enum err
await_all_texts(struct indexer *x, uint64_t account, uint64_t mailbox, bool *busy)
{
	enum err e = OK;
	struct arena a;
	arena_init(&a, 256u << 20);
	while (e == OK && !x->stopping) {
		struct store_texts_wanted_in in = { account, mailbox, *busy ? BUSY_MAX : WANTED_MAX };
		struct store_texts_wanted_out out = { 0 };
		int64_t begun = clock_mono_ms();
		arena_clear(&a);
		e = await_store_texts_wanted(&x->store, &in, &a, &out);
		if (e || (out.nwanted == 0 && out.upto == 0))
			break;
		e = await_texts(x, &a, account, mailbox, &out);
		*busy = out.busy;
		e = e ? e : await_rest(begun, *busy);
	}
	arena_release(&a);
	return e;
}

/* ---- packs */

/* A message without a text is always proposed. */
static void
add_text(struct search_packer *p, struct buf *record, uint32_t uid, uint64_t object, struct slice packed,
         struct slice facts)
{
	struct search_text t;
	if (!search_text_unpack(packed, record) || !search_text_open(&t, buf_slice(record))) {
		search_text_make_unknown(record);
		ASSERT(search_text_open(&t, buf_slice(record)));
	}
	(void)search_packer_add(p, uid, object, &t, facts);
}

/* Entries of texts_get into the packer; *upto: the last uid of them. False: it is full, or they make no sense. */
static bool
add_entries(struct indexer *x, struct search_packer *p, struct buf *record, uint32_t filled, uint32_t *upto)
{
	for (uint32_t at = 0; filled - at >= TEXT_HEAD_BYTES;) {
		const char *entry = x->block + at;
		uint32_t uid = (uint32_t)bytes_get_le(entry, 4), text = (uint32_t)bytes_get_le(entry + 4, 4);
		uint64_t facts = bytes_get_le(entry + 16, 8), left = filled - at - TEXT_HEAD_BYTES;
		if (text > left || facts > left - text || uid <= *upto)
			return false;
		if (search_packer_is_full(p))
			return false;
		entry += TEXT_HEAD_BYTES;
		add_text(p, record, uid, bytes_get_le(entry - 16, 8), slice_of(entry, text), slice_of(entry + text, facts));
		*upto = uid;
		at += TEXT_HEAD_BYTES + ((text + (uint32_t)facts + 7) & ~7u);
	}
	return true;
}

/* Texts of the messages wanted, as many as make a pack; *upto: the last one in it. */
static enum err
await_gather(struct indexer *x, struct arena *a, struct store_texts_get_in *in, struct search_packer *p, uint32_t *upto)
{
	struct buf record;
	enum err e = OK;
	buf_init(&record, SEARCH_TEXT_BYTES_MAX);
	*upto = in->from - 1;
	for (bool more = true; more && !e;) {
		struct store_texts_get_out out = { 0 };
		in->from = *upto + 1;
		in->into = (struct store_region){ shm_offset(x->shm, x->block), SHM_BLOCK_BYTES_MAX };
		e = await_store_texts_get(&x->store, in, a, &out);
		more = !e && add_entries(x, p, &record, MIN(out.filled, SHM_BLOCK_BYTES_MAX), upto) && out.last != 0;
		e = e || !more ? e : await_sleep(1);
	}
	buf_release(&record);
	return e;
}

/* False: it became too large, which only fewer messages help. */
static bool
make_pack(struct indexer *x, struct search_packer *p, size_t *bytes)
{
	struct buf pack;
	buf_init(&pack, SEARCH_PACK_BYTES_MAX);
	search_packer_finish(p, &pack);
	bool fits = !pack.over;
	*bytes = pack.len;
	if (fits)
		memcpy(x->block, pack.at, pack.len);
	buf_release(&pack);
	return fits;
}

/* max: of messages; halved when the pack became too large. */
static enum err
await_pack(struct indexer *x, struct arena *a, uint64_t account, uint64_t mailbox,
           const struct store_pack_wanted_out *w, uint32_t *max)
{
	struct search_packer *p = search_packer_new();
	struct store_texts_get_in in = { .account = account, .mailbox = mailbox, .from = w->from, .upto = w->upto };
	struct store_pack_put_in put = { .account = account, .mailbox = mailbox, .from = w->from };
	size_t bytes = 0;
	enum err e = await_gather(x, a, &in, p, &put.upto);
	put.count = (uint32_t)search_packer_count(p);
	if (!e && put.count && make_pack(x, p, &bytes)) {
		put.pack = (struct store_region){ shm_offset(x->shm, x->block), bytes };
		e = await_store_pack_put(&x->store, &put, a, &(struct store_pack_put_out){ 0 });
		*max = 0;
	} else if (!e) {
		*max = MAX(put.count / 2, 1u);
	}
	search_packer_free(&p);
	return e;
}

static enum err
await_all_packs(struct indexer *x, uint64_t account, uint64_t mailbox)
{
	enum err e = OK;
	struct arena a;
	uint32_t max = 0;
	arena_init(&a, 256u << 20);
	while (e == OK && !x->stopping) {
		struct store_pack_wanted_in in = { account, mailbox, max };
		struct store_pack_wanted_out out = { 0 };
		int64_t begun = clock_mono_ms();
		arena_clear(&a);
		e = await_store_pack_wanted(&x->store, &in, &a, &out);
		if (e || (!out.drop && out.upto == 0))
			break;
		if (out.drop)
			e = await_store_packs_drop(&x->store, &(struct store_packs_drop_in){ account, mailbox }, &a,
			                           &(struct store_packs_drop_out){ 0 });
		else
			e = await_pack(x, &a, account, mailbox, &out, &max);
		e = e ? e : await_rest(begun, out.busy);
	}
	arena_release(&a);
	return e == ERR_STALE ? OK : e; /* somebody began all over: it is asked again after the next change */
}

static enum err
await_mailbox(struct indexer *x, uint64_t account, uint64_t mailbox, bool busy)
{
	enum err e = await_all_texts(x, account, mailbox, &busy);
	if (e == OK)
		e = await_all_packs(x, account, mailbox);
	return e == ERR_NOT_FOUND ? OK : e; /* the mailbox went meanwhile */
}

/* ---- the work */

static void
await_work(struct indexer *x)
{
	struct arena a;
	enum err e = OK;
	arena_init(&a, 0);
	while (e == OK && !x->stopping) {
		struct store_index_next_out out = { 0 };
		arena_clear(&a);
		e = await_store_index_next(&x->store, &(struct store_index_next_in){ 0 }, &a, &out);
		if (e || out.account == 0)
			break;
		e = await_mailbox(x, out.account, out.mailbox, out.busy);
	}
	arena_release(&a);
	if (e && !x->stopping)
		timer_set(&x->wake, deadline_in_ms(RETRY_MS));
}

static void
work_task(void *arg)
{
	struct indexer *x = arg;
	do {
		x->again = false;
		await_work(x);
	} while (x->again && !x->stopping);
	x->working = false;
	gate_open(&x->idle, OK);
}

static void
work(struct indexer *x)
{
	x->again = true;
	if (x->working || x->stopping || !x->serving)
		return;
	x->working = true;
	if (task_start(work_task, x))
		return;
	x->working = false;
	timer_set(&x->wake, deadline_in_ms(RETRY_MS));
}

static void
wake_fired(struct timer *t)
{
	work(CONTAINER_OF(t, struct indexer, wake));
}

/* ---- the role */

static void
on_ready(struct ipc_client *c, const struct store_index_ready_in *in)
{
	work(c->owner);
}

static void
on_connected(struct ipc_client *c)
{
	work(c->owner);
}

static const struct store_listener store_heard = { .index_ready = on_ready, .connected = on_connected };

static void
prepare(struct indexer *x)
{
	if (x->shm)
		return;
	x->shm = shm_pool_new(SHM_BYTES);
	ASSERT(x->shm != NULL);
	x->block = shm_alloc(x->shm, SHM_BLOCK_BYTES_MAX);
	ASSERT(x->block != NULL);
	ipc_client_init(&x->store, &store_protocol, &store_heard, x);
	x->store.shm = x->shm;
	for (size_t i = 0; i < SCANS_MAX; i++) {
		ipc_client_init(&x->scan[i], &scan_protocol, NULL, x);
		x->scan[i].shm = x->shm;
	}
	gate_init(&x->idle);
	x->wake.fire = wake_fired;
}

static enum err
configure(void *self, const struct conf *conf, const char **why)
{
	struct indexer *x = self;
	prepare(x);
	struct conf *old = x->conf;
	x->conf = conf_keep((struct conf *)conf);
	conf_free(&old);
	return OK;
}

static void
peer(void *self, enum role_id role, uint32_t index, int fd)
{
	struct indexer *x = self;
	if (role == ROLE_STORE) {
		ipc_client_connect(&x->store, fd);
	} else if (index < SCANS_MAX) {
		x->nscan = MAX(x->nscan, (size_t)index + 1);
		ipc_client_connect(&x->scan[index], fd);
	} else {
		close(fd);
	}
}

static enum err
await_go(void *self, const char **why)
{
	struct indexer *x = self;
	x->serving = true;
	work(x);
	return OK;
}

static void
await_stop(void *self, int64_t grace_ms)
{
	struct indexer *x = self;
	x->stopping = true;
	timer_cancel(&x->wake);
	int64_t deadline = deadline_in_ms(grace_ms);
	while (x->working && await_gate(&x->idle, deadline) == OK)
		;
}

const struct role role_indexer = {
	.name = "indexer",
	.id = ROLE_INDEXER,
	.class_bit = IPC_CLASS_INDEXER,
	.asks = 1u << ROLE_STORE | 1u << ROLE_SCAN,
	.state_bytes = sizeof(struct indexer),
	.configure = configure,
	.peer = peer,
	.await_go = await_go,
	.await_stop = await_stop,
};
