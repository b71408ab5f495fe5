/* SPDX-License-Identifier: Apache-2.0 */
/* segment.c - the files of bodies: places are reserved on the loop thread, written and synced by commit.c's thread,
 * read by any. The table of files and their descriptors is behind a mutex; everything else belongs to one thread at a
 * time (the loop reserves nothing while a batch is written).
 *
 * Records of a batch are gathered in one buffer and written with one call for each run of neighbours; what is larger
 * than the buffer is streamed through it. Bodies are copied before they are checksummed, since a client may change
 * memory that it shares. Fails: ERR_DISK_FULL (nothing is broken by it), ERR_IO, ERR_DAMAGED. */
#include "store/segment.h"

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/map.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAGIC 0x31474553u /* "SEG1" */
#define GATHER_BYTES (1u << 20)
#define PIECE_BYTES (256u << 10)
#define OPEN_FILES_MAX 256
#define FREE_FILES_MAX 4
#define DIRTY_MAX 16
#define RUN_PIECES_MAX 256 /* stretches that are read with one call */
#define GAP_BYTES_MAX 2048 /* between two of them */
#define NAME_BYTES 16

uint64_t segment_bytes_max = SEGMENT_BYTES;

enum file_state { FILE_FREE, FILE_USED };

struct file {
	uint32_t number;
	enum file_state state;
	int fd; /* -1: not open */
	unsigned users;
	uint64_t used_at; /* for closing the one that was not used for longest */
};

struct segments {
	int dir;
	uint32_t open;   /* the one that is written; 0: none */
	uint64_t end;    /* of what is reserved in it */
	uint32_t newest; /* highest number ever seen */
	bool dir_dirty;  /* a name changed since the last sync */
	uint32_t dirty[DIRTY_MAX];
	size_t ndirty;
	char *gather; /* GATHER_BYTES, page-aligned */
	int lent;     /* segment_file's; -1: none */
	pthread_mutex_t lock;
	struct map files;
	size_t nopen;
	uint64_t clock;
};

static enum err
err_now(void)
{
	/* EFBIG: the process may not make files so large; for mail that is a full disk. */
	return errno == EFBIG ? ERR_DISK_FULL : err_from_errno(errno);
}

static void
name_of(uint32_t number, char name[NAME_BYTES])
{
	snprintf(name, NAME_BYTES, "%08x.seg", number);
}

/* ---- the table of files */

static struct file *
file_add(struct segments *s, uint32_t number, enum file_state state)
{
	struct file *f = must_calloc(1, sizeof *f);
	*f = (struct file){ .number = number, .state = state, .fd = -1 };
	pthread_mutex_lock(&s->lock);
	map_set(&s->files, number, f);
	pthread_mutex_unlock(&s->lock);
	s->newest = MAX(s->newest, number);
	return f;
}

static void
close_oldest(struct segments *s)
{
	struct file *oldest = NULL;
	uint64_t key;
	void *value;
	for (size_t i = 0; map_each(&s->files, &i, &key, &value);) {
		struct file *f = value;
		if (f->fd >= 0 && f->users == 0 && (!oldest || f->used_at < oldest->used_at))
			oldest = f;
	}
	if (!oldest)
		return;
	close(oldest->fd);
	oldest->fd = -1;
	s->nopen--;
}

static enum err
file_open(struct segments *s, struct file *f, int flags)
{
	char name[NAME_BYTES];
	name_of(f->number, name);
	if (s->nopen >= OPEN_FILES_MAX)
		close_oldest(s);
	f->fd = openat(s->dir, name, O_RDWR | O_CLOEXEC | flags, 0600);
	if (f->fd < 0)
		return errno == ENOENT ? ERR_DAMAGED : err_now();
	s->nopen++;
	return OK;
}

/* Holds the descriptor of a segment until file_done. */
static enum err
file_hold(struct segments *s, uint32_t number, struct file **out)
{
	pthread_mutex_lock(&s->lock);
	struct file *f = map_get(&s->files, number);
	enum err e = f ? OK : ERR_DAMAGED;
	if (!e && f->fd < 0)
		e = file_open(s, f, 0);
	if (!e) {
		f->users++;
		f->used_at = ++s->clock;
		*out = f;
	}
	pthread_mutex_unlock(&s->lock);
	return e;
}

static void
file_done(struct segments *s, struct file *f)
{
	pthread_mutex_lock(&s->lock);
	f->users--;
	pthread_mutex_unlock(&s->lock);
}

static struct file *
find_free(struct segments *s, size_t *count)
{
	struct file *found = NULL;
	uint64_t key;
	void *value;
	*count = 0;
	for (size_t i = 0; map_each(&s->files, &i, &key, &value);) {
		struct file *f = value;
		if (f->state != FILE_FREE)
			continue;
		found = f;
		(*count)++;
	}
	return found;
}

/* ---- open and close */

static void
note_file(struct segments *s, const char *name)
{
	char *rest;
	unsigned long number = strtoul(name, &rest, 16);
	if (rest != name + 8 || strcmp(rest, ".seg") != 0 || number == 0 || number > UINT32_MAX)
		return;
	file_add(s, (uint32_t)number, FILE_FREE);
}

static enum err
read_folder(struct segments *s)
{
	int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (!d)
		return err_now();
	struct dirent *entry;
	while ((entry = readdir(d)) != NULL)
		note_file(s, entry->d_name);
	closedir(d);
	return OK;
}

enum err
segments_open(int data_dir, struct segments **out, const char **why)
{
	*why = "the folder of segments cannot be opened";
	bool made = mkdirat(data_dir, "segments", 0700) == 0;
	if (!made && errno != EEXIST)
		return err_now();
	if (made && fsync(data_dir) < 0)
		return err_now();
	int dir = openat(data_dir, "segments", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_now();
	struct segments *s = must_calloc(1, sizeof *s);
	s->dir = dir;
	s->lent = -1;
	pthread_mutex_init(&s->lock, NULL);
	s->gather = aligned_alloc(4096, GATHER_BYTES);
	ASSERT(s->gather != NULL);
	enum err e = read_folder(s);
	if (e)
		segments_close(&s);
	else
		*out = s;
	return e;
}

void
segments_close(struct segments **p)
{
	struct segments *s = *p;
	*p = NULL;
	if (!s)
		return;
	uint64_t key;
	void *value;
	for (size_t i = 0; map_each(&s->files, &i, &key, &value);) {
		struct file *f = value;
		if (f->fd >= 0)
			close(f->fd);
		free(f);
	}
	map_release(&s->files);
	if (s->lent >= 0)
		close(s->lent);
	close(s->dir);
	free(s->gather);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void
segment_used(struct segments *s, uint32_t segment)
{
	struct file *f = map_get(&s->files, segment);
	if (f)
		f->state = FILE_USED;
	s->newest = MAX(s->newest, segment); /* a file that is gone is told of by who reads it */
}

static void remove_spare(struct segments *s);

void
segments_resume(struct segments *s, uint32_t segment, uint64_t end)
{
	s->open = map_get(&s->files, segment) ? segment : 0;
	s->end = s->open ? end : 0;
	remove_spare(s);
}

/* ---- taking and giving back */

static void
remove_spare(struct segments *s)
{
	size_t count;
	struct file *f;
	while ((f = find_free(s, &count)) != NULL && count > FREE_FILES_MAX) {
		char name[NAME_BYTES];
		name_of(f->number, name);
		unlinkat(s->dir, name, 0);
		pthread_mutex_lock(&s->lock);
		map_remove(&s->files, f->number);
		if (f->fd >= 0) {
			close(f->fd);
			s->nopen--;
		}
		pthread_mutex_unlock(&s->lock);
		free(f);
	}
}

/* A file that was emptied gets the new number: its blocks are written already, and overwriting syncs faster than
 * appending does on file systems with a journal. */
static enum err
reuse(struct segments *s, struct file *f, uint32_t number)
{
	char from[NAME_BYTES], to[NAME_BYTES];
	name_of(f->number, from);
	name_of(number, to);
	if (renameat(s->dir, from, s->dir, to) < 0)
		return err_now();
	pthread_mutex_lock(&s->lock);
	map_remove(&s->files, f->number);
	f->number = number;
	map_set(&s->files, number, f);
	enum err e = f->fd < 0 ? file_open(s, f, 0) : OK;
	struct stat st;
	if (!e && fstat(f->fd, &st) == 0 && (uint64_t)st.st_size > segment_bytes_max &&
	    ftruncate(f->fd, (off_t)segment_bytes_max) < 0)
		e = err_now();
	f->state = e ? FILE_FREE : FILE_USED;
	pthread_mutex_unlock(&s->lock);
	return e;
}

static enum err
make_new(struct segments *s, uint32_t number)
{
	struct file *f = file_add(s, number, FILE_USED);
	pthread_mutex_lock(&s->lock);
	enum err e = file_open(s, f, O_CREAT | O_EXCL);
	if (e)
		map_remove(&s->files, number);
	pthread_mutex_unlock(&s->lock);
	if (e)
		free(f);
	return e;
}

static enum err
next_segment(struct segments *s)
{
	if (s->newest == UINT32_MAX)
		return ERR_LIMIT;
	uint32_t number = ++s->newest;
	size_t count;
	struct file *f = find_free(s, &count);
	enum err e = f ? reuse(s, f, number) : make_new(s, number);
	if (e)
		return e;
	s->dir_dirty = true;
	s->open = number;
	s->end = 0;
	return OK;
}

uint64_t
segment_record_bytes(uint32_t bytes)
{
	return ((uint64_t)SEGMENT_HEADER_BYTES + bytes + 7) & ~(uint64_t)7;
}

enum err
segment_reserve(struct segments *s, uint32_t bytes, struct place *at)
{
	uint64_t need = segment_record_bytes(bytes);
	if (!s->open || (s->end && s->end + need > segment_bytes_max)) { /* what is larger than a segment gets one alone */
		enum err e = next_segment(s);
		if (e)
			return e;
	}
	*at = (struct place){ s->open, bytes, s->end };
	s->end += need;
	return OK;
}

struct segment_end
segment_mark(const struct segments *s)
{
	return (struct segment_end){ s->open, s->end };
}

void
segment_give_back(struct segments *s, struct segment_end mark)
{
	for (uint32_t n = s->open; n > mark.segment; n--) {
		struct file *f = map_get(&s->files, n);
		if (f)
			f->state = FILE_FREE;
	}
	s->ndirty = 0; /* what a failed batch wrote need not last */
	s->open = mark.segment;
	s->end = mark.end;
}

void
segment_free(struct segments *s, uint32_t segment)
{
	struct file *f = map_get(&s->files, segment);
	if (!f)
		return;
	ASSERT(segment != s->open);
	f->state = FILE_FREE;
	remove_spare(s);
}

/* ---- writing */

static enum err
write_at(int fd, const char *at, size_t len, uint64_t offset)
{
	while (len) {
		ssize_t n = pwrite(fd, at, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_now();
		at += n, offset += (uint64_t)n, len -= (size_t)n;
	}
	return OK;
}

static enum err
read_at(int fd, char *to, size_t len, uint64_t offset, size_t *got)
{
	*got = 0;
	while (*got < len) {
		ssize_t n = pread(fd, to + *got, len - *got, (off_t)(offset + *got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_now();
		if (n == 0)
			break;
		*got += (size_t)n;
	}
	return OK;
}

static enum err
copy_source(const struct body_source *from, uint64_t offset, char *to, size_t len)
{
	if (from->bytes.at) {
		memcpy(to, from->bytes.at + offset, len);
		return OK;
	}
	size_t got;
	enum err e = read_at(from->file, to, len, from->from + offset, &got);
	/* Whoever shortened its file after naming it spoils its own message, not the batch. */
	memset(to + got, 0, len - got);
	return e;
}

static void
put_header(char *to, uint64_t object, uint32_t bytes)
{
	bytes_set_le(to, MAGIC, 4);
	bytes_set_le(to + 8, object, 8);
	bytes_set_le(to + 16, bytes, 4);
	bytes_set_le(to + 20, 0, 4);
}

/* A run of records next to each other that waits in the buffer. */
struct run {
	uint32_t segment;
	uint64_t offset;
	size_t len;
};

static enum err
mark_dirty(struct segments *s, uint32_t segment)
{
	for (size_t i = 0; i < s->ndirty; i++)
		if (s->dirty[i] == segment)
			return OK;
	enum err e = s->ndirty == DIRTY_MAX ? segment_sync(s) : OK;
	s->dirty[s->ndirty++] = segment;
	return e;
}

static enum err
write_to(struct segments *s, uint32_t segment, const char *at, size_t len, uint64_t offset)
{
	struct file *f;
	enum err e = file_hold(s, segment, &f);
	if (e)
		return e;
	e = mark_dirty(s, segment);
	if (!e)
		e = write_at(f->fd, at, len, offset);
	file_done(s, f);
	return e;
}

static enum err
flush_run(struct segments *s, struct run *run)
{
	size_t len = run->len;
	run->len = 0;
	return len ? write_to(s, run->segment, s->gather, len, run->offset) : OK;
}

static enum err
gather_record(struct segments *s, struct run *run, const struct record *r)
{
	uint64_t need = segment_record_bytes(r->at.bytes);
	bool next = run->segment == r->at.segment && run->offset + run->len == r->at.offset;
	if (run->len && (!next || run->len + need > GATHER_BYTES)) {
		enum err e = flush_run(s, run);
		if (e)
			return e;
	}
	if (run->len == 0) {
		run->segment = r->at.segment;
		run->offset = r->at.offset;
	}
	char *to = s->gather + run->len;
	put_header(to, r->object, r->at.bytes);
	enum err e = copy_source(&r->from, 0, to + SEGMENT_HEADER_BYTES, r->at.bytes);
	size_t used = SEGMENT_HEADER_BYTES + r->at.bytes;
	memset(to + used, 0, need - used);
	bytes_set_le(to + 4, crc32c(0, to + 8, used - 8), 4);
	run->len += need;
	return e;
}

/* Its header, which holds the checksum of all, is written last. */
static enum err
stream_record(struct segments *s, const struct record *r)
{
	char header[SEGMENT_HEADER_BYTES];
	put_header(header, r->object, r->at.bytes);
	uint32_t crc = crc32c(0, header + 8, sizeof header - 8);
	uint64_t start = r->at.offset + sizeof header;
	for (uint64_t done = 0; done < r->at.bytes;) {
		size_t n = MIN((size_t)PIECE_BYTES, r->at.bytes - done);
		enum err e = copy_source(&r->from, done, s->gather, n);
		if (!e)
			e = write_to(s, r->at.segment, s->gather, n, start + done);
		if (e)
			return e;
		crc = crc32c(crc, s->gather, n);
		done += n;
	}
	bytes_set_le(header + 4, crc, 4);
	return write_to(s, r->at.segment, header, sizeof header, r->at.offset);
}

enum err
segment_write_all(struct segments *s, const struct record *records, size_t n)
{
	struct run run = { 0 };
	enum err e = OK;
	for (size_t i = 0; i < n && !e; i++) {
		if (segment_record_bytes(records[i].at.bytes) <= GATHER_BYTES) {
			e = gather_record(s, &run, &records[i]);
			continue;
		}
		e = flush_run(s, &run);
		if (!e)
			e = stream_record(s, &records[i]);
	}
	return e ? e : flush_run(s, &run);
}

enum err
segment_sync(struct segments *s)
{
	enum err e = OK;
	for (size_t i = 0; i < s->ndirty && !e; i++) {
		struct file *f;
		e = file_hold(s, s->dirty[i], &f);
		if (e)
			break;
		if (fdatasync(f->fd) < 0)
			e = err_now();
		file_done(s, f);
	}
	s->ndirty = 0;
	if (!e && s->dir_dirty && fsync(s->dir) < 0)
		e = err_now();
	s->dir_dirty = s->dir_dirty && e;
	return e;
}

/* ---- reading */

static enum err
read_exact(struct segments *s, uint32_t segment, uint64_t offset, void *to, size_t len)
{
	struct file *f;
	enum err e = file_hold(s, segment, &f);
	if (e)
		return e;
	size_t got;
	e = read_at(f->fd, to, len, offset, &got);
	file_done(s, f);
	return e ? e : got == len ? OK : ERR_DAMAGED;
}

enum err
segment_read(struct segments *s, const struct place *at, uint64_t from, void *to, size_t len)
{
	if (from > at->bytes || len > at->bytes - from)
		return ERR_DAMAGED;
	return read_exact(s, at->segment, at->offset + SEGMENT_HEADER_BYTES + from, to, len);
}

static uint64_t
piece_start(const struct segment_piece *p)
{
	return p->at.offset + SEGMENT_HEADER_BYTES + p->from;
}

/* May p be read with what ends at `end` of the same segment? What lies between is read too, and dropped. */
static bool
is_near(const struct segment_piece *first, uint64_t end, const struct segment_piece *p)
{
	uint64_t start = piece_start(p);
	bool inside = p->from <= p->at.bytes && p->len <= p->at.bytes - p->from;
	return inside && p->at.segment == first->at.segment && start >= end && start - end <= GAP_BYTES_MAX;
}

/* Pieces from the first on, as many as make up one run: how many were read; 0: it must be read by itself. */
static size_t
read_run(struct segments *s, const struct segment_piece *pieces, size_t n)
{
	struct iovec io[2 * RUN_PIECES_MAX];
	char gap[GAP_BYTES_MAX];
	size_t count = 0, nio = 0;
	uint64_t start = piece_start(&pieces[0]), end = start;
	while (count < MIN(n, (size_t)RUN_PIECES_MAX) && is_near(&pieces[0], end, &pieces[count])) {
		const struct segment_piece *p = &pieces[count++];
		if (piece_start(p) > end)
			io[nio++] = (struct iovec){ gap, piece_start(p) - end };
		io[nio++] = (struct iovec){ p->to, p->len };
		end = piece_start(p) + p->len;
	}
	struct file *f;
	if (count < 2 || file_hold(s, pieces[0].at.segment, &f) != OK)
		return 0;
	ssize_t got = preadv(f->fd, io, (int)nio, (off_t)start);
	file_done(s, f);
	return got >= 0 && (uint64_t)got == end - start ? count : 0;
}

enum err
segment_read_many(struct segments *s, const struct segment_piece *pieces, size_t n)
{
	while (n) {
		size_t done = read_run(s, pieces, n);
		if (!done) { /* alone, in pieces, or to find which one cannot be read */
			enum err e = segment_read(s, &pieces[0].at, pieces[0].from, pieces[0].to, pieces[0].len);
			if (e)
				return e;
			done = 1;
		}
		pieces += done;
		n -= done;
	}
	return OK;
}

enum err
segment_record_at(struct segments *s, uint32_t segment, uint64_t offset, struct place *at, uint64_t *object)
{
	char header[SEGMENT_HEADER_BYTES];
	enum err e = read_exact(s, segment, offset, header, sizeof header);
	if (e)
		return e;
	if (bytes_get_le(header, 4) != MAGIC)
		return ERR_DAMAGED;
	*object = bytes_get_le(header + 8, 8);
	*at = (struct place){ segment, (uint32_t)bytes_get_le(header + 16, 4), offset };
	return OK;
}

enum err
segment_verify(struct segments *s, const struct place *at, uint64_t object)
{
	char header[SEGMENT_HEADER_BYTES];
	enum err e = read_exact(s, at->segment, at->offset, header, sizeof header);
	if (e)
		return e;
	if (bytes_get_le(header, 4) != MAGIC || bytes_get_le(header + 8, 8) != object ||
	    bytes_get_le(header + 16, 4) != at->bytes)
		return ERR_DAMAGED;
	uint32_t crc = crc32c(0, header + 8, sizeof header - 8);
	size_t room = MIN((size_t)PIECE_BYTES, MAX(at->bytes, 1u));
	char *piece = must_calloc(1, room);
	for (uint64_t done = 0; done < at->bytes && !e;) {
		size_t n = MIN(room, at->bytes - done);
		e = segment_read(s, at, done, piece, n);
		crc = crc32c(crc, piece, n);
		done += n;
	}
	free(piece);
	return e ? e : crc == bytes_get_le(header + 4, 4) ? OK : ERR_DAMAGED;
}

enum err
segment_file(struct segments *s, uint32_t segment, int *fd)
{
	struct file *f;
	if (s->lent >= 0)
		close(s->lent);
	s->lent = -1;
	enum err e = file_hold(s, segment, &f);
	if (e)
		return e;
	s->lent = fcntl(f->fd, F_DUPFD_CLOEXEC, 0);
	if (s->lent < 0)
		e = err_now();
	file_done(s, f);
	*fd = s->lent;
	return e;
}

uint64_t
segments_disk_bytes(struct segments *s)
{
	uint64_t sum = 0, key;
	void *value;
	for (size_t i = 0; map_each(&s->files, &i, &key, &value);) {
		struct stat st;
		char name[NAME_BYTES];
		name_of((uint32_t)key, name);
		if (fstatat(s->dir, name, &st, 0) == 0)
			sum += (uint64_t)st.st_blocks * 512;
	}
	return sum;
}
