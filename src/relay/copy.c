/* SPDX-License-Identifier: Apache-2.0 */
/* copy.c - see copy.h. Called by send.c for each recipient of a row for which the store gave a key. */
#include "relay/copy.h"

#include "base/buf.h"
#include "mail/bounce.h"
#include "mail/verp.h"

#define DAY_SEC 86400

struct copy
copy_for(const struct store_queue_row *row, struct slice recipient, struct arena *a)
{
	struct copy c = { .reverse_path = row->envelope.reverse_path };
	struct slice domain = slice_from(c.reverse_path, (size_t)(slice_find_last_char(c.reverse_path, '@') + 1));
	int64_t day = MAX(row->born, row->envelope.hold_until) / DAY_SEC;
	const uint8_t *key = (const uint8_t *)row->verp.at;
	struct buf b;
	if (row->verp.len != VERP_KEY_BYTES || domain.len == 0)
		return c;
	buf_init(&b, 2000);
	if (verp_put(&b, key, row->envelope.account, day, domain, recipient))
		c.reverse_path = slice_keep(a, buf_slice(&b));
	buf_clear(&b);
	buf_put(&b, S(BOUNCE_FIELD ": "));
	if (verp_field_put(&b, key, row->envelope.account, day, domain, recipient)) {
		buf_put(&b, S("\r\n"));
		c.head = slice_keep(a, buf_slice(&b));
	}
	buf_release(&b);
	return c;
}
