/* SPDX-License-Identifier: Apache-2.0 */
/* date_fuzz.c - a date that was read is written and read again as the same moment. */
#include "mail/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf b;
	buf_init(&b, 1000);
	int64_t sec, again;
	int32_t zone, zone_again;
	if (date_parse(slice_of(data, size), &sec, &zone)) {
		date_put(&b, sec, zone);
		ASSERT(date_parse(buf_slice(&b), &again, &zone_again));
		ASSERT(zone == zone_again && (sec == again || sec < -62134000000 || sec > 253401000000));
	}
	struct cursor c = cursor_of(slice_of(data, size));
	if (take_imap_date_time(&c, &sec)) {
		char text[DATE_IMAP_BYTES];
		date_write_imap(text, sec);
		c = cursor_of(slice_of(text, sizeof text));
		ASSERT(take_imap_date_time(&c, &again) && (sec == again || sec < -62135596800 || sec > 253402300799));
	}
	c = cursor_of(slice_of(data, size));
	(void)take_imap_date(&c, &sec);
	(void)date_parse_rfc3339(slice_of(data, size), &sec);
	buf_release(&b);
	return 0;
}
