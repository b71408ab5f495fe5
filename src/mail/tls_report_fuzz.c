/* SPDX-License-Identifier: Apache-2.0 */
/* tls_report_fuzz.c - TXT records and mails with reports of any bytes. The first byte says which. */
#include "mail/tls_report.h"
#include "mail/tls_report_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
fuzz_record(struct slice in)
{
	struct tls_report_uris uris;
	struct arena a;
	arena_init(&a, 0);
	(void)tls_report_record(in, &a, &uris);
	ASSERT(uris.count <= TLS_REPORT_URIS_MAX);
	for (size_t i = 0; i < uris.count; i++) {
		const struct tls_report_uri *u = &uris.rows[i];
		ASSERT(u->address.len ? slice_find_char(u->address, '@') > 0 && !slice_has_control(u->address)
		                      : u->host && u->path.at[0] == '/' && !slice_has_control(u->path));
	}
	arena_release(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_from(slice_of((const char *)data, size), 1);
	struct buf out, name;
	if (size == 0)
		return 0;
	if (data[0] == 'r') {
		fuzz_record(in);
		return 0;
	}
	buf_init(&name, TLS_REPORT_NAME_BYTES_MAX);
	buf_init(&out, TLS_REPORT_READ_BYTES_MAX + 1);
	if (tls_report_read(in, &name, &out) == TLS_REPORT_FOUND)
		ASSERT(out.len > 2 && !out.over && !name.over && !slice_has_control(buf_slice(&name)) &&
		       slice_is_utf8(buf_slice(&out)) && !slice_has_control(buf_slice(&out)));
	buf_release(&out);
	buf_release(&name);
	return 0;
}
