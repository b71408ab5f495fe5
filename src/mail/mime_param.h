/* SPDX-License-Identifier: Apache-2.0 */
/* mime_param.h - values of Content-Type, Content-Disposition and their like: a word and parameters (RFC 2045 5.1), with
 * the continuations and charsets of RFC 2231. */
#ifndef MAIL_MIME_PARAM_H
#define MAIL_MIME_PARAM_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"

#define MIME_PARAMS_MAX 64 /* of one field that are looked at */

struct mime_param {
	struct slice name;  /* without the marks of RFC 2231 */
	struct slice value; /* unquoted; sections joined; when extended: charset'language'%41%42 */
	bool extended;
};
struct mime_params {
	struct mime_param *rows; /* in the arena */
	size_t count;
};

/* *(";" parameter), to the end of c. Never fails: what is no parameter is skipped. */
void mime_params_take(struct cursor *c, struct arena *a, struct mime_params *p);
/* NULL: not there. */
const struct mime_param *mime_param_find(const struct mime_params *p, struct slice name);
/* The value as people read it, in UTF-8. Encoded words are decoded too, because many programs write them there. */
void mime_param_put(struct buf *to, const struct mime_param *p);
/* 1*tchar (RFC 2045 5.1), 8-bit bytes included. */
bool mime_take_token(struct cursor *c, struct slice *token);

#endif
