/* SPDX-License-Identifier: Apache-2.0 */
/* dsn_fuzz.c - whatever strangers said, a report has three parts, and its part for programs is made of fields. */
#include "mail/dsn.h"
#include "mail/header.h"
#include "mail/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of(data, size), half = slice_part(text, 0, size / 2);
	struct dsn_recipient r = { .address = half,
		                       .original = text,
		                       .action = (enum dsn_action)(size % (DSN_EXPANDED + 1)),
		                       .late = size & 4,
		                       .until_sec = size & 8,
		                       .status = S("5.1.1"),
		                       .diagnostic = text,
		                       .remote = half };
	struct dsn d = { .hostname = S("mail.example.com"),
		             .id = S("abc"),
		             .sender = half,
		             .envelope = half,
		             .now_sec = 1,
		             .arrived_sec = size & 16,
		             .hold_until = size & 32,
		             .language = size & 64 ? S("de") : half,
		             .message = text,
		             .full = size & 1,
		             .utf8 = size & 2,
		             .recipients = &r,
		             .nrecipients = 1 };
	struct buf out;
	struct mime m;
	struct arena a;
	buf_init(&out, 64u << 20);
	mime_init(&m);
	arena_init(&a, 0);
	ASSERT(dsn_build(&d, &out));
	mime_parse(&m, buf_slice(&out), &a);
	ASSERT(mime_part(&m, 0)->at.children == 3);
	size_t programs = mime_part(&m, mime_part(&m, mime_part(&m, 0)->at.first)->at.next)->at.body;
	struct header_reader h;
	struct header_field f;
	for (header_begin(&h, slice_from(buf_slice(&out), programs)); header_next(&h, &f);)
		ASSERT(f.name.len > 0);
	buf_release(&out);
	mime_release(&m);
	arena_release(&a);
	return 0;
}
