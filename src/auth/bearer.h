/* SPDX-License-Identifier: Apache-2.0 */
/* bearer.h - what a client says with OAUTHBEARER (RFC 7628 3.1) and XOAUTH2, taken apart. Pure. */
#ifndef AUTH_BEARER_H
#define AUTH_BEARER_H

#include "base/cursor.h"

struct bearer {
	struct slice user;  /* whom it is to be for; empty: not said */
	struct slice token; /* empty: none came */
};
/* n,a=user@example.com,^Ahost=...^Aport=...^Aauth=Bearer TOKEN^A^A. The user may still hold =2C and =3D. */
bool bearer_take(struct slice message, struct bearer *b);
/* user=user@example.com^Aauth=Bearer TOKEN^A^A */
bool bearer_take_xoauth2(struct slice message, struct bearer *b);

#endif
