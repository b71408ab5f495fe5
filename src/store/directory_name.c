/* SPDX-License-Identifier: Apache-2.0 */
/* directory_name.c - comparable forms of addresses. Domains of ASCII only are lowered here; others go through ICU
 * (UTS 46, non-transitional: RFC 5891). Whatever ICU calls an error is no domain. */
#include "store/directory_name.h"

#include <unicode/uidna.h>

static bool
label_byte(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '-' || c == '_';
}

/* RFC 5321 4.1.2, RFC 1035 2.3.4: labels of 1 to 63 bytes; '_' is let through, because names with it exist. */
static bool
is_host_name(struct slice s)
{
	if (s.len == 0 || s.len > DOMAIN_BYTES_MAX)
		return false;
	size_t label = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] == '.') {
			if (label == 0)
				return false;
			label = 0;
		} else if (!label_byte(s.at[i]) || ++label > 63) {
			return false;
		}
	}
	return label > 0;
}

static const UIDNA *
idna(void)
{
	static UIDNA *opened;
	UErrorCode e = U_ZERO_ERROR;
	if (!opened)
		opened = uidna_openUTS46(
		    UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ | UIDNA_NONTRANSITIONAL_TO_ASCII | UIDNA_USE_STD3_RULES, &e);
	return U_SUCCESS(e) ? opened : NULL;
}

static bool
to_ascii(struct slice domain, struct arena *a, struct slice *key)
{
	const UIDNA *u = idna();
	if (!u || !slice_is_utf8(domain))
		return false;
	char *to = arena_alloc(a, DOMAIN_BYTES_MAX + 3);
	UIDNAInfo info = UIDNA_INFO_INITIALIZER;
	UErrorCode e = U_ZERO_ERROR;
	int32_t n = uidna_nameToASCII_UTF8(u, domain.at, (int32_t)domain.len, to, DOMAIN_BYTES_MAX + 2, &info, &e);
	if (U_FAILURE(e) || info.errors || n <= 0 || n > DOMAIN_BYTES_MAX)
		return false;
	*key = slice_of(to, (size_t)n);
	return true;
}

static struct slice
lowered(struct slice s, struct arena *a)
{
	char *to = arena_alloc(a, s.len + 1);
	for (size_t i = 0; i < s.len; i++)
		to[i] = ascii_lower(s.at[i]);
	return slice_of(to, s.len);
}

bool
directory_domain(struct slice domain, struct arena *a, struct slice *key)
{
	if (domain.len == 0 || domain.len > 1000)
		return false;
	if (!slice_is_ascii(domain))
		return to_ascii(domain, a, key) && is_host_name(*key);
	*key = lowered(domain, a);
	return is_host_name(*key);
}

bool
directory_address(struct slice address, struct arena *a, struct address_name *name)
{
	ptrdiff_t at = slice_find_last_char(address, '@');
	if (at <= 0 || at > LOCAL_PART_BYTES_MAX || slice_has_control(address))
		return false;
	name->local_given = slice_part(address, 0, (size_t)at);
	name->local = lowered(name->local_given, a);
	return directory_domain(slice_from(address, (size_t)at + 1), a, &name->domain);
}

bool
directory_split_detail(struct slice local, const char *separators, struct slice *user, struct slice *detail)
{
	if (!separators)
		return false;
	for (size_t i = 1; i < local.len; i++)
		if (local.at[i] && strchr(separators, local.at[i])) {
			*user = slice_part(local, 0, i);
			*detail = slice_from(local, i + 1);
			return true;
		}
	return false;
}
