/* SPDX-License-Identifier: Apache-2.0 */
/* engine_rocksdb.c - the embedded engine: RocksDB through its C interface. Nothing of RocksDB shows above engine.h.
 *
 * A write transaction gathers its changes in an overlay (overlay.h), which reads and ranges see merged with what is
 * durable, and which becomes one write batch on commit: sorted, each key once, one append to the write-ahead log and
 * one sync. There is one writer (commit.c), so there are no conflicts. A read transaction takes its snapshot with its
 * first read.
 *
 * Log files are not recycled: RocksDB 7.8 obeys recycle_log_file_num only together with kSkipAnyCorruptedRecords, which
 * would apply commits that stand behind a damaged one. kPointInTimeRecovery stops at the first record that is not
 * whole; as each commit is synced before the next is written, that can only be the one that was under way.
 *
 * Fails: ERR_DISK_FULL, ERR_DAMAGED, ERR_IO; the text of RocksDB goes to the log. After a commit that failed nothing
 * can be written any more, and RocksDB may not even be closed in good order: the process has to end (commit.c sees to
 * it that the disk is not filled by us). Reading goes on meanwhile. */
#include "base/buf.h"
#include "base/log.h"
#include "store/engine.h"
#include "store/engine_manifest.h"
#include "store/overlay.h"

#include <rocksdb/c.h>

#define TXN_BYTES_MAX (1u << 30)
#define COPY_BYTES_MAX 256 /* shorter values are copied, longer ones stay pinned where RocksDB has them */
#define OPEN_FILES_MAX 256
#define TABLE_FILE_BYTES (16u << 20)
#define LEVEL_BYTES (64u << 20)
#define INFO_LOG_BYTES (256u << 10)
#define MANIFEST_BYTES (8u << 20)
#define BLOCK_BYTES 8192
#define SCAN_AHEAD_BYTES (256u << 10)
#define BLOOM_BITS 10
#define METADATA_BYTES 4096

struct engine {
	rocksdb_t *db;
	rocksdb_options_t *options;
	rocksdb_writeoptions_t *durable;
	rocksdb_readoptions_t *latest; /* for write transactions */
	rocksdb_cache_t *cache;
	char *folder;
};

struct txn {
	struct engine *engine;
	struct arena arena;
	bool write;
	struct overlay overlay;
	const rocksdb_snapshot_t *snapshot;
	rocksdb_readoptions_t *options; /* of the snapshot */
	rocksdb_pinnableslice_t **pins;
	size_t npins, pins_cap;
	size_t ranges; /* open */
};

struct range {
	struct txn *txn;
	rocksdb_iterator_t *base;
	rocksdb_readoptions_t *options;
	struct slice from, to;
	bool backwards;
	bool started;
	bool base_given;         /* the base stands on what was given out last */
	struct buf key;          /* given out last, when the overlay is looked at */
	struct overlay_cell *at; /* of the overlay: up to key */
};

/* ---- errors */

static enum err
err_of_text(const char *text)
{
	struct slice s = slice_text(text);
	/* RocksDB keeps strerror's words of the errno. EFBIG: a file size limit, which is a full disk of its own kind. */
	if (slice_find(s, S("No space left")) >= 0 || slice_find(s, S("Disk quota exceeded")) >= 0 ||
	    slice_find(s, S("File too large")) >= 0)
		return ERR_DISK_FULL;
	return slice_find(s, S("Corruption")) >= 0 ? ERR_DAMAGED : ERR_IO;
}

static enum err
failed(const char *doing, char *text)
{
	enum err e = err_of_text(text);
	struct log l;
	log_begin(&l, LOG_ERROR, "engine.failed");
	log_text(&l, "doing", doing);
	log_text(&l, "why", text);
	log_err(&l, e);
	log_end(&l);
	rocksdb_free(text);
	return e;
}

/* ---- open and close */

static void
set_tables(rocksdb_options_t *o, rocksdb_cache_t *cache)
{
	rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();
	rocksdb_block_based_options_set_block_cache(t, cache);
	rocksdb_block_based_options_set_block_size(t, BLOCK_BYTES);
	rocksdb_block_based_options_set_format_version(t, 5);
	rocksdb_block_based_options_set_filter_policy(t, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS));
	/* Filters and indexes in parts: whole ones of tables with many small rows are larger than what the cache keeps as
	 * one piece, and were read from the file with each get. */
	rocksdb_block_based_options_set_index_type(t, rocksdb_block_based_table_index_type_two_level_index_search);
	rocksdb_block_based_options_set_partition_filters(t, 1);
	rocksdb_block_based_options_set_metadata_block_size(t, METADATA_BYTES);
	rocksdb_block_based_options_set_pin_top_level_index_and_filter(t, 1);
	/* Indexes and filters count against the cache, so that memory stays what the configuration says. */
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 1);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(t, 1);
	rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(t, 1);
	rocksdb_options_set_block_based_table_factory(o, t);
	rocksdb_block_based_options_destroy(t);
}

static void
set_quiet(rocksdb_options_t *o)
{
	rocksdb_options_set_info_log_level(o, 2); /* warnings */
	rocksdb_options_set_max_log_file_size(o, INFO_LOG_BYTES);
	rocksdb_options_set_keep_log_file_num(o, 2);
	rocksdb_options_set_stats_dump_period_sec(o, 0);
	rocksdb_options_set_stats_persist_period_sec(o, 0);
	rocksdb_options_set_max_manifest_file_size(o, MANIFEST_BYTES);
	rocksdb_options_set_manifest_preallocation_size(o, 64 << 10);
	rocksdb_options_set_skip_stats_update_on_db_open(o, 1);
	rocksdb_options_set_skip_checking_sst_file_sizes_on_db_open(o, 1);
	rocksdb_options_set_max_open_files(o, OPEN_FILES_MAX);
	rocksdb_options_set_max_background_jobs(o, 2);
	rocksdb_options_set_enable_write_thread_adaptive_yield(o, 0); /* one writer: nobody to spin for */
	rocksdb_options_set_allow_concurrent_memtable_write(o, 0);
}

static rocksdb_options_t *
options_new(const struct engine_options *opt, rocksdb_cache_t *cache)
{
	rocksdb_options_t *o = rocksdb_options_create();
	rocksdb_options_set_create_if_missing(o, 1);
	rocksdb_options_set_paranoid_checks(o, 1);
	rocksdb_options_set_wal_recovery_mode(o, rocksdb_point_in_time_recovery);
	rocksdb_options_set_write_buffer_size(o, opt->write_buffer_bytes);
	rocksdb_options_set_max_write_buffer_number(o, 3);
	/* An idle server touches one block. */
	rocksdb_options_set_arena_block_size(o, MIN((size_t)256 << 10, opt->write_buffer_bytes / 8));
	rocksdb_options_set_target_file_size_base(o, TABLE_FILE_BYTES);
	rocksdb_options_set_max_bytes_for_level_base(o, LEVEL_BYTES);
	rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
	rocksdb_options_set_compression(o, rocksdb_lz4_compression);
	rocksdb_options_set_bytes_per_sync(o, 1 << 20); /* tables go out evenly, not in one burst under a commit */
	set_quiet(o);
	set_tables(o, cache);
	return o;
}

/* What the C interface has no function for. Most rows that a delivery looks for are not among what was written last:
 * a filter over the memtable says so at once. Rows of one mailbox are written in order: a row finds its place from the
 * one before it of the same kind, account and mailbox (17 bytes of the key) and not from the top, which took a
 * third of the time of a STORE of 10,000. False: this RocksDB does not know them, and goes on without. */
#define OPTIONS_BY_NAME                                                                                                \
	"memtable_whole_key_filtering=true;memtable_prefix_bloom_size_ratio=0.01;"                                         \
	"memtable_insert_with_hint_prefix_extractor=fixed:17"
static void
set_by_name(rocksdb_options_t **o)
{
	char *text = NULL;
	rocksdb_options_t *more = rocksdb_options_create();
	rocksdb_get_options_from_string(*o, OPTIONS_BY_NAME, more, &text);
	rocksdb_options_t *other = text ? more : *o;
	*o = text ? *o : more;
	rocksdb_free(text);
	rocksdb_options_destroy(other);
}

static enum err
open_db(struct engine *e)
{
	char *text = NULL;
	e->db = rocksdb_open(e->options, e->folder, &text);
	enum err err = text ? failed("open", text) : OK;
	if (err != ERR_DAMAGED || !manifest_mend(e->folder))
		return err;
	text = NULL;
	e->db = rocksdb_open(e->options, e->folder, &text);
	return text ? failed("open", text) : OK;
}

static const char *
why_not_open(enum err e)
{
	switch (e) {
	case ERR_DISK_FULL: return "no space left on the disk for the engine's files";
	case ERR_DAMAGED: return "the engine's files are damaged; the log says which";
	default: return "the engine's files cannot be opened (is another server using this data folder?)";
	}
}

/* RocksDB counts comparisons and the like for each thread, which takes a sixth of the time of large commits. */
static void
count_nothing(void)
{
	rocksdb_set_perf_level(rocksdb_disable);
}

enum err
engine_open(const char *folder, const struct engine_options *options, struct engine **out, struct arena *a,
            const char **why)
{
	struct engine *e = must_calloc(1, sizeof *e);
	count_nothing();
	e->folder = slice_dup(slice_text(folder));
	e->cache = rocksdb_cache_create_lru(options->cache_bytes);
	e->options = options_new(options, e->cache);
	set_by_name(&e->options);
	e->durable = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(e->durable, 1);
	e->latest = rocksdb_readoptions_create();
	enum err err = open_db(e);
	if (err) {
		*why = why_not_open(err);
		engine_close(&e);
		return err;
	}
	*out = e;
	return OK;
}

/* What waits in memory goes to a table, so that the next start has no log to read. */
static void
flush(struct engine *e)
{
	char *text = NULL;
	rocksdb_flushoptions_t *o = rocksdb_flushoptions_create();
	rocksdb_flush(e->db, o, &text);
	rocksdb_flushoptions_destroy(o);
	if (text)
		failed("flush", text); /* the log still has it */
}

void
engine_close(struct engine **p)
{
	struct engine *e = *p;
	*p = NULL;
	if (!e)
		return;
	if (e->db) {
		flush(e);
		rocksdb_close(e->db);
	}
	rocksdb_writeoptions_destroy(e->durable);
	rocksdb_readoptions_destroy(e->latest);
	rocksdb_options_destroy(e->options);
	rocksdb_cache_destroy(e->cache);
	free(e->folder);
	free(e);
}

const char *
engine_name(const struct engine *e)
{
	return "RocksDB";
}

/* ---- transactions */

struct txn *
txn_begin(struct engine *e, bool write)
{
	struct txn *t = must_calloc(1, sizeof *t);
	t->engine = e;
	t->write = write;
	arena_init(&t->arena, TXN_BYTES_MAX);
	if (write)
		overlay_init(&t->overlay, &t->arena);
	return t;
}

struct arena *
txn_arena(struct txn *t)
{
	return &t->arena;
}

void
txn_end(struct txn **p)
{
	struct txn *t = *p;
	*p = NULL;
	if (!t)
		return;
	ASSERT(t->ranges == 0);
	for (size_t i = 0; i < t->npins; i++)
		rocksdb_pinnableslice_destroy(t->pins[i]);
	free(t->pins);
	if (t->snapshot) {
		rocksdb_readoptions_destroy(t->options);
		rocksdb_release_snapshot(t->engine->db, t->snapshot);
	}
	arena_release(&t->arena);
	free(t);
}

static rocksdb_readoptions_t *
read_options(struct txn *t)
{
	if (t->write)
		return t->engine->latest;
	if (!t->snapshot) {
		t->snapshot = rocksdb_create_snapshot(t->engine->db);
		t->options = rocksdb_readoptions_create();
		rocksdb_readoptions_set_snapshot(t->options, t->snapshot);
	}
	return t->options;
}

static struct slice
keep_pinned(struct txn *t, rocksdb_pinnableslice_t *pin)
{
	struct slice s;
	s.at = rocksdb_pinnableslice_value(pin, &s.len);
	if (s.len <= COPY_BYTES_MAX) {
		s = slice_keep(&t->arena, s);
		rocksdb_pinnableslice_destroy(pin);
		return s;
	}
	if (t->npins == t->pins_cap) {
		t->pins_cap = t->pins_cap ? t->pins_cap * 2 : 16;
		t->pins = must_realloc(t->pins, t->pins_cap * sizeof(*t->pins));
	}
	t->pins[t->npins++] = pin;
	return s;
}

enum err
txn_get(struct txn *t, struct slice key, struct slice *value)
{
	*value = SLICE_NONE;
	struct overlay_cell *c = t->write ? overlay_find(&t->overlay, key) : NULL;
	if (c) {
		*value = c->value;
		return c->kind == OVERLAY_PUT ? OK : ERR_NOT_FOUND;
	}
	char *text = NULL;
	rocksdb_pinnableslice_t *pin = rocksdb_get_pinned(t->engine->db, read_options(t), key.at, key.len, &text);
	if (text)
		return failed("get", text);
	if (!pin)
		return ERR_NOT_FOUND;
	*value = keep_pinned(t, pin);
	return OK;
}

void
txn_put(struct txn *t, struct slice key, struct slice value)
{
	ASSERT(t->write);
	overlay_put(&t->overlay, key, value);
}

void
txn_delete(struct txn *t, struct slice key)
{
	ASSERT(t->write);
	overlay_delete(&t->overlay, key);
}

void
txn_mark(struct txn *t)
{
	overlay_mark(&t->overlay);
}

void
txn_rollback(struct txn *t)
{
	ASSERT(t->ranges == 0);
	overlay_rollback(&t->overlay);
}

void
txn_keep(struct txn *t)
{
	overlay_keep(&t->overlay);
}

bool
txn_empty(const struct txn *t)
{
	return overlay_first(&t->overlay) == NULL;
}

bool
txn_writes(const struct txn *t)
{
	return t->write;
}

enum err
txn_commit(struct txn *t)
{
	ASSERT(t->write && t->ranges == 0);
	count_nothing();
	if (!overlay_first(&t->overlay)) /* strangers may ask for what comes to nothing: that costs no sync */
		return OK;
	rocksdb_writebatch_t *b = rocksdb_writebatch_create();
	for (struct overlay_cell *c = overlay_first(&t->overlay); c; c = overlay_next(c))
		if (c->kind == OVERLAY_PUT)
			rocksdb_writebatch_put(b, c->key.at, c->key.len, c->value.at, c->value.len);
		else
			rocksdb_writebatch_delete(b, c->key.at, c->key.len);
	char *text = NULL;
	rocksdb_write(t->engine->db, t->engine->durable, b, &text);
	rocksdb_writebatch_destroy(b);
	return text ? failed("commit", text) : OK;
}

/* ---- ranges */

static struct range *
range_new(struct txn *t, struct slice from, struct slice to, bool backwards, bool scan)
{
	struct range *r = must_calloc(1, sizeof *r);
	r->txn = t;
	r->backwards = backwards;
	r->from = slice_keep(&t->arena, from);
	r->to = slice_keep(&t->arena, to);
	buf_init(&r->key, SIZE_MAX);
	r->options = rocksdb_readoptions_create();
	read_options(t);
	if (t->snapshot)
		rocksdb_readoptions_set_snapshot(r->options, t->snapshot);
	rocksdb_readoptions_set_iterate_lower_bound(r->options, r->from.at, r->from.len);
	rocksdb_readoptions_set_iterate_upper_bound(r->options, r->to.at, r->to.len);
	if (scan) {
		rocksdb_readoptions_set_fill_cache(r->options, 0);
		rocksdb_readoptions_set_readahead_size(r->options, SCAN_AHEAD_BYTES);
	}
	r->base = rocksdb_create_iterator(t->engine->db, r->options);
	if (slice_compare(from, to) < 0) { /* otherwise it stands nowhere: empty */
		if (backwards)
			rocksdb_iter_seek_to_last(r->base); /* the bounds make it the last below to */
		else
			rocksdb_iter_seek(r->base, r->from.at, r->from.len);
	}
	t->ranges++;
	return r;
}

struct range *
range_begin(struct txn *t, struct slice from, struct slice to, bool backwards)
{
	return range_new(t, from, to, backwards, false);
}

struct range *
range_begin_scan(struct txn *t, struct slice from, struct slice to)
{
	return range_new(t, from, to, false, true);
}

static void
base_step(struct range *r)
{
	if (!rocksdb_iter_valid(r->base))
		return;
	if (r->backwards)
		rocksdb_iter_prev(r->base);
	else
		rocksdb_iter_next(r->base);
}

static bool
base_here(struct range *r, struct slice *key)
{
	if (!rocksdb_iter_valid(r->base))
		return false;
	key->at = rocksdb_iter_key(r->base, &key->len);
	return true;
}

static bool
give_base(struct range *r, struct slice *key, struct slice *value)
{
	if (!base_here(r, key))
		return false;
	value->at = rocksdb_iter_value(r->base, &value->len);
	r->base_given = true;
	return true;
}

/* The overlay's next cell inside the range, after the key that stands in r->key. */
static struct overlay_cell *
overlay_step(struct range *r)
{
	const struct overlay *o = &r->txn->overlay;
	struct slice last = buf_slice(&r->key);
	struct overlay_cell *c;
	if (r->backwards) {
		c = overlay_before(o, r->started ? last : r->to);
		return c && slice_compare(c->key, r->from) >= 0 ? c : NULL;
	}
	if (!r->at)
		r->at = overlay_seek(o, r->from);
	c = r->started ? overlay_walk(o, &r->at, last) : overlay_from(o, r->from);
	return c && slice_compare(c->key, r->to) < 0 ? c : NULL;
}

static void
remember(struct range *r, struct slice key)
{
	buf_clear(&r->key);
	buf_put(&r->key, key);
	r->started = true;
}

static bool
merged_next(struct range *r, struct slice *key, struct slice *value)
{
	for (;;) {
		struct overlay_cell *c = overlay_step(r);
		struct slice base;
		bool have = base_here(r, &base);
		if (!c) {
			if (!have)
				return false;
			remember(r, base);
			return give_base(r, key, value);
		}
		int order = !have ? -1 : slice_compare(c->key, base);
		if (have && r->backwards)
			order = -order;
		if (order > 0) {
			remember(r, base);
			return give_base(r, key, value);
		}
		if (order == 0)
			base_step(r); /* hidden by the overlay */
		remember(r, c->key);
		if (c->kind == OVERLAY_PUT) {
			*key = c->key;
			*value = c->value;
			return true;
		}
	}
}

bool
range_next(struct range *r, struct slice *key, struct slice *value)
{
	if (r->base_given) {
		base_step(r);
		r->base_given = false;
	}
	if (r->txn->write)
		return merged_next(r, key, value);
	return give_base(r, key, value);
}

enum err
range_end(struct range **p)
{
	struct range *r = *p;
	*p = NULL;
	char *text = NULL;
	rocksdb_iter_get_error(r->base, &text);
	rocksdb_iter_destroy(r->base);
	rocksdb_readoptions_destroy(r->options);
	buf_release(&r->key);
	r->txn->ranges--;
	free(r);
	return text ? failed("range", text) : OK;
}
