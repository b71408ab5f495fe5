/* SPDX-License-Identifier: Apache-2.0 */
/* conf_special.h - options whose text has a form of its own: conf_special.c reads them, conf.c calls it. */
#ifndef ROLE_CONF_SPECIAL_H
#define ROLE_CONF_SPECIAL_H

#include "role/conf.h"

struct conf_parser {
	struct conf *conf;
	struct arena *arena; /* of the errors */
	const char *file;
	struct conf_error *errors;
	size_t errors_max, nerrors;
	unsigned line;  /* where we are */
	unsigned *seen; /* for each option: the line that set it */
};

void conf_complain(struct conf_parser *p, const char *format, ...) PRINTF_LIKE(2, 3);
/* A value as it may be shown in an error: printable, shortened. */
const char *conf_show(struct conf_parser *p, struct slice value);
const char *conf_path(struct conf *c, struct slice path); /* with the folder in front */
/* "5m" in the units of that type; false: not one. */
bool conf_quantity(struct slice text, enum conf_type type, uint64_t *v);

/* The next word of a text; false: there is none. */
bool conf_next_word(struct slice *rest, struct slice *word);
bool conf_is_host(struct slice s); /* a name, or an IPv4 address */
/* 4 (kept as ::ffff:a.b.c.d), 6 or 0 (no address). */
int conf_ip_address(struct slice text, uint8_t address[16]);

/* Checks one value of an option when it has a form of its own. */
void conf_special_check(struct conf_parser *p, const char *name, struct slice value);
/* After all lines: fills what struct conf has beside the plain values. */
void conf_special_finish(struct conf_parser *p);

/* ---- conf_pools.c: options source, pool and relay.warm-up */
void conf_check_source(struct conf_parser *p, struct slice value);
void conf_check_pool(struct conf_parser *p, struct slice value);
void conf_check_warm_up(struct conf_parser *p, struct slice value);
void conf_pools_make(struct conf *c);

#endif
