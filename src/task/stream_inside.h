/* SPDX-License-Identifier: Apache-2.0 */
/* stream_inside.h - between stream.c, which buffers, deflate.c, which compresses, and tls.c, which encrypts. */
#ifndef TASK_STREAM_INSIDE_H
#define TASK_STREAM_INSIDE_H

#include "task/stream.h"

enum err await_stream_ready(struct stream *s, uint32_t events);

/* One read or write of what the socket has or takes now, under TLS where there is TLS. 0 bytes: wait for stream_wants.
 */
enum err stream_recv_now(struct stream *s, void *to, size_t room, size_t *got);
enum err stream_send_now(struct stream *s, struct slice bytes, bool more, size_t *sent);

enum err tls_read_now(struct stream *s, void *to, size_t room, size_t *got);
/* Sends what the socket takes now; *sent 0: nothing, wait for tls_wants. */
enum err tls_write_now(struct stream *s, struct slice bytes, size_t *sent);
uint32_t tls_wants(const struct stream *s); /* LOOP_READ or LOOP_WRITE */
bool tls_has_input(const struct stream *s);
struct ssl_st *tls_ssl(const struct stream *s); /* NULL: not under TLS */
struct ssl_ctx_st *tls_context_ssl(struct tls_context *c);
/* tls_check.c */
bool tls_check_prepare(struct ssl_st *ssl, const char *server_name, const struct tls_check *check);
enum tls_verdict tls_check_verdict(const struct ssl_st *ssl, bool handshake_good);
void tls_release(struct stream *s); /* close_notify when that needs no waiting */

/* deflate.c. unread: bytes that came already, and are compressed. */
struct deflate *deflate_new(struct slice unread);
void deflate_free(struct deflate **d);
struct slice deflate_unread(const struct deflate *d);
void deflate_rest(struct deflate *d);
bool deflate_has_input(const struct deflate *d);
bool deflate_has_output(const struct deflate *d);
enum err deflate_read_now(struct stream *s, void *to, size_t room, size_t *got);
enum err deflate_write_now(struct stream *s, struct slice bytes, size_t *sent);
bool deflate_flush_now(struct stream *s); /* true: the peer can read all that was put, or the stream failed */

#endif
