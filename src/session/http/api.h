/* SPDX-License-Identifier: Apache-2.0 */
/* api.h - the admin API: JSON over HTTP on the Unix socket of the command (doc/admin-api.md). A method is a row:
 * method, path pattern with {} for words, function. A function runs in a task, asks auth or store, and leaves its
 * answer in the struct api_call: status and json, or api_error. */
#ifndef SESSION_HTTP_API_H
#define SESSION_HTTP_API_H

#include "auth_msg.h"
#include "session/http/request.h"
#include "session/session.h"
#include "store_msg.h"

#include <jansson.h>

#define API_WORDS_MAX 2

struct api_call {
	struct conn *conn;
	struct session *session;
	struct arena *arena; /* the request's */
	const struct http_request *request;
	struct slice words[API_WORDS_MAX]; /* what stood for each {}, decoded */
	json_t *body;                      /* an object; NULL: none came */
	unsigned status;
	json_t *json;      /* the answer, owned */
	struct slice text; /* or this, in the arena */
	const char *text_type;
};

struct api_row {
	const char *method, *pattern;
	void (*await_run)(struct api_call *call);
};
struct api_rows {
	const struct api_row *rows;
	size_t count;
};
extern const struct api_rows domain_methods, account_methods, alias_methods, queue_methods, limit_methods,
    sending_methods, search_methods, reputation_methods, tls_report_methods, status_methods, referral_methods,
    relay_domain_methods;

/* Finds the row, reads the body, runs it. The answer is in call afterwards, whatever happened. */
void await_api(struct api_call *call, struct slice body);

/* pages.c: the same for strangers (listeners http and https): another set of paths, and no JSON. */
void await_public(struct api_call *call, struct slice body);

/* ---- for the methods */
void api_answer(struct api_call *call, unsigned status, json_t *json); /* takes json over */
void api_error(struct api_call *call, unsigned status, const char *error, const char *hint);
/* A failure of store or auth in the words of whoever asked: what is "account alice@example.org". True when e is one. */
bool api_failed(struct api_call *call, enum err e, const char *noun, struct slice what);
/* A text of the body; empty when it is not there. A member of another type, or with control characters: false,
 * answered. */
bool api_text(struct api_call *call, const char *name, struct slice *value);
bool api_text_needed(struct api_call *call, const char *name, struct slice *value);
bool api_number(struct api_call *call, const char *name, uint64_t *value); /* unchanged when it is not there */
/* The first value of a query parameter; empty when there is none. */
struct slice api_query(struct api_call *call, struct slice name);
json_t *json_slice(struct slice s); /* what is not UTF-8 becomes '?' */
void json_put(json_t *object, const char *name, struct slice value);
void json_put_number(json_t *object, const char *name, uint64_t value);

#endif
