/* SPDX-License-Identifier: Apache-2.0 */
/* copy.c - see copy.h. Called by send.c for each recipient of a row for which the store gave a key. */
#include "relay/copy.h"

#include "base/buf.h"
#include "mail/bounce.h"
#include "mail/verp.h"

#define DAY_SEC 86400

/* RFC 8058 3.1: one of each, the link with what tells the recipient. */
static void
put_unsubscribe(struct buf *to, struct slice url, struct slice ref)
{
	buf_printf(to, "List-Unsubscribe: <%.*s%.*s>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
	           SLICE_ARG(url), SLICE_ARG(ref));
}

struct copy
copy_for(const struct store_queue_row *row, struct slice recipient, struct arena *a)
{
	struct copy c = { .reverse_path = row->envelope.reverse_path };
	struct slice domain = slice_from(c.reverse_path, (size_t)(slice_find_last_char(c.reverse_path, '@') + 1));
	int64_t day = MAX(row->born, row->envelope.hold_until) / DAY_SEC;
	const uint8_t *key = (const uint8_t *)row->verp.at;
	uint64_t account = row->envelope.account;
	struct buf b, ref;
	if (row->verp.len != VERP_KEY_BYTES || domain.len == 0)
		return c;
	buf_init(&b, 4000);
	buf_init(&ref, 1000);
	if (row->paths && verp_put(&b, key, account, day, domain, recipient))
		c.reverse_path = slice_keep(a, buf_slice(&b));
	buf_clear(&b);
	if (verp_field_put(&ref, key, account, day, domain, recipient)) {
		buf_printf(&b, BOUNCE_FIELD ": %.*s\r\n", SLICE_ARG(buf_slice(&ref)));
		if (row->unsubscribe.len)
			put_unsubscribe(&b, row->unsubscribe, buf_slice(&ref));
		c.head = slice_keep(a, buf_slice(&b));
	}
	buf_release(&ref);
	buf_release(&b);
	return c;
}
