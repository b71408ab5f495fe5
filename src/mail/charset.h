/* SPDX-License-Identifier: Apache-2.0 */
/* charset.h - from any charset that mail names to UTF-8. The result is always well-formed UTF-8: what has no meaning
 * becomes U+FFFD.
 *
 * ASCII, UTF-8, ISO-8859-1 and windows-1252 are done here; everything else by ICU, whose converters are opened once and
 * kept (CHARSET_CONVERTERS_MAX, the least used one goes). One thread per process may convert. */
#ifndef MAIL_CHARSET_H
#define MAIL_CHARSET_H

#include "base/buf.h"

#define CHARSET_CONVERTERS_MAX 16

/* Before the sandbox closes: ICU then opens no file any more. */
void charset_setup(void);
/* Gives the converters back; they come again when needed. For tests and at the end. */
void charset_release(void);

/* charset empty or unknown: guessed. */
void charset_put(struct buf *to, struct slice charset, struct slice text);
/* Raw 8-bit text without a label: UTF-8 when it is well-formed, else windows-1252. */
void charset_put_guess(struct buf *to, struct slice text);
bool charset_is_known(struct slice charset);
/* Appends text as UTF-8, each malformed byte as U+FFFD, NUL too. */
void charset_put_utf8(struct buf *to, struct slice text);
/* How many bytes the well-formed character at the start of s has; 0: it is malformed, or s is empty (RFC 3629). */
size_t utf8_char_bytes(struct slice s);
/* The longest prefix of at most bytes that does not cut a character. s must be UTF-8. */
struct slice utf8_prefix(struct slice s, size_t bytes);
/* How many bytes at the start are ASCII. Fast. */
size_t ascii_prefix(struct slice s);

#endif
