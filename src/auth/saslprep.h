/* SPDX-License-Identifier: Apache-2.0 */
/* saslprep.h - user names and passwords as SASL compares them (RFC 4013), by ICU. Pure. */
#ifndef AUTH_SASLPREP_H
#define AUTH_SASLPREP_H

#include "base/arena.h"

/* Prepared text, in the arena. False: it is not UTF-8, or holds characters that no user name or password may have. */
bool saslprep(struct slice text, struct arena *a, struct slice *out);

#endif
