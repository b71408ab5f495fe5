/* SPDX-License-Identifier: Apache-2.0 */
/* ipc_conn.h - one connection between two roles, as both ends of ipc see it: frames in, frames out, descriptors beside
 * them. Private to src/ipc. Whoever opened it owns it, gets each frame and hears once when it broke. */
#ifndef IPC_IPC_CONN_H
#define IPC_IPC_CONN_H

#include "ipc/ipc.h"

#define IPC_HEADER_BYTES 16u
#define IPC_OUT_BYTES_MAX (64u << 20) /* waiting to be sent; more: the connection breaks */
#define IPC_FDS_PER_WRITE 64u         /* the kernel takes 253 */
#define IPC_FDS_WAITING_MAX 1024u     /* in each direction; more: the connection breaks */
#define IPC_READ_BYTES (128u * 1024)  /* asked of one recvmsg */
#define IPC_NUMBER_HELLO UINT16_C(0xffff)

enum { IPC_REPLY = 1, IPC_HAS_FD = 2 };

struct ipc_frame {
	uint16_t number;
	uint8_t flags;
	uint8_t error;
	uint64_t id;
	struct slice payload; /* valid during the callback */
	int fd;               /* the callback takes it (sets -1) or it is closed; -1: none */
};

struct ipc_waiting_fd {
	int fd;
	uint64_t frame_at; /* where its frame begins, counted from the connection's first byte */
};

struct ipc_conn {
	int fd;
	void *owner;
	/* False: the frame is malformed, the connection breaks. May close the connection. */
	bool (*frame)(struct ipc_conn *c, struct ipc_frame *f);
	/* It broke, once; the owner calls ipc_conn_close in it or later. */
	void (*broke)(struct ipc_conn *c, const char *why);
	struct watch watch;
	struct later flush;
	struct buf in; /* an incomplete frame */
	struct buf out;
	size_t out_at;     /* bytes of out that were sent */
	uint64_t out_base; /* of the stream: where out.at[0] stands */
	int *in_fds;       /* received, their frames not yet read */
	size_t nin_fds, in_fds_cap;
	struct ipc_waiting_fd *out_fds;
	size_t nout_fds, out_fds_cap;
	bool broken, closed, waits_to_write;
	bool wipes; /* secrets go over it: what was sent and read does not stay in its buffers */
	/* the client's end */
	struct map calls; /* id -> struct pending */
	uint64_t next_id;
	uint64_t hold; /* of the shared memory, while draining */
	struct shm_pool *shm;
};

struct ipc_conn *ipc_conn_open(int fd, void *owner, bool (*frame)(struct ipc_conn *, struct ipc_frame *),
                               void (*broke)(struct ipc_conn *, const char *));
void ipc_conn_close(struct ipc_conn *c); /* closes now, frees at the end of this turn of the loop */
/* Breaks it from our side: calls broke unless it broke before. */
void ipc_conn_break(struct ipc_conn *c, const char *why);
/* Sends what can be sent without waiting. May break it. */
void ipc_conn_flush(struct ipc_conn *c);
/* Sends nothing more, not even what waits; reads on until the other side closes. */
void ipc_conn_mute(struct ipc_conn *c);
/* Appends a frame; put may be NULL (no payload). False: a field or the frame is too large, nothing was appended. */
bool ipc_conn_put(struct ipc_conn *c, const struct ipc_frame *head, void (*put)(struct ipc_writer *, const void *),
                  const void *m);
/* Decodes a payload: all of it, or false. The descriptor of the frame goes into m, or is closed. */
bool ipc_conn_decode(struct ipc_frame *f, bool (*take)(struct ipc_reader *, void *), struct arena *a, void *m);

#endif
