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

struct segments;

struct place {
	uint32_t segment;
	uint32_t bytes;  /* of the body */
	uint64_t offset; /* of the record's header */
};

/* Where the bytes of a new record come from. */
struct body_source {
	struct slice bytes; /* copied when the record is written: may be memory that others can change */
	int file;           /* when bytes.at is NULL: this file from 0 */
	uint32_t len;
};

enum err segments_open(int data_dir, struct segments **s, const char **why);
void segments_close(struct segments **s);
/* After a restart: the open segment goes on after the last committed record. */
void segments_resume(struct segments *s, uint32_t segment, uint64_t end);
/* Reserves the place of the next record. Loop thread only. */
enum err segment_reserve(struct segments *s, uint32_t bytes, struct place *at);
/* Writes one record where it was reserved; several records next to each other are written in one call by
 * segment_write_all. */
struct record {
	uint64_t object;
	struct body_source from;
	struct place at;
};
enum err segment_write_all(struct segments *s, const struct record *records, size_t n);
enum err segment_sync(struct segments *s);
/* Reads bytes [from, from+len) of a body (no checksum), or checks the whole record. */
enum err segment_read(struct segments *s, const struct place *at, uint64_t from, void *to, size_t len);
enum err segment_verify(struct segments *s, const struct place *at, uint64_t object);

#endif
