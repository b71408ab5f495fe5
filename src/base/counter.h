/* SPDX-License-Identifier: Apache-2.0 */
/* counter.h - counters that the admin listener prints as Prometheus text. Each process has one page of them in shared
 * memory (a memfd made by the supervisor), which only it writes; the admin session maps all pages read-only.
 * A role without a page (tests, tools) counts into private memory. Add a row to add a counter. */
#ifndef BASE_COUNTER_H
#define BASE_COUNTER_H

#include "base/check.h"

#define COUNTER_TABLE(X)                                                                                               \
	X(CONNECTIONS_ACCEPTED, "connections_accepted_total", "client connections accepted")                               \
	X(CONNECTIONS_REFUSED, "connections_refused_total", "client connections refused by a limit")                       \
	X(CONNECTIONS_OPEN, "connections_open", "client connections open now")                                             \
	X(SMTP_ACCEPTED, "smtp_messages_accepted_total", "messages answered with 250")                                     \
	X(SMTP_REFUSED, "smtp_messages_refused_total", "messages refused for good")                                        \
	X(SMTP_DEFERRED, "smtp_messages_deferred_total", "messages refused for now")                                       \
	X(SMTP_RCPT_REFUSED, "smtp_recipients_refused_total", "recipients refused")                                        \
	X(IMAP_COMMANDS, "imap_commands_total", "IMAP commands")                                                           \
	X(POP3_COMMANDS, "pop3_commands_total", "POP3 commands")                                                           \
	X(LOGIN_OK, "logins_total", "successful logins")                                                                   \
	X(LOGIN_FAILED, "logins_failed_total", "failed logins")                                                            \
	X(AUTH_CACHE_HIT, "auth_cache_hits_total", "logins answered from the cache of warm credentials")                   \
	X(AUTH_HASHES, "auth_hashes_total", "password hashes computed")                                                    \
	X(SCANNED, "scan_messages_total", "messages parsed")                                                               \
	X(COMMITS, "store_commits_total", "durable commits")                                                               \
	X(COMMIT_JOBS, "store_commit_jobs_total", "requests made durable by them")                                         \
	X(COMMIT_BYTES, "store_commit_body_bytes_total", "bytes of messages made durable")                                 \
	X(DELIVERED, "store_deliveries_total", "messages put into mailboxes")                                              \
	X(QUEUED, "queue_rows_added_total", "rows put into the queue")                                                     \
	X(QUEUE_ROWS, "queue_rows", "rows in the queue now")                                                               \
	X(RELAY_SENT, "relay_recipients_delivered_total", "recipients that a remote server accepted")                      \
	X(RELAY_DEFERRED, "relay_recipients_deferred_total", "recipients to be tried again")                               \
	X(RELAY_FAILED, "relay_recipients_failed_total", "recipients given up")                                            \
	X(BOUNCES, "bounces_received_total", "failures that came back to return paths of bulk mail")                       \
	X(COMPLAINTS, "complaints_received_total", "complaints about mail of ours")                                        \
	X(DNS_QUERIES, "dns_queries_total", "DNS queries asked")                                                           \
	X(CALLS_FAILED, "ipc_calls_failed_total", "calls to other roles that failed")                                      \
	X(ROLE_RESTARTS, "role_restarts_total", "roles started again after they ended")                                    \
	X(TASKS_RUNNING, "tasks_running", "tasks that hold a stack now")

enum counter {
#define X(id, name, help) COUNTER_##id,
	COUNTER_TABLE(X)
#undef X
	    COUNTER_COUNT
};

#define COUNTER_PAGE_BYTES 4096
extern uint64_t *counters; /* COUNTER_COUNT words */

void counter_use_page(void *page); /* COUNTER_PAGE_BYTES, shared, zeroed */
const char *counter_name(enum counter c);
const char *counter_help(enum counter c);

static inline void
counter_add(enum counter c, int64_t n)
{
	__atomic_fetch_add(&counters[c], (uint64_t)n, __ATOMIC_RELAXED);
}
static inline void
counter_set(enum counter c, uint64_t v)
{
	__atomic_store_n(&counters[c], v, __ATOMIC_RELAXED);
}

#endif
