/* SPDX-License-Identifier: Apache-2.0 */
/* base64.h - RFC 4648 4 for protocols (SASL, keys): strict, one line. MIME bodies are decoded in mail/. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/arena.h"
#include "base/buf.h"

/* Strict: padded, no white space, no bits left over. The result lives in the arena. */
bool base64_decode(struct slice text, struct arena *a, struct slice *out);
void base64_encode(struct slice bytes, struct buf *out);

#endif
