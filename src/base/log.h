/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - one event, one line, key=value (or JSON) on standard error, written with one write(2).
 *
 *     struct log l;
 *     log_begin(&l, LOG_INFO, "mail.accepted");
 *     log_slice(&l, "session", id);
 *     log_u64(&l, "bytes", size);
 *     log_end(&l);
 *
 * Each line opens with time, level, role and event. Values from strangers are quoted and escaped here, cut at
 * LOG_VALUE_BYTES_MAX; a line is cut at LOG_LINE_BYTES_MAX. Secrets are never given to it. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/err.h"
#include "base/slice.h"

#define LOG_LINE_BYTES_MAX 4096
#define LOG_VALUE_BYTES_MAX 512

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log {
	size_t len;
	bool off; /* below the level: nothing is written */
	char line[LOG_LINE_BYTES_MAX];
};

/* role: a literal that stays. json: JSON lines instead of key=value. */
void log_setup(const char *role, enum log_level least, bool json);
void log_begin(struct log *l, enum log_level level, const char *event);
void log_slice(struct log *l, const char *key, struct slice value);
void log_text(struct log *l, const char *key, const char *value);
void log_u64(struct log *l, const char *key, uint64_t value);
void log_i64(struct log *l, const char *key, int64_t value);
void log_err(struct log *l, enum err e); /* error="no space left on the disk" */
void log_end(struct log *l);
/* An event with one text, for what is rare: log_event(LOG_WARN, "store.reopened", "why", "the disk was full"). */
void log_event(enum log_level level, const char *event, const char *key, const char *value);

#endif
