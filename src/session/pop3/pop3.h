/* SPDX-License-Identifier: Apache-2.0 */
/* pop3.h - a POP3 session as its own files see it (RFC 1939, 2449, 2595, 3206, 5034, 6856). The maildrop is INBOX as it
 * was at login; deletions are made at QUIT only. */
#ifndef SESSION_POP3_POP3_H
#define SESSION_POP3_POP3_H

#include "session/lang.h"
#include "session/pop3/lines.h"
#include "session/session.h"
#include "store_msg.h"

#define POP3_MESSAGES_MAX 1000000u
#define POP3_ERRORS_MAX 20  /* refused commands in a row before the session is ended */
#define POP3_FAILURES_MAX 5 /* failed logins */
#define POP3_WINDOW_BYTES (512u << 10)
#define POP3_WINDOW_MESSAGES 64
#define POP3_WINDOWS_MAX 128 /* in one process; the least recently used one is given up */
#define POP3_PIECE_BYTES (256u << 10)

enum { POP3_AUTHORIZATION = 1, POP3_TRANSACTION = 2 };

struct pop3_reply {
	enum { POP3_OK, POP3_ERR, POP3_SENT } kind; /* SENT: the handler has written it all */
	const char *text;                           /* after "+OK " or "-ERR " */
	bool close;
};

struct pop3_message {
	uint32_t uid, bytes;
	uint32_t uidl; /* where its imported UIDL stands in uidls, plus one; 0: it has ours */
	bool deleted;
};
#define POP3_FETCHED_MAX 64 /* told to the store together */

/* Messages read ahead, in memory shared with the store. */
struct pop3_window {
	char *at; /* NULL: none */
	struct shm_pool *pool;
	struct {
		uint32_t uid, offset, bytes;
	} entries[POP3_WINDOW_MESSAGES];
	size_t nentries, hint;
	size_t batch, next; /* how many were asked for last time; the message after those */
	bool busy;          /* in use by a task that may wait: not to be given up */
	struct link used;
};

struct pop3 {
	struct conn *c;
	struct arena *arena; /* the command's */
	unsigned state;      /* POP3_AUTHORIZATION or POP3_TRANSACTION */
	bool utf8, have_user;
	enum lang language; /* of texts (RFC 6856 3) */
	unsigned errors, failures;
	struct buf user;
	/* after login */
	struct slice grant; /* in the session's arena */
	uint32_t handle;
	bool open; /* handle is good on the store's connection `generation` */
	uint64_t generation;
	uint64_t mailbox;
	uint32_t uidvalidity;
	uint32_t expire_days, hide_days; /* rules of the account; 0: none */
	bool has_uidls;
	struct buf uidls; /* imported ones, each with a NUL behind it */
	struct pop3_message *messages;
	size_t nmessages, ndeleted;
	uint32_t fetched[POP3_FETCHED_MAX]; /* sent to the client, not yet told to the store */
	size_t nfetched;
	struct pop3_window window;
};

/* ---- commands: each file gives some */
struct pop3_command {
	struct slice word;
	struct pop3_reply (*await_run)(struct pop3 *p, const struct pop3_line *line);
	unsigned states;
	const char *rule; /* where it is defined */
};
struct pop3_commands {
	const struct pop3_command *rows;
	size_t count;
};
extern const struct pop3_commands pop3_login_commands, pop3_drop_commands, pop3_retr_commands;

static inline struct pop3_reply
pop3_ok(const char *text)
{
	return (struct pop3_reply){ POP3_OK, text, false };
}
static inline struct pop3_reply
pop3_err(const char *text)
{
	return (struct pop3_reply){ POP3_ERR, text, false };
}
static inline struct pop3_reply
pop3_sent(void)
{
	return (struct pop3_reply){ POP3_SENT, NULL, false };
}
/* The first line of an answer that goes on: "+OK text", in the client's language. */
void pop3_put_ok(struct pop3 *p, const char *text);
/* "+OK 12 text" */
void pop3_put_count(struct pop3 *p, uint64_t n, const char *text);
struct pop3_reply pop3_count(struct pop3 *p, uint64_t n, const char *text);
/* The world failed: [SYS/TEMP] or [SYS/PERM] (RFC 3206). */
struct pop3_reply pop3_trouble(struct pop3 *p, enum err e);

/* ---- maildrop.c: the account's INBOX behind a handle that survives a restart of the store */
enum err await_maildrop_open(struct pop3 *p); /* account, lock, messages; ERR_BUSY: another session has it */
void maildrop_close(struct pop3 *p);
enum err await_maildrop_bodies(struct pop3 *p, struct store_message_bodies_in *in,
                               struct store_message_bodies_out *out);
enum err await_maildrop_piece(struct pop3 *p, struct store_message_body_in *in, struct store_message_body_out *out);
enum err await_maildrop_expunge(struct pop3 *p, const uint32_t *uids, size_t n);
/* RETR sent this one: the store hears of it, where the account has a rule for such messages. */
void maildrop_fetched(struct pop3 *p, uint32_t uid);
void maildrop_tell_fetched(struct pop3 *p, size_t n); /* the first n of them */
/* The message with this number, NULL: there is none, or it is deleted. */
struct pop3_message *maildrop_message(struct pop3 *p, uint32_t number);

/* ---- window.c */
/* The bytes of a message; busy is set until pop3_window_done. ERR_LIMIT: it is too large for the window.
 * ERR_NOT_FOUND: somebody else removed it. */
enum err await_window(struct pop3 *p, uint32_t number, struct slice *bytes);
/* An empty window for pieces of one message; busy as above. */
enum err pop3_window_take(struct pop3 *p);
void pop3_window_done(struct pop3 *p);
void pop3_window_release(struct pop3 *p);

#endif
