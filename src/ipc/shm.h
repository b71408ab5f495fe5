/* SPDX-License-Identifier: Apache-2.0 */
/* shm.h - memory that a client role shares with a server role, for the bytes of messages.
 *
 * The client owns it: a sealed memfd of fixed size, from which it gives out blocks. It tells a server (offset, length);
 * the server reads from there or writes its answer there, after checking the range against what it mapped. The server
 * never trusts what is inside to stay the same: it copies before it checks or keeps. The seal (F_SEAL_SHRINK |
 * F_SEAL_GROW) is checked when mapping, so that a client cannot make the server touch memory that is gone.
 *
 * Blocks have sizes 4 KiB * 2^n, at most SHM_BLOCK_BYTES_MAX; pages of large free blocks are given back to the system.
 */
#ifndef IPC_SHM_H
#define IPC_SHM_H

#include "base/err.h"
#include "base/slice.h"

#define SHM_BLOCK_BYTES_MIN 4096u
#define SHM_BLOCK_BYTES_MAX (4u << 20)

struct shm_pool;
struct shm_pool *shm_pool_new(size_t bytes); /* a multiple of SHM_BLOCK_BYTES_MAX; NULL: no memory */
void shm_pool_free(struct shm_pool **p);
int shm_pool_fd(const struct shm_pool *p);
size_t shm_pool_bytes(const struct shm_pool *p);
/* At least len bytes; NULL when the pool is full. The contents are what was there before. */
void *shm_alloc(struct shm_pool *p, size_t len);
void shm_free(struct shm_pool *p, void *at);
size_t shm_block_bytes(const struct shm_pool *p, const void *at);
uint64_t shm_offset(const struct shm_pool *p, const void *at);
size_t shm_used(const struct shm_pool *p);
/* The process has come to rest: free blocks of all its pools hold no memory any more. */
void shm_rest(void);
/* A server may still write into blocks of calls that were given up. Blocks that are freed after shm_hold are not given
 * out again before shm_unhold of that hold. */
uint64_t shm_hold(struct shm_pool *p);
void shm_unhold(struct shm_pool *p, uint64_t hold);

struct shm_map {
	char *at;
	size_t len;
};
enum err shm_map_open(struct shm_map *m, int fd); /* takes over fd; ERR_DENIED without the seals */
void shm_map_close(struct shm_map *m);
/* NULL when the range is not inside. */
void *shm_range(const struct shm_map *m, uint64_t offset, uint64_t len);

#endif
