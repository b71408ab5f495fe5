/* SPDX-License-Identifier: Apache-2.0 */
/* bare_store.h - for tests: a store without the row logic, in a folder that is removed afterwards. */
#ifndef STORE_BARE_STORE_H
#define STORE_BARE_STORE_H

#include "store/commit.h"
#include "store/object.h"

#include <fcntl.h>
#include <unistd.h>

struct bare_store {
	struct store s;
	struct conf conf;
	struct arena arena;
	char folder[64];
};

static inline enum err
bare_open(struct bare_store *b)
{
	char path[96];
	const char *why;
	struct store *s = &b->s;
	const struct engine_options options = { 4 << 20, 4 << 20 };
	s->conf = &b->conf;
	s->data_dir = open(b->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof path, "%s/engine", b->folder);
	enum err e = engine_open(path, &options, &s->engine, &b->arena, &why);
	if (!e)
		e = segments_open(s->data_dir, &s->segments, &why);
	if (e)
		return e;
	readers_open(s);
	commit_open(s);
	e = objects_open(s, &why);
	if (!e)
		sweep_open(s);
	return e;
}

static inline bool
bare_idle(void *arg)
{
	struct store *s = arg;
	return commit_idle(s->commit) && sweep_idle(s) && readers_oldest(s) == UINT64_MAX;
}

static inline void
bare_close(struct bare_store *b)
{
	struct store *s = &b->s;
	loop_run_until(bare_idle, s, 10000);
	sweep_close(s);
	commit_close(s);
	readers_close(s);
	objects_close(s);
	segments_close(&s->segments);
	engine_close(&s->engine);
	close(s->data_dir);
}

static inline enum err
bare_new(struct bare_store *b)
{
	*b = (struct bare_store){ .folder = "/tmp/store-test-XXXXXX" };
	return mkdtemp(b->folder) ? bare_open(b) : ERR_IO;
}

static inline int
bare_remove(struct bare_store *b)
{
	char command[96];
	snprintf(command, sizeof command, "rm -rf %s", b->folder);
	bare_close(b);
	loop_reset();
	return system(command);
}

#endif
