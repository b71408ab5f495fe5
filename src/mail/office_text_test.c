/* SPDX-License-Identifier: Apache-2.0 */
/* office_text_test.c - documents made here, entry by entry, whole and broken. */
#include "mail/office_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <zlib.h>

#include <cmocka.h>

struct making {
	struct buf file, central;
	unsigned entries;
};

static void
making_init(struct making *m)
{
	buf_init(&m->file, 64u << 20);
	buf_init(&m->central, 64u << 20);
	m->entries = 0;
}

static void
deflate_put(struct buf *to, struct slice text)
{
	z_stream s = { 0 };
	assert_int_equal(deflateInit2(&s, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY), Z_OK);
	uLong most = deflateBound(&s, text.len);
	char *out = malloc(most);
	s.next_in = (Bytef *)(uintptr_t)text.at;
	s.avail_in = (uInt)text.len;
	s.next_out = (Bytef *)out;
	s.avail_out = (uInt)most;
	assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
	buf_put(to, slice_of(out, most - s.avail_out));
	deflateEnd(&s);
	free(out);
}

/* flags 1: encrypted */
static void
entry(struct making *m, const char *name, struct slice text, bool deflated, unsigned flags)
{
	struct buf packed;
	size_t at = m->file.len;
	buf_init(&packed, 64u << 20);
	if (deflated)
		deflate_put(&packed, text);
	else
		buf_put(&packed, text);
	buf_put_le(&m->file, 0x04034b50, 4);
	buf_put_le(&m->file, 20, 2);
	buf_put_le(&m->file, flags, 2);
	buf_put_le(&m->file, deflated ? 8 : 0, 2);
	buf_put_le(&m->file, 0, 8); /* time, sum */
	buf_put_le(&m->file, packed.len, 4);
	buf_put_le(&m->file, text.len, 4);
	buf_put_le(&m->file, strlen(name), 2);
	buf_put_le(&m->file, 0, 2);
	buf_put(&m->file, slice_text(name));
	buf_put(&m->file, buf_slice(&packed));
	buf_put_le(&m->central, 0x02014b50, 4);
	buf_put_le(&m->central, 20, 4);
	buf_put_le(&m->central, flags, 2);
	buf_put_le(&m->central, deflated ? 8 : 0, 2);
	buf_put_le(&m->central, 0, 8);
	buf_put_le(&m->central, packed.len, 4);
	buf_put_le(&m->central, text.len, 4);
	buf_put_le(&m->central, strlen(name), 2);
	buf_put_le(&m->central, 0, 8);
	buf_put_le(&m->central, 0, 4);
	buf_put_le(&m->central, at, 4);
	buf_put(&m->central, slice_text(name));
	m->entries++;
	buf_release(&packed);
}

static void
finish(struct making *m, struct slice comment)
{
	size_t at = m->file.len;
	buf_put(&m->file, buf_slice(&m->central));
	buf_put_le(&m->file, 0x06054b50, 4);
	buf_put_le(&m->file, 0, 4);
	buf_put_le(&m->file, m->entries, 2);
	buf_put_le(&m->file, m->entries, 2);
	buf_put_le(&m->file, m->central.len, 4);
	buf_put_le(&m->file, at, 4);
	buf_put_le(&m->file, comment.len, 2);
	buf_put(&m->file, comment);
}

static void
making_release(struct making *m)
{
	buf_release(&m->file);
	buf_release(&m->central);
}

static void
put(struct buf *to, struct slice file)
{
	size_t work = OFFICE_WORK_BYTES_MAX;
	office_text_put(to, file, &work);
}

static void
expect(struct slice file, const char *text)
{
	struct buf to;
	buf_init(&to, 64u << 20);
	put(&to, file);
	buf_put_char(&to, '\0');
	assert_string_equal(to.at, text);
	buf_release(&to);
}

#define WORD                                                                                                           \
	"<?xml version=\"1.0\"?><w:document xmlns:w=\"x>y\"><w:body><w:p w:a=\"1\"><w:r><w:t>Quar</w:t></w:r><w:r><w:t "   \
	"xml:space=\"preserve\">terly &amp; "                                                                              \
	"late</w:t></w:r></w:p><w:p><w:t>two<w:br/>lines</w:t></w:p></w:body></w:document>"

static void
documents(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		struct slice xml;
		const char *text;
	} rows[] = {
		{ "word/document.xml", S_ROW(WORD), "Quarterly & late\ntwo\nlines\n\n" },
		{ "xl/sharedStrings.xml", S_ROW("<sst><si><t>Net</t></si><si><t>Gross</t></si></sst>"), "Net\nGross\n\n" },
		{ "ppt/slides/slide12.xml", S_ROW("<p:sld><a:p><a:r><a:t>Title</a:t></a:r></a:p></p:sld>"), "Title\n\n" },
		{ "content.xml",
		  S_ROW("<office:text><text:h>Head</text:h><text:p>a<text:s/>b&#xfc;</text:p><!-- no <x> --></office:text>"),
		  "Head\na\nb\xc3\xbc\n\n" },
		{ "word/styles.xml", S_ROW("<a>no text</a>"), "" },
		{ "word/headerx", S_ROW("<a>no text</a>"), "" },
		{ "word/header1.xml", S_ROW("<w:t>top"), "top\n" },
	};
	for (size_t i = 0; i < 2 * COUNT_OF(rows); i++) {
		struct making m;
		making_init(&m);
		entry(&m, "mimetype", S("application/x"), false, 0);
		entry(&m, rows[i / 2].name, rows[i / 2].xml, i % 2, 0);
		finish(&m, i % 2 ? S("a comment") : SLICE_NONE);
		expect(buf_slice(&m.file), rows[i / 2].text);
		making_release(&m);
	}
}

static void
encrypted_and_strange(void **state)
{
	(void)state;
	struct making m;
	making_init(&m);
	entry(&m, "content.xml", S("<text:p>secret</text:p>"), true, 1);
	finish(&m, SLICE_NONE);
	expect(buf_slice(&m.file), "");
	making_release(&m);
	expect(SLICE_NONE, "");
	expect(S("PK\3\4 and nothing"), "");
	expect(S("PK\5\6"), "");
}

/* Cut off anywhere and with any byte changed: less text, or none, and nothing else happens. */
static void
broken(void **state)
{
	(void)state;
	struct making m;
	struct buf to;
	making_init(&m);
	buf_init(&to, 64u << 20);
	entry(&m, "word/document.xml", S(WORD), true, 0);
	entry(&m, "word/footnotes.xml", S("<w:p>note</w:p>"), false, 0);
	finish(&m, S("comment"));
	for (size_t i = 0; i < m.file.len; i++) {
		buf_clear(&to);
		put(&to, slice_part(buf_slice(&m.file), 0, i));
		for (unsigned bit = 0; bit < 8; bit++) {
			m.file.at[i] ^= (char)(1u << bit);
			buf_clear(&to);
			put(&to, buf_slice(&m.file));
			assert_in_range(to.len, 0, 100000);
			m.file.at[i] ^= (char)(1u << bit);
		}
	}
	buf_release(&to);
	making_release(&m);
}

/* A small file of zeros without end, and the same one named many times: the sum of all is bounded. */
static void
a_bomb_is_bounded(void **state)
{
	(void)state;
	struct making m;
	struct buf big, to;
	making_init(&m);
	buf_init(&big, 64u << 20);
	buf_init(&to, 64u << 20);
	while (big.len < 24u << 20)
		buf_put(&big, S("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	for (int i = 0; i < 3; i++)
		entry(&m, "content.xml", buf_slice(&big), true, 0);
	finish(&m, SLICE_NONE);
	assert_in_range(m.file.len, 0, 200000);
	put(&to, buf_slice(&m.file));
	assert_in_range(to.len, OFFICE_XML_BYTES_MAX, OFFICE_XML_BYTES_MAX + 10);
	buf_release(&big);
	making_release(&m);
	making_init(&m);
	for (int i = 0; i < OFFICE_TEXTS_MAX + 10; i++)
		entry(&m, "content.xml", S("a"), false, 0);
	finish(&m, SLICE_NONE);
	buf_clear(&to);
	put(&to, buf_slice(&m.file));
	assert_int_equal(to.len, 2 * OFFICE_TEXTS_MAX);
	buf_release(&to);
	making_release(&m);
}

/* Many entries that are the same bytes of the file, which inflate to nothing: they are gone through once or twice, not
 * OFFICE_TEXTS_MAX times. The documents of a message share what may be done for them. */
static void
work_is_bounded(void **state)
{
	(void)state;
	struct making m;
	struct buf none, to;
	making_init(&m);
	buf_init(&none, 64u << 20);
	buf_init(&to, 64u << 20);
	while (none.len < 12u << 20)
		buf_put(&none, S("\0\0\0\xff\xff")); /* a stored block of no bytes */
	entry(&m, "content.xml", buf_slice(&none), false, 0);
	bytes_set_le(m.central.at + 10, 8, 2); /* deflated, says the directory, which counts */
	size_t row = m.central.len, work = OFFICE_WORK_BYTES_MAX;
	for (; m.entries < 4; m.entries++)
		buf_put(&m.central, slice_part(buf_slice(&m.central), 0, row));
	finish(&m, SLICE_NONE);
	office_text_put(&to, buf_slice(&m.file), &work);
	assert_int_equal(work, 0);
	assert_int_equal(to.len, 3); /* of the fourth nothing was read */
	office_text_put(&to, buf_slice(&m.file), &work);
	assert_int_equal(to.len, 3);
	buf_release(&to);
	buf_release(&none);
	making_release(&m);
}

static void
which_parts(void **state)
{
	(void)state;
	assert_true(office_is(S("vnd.openxmlformats-officedocument.wordprocessingml.document"), S("")));
	assert_true(office_is(S("VND.oasis.opendocument.text"), S("")));
	assert_true(office_is(S("octet-stream"), S("Report.DOCX")));
	assert_false(office_is(S("zip"), S("a.zip")));
	assert_false(office_is(S("msword"), S("old.doc")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents),         cmocka_unit_test(encrypted_and_strange), cmocka_unit_test(broken),
		cmocka_unit_test(a_bomb_is_bounded), cmocka_unit_test(work_is_bounded),       cmocka_unit_test(which_parts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
