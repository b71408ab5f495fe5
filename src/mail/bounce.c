/* SPDX-License-Identifier: Apache-2.0 */
/* bounce.c - see bounce.h. Called by scan for messages that came to a return path of ours, or to where complaints go,
 * and by relay for what other servers refuse. */
#include "mail/bounce_table.h"

#include "base/buf.h"
#include "base/cursor.h"
#include "mail/bounce_text.h"
#include "mail/charset.h"
#include "mail/encoded_words.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "mail/transfer.h"
#include "mail/words.h"

/* ---- why */

static const char *const class_names[BOUNCE_CLASSES] = {
	[BOUNCE_UNKNOWN] = "unknown",     [BOUNCE_NO_USER] = "no-user",
	[BOUNCE_NO_DOMAIN] = "no-domain", [BOUNCE_INACTIVE] = "inactive",
	[BOUNCE_FULL] = "full",           [BOUNCE_TEMPORARY] = "temporary",
	[BOUNCE_POLICY] = "policy",       [BOUNCE_BLOCKED] = "blocked",
	[BOUNCE_SPAM] = "spam",           [BOUNCE_REPUTATION] = "reputation",
	[BOUNCE_CONTENT] = "content",     [BOUNCE_SIZE] = "size",
	[BOUNCE_AUTH] = "auth",           [BOUNCE_LOOP] = "loop",
	[BOUNCE_RELAY] = "relay",
};

static const char *const kind_names[BOUNCE_KINDS] = {
	[BOUNCE_NONE] = "none",           [BOUNCE_FAILED] = "failed",         [BOUNCE_DELAYED] = "delayed",
	[BOUNCE_DELIVERED] = "delivered", [BOUNCE_AUTO_REPLY] = "auto-reply", [BOUNCE_CHALLENGE] = "challenge",
	[BOUNCE_COMPLAINT] = "complaint",
};

const char *
bounce_class_name(enum bounce_class c)
{
	return class_names[(unsigned)c < BOUNCE_CLASSES ? c : BOUNCE_UNKNOWN];
}

const char *
bounce_kind_name(enum bounce_kind k)
{
	return kind_names[(unsigned)k < BOUNCE_KINDS ? k : BOUNCE_NONE];
}

bool
bounce_is_hard(enum bounce_class c)
{
	return c == BOUNCE_NO_USER || c == BOUNCE_NO_DOMAIN || c == BOUNCE_INACTIVE;
}

bool
bounce_is_soft(enum bounce_class c)
{
	return c == BOUNCE_UNKNOWN || c == BOUNCE_FULL || c == BOUNCE_TEMPORARY;
}

/* "x" in the pattern is a digit of a reply code, a whole number of a status. */
static bool
code_fits(struct slice pattern, struct slice code)
{
	while (pattern.len && code.len) {
		if (*pattern.at == 'x') {
			size_t n = 1;
			while (slice_find_char(pattern, '.') >= 0 ? n < code.len && ascii_digit(code.at[n])
			                                          : pattern.len == 1 && n < code.len && ascii_digit(code.at[n]))
				n++;
			code = slice_from(code, n);
		} else if (*pattern.at == *code.at) {
			code = slice_from(code, 1);
		} else {
			return false;
		}
		pattern = slice_from(pattern, 1);
	}
	return pattern.len == 0 && code.len == 0;
}

enum bounce_class
bounce_classify(struct slice status, struct slice said)
{
	struct slice code, other;
	bounce_find_codes(said, &code, &other);
	/* RFC 3463 3.1: X.0.0 says nothing, what was said may */
	if (other.len && (status.len == 0 || slice_ends(status, S(".0.0"))))
		status = other;
	char first = status.len ? *status.at : code.len ? *code.at : '5';
	for (size_t i = 0; i < bounce_whys_count; i++) {
		const struct bounce_why *why = &bounce_whys[i];
		bool dots = slice_find_char(why->code, '.') >= 0;
		if (why->code.len && !code_fits(why->code, dots ? status : code))
			continue;
		if (!words_match(why->pattern, said))
			continue;
		return first == '4' && bounce_is_hard(why->class) ? BOUNCE_TEMPORARY : why->class;
	}
	return first == '4' ? BOUNCE_TEMPORARY : BOUNCE_UNKNOWN;
}

/* ---- what */

struct reading {
	struct slice message;
	struct arena *a;
	struct bounce *b;
	struct mime mime;
	struct slice head;
	struct slice subject, from; /* decoded */
	struct slice text;          /* what is said to people, without the copy of the message */
	bool looked;                /* at what text says */
	enum bounce_class text_class;
	bool daemon; /* it comes from who writes bounces */
};

static bool
what_is(enum bounce_is is, enum bounce_in in, struct slice text)
{
	for (size_t i = 0; i < bounce_whats_count; i++)
		if (bounce_whats[i].is == is && bounce_whats[i].in == in && text.len &&
		    words_match(bounce_whats[i].pattern, text))
			return true;
	return false;
}

static bool
begins_copy(struct slice line)
{
	for (size_t i = 0; i < bounce_whats_count; i++)
		if (bounce_whats[i].is == BOUNCE_IS_COPY && slice_starts_nocase(line, bounce_whats[i].pattern))
			return true;
	return false;
}

/* The body of a part with its transfer encoding undone, as much of it as is looked at. */
static struct slice
part_bytes(struct reading *r, const struct mime_part *p)
{
	struct slice body = slice_part(r->message, p->at.body, MIN(p->at.end - p->at.body, BOUNCE_TEXT_BYTES_MAX));
	if (p->at.encoding != FACTS_ENCODING_BASE64 && p->at.encoding != FACTS_ENCODING_QP)
		return body;
	struct buf b;
	buf_init(&b, BOUNCE_TEXT_BYTES_MAX);
	transfer_decode(p->at.encoding, body, &b);
	struct slice kept = slice_keep(r->a, buf_slice(&b));
	buf_release(&b);
	return kept;
}

static struct slice
field_text(struct reading *r, struct slice head, struct slice name)
{
	struct header_field f;
	return header_find(head, name, &f) ? header_unfold(r->a, slice_part(f.value, 0, 1000)) : SLICE_NONE;
}

static struct slice
field_decoded(struct reading *r, struct slice name)
{
	struct buf b;
	buf_init(&b, 4000);
	encoded_words_put(&b, field_text(r, r->head, name));
	struct slice kept = slice_keep(r->a, buf_slice(&b));
	buf_release(&b);
	return kept;
}

static struct bounce_recipient *
recipient_add(struct bounce *b)
{
	if (b->nrecipients == BOUNCE_RECIPIENTS_MAX)
		return NULL;
	struct bounce_recipient *to = &b->recipients[b->nrecipients++];
	*to = (struct bounce_recipient){ .kind = BOUNCE_NONE };
	return to;
}

/* ---- delivery reports */

/* "rfc822; user@example.org" (RFC 3464 2.1.2) */
static struct slice
typed(struct slice value)
{
	struct slice type, rest;
	return slice_cut(value, ';', &type, &rest) ? slice_trim(rest) : slice_trim(value);
}

static enum bounce_kind
action_of(struct slice word)
{
	static const struct {
		struct slice word;
		enum bounce_kind kind;
	} actions[] = { { S_ROW("failed"), BOUNCE_FAILED },     { S_ROW("failure"), BOUNCE_FAILED },
		            { S_ROW("delayed"), BOUNCE_DELAYED },   { S_ROW("delivered"), BOUNCE_DELIVERED },
		            { S_ROW("relayed"), BOUNCE_DELIVERED }, { S_ROW("expanded"), BOUNCE_DELIVERED } };
	for (size_t i = 0; i < COUNT_OF(actions); i++)
		if (slice_starts_nocase(word, actions[i].word))
			return actions[i].kind;
	return BOUNCE_NONE;
}

static void
take_report_field(struct reading *r, const struct header_field *f, struct bounce_recipient **to, bool *final)
{
	struct slice value = header_unfold(r->a, slice_part(f->value, 0, 2000)), code, status;
	bool is_final = slice_equal_nocase(f->name, S("Final-Recipient"));
	if (is_final || slice_equal_nocase(f->name, S("Original-Recipient"))) {
		if (!*to || (is_final && *final) || (*to)->kind != BOUNCE_NONE) {
			*to = recipient_add(r->b);
			*final = false;
		}
		*final |= is_final;
		struct slice address = bounce_address(typed(value));
		if (*to && address.len && (is_final || (*to)->address.len == 0))
			(*to)->address = address;
	} else if (!*to) {
		return;
	} else if (slice_equal_nocase(f->name, S("Action"))) {
		(*to)->kind = action_of(value);
	} else if (slice_equal_nocase(f->name, S("Status"))) {
		bounce_find_codes(value, &code, &status);
		(*to)->status = status;
	} else if (slice_equal_nocase(f->name, S("Diagnostic-Code"))) {
		(*to)->said = bounce_line(r->a, typed(value), BOUNCE_SAID_BYTES_MAX);
	}
}

/* RFC 3464 2.3: groups of fields, which some divide as they like. */
static void
read_report(struct reading *r, struct slice body)
{
	struct bounce_recipient *to = NULL;
	bool final = false;
	for (size_t blocks = 0, n; body.len && blocks < 4 * BOUNCE_RECIPIENTS_MAX; blocks++, body = slice_from(body, n)) {
		struct header_reader h;
		struct header_field f;
		header_begin(&h, body);
		while (header_next(&h, &f))
			take_report_field(r, &f, &to, &final);
		n = MAX(header_bytes(body), (size_t)1);
	}
}

/* It is long: all rows of the table are looked for in it once, however many recipients are named. */
static enum bounce_class
class_of_text(struct reading *r)
{
	if (!r->looked)
		r->text_class = bounce_classify(SLICE_NONE, r->text);
	r->looked = true;
	return r->text_class;
}

/* What the fields left open: without an action the status says it (RFC 3464 2.3.4). */
static void
finish_report(struct reading *r)
{
	struct bounce *b = r->b;
	for (size_t i = 0; i < b->nrecipients; i++) {
		struct bounce_recipient *to = &b->recipients[i];
		char digit = to->status.len ? *to->status.at : '5';
		if (to->kind == BOUNCE_NONE)
			to->kind = digit == '2' ? BOUNCE_DELIVERED : digit == '4' ? BOUNCE_DELAYED : BOUNCE_FAILED;
		to->class = bounce_classify(to->status, to->said);
		if (to->class == BOUNCE_UNKNOWN && to->kind == BOUNCE_FAILED && b->nrecipients == 1)
			to->class = bounce_classify(to->status, r->text);
	}
}

/* ---- complaints */

static void
add_path(struct reading *r, struct slice value)
{
	struct slice trimmed = slice_trim(value);
	if (slice_starts(trimmed, S("<")) && slice_ends(trimmed, S(">")))
		trimmed = slice_part(trimmed, 1, trimmed.len - 2);
	if (trimmed.len && trimmed.len <= 1000 && r->b->npaths < BOUNCE_PATHS_MAX && !slice_has_control(trimmed))
		r->b->paths[r->b->npaths++] = trimmed;
}

/* RFC 5965 3.1 and 3.2 */
static void
read_complaint(struct reading *r, struct slice body)
{
	r->b->type = bounce_line(r->a, field_text(r, body, S("Feedback-Type")), 40);
	add_path(r, field_text(r, body, S("Original-Mail-From")));
}

/* Nobody complains in reports that say the opposite (RFC 6430), or how a signature fared (RFC 6650 6). */
static bool
is_complaint(struct slice type)
{
	return !slice_equal_nocase(type, S("not-spam")) && !slice_equal_nocase(type, S("auth-failure"));
}

/* The header of the message that it is about. */
static void
read_original(struct reading *r, struct slice head)
{
	add_path(r, field_text(r, head, S(BOUNCE_FIELD)));
	add_path(r, field_text(r, head, S("Return-Path")));
}

/* ---- parts */

static bool
is_type(const struct mime_part *p, const char *type, const char *subtype)
{
	return slice_equal_nocase(p->type, slice_text(type)) && slice_equal_nocase(p->subtype, slice_text(subtype));
}

static bool
is_original(const struct mime_part *p)
{
	return is_type(p, "message", "rfc822") || is_type(p, "message", "global") || is_type(p, "text", "rfc822-headers") ||
	       is_type(p, "message", "rfc822-headers") || is_type(p, "message", "global-headers");
}

static void
read_text(struct reading *r, const struct mime_part *p)
{
	struct buf text;
	buf_init(&text, 2 * BOUNCE_TEXT_BYTES_MAX);
	charset_put_guess(&text, part_bytes(r, p));
	r->text = slice_keep(r->a, buf_slice(&text));
	buf_release(&text);
}

/* Parts of the message itself, not of those that it carries. True: there is a machine-readable part. */
static bool
read_parts(struct reading *r, bool *complaint)
{
	bool report = false;
	uint32_t inside = 0;
	for (size_t i = 0; i < MIN(r->mime.count, (size_t)BOUNCE_PARTS_MAX); i++) {
		const struct mime_part *p = mime_part(&r->mime, i);
		if (p->at.header < inside)
			continue;
		if (is_type(p, "message", "delivery-status") || is_type(p, "message", "global-delivery-status")) {
			read_report(r, part_bytes(r, p));
			report = true;
		} else if (is_type(p, "message", "feedback-report")) {
			read_complaint(r, part_bytes(r, p));
			*complaint = true;
		} else if (is_type(p, "message", "disposition-notification")) {
			r->b->kind = BOUNCE_AUTO_REPLY;
		} else if (is_original(p)) {
			read_original(r, part_bytes(r, p));
		} else if (p->at.kind == FACTS_KIND_TEXT && r->text.len == 0) {
			read_text(r, p);
		}
		if (is_original(p))
			inside = p->at.end;
	}
	return report;
}

/* ---- without a report */

/* RFC 3834 5; the others are what programs said before there was a standard. */
static bool
is_automatic(struct reading *r)
{
	static const struct slice fields[] = { S_ROW("X-Autoreply"), S_ROW("X-Autorespond"), S_ROW("X-Autoresponder"),
		                                   S_ROW("X-Mail-Autoreply") };
	struct slice word = field_text(r, r->head, S("Auto-Submitted"));
	struct header_field f;
	if (word.len && !slice_starts_nocase(word, S("no")))
		return true;
	for (size_t i = 0; i < COUNT_OF(fields); i++)
		if (header_find(r->head, fields[i], &f))
			return true;
	return slice_starts_nocase(field_text(r, r->head, S("Precedence")), S("auto"));
}

/* Without the copy that follows. */
static struct slice
own_words(struct slice text)
{
	struct slice rest = text, line;
	while (rest.len) {
		const char *at = rest.at;
		(void)slice_cut(rest, '\n', &line, &rest);
		if (begins_copy(slice_trim(line)))
			return slice_of(text.at, (size_t)(at - text.at));
	}
	return text;
}

/* Lines that begin with an address, and what is said below it up to an empty line. */
static void
find_recipients(struct reading *r)
{
	struct slice rest = r->text, line, address;
	struct bounce_recipient *to = NULL;
	struct buf said;
	buf_init(&said, 4000);
	for (size_t lines = 0; lines < 1000; lines++) {
		bool more = rest.len > 0;
		(void)slice_cut(rest, '\n', &line, &rest);
		bool empty = slice_trim(line).len == 0, begins = bounce_line_address(line, &address, &line);
		if (to && (!more || begins || (empty && said.len > 0))) {
			to->said = bounce_line(r->a, buf_slice(&said), BOUNCE_SAID_BYTES_MAX);
			to = NULL;
		}
		if (!more || (begins && !(to = recipient_add(r->b))))
			break;
		if (begins) {
			buf_clear(&said);
			to->address = address;
			to->kind = BOUNCE_FAILED;
		}
		if (to && slice_trim(line).len && said.len < 2000) {
			buf_put(&said, slice_part(slice_trim(line), 0, 1000));
			buf_put_char(&said, ' ');
		}
	}
	buf_release(&said);
}

static void
add_failed_field(struct reading *r)
{
	struct slice list = field_text(r, r->head, S("X-Failed-Recipients")), one;
	while (list.len && r->b->nrecipients == 0) {
		(void)slice_cut(list, ',', &one, &list);
		struct slice address = bounce_address(slice_trim(one));
		struct bounce_recipient *to = address.len ? recipient_add(r->b) : NULL;
		if (to)
			*to = (struct bounce_recipient){ .address = address, .kind = BOUNCE_FAILED };
	}
}

static void
read_failure(struct reading *r)
{
	struct slice code;
	find_recipients(r);
	add_failed_field(r);
	for (size_t i = 0; i < r->b->nrecipients; i++) {
		struct bounce_recipient *to = &r->b->recipients[i];
		bounce_find_codes(to->said, &code, &to->status);
		to->class = bounce_classify(to->status, to->said);
		if (to->class == BOUNCE_UNKNOWN)
			to->class = class_of_text(r);
	}
}

static bool
looks(struct reading *r, enum bounce_is is)
{
	return what_is(is, BOUNCE_IN_SUBJECT, r->subject) || (r->daemon && what_is(is, BOUNCE_IN_TEXT, r->text));
}

static enum bounce_kind
kind_of_text(struct reading *r)
{
	struct header_field f;
	bool automatic = is_automatic(r);
	r->daemon = what_is(BOUNCE_IS_DAEMON, BOUNCE_IN_FROM, r->from);
	if (header_find(r->head, S("X-Failed-Recipients"), &f))
		return what_is(BOUNCE_IS_DELAYED, BOUNCE_IN_SUBJECT, r->subject) ? BOUNCE_DELAYED : BOUNCE_FAILED;
	if (looks(r, BOUNCE_IS_CHALLENGE))
		return BOUNCE_CHALLENGE;
	if ((r->daemon || automatic) && looks(r, BOUNCE_IS_DELAYED))
		return BOUNCE_DELAYED;
	if (what_is(BOUNCE_IS_AUTO_REPLY, BOUNCE_IN_SUBJECT, r->subject))
		return BOUNCE_AUTO_REPLY;
	if ((r->daemon || automatic) && looks(r, BOUNCE_IS_FAILED))
		return BOUNCE_FAILED;
	return automatic ? BOUNCE_AUTO_REPLY : BOUNCE_NONE;
}

/* ---- all of it */

static void
conclude(struct reading *r)
{
	struct bounce *b = r->b;
	const struct bounce_recipient *first = NULL;
	for (size_t i = 0; i < b->nrecipients; i++)
		if (b->recipients[i].kind == b->kind && !first)
			first = &b->recipients[i];
	if (first) {
		b->class = first->class;
		b->status = first->status;
		b->said = first->said;
	} else if (b->kind == BOUNCE_FAILED || b->kind == BOUNCE_DELAYED) {
		struct slice code;
		b->class = class_of_text(r);
		bounce_find_codes(r->text, &code, &b->status);
	}
	if (b->said.len == 0)
		b->said = bounce_line(r->a, r->text, BOUNCE_SAID_BYTES_MAX);
}

static enum bounce_kind
kind_of_report(const struct bounce *b)
{
	bool failed = false, delayed = false;
	for (size_t i = 0; i < b->nrecipients; i++) {
		failed |= b->recipients[i].kind == BOUNCE_FAILED;
		delayed |= b->recipients[i].kind == BOUNCE_DELAYED;
	}
	return failed ? BOUNCE_FAILED : delayed ? BOUNCE_DELAYED : BOUNCE_DELIVERED;
}

void
bounce_read(struct slice message, struct arena *a, struct bounce *b)
{
	struct reading r = { .message = message, .a = a, .b = b };
	bool complaint = false;
	*b = (struct bounce){ .kind = BOUNCE_NONE };
	r.head = slice_part(message, 0, MIN(header_bytes(message), (size_t)256 << 10));
	mime_init(&r.mime);
	mime_parse(&r.mime, message, a);
	r.subject = slice_part(field_decoded(&r, S("Subject")), 0, 500);
	r.from = slice_part(field_decoded(&r, S("From")), 0, 500);
	bool report = read_parts(&r, &complaint);
	mime_release(&r.mime);
	r.text = own_words(r.text);
	if (complaint && is_complaint(b->type)) {
		b->kind = BOUNCE_COMPLAINT;
	} else if (report && b->nrecipients > 0) {
		finish_report(&r);
		b->kind = kind_of_report(b);
	} else if (!complaint && b->kind == BOUNCE_NONE) {
		b->kind = kind_of_text(&r);
		if (b->kind == BOUNCE_FAILED)
			read_failure(&r);
	}
	conclude(&r);
}
