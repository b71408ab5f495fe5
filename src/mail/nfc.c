/* SPDX-License-Identifier: Apache-2.0 */
/* nfc.c - names in one form, whatever keyboard they come from: an accent may be part of its letter or follow it. Called
 * for mailbox names that are not ASCII. Cannot fail: where ICU gives up, the text stays as it was. */
#include "mail/nfc.h"

#include <unicode/unorm2.h>
#include <unicode/ustring.h>

enum { GROWN_UNITS = 3 * NFC_BYTES_MAX }; /* U+1D160 and its like become three characters, also in NFC */

struct slice
nfc_keep(struct arena *a, struct slice utf8)
{
	UChar given[NFC_BYTES_MAX], composed[GROWN_UNITS];
	UErrorCode e = U_ZERO_ERROR;
	int32_t n = 0, bytes = 0;
	if (utf8.len > NFC_BYTES_MAX)
		return utf8;
	const UNormalizer2 *nfc = unorm2_getNFCInstance(&e);
	u_strFromUTF8(given, COUNT_OF(given), &n, utf8.at, (int32_t)utf8.len, &e);
	if (U_FAILURE(e) || unorm2_isNormalized(nfc, given, n, &e))
		return utf8;
	n = unorm2_normalize(nfc, given, n, composed, COUNT_OF(composed), &e);
	size_t room = (size_t)MAX(n, 0) * 3 + 1;
	char *to = arena_alloc(a, room);
	u_strToUTF8(to, (int32_t)room, &bytes, composed, n, &e);
	return U_SUCCESS(e) ? slice_of(to, (size_t)bytes) : utf8;
}
