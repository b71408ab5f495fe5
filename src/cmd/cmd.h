/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.h - the command as its own files see it: a verb is a row, its function prints and returns the exit code. Most
 * verbs ask the running server over its admin socket (client.c); init and check work without one. */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include "base/arena.h"
#include "base/buf.h"
#include "role/conf.h"

#include <jansson.h>

#define CMD_WORDS_MAX 1001 /* an alias and its targets */
#define CMD_CONF_ERRORS_MAX 20

enum { EXIT_DONE, EXIT_FAILED, EXIT_USAGE };

/* Options that some verbs take. */
enum {
	OPT_DOMAIN = 1,
	OPT_PORT_BASE = 2,
	OPT_PASSWORD_STDIN = 4,
	OPT_HASH_STDIN = 8,
	OPT_ADMIN = 16,
	OPT_QUOTA = 32,
	OPT_ALL = 64,
	OPT_HOSTNAME = 128,
	OPT_NO_PASSWORD = 256,
	OPT_STORE = 512,
	OPT_MESSAGES = 1024,
	OPT_MAILBOXES = 2048,
	OPT_DELETE_AFTER = 4096,
	OPT_HIDE_AFTER = 8192,
	OPT_LANGUAGE = 16384,
	OPT_FILTER = 1 << 16, /* of the queue */
	OPT_YES = 1 << 17,
	OPT_TO = 1 << 18,
	OPT_AT = 1 << 19,
	OPT_WHY = 1 << 20,
	OPT_FOR = 1 << 21,
	OPT_MOVED_TO = 1 << 22,
	OPT_MOVED_OPEN = 1 << 23,
	OPT_RELAY = 1 << 24, /* --relay-to, --users */
};

struct args {
	const char *conf_path; /* NULL: look for it */
	bool json;
	uint32_t given; /* OPT_* */
	const char *domain, *port_base, *quota, *hostname, *messages, *mailboxes, *delete_after, *hide_after, *language,
	    *moved_to;
	const char *relay_to, *users;
	const char *sender, *recipient, *reason, *older, *younger, *state, *to, *at, *why, *lasts;
	const char *words[CMD_WORDS_MAX]; /* after the verb */
	size_t nwords;
	struct arena *arena;
	struct conf *conf; /* read by the first who needs it */
};

struct verb {
	const char *group, *verb; /* verb NULL: the group has none */
	int (*run)(struct args *a);
	unsigned least, most; /* words */
	uint32_t takes;       /* OPT_* */
	const char *usage, *help;
};
struct verbs {
	const struct verb *rows;
	size_t count;
};
extern const struct verbs relay_domain_verbs, init_verbs, domain_verbs, account_verbs, alias_verbs, queue_verbs,
    limit_verbs, sending_verbs, search_verbs, reputation_verbs, tls_report_verbs, status_verbs, check_verbs;

/* What was typed, understood: the row to run; NULL, and *why in the arena (told on stderr by the caller). */
const struct verb *command_parse(int argc, char **argv, struct args *a, const char **why);

/* ---- client.c */
/* Reads the configuration that was named, or that is found; NULL: n errors. */
struct conf *cmd_load(struct args *a, struct conf_error errors[CMD_CONF_ERRORS_MAX], size_t *n);
/* The configuration; NULL: its errors were printed. */
struct conf *cmd_conf(struct args *a);
/* Asks the server. body is taken over, NULL: none. OK: *out (NULL allowed) is the answer, owned by the caller, NULL
 * when it has no body. Otherwise the error was printed. */
bool cmd_ask(struct args *a, const char *method, const char *path, json_t *body, json_t **out);
/* As above, and prints: the answer as JSON when --json was given, else the text. */
int cmd_do(struct args *a, const char *method, const char *path, json_t *body, const char *done, ...) PRINTF_LIKE(5, 6);
/* Every element of a list that comes in pages: each is called for one, key names the list and the member to go on
 * after. With --json the whole list is printed instead. */
int cmd_list(struct args *a, const char *path, const char *list, const char *after,
             void (*each)(const json_t *row, void *arg), void *arg);
/* "/api/v1/accounts/" and a word, percent-encoded, and a tail. */
const char *cmd_path(struct args *a, const char *before, const char *word, const char *tail);
/* True when a server answers on the admin socket. */
bool cmd_server_runs(const struct conf *c);

/* ---- print.c */
int cmd_fail(const struct args *a, const char *hint, const char *format, ...) PRINTF_LIKE(3, 4); /* EXIT_FAILED */
void cmd_print_json(const json_t *j);
const char *cmd_size(struct arena *a, uint64_t bytes);        /* "1.4 MiB" */
const char *cmd_when(struct arena *a, int64_t sec);           /* "2026-03-01 12:00" local time */
const char *cmd_span(struct arena *a, int64_t sec);           /* "3h 20m" */
const char *cmd_text(const json_t *object, const char *name); /* "" when there is none; made printable */
uint64_t cmd_number(const json_t *object, const char *name);

/* A table whose columns are as wide as they need; printed at the end. */
struct table {
	struct arena *arena;
	size_t ncolumns, nrows, cap;
	const char **cells;
	bool right[12]; /* columns of numbers */
};
void table_init(struct table *t, struct arena *a, size_t ncolumns, ...); /* then one const char * for each heading; one
                                                                            that begins with '>' is of numbers */
void table_add(struct table *t, ...);                                    /* ncolumns of const char * */
void table_print(const struct table *t);

/* ---- check_store.c */
/* Says a line for each problem, and one for the whole; true when there is none. */
bool cmd_check_store(const char *data, void (*say)(void *arg, bool good, const char *line), void *arg);

/* ---- files */
/* A certificate of our own and its key, in PEM. names: DNS names, the first is the subject. False: OpenSSL failed. */
bool selfsigned_make(const char *const *names, size_t nnames, int64_t now_sec, struct buf *certificate,
                     struct buf *key);

#endif
