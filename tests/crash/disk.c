/* SPDX-License-Identifier: Apache-2.0 */
/* disk.c - a disk that loses what was not synced. Loaded before the program under test (LD_PRELOAD), it counts every
 * operation that changes files below CRASH_DIR and remembers how to undo it until it is synced: the contents of a file
 * by fsync or fdatasync of that file, names by fsync of their folder. At operation CRASH_AT it undoes what would be
 * lost and kills the process before that operation.
 *
 *     CRASH_DIR    the folder, as realpath prints it; CRASH_DIR.trash beside it keeps removed files until they are sure
 *     CRASH_AT     number of the operation, from 1; 0 or missing: only count
 *     CRASH_MODE   0: the process is killed, nothing is lost; 1: all that was not synced is lost; 2: of each sector of
 *                  512 bytes some state between the last sync and now stays, and some names
 *     CRASH_SEED   chooses for mode 2
 *     CRASH_COUNT  file that gets the number of operations at a normal end
 *
 * One lock is held through each operation, so that no other thread slips in between. System calls are made directly. */
#undef _FILE_OFFSET_BITS /* both names of each function are ours */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS_MAX 65536
#define FILES_MAX 65536
#define SECTOR 512
#define PATH_MAX_BYTES 4096
#define EXPORT __attribute__((visibility("default")))

/* The bytes of a file from `at` on, and its size, before one operation. */
struct undo {
	off_t at, size;
	size_t len; /* that the operation changes; those beyond `kept` were not there: zeros */
	size_t kept;
	char *bytes;
};

struct file {
	dev_t dev;
	ino_t ino;
	int fd; /* ours, for undoing */
	struct undo *undo;
	size_t nundo, cap;
};

enum name_kind { NAME_CREATED, NAME_REMOVED, NAME_MOVED, NAME_FOLDER };
struct name {
	enum name_kind kind;
	bool sure;
	ino_t parent;
	char *path, *to;
	char *trash; /* a link to what the name (or to) led to before */
};

static struct {
	pthread_mutex_t lock;
	bool ready;
	const char *dir;
	size_t dir_len;
	uint64_t at, seed, count;
	int mode;
	struct file *of_fd[FDS_MAX];
	struct file *files[FILES_MAX];
	size_t nfiles;
	struct name *names;
	size_t nnames, names_cap;
	unsigned trash;
} disk = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void *
must(void *p)
{
	if (!p)
		abort();
	return p;
}

static uint64_t
number_of(const char *variable)
{
	const char *text = getenv(variable);
	return text ? strtoull(text, NULL, 10) : 0;
}

static void
get_ready(void)
{
	if (disk.ready)
		return;
	disk.ready = true;
	disk.dir = getenv("CRASH_DIR");
	disk.dir_len = disk.dir ? strlen(disk.dir) : 0;
	disk.at = number_of("CRASH_AT");
	disk.mode = (int)number_of("CRASH_MODE");
	disk.seed = number_of("CRASH_SEED");
}

static void
lock(void)
{
	pthread_mutex_lock(&disk.lock);
	get_ready();
}

static void
unlock(void)
{
	int e = errno;
	pthread_mutex_unlock(&disk.lock);
	errno = e;
}

static uint64_t
mix(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t x = a * 0x9e3779b97f4a7c15u ^ b * 0xbf58476d1ce4e5b9u ^ c * 0x94d049bb133111ebu;
	x ^= x >> 31;
	x *= 0x94d049bb133111ebu;
	return x ^ x >> 29;
}

/* ---- undoing */

static void
write_back(int fd, const char *bytes, size_t len, off_t at)
{
	if (len && syscall(SYS_pwrite64, fd, bytes, len, at) != (long)len)
		abort();
}

/* Puts back [from, from+len) as it was before the operation. */
static void
undo_part(const struct file *f, const struct undo *u, size_t from, size_t len)
{
	static const char zeros[SECTOR];
	size_t kept = from < u->kept ? (u->kept - from < len ? u->kept - from : len) : 0;
	write_back(f->fd, u->bytes + from, kept, u->at + (off_t)from);
	for (size_t done = kept; done < len;) {
		size_t n = len - done < SECTOR ? len - done : SECTOR;
		write_back(f->fd, zeros, n, u->at + (off_t)(from + done));
		done += n;
	}
}

static void
undo_sectors(const struct file *f, size_t which)
{
	const struct undo *u = &f->undo[which];
	for (size_t from = 0; from < u->len;) {
		uint64_t sector = (uint64_t)(u->at + (off_t)from) / SECTOR;
		size_t n = SECTOR - (size_t)((uint64_t)(u->at + (off_t)from) % SECTOR);
		n = u->len - from < n ? u->len - from : n;
		if (which >= mix(disk.seed, f->ino, sector) % (f->nundo + 1))
			undo_part(f, u, from, n);
		from += n;
	}
}

static void
undo_file(const struct file *f)
{
	struct stat st;
	if (f->nundo == 0 || f->fd < 0 || fstat(f->fd, &st) < 0)
		return;
	bool keep_size = disk.mode == 2 && mix(disk.seed, f->ino, UINT64_MAX) & 1;
	off_t size = st.st_size;
	for (size_t i = f->nundo; i-- > 0;) {
		if (disk.mode == 2)
			undo_sectors(f, i);
		else
			undo_part(f, &f->undo[i], 0, f->undo[i].len);
		if (!keep_size)
			size = f->undo[i].size;
	}
	if (syscall(SYS_ftruncate, f->fd, size) < 0)
		abort();
}

static void
undo_name(const struct name *n)
{
	if (n->kind == NAME_CREATED)
		syscall(SYS_unlinkat, AT_FDCWD, n->path, 0);
	if (n->kind == NAME_FOLDER)
		syscall(SYS_unlinkat, AT_FDCWD, n->path, AT_REMOVEDIR);
	if (n->kind == NAME_MOVED)
		syscall(SYS_renameat2, AT_FDCWD, n->to, AT_FDCWD, n->path, 0);
	if (n->trash)
		syscall(SYS_linkat, AT_FDCWD, n->trash, AT_FDCWD, n->kind == NAME_MOVED ? n->to : n->path, 0);
}

static void
crash(void)
{
	size_t unsure = 0, keep = 0;
	for (size_t i = 0; i < disk.nnames; i++)
		unsure += !disk.names[i].sure;
	if (disk.mode == 2)
		keep = (size_t)(mix(disk.seed, 1, 2) % (unsure + 1));
	if (disk.mode) {
		for (size_t i = 0; i < disk.nfiles; i++)
			undo_file(disk.files[i]);
		for (size_t i = disk.nnames; i-- > 0 && unsure > keep;) {
			if (disk.names[i].sure)
				continue;
			undo_name(&disk.names[i]);
			unsure--;
		}
	}
	syscall(SYS_kill, getpid(), SIGKILL);
	for (;;)
		pause();
}

/* Before each operation that counts. */
static void
step(void)
{
	if (++disk.count == disk.at)
		crash();
}

__attribute__((destructor)) static void
report(void)
{
	const char *path = getenv("CRASH_COUNT");
	char text[32];
	if (!path)
		return;
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	int n = snprintf(text, sizeof text, "%llu\n", (unsigned long long)disk.count);
	syscall(SYS_write, fd, text, n);
	syscall(SYS_close, fd);
}

/* ---- which files are ours */

static bool
inside(const char *path)
{
	return disk.dir_len && strncmp(path, disk.dir, disk.dir_len) == 0 &&
	       (path[disk.dir_len] == '/' || path[disk.dir_len] == 0);
}

static bool
path_of_fd(int fd, char path[PATH_MAX_BYTES])
{
	char link[64];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, PATH_MAX_BYTES - 1);
	path[n > 0 ? n : 0] = 0;
	return n > 0;
}

static bool
absolute(int dirfd, const char *name, char path[PATH_MAX_BYTES])
{
	char base[PATH_MAX_BYTES];
	if (name[0] == '/')
		return snprintf(path, PATH_MAX_BYTES, "%s", name) < PATH_MAX_BYTES && inside(path);
	if (dirfd == AT_FDCWD ? !getcwd(base, sizeof base) : !path_of_fd(dirfd, base))
		return false;
	return snprintf(path, PATH_MAX_BYTES, "%s/%s", base, name) < PATH_MAX_BYTES && inside(path);
}

static struct file *
file_of(int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return NULL;
	for (size_t i = 0; i < disk.nfiles; i++)
		if (disk.files[i]->ino == st.st_ino && disk.files[i]->dev == st.st_dev)
			return disk.files[i];
	if (disk.nfiles == FILES_MAX)
		abort();
	struct file *f = must(calloc(1, sizeof *f));
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->fd = -1;
	if (S_ISREG(st.st_mode)) { /* held open: so its number is not given to another file either */
		char link[64];
		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		f->fd = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDWR | O_CLOEXEC);
	}
	disk.files[disk.nfiles++] = f;
	return f;
}

static void
track(int fd)
{
	char path[PATH_MAX_BYTES];
	if (fd >= 0 && fd < FDS_MAX && disk.dir_len && path_of_fd(fd, path) && inside(path))
		disk.of_fd[fd] = file_of(fd);
}

static struct file *
tracked(int fd)
{
	return fd >= 0 && fd < FDS_MAX ? disk.of_fd[fd] : NULL;
}

/* ---- remembering */

static void
remember(struct file *f, off_t at, size_t len)
{
	struct stat st;
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return;
	if (f->nundo == f->cap) {
		f->cap = f->cap ? f->cap * 2 : 8;
		f->undo = must(realloc(f->undo, f->cap * sizeof *f->undo));
	}
	struct undo *u = &f->undo[f->nundo++];
	*u = (struct undo){ .at = at, .size = st.st_size, .len = len, .bytes = must(malloc(len + 1)) };
	long n = syscall(SYS_pread64, f->fd, u->bytes, len, at);
	u->kept = n > 0 ? (size_t)n : 0;
}

static void
synced(struct file *f)
{
	for (size_t i = 0; i < f->nundo; i++)
		free(f->undo[i].bytes);
	f->nundo = 0;
	for (size_t i = 0; i < disk.nnames; i++) {
		struct name *n = &disk.names[i];
		if (n->sure || n->parent != f->ino)
			continue;
		n->sure = true;
		if (n->trash)
			syscall(SYS_unlinkat, AT_FDCWD, n->trash, 0);
	}
}

static char *
to_trash(const char *path)
{
	char trash[PATH_MAX_BYTES + 32];
	snprintf(trash, sizeof trash, "%s.trash/%u.%u", disk.dir, (unsigned)getpid(), disk.trash++);
	if (syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, trash, 0) < 0)
		return NULL;
	return must(strdup(trash));
}

static void
name_add(enum name_kind kind, const char *path, const char *to, char *trash)
{
	char parent[PATH_MAX_BYTES];
	struct stat st;
	snprintf(parent, sizeof parent, "%s", path);
	*strrchr(parent, '/') = 0;
	if (disk.nnames == disk.names_cap) {
		disk.names_cap = disk.names_cap ? disk.names_cap * 2 : 64;
		disk.names = must(realloc(disk.names, disk.names_cap * sizeof *disk.names));
	}
	disk.names[disk.nnames++] = (struct name){
		.kind = kind,
		.parent = stat(parent, &st) == 0 ? st.st_ino : 0,
		.path = must(strdup(path)),
		.to = to ? must(strdup(to)) : NULL,
		.trash = trash,
	};
}

/* ---- what the program calls */

static int
do_open(int dirfd, const char *name, int flags, mode_t mode)
{
	char path[PATH_MAX_BYTES];
	lock();
	bool ours = absolute(dirfd, name, path);
	bool tmp = (flags & O_TMPFILE) == O_TMPFILE;
	bool creates = ours && (flags & O_CREAT) && !tmp && access(path, F_OK) < 0;
	bool empties = ours && (flags & O_TRUNC) && !creates;
	if (creates || empties)
		step();
	if (empties) {
		int old = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
		struct stat st;
		if (old >= 0 && fstat(old, &st) == 0)
			remember(file_of(old), 0, (size_t)st.st_size);
		if (old >= 0)
			syscall(SYS_close, old);
	}
	int fd = (int)syscall(SYS_openat, dirfd, name, flags | O_LARGEFILE, mode);
	if (fd >= 0) {
		if (creates)
			name_add(NAME_CREATED, path, NULL, NULL);
		if (fd < FDS_MAX)
			disk.of_fd[fd] = NULL;
		track(fd);
	}
	unlock();
	return fd;
}

#define OPEN_MODE()                                                                                                    \
	mode_t mode = 0;                                                                                                   \
	if (flags & (O_CREAT | __O_TMPFILE)) {                                                                             \
		va_list args;                                                                                                  \
		va_start(args, flags);                                                                                         \
		mode = va_arg(args, mode_t);                                                                                   \
		va_end(args);                                                                                                  \
	}

EXPORT int
open(const char *path, int flags, ...)
{
	OPEN_MODE()
	return do_open(AT_FDCWD, path, flags, mode);
}

EXPORT int
open64(const char *path, int flags, ...)
{
	OPEN_MODE()
	return do_open(AT_FDCWD, path, flags, mode);
}

EXPORT int
openat(int dirfd, const char *path, int flags, ...)
{
	OPEN_MODE()
	return do_open(dirfd, path, flags, mode);
}

EXPORT int
openat64(int dirfd, const char *path, int flags, ...)
{
	OPEN_MODE()
	return do_open(dirfd, path, flags, mode);
}

EXPORT int
close(int fd)
{
	lock();
	if (fd >= 0 && fd < FDS_MAX)
		disk.of_fd[fd] = NULL;
	int result = (int)syscall(SYS_close, fd);
	unlock();
	return result;
}

static void
before_write(int fd, off_t at, size_t len, bool append)
{
	struct file *f = tracked(fd);
	if (!f)
		return;
	step();
	if (append) {
		struct stat st;
		bool end = fcntl(fd, F_GETFL) & O_APPEND && fstat(fd, &st) == 0;
		at = end ? st.st_size : lseek(fd, 0, SEEK_CUR);
	}
	remember(f, at, len);
}

EXPORT ssize_t
write(int fd, const void *bytes, size_t len)
{
	if (!tracked(fd))
		return syscall(SYS_write, fd, bytes, len);
	lock();
	before_write(fd, 0, len, true);
	ssize_t n = syscall(SYS_write, fd, bytes, len);
	unlock();
	return n;
}

EXPORT ssize_t
pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
	lock();
	before_write(fd, at, len, false);
	ssize_t n = syscall(SYS_pwrite64, fd, bytes, len, at);
	unlock();
	return n;
}

EXPORT ssize_t
pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	return pwrite64(fd, bytes, len, at);
}

static size_t
vector_bytes(const struct iovec *v, int n)
{
	size_t sum = 0;
	for (int i = 0; i < n; i++)
		sum += v[i].iov_len;
	return sum;
}

EXPORT ssize_t
writev(int fd, const struct iovec *v, int n)
{
	if (!tracked(fd))
		return syscall(SYS_writev, fd, v, n);
	lock();
	before_write(fd, 0, vector_bytes(v, n), true);
	ssize_t result = syscall(SYS_writev, fd, v, n);
	unlock();
	return result;
}

EXPORT ssize_t
pwritev(int fd, const struct iovec *v, int n, off_t at)
{
	lock();
	before_write(fd, at, vector_bytes(v, n), false);
	ssize_t result = syscall(SYS_pwritev, fd, v, n, at, 0);
	unlock();
	return result;
}

EXPORT int
ftruncate64(int fd, off64_t size)
{
	lock();
	struct file *f = tracked(fd);
	struct stat st;
	if (f) {
		step();
		size_t lost = fstat(fd, &st) == 0 && st.st_size > size ? (size_t)(st.st_size - size) : 0;
		remember(f, size, lost);
	}
	int result = (int)syscall(SYS_ftruncate, fd, size);
	unlock();
	return result;
}

EXPORT int
ftruncate(int fd, off_t size)
{
	return ftruncate64(fd, size);
}

EXPORT int
fallocate64(int fd, int mode, off64_t at, off64_t len)
{
	lock();
	struct file *f = tracked(fd);
	if (f) {
		step();
		if (!(mode & FALLOC_FL_KEEP_SIZE))
			remember(f, at, 0);
	}
	int result = (int)syscall(SYS_fallocate, fd, mode, at, len);
	unlock();
	return result;
}

EXPORT int
fallocate(int fd, int mode, off_t at, off_t len)
{
	return fallocate64(fd, mode, at, len);
}

static int
do_sync(int fd, long number)
{
	lock();
	struct file *f = tracked(fd);
	if (f)
		step();
	/* The disk is a model here: it need not be slow as well. */
	int result = f ? 0 : (int)syscall(number, fd);
	if (f)
		synced(f);
	unlock();
	return result;
}

EXPORT int
fsync(int fd)
{
	return do_sync(fd, SYS_fsync);
}

EXPORT int
fdatasync(int fd)
{
	return do_sync(fd, SYS_fdatasync);
}

static int
do_rename(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	char a[PATH_MAX_BYTES], b[PATH_MAX_BYTES];
	lock();
	bool ours = absolute(from_dir, from, a) && absolute(to_dir, to, b);
	char *trash = NULL;
	if (ours) {
		step();
		trash = to_trash(b);
	}
	int result = (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
	if (ours && result == 0)
		name_add(NAME_MOVED, a, b, trash);
	unlock();
	return result;
}

EXPORT int
rename(const char *from, const char *to)
{
	return do_rename(AT_FDCWD, from, AT_FDCWD, to, 0);
}

EXPORT int
renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return do_rename(from_dir, from, to_dir, to, 0);
}

EXPORT int
renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	return do_rename(from_dir, from, to_dir, to, flags);
}

EXPORT int
unlinkat(int dirfd, const char *name, int flags)
{
	char path[PATH_MAX_BYTES];
	lock();
	bool ours = absolute(dirfd, name, path) && !(flags & AT_REMOVEDIR);
	char *trash = NULL;
	if (ours) {
		step();
		trash = to_trash(path);
	}
	int result = (int)syscall(SYS_unlinkat, dirfd, name, flags);
	if (ours && result == 0)
		name_add(NAME_REMOVED, path, NULL, trash);
	unlock();
	return result;
}

EXPORT int
unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

EXPORT int
mkdirat(int dirfd, const char *name, mode_t mode)
{
	char path[PATH_MAX_BYTES];
	lock();
	bool ours = absolute(dirfd, name, path) && access(path, F_OK) < 0;
	if (ours)
		step();
	int result = (int)syscall(SYS_mkdirat, dirfd, name, mode);
	if (ours && result == 0)
		name_add(NAME_FOLDER, path, NULL, NULL);
	unlock();
	return result;
}

EXPORT int
mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}
