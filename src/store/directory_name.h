/* SPDX-License-Identifier: Apache-2.0 */
/* directory_name.h - addresses and domains in the one form in which the directory compares them: domains as lower case
 * A-labels (so that U-labels and A-labels are equal, UTS 46), local-parts with ASCII in lower case (RFC 5321 2.4 leaves
 * their case to us). Pure. */
#ifndef STORE_DIRECTORY_NAME_H
#define STORE_DIRECTORY_NAME_H

#include "base/arena.h"

#define DOMAIN_BYTES_MAX 253 /* RFC 1035 2.3.4, without the root's dot */
#define LOCAL_PART_BYTES_MAX                                                                                           \
	256 /* more than the 64 of RFC 5321 4.5.3.1.1, because lists and gateways make longer ones */

struct address_name {
	struct slice local;  /* lower case */
	struct slice domain; /* comparable form */
	struct slice local_given;
};

/* False: not a domain name (address literals are none). *key lives in the arena. */
bool directory_domain(struct slice domain, struct arena *a, struct slice *key);
/* False: no '@', an empty or too long local-part, a control character, or not a domain. */
bool directory_address(struct slice address, struct arena *a, struct address_name *name);
/* user+detail: false when there is no separator, or nothing before it. */
bool directory_split_detail(struct slice local, const char *separators, struct slice *user, struct slice *detail);

#endif
