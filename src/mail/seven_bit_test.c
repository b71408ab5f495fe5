/* SPDX-License-Identifier: Apache-2.0 */
/* seven_bit_test.c - messages and what they become for servers that take less. Whatever comes out has no byte that the
 * transport does not take, says the same when it is decoded, and is as long as was said. */
#include "mail/seven_bit.h"

#include "mail/facts.h"
#include "mail/mime.h"
#include "mail/transfer.h"
#include "mail/transfer_encode.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define UE "\xc3\xbc"
#define HEAD "From: a@x.test\r\nMIME-Version: 1.0\r\n"
#define TEXT "Content-Type: text/plain; charset=utf-8\r\n"
#define PARTS "Content-Type: multipart/mixed; boundary=b\r\n"

static void
follow(const struct seven_bit_plan *p, struct slice message, struct buf *out)
{
	for (size_t i = 0; i < seven_bit_steps(p); i++) {
		struct seven_bit_step s = seven_bit_step(p, i);
		struct encoder e;
		if (s.how == SEVEN_BIT_TEXT) {
			buf_put(out, slice_part(buf_slice(&p->text), s.at, s.len));
			continue;
		}
		encoder_init(&e, (enum encode_how)s.how);
		encoder_put(&e, slice_part(message, s.at, s.len / 2), out); /* pieces make no difference */
		encoder_put(&e, slice_part(message, s.at + s.len / 2, s.len - s.len / 2), out);
		encoder_end(&e, out);
	}
}

static const struct {
	const char *what;
	struct slice in;
	bool eight_bit;
	const char *out; /* NULL: it cannot be done */
} rows[] = {
	{ "nothing to do", S_ROW(HEAD TEXT "\r\nplain\r\n"), false, HEAD TEXT "\r\nplain\r\n" },
	{ "text becomes quoted-printable",
	  S_ROW(HEAD TEXT "Content-Transfer-Encoding: 8bit\r\n\r\nf" UE "r a=b \r\nend\r\n"), false,
	  HEAD TEXT "Content-Transfer-Encoding: quoted-printable\r\n\r\nf=C3=BCr a=3Db=20\r\nend\r\n" },
	{ "the field is added where there is none", S_ROW(HEAD TEXT "\r\nlong enough for it: " UE "\r\n"), false,
	  HEAD TEXT "Content-Transfer-Encoding: quoted-printable\r\n\r\nlong enough for it: =C3=BC\r\n" },
	{ "one that is there twice stands once",
	  S_ROW(HEAD TEXT "Content-transfer-ENCODING: 8bit\r\nContent-Transfer-Encoding:\r\n 8bit\r\n\r\nmore text than " UE
	                  "\r\n"),
	  false, HEAD TEXT "Content-Transfer-Encoding: quoted-printable\r\n\r\nmore text than =C3=BC\r\n" },
	{ "mail without MIME", S_ROW("Subject: x\r\n\r\nsome text with " UE "\r\n"), false,
	  "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
	  "Content-Transfer-Encoding: quoted-printable\r\n\r\nsome text with =C3=BC\r\n" },
	{ "mail without MIME in another charset", S_ROW("Subject: x\r\n\r\nsome text with \xfc\r\n"), false,
	  "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n"
	  "Content-Transfer-Encoding: quoted-printable\r\n\r\nsome text with =FC\r\n" },
	{ "mostly not ASCII: base64", S_ROW(HEAD TEXT "\r\n" UE UE UE "\r\n"), false,
	  HEAD TEXT "Content-Transfer-Encoding: base64\r\n\r\nw7zDvMO8DQo=\r\n" },
	{ "declared, and plain", S_ROW(HEAD TEXT "Content-Transfer-Encoding: 8bit\r\n\r\nplain\r\n"), false,
	  HEAD TEXT "Content-Transfer-Encoding: 7bit\r\n\r\nplain\r\n" },
	{ "each part for itself",
	  S_ROW(HEAD PARTS "Content-Transfer-Encoding: 8bit\r\n\r\n" UE " preamble\r\n--b\r\n" TEXT "\r\na text with " UE
	                   "\r\n--b\r\n"
	                   "Content-Type: image/png\r\nContent-Transfer-Encoding: "
	                   "8bit\r\n\r\n\xff\xfe\r\n--b\r\n\r\nplain\r\n--b--\r\n"),
	  false,
	  HEAD PARTS
	  "Content-Transfer-Encoding: 7bit\r\n\r\n?? preamble\r\n--b\r\n" TEXT
	  "Content-Transfer-Encoding: quoted-printable\r\n\r\na text with =C3=BC\r\n--b\r\n"
	  "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n//4=\r\n--b\r\n\r\nplain\r\n--b--\r\n" },
	{ "a message inside",
	  S_ROW(HEAD
	        "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: in\r\n\r\ninner text " UE
	        "\r\n"),
	  false,
	  HEAD "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: in\r\nMIME-Version: 1.0\r\n"
	       "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
	       "inner text =C3=BC\r\n" },
	{ "8-bit in quoted-printable",
	  S_ROW(HEAD TEXT "Content-Transfer-Encoding: quoted-printable\r\n\r\na=3Db " UE "\r\n"), false,
	  HEAD TEXT "Content-Transfer-Encoding: quoted-printable\r\n\r\na=3Db =C3=BC\r\n" },
	{ "8-bit in base64 means nothing", S_ROW(HEAD TEXT "Content-Transfer-Encoding: base64\r\n\r\nYQ==" UE "\r\n"),
	  false, HEAD TEXT "Content-Transfer-Encoding: base64\r\n\r\nYQ==??\r\n" },
	{ "8-bit in an encoding that nobody knows", S_ROW(HEAD TEXT "Content-Transfer-Encoding: x-rot\r\n\r\n" UE "\r\n"),
	  false, NULL },
	{ "8-bit in a part that may not be encoded", S_ROW(HEAD "Content-Type: message/partial; id=1\r\n\r\n" UE "\r\n"),
	  false, NULL },
	{ "a header with 8-bit", S_ROW("Subject: " UE "\r\n\r\nplain\r\n"), false,
	  "Subject: =?utf-8?B?w7w=?=\r\n\r\nplain\r\n" },
	{ "a header in another charset", S_ROW("Subject: \xfc\r\n\r\nplain\r\n"), false, "Subject: ?\r\n\r\nplain\r\n" },
	{ "8-bit text may stay", S_ROW(HEAD TEXT "\r\n" UE "\r\n"), true, HEAD TEXT "\r\n" UE "\r\n" },
	{ "binary where 8-bit text may stay",
	  S_ROW(HEAD PARTS "Content-Transfer-Encoding: binary\r\n\r\n--b\r\n" TEXT
	                   "Content-Transfer-Encoding: binary\r\n\r\na " UE
	                   "\r\n--b\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\1\n\r\n--b--\r\n"),
	  true,
	  HEAD PARTS "Content-Transfer-Encoding: 8bit\r\n\r\n--b\r\n" TEXT "Content-Transfer-Encoding: 8bit\r\n\r\na " UE
	             "\r\n--b\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEK\r\n--b--\r\n" },
	{ "bare line ends are kept",
	  S_ROW(HEAD "Content-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\na\nb\rc\r\n"), true,
	  HEAD "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=0Ab=0Dc\r\n" },
	{ "no header, no text", S_ROW(""), false, "" },
	{ "all header", S_ROW("Subject: " UE), false, "Subject: =?utf-8?B?w7w=?=\r\n\r\n" },
};

static void
each(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct seven_bit_plan p;
		struct buf out;
		seven_bit_init(&p);
		buf_init(&out, 100000);
		bool can = seven_bit_make(&p, rows[i].in, rows[i].eight_bit);
		if (can != (rows[i].out != NULL))
			fail_msg("%s: %s", rows[i].what, can ? "done" : "not done");
		follow(&p, rows[i].in, &out);
		if (can && !slice_equal(buf_slice(&out), slice_text(rows[i].out)))
			fail_msg("%s:\n%.*s", rows[i].what, (int)out.len, out.at);
		if (can)
			assert_int_equal(p.bytes, out.len);
		seven_bit_release(&p);
		buf_release(&out);
	}
}

/* ---- encoders */

static void
encode_in_pieces(enum encode_how how, struct slice in, size_t piece, struct buf *out)
{
	struct encoder e;
	encoder_init(&e, how);
	for (size_t at = 0; at < in.len; at += piece)
		encoder_put(&e, slice_part(in, at, piece), out);
	encoder_end(&e, out);
}

static void
what_is_encoded_decodes(void **state)
{
	(void)state;
	static const uint8_t undone[] = { [ENCODE_QP] = FACTS_ENCODING_QP, [ENCODE_BASE64] = FACTS_ENCODING_BASE64 };
	char in[700];
	uint64_t word = 1;
	for (unsigned run = 0; run < 400; run++) {
		struct buf whole, parts, back;
		size_t len = run % sizeof in;
		for (size_t i = 0; i < len; i++) {
			word = word * 6364136223846793005u + 1442695040888963407u;
			in[i] = run % 3 ? "a \t\r\n=\xff."[word >> 61] : (char)(word >> 56);
		}
		for (enum encode_how how = ENCODE_QP; how <= ENCODE_BASE64; how++) {
			buf_init(&whole, 10000);
			buf_init(&parts, 10000);
			buf_init(&back, 10000);
			encode_in_pieces(how, slice_of(in, len), 10000, &whole);
			encode_in_pieces(how, slice_of(in, len), 1 + run % 60, &parts);
			assert_true(slice_equal(buf_slice(&whole), buf_slice(&parts)));
			assert_int_equal(encoded_bytes(how, slice_of(in, len)), whole.len);
			transfer_decode(undone[how], buf_slice(&whole), &back);
			assert_true(slice_equal(buf_slice(&back), slice_of(in, len)));
			struct slice rest = buf_slice(&whole), line;
			while (rest.len) {
				slice_cut(rest, '\n', &line, &rest);
				assert_true(line.len <= 77); /* with its CR */
				assert_true(slice_is_ascii(line));
			}
			buf_release(&whole);
			buf_release(&parts);
			buf_release(&back);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each), cmocka_unit_test(what_is_encoded_decodes) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
