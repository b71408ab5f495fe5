/* SPDX-License-Identifier: Apache-2.0 */
/* saslprep.c - see saslprep.h. Called on the loop (sasl.c) and on threads that make SCRAM keys (change.c, login.c).
 * Fails: what RFC 4013 prohibits. Code points that are newer than Unicode 3.2 are let through, as its 2.5 says for
 * queries, since clients do the same: a password with a newer sign would be of no use otherwise. */
#include "auth/saslprep.h"

#include "base/random.h"

#include <unicode/usprep.h>
#include <unicode/ustring.h>

enum { TEXT_BYTES_MAX = 4000 };

static bool
is_plain_ascii(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] < ' ' || text.at[i] > '~')
			return false;
	return true;
}

static bool
prepare(const UChar *from, int32_t from_len, struct arena *a, struct slice *out)
{
	UErrorCode e = U_ZERO_ERROR;
	UStringPrepProfile *profile = usprep_openByType(USPREP_RFC4013_SASLPREP, &e);
	/* NFKC makes at most 18 units of one. */
	int32_t room = from_len * 18 + 1, len = 0;
	UChar *to = must_calloc((size_t)room, sizeof *to);
	if (U_SUCCESS(e))
		len = usprep_prepare(profile, from, from_len, to, room, USPREP_ALLOW_UNASSIGNED, NULL, &e);
	char *text = arena_alloc(a, (size_t)room * 3 + 1);
	int32_t text_len = 0;
	if (U_SUCCESS(e))
		u_strToUTF8(text, room * 3 + 1, &text_len, to, len, &e);
	if (profile)
		usprep_close(profile);
	secret_wipe(to, (size_t)room * sizeof *to);
	free(to);
	*out = slice_of(text, (size_t)text_len);
	return U_SUCCESS(e);
}

bool
saslprep(struct slice text, struct arena *a, struct slice *out)
{
	if (is_plain_ascii(text)) {
		*out = slice_keep(a, text);
		return true;
	}
	if (text.len > TEXT_BYTES_MAX || !slice_is_utf8(text))
		return false;
	UErrorCode e = U_ZERO_ERROR;
	UChar *wide = must_calloc(text.len + 1, sizeof *wide);
	int32_t len = 0;
	u_strFromUTF8(wide, (int32_t)text.len + 1, &len, text.at, (int32_t)text.len, &e);
	bool ok = U_SUCCESS(e) && prepare(wide, len, a, out);
	secret_wipe(wide, (text.len + 1) * sizeof *wide);
	free(wide);
	return ok;
}
