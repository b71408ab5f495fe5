/* SPDX-License-Identifier: Apache-2.0 */
/* verify.h - domains whose mail is taken for other servers (posthouse domain add --relay-to). */
#ifndef RELAY_VERIFY_H
#define RELAY_VERIFY_H

#include "relay/relay.h"

/* await_route, where relay domains go to the hosts that they name. The configuration goes before. */
void await_route_of(struct relay *r, struct slice domain, struct route *out);
void await_backups(struct relay *r); /* whether there are any now */
void verify_soon(struct relay *r);   /* sessions want to know addresses */

#endif
