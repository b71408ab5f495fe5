/* SPDX-License-Identifier: Apache-2.0 */
/* thread_test.c - trees from references and subjects (RFC 5256 3), written as THREAD writes them. */
#include "session/imap/thread.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MESSAGES_MAX 8

struct row {
	const char *id, *references, *subject; /* references: divided by "," here */
	bool reply;
	int64_t sent;
};

static void
put_tree(struct buf *to, const struct thread_node *n)
{
	if (n->message != THREAD_NO_MESSAGE)
		buf_put_u64(to, n->message);
	for (const struct thread_node *i = n->first; i; i = i->next) {
		buf_put_char(to, '(');
		put_tree(to, i);
		buf_put_char(to, ')');
	}
}

static void
add_rows(struct thread *t, const struct row *rows)
{
	char references[100];
	for (uint32_t i = 0; i < MESSAGES_MAX && rows[i].id; i++) {
		struct slice r = slice_text(rows[i].references ? rows[i].references : "");
		for (size_t k = 0; k < r.len; k++)
			references[k] = r.at[k] == ',' ? '\0' : r.at[k];
		struct thread_message m = { .message = i + 1,
			                        .sent = rows[i].sent ? rows[i].sent : i,
			                        .reply = rows[i].reply,
			                        .id = slice_text(rows[i].id),
			                        .references = slice_of(references, r.len),
			                        .subject = slice_text(rows[i].subject ? rows[i].subject : "") };
		thread_add(t, &m);
	}
}

static const struct {
	const char *what, *tree;
	struct row rows[MESSAGES_MAX];
} trees[] = {
	{ "nothing", "", { { NULL } } },
	{ "a chain", "(1(2(3)))", { { "a" }, { "b", "a" }, { "c", "a,b" } } },
	{ "branches by date", "(1(3)(2))", { { "a" }, { "b", "a", NULL, false, 9 }, { "c", "a", NULL, false, 5 } } },
	{ "an answer before its question", "(2(1))", { { "b", "a" }, { "a" } } },
	{ "no ids at all", "(1)(2)", { { "" }, { "" } } },
	{ "an id twice", "(1(3))(2)", { { "a" }, { "a" }, { "b", "a" } } },
	{ "a parent that is not there, with one child", "(1)", { { "b", "a" } } },
	{ "a parent that is not there, with two", "((1)(2))", { { "b", "a" }, { "c", "a" } } },
	{ "one that is missing inside a thread", "(1(2)(3))", { { "a" }, { "c", "a,b" }, { "d", "a,b" } } },
	{ "two that refer to each other", "(2(1))", { { "a", "b" }, { "b", "a" } } },
	{ "one that refers to itself", "(1)", { { "a", "a" } } },
	{ "a loop of three", "(3(2(1)))", { { "a", "b" }, { "b", "c" }, { "c", "a" } } },
	{ "references that end in the message itself", "(1)(2)", { { "a" }, { "b", "a,b" } } },
	{ "a truncated line is corrected", "(2(1))(3)", { { "d", "a,c" }, { "c", "b" }, { "a" } } },
	{ "the same subject, a reply", "(1(2))", { { "a", NULL, "s" }, { "b", NULL, "s", true } } },
	{ "the same subject, the reply came first", "(2(1))", { { "a", NULL, "s", true }, { "b", NULL, "s" } } },
	{ "the same subject twice without a reply", "((1)(2))", { { "a", NULL, "s" }, { "b", NULL, "s" } } },
	{ "three of one subject", "((1)(2)(3))", { { "a", NULL, "s" }, { "b", NULL, "s" }, { "c", NULL, "s" } } },
	{ "empty subjects are not one thread", "(1)(2)", { { "a" }, { "b" } } },
	{ "two parents that are missing, one subject",
	  "((1)(2)(3)(4))",
	  { { "a", "x", "s" }, { "b", "x", "s" }, { "c", "y", "s" }, { "d", "y", "s" } } },
	{ "one message joins a parent that is missing",
	  "((1)(2)(3))",
	  { { "a", "x", "s" }, { "b", "x", "s" }, { "c", NULL, "s" } } },
};

static void
by_references(void **state)
{
	for (size_t i = 0; i < COUNT_OF(trees); i++) {
		struct thread t;
		struct buf b;
		buf_init(&b, 1000);
		thread_init(&t, 3);
		add_rows(&t, trees[i].rows);
		thread_by_references(&t);
		put_tree(&b, &t.root);
		if (!slice_equal(buf_slice(&b), slice_text(trees[i].tree)))
			fail_msg("%s: %.*s, not %s", trees[i].what, SLICE_ARG(buf_slice(&b)), trees[i].tree);
		thread_release(&t);
		buf_release(&b);
	}
}

/* The thread with the newest message comes last; one subject makes no thread. */
static void
by_refs(void **state)
{
	static const struct row rows[MESSAGES_MAX] = { { "a", NULL, "s", false, 10 },
		                                           { "b", NULL, "s", false, 20 },
		                                           { "c", "a", "s", false, 50 },
		                                           { "d", "x", "t", false, 30 },
		                                           { "e", "x", "t", false, 15 } };
	struct thread t;
	struct buf b;
	buf_init(&b, 1000);
	thread_init(&t, 3);
	add_rows(&t, rows);
	thread_by_refs(&t);
	put_tree(&b, &t.root);
	if (!slice_equal(buf_slice(&b), S("(2)((5)(4))(1(3))")))
		fail_msg("%.*s", SLICE_ARG(buf_slice(&b)));
	thread_release(&t);
	buf_release(&b);
}

static void
by_subject(void **state)
{
	static const struct row rows[MESSAGES_MAX] = { { "a", NULL, "s", false, 50 },
		                                           { "b", NULL, "t", false, 20 },
		                                           { "c", NULL, "s", false, 10 },
		                                           { "d", NULL, "s", false, 30 } };
	struct thread t;
	struct buf b;
	buf_init(&b, 1000);
	thread_init(&t, 3);
	add_rows(&t, rows);
	thread_by_subject(&t);
	put_tree(&b, &t.root);
	assert_true(slice_equal(buf_slice(&b), S("(3(4)(1))(2)")));
	thread_release(&t);
	buf_release(&b);
}

/* Chains longer than what is walked are cut, and take no longer. */
static void
deep_chains(void **state)
{
	struct thread t;
	char id[20], reference[20];
	thread_init(&t, 3);
	for (uint32_t i = 0; i < 20000; i++) {
		struct thread_message m = { .message = i };
		m.id = slice_of(id, (size_t)snprintf(id, sizeof id, "%u@x", i));
		m.references = slice_of(reference, (size_t)snprintf(reference, sizeof reference, "%u@x", i + 1));
		thread_add(&t, &m);
	}
	thread_by_references(&t);
	assert_non_null(t.root.first);
	thread_release(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(by_references), cmocka_unit_test(by_subject),
		                                cmocka_unit_test(by_refs), cmocka_unit_test(deep_chains) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
