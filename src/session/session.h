/* SPDX-License-Identifier: Apache-2.0 */
/* session.h - the session role: client connections of all protocols, as far as they are alike.
 *
 * One process of class mx (25, LMTP), or user (submission, IMAP, POP3, ...), or admin (the Unix socket of the command).
 * It accepts, counts against the limits, and runs each protocol's commands in tasks. A connection that waits for its
 * next command holds no task and no buffers, only its struct conn: when bytes arrive, a task is borrowed, the
 * protocol's await_command is called as long as there is input, then the task ends.
 *
 * A protocol is a struct protocol: four functions and a size. */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include "base/arena.h"
#include "ipc/ipc.h"
#include "role/conf.h"
#include "task/stream.h"

struct conn;
struct session;
struct listening;

enum next {
	NEXT_COMMAND, /* wait for the next command (without a task when no input is there) */
	NEXT_CLOSE,   /* flush and close */
};

struct protocol {
	const char *name;   /* "smtp": in logs and in session ids */
	size_t state_bytes; /* of conn->state, zeroed at accept */
	bool client_first;  /* HTTP: no greeting */
	/* In a task, after the TLS handshake of implicit-TLS listeners: greet. */
	enum next (*await_start)(struct conn *c);
	/* In a task, when there is input: read one command (or go on with one) and do it. */
	enum next (*await_command)(struct conn *c);
	/* In a task: nothing came for idle_ms. Say goodbye; the connection closes after it. Also called with stopping set
	 * when the server stops. */
	void (*await_goodbye)(struct conn *c, bool stopping);
	/* On the loop, when no task runs for it: something in an account that it hears of changed (account 0: any of them;
	 * mailbox 0: unknown). May call conn_wake. */
	void (*changed)(struct conn *c, uint64_t account, uint64_t mailbox, uint64_t modseq);
	/* In a task: after conn_wake, between commands (IDLE pushes). */
	enum next (*await_woken)(struct conn *c);
	void (*release)(struct conn *c); /* frees what state owns */
};

struct conn {
	struct session *session;
	const struct conf *conf; /* the one it began with: lives as long as the connection, whatever is reloaded */
	const struct protocol *protocol;
	const struct conf_listener *listener; /* kind, TLS mode; a copy that lives as long as the connection */
	struct stream io;
	void *state;        /* protocol->state_bytes */
	struct arena arena; /* the session's clock */
	char id[20];        /* "smtp-abcdefgh": joins log lines */
	char peer[64];      /* address of the client without port, as text; "local" for Unix sockets */
	uint16_t peer_port;
	uint8_t peer_key[16];   /* the address (IPv6 /64) that limits count */
	bool loopback, trusted; /* trusted: neither slowed nor limited (option trusted) */
	bool secure;            /* under TLS, or from loopback and the option allows that */
	uint32_t unix_uid;      /* of a Unix socket's peer; UINT32_MAX elsewhere */
	uint64_t account;       /* that notices are wanted for; 0: none. Set with conn_account */
	int64_t idle_ms;        /* how long the next command may be awaited */
	/* the rest belongs to conn.c */
	struct watch watch;
	struct timer timer;
	struct later wake;
	struct link in_session, in_account;
	struct task *task; /* the one that runs for it; NULL: parked */
	struct listening *listening;
	struct peer_count *counted;
	const char *reason;                                        /* why it ended, for the log; a literal */
	uint64_t changed_account, changed_mailbox, changed_modseq; /* heard while a task ran: told when it parks */
	int64_t opened_ms;
	uint32_t awaited; /* what its task waits for through the watch */
	bool woken, closing, greeted, readable, timed_out, revoked, changes;
};

struct session {
	const struct conf *conf; /* the newest; a reload puts another here, old ones live until no connection holds them */
	uint32_t class_bit;
	struct ipc_client auth, store, resolver;
	struct ipc_client scan[16]; /* one for each scan process; nscan of them */
	size_t nscan;
	struct shm_pool *shm;
	struct tls_context *tls; /* NULL: no certificate, no TLS */
	bool oauth;              /* auth has keys for bearer tokens */
	bool stopping;
	/* Pages of counters of all processes (base/counter.h), mapped for reading; class admin only. */
	struct session_page {
		const uint64_t *words;
		char label[60]; /* "store", "session-mx.1" */
	} pages[160];
	size_t npages;
	/* the rest belongs to session.c and conn.c */
	struct link conns;
	struct map by_account, by_peer;
	size_t open;
	struct gate emptied; /* opened when the last connection ended */
	uint32_t next_scan;
};
/* A session without listeners and peers: what session.c begins with, and what tests and fuzzers make themselves. Keeps
 * conf. nscan clients of scan are ready to be connected. shm_bytes: a multiple of SHM_BLOCK_BYTES_MAX. */
void session_init(struct session *s, const struct conf *conf, uint32_t class_bit, size_t nscan, size_t shm_bytes);
void session_release(struct session *s); /* no connection may be open */
void session_reload(struct session *s, const struct conf *conf);

/* A listener as connections remember it; counted. */
struct listening {
	struct conf_listener l;
	unsigned uses;
	char name[40], address[200];
};
struct listening *listening_new(const struct conf_listener *l);
struct listening *listening_keep(struct listening *l);
void listening_free(struct listening **l);

/* Where a connection comes from. */
struct conn_from {
	char text[64];       /* conn->peer */
	uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d; a Unix socket: zeroes */
	uint16_t port;
	bool loopback;
	bool local; /* a Unix socket: trusted */
	uint32_t uid;
};
/* ERR_LIMIT: connections-max or connections-per-address is reached (*why: which). */
enum err conn_admit(const struct session *s, const struct conn_from *from, const char **why);
/* Takes over fd and runs the protocol on it. The connection frees itself when it ends (it may have when this returns).
 */
void conn_start(struct session *s, int fd, struct listening *l, const struct protocol *p, const struct conn_from *from);
/* Ends all connections: idle ones say goodbye at once, the others after their command, cut off after grace_ms. */
void await_conns_end(struct session *s, int64_t grace_ms);
/* What the store told: called by session.c. */
void session_changed(struct session *s, uint64_t account, uint64_t mailbox, uint64_t modseq);
void session_changed_all(struct session *s); /* in any account */
void session_revoked(struct session *s, uint64_t account);

void conn_account(struct conn *c, uint64_t account); /* hear of its changes from now on; 0: no more */
/* Hears of another account, too: somebody else's, whose mailboxes are open or watched. Its end is not that of the
 * connection. account 0: no more; so before the connection goes. */
struct conn_ear {
	struct conn *conn;
	uint64_t account;
	struct link in_account;
};
void conn_hear(struct conn *c, struct conn_ear *ear, uint64_t account);
void conn_wake(struct conn *c); /* runs protocol->await_woken in a task soon */
/* STARTTLS: drops what came before, handshakes; sets c->secure. Send the go-ahead first. */
enum err await_conn_starttls(struct conn *c);
bool conn_can_starttls(const struct conn *c);
/* The stream failed because a line was so long that its end was not waited for: what follows cannot be read, but a
 * reply can be sent; then the connection closes. False: it did not. */
bool conn_line_is_endless(struct conn *c);

/* The body of a message on its way in: in shared memory, and in a spool file once it is larger than BODY_SHM_BYTES_MAX.
 */
#define BODY_SHM_BYTES_MAX (1u << 20)
#define BODY_GATHER_BYTES (256u << 10)
struct scan_bounce_out;
struct body {
	struct session *session;
	char *at; /* shared memory block; NULL once spooled */
	size_t len, cap;
	uint64_t spool; /* number of the spool file; 0: none */
	int file;
	uint64_t generation; /* of the store's connection that gave the spool */
	char *gather;        /* bytes on their way to the spool file, BODY_GATHER_BYTES at most */
	size_t gathered;
	enum err error; /* sticky: ERR_DISK_FULL, ERR_LIMIT (bytes_max passed), ERR_AGAIN */
	uint64_t bytes_max;
};
void body_init(struct body *b, struct session *s, uint64_t bytes_max);
void body_release(struct body *b);
/* Appends; small appends to a spooled body are gathered. After an error nothing more is kept. */
void await_body_put(struct body *b, struct slice bytes);
enum err await_body_end(struct body *b);
struct store_body;
struct store_body *body_ref(const struct body *b, struct arena *a); /* as commit wants it */
/* Facts of a body, by scan; in the arena. */
enum err await_body_facts(struct body *b, struct arena *a, struct slice *facts);
/* What it says that came back (mail/bounce.h). */
enum err await_body_bounce(struct body *b, struct arena *a, struct scan_bounce_out *out);
/* The same for a stretch of it, which is a message of its own. */
struct store_body body_ref_part(const struct body *b, uint64_t from, uint64_t bytes);
enum err await_body_facts_part(struct body *b, uint64_t from, uint64_t bytes, struct arena *a, struct slice *facts);
/* What was put before; does not wait. */
enum err body_read(struct body *b, uint64_t from, void *to, size_t len);

/* A client of one of the scan processes, in turn. */
struct ipc_client *session_scan(struct session *s);

extern const struct protocol smtp_protocol, lmtp_protocol, submission_protocol, imap_protocol, pop3_protocol,
    http_protocol;

#endif
