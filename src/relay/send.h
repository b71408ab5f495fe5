/* SPDX-License-Identifier: Apache-2.0 */
/* send.h - the client's side of SMTP and LMTP: one connection to one remote server, several messages one after the
 * other. RFC 5321 for the order of things, RFC 2033 for LMTP, RFC 3207 for STARTTLS. Everything waits in a task.
 *
 * The remote server is a stranger: each of its replies is bounded in lines and bytes, each wait in time. After a
 * failure that leaves the two sides out of step the connection is not usable any more (usable is false). */
#ifndef RELAY_SEND_H
#define RELAY_SEND_H

#include "relay/reply.h"
#include "relay/tls_policy.h"
#include "store_msg.h"
#include "task/stream.h"

enum { REMOTE_AUTH_PLAIN = 1, REMOTE_AUTH_LOGIN = 2, REMOTE_AUTH_SCRAM = 4 };

struct remote {
	struct stream io;
	char host[256];     /* the name that was looked up, or the address literal; of a Unix socket our own name */
	char reached[256];  /* the same, of a Unix socket its path */
	char address[64];   /* address:port as text, for logs */
	char local[64];     /* ours, without the port, of the last session, however it ended */
	char source[64];    /* of ours, that it comes from; empty: not known */
	char claims[2][64]; /* sources for which the message under way is counted (source.h) */
	size_t nclaims;
	bool lmtp, usable, secure;
	bool data_sent; /* of the last message, all of it: a connection that ends now leaves it open whether it was accepted
	                 */
	bool chunk_refused; /* it offers CHUNKING and knows no BDAT */
	bool size, eightbit, smtputf8, pipelining, chunking, binary, dsn, starttls, requiretls;
	unsigned auth;            /* REMOTE_AUTH_* that it offers */
	struct tls_policy policy; /* what this connection was opened under */
	char domain[256];         /* whose policy that was */
	const void *line;         /* of the configuration that it had then; only compared, with `configured` of relay.h */
	uint32_t configured;
	uint16_t port;
	enum tls_demand demand;     /* of the message that it was opened for */
	enum tls_verdict verdict;   /* of its certificate, or why TLS did not come about */
	bool no_starttls, in_plain; /* it was wanted, and not offered; it failed, and mail goes all the same */
	uint64_t size_max;          /* announced with SIZE; 0: none */
	bool deliverby, priority;   /* RFC 2852, RFC 6710 */
	uint64_t by_min;            /* announced with DELIVERBY; 0: none */
	int64_t timeout_ms;
	int64_t end_ms;            /* of all waits for the row that is being sent; set by the caller */
	unsigned messages;         /* handed over so far */
	unsigned copies;           /* transactions of the last row */
	bool more;                 /* the others of it were not asked yet: what is known is to be settled first */
	struct remote_reply reply; /* the last one, or what stands for it */
};

struct send_settings {
	const char *ehlo;
	/* A socket that is connected to the server: asked once, and once more when TLS failed and mail goes in plain. */
	enum err (*await_socket)(void *arg, int *fd);
	void *socket_arg;
	int64_t timeout_ms;
	struct tls_context *tls, *trusting; /* trusting: with the trusted roots; NULL: there are none */
	struct tls_policy policy;
	struct tls_check check;  /* for the levels VERIFY and DANE, and when the policy is soft */
	const char *server_name; /* for SNI */
	bool implicit_tls, lmtp;
	struct slice user, password; /* empty user: nobody logs in */
	/* Hears what came of each session; NULL: nobody wants to. */
	void (*report)(void *arg, const struct remote *r, bool open);
	void *report_arg;
};

/* Connects, greets, says EHLO, secures. On failure r->reply says why, the stream is closed, and false is returned. */
bool await_remote_open(struct remote *r, const struct send_settings *s);
/* Sends what was put and reads the reply into r->reply; false (and unusable) when none came. */
bool await_remote_command(struct remote *r, const char *doing);
/* A transaction that only asks for addresses; r->reply is the answer. False: there is none, or the server does not let
 * us ask. */
bool await_remote_probe_begin(struct remote *r);
bool await_remote_probe(struct remote *r, struct slice address);
void await_remote_quit(struct remote *r); /* QUIT and close */

/* What the server takes of the row's message, without asking. */
enum remote_takes { REMOTE_TAKES_IT, REMOTE_TAKES_8BIT, REMOTE_TAKES_7BIT };
enum remote_takes remote_takes(const struct remote *r, const struct store_queue_row *row);

/* Gives the next piece of the message from offset `from`; an empty piece at its end. The piece lives until the next
 * call. */
typedef enum err await_piece_fn(void *arg, uint64_t from, struct slice *piece);

/* One message for the recipients that wait (state RECIPIENT_WAITING). Sets state, reply, status and mta of each: done,
 * failed, or still waiting with the reason. arena: for those texts. */
void await_remote_send(struct remote *r, const struct store_queue_row *row, struct arena *arena,
                       await_piece_fn *await_piece, void *arg);

#endif
