/* SPDX-License-Identifier: Apache-2.0 */
/* conf.h - posthouse.conf, read and checked. conf/options.txt is the table of options: name, type, default, what is
 * allowed, documentation; struct conf_values and the manual page are made from it (tools/confc.py).
 *
 * A line is "name = value"; '#' begins a comment at the start of a line or after white space; options marked list may
 * come several times. A value in conf_error is quoted with its file and line and what would be allowed. */
#ifndef ROLE_CONF_H
#define ROLE_CONF_H

#include "base/arena.h"
#include "base/cursor.h"
#include "base/err.h"
#include "conf_table.h" /* struct conf_values */

enum listener_kind {
	LISTEN_SMTP,
	LISTEN_LMTP,
	LISTEN_SUBMISSION,
	LISTEN_SUBMISSIONS,
	LISTEN_IMAP,
	LISTEN_IMAPS,
	LISTEN_POP3,
	LISTEN_POP3S,
	LISTEN_ADMIN,
	LISTEN_HTTP,
	LISTEN_HTTPS,
	LISTEN_KINDS
};

struct conf_listener {
	enum listener_kind kind;
	bool implicit_tls;
	uint32_t class_bit; /* IPC_CLASS_MX, _USER or _ADMIN: which sessions serve it */
	const char *name;   /* "smtp" */
	const char
	    *address; /* "127.0.0.1:2525", "[::1]:2525", "/path/of/a.sock" (relative to the configuration's folder) */
};

/* AUTO: as DANE, MTA-STS and the message say (relay/tls_policy.h). */
enum route_tls { ROUTE_TLS_AUTO, ROUTE_TLS_NONE, ROUTE_TLS_TRY, ROUTE_TLS_MUST, ROUTE_TLS_DANE, ROUTE_TLS_VERIFY };
enum { ROUTE_NAMES_MAX = 8, ROUTE_SOURCES_MAX = 32, ROUTE_HOPS_MAX = 8 };

struct conf_network {    /* an address range */
	uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint8_t bits;        /* of 128 */
};

struct conf_hop {
	const char *host; /* a name or an address without brackets; "/path": a Unix socket (LMTP only) */
	uint16_t port;    /* 0: 25, with lmtp 24 */
};

struct conf_schedule {  /* relay/schedule.h */
	int64_t *retry_sec; /* waits between tries; the last repeats */
	size_t nretry;
	int64_t lifetime_sec, delayed_after_sec;
};

/* route = DOMAIN HOST[:PORT][,HOST[:PORT]...] [words]: DOMAIN "*": everything else; ".example.org": what is below it.
 * HOST "mx": the domain's own MX hosts, so that only the words count. */
struct conf_route {
	const char *domain;
	struct conf_hop hops[ROUTE_HOPS_MAX]; /* in the order in which to try them */
	size_t nhops;                         /* 0: the MX hosts of the domain */
	uint16_t port;                        /* of those; 0: relay.port */
	bool lmtp;
	bool implicit_tls;                  /* from the first byte (RFC 8314 3.3) */
	enum route_tls tls;                 /* tls=... */
	const char *names[ROUTE_NAMES_MAX]; /* tls=verify:a,b: the certificate has one of these, not the host's name */
	size_t nnames;
	const char *auth;                       /* auth=FILE: absolute; NULL: none */
	const char *sources[ROUTE_SOURCES_MAX]; /* source=...: addresses that connections come from */
	size_t nsources;
	const char *ehlo;              /* NULL: hostname */
	struct conf_schedule schedule; /* retry=, lifetime=, delayed-after=; what is 0 is as for the class of the mail */
};

struct conf_pace { /* pace = SITE [connections=N] [messages=N] [rate=N/m] */
	const char *site;
	uint32_t connections, messages, rate; /* 0: as everywhere */
};

enum { SOURCES_MAX = 64, POOL_SENDERS_MAX = 32, WARM_UP_DAYS_MAX = 100 };

struct conf_source {                   /* source = ADDRESS [ehlo=NAME] [pool=NAME] [since=YYYY-MM-DD] */
	const char *address, *ehlo, *pool; /* ehlo NULL: hostname */
	int family;                        /* 4 or 6 */
	int64_t since;                     /* the day, since 1970, on which it was new; -1: it is warm */
};

struct conf_pool { /* pool = NAME [personal] [bulk] [notice] [DOMAIN ...] */
	const char *name;
	unsigned classes;                      /* bits of CLASS_* of store/rows.h; 0: all */
	const char *senders[POOL_SENDERS_MAX]; /* "example.org", ".example.org": what is below it */
	size_t nsenders;                       /* 0: all */
};

struct conf {
	struct arena arena;
	struct conf_values v;            /* one member for each option, dots and dashes as underscores */
	const char *folder;              /* relative paths began here: those in v and listeners have it in front already */
	struct conf_listener *listeners; /* those of option listen, then the admin socket */
	size_t nlisteners;
	struct conf_network *trusted;
	size_t ntrusted;
	struct conf_route *routes;
	size_t nroutes;
	struct conf_pace *paces;
	size_t npaces;
	struct conf_source *sources;
	size_t nsources;
	struct conf_pool *pools;
	size_t npools;
	uint32_t *warm_up; /* messages for each day of a new source */
	size_t nwarm_up;
	int64_t *retry_sec; /* relay.retry: waits between tries; the last repeats */
	size_t nretry;
	struct conf_schedule schedules[3]; /* by CLASS_* of store/rows.h */
	struct slice text;                 /* as read, to hand on */
	unsigned uses;
};

struct conf_error {
	const char *file;
	unsigned line;    /* 0: the file as a whole */
	const char *text; /* what is wrong, with what, what is allowed */
};

/* errors: at most errors_max of them, in the arena a; *nerrors counts all. NULL when there is any. The result is
 * counted: conf_free. */
struct conf *conf_parse(struct slice text, const char *file, const char *folder, struct arena *a,
                        struct conf_error *errors, size_t errors_max, size_t *nerrors);
/* Reads the file first; what cannot be read is an error too. Paths in the result are absolute. */
#define CONF_BYTES_MAX 1000000u
struct conf *conf_load(const char *path, struct arena *a, struct conf_error *errors, size_t errors_max,
                       size_t *nerrors);
/* A listener of this kind ("smtp") at this address; name and address are not copied. False: no such kind. */
bool conf_listener_of(const char *name, const char *address, struct conf_listener *l);
/* "127.0.0.1:25", "[::1]:25": 4 (IPv4), 6 or 0 (neither); the address as in struct conf_network. */
int conf_socket_address(struct slice text, uint8_t address[16], uint16_t *port);
struct conf *conf_keep(struct conf *c);
void conf_free(struct conf **c);
bool conf_trusts(const struct conf *c, const uint8_t address[16]);

#endif
