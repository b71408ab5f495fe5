/* SPDX-License-Identifier: Apache-2.0 */
/* ipc.h - calls between roles over a Unix stream socket. What is said stands in *.msg tables; tools/msgc.py makes the
 * structs, encoders, decoders and printers (x_msg.h) from them; this file moves the frames.
 *
 * A frame: u32 payload bytes, u16 message number, u8 flags (IPC_REPLY, IPC_HAS_FD), u8 enum err of a reply, u64 call
 * id; then the payload. All little endian (both ends are this program on this machine). At most IPC_FRAME_BYTES_MAX of
 * payload, one descriptor.
 *
 * The client end is a struct ipc_client: it outlives connections. When the server's process ends, calls under way fail
 * with ERR_AGAIN (those marked retry are asked again, once), later ones wait up to IPC_RECONNECT_MS for the supervisor
 * to hand over a new connection. The server end is a struct ipc_peer for each connection; its class, told by the
 * supervisor and not by the peer, decides which calls it may make: others are refused and logged. A frame that does not
 * decode ends that connection; calls that would make the server hold more than IPC_PEER_BYTES_MAX for one peer fail
 * with ERR_AGAIN.
 *
 * Frames that are sent within one turn of the loop leave in one write, those that arrived together are read in one. */
#ifndef IPC_IPC_H
#define IPC_IPC_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/map.h"
#include "ipc/shm.h"
#include "task/task.h"

#define IPC_FRAME_BYTES_MAX (2u << 20)
#define IPC_PEER_BYTES_MAX (256u << 20) /* of one peer's calls under way */
#define IPC_CONNECTIONS_OF_A_PEER_MAX 4 /* one, and those that are ending */
#define IPC_RECONNECT_MS 3000
#define IPC_CALL_MS 120000 /* a server that does not answer this long is treated as gone */

enum { /* bits */
	   IPC_CLASS_MX = 1,
	   IPC_CLASS_USER = 2,
	   IPC_CLASS_ADMIN = 4,
	   IPC_CLASS_AUTH = 8,
	   IPC_CLASS_RELAY = 16,
	   IPC_CLASS_SCAN = 32,
	   IPC_CLASS_STORE = 64,
	   IPC_CLASS_SUPERVISOR = 128,
	   IPC_CLASS_INDEXER = 256,
};

struct ipc_writer {
	struct buf *to;
	int fd;   /* to be passed; -1: none */
	bool bad; /* a field passed its maximum: the message is not sent */
};
struct ipc_reader {
	struct cursor from;
	struct arena *arena;
	int fd;       /* received and not yet taken; -1: none */
	int taken_fd; /* taken by the message that is being decoded: closed if that fails */
};

enum ipc_kind { IPC_CALL, IPC_NOTICE_TO_CLIENT, IPC_NOTICE_TO_SERVER };
struct ipc_message {
	const char *name;
	enum ipc_kind kind;
	uint32_t classes;
	bool retry;
	size_t in_bytes, out_bytes;
	void (*put_in)(struct ipc_writer *w, const void *m);
	bool (*take_in)(struct ipc_reader *r, void *m);
	void (*print_in)(struct buf *to, const void *m);
	void (*put_out)(struct ipc_writer *w, const void *m);
	bool (*take_out)(struct ipc_reader *r, void *m);
	void (*print_out)(struct buf *to, const void *m);
	void (*dispatch)(const void *handlers, void *who, const void *in);
};
struct ipc_peer;
struct ipc_client;
struct ipc_protocol {
	const char *name;
	uint32_t version;
	size_t nmessages;
	const struct ipc_message *messages;
	void (*closed)(const void *handlers, struct ipc_peer *peer);
	void (*connected)(const void *handlers, struct ipc_client *c);
};

/* ---- the client's end */
struct ipc_client {
	const struct ipc_protocol *protocol;
	const void *listener; /* struct x_listener of the protocol; NULL: hears nothing */
	void *owner;          /* for listeners: the role that asked */
	struct ipc_conn *conn;
	struct gate connected;
	struct shm_pool *shm; /* offered to the server at each connect; NULL: none */
	uint64_t generation;  /* counts connections: handles given by an earlier one are gone */
	int64_t call_ms;      /* how long an answer may take; IPC_CALL_MS unless changed after init */
	bool wipes;           /* set after init: passwords, hashes or keys go over it, and do not stay in its buffers */
};
void ipc_client_init(struct ipc_client *c, const struct ipc_protocol *protocol, const void *listener, void *owner);
/* Takes over a connected socket; an older connection is closed and its calls fail. */
void ipc_client_connect(struct ipc_client *c, int fd);
void ipc_client_release(struct ipc_client *c);
/* Called when the connection of a client broke, with its descriptor (still open): the role tells the supervisor, which
 * makes a new one. NULL: nobody wants to know. */
extern void (*ipc_client_lost)(struct ipc_client *c, int fd);
enum err await_ipc_call(struct ipc_client *c, uint16_t number, const void *in, struct arena *a, void *out);
void ipc_notify_server(struct ipc_client *c, uint16_t number, const void *in);

/* ---- the server's end */
struct ipc_peer {
	const struct ipc_protocol *protocol;
	const void *handlers; /* struct x_server of the protocol */
	void *owner;          /* the role that serves */
	void *state;          /* what the role keeps for this peer */
	uint32_t class_bit;
	uint32_t index;        /* which process of that class */
	struct shm_map shm;    /* what the client offered; .at NULL: none */
	struct ipc_conn *conn; /* NULL once it went away; the struct lives until its last call was answered */
	uint32_t calls;
	size_t bytes; /* of calls under way, decoded */
};
struct ipc_call {
	struct ipc_peer *peer;
	struct arena arena; /* what was asked, decoded; room for the answer */
	const struct ipc_message *message;
	uint64_t id;
	size_t bytes; /* of what was asked, decoded */
};
/* Takes over a connected socket. The peer frees itself after its connection closed and its last call was answered. */
struct ipc_peer *ipc_peer_open(int fd, const struct ipc_protocol *protocol, const void *handlers, void *owner,
                               uint32_t class_bit, uint32_t index);
void ipc_peer_close(struct ipc_peer *p);
void ipc_peer_wipes(struct ipc_peer *p);                /* as ipc_client.wipes, for the server's end */
void ipc_reply(struct ipc_call *call, const void *out); /* frees the call */
void ipc_fail(struct ipc_call *call, enum err e);       /* frees the call */
void ipc_done(struct ipc_call *call);                   /* ends a notice: frees it */
void ipc_notify_client(struct ipc_peer *peer, uint16_t number, const void *in);

/* ---- for generated code */
void ipc_put_slice(struct ipc_writer *w, struct slice s, uint32_t max);
void ipc_put_count(struct ipc_writer *w, uint32_t n, uint32_t max);
void ipc_put_fd(struct ipc_writer *w, int fd);
bool ipc_take_le(struct ipc_reader *r, uint64_t *v, unsigned bytes);
bool ipc_take_slice(struct ipc_reader *r, struct slice *s, uint32_t max, bool text);
bool ipc_take_count(struct ipc_reader *r, uint32_t *n, uint32_t max);
bool ipc_take_fd(struct ipc_reader *r, int *fd);
void ipc_print_slice(struct buf *to, const char *name, struct slice s, bool text);
void ipc_drop_fd(int fd); /* of a message that nobody handles */

#endif
