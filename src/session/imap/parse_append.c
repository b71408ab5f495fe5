/* SPDX-License-Identifier: Apache-2.0 */
/* parse_append.c - what APPEND and REPLACE take (RFC 3501 6.3.11, RFC 3502, RFC 4466 6, RFC 4469 5, RFC 5257 4.7, RFC
 * 6855 4, RFC 8508 5). Pure, and in steps: their messages come between the stretches of text, and are nowhere here. */
#include "session/imap/parse.h"

/* literal / literal8, where the text ends */
static bool
take_data(struct cursor *c, struct imap_append *p)
{
	p->binary = take_char(c, '~');
	return imap_take_literal_head(c, &p->literal) && take_end(c);
}

static enum imap_append_step
data_step(struct cursor *c, struct imap_append *p, bool utf8, int then)
{
	p->utf8 = utf8;
	p->at = then;
	return take_data(c, p) && (!utf8 || p->binary) ? APPEND_LITERAL : APPEND_FAULT;
}

/* A value of an annotation stands in a literal, which is still to come. */
static enum imap_append_step
more_step(struct cursor *c, struct cursor start, struct imap_append *p)
{
	struct slice line = slice_of(start.at, cursor_left(&start));
	if (!p->annotations.cut || !slice_ends(line, S("\r\n")))
		return APPEND_FAULT;
	line.len -= 2;
	*c = start;
	return imap_literal_at_end(line, &p->literal) ? APPEND_MORE : APPEND_FAULT;
}

/* append-message = [SP flag-list] [SP date-time] [SP att-annotate] SP append-data; what is before the data */
static enum imap_append_step
message_step(struct cursor *c, struct arena *a, struct imap_append *p)
{
	if (p->messages && take_end(c))
		return APPEND_END;
	p->flags = (struct imap_flags){ 0 };
	p->annotations = (struct imap_annotations){ 0 };
	p->dated = false;
	struct cursor start = *c;
	if (!imap_take_space(c))
		return APPEND_FAULT;
	if (peek(c) == '(' && !(imap_take_flag_list(c, a, &p->flags) && imap_take_space(c)))
		return APPEND_FAULT;
	if (peek(c) == '"') {
		p->dated = imap_take_date_time(c, &p->date);
		if (!p->dated || !imap_take_space(c))
			return APPEND_FAULT;
	}
	if (take_nocase(c, S("ANNOTATION "))) {
		if (!imap_take_annotations(c, a, &p->annotations))
			return more_step(c, start, p);
		if (!imap_take_space(c))
			return APPEND_FAULT;
	}
	p->messages++;
	p->catenate = take_nocase(c, S("CATENATE ("));
	p->at = p->catenate ? APPEND_AT_PART : APPEND_AT_DATA;
	return APPEND_MESSAGE;
}

/* cat-part = "TEXT" SP literal / "URL" SP astring / utf8-literal */
static enum imap_append_step
part_step(struct cursor *c, struct arena *a, struct imap_append *p)
{
	if (take_nocase(c, S("TEXT ")))
		return data_step(c, p, false, APPEND_AT_NEXT_PART);
	if (take_nocase(c, S("UTF8 (")))
		return data_step(c, p, true, APPEND_AT_UTF8_END);
	p->at = APPEND_AT_NEXT_PART;
	if (!take_nocase(c, S("URL ")))
		return APPEND_FAULT;
	if (peek(c) == '{')
		return imap_take_literal_head(c, &p->literal) && take_end(c) ? APPEND_URL_LITERAL : APPEND_FAULT;
	return imap_take_astring(c, a, &p->url) ? APPEND_URL : APPEND_FAULT;
}

static enum imap_append_step
message_end(struct imap_append *p)
{
	p->at = APPEND_AT_MESSAGE;
	return APPEND_MESSAGE_END;
}

enum imap_append_step
imap_append_next(struct cursor *c, struct arena *a, struct imap_append *p)
{
	switch (p->at) {
	case APPEND_AT_MESSAGE: return message_step(c, a, p);
	case APPEND_AT_PART: return part_step(c, a, p);
	case APPEND_AT_DATA:
		if (take_nocase(c, S("UTF8 (")))
			return data_step(c, p, true, APPEND_AT_UTF8_END);
		return data_step(c, p, false, APPEND_AT_NEXT_PART);
	case APPEND_AT_UTF8_END:
		if (!take_char(c, ')'))
			return APPEND_FAULT;
		p->at = APPEND_AT_NEXT_PART;
		break;
	case APPEND_AT_NEXT_PART: break;
	}
	if (!p->catenate || take_char(c, ')'))
		return message_end(p);
	return imap_take_space(c) ? part_step(c, a, p) : APPEND_FAULT;
}

bool
imap_take_append(struct cursor *c, struct arena *a, enum imap_names names, struct slice *mailbox, bool *valid,
                 struct imap_append *p)
{
	*p = (struct imap_append){ .at = APPEND_AT_MESSAGE };
	return imap_take_mailbox(c, a, names, mailbox, valid);
}

bool
imap_is_append(struct slice command, struct arena *a)
{
	struct cursor c = cursor_of(command);
	struct slice tag, mailbox;
	struct imap_append p;
	uint32_t number;
	bool valid;
	if (!imap_take_tag(&c, &tag) || !imap_take_space(&c))
		return false;
	if (!take_nocase(&c, S("APPEND "))) {
		(void)take_nocase(&c, S("UID "));
		if (!take_nocase(&c, S("REPLACE ")) || !(take_char(&c, '*') || imap_take_nz_number(&c, &number)) ||
		    !imap_take_space(&c))
			return false;
	}
	if (!imap_take_append(&c, a, NAMES_UTF7, &mailbox, &valid, &p))
		return false;
	for (;;) {
		switch (imap_append_next(&c, a, &p)) {
		case APPEND_LITERAL:
		case APPEND_URL_LITERAL: return true;
		case APPEND_MORE:
		case APPEND_END:
		case APPEND_FAULT: return false;
		default: break;
		}
	}
}
