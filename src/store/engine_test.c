/* SPDX-License-Identifier: Apache-2.0 */
/* engine_test.c - what every engine must do: transactions, marks, ranges merged with what is not yet committed, and a
 * random run against a plain model. */
#include "store/engine.h"

#include "base/buf.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static struct engine *e;
static struct arena arena;
static const struct engine_options small = { 1 << 20, 1 << 20 };

static int
begin(void **state)
{
	snprintf(folder, sizeof folder, "/tmp/engine-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
	const char *why = NULL;
	assert_int_equal(engine_open(folder, &small, &e, &arena, &why), OK);
	return 0;
}

static int
end(void **state)
{
	engine_close(&e);
	char command[128];
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

static void
put(struct txn *t, const char *key, const char *value)
{
	txn_put(t, slice_text(key), slice_text(value));
}

/* "k=v k=v" of a range. */
static const char *
list(struct txn *t, const char *from, const char *to, bool backwards)
{
	static char text[4096];
	size_t len = 0;
	text[0] = 0;
	struct slice key, value;
	struct range *r = range_begin(t, slice_text(from), slice_text(to), backwards);
	while (range_next(r, &key, &value))
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s=%.*s", len ? " " : "", SLICE_ARG(key),
		                        SLICE_ARG(value));
	assert_int_equal(range_end(&r), OK);
	return text;
}

static void
check_value(struct txn *t, const char *key, const char *want)
{
	struct slice v;
	enum err got = txn_get(t, slice_text(key), &v);
	assert_int_equal(got, want ? OK : ERR_NOT_FOUND);
	if (want)
		assert_true(slice_equal(v, slice_text(want)));
}

static void
commit(struct txn **t)
{
	assert_int_equal(txn_commit(*t), OK);
	txn_end(t);
}

static void
a_transaction_sees_its_own_writes_and_others_do_not(void **state)
{
	struct txn *t = txn_begin(e, true);
	assert_true(txn_empty(t));
	put(t, "a", "1");
	assert_false(txn_empty(t));
	check_value(t, "a", "1");
	struct txn *reader = txn_begin(e, false);
	check_value(reader, "a", NULL);
	commit(&t);
	check_value(reader, "a", NULL); /* its snapshot is older */
	txn_end(&reader);
	reader = txn_begin(e, false);
	check_value(reader, "a", "1");
	txn_end(&reader);

	t = txn_begin(e, true);
	txn_delete(t, S("a"));
	check_value(t, "a", NULL);
	txn_end(&t); /* without commit */
	reader = txn_begin(e, false);
	check_value(reader, "a", "1");
	txn_end(&reader);
}

static void
marks_nest(void **state)
{
	struct txn *t = txn_begin(e, true);
	txn_mark(t);
	put(t, "a", "1");
	txn_mark(t);
	put(t, "a", "2");
	put(t, "b", "2");
	txn_keep(t);
	txn_mark(t);
	txn_delete(t, S("a"));
	put(t, "c", "3");
	txn_rollback(t);
	assert_string_equal(list(t, "a", "z", false), "a=2 b=2");
	txn_rollback(t); /* the outer mark, what the kept inner one wrote included */
	assert_string_equal(list(t, "a", "z", false), "");
	assert_true(txn_empty(t));
	txn_end(&t);
}

static void
ranges_merge_what_is_durable_with_what_is_not(void **state)
{
	struct txn *t = txn_begin(e, true);
	put(t, "b", "1"), put(t, "d", "1"), put(t, "f", "1"), put(t, "h", "1");
	commit(&t);
	t = txn_begin(e, true);
	put(t, "a", "2"), put(t, "d", "2"), put(t, "e", "2"), put(t, "i", "2");
	txn_delete(t, S("f"));
	txn_delete(t, S("nothing"));
	static const struct {
		const char *what, *from, *to;
		bool backwards;
		const char *want;
	} rows[] = {
		{ "all", "a", "z", false, "a=2 b=1 d=2 e=2 h=1 i=2" },
		{ "all, backwards", "a", "z", true, "i=2 h=1 e=2 d=2 b=1 a=2" },
		{ "the end is not in it", "b", "h", false, "b=1 d=2 e=2" },
		{ "backwards neither", "b", "h", true, "e=2 d=2 b=1" },
		{ "nothing between", "f", "h", false, "" },
		{ "upside down", "h", "b", false, "" },
		{ "upside down, backwards", "h", "b", true, "" },
		{ "empty", "b", "b", false, "" },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *got = list(t, rows[i].from, rows[i].to, rows[i].backwards);
		if (strcmp(got, rows[i].want) != 0)
			fail_msg("%s: %s instead of %s", rows[i].what, got, rows[i].want);
	}
	commit(&t);
	t = txn_begin(e, false);
	assert_string_equal(list(t, "a", "z", false), "a=2 b=1 d=2 e=2 h=1 i=2");
	txn_end(&t);
}

static void
a_range_may_be_written_while_it_is_walked(void **state)
{
	struct txn *t = txn_begin(e, true);
	for (char c = 'a'; c <= 'j'; c++)
		txn_put(t, slice_of(&c, 1), S("1"));
	commit(&t);
	t = txn_begin(e, true);
	struct slice key, value;
	struct range *r = range_begin(t, S("a"), S("z"), false);
	size_t seen = 0;
	while (range_next(r, &key, &value)) {
		seen++;
		txn_delete(t, key);
		if (slice_equal(key, S("c")))
			txn_delete(t, S("d")), put(t, "ee", "new");
	}
	assert_int_equal(range_end(&r), OK);
	assert_int_equal(seen, 10); /* without d, with ee */
	assert_string_equal(list(t, "a", "z", false), "");
	txn_end(&t);
}

static void
what_was_committed_is_there_after_opening_again(void **state)
{
	static char large[100000];
	memset(large, 'x', sizeof large);
	struct txn *t = txn_begin(e, true);
	put(t, "k", "v");
	txn_put(t, S("large"), slice_of(large, sizeof large));
	commit(&t);
	engine_close(&e);
	const char *why = NULL;
	assert_int_equal(engine_open(folder, &small, &e, &arena, &why), OK);
	t = txn_begin(e, false);
	check_value(t, "k", "v");
	struct slice v;
	assert_int_equal(txn_get(t, S("large"), &v), OK);
	assert_true(slice_equal(v, slice_of(large, sizeof large)));
	txn_end(&t);
}

static void
a_second_server_is_refused(void **state)
{
	struct engine *other = NULL;
	const char *why = NULL;
	assert_int_equal(engine_open(folder, &small, &other, &arena, &why), ERR_IO);
	assert_null(other);
	assert_non_null(strstr(why, "another server"));
}

/* In a process of its own: after a failed write the engine cannot be closed in good order. Returns what went otherwise
 * than it should. */
static int
fill_disk(const char *where)
{
	const char *why = NULL;
	if (engine_open(where, &small, &e, &arena, &why))
		return 4;
	struct rlimit tight = { 1 << 14, 1 << 14 };
	static char large[100000];
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &tight);
	struct txn *t = txn_begin(e, true);
	txn_put(t, S("large"), slice_of(large, sizeof large));
	if (txn_commit(t) != ERR_DISK_FULL)
		return 1;
	txn_end(&t);
	struct slice v;
	t = txn_begin(e, false);
	if (txn_get(t, S("before"), &v) || !slice_equal(v, S("1")))
		return 2;
	return txn_get(t, S("large"), &v) == ERR_NOT_FOUND ? 0 : 3;
}

static void
a_full_disk_is_told_and_reading_goes_on(void **state)
{
	struct txn *t = txn_begin(e, true);
	put(t, "before", "1");
	commit(&t);
	engine_close(&e);
	pid_t child = fork();
	if (child == 0) { /* the engine has threads, and what they held is held for ever after a fork: begin anew */
		execl("/proc/self/exe", "engine_test", "fill-disk", folder, (char *)NULL);
		_exit(5);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	const char *why = NULL;
	assert_int_equal(engine_open(folder, &small, &e, &arena, &why), OK);
}

/* ---- a random run against an array of 64 values */
#define KEYS 64
static uint64_t dice = 88172645463325252u;

static unsigned
throw_dice(unsigned below)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (unsigned)(dice % below);
}

static void
check_model(struct txn *t, const unsigned model[KEYS], bool backwards)
{
	unsigned from = throw_dice(KEYS), to = throw_dice(KEYS + 1), at = backwards ? to : from;
	char a[8], b[8];
	snprintf(a, sizeof a, "%03u", from), snprintf(b, sizeof b, "%03u", to);
	struct range *r = range_begin(t, slice_text(a), slice_text(b), backwards);
	struct slice key, value;
	size_t got = 0, want = 0;
	while (range_next(r, &key, &value)) {
		uint64_t k, v = 0;
		assert_true(slice_to_u64(key, &k) && slice_to_u64(value, &v));
		assert_int_equal(model[k], v);
		assert_true(backwards ? k < at : k >= at);
		at = (unsigned)(backwards ? k : k + 1);
		got++;
	}
	assert_int_equal(range_end(&r), OK);
	for (unsigned i = from; i < to; i++)
		want += model[i] != 0;
	assert_int_equal(got, want);
}

static void
random_write(struct txn *t, unsigned model[KEYS])
{
	unsigned k = throw_dice(KEYS);
	char key[8], value[16];
	snprintf(key, sizeof key, "%03u", k);
	model[k] = throw_dice(3) ? 1 + throw_dice(100000) : 0;
	snprintf(value, sizeof value, "%u", model[k]);
	if (model[k])
		put(t, key, value);
	else
		txn_delete(t, slice_text(key));
}

static void
it_agrees_with_a_model(void **state)
{
	unsigned durable[KEYS] = { 0 }, now[KEYS], marked[KEYS];
	for (unsigned turn = 0; turn < 300; turn++) {
		struct txn *t = txn_begin(e, true);
		memcpy(now, durable, sizeof now);
		for (unsigned updates = throw_dice(5); updates > 0; updates--) {
			memcpy(marked, now, sizeof now);
			txn_mark(t);
			for (unsigned n = throw_dice(20); n > 0; n--)
				random_write(t, now);
			if (throw_dice(3)) {
				txn_keep(t);
			} else {
				txn_rollback(t);
				memcpy(now, marked, sizeof now);
			}
			check_model(t, now, throw_dice(2));
		}
		if (throw_dice(4)) {
			assert_int_equal(txn_commit(t), OK);
			memcpy(durable, now, sizeof now);
		}
		txn_end(&t);
		t = txn_begin(e, false);
		check_model(t, durable, throw_dice(2));
		txn_end(&t);
	}
}

/* ---- a MANIFEST whose last record was cut off, or spoilt, by a crash */

static struct slice
manifest_read(char path[200], char *bytes, size_t size)
{
	char name[40] = { 0 };
	snprintf(path, 200, "%s/CURRENT", folder);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%39s", name), 1);
	fclose(f);
	snprintf(path, 200, "%s/%s", folder, name);
	f = fopen(path, "r");
	assert_non_null(f);
	size_t n = fread(bytes, 1, size, f);
	fclose(f);
	return slice_of(bytes, n);
}

static void
manifest_write(const char *path, const char *bytes, size_t len)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	fclose(f);
}

static enum err
open_again(void)
{
	const char *why = NULL;
	return engine_open(folder, &small, &e, &arena, &why);
}

static void
a_record_that_a_crash_spoilt_is_cut_off(void **state)
{
	(void)state;
	static char bytes[100000];
	char path[200];
	struct txn *t = txn_begin(e, true);
	put(t, "k", "v");
	assert_int_equal(txn_commit(t), OK);
	txn_end(&t);
	for (size_t kept = 0; kept <= 120; kept += 15) { /* bytes of it that reached the disk */
		engine_close(&e);
		struct slice all = manifest_read(path, bytes, sizeof bytes - 200);
		memset(bytes + all.len, 'x', 120);
		memcpy(bytes + all.len, "\1\2\3\4\x64\0\1", 7); /* 100 bytes with a wrong sum */
		manifest_write(path, bytes, all.len + kept);
		assert_int_equal(open_again(), OK);
		t = txn_begin(e, false);
		assert_string_equal(list(t, "a", "z", false), "k=v");
		txn_end(&t);
	}
	engine_close(&e);
	struct slice all = manifest_read(path, bytes, sizeof bytes);
	bytes[10] ^= 1; /* what was synced long ago is not given up */
	manifest_write(path, bytes, all.len);
	assert_int_equal(open_again(), ERR_DAMAGED);
	bytes[10] ^= 1;
	manifest_write(path, bytes, all.len);
	assert_int_equal(open_again(), OK);
}

int
main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "fill-disk") == 0)
		_exit(fill_disk(argv[2]));
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_transaction_sees_its_own_writes_and_others_do_not, begin, end),
		cmocka_unit_test_setup_teardown(marks_nest, begin, end),
		cmocka_unit_test_setup_teardown(ranges_merge_what_is_durable_with_what_is_not, begin, end),
		cmocka_unit_test_setup_teardown(a_range_may_be_written_while_it_is_walked, begin, end),
		cmocka_unit_test_setup_teardown(what_was_committed_is_there_after_opening_again, begin, end),
		cmocka_unit_test_setup_teardown(a_second_server_is_refused, begin, end),
		cmocka_unit_test_setup_teardown(a_full_disk_is_told_and_reading_goes_on, begin, end),
		cmocka_unit_test_setup_teardown(it_agrees_with_a_model, begin, end),
		cmocka_unit_test_setup_teardown(a_record_that_a_crash_spoilt_is_cut_off, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
