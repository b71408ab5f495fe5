/* SPDX-License-Identifier: Apache-2.0 */
/* dsn.c - see dsn.h. What comes from strangers (replies, the original message) is cleaned: no bare line ends, no
 * control characters, and nothing in the original can end its part early, because the boundary holds 64 random bits. */
#include "mail/dsn.h"

#include "mail/date.h"

enum { FOLD_AT = 76, TEXT_MAX = 600 };

static const struct {
	const char *action, *subject, *said, *status, *then;
} words[] = {
	[DSN_FAILED] = { "failed", "Your message could not be delivered",
	                 "Your message could not be delivered to:", "5.0.0",
	                 "It is not tried again. Please check the address, or reach the recipient in another way.\r\n"
	                 "If the reason below means nothing to you, show it to your postmaster.\r\n" },
	[DSN_DELAYED] = { "delayed", "Your message is delayed", "Your message has not been delivered yet to:", "4.0.0",
	                  "You need do nothing: it is tried again and again" },
	[DSN_RELAYED] = { "relayed", "Your message was passed on",
	                  "Your message was passed on, as you asked to be told, for:", "2.0.0",
	                  "The next server does not send confirmations: you will not hear of its delivery.\r\n" },
	[DSN_DELIVERED] = { "delivered", "Your message was delivered",
	                    "Your message was delivered, as you asked to be told, to:", "2.0.0", "" },
};

/* Printable text of one line, cut. */
static void
put_clean(struct buf *to, struct slice s)
{
	bool utf8 = slice_is_utf8(s);
	s = slice_part(s, 0, TEXT_MAX);
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];
		buf_put_char(to, c < ' ' || c == 0x7f || (c >= 0x80 && !utf8) ? '?' : (char)c);
	}
}

/* The same, folded at spaces for a header field. */
static void
put_folded(struct buf *to, struct slice s, size_t column)
{
	bool utf8 = slice_is_utf8(s);
	s = slice_part(s, 0, TEXT_MAX);
	for (size_t i = 0; i < s.len; i++, column++) {
		unsigned char c = (unsigned char)s.at[i];
		if (c == ' ' && column >= FOLD_AT - 10 && i + 1 < s.len && s.at[i + 1] != ' ') {
			buf_put(to, S("\r\n "));
			column = 0;
		} else {
			buf_put_char(to, c < ' ' || c == 0x7f || (c >= 0x80 && !utf8) ? '?' : (char)c);
		}
	}
	buf_put(to, S("\r\n"));
}

static int
hex_digit(char c)
{
	return ascii_digit(c) ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

void
dsn_put_xtext(struct buf *to, struct slice xtext)
{
	for (size_t i = 0; i < xtext.len; i++) {
		int c = (unsigned char)xtext.at[i];
		if (c == '+' && i + 2 < xtext.len && hex_digit(xtext.at[i + 1]) >= 0 && hex_digit(xtext.at[i + 2]) >= 0) {
			c = hex_digit(xtext.at[i + 1]) * 16 + hex_digit(xtext.at[i + 2]);
			i += 2;
		}
		buf_put_char(to, c >= ' ' && c < 0x7f ? (char)c : '?');
	}
}

/* The header of the original, its last line end included, without the empty line. */
static struct slice
header_of(struct slice message)
{
	ptrdiff_t end = slice_find(message, S("\r\n\r\n"));
	ptrdiff_t lf = slice_find(message, S("\n\n"));
	if (lf >= 0 && (end < 0 || lf < end))
		return slice_part(message, 0, (size_t)lf + 1);
	return end < 0 ? message : slice_part(message, 0, (size_t)end + 2);
}

/* Bytes of the original: bare CR and LF become CRLF, NUL a space (RFC 5321 2.3.8, 4.5.2). */
static void
put_original(struct buf *to, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];
		if (c == '\r' || c == '\n') {
			buf_put(to, S("\r\n"));
			if (c == '\r' && i + 1 < s.len && s.at[i + 1] == '\n')
				i++;
		} else {
			buf_put_char(to, c ? c : ' ');
		}
	}
	if (s.len > 0 && s.at[s.len - 1] != '\n' && s.at[s.len - 1] != '\r')
		buf_put(to, S("\r\n"));
}

static bool
needs_utf8(const struct dsn *d)
{
	bool ascii = slice_is_ascii(d->sender);
	for (size_t i = 0; i < d->nrecipients; i++)
		ascii = ascii && slice_is_ascii(d->recipients[i].address) && slice_is_ascii(d->recipients[i].reply);
	return !ascii;
}

static void
put_head(const struct dsn *d, const char *boundary, bool utf8, struct buf *to)
{
	buf_put(to, S("From: Mail delivery <"));
	put_clean(to, d->postmaster);
	buf_put(to, S(">\r\nTo: <"));
	put_clean(to, d->sender);
	buf_put(to, S(">\r\nSubject: "));
	buf_put(to, slice_text(words[d->action].subject));
	buf_put(to, S("\r\nDate: "));
	date_put(to, d->now, 0);
	buf_printf(to, "\r\nMessage-ID: <%016llx.notice@", (unsigned long long)d->random);
	put_clean(to, d->reporting_mta);
	buf_put(to, S(">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n")); /* RFC 3834 5 */
	buf_printf(to, "Content-Type: multipart/report; report-type=%s;\r\n\tboundary=\"%s\"\r\n\r\n",
	           utf8 ? "global-delivery-status" : "delivery-status", boundary);
}

static void
put_for_people(const struct dsn *d, struct buf *to)
{
	buf_put(to, slice_text(words[d->action].said));
	buf_put(to, S("\r\n\r\n"));
	for (size_t i = 0; i < d->nrecipients; i++) {
		const struct dsn_recipient *r = &d->recipients[i];
		buf_put(to, S("    "));
		put_clean(to, r->address);
		buf_put(to, S("\r\n"));
		if (r->reply.len == 0)
			continue;
		buf_put(to, r->mta.len ? S("        the mail server ") : S("        "));
		put_clean(to, r->mta);
		buf_put(to, r->mta.len ? S(" said: ") : S(""));
		put_folded(to, r->reply, 24 + r->mta.len);
	}
	buf_put(to, S("\r\n"));
	buf_put(to, slice_text(words[d->action].then));
	if (d->action == DSN_DELAYED) {
		buf_put(to, S(" until\r\n"));
		date_put(to, d->give_up_at, 0);
		buf_put(to, S(". If it is urgent, reach the recipient in another way.\r\n"));
	}
	buf_put(to, d->original_whole ? S("\r\nYour message is attached.\r\n")
	                              : S("\r\nThe header of your message is attached.\r\n"));
}

/* RFC 3464 2.2 and 2.3. */
static void
put_status(const struct dsn *d, bool utf8, struct buf *to)
{
	if (d->envid.len) {
		buf_put(to, S("Original-Envelope-Id: "));
		dsn_put_xtext(to, d->envid);
		buf_put(to, S("\r\n"));
	}
	buf_put(to, S("Reporting-MTA: dns; "));
	put_clean(to, d->reporting_mta);
	buf_put(to, S("\r\nArrival-Date: "));
	date_put(to, d->arrived, 0);
	buf_put(to, S("\r\n"));
	for (size_t i = 0; i < d->nrecipients; i++) {
		const struct dsn_recipient *r = &d->recipients[i];
		struct slice type, address;
		buf_put(to, S("\r\n"));
		if (r->orcpt.len && slice_cut(r->orcpt, ';', &type, &address)) {
			buf_put(to, S("Original-Recipient: "));
			put_clean(to, type);
			buf_put(to, S(";"));
			dsn_put_xtext(to, address);
			buf_put(to, S("\r\n"));
		}
		buf_put(to, utf8 && !slice_is_ascii(r->address) ? S("Final-Recipient: utf-8;") : S("Final-Recipient: rfc822;"));
		put_clean(to, r->address);
		buf_printf(to, "\r\nAction: %s\r\nStatus: ", words[d->action].action);
		put_clean(to, r->status.len ? r->status : slice_text(words[d->action].status));
		buf_put(to, S("\r\n"));
		if (r->mta.len) {
			buf_put(to, S("Remote-MTA: dns; "));
			put_clean(to, r->mta);
			buf_put(to, S("\r\n"));
		}
		if (r->reply.len) {
			buf_put(to, S("Diagnostic-Code: smtp; "));
			put_folded(to, r->reply, 23);
		}
		buf_put(to, S("Last-Attempt-Date: "));
		date_put(to, d->now, 0);
		buf_put(to, S("\r\n"));
		if (d->action == DSN_DELAYED) {
			buf_put(to, S("Will-Retry-Until: "));
			date_put(to, d->give_up_at, 0);
			buf_put(to, S("\r\n"));
		}
	}
}

bool
dsn_build(const struct dsn *d, struct buf *out)
{
	char boundary[40];
	struct slice original = d->original_whole ? d->original : header_of(d->original);
	bool utf8 = needs_utf8(d), header8 = !slice_is_ascii(header_of(original)), eight = !slice_is_ascii(original);
	snprintf(boundary, sizeof boundary, "=_%016llx", (unsigned long long)d->random);
	put_head(d, boundary, utf8, out);
	buf_printf(out, "--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n",
	           boundary, utf8 ? "8bit" : "7bit");
	put_for_people(d, out);
	buf_printf(out, "\r\n--%s\r\nContent-Type: message/%s\r\n%s\r\n", boundary,
	           utf8 ? "global-delivery-status" : "delivery-status", utf8 ? "Content-Transfer-Encoding: 8bit\r\n" : "");
	put_status(d, utf8, out);
	/* RFC 6533 3: a header with UTF-8 makes it message/global; without, message/rfc822 or its header (RFC 6522 4). */
	const char *type = d->original_whole ? (header8 ? "message/global" : "message/rfc822")
	                                     : (header8 ? "message/global-headers" : "text/rfc822-headers");
	buf_printf(out, "\r\n--%s\r\nContent-Type: %s\r\n%s\r\n", boundary, type,
	           eight ? "Content-Transfer-Encoding: 8bit\r\n" : "");
	put_original(out, original);
	buf_printf(out, "\r\n--%s--\r\n", boundary);
	return !out->over;
}
