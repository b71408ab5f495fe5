/* SPDX-License-Identifier: Apache-2.0 */
/* stream.h - buffered bytes over a socket, in plain or under TLS, with sticky errors.
 *
 * After the first failure every call returns that error at once and does nothing: look at it once per command. Buffers
 * are borrowed: a stream with nothing buffered in either direction holds no buffer memory (stream_rest gives them
 * back). Every wait has a deadline: stream->deadline_ms (absolute), set by the caller per command. */
#ifndef TASK_STREAM_H
#define TASK_STREAM_H

#include "base/arena.h"
#include "base/buf.h"
#include "task/task.h"

#define STREAM_IN_BYTES (16 * 1024) /* input buffer at start; grows to the longest line asked for */
#define STREAM_OUT_BYTES                                                                                               \
	(64 * 1024) /* put flushes when this much waits (await_put), or fails past STREAM_OUT_MAX (put) */
#define STREAM_OUT_MAX (1024 * 1024)

struct tls_context;
struct tls;
struct deflate;

struct stream {
	int fd;
	enum err error;          /* sticky */
	int64_t deadline_ms;     /* for every wait of this stream */
	struct tls *tls;         /* NULL: plain */
	struct deflate *deflate; /* NULL: not compressed */
	struct buf in;           /* bytes in_at..in.len are unread */
	size_t in_at;
	struct buf out; /* bytes out_at..out.len are unsent */
	size_t out_at;
	uint64_t bytes_in, bytes_out;
	/* How this stream waits until fd is readable or writable (LOOP_READ, LOOP_WRITE), at most until deadline_ms. NULL:
	 * await_fd. A session's connections wait through the watch that they have anyway, so that epoll hears of a
	 * descriptor once in its life and not twice a command. */
	enum err (*await_ready)(struct stream *s, uint32_t events);
	unsigned turns; /* reads in a row without waiting */
	bool much;      /* the last read filled the buffer: the next one may be larger */
};

/* Takes over fd (non-blocking, TCP_NODELAY set where it is TCP). */
void stream_init(struct stream *s, int fd);
/* Closes fd, releases all. With TLS, sends close_notify when that needs no waiting. */
void stream_release(struct stream *s);
/* Gives empty buffers back. */
void stream_rest(struct stream *s);
enum err stream_fail(struct stream *s,
                     enum err e); /* makes e sticky unless there was an error before; returns the sticky one */
/* Unread bytes that need no system call (the TLS layer's included). */
bool stream_has_input(const struct stream *s);
/* Bytes that were put and have yet to be sent. */
bool stream_has_output(const struct stream *s);
/* The socket is readable: is there anything to read for those above? Not when it was the rest of a compressed block.
 * Does not wait. */
bool stream_try_fill(struct stream *s);
/* Unread bytes as one slice (valid until the next call on this stream). */
struct slice stream_input(const struct stream *s);
void stream_consume(struct stream *s, size_t n);
/* Overwrites what was read and consumed, for it held a secret; unread input stays. Slices of it are gone. */
void stream_wipe_consumed(struct stream *s);
/* Drops unread input: what came before STARTTLS must not be obeyed after it (RFC 3207 4.2). */
void stream_drop_input(struct stream *s);

/* Reads what is there, waiting for at least one byte; appends to stream_input (up to max unread bytes; more:
 * ERR_LIMIT). */
enum err await_fill(struct stream *s, size_t max);
/* A line without its CRLF, valid until the next call on this stream; consumed already. ERR_LINE_TOO_LONG when more than
 * max bytes come without an end (the line is read to its end and dropped, at most 64 KiB more; not sticky). Bare CR,
 * bare LF or NUL inside: ERR_BARE_EOL / ERR_NUL, not sticky, the whole line (to LF) consumed. lf_ok: LF alone ends a
 * line too. */
enum err await_line(struct stream *s, size_t max, bool lf_ok, struct slice *line);
/* Exactly n bytes into to. */
enum err await_read(struct stream *s, void *to, size_t n);

/* Appends to the output without sending; more than STREAM_OUT_MAX waiting makes ERR_LIMIT sticky. */
void stream_put(struct stream *s, struct slice bytes);
void stream_printf(struct stream *s, const char *format, ...) PRINTF_LIKE(2, 3);
/* Appends, and sends when much waits: for long output to slow readers. */
enum err await_put(struct stream *s, struct slice bytes);
enum err await_flush(struct stream *s);
/* Sends what needs no waiting. */
void stream_try_flush(struct stream *s);

/* Compresses both directions from here on (DEFLATE, RFC 4978): what was put already goes out as it is; input that is
 * unread counts as compressed. Under TLS or not. */
enum err await_deflate(struct stream *s);
/* Ends it, in both directions: input that is unread counts as plain. */
enum err await_deflate_end(struct stream *s);

/* TLS (OpenSSL 3): TLS 1.2 and 1.3. */
struct tls_info {
	const char *version, *cipher; /* "TLSv1.3", "TLS_AES_256_GCM_SHA384" */
	unsigned bits;
	bool resumed;
};
/* How a server context signs: the private key is held elsewhere. Called in a task; must fill *signature (arena).
 * digest: "SHA256", ... or
 * "" when data is to be signed as it is; padding: 0 ECDSA/Ed25519, RSA_PKCS1_PADDING, RSA_PKCS1_PSS_PADDING,
 * RSA_NO_PADDING. */
typedef enum err tls_sign_fn(void *arg, uint32_t key_id, int padding, struct slice data, struct arena *a,
                             struct slice *signature);

/* chain_pem: certificate first, then intermediates. The key is never here: sign is asked. NULL and *why (literal) when
 * it cannot be used. */
struct tls_context *tls_server_context(struct slice chain_pem, uint32_t key_id, tls_sign_fn *sign, void *arg,
                                       const char **why);
/* As above with a private key in this process: tests and tools. */
struct tls_context *tls_server_context_with_key(struct slice chain_pem, struct slice key_pem, const char **why);
/* For clients. ca_file NULL: certificates are not verified (opportunistic TLS, RFC 7435). */
struct tls_context *tls_client_context(const char *ca_file);
/* The same with the trusted certificates as PEM text; connections say what they check (await_tls_connect_checked).
 * NULL: there is none in it. */
struct tls_context *tls_client_context_trusting(struct slice ca_pem);
/* Contexts are counted: each stream under TLS holds one. */
struct tls_context *tls_context_keep(struct tls_context *c);
void tls_context_free(struct tls_context **c);
/* Drops unread plain input, then the handshake; ERR_TLS is sticky. alpn may be NULL. server_name: SNI, NULL for none.
 */
enum err await_tls_accept(struct stream *s, struct tls_context *c);
enum err await_tls_connect(struct stream *s, struct tls_context *c, const char *server_name);
/* What a client asks of the server's certificate, for one connection. */
struct tls_tlsa { /* RFC 6698 2.1 */
	uint8_t usage, selector, matching;
	struct slice data;
};
#define TLS_NAMES_MAX 8
struct tls_check {
	const char *names[TLS_NAMES_MAX]; /* it must have one of these (no wildcards here); with tlsa: beside server_name */
	size_t nnames;
	const struct tls_tlsa *tlsa; /* DANE (RFC 7672): one of these must match; usages 2 and 3 only */
	size_t ntlsa;                /* 0: trusted roots of the context count */
	bool soft;                   /* the verdict is only looked at, the connection goes on */
};
enum tls_verdict {
	TLS_UNCHECKED,
	TLS_GOOD,
	TLS_EXPIRED,
	TLS_WRONG_NAME,
	TLS_UNTRUSTED,
	TLS_NOT_IN_TLSA,
	TLS_BROKEN, /* the handshake failed before or beside that */
};
/* server_name: SNI, and with tlsa the base domain. */
enum err await_tls_connect_checked(struct stream *s, struct tls_context *c, const char *server_name,
                                   const struct tls_check *check);
enum tls_verdict tls_verdict(const struct stream *s); /* of the last handshake */
struct tls_info tls_info(const struct stream *s);
/* Why the last handshake of this stream failed, in OpenSSL's words; for logs. */
const char *tls_error(const struct stream *s);

/* Channel bindings for SASL (tls_binding.c), with their length; 0: this connection has none. tls-exporter (RFC 9266),
 * tls-server-end-point (RFC 5929 4). */
#define TLS_EXPORTER_BYTES 32
#define TLS_END_POINT_BYTES_MAX 64
size_t tls_exporter(const struct stream *s, uint8_t out[TLS_EXPORTER_BYTES]);
size_t tls_end_point(const struct stream *s, uint8_t out[TLS_END_POINT_BYTES_MAX]);
/* A server context asks clients for a certificate; one that was not signed by these is as good as none. False and *why
 * (a literal): no certificate is in the PEM text. */
bool tls_context_ask_client(struct tls_context *c, struct slice ca_pem, const char **why);
/* Whether the client showed a certificate that is trusted. */
bool tls_has_client(const struct stream *s);
/* Its chain, DER one after the other, its own first; empty: none, or more than bytes_max. */
struct slice tls_client_chain(const struct stream *s, size_t bytes_max, struct arena *a);

/* Connects to address (struct sockaddr); the descriptor is non-blocking. Tests may put a simulated network here. */
struct sockaddr;
extern enum err (*await_connect)(const struct sockaddr *to, unsigned to_len, const struct sockaddr *from,
                                 unsigned from_len, int64_t deadline_ms, int *fd);

#endif
