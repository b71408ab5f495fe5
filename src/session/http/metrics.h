/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h - the counters of all processes, whose pages the supervisor hands to the admin session. */
#ifndef SESSION_HTTP_METRICS_H
#define SESSION_HTTP_METRICS_H

#include "base/buf.h"
#include "base/counter.h"
#include "session/session.h"

/* Prometheus text: a line for each counter and process. */
void metrics_write(const struct session *s, struct buf *to);
uint64_t metrics_sum(const struct session *s, enum counter c); /* over all processes */

#endif
