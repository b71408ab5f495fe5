/* SPDX-License-Identifier: Apache-2.0 */
/* tls_report.c - see tls_report.h. Called by relay, which looks for the record and sends the mail. */
#include "mail/tls_report.h"

#include "base/base64.h"
#include "base/cursor.h"
#include "mail/date.h"
#include "mail/smtp_path.h"

#define LINE_BYTES 76 /* RFC 2045 6.8 */

const char *
tls_result_word(enum tls_result r)
{
	static const char *const words[TLS_RESULTS] = { [TLS_RESULT_SUCCESS] = "success",
		                                            [TLS_RESULT_NO_STARTTLS] = "starttls-not-supported",
		                                            [TLS_RESULT_HOST_MISMATCH] = "certificate-host-mismatch",
		                                            [TLS_RESULT_EXPIRED] = "certificate-expired",
		                                            [TLS_RESULT_NOT_TRUSTED] = "certificate-not-trusted",
		                                            [TLS_RESULT_VALIDATION] = "validation-failure",
		                                            [TLS_RESULT_TLSA_INVALID] = "tlsa-invalid",
		                                            [TLS_RESULT_DNSSEC_INVALID] = "dnssec-invalid",
		                                            [TLS_RESULT_DANE_REQUIRED] = "dane-required",
		                                            [TLS_RESULT_STS_FETCH] = "sts-policy-fetch-error",
		                                            [TLS_RESULT_STS_INVALID] = "sts-policy-invalid",
		                                            [TLS_RESULT_STS_WEBPKI] = "sts-webpki-invalid" };
	ASSERT(r < TLS_RESULTS);
	return words[r];
}

const char *
tls_report_policy_word(enum tls_report_policy p)
{
	return p == TLS_REPORT_TLSA ? "tlsa" : p == TLS_REPORT_STS ? "sts" : "no-policy-found";
}

/* ---- URIs */

/* RFC 3986 2.1; false: a % that begins nothing, or a control character. */
static bool
percent_decode(struct slice text, struct arena *a, struct slice *out)
{
	char *to = arena_alloc(a, text.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];
		if (c == '%') {
			int high = i + 2 < text.len ? hex_value(text.at[i + 1]) : -1;
			int low = i + 2 < text.len ? hex_value(text.at[i + 2]) : -1;
			if (high < 0 || low < 0)
				return false;
			c = (char)(high * 16 + low);
			i += 2;
		}
		if ((unsigned char)c < 0x20 || (unsigned char)c >= 0x7f)
			return false;
		to[n++] = c;
	}
	*out = slice_of(to, n);
	return true;
}

/* RFC 6068 2: the first address; what its header fields would be is not for us. */
static bool
take_mailto(struct slice rest, struct arena *a, struct tls_report_uri *out)
{
	struct slice one, others, address;
	struct path p;
	slice_cut(rest, '?', &one, &others);
	if (!percent_decode(one, a, &address))
		return false;
	struct cursor c = cursor_of(address);
	if (!take_mailbox(&c, a, false, &p) || !take_end(&c) || p.literal || p.quoted || p.domain.len == 0 ||
	    !path_fits(&p))
		return false;
	out->address = address;
	return true;
}

static bool
is_host_char(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '-' || c == '.';
}

/* RFC 3986 3.2: a name and perhaps a port; neither user nor literal address, and no fragment (3.5). */
static bool
take_https(struct slice rest, struct arena *a, struct tls_report_uri *out)
{
	struct cursor c = cursor_of(rest);
	struct slice host;
	uint32_t port = 0;
	if (!take_while(&c, is_host_char, &host) || host.len > 253 || slice_find_char(host, '.') < 0 ||
	    ascii_digit(host.at[host.len - 1]))
		return false;
	if (take_char(&c, ':') && (!take_u32(&c, &port) || port == 0 || port > 65535))
		return false;
	out->path = cursor_rest(&c);
	if (out->path.len && out->path.at[0] == '?')
		out->path = arena_join(a, S("/"), out->path);
	if (out->path.len == 0)
		out->path = S("/");
	for (size_t i = 0; i < out->path.len; i++)
		if (out->path.at[i] <= ' ' || out->path.at[i] >= 0x7f || out->path.at[i] == '#')
			return false;
	if (out->path.at[0] != '/')
		return false;
	out->host = slice_keep_text(a, host);
	out->port = (uint16_t)port;
	return true;
}

static void
take_uris(struct slice list, struct arena *a, struct tls_report_uris *uris)
{
	for (struct slice one; list.len && uris->count < TLS_REPORT_URIS_MAX;) {
		struct tls_report_uri *u = &uris->rows[uris->count];
		slice_cut(list, ',', &one, &list);
		one = slice_trim(one);
		*u = (struct tls_report_uri){ 0 };
		if (one.len > TLS_REPORT_URI_BYTES_MAX || slice_find_char(one, '!') >= 0) /* RFC 8460 3: must be encoded */
			continue;
		if (slice_starts_nocase(one, S("mailto:")))
			uris->count += take_mailto(slice_from(one, 7), a, u);
		else if (slice_starts_nocase(one, S("https://")))
			uris->count += take_https(slice_from(one, 8), a, u);
	}
}

/* RFC 8460 3: fields that nobody knows are ignored, rua must be there. */
bool
tls_report_record(struct slice text, struct arena *a, struct tls_report_uris *uris)
{
	struct slice field, rest, name, value;
	bool found = false;
	uris->count = 0;
	slice_cut(text, ';', &field, &rest);
	if (!slice_equal(slice_trim_end(field), S("v=TLSRPTv1")))
		return false;
	while (rest.len) {
		slice_cut(rest, ';', &field, &rest);
		field = slice_trim(field);
		if (field.len == 0 && rest.len == 0)
			break;
		if (!slice_cut(field, '=', &name, &value) || name.len == 0)
			return false;
		if (slice_equal(name, S("rua")) && !found) {
			found = true;
			take_uris(value, a, uris);
		}
	}
	return found;
}

/* ---- the mail */

static void
put_base64(struct buf *to, struct slice bytes)
{
	while (bytes.len) {
		struct slice line = slice_part(bytes, 0, LINE_BYTES / 4 * 3);
		bytes = slice_from(bytes, line.len);
		base64_encode(line, to);
		buf_put(to, S("\r\n"));
	}
}

static void
put_fields(struct buf *to, const struct tls_report_mail *m)
{
	buf_printf(to, "From: <%s>\r\nTo: <%.*s>\r\nDate: ", m->from, SLICE_ARG(m->to));
	date_put(to, m->now_sec, 0);
	buf_printf(to, "\r\nSubject: Report Domain: %.*s\r\n Submitter: %.*s\r\n Report-ID: <%.*s>\r\n",
	           SLICE_ARG(m->domain), SLICE_ARG(m->submitter), SLICE_ARG(m->id));
	buf_printf(to, "Message-ID: <tls-report.%.*s.%s>\r\n", SLICE_ARG(m->id), m->host);
	buf_printf(to, "TLS-Report-Domain: %.*s\r\nTLS-Report-Submitter: %.*s\r\n", SLICE_ARG(m->domain),
	           SLICE_ARG(m->submitter));
	/* RFC 8460 3: delivered whatever is wrong with TLS, by who carries it on too (RFC 8689 3); RFC 3834 5 */
	buf_put(to, S("TLS-Required: No\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"));
}

void
tls_report_mail_put(struct buf *to, const struct tls_report_mail *m)
{
	const char *boundary = "=_tls-report"; /* no line of base64, nor of the text, begins with it */
	put_fields(to, m);
	buf_printf(to, "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"%s\"\r\n\r\n", boundary);
	buf_printf(to, "--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n", boundary);
	buf_printf(to, "This is an aggregate TLS report (RFC 8460) from %.*s about mail to %.*s.\r\n",
	           SLICE_ARG(m->submitter), SLICE_ARG(m->domain));
	buf_printf(to, "\r\n--%s\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n",
	           boundary);
	buf_printf(to, "Content-Disposition: attachment;\r\n filename=\"%.*s\"\r\n\r\n", SLICE_ARG(m->filename));
	put_base64(to, m->gzip);
	buf_printf(to, "--%s--\r\n", boundary);
}
