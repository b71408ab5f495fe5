/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - the store as a whole: opened and closed in order, its connections, and the role around it. The role gets
 * the data folder as an open directory; the engine wants a path, which is looked for where that directory is (the root
 * after a chroot, else the configured one). Fails: what cannot be opened says why and ends the start. */
#include "store/store.h"

#include "base/log.h"
#include "role/role.h"
#include "store/commit.h"
#include "store/format.h"
#include "store/object.h"
#include "store/rows_state.h"
#include "store/texts.h"
#include "store_msg.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES_MAX 4096
#define STOP_STEP_MS 5

/* ---- open and close */

static enum err
open_files(struct store *s, const char *engine_folder, struct arena *a, const char **why)
{
	const struct engine_options options = {
		.cache_bytes = s->conf->v.store_cache,
		.write_buffer_bytes = s->conf->v.store_write_buffer,
	};
	enum err e = engine_open(engine_folder, &options, &s->engine, a, why);
	e = e ? e : format_check(s->engine, true, a, why);
	if (e)
		return e;
	return segments_open(s->data_dir, &s->segments, why);
}

enum err
store_open(struct store *s, const struct conf *conf, int data_dir, const char *engine_folder, struct arena *a,
           const char **why)
{
	s->conf = conf;
	s->data_dir = data_dir;
	enum err e = open_files(s, engine_folder, a, why);
	if (!e) {
		readers_open(s);
		commit_open(s);
		e = objects_open(s, why);
	}
	if (!e) {
		*why = "the directory of accounts cannot be read";
		e = directory_open(s);
	}
	if (e) {
		store_close(s);
		return e;
	}
	queue_open(s);
	sweep_open(s);
	texts_open(s);
	return OK;
}

bool
store_idle(const struct store *s)
{
	return commit_idle(s->commit) && sweep_idle(s) && readers_oldest(s) == UINT64_MAX;
}

void
store_close(struct store *s)
{
	texts_close(s);
	sweep_close(s);
	if (s->rows)
		directory_close(s);
	commit_close(s);
	readers_close(s);
	objects_close(s);
	segments_close(&s->segments);
	engine_close(&s->engine);
}

/* ---- connections */

void
store_peer_closed(struct ipc_peer *peer)
{
	struct store_peer *p = peer->state;
	if (!p)
		return;
	struct store *s = p->store;
	account_peer_closed(s, peer);
	lease_peer_closed(s, peer);
	spool_peer_closed(peer);
	for (size_t i = 0; i < s->npeers; i++)
		if (s->peers[i] == peer)
			s->peers[i--] = s->peers[--s->npeers];
	peer->state = NULL;
	free(p);
}

/* A client has one connection, and a moment long two. One that asks for more and more, and closes none, must not take
 * the places of others: all that it had go. */
static void
close_others_of(struct store *s, uint32_t class_bit, uint32_t index)
{
	size_t n = 0;
	for (size_t i = 0; i < s->npeers; i++)
		n += s->peers[i]->class_bit == class_bit && s->peers[i]->index == index;
	if (n < IPC_CONNECTIONS_OF_A_PEER_MAX)
		return;
	log_event(LOG_WARN, "store.connections", "why",
	          "one process has more connections than it can need: they are closed");
	for (size_t i = s->npeers; i-- > 0;)
		if (s->peers[i]->class_bit == class_bit && s->peers[i]->index == index)
			ipc_peer_close(s->peers[i]);
}

bool
store_serve(struct store *s, uint32_t class_bit, uint32_t index, int fd)
{
	close_others_of(s, class_bit, index);
	if (s->npeers == COUNT_OF(s->peers)) {
		close(fd);
		return false;
	}
	struct store_peer *p = must_calloc(1, sizeof *p);
	p->store = s;
	list_init(&p->handles);
	list_init(&p->spools);
	list_init(&p->held);
	struct ipc_peer *peer = ipc_peer_open(fd, &store_protocol, &store_handlers, s, class_bit, index);
	peer->state = p;
	if (class_bit & (IPC_CLASS_AUTH | IPC_CLASS_ADMIN))
		ipc_peer_wipes(peer);
	s->peers[s->npeers++] = peer;
	return true;
}

/* ---- the role */

struct early { /* a connection that came before the store was open */
	uint32_t class_bit, index;
	int fd;
};

struct store_role {
	struct store store;
	struct conf *conf;
	struct arena arena;
	int data_dir; /* 0: not yet */
	bool open;
	struct early early[COUNT_OF(((struct store *)NULL)->peers)];
	size_t nearly;
};

static enum err
configure(void *self, const struct conf *conf, const char **why)
{
	struct store_role *r = self;
	struct conf *old = r->conf;
	r->conf = conf_keep((struct conf *)conf);
	r->store.conf = r->conf;
	conf_free(&old);
	return OK;
}

static void
handle(void *self, const char *name, uint32_t index, const char *label, int fd)
{
	struct store_role *r = self;
	if (strcmp(name, "data") != 0 || r->data_dir)
		close(fd);
	else
		r->data_dir = fd;
}

static void
serve(void *self, enum role_id role, uint32_t class_bit, uint32_t index, int fd)
{
	struct store_role *r = self;
	if (r->open)
		store_serve(&r->store, class_bit, index, fd);
	else if (r->nearly < COUNT_OF(r->early))
		r->early[r->nearly++] = (struct early){ class_bit, index, fd };
	else
		close(fd);
}

static bool
is_folder(const char *path, const struct stat *want)
{
	struct stat st;
	return stat(path, &st) == 0 && st.st_dev == want->st_dev && st.st_ino == want->st_ino;
}

/* A path that leads to the data folder from inside the box, and the engine's below it. */
static bool
engine_path(struct store_role *r, char path[PATH_BYTES_MAX])
{
	struct stat data;
	if (fstat(r->data_dir, &data) < 0)
		return false;
	char configured[PATH_BYTES_MAX], held[40];
	const char *folder = r->conf->v.data[0] == '/' ? "" : r->conf->folder;
	snprintf(configured, sizeof configured, "%s%s%s", folder, *folder ? "/" : "", r->conf->v.data);
	snprintf(held, sizeof held, "/proc/self/fd/%d", r->data_dir);
	const char *const places[] = { "/", configured, ".", held };
	for (size_t i = 0; i < COUNT_OF(places); i++)
		if (is_folder(places[i], &data)) {
			const char *slash = i == 0 ? "" : "/";
			return snprintf(path, PATH_BYTES_MAX, "%s%sengine", places[i], slash) < PATH_BYTES_MAX;
		}
	return false;
}

static enum err
await_go(void *self, const char **why)
{
	struct store_role *r = self;
	char path[PATH_BYTES_MAX];
	signal(SIGXFSZ, SIG_IGN); /* a file size limit is answered like a full disk */
	umask(077);               /* the engine leaves it to that who may read its files */
	if (!r->data_dir || !engine_path(r, path)) {
		*why = "the data folder cannot be reached";
		return ERR_NOT_FOUND;
	}
	int64_t begin = clock_mono_us();
	enum err e = store_open(&r->store, r->conf, r->data_dir, path, &r->arena, why);
	if (e)
		return e;
	r->store.ends_when_broken = true;
	r->open = true;
	for (size_t i = 0; i < r->nearly; i++)
		store_serve(&r->store, r->early[i].class_bit, r->early[i].index, r->early[i].fd);
	r->nearly = 0;
	struct log l;
	log_begin(&l, LOG_INFO, "store.open");
	log_text(&l, "engine", engine_name(r->store.engine));
	log_i64(&l, "ms", (clock_mono_us() - begin) / 1000);
	log_end(&l);
	return OK;
}

static void
await_stop(void *self, int64_t grace_ms)
{
	struct store_role *r = self;
	int64_t until = deadline_in_ms(grace_ms);
	if (!r->open)
		return;
	r->open = false;
	for (size_t i = r->store.npeers; i-- > 0;)
		ipc_peer_close(r->store.peers[i]);
	indexes_pack(&r->store);
	while (!store_idle(&r->store) && clock_mono_ms() < until && await_sleep(STOP_STEP_MS) == OK)
		continue;
	if (!store_idle(&r->store) || r->store.broken)
		return; /* the process ends with what is durable */
	store_close(&r->store);
	close(r->data_dir);
	r->data_dir = 0;
	arena_release(&r->arena);
	conf_free(&r->conf);
}

const struct role role_store = {
	.name = "store",
	.id = ROLE_STORE,
	.class_bit = IPC_CLASS_STORE,
	.may = MAY_FILES | MAY_THREADS | MAY_SYNC,
	.state_bytes = sizeof(struct store_role),
	.configure = configure,
	.handle = handle,
	.serve = serve,
	.await_go = await_go,
	.await_stop = await_stop,
};
