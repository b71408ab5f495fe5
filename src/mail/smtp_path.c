/* SPDX-License-Identifier: Apache-2.0 */
/* smtp_path.c - the grammar of RFC 5321 4.1.2 and 4.1.3, function by rule. Called by session/smtp, relay and whoever
 * takes an address from outside. Pure: copies go to the caller's arena. Fails only by returning false, the cursor where
 * it was. */
#include "mail/smtp_path.h"

#include <arpa/inet.h>

static bool
is_atext(char c)
{
	/* RFC 5322 3.2.3 */
	return ascii_alpha(c) || ascii_digit(c) || (c != 0 && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* RFC 6531 3.3: atext and qtextSMTP =/ UTF8-non-ascii, sub-domain =/ U-label. Whether what was collected is UTF-8 is
 * looked at once, in utf8_ok. */
static bool
is_high(char c, bool utf8)
{
	return utf8 && (unsigned char)c >= 0x80;
}

static bool
utf8_ok(struct slice s, bool *seen)
{
	if (slice_is_ascii(s))
		return true;
	*seen = true;
	return slice_is_utf8(s);
}

/* Dot-string = Atom *("." Atom) */
static bool
take_dot_string(struct cursor *c, bool utf8, struct slice *out)
{
	const char *start = c->at, *p = start;
	while (p < c->end) {
		const char *atom = p;
		while (p < c->end && (is_atext(*p) || is_high(*p, utf8)))
			p++;
		if (p == atom)
			return false;
		if (p == c->end || *p != '.')
			break;
		p++;
		if (p == c->end)
			return false;
	}
	if (p == start)
		return false;
	*out = slice_of(start, (size_t)(p - start));
	c->at = p;
	return true;
}

/* Quoted-string = DQUOTE *QcontentSMTP DQUOTE; backslashes are undone. */
static bool
take_quoted(struct cursor *c, struct arena *a, bool utf8, struct slice *out)
{
	struct cursor in = *c;
	if (!take_char(&in, '"'))
		return false;
	const char *close = in.at;
	while (close < in.end && *close != '"') {
		bool pair = *close == '\\';
		if (pair && ++close == in.end)
			return false;
		bool graphic = *close >= 0x20 && *close <= 0x7e;
		if (!graphic && (pair || !is_high(*close, utf8)))
			return false; /* RFC 5321 4.1.2: no control characters, quoted or not */
		close++;
	}
	if (close >= in.end)
		return false;
	char *to = arena_alloc(a, (size_t)(close - in.at) + 1);
	size_t n = 0;
	for (const char *p = in.at; p < close; p++) {
		if (*p == '\\')
			p++;
		to[n++] = *p;
	}
	*out = slice_of(to, n);
	c->at = close + 1;
	return true;
}

static bool
is_let_dig(char c, bool utf8)
{
	return ascii_alpha(c) || ascii_digit(c) || is_high(c, utf8);
}

/* Domain = sub-domain *("." sub-domain); sub-domain = Let-dig [Ldh-str] */
static bool
take_domain(struct cursor *c, bool utf8, struct slice *out)
{
	const char *start = c->at, *p = start;
	for (;;) {
		const char *label = p;
		while (p < c->end && (is_let_dig(*p, utf8) || *p == '-'))
			p++;
		if (p == label || *label == '-' || p[-1] == '-')
			return false;
		if (p == c->end || *p != '.')
			break;
		p++;
	}
	*out = slice_of(start, (size_t)(p - start));
	c->at = p;
	return true;
}

static bool
is_address(int family, struct slice s)
{
	char text[INET6_ADDRSTRLEN + 1];
	unsigned char address[16];
	if (s.len == 0 || s.len >= sizeof text)
		return false;
	memcpy(text, s.at, s.len);
	text[s.len] = 0;
	return memchr(text, 0, s.len) == NULL && inet_pton(family, text, address) == 1;
}

/* RFC 5321 4.1.3; no tag but IPv6 was ever registered, so General-address-literal is refused. */
static bool
take_literal(struct cursor *c, struct slice *out)
{
	struct cursor in = *c;
	struct slice inside;
	if (!take_char(&in, '[') || !take_until_char(&in, ']', &inside))
		return false;
	bool ok = slice_starts_nocase(inside, S("IPv6:")) ? is_address(AF_INET6, slice_from(inside, 5))
	                                                  : is_address(AF_INET, inside);
	if (!ok)
		return false;
	in.at++;
	*out = slice_of(c->at, (size_t)(in.at - c->at));
	c->at = in.at;
	return true;
}

bool
take_domain_or_literal(struct cursor *c, bool utf8, struct slice *domain, bool *literal)
{
	struct cursor start = *c;
	bool not_ascii = false;
	*literal = peek(c) == '[';
	if ((*literal ? take_literal(c, domain) : take_domain(c, utf8, domain)) && utf8_ok(*domain, &not_ascii))
		return true;
	*c = start;
	return false;
}

/* Mailbox = Local-part "@" ( Domain / address-literal ) */
bool
take_mailbox(struct cursor *c, struct arena *a, bool utf8, struct path *p)
{
	struct cursor start = *c;
	*p = (struct path){ .quoted = peek(c) == '"' };
	bool ok = (p->quoted ? take_quoted(c, a, utf8, &p->local) : take_dot_string(c, utf8, &p->local)) &&
	          take_char(c, '@') && take_domain_or_literal(c, utf8, &p->domain, &p->literal) &&
	          utf8_ok(p->local, &p->utf8) && utf8_ok(p->domain, &p->utf8);
	if (!ok) {
		*c = start;
		return false;
	}
	if (!p->quoted)
		p->local = slice_keep(a, p->local);
	p->domain = slice_keep(a, p->domain);
	return true;
}

/* A-d-l ":", which MUST be accepted and SHOULD be ignored (RFC 5321 4.1.2). False: there is none. */
static bool
take_source_route(struct cursor *c, bool utf8)
{
	struct cursor in = *c;
	struct slice domain;
	do {
		if (!take_char(&in, '@') || !take_domain(&in, utf8, &domain))
			return false;
	} while (take_char(&in, ','));
	if (!take_char(&in, ':'))
		return false;
	*c = in;
	return true;
}

/* Path = "<" [ A-d-l ":" ] Mailbox ">" */
static bool
take_path(struct cursor *c, struct arena *a, bool utf8, struct path *p)
{
	struct cursor in = *c;
	if (!take_char(&in, '<'))
		return false;
	bool route = take_source_route(&in, utf8);
	if (!take_mailbox(&in, a, utf8, p) || !take_char(&in, '>'))
		return false;
	p->source_route = route;
	*c = in;
	return true;
}

bool
take_reverse_path(struct cursor *c, struct arena *a, bool utf8, struct path *p)
{
	if (take_exact(c, S("<>"))) {
		*p = (struct path){ .null = true };
		return true;
	}
	return take_path(c, a, utf8, p);
}

bool
take_forward_path(struct cursor *c, struct arena *a, bool utf8, struct path *p)
{
	struct slice start = cursor_rest(c);
	if (take_nocase(c, S("<Postmaster>"))) {
		*p = (struct path){ .postmaster_only = true };
		p->local = slice_keep(a, slice_part(start, 1, 10));
		return true;
	}
	return take_path(c, a, utf8, p);
}

bool
path_fits(const struct path *p)
{
	if (p->null)
		return true;
	if (p->local.len > PATH_LOCAL_BYTES_MAX || p->domain.len > PATH_DOMAIN_BYTES_MAX)
		return false;
	struct slice rest = p->domain, label;
	while (!p->literal && rest.len > 0) {
		slice_cut(rest, '.', &label, &rest);
		if (label.len > 63 && slice_is_ascii(label))
			return false; /* RFC 1035 2.3.4 */
	}
	return true;
}

void
path_put_parts(struct buf *to, struct slice local, struct slice domain)
{
	struct cursor c = cursor_of(local);
	struct slice whole;
	if (take_dot_string(&c, true, &whole) && cursor_done(&c)) {
		buf_put(to, local);
	} else {
		buf_put_char(to, '"');
		for (size_t i = 0; i < local.len; i++) {
			if (local.at[i] == '"' || local.at[i] == '\\')
				buf_put_char(to, '\\');
			buf_put_char(to, local.at[i]);
		}
		buf_put_char(to, '"');
	}
	if (domain.len == 0)
		return;
	buf_put_char(to, '@');
	buf_put(to, domain);
}

void
path_put(struct buf *to, const struct path *p)
{
	if (!p->null)
		path_put_parts(to, p->local, p->domain);
}
