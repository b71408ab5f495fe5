/* SPDX-License-Identifier: Apache-2.0 */
/* log_test.c - what a line looks like, whatever the values hold; lines that are too long stay well-formed. */
#include "base/log.h"

#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

static int saved, caught;
static char line[3 * LOG_LINE_BYTES_MAX];

static void
catch_begin(void)
{
	caught = memfd_create("log", MFD_CLOEXEC);
	saved = dup(STDERR_FILENO);
	dup2(caught, STDERR_FILENO);
}

static size_t
catch_end(void)
{
	dup2(saved, STDERR_FILENO);
	close(saved);
	ssize_t n = pread(caught, line, sizeof line - 1, 0);
	assert_true(n >= 0);
	line[n] = '\0';
	close(caught);
	return (size_t)n;
}

/* One line with one value. */
static void
log_value(struct slice value)
{
	struct log l;
	catch_begin();
	log_begin(&l, LOG_INFO, "test.event");
	log_slice(&l, "value", value);
	log_u64(&l, "n", 7);
	log_end(&l);
	(void)catch_end();
}

static void
values(void **state)
{
	static const struct {
		const char *what;
		struct slice value;
		const char *text, *json;
	} rows[] = {
		{ "plain text stands as it is", S_ROW("a@b.example"), "value=a@b.example", "\"value\":\"a@b.example\"" },
		{ "a space is quoted", S_ROW("a b"), "value=\"a b\"", "\"value\":\"a b\"" },
		{ "nothing is quoted", S_ROW(""), "value=\"\"", "\"value\":\"\"" },
		{ "quotes and backslashes are escaped", S_ROW("\"\\"), "value=\"\\\"\\\\\"", "\"value\":\"\\\"\\\\\"" },
		{ "a line end cannot begin a line", S_ROW("a\r\nlevel=x"), "value=\"a\\u000d\\u000alevel=x\"",
		  "\"value\":\"a\\u000d\\u000alevel=x\"" },
		{ "NUL", S_ROW("\0"), "value=\"\\u0000\"", "\"value\":\"\\u0000\"" },
		{ "UTF-8 stands", S_ROW("\xc3\xa4"), "value=\"\xc3\xa4\"", "\"value\":\"\xc3\xa4\"" },
		{ "other bytes are escaped", S_ROW("\xe4"), "value=\"\\u00e4\"", "\"value\":\"\\u00e4\"" },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		log_setup("tester", LOG_INFO, false);
		log_value(rows[i].value);
		if (!strstr(line, rows[i].text) || !strstr(line, " level=info role=tester event=test.event ") ||
		    strncmp(line, "time=2", 6) != 0 || !strstr(line, " n=7\n"))
			fail_msg("%s: %s", rows[i].what, line);
		log_setup("tester", LOG_INFO, true);
		log_value(rows[i].value);
		json_t *j = json_loads(line, JSON_ALLOW_NUL, NULL);
		if (!strstr(line, rows[i].json) || !j || !strstr(line, "\"n\":7}\n"))
			fail_msg("%s: %s", rows[i].what, line);
		json_decref(j);
	}
}

static void
lines_that_are_too_long(void **state)
{
	static char bytes[2][600];
	memset(bytes[0], '\xe4', sizeof bytes[0]); /* six bytes each when escaped */
	for (size_t i = 0; i < sizeof bytes[1]; i++)
		bytes[1][i] = "x\xe2\x82\xac"[i % 4];
	log_setup("tester", LOG_INFO, true);
	for (size_t kind = 0; kind < 2; kind++)
		for (size_t cut = 0; cut < 40; cut++) {
			struct log l;
			catch_begin();
			log_begin(&l, LOG_INFO, "test.long");
			log_slice(&l, "first", slice_of(bytes[kind], cut));
			for (int i = 0; i < 12; i++) {
				log_slice(&l, "long", slice_of(bytes[kind], sizeof bytes[kind]));
				log_u64(&l, "number", INT64_MAX);
				log_i64(&l, "negative", INT64_MIN);
			}
			log_end(&l);
			size_t n = catch_end();
			assert_true(n > 3000 && n <= LOG_LINE_BYTES_MAX);
			assert_int_equal(line[n - 1], '\n');
			json_error_t why;
			json_t *j = json_loads(line, 0, &why);
			if (!j)
				fail_msg("kind %zu, cut %zu: %s: %s", kind, cut, why.text, line);
			json_decref(j);
		}
}

static void
a_value_is_cut_between_characters(void **state)
{
	static char bytes[2000];
	for (size_t i = 0; i + 1 < sizeof bytes; i += 2)
		memcpy(bytes + i, "\xc3\xa4", 2);
	log_setup("tester", LOG_INFO, true);
	log_value(slice_of(bytes, 2000));
	json_t *j = json_loads(line, 0, NULL);
	assert_int_equal(strlen(json_string_value(json_object_get(j, "value"))), LOG_VALUE_BYTES_MAX);
	json_decref(j);
	memcpy(bytes, "x", 1);
	memmove(bytes + 1, "\xc3\xa4", 2);
	for (size_t i = 1; i + 1 < sizeof bytes; i += 2)
		memcpy(bytes + i, "\xc3\xa4", 2);
	log_value(slice_of(bytes, 1999));
	j = json_loads(line, 0, NULL);
	assert_int_equal(strlen(json_string_value(json_object_get(j, "value"))), LOG_VALUE_BYTES_MAX - 1);
	json_decref(j);
}

static void
levels(void **state)
{
	log_setup("tester", LOG_WARN, false);
	log_value(S("x"));
	assert_string_equal(line, "");
	catch_begin();
	log_event(LOG_WARN, "disk.full", "path", "/var");
	(void)catch_end();
	assert_non_null(strstr(line, "level=warn role=tester event=disk.full path=/var\n"));
	catch_begin();
	log_event(LOG_ERROR, "bare", NULL, NULL);
	(void)catch_end();
	assert_non_null(strstr(line, "event=bare\n"));
	struct log l;
	catch_begin();
	log_begin(&l, LOG_ERROR, "e");
	log_err(&l, ERR_DISK_FULL);
	log_i64(&l, "left", -3);
	log_end(&l);
	(void)catch_end();
	assert_non_null(strstr(line, "error=\"no space left on the disk\" left=-3\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),
		cmocka_unit_test(lines_that_are_too_long),
		cmocka_unit_test(a_value_is_cut_between_characters),
		cmocka_unit_test(levels),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
