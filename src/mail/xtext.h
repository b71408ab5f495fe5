/* SPDX-License-Identifier: Apache-2.0 */
/* xtext.h - the encoding of ENVID and ORCPT values (RFC 3461 4). Pure. */
#ifndef MAIL_XTEXT_H
#define MAIL_XTEXT_H

#include "base/arena.h"

/* +HH becomes a byte; what is not printable ASCII becomes '?'. The type of an ORCPT ("rfc822;") passes unchanged. */
struct slice xtext_decode(struct slice xtext, struct arena *a);

#endif
