/* SPDX-License-Identifier: Apache-2.0 */
/* relay.h - the relay role as its own files see it: relay.c claims rows, site.c shares them out, worker.c sends them,
 * lease.c keeps them, try.c makes one try, settle.c makes durable what came of it. */
#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

#include "ipc/ipc.h"
#include "relay/fair.h"
#include "relay/family.h"
#include "relay/route.h"
#include "relay/send.h"
#include "role/conf.h"
#include "store/rows.h"
#include "store_msg.h"

enum {
	CLAIM_ROWS = 64,              /* in one request */
	JOBS_MAX = 512,               /* claimed and not settled; their leases are renewed in one request */
	SETTLE_JOBS = 64,             /* in one commit */
	LEASE_SEC = 600,              /* how long mail waits after a crash of everything */
	TRY_MS_MAX = 2 * 3600 * 1000, /* of one row, however many servers there are and however slowly they talk */
	DELIVERIES_MAX = 100,         /* of one row into mailboxes of ours */
	PIECE_BYTES = 256 * 1024,
	ORIGINAL_BYTES_MAX = 64 * 1024, /* of the original message in a notice */
	SHM_BYTES = 64 << 20,
	BULK_RECIPIENTS = 10, /* a row with more is bulk */
	RELAY_SCANS_MAX = 16,
};

struct relay {
	struct conf *conf;
	struct ipc_client store, resolver, scan[RELAY_SCANS_MAX];
	size_t nscan, next_scan, converting; /* converting: messages that scan looks at (convert.c) */
	struct gate converted;
	struct shm_pool *shm;
	struct tls_context *tls;
	struct transport *transport;      /* transport.h */
	struct tls_reports *reports;      /* tls_report.h */
	struct map sites;                 /* hash of the name -> struct site */
	struct link waiting;              /* sites that have jobs and may not have a connection yet */
	struct map domains;               /* hash of the name -> struct domain */
	struct map sources;               /* hash of the address -> struct source_total */
	struct link domain_list, unknown; /* all of them, not used for longest first; those to be looked up */
	struct link changed;              /* sites that are to be put down */
	struct link finished;             /* jobs that wait to be settled */
	struct map held;                  /* row -> struct job, all of them */
	struct families families;         /* what worked with hosts that have both */
	struct link asked_sockets;        /* connections that the supervisor was asked for (socket.c) */
	uint32_t asks;                    /* so far */
	uint32_t configured;              /* how often */
	bool backups;                     /* there are relay domains (verify.c) */
	bool verifying, verify_again;
	int64_t verify_ms;                         /* when the minute began */
	uint32_t verify_may;                       /* addresses that may be asked for in it */
	char verify_last[MEMO_NAME_BYTES_MAX + 1]; /* that was asked for: others come first */
	struct timer wake, renew, sweep, memo_timer;
	size_t jobs, connections, bulk, learners;
	bool putting_down, pumping, pump_again, settling, renewing, stopping;
	bool tells; /* the next renewal is the first over this connection */
	bool clock_seen;
	int64_t clock_ahead; /* wall clock minus monotonic clock when they were last looked at */
	struct gate idle;    /* opened when the last worker, the settler or the pump ended */
};

struct site; /* relay/site.h */
struct domain;

/* A claimed row on its way. */
struct job {
	struct link link;      /* in its domain, or among those finished */
	struct fair_item item; /* in its site */
	struct domain *domain;
	struct site *site;
	int64_t taken_ms;
	int64_t put_back; /* without a try: due again then, wall seconds; 0: it was tried */
	struct relay *relay;
	struct arena arena;
	struct store_queue_row row;
	bool begun;                        /* a worker has it, or the settler */
	bool lost;                         /* begun, and somebody else has the lease */
	bool remote_dsn;                   /* the server that took it knows DSN */
	bool remote_by;                    /* and DELIVERBY */
	bool tried;                        /* somebody was, or should have been, asked */
	bool more;                         /* who waits was not asked yet (send.h) */
	struct store_delivery *deliveries; /* of a row for mailboxes of ours */
	uint32_t ndeliveries;
	char *block; /* shared memory with a piece of the body */
	uint64_t block_from;
	size_t block_len;
	void *notice_blocks[3];
	size_t nnotices;
};

/* try.c: one try of one row over the worker's connection (a new one when there is none). route is looked up when it is
 * needed. */
void await_try(struct relay *r, struct job *j, struct route *route, struct remote *remote);
/* open.c: a connection to the first host and address of the route that takes one under the policy that is due to it.
 * False: none did; *why says what the last one said. */
bool await_open(struct relay *r, struct job *j, const struct route *route, struct remote *remote,
                struct remote_reply *why);
/* Whether the open connection will do for the job too. Hosts may be shared between domains, and each domain has a TLS
 * policy of its own: what was opened under the one serves the other when it asks for the same. */
bool await_remote_serves(struct relay *r, struct remote *remote, struct job *j);
/* socket.c: a connection to the Unix socket of an LMTP route, which the supervisor makes for us. */
enum err await_unix_socket(struct relay *r, const char *path, int64_t deadline_ms, int *fd);
void relay_handle(void *relay, const char *name, uint32_t index, const char *label, int fd); /* as in struct role */
/* What the message asks of TLS (RFC 8689). */
enum tls_demand job_demand(const struct job *j);
/* A piece of the row's body (await_piece_fn). */
enum err await_job_piece(void *job, uint64_t from, struct slice *piece);

/* local.c: a row for mailboxes of ours, which waited for its time: finds out which those are. */
void await_local(struct relay *r, struct job *j);

/* suppress.c: recipients of bulk mail that failed, for the suppression list */
void suppress_refused(struct job *j, struct store_settle *s);

/* settle.c */
int64_t job_end_sec(const struct job *j); /* when it is given up */
bool job_decided(struct job *j);          /* without a try: it is returned, or its time is over */
/* Takes the job over. */
void settle_job(struct job *j);
void settle_finished(struct relay *r); /* begins when there are any and nobody is at it */

/* lease.c */
int64_t relay_now(struct relay *r); /* wall seconds; logs when somebody set the clock */
/* No wait is longer. */
int64_t relay_horizon(const struct relay *r);
/* The row is under way in a job already, which goes on under the new lease. */
bool lease_taken_over(struct relay *r, const struct store_queue_row *row);
void renew_soon(struct relay *r); /* over a new connection */
void await_give_back(struct relay *r, const struct job *j);
void await_give_back_all(struct relay *r); /* and drops them: those that did not begin */

/* relay.c */
void pump(struct relay *r); /* looks for due rows soon */
void job_free(struct job *j);
void job_drop(struct job *j);        /* one that did not begin */
void go_on(struct relay *r);         /* with what found no stack */
void relay_release(struct relay *r); /* everything but the struct; for tests, the process ends otherwise */

#endif
