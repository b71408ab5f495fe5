/* SPDX-License-Identifier: Apache-2.0 */
/* stream_inside.h - between stream.c, which buffers, and tls.c, which encrypts. */
#ifndef TASK_STREAM_INSIDE_H
#define TASK_STREAM_INSIDE_H

#include "task/stream.h"

enum err await_stream_ready(struct stream *s, uint32_t events);

/* One read of at least one byte. */
enum err await_tls_read(struct stream *s, void *to, size_t room, size_t *got);
/* Sends what the socket takes now; *sent 0: nothing, wait for tls_wants. */
enum err tls_write_now(struct stream *s, struct slice bytes, size_t *sent);
uint32_t tls_wants(const struct stream *s); /* LOOP_READ or LOOP_WRITE */
bool tls_has_input(const struct stream *s);
void tls_release(struct stream *s); /* close_notify when that needs no waiting */

#endif
