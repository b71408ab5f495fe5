/* SPDX-License-Identifier: Apache-2.0 */
/* params.c - the parameters of MAIL and RCPT, and addresses in the two forms that are needed of them. Called by
 * cmd_mail.c and cmd_rcpt.c. Fails by returning false. */
#include "session/smtp/smtp.h"

#include "store/rows.h"

/* RFC 5321 4.1.2: esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-") */
static bool
is_keyword_char(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '-';
}

/* esmtp-value: anything but "=", SP and control characters; RFC 6531 3.4 adds what is not ASCII. */
static bool
is_value_char(char c)
{
	return (unsigned char)c > 0x20 && c != '=' && c != 0x7f;
}

bool
take_param(struct cursor *c, struct smtp_param *p, bool *end)
{
	struct cursor in = *c;
	skip_spaces(&in); /* a space at the end of the line harms nobody */
	*end = cursor_done(&in);
	if (*end)
		return true;
	*p = (struct smtp_param){ 0 };
	if (in.at == c->at || !take_while(&in, is_keyword_char, &p->name) || *p->name.at == '-')
		return false;
	p->has_value = take_char(&in, '=');
	if (p->has_value && !take_while(&in, is_value_char, &p->value))
		return false;
	if (!cursor_done(&in) && peek(&in) != ' ' && peek(&in) != '\t')
		return false;
	*c = in;
	return true;
}

struct reply
take_params(struct smtp *s, struct cursor *c,
            struct reply (*take_one)(struct smtp *s, void *into, const struct smtp_param *p), void *into)
{
	for (bool end = false;;) {
		struct smtp_param p;
		if (!take_param(c, &p, &end))
			return reply(501, "5.5.4", "malformed parameters after the address");
		if (end)
			return REPLY_NONE;
		if (!s->esmtp)
			return reply(555, "5.5.4", "parameters need EHLO");
		struct reply r = take_one(s, into, &p);
		if (r.code)
			return r;
	}
}

/* RFC 3461 4: xtext = *( xchar / hexchar ) */
bool
is_xtext(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		char ch = s.at[i];
		if (ch < '!' || ch > '~' || ch == '=')
			return false;
		if (ch != '+')
			continue;
		for (size_t digit = i + 1; digit <= i + 2; digit++)
			if (digit >= s.len || !(ascii_digit(s.at[digit]) || (s.at[digit] >= 'A' && s.at[digit] <= 'F')))
				return false;
		i += 2;
	}
	return s.len > 0;
}

bool
notify_of(struct slice value, uint32_t *bits)
{
	static const struct {
		struct slice word;
		uint32_t bit;
	} words[] = {
		{ S_ROW("NEVER"), NOTIFY_NEVER },
		{ S_ROW("SUCCESS"), NOTIFY_SUCCESS },
		{ S_ROW("FAILURE"), NOTIFY_FAILURE },
		{ S_ROW("DELAY"), NOTIFY_DELAY },
	};
	*bits = 0;
	struct slice rest = value, word;
	bool more = true;
	while (more) {
		more = slice_cut(rest, ',', &word, &rest);
		uint32_t bit = 0;
		for (size_t i = 0; i < COUNT_OF(words); i++)
			if (slice_equal_nocase(word, words[i].word))
				bit = words[i].bit;
		if (!bit)
			return false;
		*bits |= bit;
	}
	return *bits == NOTIFY_NEVER || !(*bits & NOTIFY_NEVER); /* RFC 3461 4.1: NEVER stands alone */
}

bool
is_orcpt(struct slice value, bool utf8)
{
	struct slice type, address;
	if (value.len > 500 || !slice_cut(value, ';', &type, &address) || type.len == 0 || address.len == 0)
		return false;
	for (size_t i = 0; i < type.len; i++)
		if (!is_keyword_char(type.at[i]))
			return false;
	if (slice_equal_nocase(type, S("utf-8"))) /* RFC 6533 3: utf-8-addr-xtext or, under SMTPUTF8, the bytes */
		return slice_is_ascii(address) ? !slice_has_control(address) : utf8 && slice_is_utf8(address);
	return is_xtext(address);
}

struct slice
path_address(struct arena *a, const struct path *p)
{
	if (p->null)
		return S("");
	if (p->postmaster_only) /* RFC 5321 4.5.1: in any case of letters */
		return S("postmaster");
	char *to = arena_alloc(a, p->local.len + 1 + p->domain.len);
	size_t n = p->local.len;
	memcpy(to, p->local.at, n);
	to[n++] = '@';
	for (size_t i = 0; i < p->domain.len; i++)
		to[n++] = ascii_lower(p->domain.at[i]);
	return slice_of(to, n);
}

struct slice
path_written(struct arena *a, const struct path *p)
{
	struct buf text;
	buf_init(&text, 4096);
	path_put(&text, p);
	struct slice kept = slice_keep(a, buf_slice(&text));
	buf_release(&text);
	return kept;
}
