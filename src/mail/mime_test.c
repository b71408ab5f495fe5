/* SPDX-License-Identifier: Apache-2.0 */
/* mime_test.c - the structure of messages, whole ones and broken ones. A structure is shown as a tree: the kind of each
 * part (t text, s single, m multipart, r message), its body in quotes where it is a leaf, children in brackets. */
#include "mail/mime.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct row {
	const char *says, *message, *shown;
} rows[] = {
	{ "plain text", "A: b\r\n\r\nhello\r\n", "t'hello\r\n'" },
	{ "no header", "\r\nhello", "t'hello'" },
	{ "no body", "A: b\r\n", "t''" },
	{ "nothing", "", "t''" },
	{ "two parts, preamble and epilogue are no parts",
	  "Content-Type: multipart/mixed; "
	  "boundary=\"b\"\r\n\r\npre\r\n--b\r\n\r\n1\r\n--b\r\n\r\n2\r\n--b--\r\nepi\r\n--b\r\n\r\n3",
	  "m[t'1't'2']" },
	{ "lines end with LF alone", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n1\n--b\n\n2\n--b--\n",
	  "m[t'1't'2']" },
	{ "the line end before a boundary belongs to it",
	  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n1\r\n\r\n--b--", "m[t'1\r\n']" },
	{ "an empty part", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\n\r\n--b--", "m[t''t'']" },
	{ "a part that is only a header",
	  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/png\r\n--b--", "m[s'']" },
	{ "white space behind a boundary", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b \t\r\n\r\n1\r\n--b-- \r\n",
	  "m[t'1']" },
	{ "white space at the end of the parameter",
	  "Content-Type: multipart/mixed; boundary=\"b \"\r\n\r\n--b\r\n\r\n1\r\n--b--", "m[t'1']" },
	{ "no end", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n1\r\n--b\r\n\r\n2", "m[t'1't'2']" },
	{ "no boundary in the body", "Content-Type: multipart/mixed; boundary=b\r\n\r\ntext\r\n", "m[]" },
	{ "no boundary parameter", "Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\n1\r\n--b--",
	  "t'--b\r\n\r\n1\r\n--b--'" },
	{ "an empty one", "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n", "t'--\r\n'" },
	{ "a boundary with RFC 2231 sections",
	  "Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\r\n\r\n--ab\r\n\r\n1\r\n--ab--", "m[t'1']" },
	{ "nested",
	  "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/alternative; "
	  "boundary=b\r\n\r\n--b\r\n\r\n1\r\n"
	  "--b\r\n\r\n2\r\n--b--\r\n--a\r\n\r\n3\r\n--a--\r\n",
	  "m[m[t'1't'2']t'3']" },
	{ "the inner one lacks its end",
	  "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/alternative; "
	  "boundary=b\r\n\r\n--b\r\n\r\n1\r\n"
	  "--a\r\n\r\n3\r\n--a--\r\n",
	  "m[m[t'1']t'3']" },
	{ "one boundary begins with the other",
	  "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/alternative; "
	  "boundary=ab\r\n\r\n--ab\r\n\r\n1\r\n"
	  "--ab--\r\n--a\r\n\r\n3\r\n--a--\r\n",
	  "m[m[t'1']t'3']" },
	{ "both have the same: the inner one counts",
	  "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/alternative; "
	  "boundary=a\r\n\r\n--a\r\n\r\n1\r\n"
	  "--a--\r\n--a\r\n\r\n3\r\n--a--\r\n",
	  "m[m[t'1']t'3']" },
	{ "a message", "Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nin\r\n", "r[t'in\r\n']" },
	{ "a message with parts",
	  "Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n1\r\n--b--\r\n",
	  "r[m[t'1']]" },
	{ "a message in a part that ends",
	  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nA: "
	  "b\r\n--b\r\n\r\n2\r\n--b--",
	  "m[r[t'']t'2']" },
	{ "an empty message in a part",
	  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: "
	  "message/rfc822\r\n\r\n--b\r\n\r\n2\r\n--b--",
	  "m[r[t'']t'2']" },
	{ "message/global", "Content-Type: message/global\r\n\r\n\r\nin", "r[t'in']" },
	{ "an encoded message is a leaf", "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA",
	  "s'AAAA'" },
	{ "message/partial is a leaf", "Content-Type: message/partial\r\n\r\nx", "s'x'" },
	{ "digests are made of messages",
	  "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nA: b\r\n\r\nx\r\n--b--", "m[r[t'x']]" },
	{ "unless they say otherwise",
	  "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--",
	  "m[t'x']" },
	{ "an encoded multipart is one",
	  "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64\r\n\r\n--b\r\n\r\n1\r\n--b--",
	  "m[t'1']" },
	{ "the first Content-Type counts", "Content-Type: image/png\r\nContent-Type: text/plain\r\n\r\nx", "s'x'" },
	{ "only text", "Content-Type: text\r\n\r\nx", "t'x'" },
	{ "rubbish", "Content-Type: ;;;=\r\n\r\nx", "t'x'" },
	{ "a boundary inside the header ends the part",
	  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: y\r\n--b\r\nX: z\r\n--b--\r\n", "m[t''t'']" },
	{ "comments",
	  "Content-Type: (a) multipart (b) / (c) mixed (d) ; (e) boundary (f) = (g) b (h)\r\n\r\n--b\r\n\r\n1\r\n--b--",
	  "m[t'1']" },
};

struct parsed {
	struct mime mime;
	struct arena arena;
};

static void
parse(struct parsed *p, struct slice message)
{
	arena_clear(&p->arena);
	mime_parse(&p->mime, message, &p->arena);
}

static void
show(struct buf *b, const struct parsed *p, struct slice message)
{
	for (uint32_t i = 0;;) {
		const struct facts_part *f = &mime_part(&p->mime, i)->at;
		buf_put_char(b, "smrt"[f->kind]);
		bool inner = f->kind == FACTS_KIND_MULTIPART || f->kind == FACTS_KIND_MESSAGE;
		buf_put_char(b, inner ? '[' : '\'');
		if (!inner)
			buf_put(b, slice_part(message, f->body, f->end - f->body));
		if (f->first) {
			i = f->first;
			continue;
		}
		buf_put_char(b, inner ? ']' : '\'');
		for (; i != 0 && f->next == 0; buf_put_char(b, ']')) {
			i = f->parent;
			f = &mime_part(&p->mime, i)->at;
		}
		if (i == 0)
			return;
		i = f->next;
	}
}

/* Offsets nest, siblings follow each other, numbers and links agree, leaf lines are counted right. */
static void
check_invariants(const struct parsed *p, struct slice message)
{
	assert_true(p->mime.count >= 1 && p->mime.count <= MIME_PARTS_MAX);
	assert_int_equal(mime_part(&p->mime, 0)->at.end, message.len);
	for (size_t i = 0; i < p->mime.count; i++) {
		const struct facts_part *f = &mime_part(&p->mime, i)->at;
		assert_true(f->header <= f->body && f->body <= f->end && f->end <= message.len);
		uint32_t lf = 0, children = 0, at = f->body;
		for (uint32_t k = f->body; k < f->end; k++)
			lf += message.at[k] == '\n';
		lf += f->end > f->body && message.at[f->end - 1] != '\n';
		assert_int_equal(f->lines, lf);
		for (uint32_t c = f->first; c; c = mime_part(&p->mime, c)->at.next) {
			const struct facts_part *child = &mime_part(&p->mime, c)->at;
			assert_true(c > i && child->parent == i && child->number == ++children && child->depth == f->depth + 1);
			assert_true(child->header >= at && child->end <= f->end);
			at = child->end;
		}
		assert_int_equal(f->children, children);
	}
}

static void
test_rows(void **state)
{
	struct parsed p = { 0 };
	struct buf b;
	mime_init(&p.mime);
	arena_init(&p.arena, 0);
	buf_init(&b, 10000);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slice message = slice_text(rows[i].message);
		buf_clear(&b);
		parse(&p, message);
		check_invariants(&p, message);
		show(&b, &p, message);
		if (!slice_equal(buf_slice(&b), slice_text(rows[i].shown)))
			fail_msg("%s: %.*s", rows[i].says, SLICE_ARG(buf_slice(&b)));
	}
	buf_release(&b);
	mime_release(&p.mime);
	arena_release(&p.arena);
}

/* Every row, cut at every byte, in memory that ends there. */
static void
test_truncated(void **state)
{
	struct parsed p = { 0 };
	mime_init(&p.mime);
	arena_init(&p.arena, 0);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slice whole = slice_text(rows[i].message);
		for (size_t n = 0; n <= whole.len; n++) {
			char *copy = malloc(n + 1);
			memcpy(copy + 1, whole.at, n);
			struct slice message = slice_of(copy + 1, n);
			parse(&p, message);
			check_invariants(&p, message);
			free(copy);
		}
	}
	mime_release(&p.mime);
	arena_release(&p.arena);
}

static void
repeat(struct buf *b, const char *head, const char *text, size_t times)
{
	buf_clear(b);
	buf_put(b, slice_text(head));
	for (size_t i = 0; i < times; i++)
		buf_put(b, slice_text(text));
}

static void
test_torture(void **state)
{
	struct parsed p = { 0 };
	struct buf b;
	mime_init(&p.mime);
	arena_init(&p.arena, 0);
	buf_init(&b, 64u << 20);
	repeat(&b, "", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", 10000);
	parse(&p, buf_slice(&b));
	check_invariants(&p, buf_slice(&b));
	assert_true(p.mime.flags & FACTS_CUT);
	assert_int_equal(mime_part(&p.mime, p.mime.count - 1)->at.depth, MIME_DEPTH_MAX);
	repeat(&b, "", "Content-Type: message/rfc822\r\n\r\n", 10000);
	parse(&p, buf_slice(&b));
	check_invariants(&p, buf_slice(&b));
	assert_true(p.mime.flags & FACTS_CUT);
	repeat(&b, "Content-Type: multipart/mixed; boundary=b\r\n\r\n", "--b\r\n\r\nx\r\n", 20000);
	parse(&p, buf_slice(&b));
	check_invariants(&p, buf_slice(&b));
	assert_true((p.mime.flags & FACTS_CUT) && p.mime.count == MIME_PARTS_MAX);
	repeat(&b, "", "X: y\r\n", 100000);
	parse(&p, buf_slice(&b));
	assert_int_equal(mime_part(&p.mime, 0)->at.body, 600000);
	buf_clear(&b);
	for (unsigned i = 0; i < 99; i++) /* many open boundaries that begin alike */
		buf_printf(&b, "Content-Type: multipart/mixed; boundary=%060u\r\n\r\n--%060u\r\n", i, i);
	for (unsigned i = 0; i < 100000; i++)
		buf_printf(&b, "--%059u\r\n", 0);
	parse(&p, buf_slice(&b));
	check_invariants(&p, buf_slice(&b));
	buf_release(&b);
	mime_release(&p.mime);
	arena_release(&p.arena);
}

static void
test_flags(void **state)
{
	char bytes[40];
	for (size_t i = 0; i < sizeof bytes; i++) {
		memset(bytes, 'a', sizeof bytes);
		assert_int_equal(mime_flags_of_bytes(slice_of(bytes, sizeof bytes)), 0);
		bytes[i] = 0;
		assert_int_equal(mime_flags_of_bytes(slice_of(bytes, sizeof bytes)), FACTS_NUL);
		bytes[i] = (char)0x80;
		assert_int_equal(mime_flags_of_bytes(slice_of(bytes, sizeof bytes)), FACTS_8BIT);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_truncated),
		                                cmocka_unit_test(test_torture), cmocka_unit_test(test_flags) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
