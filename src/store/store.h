/* SPDX-License-Identifier: Apache-2.0 */
/* store.h - the store as its own files see it: the engine, the segments, group commit, who is connected.
 *
 * Everything runs on the loop thread but two things, which commit.c's thread does: writing and syncing segments and
 * committing the transaction of a batch. So row logic needs no locks. A request that changes something is a struct
 * update: its run is called with the batch's transaction (rolled back alone when it fails), and done when the batch is
 * durable. Requests that arrive while a batch is on its way to the disk make up the next one. Reads (store_view) see
 * what is durable. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "ipc/ipc.h"
#include "role/conf.h"
#include "store/engine.h"
#include "store/keys.h"
#include "store/rows.h"
#include "store/segment.h"

/* What the store keeps for each connection (ipc_peer.state). */
struct store_peer {
	struct store *store;
	struct link handles; /* account.c: open accounts */
	struct link spools;  /* spool.c */
	struct link held;    /* lease.c: queue rows */
};

struct store {
	const struct conf *conf;
	struct engine *engine;
	struct segments *segments;
	int data_dir; /* everything below it is reached with openat */
	struct commit *commit;
	struct ipc_peer *peers[256];
	size_t npeers;
	struct map accounts_open; /* account -> struct open_account of account.c: its handles, for notices */
	struct objects *objects;  /* object.c: ids, segments' rows, what the batch under way adds to them */
	struct readers *readers;  /* reader.c */
	struct sweep *sweep;      /* sweep.c */
	struct texts *texts;      /* texts.c */
	size_t nspools;           /* open spool files of all connections */
	bool ends_when_broken;    /* the process ends when the engine failed: the supervisor starts it again */
	struct rows *rows;        /* what the row logic keeps in memory (rows_state.h): made by directory_open */
	enum err broken; /* sticky error of the engine: everything is answered with it until the process is started again */
};

/* ---- commit.c */
struct update {
	/* Changes rows. May run again (conflict); puts nothing anywhere but into t and u's own results, which it sets from
	 * scratch. */
	enum err (*run)(struct store *s, struct txn *t, struct update *u);
	/* On the loop: durable (OK), or why not. u belongs to the caller again. */
	void (*done)(struct store *s, struct update *u, enum err e);
	size_t bytes;     /* of bodies that it will write: batches are capped by it */
	bool makes_space; /* may use the last of the disk: what it does gives more back */
	struct link link; /* commit.c's */
	enum err result;  /* commit.c's */
};
void store_update(struct store *s, struct update *u);
/* False below the reserve: new mail would be answered with ERR_DISK_FULL. */
bool store_takes_mail(struct store *s);
/* A read-only transaction around run; at once. */
enum err store_view(struct store *s, enum err (*run)(struct store *s, struct txn *t, void *arg), void *arg);

/* ---- store.c */
/* Opens all that is below data_dir (which stays the caller's). engine_folder: the path that leads to its folder
 * "engine". *why (arena or literal) says what failed, for people. */
enum err store_open(struct store *s, const struct conf *conf, int data_dir, const char *engine_folder, struct arena *a,
                    const char **why);
/* Nothing may be under way (store_idle). */
void store_close(struct store *s);
bool store_idle(const struct store *s);

/* Takes over a connected socket; false (and closed): there are too many. */
bool store_serve(struct store *s, uint32_t class_bit, uint32_t index, int fd);

/* ---- object.c: bodies and how many messages and queue rows name them */
/* Inside run: reserves the place, writes rows 'o' (with refs references) and 'f'. The bytes are written before the
 * commit. */
enum err object_new(struct store *s, struct txn *t, const struct body_source *body, struct slice facts, uint32_t refs,
                    uint64_t *object);
/* Changes the number of references; at 0 the rows go and the segment has less alive. */
enum err object_refer(struct store *s, struct txn *t, uint64_t object, int32_t change);
/* The same for many, which are sorted by it: an object that stands n times in it changes n times. */
enum err objects_refer(struct store *s, struct txn *t, uint64_t *objects, size_t n, int32_t change);
struct object {
	struct place at;
	uint32_t refs;
};
/* Rows 'o' or 'f' of so many objects, cheap when they are asked for in rising order. A value is good until the next
 * call. */
struct object_walk {
	struct txn *t;
	char kind;
	bool much; /* of what nobody may want again soon */
	struct range *range;
	uint64_t last, at; /* asked for, and where the range stands */
	bool here;
	struct slice value;
	enum err e;
};
void object_walk_begin(struct object_walk *w, struct txn *t, char kind, size_t objects);
enum err object_walk_get(struct object_walk *w, uint64_t object, struct slice *value);
enum err object_walk_place(struct object_walk *w, uint64_t object, struct object *o); /* kind 'o' */
enum err object_walk_end(struct object_walk *w);
enum err object_get(struct txn *t, uint64_t object, struct object *o);
enum err object_facts(struct txn *t, uint64_t object, struct slice *facts);
/* Copies [from, from+len) of the body to memory; for many pieces at once see object_read_later. May block on the disk:
 * small or cached reads only. */
enum err object_read(struct store *s, const struct object *o, uint64_t from, void *to, size_t len);
/* Runs read(arg) on a thread and then done(arg) on the loop: for reads that may block. read may call object_read only.
 */
void store_read_later(struct store *s, void (*read)(void *arg), void (*done)(void *arg), void *arg);
/* The same on a thread for what takes longer: search may also read rows, in a transaction of its own. Accounts take
 * turns; 0: the indexer and the administrator. */
void store_search_later(struct store *s, uint64_t account, void (*search)(void *arg), void (*done)(void *arg),
                        void *arg);

/* Bytes of bodies that are alive, and of segment files, from the rows 's': for store_status. */
enum err object_usage(struct store *s, struct txn *t, uint64_t *alive, uint64_t *on_disk);

/* ---- spool.c */
/* The handlers of spool_open and spool_close. */
struct store_spool_open_in;
struct store_spool_close_in;
void spool_open_call(struct ipc_call *call, const struct store_spool_open_in *in);
void spool_close_call(struct ipc_call *call, const struct store_spool_close_in *in);
/* The open file of a spool number of this peer, -1: there is none. */
int spool_file(struct ipc_peer *peer, uint64_t spool);
/* A body as store.msg names it -> where to read it from; ERR_STALE, ERR_LIMIT. */
struct store_body;
enum err body_source_of(struct ipc_peer *peer, const struct store_body *b, struct body_source *out);

/* ---- notices (account.c, queue.c) */
void notice_changed(struct store *s, uint64_t account, uint64_t mailbox, uint64_t modseq);
void notice_revoked(struct store *s, uint64_t account);
void notice_queue(struct store *s, int64_t due);
/* Called by store.c when a peer goes away: its handles, locks, leases and spools. */
void account_peer_closed(struct store *s, struct ipc_peer *peer);
void lease_peer_closed(struct store *s, struct ipc_peer *peer);
void spool_peer_closed(struct ipc_peer *peer);
/* store.c: the closed handler of the protocol; takes the peer out of s->peers and calls the three above. */
void store_peer_closed(struct ipc_peer *peer);
/* Called once when the store opened: makes what must exist (head row, grant key), starts timed work. */
enum err directory_open(struct store *s);
void queue_open(struct store *s);
/* Before the engine closes, with no update under way: timers stop, memory is given back. */
void directory_close(struct store *s);

extern const struct store_server store_handlers; /* calls.c: one function for each call of store.msg */

#endif
