/* SPDX-License-Identifier: Apache-2.0 */
/* spool.c - files without a name for messages that are too large for shared memory: the client writes, the commit
 * reads. They belong to a connection and end with it. A file that an update may still read is closed by an update of
 * its own, which comes after it in the queue. Called by calls.c and store.c. Fails: ERR_LIMIT, ERR_DISK_FULL,
 * ERR_STALE. */
#include "store/store.h"
#include "store_msg.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPOOLS_PER_PEER_MAX 256
#define SPOOLS_MAX 1000

struct spool {
	struct link link; /* in store_peer.spools */
	uint64_t number;
	int file;
	struct update closing;
};

/* Some file systems have no O_TMPFILE: then a name lives for a moment. After a crash in that moment it is found again,
 * and taken. */
static int
file_without_name(int data_dir)
{
	int fd = openat(data_dir, "spool", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
		return fd;
	if (mkdirat(data_dir, "spool", 0700) < 0 && errno != EEXIST)
		return -1;
	fd = openat(data_dir, "spool", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	fd = openat(data_dir, "spool/new", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd >= 0)
		unlinkat(data_dir, "spool/new", 0);
	return fd;
}

static size_t
count_links(struct link *head)
{
	size_t n = 0;
	LIST_EACH (head, l)
		n++;
	return n;
}

static enum err
spool_new(struct store_peer *p, struct spool **out)
{
	static uint64_t last;
	struct store *s = p->store;
	if (s->nspools >= SPOOLS_MAX || count_links(&p->spools) >= SPOOLS_PER_PEER_MAX)
		return ERR_LIMIT;
	if (!store_takes_mail(s))
		return ERR_DISK_FULL;
	int file = file_without_name(s->data_dir);
	if (file < 0)
		return err_from_errno(errno);
	struct spool *spool = must_calloc(1, sizeof *spool);
	spool->number = ++last;
	spool->file = file;
	list_append(&p->spools, &spool->link);
	s->nspools++;
	*out = spool;
	return OK;
}

static enum err
close_run(struct store *s, struct txn *t, struct update *u)
{
	return OK;
}

static void
close_done(struct store *s, struct update *u, enum err e)
{
	struct spool *spool = CONTAINER_OF(u, struct spool, closing);
	close(spool->file);
	free(spool);
	s->nspools--;
}

static void
spool_end(struct store *s, struct spool *spool)
{
	list_remove(&spool->link);
	spool->closing = (struct update){ .run = close_run, .done = close_done, .makes_space = true };
	store_update(s, &spool->closing);
}

static struct spool *
find(struct ipc_peer *peer, uint64_t number)
{
	struct store_peer *p = peer->state;
	if (!p)
		return NULL;
	LIST_EACH (&p->spools, l) {
		struct spool *spool = CONTAINER_OF(l, struct spool, link);
		if (spool->number == number)
			return spool;
	}
	return NULL;
}

void
spool_open_call(struct ipc_call *call, const struct store_spool_open_in *in)
{
	struct store_peer *p = call->peer->state;
	struct spool *spool = NULL;
	enum err e = p ? spool_new(p, &spool) : ERR_CLOSED;
	if (e) {
		ipc_fail(call, e);
		return;
	}
	struct store_spool_open_out out = { .spool = spool->number, .file = spool->file };
	ipc_reply(call, &out);
}

void
spool_close_call(struct ipc_call *call, const struct store_spool_close_in *in)
{
	struct spool *spool = find(call->peer, in->spool);
	if (spool)
		spool_end(((struct store_peer *)call->peer->state)->store, spool);
	ipc_done(call);
}

int
spool_file(struct ipc_peer *peer, uint64_t number)
{
	struct spool *spool = find(peer, number);
	return spool ? spool->file : -1;
}

void
spool_peer_closed(struct ipc_peer *peer)
{
	struct store_peer *p = peer->state;
	LIST_EACH (&p->spools, l)
		spool_end(p->store, CONTAINER_OF(l, struct spool, link));
}

enum err
body_source_of(struct ipc_peer *peer, const struct store_body *b, struct body_source *out)
{
	if (b->at.len > UINT32_MAX)
		return ERR_LIMIT;
	*out = (struct body_source){ .file = -1, .len = (uint32_t)b->at.len };
	if (b->spool == 0) {
		const char *at = shm_range(&peer->shm, b->at.off, b->at.len);
		out->bytes = slice_of(at, b->at.len);
		return at ? OK : ERR_LIMIT;
	}
	struct stat st;
	out->file = spool_file(peer, b->spool);
	out->from = b->at.off;
	if (out->file < 0)
		return ERR_STALE;
	if (fstat(out->file, &st) < 0)
		return err_from_errno(errno);
	uint64_t size = (uint64_t)st.st_size;
	return b->at.off <= size && b->at.len <= size - b->at.off ? OK : ERR_LIMIT;
}
