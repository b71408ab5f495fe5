/* SPDX-License-Identifier: Apache-2.0 */
/* dsn.c - writes delivery status notifications. Called by relay and by whoever accepts mail that it cannot deliver.
 * Pure: time and ids are given. What other servers said is repeated without control characters, shortened. */
#include "mail/dsn.h"

#include "mail/charset.h"
#include "mail/date.h"
#include "mail/dsn_text.h"
#include "mail/encoded_words.h"
#include "mail/header.h"
#include "mail/mime.h"

#include <time.h>

#define DIAGNOSTIC_BYTES_MAX 800 /* of what another server said; a header line holds 998 (RFC 5322 2.1.1) */
#define SUBJECT_BYTES_MAX 200
#define ADDRESS_BYTES_MAX 500
#define HOST_BYTES_MAX 150 /* so that a sentence with a host and a diagnostic is a line, too */

struct report {
	const struct dsn *d;
	struct buf *out;
	struct slice header; /* of the message */
	bool utf8;
	char boundary[100];
};

/* What strangers wrote, on one line. RFC 3464 2.1: fields are ASCII unless the report is an international one. */
static void
put_clean(struct buf *to, struct slice text, size_t bytes, bool utf8)
{
	struct buf valid;
	text = slice_part(text, 0, bytes);
	buf_init(&valid, 3 * text.len);
	charset_put_guess(&valid, text);
	valid.len = utf8_prefix(buf_slice(&valid), bytes).len;
	for (size_t i = 0; i < valid.len; i++) {
		unsigned char c = (unsigned char)valid.at[i];
		bool bad = c < 0x20 || c == 0x7f;
		buf_put_char(to, bad ? ' ' : c >= 0x80 && !utf8 ? '?' : (char)c);
	}
	buf_release(&valid);
}

static void
put_field(struct report *r, struct slice name, struct slice value)
{
	if (value.len == 0)
		return;
	buf_put(r->out, name);
	put_clean(r->out, value, DIAGNOSTIC_BYTES_MAX, r->utf8);
	buf_put(r->out, S("\r\n"));
}

static void
put_date(struct report *r, struct slice name, int64_t sec)
{
	if (sec == 0)
		return;
	buf_put(r->out, name);
	date_put(r->out, sec, r->d->zone);
	buf_put(r->out, S("\r\n"));
}

static void
put_boundary(struct report *r, bool last)
{
	buf_printf(r->out, "\r\n--%s%s\r\n", r->boundary, last ? "--" : "");
}

/* ---- what people read */

static struct slice
say(const struct report *r, struct slice english)
{
	return dsn_text(r->d->language, english);
}

/* A text with `what` where "<>" stands. */
static void
put_with(struct report *r, struct slice english, struct slice what)
{
	struct slice text = say(r, english);
	ptrdiff_t at = slice_find(text, S("<>"));
	ASSERT(at >= 0);
	buf_put(r->out, slice_part(text, 0, (size_t)at));
	buf_put(r->out, what);
	buf_put(r->out, slice_from(text, (size_t)at + 2));
}

/* In a form that is read alike in all languages. */
static void
put_with_date(struct report *r, struct slice english, int64_t sec)
{
	time_t when = (time_t)sec;
	struct tm tm = { 0 };
	char text[60];
	gmtime_r(&when, &tm);
	put_with(r, english, slice_of(text, strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &tm)));
}

static void
put_with_address(struct report *r, struct slice english, struct slice address)
{
	struct buf clean;
	buf_init(&clean, 4 * ADDRESS_BYTES_MAX);
	buf_put(&clean, S("<"));
	put_clean(&clean, address, ADDRESS_BYTES_MAX, true);
	buf_put(&clean, S(">"));
	put_with(r, english, buf_slice(&clean));
	buf_release(&clean);
}

/* The worst that happened is what the report is about. */
static const struct dsn_recipient *
worst_of(const struct dsn *d)
{
	const struct dsn_recipient *worst = &d->recipients[0];
	for (size_t i = 1; i < d->nrecipients; i++)
		if (d->recipients[i].action < worst->action)
			worst = &d->recipients[i];
	return worst;
}

static struct slice
subject_of(enum dsn_action action)
{
	switch (action) {
	case DSN_FAILED: return S("Your message was not delivered");
	case DSN_DELAYED: return S("Your message is delayed");
	case DSN_DELIVERED: return S("Your message was delivered");
	default: return S("Your message was passed on");
	}
}

static struct slice
to_one(const struct dsn_recipient *p)
{
	switch (p->action) {
	case DSN_FAILED: return S("Your message was not delivered to <>, and it will not be tried again.");
	case DSN_DELAYED:
		return p->late ? S("Your message has not been delivered to <> in the time that you asked for.")
		               : S("Your message has not been delivered to <> yet.");
	case DSN_DELIVERED: return S("Your message was delivered to <>.");
	case DSN_RELAYED: return S("Your message to <> was passed on to the next server, which will not report on it.");
	default:
		return S(
		    "Your message to <> was passed on to all addresses that this one stands for. Nobody reports on those.");
	}
}

static struct slice
to_several(const struct dsn_recipient *p)
{
	switch (p->action) {
	case DSN_FAILED: return S("Your message was not delivered to these recipients, and it will not be tried again:");
	case DSN_DELAYED:
		return p->late ? S("Your message has not been delivered to these recipients in the time that you asked for:")
		               : S("Your message has not been delivered to these recipients yet:");
	default: return S("This is what became of your message:");
	}
}

static struct slice
outcome_of(enum dsn_action action)
{
	switch (action) {
	case DSN_FAILED: return S("not delivered");
	case DSN_DELAYED: return S("not delivered yet");
	case DSN_DELIVERED: return S("delivered");
	case DSN_RELAYED: return S("passed on to a server that will not report on it");
	default: return S("passed on to all addresses that this one stands for");
	}
}

/* What a person can do about it, by enhanced status code (RFC 3463) without its class. */
static struct slice
advice_for_code(struct slice code)
{
	static const struct {
		struct slice code, text;
	} rows[] = {
		{ S_ROW("1.1"),
		  S_ROW("There is no such address. Look for a spelling mistake, or ask the recipient in another way.") },
		{ S_ROW("1.2"), S_ROW("The part of the address after the @ does not exist. Look for a spelling mistake.") },
		{ S_ROW("1.3"), S_ROW("The address is not well-formed. Look for a spelling mistake.") },
		{ S_ROW("1.6"), S_ROW("The mailbox has moved. Ask the recipient for the new address.") },
		{ S_ROW("1.10"), S_ROW("The domain of this address takes no mail. Look for a spelling mistake.") },
		{ S_ROW("2.1"), S_ROW("The mailbox is switched off. Only the recipient can change that: ask in another way.") },
		{ S_ROW("2.2"), S_ROW("The mailbox is full. Send the message again when the recipient has made room.") },
		{ S_ROW("2.3"), S_ROW("The message is too large for this mailbox. Send it in smaller parts, or as a link.") },
		{ S_ROW("3.4"), S_ROW("The message is too large for that server. Send it in smaller parts, or as a link.") },
		{ S_ROW("4.1"), S_ROW("The server of the recipient did not answer. Look for a spelling mistake, or send the "
		                      "message again later.") },
		{ S_ROW("4.3"),
		  S_ROW("The server of the recipient could not be found. Look for a spelling mistake, or send the "
		        "message again later.") },
		{ S_ROW("4.4"), S_ROW("No server takes mail for the domain of this address. Look for a spelling mistake.") },
		{ S_ROW("4.6"),
		  S_ROW("The message went in circles. The administrator of the recipient's server must correct that.") },
		{ S_ROW("4.7"), S_ROW("The time in which it had to be delivered is over. Send the message again, or ask the "
		                      "recipient in another way.") },
		{ S_ROW("5.3"), S_ROW("The message has too many recipients for that server. Send it to fewer at once.") },
		{ S_ROW("6.7"),
		  S_ROW("The server of the recipient cannot take addresses with such characters. Use one in plain "
		        "letters.") },
		{ S_ROW("7.5"), S_ROW("A secure connection to the server of the recipient was not possible. The administrator "
		                      "of that server must correct that.") },
		{ S_ROW("7.10"), S_ROW("A secure connection to the server of the recipient was not possible. The administrator "
		                       "of that server must correct that.") },
		{ S_ROW("7.30"), S_ROW("A secure connection to the server of the recipient was not possible. The administrator "
		                       "of that server must correct that.") },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (slice_equal(rows[i].code, code))
			return rows[i].text;
	return SLICE_NONE;
}

/* There is always something that can be done. */
static struct slice
advice_for(struct slice status)
{
	struct slice text = advice_for_code(slice_from(status, 2));
	if (text.len)
		return text;
	if (slice_starts(status, S("4")))
		return S("It was tried until now without success. Send the message again later, or ask the recipient in "
		         "another way.");
	return S("The server of the recipient does not accept this message; what it said tells why. Ask the recipient in "
	         "another way.");
}

static void
put_advice(struct report *r, const struct dsn_recipient *p)
{
	if (p->action == DSN_FAILED)
		buf_put(r->out, say(r, advice_for(p->status)));
	else if (p->action == DSN_DELAYED && p->until_sec)
		put_with_date(
		    r, S("You need not do anything: it will be tried again until <>. You are told if it cannot be delivered."),
		    p->until_sec);
	else
		buf_put(r->out, say(r, S("You need not do anything.")));
	buf_put(r->out, S("\r\n"));
}

static void
put_about(struct report *r)
{
	struct header_field f;
	if (!header_find(r->header, S("Subject"), &f) || slice_trim(f.value).len == 0)
		return;
	struct buf subject;
	buf_init(&subject, f.value.len * 3 + 16);
	encoded_words_put(&subject, f.value);
	buf_put(r->out, say(r, S("Subject of your message: ")));
	put_clean(r->out, utf8_prefix(buf_slice(&subject), SUBJECT_BYTES_MAX), SUBJECT_BYTES_MAX, true);
	buf_put(r->out, S("\r\n"));
	buf_release(&subject);
}

/* What the other server said, or what we know ourselves. */
static void
put_said(struct report *r, const struct dsn_recipient *p)
{
	struct buf *out = r->out;
	if (p->diagnostic.len) {
		put_clean(out, p->remote.len ? p->remote : say(r, S("The other server")), HOST_BYTES_MAX, true);
		buf_put(out, say(r, S(" said: ")));
		put_clean(out, p->diagnostic, DIAGNOSTIC_BYTES_MAX, true);
	} else if (p->reason.len) {
		buf_put(out, say(r, S("Reason: ")));
		put_clean(out, p->reason, DIAGNOSTIC_BYTES_MAX, true);
	} else {
		return;
	}
	buf_put(out, S("\r\n"));
}

static void
put_one_of_several(struct report *r, const struct dsn_recipient *p)
{
	struct buf *out = r->out;
	buf_put(out, S("\r\n<"));
	put_clean(out, p->address, ADDRESS_BYTES_MAX, true);
	buf_put(out, S(">: "));
	buf_put(out, say(r, outcome_of(p->action)));
	buf_put(out, S("\r\n"));
	if (p->action <= DSN_DELAYED)
		put_advice(r, p);
	put_said(r, p);
}

/* The first paragraph says what happened and what can be done. */
static void
put_people_part(struct report *r)
{
	const struct dsn *d = r->d;
	buf_put(r->out, S("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"));
	buf_put(r->out, S("Content-Language: ")); /* RFC 3282 */
	buf_put(r->out, dsn_language(d->language));
	buf_put(r->out, S("\r\n\r\n"));
	if (d->nrecipients == 1) {
		put_with_address(r, to_one(d->recipients), d->recipients->address);
		buf_put(r->out, S("\r\n"));
		put_advice(r, d->recipients);
	} else {
		buf_put(r->out, say(r, to_several(worst_of(d))));
		buf_put(r->out, S("\r\n"));
	}
	for (size_t i = 0; i < d->nrecipients && d->nrecipients > 1; i++)
		put_one_of_several(r, &d->recipients[i]);
	buf_put(r->out, S("\r\n"));
	put_about(r);
	if (d->arrived_sec) {
		put_with_date(r, S("It came in on <>."), d->arrived_sec);
		buf_put(r->out, S("\r\n"));
	}
	if (d->nrecipients == 1)
		put_said(r, d->recipients);
	buf_put(r->out, S("\r\n"));
	buf_put(r->out, say(r, d->full ? S("Your message is attached, behind details for administrators.")
	                               : S("The header of your message is attached, behind details for administrators.")));
	buf_put(r->out, S("\r\n"));
	put_with(r, S("This is a message of the mail server <>. Nobody reads answers to it."), d->hostname);
	buf_put(r->out, S("\r\n"));
}

/* ---- what programs read (RFC 3464 2) */

static struct slice
action_word(enum dsn_action action)
{
	static const struct slice words[] = { S_ROW("failed"), S_ROW("delayed"), S_ROW("delivered"), S_ROW("relayed"),
		                                  S_ROW("expanded") };
	return words[action];
}

static void
put_for_programs(struct report *r, const struct dsn_recipient *p)
{
	struct buf *out = r->out;
	buf_put(out, S("\r\n"));
	put_field(r, S("Original-Recipient: "), p->original);
	/* RFC 6533 3: utf-8 is the address type of what is not ASCII */
	put_field(r, slice_is_ascii(p->address) ? S("Final-Recipient: rfc822; ") : S("Final-Recipient: utf-8; "),
	          p->address);
	buf_put(out, S("Action: "));
	buf_put(out, action_word(p->action));
	buf_put(out, S("\r\n"));
	put_field(r, S("Status: "), p->status);
	put_field(r, S("Remote-MTA: dns; "), p->remote);
	if (p->diagnostic.len)
		put_field(r, S("Diagnostic-Code: smtp; "), p->diagnostic);
	else
		put_field(r, S("Diagnostic-Code: x-posthouse; "), p->reason);
	put_date(r, S("Last-Attempt-Date: "), p->last_try_sec);
	if (p->action == DSN_DELAYED)
		put_date(r, S("Will-Retry-Until: "), p->until_sec);
}

/* RFC 4865 5.1.2: what MAIL asked for. */
static void
put_hold(struct report *r)
{
	time_t until = (time_t)r->d->hold_until;
	struct tm tm;
	char text[40];
	if (r->d->hold_for) {
		buf_printf(r->out, "Future-Release-Request: for;%u\r\n", r->d->hold_for);
	} else if (until && gmtime_r(&until, &tm)) {
		strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
		buf_printf(r->out, "Future-Release-Request: until;%s\r\n", text);
	}
}

static void
put_program_part(struct report *r)
{
	const struct dsn *d = r->d;
	/* RFC 6533 3: the international form needs 8 bits */
	buf_put(r->out, r->utf8
	                    ? S("Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
	                    : S("Content-Type: message/delivery-status\r\n\r\n"));
	put_field(r, S("Original-Envelope-Id: "), d->envelope);
	put_field(r, S("Reporting-MTA: dns; "), d->hostname);
	put_date(r, S("Arrival-Date: "), d->arrived_sec);
	put_date(r, S("Deliver-By-Date: "), d->by_sec); /* RFC 2852 5 */
	put_hold(r);
	for (size_t i = 0; i < d->nrecipients; i++)
		put_for_programs(r, &d->recipients[i]);
}

/* ---- the message (RFC 6522 3, RFC 3461 5.3) */

static void
put_message_part(struct report *r)
{
	struct slice body = r->d->full ? r->d->message : r->header;
	bool eight_bit = mime_flags_of_bytes(body) & FACTS_8BIT, global = r->utf8 && eight_bit;
	if (r->d->full)
		buf_put(r->out, global ? S("Content-Type: message/global\r\n") : S("Content-Type: message/rfc822\r\n"));
	else
		buf_put(r->out,
		        global ? S("Content-Type: message/global-headers\r\n") : S("Content-Type: text/rfc822-headers\r\n"));
	if (eight_bit)
		buf_put(r->out, S("Content-Transfer-Encoding: 8bit\r\n"));
	buf_put(r->out, S("\r\n"));
	buf_put(r->out, body);
}

/* ---- all of it */

static void
choose_boundary(struct report *r)
{
	for (unsigned n = 0;; n++) {
		int len =
		    snprintf(r->boundary, sizeof r->boundary, "=_%.*s.%u", (int)MIN(r->d->id.len, (size_t)60), r->d->id.at, n);
		/* a message that was made to hold it would have to know the id; still it is looked for */
		if (n == 100 || slice_find(r->d->message, slice_of(r->boundary, (size_t)len)) < 0)
			return;
	}
}

/* The report belongs to the thread of the message. */
static void
put_references(struct report *r)
{
	struct header_field f;
	if (!header_find(r->header, S("Message-ID"), &f))
		return;
	struct slice id = slice_trim(f.value);
	if (id.len == 0 || id.len > 900 || !slice_is_ascii(id) || slice_has_control(id))
		return;
	buf_put(r->out, S("References: "));
	buf_put(r->out, id);
	buf_put(r->out, S("\r\n"));
}

static void
put_header(struct report *r)
{
	const struct dsn *d = r->d;
	buf_put(r->out, S("From: Mail Delivery System <MAILER-DAEMON@"));
	buf_put(r->out, d->hostname);
	buf_put(r->out, S(">\r\nTo: <"));
	put_clean(r->out, d->sender, ADDRESS_BYTES_MAX, true);
	buf_put(r->out, S(">\r\nSubject: "));
	encoded_words_encode(r->out, say(r, subject_of(worst_of(d)->action)));
	buf_put(r->out, S("\r\n"));
	put_date(r, S("Date: "), d->now_sec);
	buf_put(r->out, S("Message-ID: <"));
	buf_put(r->out, d->id);
	buf_put_char(r->out, '@');
	buf_put(r->out, d->hostname);
	buf_put(r->out, S(">\r\n"));
	put_references(r);
	/* RFC 3834 5: nobody answers this automatically */
	buf_put(r->out, S("Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"));
	buf_printf(r->out, "Content-Type: multipart/report; report-type=%s;\r\n\tboundary=\"%s\"\r\n",
	           r->utf8 ? "global-delivery-status" : "delivery-status", r->boundary);
	buf_put(r->out, S("Content-Transfer-Encoding: 8bit\r\n"));
}

bool
dsn_needs_utf8(const struct dsn *d)
{
	if (!slice_is_ascii(d->sender))
		return true;
	for (size_t i = 0; i < d->nrecipients && d->utf8; i++)
		if (!slice_is_ascii(d->recipients[i].address) || !slice_is_ascii(d->recipients[i].original))
			return true;
	return d->utf8 && !slice_is_ascii(slice_part(d->message, 0, header_bytes(d->message)));
}

bool
dsn_build(const struct dsn *d, struct buf *out)
{
	struct report r = { .d = d, .out = out, .utf8 = dsn_needs_utf8(d) };
	if (d->nrecipients == 0)
		return false;
	r.header = slice_part(d->message, 0, header_bytes(d->message));
	choose_boundary(&r);
	put_header(&r);
	put_boundary(&r, false);
	put_people_part(&r);
	put_boundary(&r, false);
	put_program_part(&r);
	put_boundary(&r, false);
	put_message_part(&r);
	put_boundary(&r, true);
	return !out->over;
}
