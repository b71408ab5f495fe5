/* SPDX-License-Identifier: Apache-2.0 */
/* fair_test.c - letters pass newsletters, senders of a class have equal shares, whatever was there first. */
#include "relay/fair.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct mail {
	struct fair_item item;
	unsigned class;
	uint64_t sender;
};

static struct mail mails[2000];
static size_t nmails;
static struct fair f;

static int
up(void **state)
{
	(void)state;
	memset(mails, 0, sizeof mails);
	nmails = 0;
	fair_init(&f);
	return 0;
}

static int
down(void **state)
{
	(void)state;
	while (fair_take(&f, true))
		;
	fair_release(&f);
	return 0;
}

static void
put(unsigned class, uint64_t sender, unsigned cost, size_t n)
{
	for (; n > 0; n--) {
		struct mail *m = &mails[nmails++];
		m->class = class;
		m->sender = sender;
		fair_put(&f, &m->item, class, sender, cost);
	}
}

static const struct mail *
take(void)
{
	struct fair_item *item = fair_take(&f, true);
	return item ? CONTAINER_OF(item, struct mail, item) : NULL;
}

static void
order_of_one_sender(void **state)
{
	(void)state;
	put(FAIR_PERSONAL, 1, 1, 50);
	for (size_t i = 0; i < 50; i++)
		assert_ptr_equal(take(), &mails[i]);
	assert_null(take());
}

static void
a_letter_passes(void **state)
{
	(void)state;
	put(FAIR_BULK, 1, 1, 1000);
	for (int i = 0; i < 10; i++)
		take();
	put(FAIR_PERSONAL, 2, 1, 1);
	assert_int_equal(take()->class, FAIR_PERSONAL);
	assert_int_equal(take()->class, FAIR_BULK);
}

static void
bulk_has_a_share(void **state)
{
	(void)state;
	put(FAIR_BULK, 1, 1, 100);
	put(FAIR_PERSONAL, 2, 1, 900);
	unsigned bulk = 0;
	for (int i = 0; i < 450; i++)
		bulk += take()->class == FAIR_BULK;
	assert_in_range(bulk, 45, 55);
}

static void
bulk_can_be_kept_out(void **state)
{
	(void)state;
	put(FAIR_BULK, 1, 1, 10);
	assert_null(fair_take(&f, false));
	put(FAIR_PERSONAL, 1, 1, 20);
	for (int i = 0; i < 20; i++)
		assert_non_null(fair_take(&f, false));
	assert_null(fair_take(&f, false));
	assert_int_equal(fair_waiting(&f), 10);
}

/* One sender was there first with 1,000; another's 10 are among the first 400 recipients. */
static void
senders_share(void **state)
{
	(void)state;
	put(FAIR_BULK, 1, 1, 1000);
	put(FAIR_BULK, 2, 1, 200);
	unsigned second = 0;
	for (int i = 0; i < 400; i++)
		second += take()->sender == 2;
	assert_in_range(second, 180, 200);
}

/* By recipients, not by rows. */
static void
large_rows_cost_more(void **state)
{
	(void)state;
	put(FAIR_BULK, 1, 1000, 100);
	put(FAIR_BULK, 2, 1, 900);
	unsigned small = 0;
	for (int i = 0; i < 900; i++)
		small += take()->sender == 2;
	assert_in_range(small, 895, 900);
}

static void
removed(void **state)
{
	(void)state;
	put(FAIR_BULK, 1, 1, 3);
	fair_remove(&f, &mails[1].item);
	assert_ptr_equal(take(), &mails[0]);
	assert_ptr_equal(take(), &mails[2]);
	assert_null(take());
	assert_int_equal(f.flows.count, 0);
}

int
main(void)
{
#define ROW(fn) cmocka_unit_test_setup_teardown(fn, up, down)
	const struct CMUnitTest tests[] = {
		ROW(order_of_one_sender), ROW(a_letter_passes), ROW(bulk_has_a_share),     ROW(bulk_can_be_kept_out),
		ROW(senders_share),       ROW(removed),         ROW(large_rows_cost_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
