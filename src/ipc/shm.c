/* SPDX-License-Identifier: Apache-2.0 */
/* shm.c - a buddy allocator over a sealed memfd, and the other side's view of it. Called by client roles (pool) and
 * servers (map). The pool owns its memfd and mapping; what it knows of blocks lies outside of the shared memory.
 * Fails: no memory at the start; a full pool gives NULL. */
#include "ipc/shm.h"

#include "base/list.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ORDERS 11u                    /* 4 KiB << 10 = 4 MiB */
#define GIVE_BACK_BYTES (256u * 1024) /* free blocks of this size and more hold no memory */
_Static_assert(SHM_BLOCK_BYTES_MIN << (ORDERS - 1) == SHM_BLOCK_BYTES_MAX, "orders span the block sizes");

enum { PAGE_INSIDE, PAGE_FREE, PAGE_USED, PAGE_KEPT_BACK };

struct page { /* one for each 4 KiB; speaks for the block that begins there */
	struct link link;
	uint64_t freed_at; /* PAGE_KEPT_BACK: holds up to this one must end first */
	uint8_t state, order;
};
struct hold {
	struct link link;
	uint64_t number;
};
struct shm_pool {
	int fd;
	char *at;
	size_t bytes, used;
	struct link free[ORDERS];
	struct link kept_back; /* freed while there are holds, in order of freed_at */
	struct link holds;     /* oldest first */
	uint64_t last_hold;
	struct page *pages;
	bool worn; /* small blocks were freed since shm_rest */
	struct link in_pools;
};

static struct link pools = { &pools, &pools }; /* of this process */

static size_t
page_of(const struct shm_pool *p, const void *at)
{
	return shm_offset(p, at) / SHM_BLOCK_BYTES_MIN;
}

static void
block_add(struct shm_pool *p, size_t page, unsigned order)
{
	p->pages[page].state = PAGE_FREE;
	p->pages[page].order = (uint8_t)order;
	list_append(&p->free[order], &p->pages[page].link);
}

static int
sealed_memfd(size_t bytes)
{
	int fd = memfd_create("posthouse-shm", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	if (ftruncate(fd, (off_t)bytes) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
	close(fd);
	return -1;
}

struct shm_pool *
shm_pool_new(size_t bytes)
{
	ASSERT(bytes && bytes % SHM_BLOCK_BYTES_MAX == 0);
	int fd = sealed_memfd(bytes);
	void *at = fd < 0 ? MAP_FAILED : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	struct shm_pool *p = must_calloc(1, sizeof *p);
	p->fd = fd;
	p->at = at;
	p->bytes = bytes;
	list_append(&pools, &p->in_pools);
	p->pages = must_calloc(bytes / SHM_BLOCK_BYTES_MIN, sizeof *p->pages);
	for (unsigned i = 0; i < ORDERS; i++)
		list_init(&p->free[i]);
	list_init(&p->kept_back);
	list_init(&p->holds);
	for (size_t off = 0; off < bytes; off += SHM_BLOCK_BYTES_MAX)
		block_add(p, off / SHM_BLOCK_BYTES_MIN, ORDERS - 1);
	return p;
}

void
shm_pool_free(struct shm_pool **pool)
{
	struct shm_pool *p = *pool;
	*pool = NULL;
	if (!p)
		return;
	LIST_EACH (&p->holds, l)
		free(CONTAINER_OF(l, struct hold, link));
	list_remove(&p->in_pools);
	munmap(p->at, p->bytes);
	close(p->fd);
	free(p->pages);
	free(p);
}

int
shm_pool_fd(const struct shm_pool *p)
{
	return p->fd;
}

size_t
shm_pool_bytes(const struct shm_pool *p)
{
	return p->bytes;
}

size_t
shm_used(const struct shm_pool *p)
{
	return p->used;
}

uint64_t
shm_offset(const struct shm_pool *p, const void *at)
{
	ASSERT((const char *)at >= p->at && (const char *)at < p->at + p->bytes);
	return (uint64_t)((const char *)at - p->at);
}

static unsigned
order_for(size_t len)
{
	unsigned order = 0;
	while (order < ORDERS && (size_t)SHM_BLOCK_BYTES_MIN << order < len)
		order++;
	return order;
}

void *
shm_alloc(struct shm_pool *p, size_t len)
{
	unsigned order = order_for(len), have = order;
	while (have < ORDERS && list_empty(&p->free[have]))
		have++;
	if (have >= ORDERS)
		return NULL;
	struct page *block = CONTAINER_OF(list_first(&p->free[have]), struct page, link);
	size_t page = (size_t)(block - p->pages);
	list_remove(&block->link);
	while (have > order) { /* the upper half goes back, smaller by one order */
		have--;
		block_add(p, page + ((size_t)1 << have), have);
	}
	block->state = PAGE_USED;
	block->order = (uint8_t)order;
	p->used += (size_t)SHM_BLOCK_BYTES_MIN << order;
	return p->at + page * SHM_BLOCK_BYTES_MIN;
}

size_t
shm_block_bytes(const struct shm_pool *p, const void *at)
{
	const struct page *block = &p->pages[page_of(p, at)];
	ASSERT(block->state == PAGE_USED);
	return (size_t)SHM_BLOCK_BYTES_MIN << block->order;
}

static void
block_merge(struct shm_pool *p, size_t page)
{
	unsigned order = p->pages[page].order;
	p->pages[page].state = PAGE_INSIDE;
	while (order + 1 < ORDERS) {
		size_t buddy = page ^ ((size_t)1 << order);
		if (p->pages[buddy].state != PAGE_FREE || p->pages[buddy].order != order)
			break;
		list_remove(&p->pages[buddy].link);
		p->pages[buddy].state = PAGE_INSIDE;
		page = MIN(page, buddy);
		order++;
	}
	block_add(p, page, order);
}

void
shm_free(struct shm_pool *p, void *at)
{
	if (!at)
		return;
	size_t page = page_of(p, at), bytes = shm_block_bytes(p, at);
	ASSERT(((size_t)((char *)at - p->at)) % SHM_BLOCK_BYTES_MIN == 0);
	if (!list_empty(&p->holds)) {
		p->pages[page].state = PAGE_KEPT_BACK;
		p->pages[page].freed_at = p->last_hold;
		list_append(&p->kept_back, &p->pages[page].link);
		return;
	}
	p->used -= bytes;
	if (bytes >= GIVE_BACK_BYTES)
		madvise(at, bytes, MADV_REMOVE);
	else
		p->worn = true;
	block_merge(p, page);
}

void
shm_rest(void)
{
	LIST_EACH (&pools, it) {
		struct shm_pool *p = CONTAINER_OF(it, struct shm_pool, in_pools);
		for (unsigned order = 0; p->worn && order < ORDERS; order++)
			LIST_EACH (&p->free[order], l) {
				size_t page = (size_t)(CONTAINER_OF(l, struct page, link) - p->pages);
				madvise(p->at + page * SHM_BLOCK_BYTES_MIN, (size_t)SHM_BLOCK_BYTES_MIN << order, MADV_REMOVE);
			}
		p->worn = false;
	}
}

uint64_t
shm_hold(struct shm_pool *p)
{
	struct hold *h = must_calloc(1, sizeof *h);
	h->number = ++p->last_hold;
	list_append(&p->holds, &h->link);
	return h->number;
}

/* Gives out again what no hold keeps back any more. */
static void
release_kept(struct shm_pool *p)
{
	struct link *oldest = list_first(&p->holds);
	uint64_t until = oldest ? CONTAINER_OF(oldest, struct hold, link)->number : UINT64_MAX;
	LIST_EACH (&p->kept_back, l) {
		struct page *block = CONTAINER_OF(l, struct page, link);
		if (block->freed_at >= until)
			return;
		list_remove(l);
		p->used -= (size_t)SHM_BLOCK_BYTES_MIN << block->order;
		p->worn = true;
		block_merge(p, (size_t)(block - p->pages));
	}
}

void
shm_unhold(struct shm_pool *p, uint64_t hold)
{
	LIST_EACH (&p->holds, l) {
		struct hold *h = CONTAINER_OF(l, struct hold, link);
		if (h->number != hold)
			continue;
		list_remove(l);
		free(h);
		release_kept(p);
		return;
	}
	UNREACHABLE();
}

/* ---- the server's view */

enum err
shm_map_open(struct shm_map *m, int fd)
{
	*m = (struct shm_map){ NULL, 0 };
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	bool sealed = seals >= 0 && (seals & (F_SEAL_SHRINK | F_SEAL_GROW)) == (F_SEAL_SHRINK | F_SEAL_GROW);
	if (!sealed || fstat(fd, &st) != 0 || st.st_size <= 0) {
		close(fd);
		return ERR_DENIED;
	}
	void *at = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (at == MAP_FAILED)
		return ERR_LIMIT;
	*m = (struct shm_map){ at, (size_t)st.st_size };
	return OK;
}

void
shm_map_close(struct shm_map *m)
{
	if (m->at)
		munmap(m->at, m->len);
	*m = (struct shm_map){ NULL, 0 };
}

void *
shm_range(const struct shm_map *m, uint64_t offset, uint64_t len)
{
	if (!m->at || offset > m->len || len > m->len - offset)
		return NULL;
	return m->at + offset;
}
