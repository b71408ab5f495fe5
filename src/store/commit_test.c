/* SPDX-License-Identifier: Apache-2.0 */
/* commit_test.c - updates become durable together, fail alone, and a full or failing disk is answered as it should. */
#include "base/counter.h"
#include "store/bare_store.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

static struct bare_store b;

static int
begin(void **state)
{
	signal(SIGXFSZ, SIG_IGN);
	return bare_new(&b);
}

static int
end(void **state)
{
	return bare_remove(&b);
}

struct job {
	struct update update;
	char key[16];
	enum err fail; /* after writing */
	char *body;
	uint32_t body_len;
	uint64_t object;
	bool done;
	enum err result;
	unsigned runs;
};

static enum err
job_run(struct store *s, struct txn *t, struct update *u)
{
	struct job *j = CONTAINER_OF(u, struct job, update);
	j->runs++;
	txn_put(t, slice_text(j->key), S("value"));
	if (j->body) {
		struct body_source from = { .bytes = slice_of(j->body, j->body_len), .file = -1, .len = j->body_len };
		enum err e = object_new(s, t, &from, S("facts"), 1, &j->object);
		if (e)
			return e;
	}
	return j->fail;
}

static void
job_done(struct store *s, struct update *u, enum err e)
{
	struct job *j = CONTAINER_OF(u, struct job, update);
	assert_false(j->done);
	j->done = true;
	j->result = e;
}

static struct job
job(const char *key)
{
	struct job j = { .update = { .run = job_run, .done = job_done } };
	snprintf(j.key, sizeof j.key, "%s", key);
	return j;
}

static void
settle(void)
{
	assert_true(loop_run_until(bare_idle, &b.s, 10000));
}

static bool
exists(const char *key)
{
	struct slice v;
	struct txn *t = txn_begin(b.s.engine, false);
	enum err e = txn_get(t, slice_text(key), &v);
	txn_end(&t);
	return e == OK;
}

static void
updates_share_a_commit_and_fail_alone(void **state)
{
	struct job j[3] = { job("x1"), job("x2"), job("x3") };
	j[1].fail = ERR_QUOTA;
	uint64_t before = counters[COUNTER_COMMITS];
	for (int i = 0; i < 3; i++)
		store_update(&b.s, &j[i].update);
	assert_false(j[0].done);
	settle();
	assert_int_equal(counters[COUNTER_COMMITS], before + 1);
	assert_int_equal(j[0].result, OK);
	assert_int_equal(j[1].result, ERR_QUOTA);
	assert_int_equal(j[2].result, OK);
	assert_true(exists("x1"));
	assert_false(exists("x2"));
	assert_true(exists("x3"));
}

static struct job second;
static void
ask_again(struct store *s, struct update *u, enum err e)
{
	job_done(s, u, e);
	second = job("later");
	store_update(s, &second.update);
}

static void
done_may_ask_for_more(void **state)
{
	struct job j = job("first");
	j.update.done = ask_again;
	store_update(&b.s, &j.update);
	settle();
	assert_true(j.done);
	assert_true(second.done);
	assert_true(exists("later"));
}

static void
batches_are_capped(void **state)
{
	static struct job many[BATCH_UPDATES_MAX + 1];
	uint64_t before = counters[COUNTER_COMMITS];
	for (size_t i = 0; i < COUNT_OF(many); i++) {
		char key[16];
		snprintf(key, sizeof key, "y%zu", i);
		many[i] = job(key);
		store_update(&b.s, &many[i].update);
	}
	settle();
	assert_int_equal(counters[COUNTER_COMMITS], before + 2);

	static char body[3 << 20];
	struct job large[3] = { job("z1"), job("z2"), job("z3") };
	for (int i = 0; i < 3; i++) {
		large[i].body = body;
		large[i].body_len = large[i].update.bytes = sizeof body;
		store_update(&b.s, &large[i].update);
	}
	settle();
	assert_int_equal(counters[COUNTER_COMMITS], before + 5); /* two of them would pass the cap */
}

static enum err
run_many_rows(struct store *s, struct txn *t, struct update *u)
{
	static char value[1 << 20];
	for (int i = 0; i < 24; i++)
		txn_put(t, S("rows"), slice_of(value, sizeof value));
	return OK;
}

/* Changes of many messages at once, by many connections: what they hold together is bounded. */
static void
batches_of_many_rows_are_capped(void **state)
{
	struct job many[8];
	uint64_t before = counters[COUNTER_COMMITS];
	for (size_t i = 0; i < COUNT_OF(many); i++) {
		many[i] = job("rows");
		many[i].update.run = run_many_rows;
		store_update(&b.s, &many[i].update);
	}
	settle();
	assert_in_range(counters[COUNTER_COMMITS], before + 3, before + 8);
}

static void
nothing_to_write_is_no_commit(void **state)
{
	struct job j = job("n");
	j.fail = ERR_NOT_FOUND;
	uint64_t before = counters[COUNTER_COMMITS];
	store_update(&b.s, &j.update);
	settle();
	assert_int_equal(j.result, ERR_NOT_FOUND);
	assert_int_equal(counters[COUNTER_COMMITS], before);
}

static void
a_full_disk_fails_the_batch_and_the_next_one_works(void **state)
{
	static char body[100000];
	struct rlimit was, tight;
	struct job j[2] = { job("a"), job("b") };
	j[1].body = body;
	j[1].body_len = j[1].update.bytes = sizeof body;
	getrlimit(RLIMIT_FSIZE, &was);
	tight = (struct rlimit){ 1 << 16, was.rlim_max };
	struct segment_end mark = segment_mark(b.s.segments);
	setrlimit(RLIMIT_FSIZE, &tight);
	store_update(&b.s, &j[0].update);
	store_update(&b.s, &j[1].update);
	settle();
	setrlimit(RLIMIT_FSIZE, &was);
	assert_int_equal(j[0].result, ERR_DISK_FULL);
	assert_int_equal(j[1].result, ERR_DISK_FULL);
	assert_false(exists("a"));
	assert_int_equal(b.s.broken, OK);
	assert_int_equal(segment_mark(b.s.segments).end, mark.end); /* the place was given back */

	j[1].done = false;
	store_update(&b.s, &j[1].update);
	settle();
	assert_int_equal(j[1].result, OK);
	assert_true(exists("b"));
}

static void
below_the_reserve_new_mail_waits_and_space_is_made(void **state)
{
	b.conf.v.store_reserve = UINT64_MAX / 4; /* more than any disk has */
	struct job mail = job("mail"), expunge = job("expunge");
	mail.update.bytes = 1;
	expunge.update.makes_space = true;
	store_update(&b.s, &mail.update);
	settle();
	assert_int_equal(mail.result, ERR_DISK_FULL);
	assert_int_equal(mail.runs, 0);
	assert_false(store_takes_mail(&b.s));
	b.conf.v.store_reserve = 8; /* space came back: no restart */
	mail.done = false;
	store_update(&b.s, &mail.update);
	store_update(&b.s, &expunge.update);
	settle();
	assert_int_equal(mail.result, OK);
	assert_int_equal(expunge.result, OK);
	assert_true(store_takes_mail(&b.s));
}

/* In a child, since the engine cannot be closed after that: 0 when all went as it should. */
static int
break_engine(void)
{
	static char large[200000];
	struct rlimit tight = { 1 << 16, 1 << 16 };
	struct job j = job("before"), after = job("after");
	store_update(&b.s, &j.update);
	settle();
	setrlimit(RLIMIT_FSIZE, &tight);
	for (int i = 0; i < 40 && !b.s.broken; i++) { /* until the log meets the limit */
		struct txn *t = txn_begin(b.s.engine, true);
		txn_put(t, S("large"), slice_of(large, sizeof large));
		if (txn_commit(t))
			break;
		txn_end(&t);
	}
	store_update(&b.s, &after.update);
	settle();
	if (after.result == OK || !b.s.broken)
		return 1;
	after.done = false;
	store_update(&b.s, &after.update);
	settle();
	return after.done && after.result == b.s.broken && exists("before") ? 0 : 2;
}

static void
a_failing_engine_is_final(void **state)
{
	bare_close(&b);
	loop_reset();
	pid_t child = fork();
	if (child == 0) { /* threads do not live on in a child, but what they held would be held for ever: begin anew */
		execl("/proc/self/exe", "commit_test", "break-engine", b.folder, (char *)NULL);
		_exit(10);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(bare_open(&b), OK);
	assert_true(exists("before"));
	assert_false(exists("after"));
}

int
main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "break-engine") == 0) {
		snprintf(b.folder, sizeof b.folder, "%s", argv[2]);
		_exit(bare_open(&b) ? 9 : break_engine());
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(updates_share_a_commit_and_fail_alone, begin, end),
		cmocka_unit_test_setup_teardown(done_may_ask_for_more, begin, end),
		cmocka_unit_test_setup_teardown(batches_are_capped, begin, end),
		cmocka_unit_test_setup_teardown(batches_of_many_rows_are_capped, begin, end),
		cmocka_unit_test_setup_teardown(nothing_to_write_is_no_commit, begin, end),
		cmocka_unit_test_setup_teardown(a_full_disk_fails_the_batch_and_the_next_one_works, begin, end),
		cmocka_unit_test_setup_teardown(below_the_reserve_new_mail_waits_and_space_is_made, begin, end),
		cmocka_unit_test_setup_teardown(a_failing_engine_is_final, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
