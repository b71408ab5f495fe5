/* SPDX-License-Identifier: Apache-2.0 */
/* engine_manifest.c - see engine_manifest.h. The format is that of RocksDB's logs: blocks of 32 KiB, in them records of
 * u32 masked CRC32C of type and bytes, u16 length, u8 type (whole, first, middle, last), the bytes; less than a head is
 * zeros at the end of a block. Called by engine_rocksdb.c when RocksDB says that its files are damaged. */
#include "store/engine_manifest.h"

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK_BYTES = 32768, HEAD_BYTES = 7, TYPE_WHOLE = 1, TYPE_LAST = 4 };
#define MANIFEST_BYTES_MAX (1u << 30)

static uint32_t
unmask(uint32_t masked)
{
	uint32_t rotated = masked - 0xa282ead8u;
	return rotated >> 17 | rotated << 15;
}

/* Bytes of the whole record at `at`; 0: there is none. */
static size_t
record_bytes(struct slice all, size_t at)
{
	size_t room = BLOCK_BYTES - at % BLOCK_BYTES;
	if (room < HEAD_BYTES || all.len - at < HEAD_BYTES)
		return 0;
	const char *head = all.at + at;
	size_t len = HEAD_BYTES + (size_t)bytes_get_le(head + 4, 2);
	if (len > room || len > all.len - at || head[6] < TYPE_WHOLE || head[6] > TYPE_LAST)
		return 0;
	return crc32c(0, head + 6, len - 6) == unmask((uint32_t)bytes_get_le(head, 4)) ? len : 0;
}

static size_t
next_block(size_t at)
{
	return at - at % BLOCK_BYTES + BLOCK_BYTES;
}

/* Where the first record begins that is not whole; all.len: there is none. */
static size_t
first_broken(struct slice all)
{
	size_t at = 0, n;
	while (at < all.len) {
		if (BLOCK_BYTES - at % BLOCK_BYTES < HEAD_BYTES)
			at = next_block(at);
		else if ((n = record_bytes(all, at)) > 0)
			at += n;
		else
			return at;
	}
	return all.len;
}

/* Whole records behind the broken one: where its own length says, or at the beginning of a block. */
static bool
any_whole_behind(struct slice all, size_t broken)
{
	size_t len = all.len - broken < HEAD_BYTES ? HEAD_BYTES : HEAD_BYTES + (size_t)bytes_get_le(all.at + broken + 4, 2);
	if (broken + len < all.len && record_bytes(all, broken + len))
		return true;
	for (size_t at = next_block(broken); at < all.len; at += BLOCK_BYTES)
		if (record_bytes(all, at))
			return true;
	return false;
}

/* The file that CURRENT names; false: it names none. */
static bool
manifest_path(const char *folder, char *path, size_t size)
{
	char name[64] = { 0 };
	snprintf(path, size, "%s/CURRENT", folder);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, name, sizeof name - 1);
	if (fd >= 0)
		close(fd);
	struct slice s = slice_trim(slice_of(name, n > 0 ? (size_t)n : 0));
	snprintf(path, size, "%s/%.*s", folder, SLICE_ARG(s));
	return slice_starts(s, S("MANIFEST-")) && slice_find_char(s, '/') < 0;
}

static bool
read_all(int fd, struct buf *all)
{
	struct stat st;
	if (fstat(fd, &st) || st.st_size <= 0 || st.st_size > (off_t)MANIFEST_BYTES_MAX)
		return false;
	buf_init(all, (size_t)st.st_size);
	if (!buf_room(all, (size_t)st.st_size))
		return false;
	while (all->len < (size_t)st.st_size) {
		ssize_t n = pread(fd, all->at + all->len, (size_t)st.st_size - all->len, (off_t)all->len);
		if (n <= 0)
			return false;
		all->len += (size_t)n;
	}
	return true;
}

bool
manifest_mend(const char *folder)
{
	char path[4096];
	struct buf all = { 0 };
	int fd = manifest_path(folder, path, sizeof path) ? open(path, O_RDWR | O_CLOEXEC) : -1;
	size_t broken = 0;
	bool mended = fd >= 0 && read_all(fd, &all) && (broken = first_broken(buf_slice(&all))) > 0 && broken < all.len &&
	              !any_whole_behind(buf_slice(&all), broken);
	mended = mended && ftruncate(fd, (off_t)broken) == 0 && fsync(fd) == 0;
	if (mended) {
		struct log l;
		log_begin(&l, LOG_WARN, "store.manifest-mended");
		log_text(&l, "file", path);
		log_u64(&l, "cut", all.len - broken);
		log_end(&l);
	}
	buf_release(&all);
	if (fd >= 0)
		close(fd);
	return mended;
}
