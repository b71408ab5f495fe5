/* SPDX-License-Identifier: Apache-2.0 */
/* bearer.c - see bearer.h. Called by oauth.c. */
#include "auth/bearer.h"

#define SEPARATOR '\1' /* kvsep, RFC 7628 3.1 */

/* "Bearer" SP token (RFC 6750 2.1), the scheme in any case */
static bool
take_authorization(struct slice value, struct slice *token)
{
	if (!slice_starts_nocase(value, S("Bearer ")))
		return false;
	value = slice_from(value, 7);
	for (size_t i = 0; i < value.len; i++)
		if (value.at[i] <= ' ' || value.at[i] > '~')
			return false;
	*token = value;
	return true;
}

/* *kvpair kvsep; kvpair = key "=" value kvsep. Others than auth (host, port, mthd, path, qs) mean nothing here. */
static bool
take_pairs(struct slice rest, struct bearer *b)
{
	bool authorized = false;
	while (rest.len > 1) {
		struct slice pair, key, value;
		if (!slice_cut(rest, SEPARATOR, &pair, &rest) || !slice_cut(pair, '=', &key, &value) || key.len == 0)
			return false;
		for (size_t i = 0; i < key.len; i++)
			if (!ascii_alpha(key.at[i]))
				return false;
		if (!slice_equal_nocase(key, S("auth")))
			continue;
		if (authorized || !take_authorization(value, &b->token))
			return false;
		authorized = true;
	}
	return rest.len == 1 && rest.at[0] == SEPARATOR;
}

bool
bearer_take(struct slice message, struct bearer *b)
{
	struct slice header, pairs, flag, authzid, rest;
	*b = (struct bearer){ S(""), S("") };
	if (!slice_cut(message, SEPARATOR, &header, &pairs) || !slice_cut(header, ',', &flag, &rest) ||
	    !slice_cut(rest, ',', &authzid, &rest) || rest.len != 0)
		return false;
	/* RFC 7628 3.1: there is no channel binding here */
	if (!slice_equal(flag, S("n")) && !slice_equal(flag, S("y")))
		return false;
	if (authzid.len && !slice_starts(authzid, S("a=")))
		return false;
	b->user = slice_from(authzid, 2);
	return slice_find_char(b->user, '\0') < 0 && take_pairs(pairs, b);
}

bool
bearer_take_xoauth2(struct slice message, struct bearer *b)
{
	struct slice user, pairs;
	*b = (struct bearer){ S(""), S("") };
	if (!slice_cut(message, SEPARATOR, &user, &pairs) || !slice_starts(user, S("user=")))
		return false;
	b->user = slice_from(user, 5);
	return b->user.len > 0 && slice_find_char(b->user, '\0') < 0 && take_pairs(pairs, b) && b->token.len > 0;
}
