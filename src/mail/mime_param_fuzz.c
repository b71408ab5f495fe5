/* SPDX-License-Identifier: Apache-2.0 */
/* mime_param_fuzz.c - any bytes are parameters, at most as many as are looked at; all of them decode to UTF-8. */
#include "mail/mime_param.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a;
	struct buf b;
	struct mime_params p;
	struct cursor c = cursor_of(slice_of(data, MIN(size, (size_t)(64u << 10))));
	arena_init(&a, 0);
	buf_init(&b, 64u << 20);
	mime_params_take(&c, &a, &p);
	ASSERT(p.count <= MIME_PARAMS_MAX);
	for (size_t i = 0; i < p.count; i++) {
		ASSERT(p.rows[i].name.len > 0);
		mime_param_put(&b, &p.rows[i]);
	}
	ASSERT(slice_is_utf8(buf_slice(&b)) && !slice_has_control(buf_slice(&b)));
	buf_release(&b);
	arena_release(&a);
	return 0;
}
