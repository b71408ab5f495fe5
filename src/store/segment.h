/* SPDX-License-Identifier: Apache-2.0 */
/* segment.h - the bytes of messages, in append-only files of the data directory ("segments/0000000a.seg").
 *
 * A record: u32 magic, u32 crc32c (of all that follows), u64 object, u32 bytes, u32 reserved; the bytes; padding to 8.
 * One segment is written at a time, up to SEGMENT_BYTES; then a recycled file or a new one is taken. Records are
 * written and synced (segment_sync) before the metadata that names them is committed; so what stands behind the last
 * committed record of a segment means nothing after a restart and is overwritten. Space: a segment knows by its row how
 * many bytes are alive; when less than half are, a sweep copies the living ones to the open segment in ordinary
 * transactions and recycles the file. A file is reused or removed only after the commit that emptied it is durable. */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include "base/err.h"
#include "base/slice.h"

#define SEGMENT_BYTES (64u << 20)
#define SEGMENT_HEADER_BYTES 24u

extern uint64_t segment_bytes_max; /* SEGMENT_BYTES; tests set it lower */

struct segments;

struct place {
	uint32_t segment;
	uint32_t bytes;  /* of the body */
	uint64_t offset; /* of the record's header */
};

/* Where the bytes of a new record come from. */
struct body_source {
	struct slice bytes; /* copied when the record is written: may be memory that others can change */
	int file;           /* when bytes.at is NULL: this file, from here on; what it lacks is read as zeros */
	uint32_t len;
	uint64_t from;
};

enum err segments_open(int data_dir, struct segments **s, const char **why);
void segments_close(struct segments **s);
/* After a restart: names each segment that has a row; then resume: the open segment goes on after the last committed
 * record (0, 0: there is none), and files that nobody named are free. */
void segment_used(struct segments *s, uint32_t segment);
void segments_resume(struct segments *s, uint32_t segment, uint64_t end);
/* Reserves the place of the next record. Loop thread only. */
enum err segment_reserve(struct segments *s, uint32_t bytes, struct place *at);
/* Where the next record would stand; giving back goes there again: what was reserved since is free. Loop thread only,
 * and not while a batch is written. */
struct segment_end {
	uint32_t segment;
	uint64_t end;
};
struct segment_end segment_mark(const struct segments *s);
void segment_give_back(struct segments *s, struct segment_end mark);
/* No row names it any more, durably, and nobody reads it: the file is reused or removed. Loop thread only. */
void segment_free(struct segments *s, uint32_t segment);
/* Bytes of a record, header and padding included. */
uint64_t segment_record_bytes(uint32_t bytes);
/* Writes records where they were reserved (in that order); those next to each other leave in one call. */
struct record {
	uint64_t object;
	struct body_source from;
	struct place at;
};
enum err segment_write_all(struct segments *s, const struct record *records, size_t n);
enum err segment_sync(struct segments *s);
/* Reads bytes [from, from+len) of a body (no checksum), or checks the whole record. Any thread. */
enum err segment_read(struct segments *s, const struct place *at, uint64_t from, void *to, size_t len);
/* Many stretches; those that are near each other and rise come with one call. Stops at the first that fails. */
struct segment_piece {
	struct place at;
	uint64_t from;
	void *to;
	size_t len;
};
enum err segment_read_many(struct segments *s, const struct segment_piece *pieces, size_t n);
enum err segment_verify(struct segments *s, const struct place *at, uint64_t object);
/* The record that stands at this offset: for walking through a segment. ERR_DAMAGED: none does. Any thread. */
enum err segment_record_at(struct segments *s, uint32_t segment, uint64_t offset, struct place *at, uint64_t *object);
/* An open descriptor of the segment's file, good until the next call of this function: for copying a record. */
enum err segment_file(struct segments *s, uint32_t segment, int *fd);
uint64_t segments_disk_bytes(struct segments *s);

#endif
