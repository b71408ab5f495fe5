/* SPDX-License-Identifier: Apache-2.0 */
/* format.c - which layout of rows a data directory has: a row of the head says so from its first start on, and a
 * program that reads another layout says that, instead of calling every row damaged. Called when a store is opened. */
#include "store/format.h"

#include "store/row_io.h"

enum { FORMAT_BYTES = 4 };

/* The number that is written there; 0: none, in a directory that has been used. */
static enum err
format_read(struct txn *t, uint32_t *format)
{
	struct key k = key_head(S("format")), grant = key_head(S("grant"));
	struct slice value;
	enum err e = txn_get(t, key_slice(&k), &value);
	*format = STORE_FORMAT;
	if (!e)
		*format = value.len == FORMAT_BYTES ? (uint32_t)bytes_get_le(value.at, FORMAT_BYTES) : 0;
	else if (e == ERR_NOT_FOUND && txn_get(t, key_slice(&grant), &value) == OK)
		*format = 0; /* before there was such a row */
	return e == ERR_NOT_FOUND ? OK : e;
}

static enum err
format_write(struct txn *t)
{
	struct key k = key_head(S("format"));
	char bytes[FORMAT_BYTES];
	struct slice value;
	enum err e = txn_get(t, key_slice(&k), &value);
	if (e != ERR_NOT_FOUND)
		return e;
	bytes_set_le(bytes, STORE_FORMAT, FORMAT_BYTES);
	txn_put(t, key_slice(&k), slice_of(bytes, FORMAT_BYTES));
	return txn_commit(t);
}

enum err
format_check(struct engine *engine, bool write, struct arena *a, const char **why)
{
	struct txn *t = txn_begin(engine, write);
	uint32_t format;
	*why = "the rows of the engine cannot be read";
	enum err e = format_read(t, &format);
	if (!e && format != STORE_FORMAT) {
		*why = arena_printf(a,
		                    "the data directory has format %u, this program reads format %u: serve it with the version "
		                    "that made it, or begin with an empty one",
		                    format, STORE_FORMAT)
		           .at;
		e = ERR_DAMAGED;
	}
	if (!e && write)
		e = format_write(t);
	txn_end(&t);
	return e;
}
