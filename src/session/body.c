/* SPDX-License-Identifier: Apache-2.0 */
/* body.c - the bytes of one message between the client's socket and the store.
 *
 * They stand in one block of the memory shared with store and scan, which doubles as they grow; past BODY_SHM_BYTES_MAX
 * (or when that memory is used up) they go on into a spool file, which the store opened for us and which has no name.
 * The owner of struct body releases it; whatever ends the connection ends the body. Errors are sticky: ERR_LIMIT
 * (bytes_max), ERR_DISK_FULL, ERR_IO, ERR_AGAIN (the store that had the spool file is gone). */
#include "session/session.h"

#include "scan_msg.h"
#include "store_msg.h"

#include <errno.h>
#include <unistd.h>

enum { BODY_FIRST_BYTES = 16 * 1024 }; /* most messages fit: no second block */

void
body_init(struct body *b, struct session *s, uint64_t bytes_max)
{
	*b = (struct body){ .session = s, .file = -1, .bytes_max = bytes_max };
}

void
body_release(struct body *b)
{
	if (b->at)
		shm_free(b->session->shm, b->at);
	if (b->file >= 0)
		close(b->file);
	if (b->spool && b->generation == b->session->store.generation)
		store_spool_close_notify(&b->session->store, &(struct store_spool_close_in){ .spool = b->spool });
	free(b->gather);
	body_init(b, b->session, b->bytes_max);
}

/* ---- the spool file */

static enum err
write_all(int fd, const char *at, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, at, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? err_from_errno(errno) : ERR_IO;
		at += n;
		len -= (size_t)n;
	}
	return OK;
}

static enum err
spool_gathered(struct body *b)
{
	enum err e = write_all(b->file, b->gather, b->gathered);
	b->gathered = 0;
	return e;
}

/* From memory to a file: what is there moves over, the block is free again. */
static enum err
await_spool(struct body *b)
{
	struct arena a;
	arena_init(&a, 0);
	struct store_spool_open_out out = { .file = -1 };
	struct ipc_client *store = &b->session->store;
	enum err e = await_store_spool_open(store, &(struct store_spool_open_in){ 0 }, &a, &out);
	arena_release(&a);
	if (e != OK)
		return e == ERR_LIMIT ? ERR_AGAIN : e; /* all spool files are in use: that says nothing about this message */
	if (out.file < 0 || out.spool == 0)
		return ERR_IO;
	b->generation = store->generation;
	b->spool = out.spool;
	b->file = out.file;
	b->gather = must_calloc(1, BODY_GATHER_BYTES);
	if (!b->at)
		return OK;
	e = write_all(b->file, b->at, b->len);
	shm_free(b->session->shm, b->at);
	b->at = NULL;
	b->cap = 0;
	return e;
}

static enum err
spool_put(struct body *b, struct slice bytes)
{
	if (b->gathered + bytes.len > BODY_GATHER_BYTES) {
		enum err e = spool_gathered(b);
		if (e != OK)
			return e;
	}
	if (bytes.len >= BODY_GATHER_BYTES)
		return write_all(b->file, bytes.at, bytes.len);
	memcpy(b->gather + b->gathered, bytes.at, bytes.len);
	b->gathered += bytes.len;
	return OK;
}

/* ---- shared memory */

/* False: no block that large is to be had, the spool file takes over. */
static bool
grow(struct body *b, size_t need)
{
	if (need > BODY_SHM_BYTES_MAX)
		return false;
	size_t size = MAX(b->cap, BODY_FIRST_BYTES);
	while (size < need)
		size *= 2;
	char *more = shm_alloc(b->session->shm, size);
	if (!more)
		return false;
	if (b->at) {
		memcpy(more, b->at, b->len);
		shm_free(b->session->shm, b->at);
	}
	b->at = more;
	b->cap = size;
	return true;
}

static enum err
await_put_bytes(struct body *b, struct slice bytes)
{
	if (!b->spool && b->len + bytes.len > b->cap && !grow(b, b->len + bytes.len)) {
		enum err e = await_spool(b);
		if (e != OK)
			return e;
	}
	if (b->spool)
		return spool_put(b, bytes);
	memcpy(b->at + b->len, bytes.at, bytes.len);
	return OK;
}

void
await_body_put(struct body *b, struct slice bytes)
{
	if (b->error || bytes.len == 0)
		return;
	if (bytes.len > b->bytes_max || b->len > b->bytes_max - bytes.len) {
		b->error = ERR_LIMIT;
		return;
	}
	b->error = await_put_bytes(b, bytes);
	if (b->error == OK)
		b->len += bytes.len;
}

enum err
await_body_end(struct body *b)
{
	if (b->error == OK && b->spool)
		b->error = spool_gathered(b);
	free(b->gather);
	b->gather = NULL;
	if (b->error == OK && b->spool && b->generation != b->session->store.generation)
		b->error = ERR_AGAIN; /* the number means nothing to the store that runs now */
	return b->error;
}

/* ---- for others */

enum err
body_read(struct body *b, uint64_t from, void *to, size_t len)
{
	char *at = to;
	if (b->error == OK && b->gathered)
		b->error = spool_gathered(b);
	if (b->error)
		return b->error;
	ASSERT(from <= b->len && len <= b->len - from);
	if (!b->spool) {
		memcpy(at, b->at + from, len);
		return OK;
	}
	while (len > 0) {
		ssize_t n = pread(b->file, at, len, (off_t)from);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return b->error = n < 0 ? err_from_errno(errno) : ERR_IO;
		at += n;
		from += (uint64_t)n;
		len -= (size_t)n;
	}
	return OK;
}

struct store_body
body_ref_part(const struct body *b, uint64_t from, uint64_t bytes)
{
	uint64_t start = b->spool || !b->at ? 0 : shm_offset(b->session->shm, b->at);
	ASSERT(from <= b->len && bytes <= b->len - from);
	return (struct store_body){ .spool = b->spool, .at = { .off = start + from, .len = bytes } };
}

struct store_body *
body_ref(const struct body *b, struct arena *a)
{
	struct store_body *ref = ARENA_NEW(a, struct store_body);
	*ref = body_ref_part(b, 0, b->len);
	return ref;
}

enum err
await_body_facts(struct body *b, struct arena *a, struct slice *facts)
{
	return await_body_facts_part(b, 0, b->len, a, facts);
}

enum err
await_body_facts_part(struct body *b, uint64_t from, uint64_t bytes, struct arena *a, struct slice *facts)
{
	struct store_region at = body_ref_part(b, from, bytes).at;
	struct scan_facts_in in = { .file = b->spool ? b->file : -1, .off = at.off, .bytes = at.len };
	struct scan_facts_out out = { 0 };
	enum err e = await_scan_facts(session_scan(b->session), &in, a, &out);
	*facts = out.facts;
	return e;
}

enum err
await_body_bounce(struct body *b, struct arena *a, struct scan_bounce_out *out)
{
	struct store_region at = body_ref_part(b, 0, b->len).at;
	struct scan_bounce_in in = { .file = b->spool ? b->file : -1, .off = at.off, .bytes = at.len };
	*out = (struct scan_bounce_out){ 0 };
	return await_scan_bounce(session_scan(b->session), &in, a, out);
}
