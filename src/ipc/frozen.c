/* SPDX-License-Identifier: Apache-2.0 */
/* frozen.c - sealed copies and private views of them. Called by store (makes and maps them) and sessions (map them).
 * Fails: no memory, or a descriptor that is not what it should be. */
#include "ipc/frozen.h"

#include "base/check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static bool
write_all(int fd, struct slice bytes)
{
	while (bytes.len) {
		ssize_t n = write(fd, bytes.at, bytes.len);
		if (n <= 0)
			return false;
		bytes = slice_from(bytes, (size_t)n);
	}
	return true;
}

int
frozen_new(struct slice bytes)
{
	int fd = memfd_create("posthouse-frozen", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	if (write_all(fd, bytes) && fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool
is_frozen(int fd, size_t bytes)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	return seals >= 0 && (seals & SEALS) == SEALS && fstat(fd, &st) == 0 && bytes > 0 && (uint64_t)st.st_size >= bytes;
}

void *
frozen_map(int fd, size_t bytes, size_t room)
{
	ASSERT(room >= bytes);
	if (!is_frozen(fd, bytes))
		return NULL;
	char *at = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return NULL;
	if (mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd, 0) != MAP_FAILED)
		return at;
	munmap(at, room);
	return NULL;
}

void
frozen_unmap(void *at, size_t room)
{
	if (at)
		munmap(at, room);
}
