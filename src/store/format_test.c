/* SPDX-License-Identifier: Apache-2.0 */
/* format_test.c - a new directory gets the number, one of the same format is opened, others are refused with words. */
#include "store/format.h"

#include "store/row_io.h"
#include "store/store_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
put_head(const char *name, struct slice value, bool gone)
{
	struct txn *t = txn_begin(house.s.engine, true);
	struct key k = key_head(slice_text(name));
	if (gone)
		txn_delete(t, key_slice(&k));
	else
		txn_put(t, key_slice(&k), value);
	ASSERT(txn_commit(t) == OK);
	txn_end(&t);
}

static enum err
check(bool write, const char **why)
{
	return format_check(house.s.engine, write, &house.a, why);
}

static void
formats_body(void)
{
	const char *why = "";
	char other[4];
	ASSERT(check(true, &why) == OK && check(false, &why) == OK);
	bytes_set_le(other, STORE_FORMAT + 1, 4);
	put_head("format", slice_of(other, 4), false);
	ASSERT(check(true, &why) == ERR_DAMAGED &&
	       slice_find(slice_text(why), S("format 4, this program reads format 3")) > 0);
	put_head("format", S("x"), false);
	ASSERT(check(false, &why) == ERR_DAMAGED);
	put_head("format", SLICE_NONE, true); /* of before there was a number: a store that was used has its grant key */
	ASSERT(check(true, &why) == ERR_DAMAGED && slice_find(slice_text(why), S("format 0")) > 0);
	put_head("grant", SLICE_NONE, true);
	ASSERT(check(false, &why) == OK && check(true, &why) == OK);
}

static void
formats(void **state)
{
	on_new_house(formats_body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(formats) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
