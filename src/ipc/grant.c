/* SPDX-License-Identifier: Apache-2.0 */
/* grant.c - four numbers and an HMAC-SHA-256 (RFC 2104) over them. Called by auth (sign) and store (verify). Pure. */
#include "ipc/grant.h"

#include "base/random.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { BODY_BYTES = 32, MAC_BYTES = 32 };
_Static_assert(BODY_BYTES + MAC_BYTES == GRANT_BYTES, "a grant is its numbers and their MAC");

static void
grant_mac(const uint8_t *body, const uint8_t key[GRANT_KEY_BYTES], uint8_t mac[MAC_BYTES])
{
	unsigned n = MAC_BYTES;
	ASSERT(HMAC(EVP_sha256(), key, GRANT_KEY_BYTES, body, BODY_BYTES, mac, &n) != NULL && n == MAC_BYTES);
}

void
grant_sign(const struct grant *g, const uint8_t key[GRANT_KEY_BYTES], uint8_t out[GRANT_BYTES])
{
	bytes_set_le(out, g->account, 8);
	bytes_set_le(out + 8, g->rights, 8);
	bytes_set_le(out + 16, g->generation, 8);
	bytes_set_le(out + 24, (uint64_t)g->issued, 8);
	grant_mac(out, key, out + BODY_BYTES);
}

bool
grant_verify(struct slice bytes, const uint8_t key[GRANT_KEY_BYTES], struct grant *g)
{
	uint8_t mac[MAC_BYTES];
	if (bytes.len != GRANT_BYTES)
		return false;
	grant_mac((const uint8_t *)bytes.at, key, mac);
	bool good = secret_equal(mac, bytes.at + BODY_BYTES, MAC_BYTES);
	if (good)
		*g = (struct grant){ bytes_get_le(bytes.at, 8), bytes_get_le(bytes.at + 8, 8), bytes_get_le(bytes.at + 16, 8),
			                 (int64_t)bytes_get_le(bytes.at + 24, 8) };
	secret_wipe(mac, sizeof mac);
	return good;
}
