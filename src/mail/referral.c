/* SPDX-License-Identifier: Apache-2.0 */
/* referral.c - see referral.h. Called by the store, which keeps referrals, and by sessions, which give them. Nothing
 * fails but what is malformed. */
#include "mail/referral.h"

#include "base/buf.h"
#include "base/cursor.h"

#include <string.h>

/* ---- the grammar, RFC 2192 11 */

/* uchar, "&", "=", "~"; what encoded characters stand for is not of interest but for controls */
static bool
is_achar(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || (c && strchr("$-_.+!*'(),&=~", c));
}

static bool
is_bchar(char c)
{
	return is_achar(c) || c == ':' || c == '@' || c == '/';
}

/* 1*(character / "%" HEXDIG HEXDIG); no encoded controls. */
static bool
take_encoded(struct cursor *c, bool (*is)(char c), struct slice *text)
{
	struct slice rest = cursor_rest(c);
	size_t n = 0;
	while (n < rest.len) {
		if (rest.at[n] == '%') {
			int high = n + 2 < rest.len ? hex_value(rest.at[n + 1]) : -1;
			int low = high >= 0 ? hex_value(rest.at[n + 2]) : -1;
			if (low < 0 || high < 2 || (high == 7 && low == 15))
				return false;
			n += 3;
		} else if (is(rest.at[n])) {
			n++;
		} else {
			break;
		}
	}
	return n > 0 && take_bytes(c, n, text);
}

static bool
is_host_char(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '-' || c == '.';
}

/* A name, or an address of IPv4: labels of 1 to 63 letters, digits and hyphens. */
static bool
take_host(struct cursor *c, struct slice *host)
{
	if (!take_while(c, is_host_char, host) || host->len > 255)
		return false;
	struct slice left = *host, label;
	while (left.len) {
		bool more = slice_cut(left, '.', &label, &left);
		if (!label.len || label.len > 63 || label.at[0] == '-' || label.at[label.len - 1] == '-' || (more && !left.len))
			return false;
		if (!more)
			break;
	}
	return true;
}

static bool
take_port(struct cursor *c, struct slice *port)
{
	uint64_t n;
	if (!take_char(c, ':'))
		return true;
	return take_while(c, ascii_digit, port) && port->len <= 5 && slice_to_u64(*port, &n) && n > 0 && n < 65536;
}

/* [user] [";AUTH=" ("*" / mechanism)] "@" */
static bool
take_user(struct cursor *c, struct referral *r)
{
	struct cursor p = *c;
	if (slice_find_char(cursor_rest(c), '@') < 0)
		return true;
	struct slice authority = cursor_rest(c), mailbox;
	slice_cut(authority, '/', &authority, &mailbox);
	if (slice_find_char(authority, '@') < 0) /* it is in the mailbox */
		return true;
	bool named = peek(&p) == ';' || take_encoded(&p, is_achar, &r->user);
	if (!named || (take_nocase(&p, S(";AUTH=")) && !take_encoded(&p, is_achar, &r->mechanism)) || !take_char(&p, '@') ||
	    !(r->user.len || r->mechanism.len))
		return false;
	*c = p;
	return true;
}

bool
referral_take(struct slice text, struct referral *r)
{
	struct cursor c = cursor_of(text);
	*r = (struct referral){ 0 };
	if (text.len > REFERRAL_BYTES_MAX || !take_nocase(&c, S("imap://")) || !take_user(&c, r) ||
	    !take_host(&c, &r->host) || !take_port(&c, &r->port))
		return false;
	if (take_char(&c, '/') && peek(&c) != '/' && !take_end(&c) && !take_encoded(&c, is_bchar, &r->mailbox))
		return false;
	return take_end(&c) && !slice_ends(r->mailbox, S("/"));
}

/* ---- writing */

static void
put_encoded(struct buf *to, struct slice text, bool (*is)(char c))
{
	for (size_t i = 0; i < text.len; i++) {
		if (is(text.at[i]))
			buf_put_char(to, text.at[i]);
		else
			buf_printf(to, "%%%02X", (unsigned)(uint8_t)text.at[i]);
	}
}

struct slice
referral_url(const struct referral *r, struct slice user, struct slice rest, struct arena *a)
{
	struct buf b;
	buf_init(&b, 3 * (REFERRAL_BYTES_MAX + user.len + rest.len) + 100);
	buf_put(&b, S("imap://"));
	if (r->user.len)
		buf_put(&b, r->user);
	else
		put_encoded(&b, user, is_achar);
	buf_put(&b, S(";AUTH="));
	buf_put(&b, r->mechanism.len ? r->mechanism : S("*"));
	buf_put_char(&b, '@');
	buf_put(&b, r->host);
	if (r->port.len) {
		buf_put_char(&b, ':');
		buf_put(&b, r->port);
	}
	buf_put_char(&b, '/');
	buf_put(&b, r->mailbox);
	put_encoded(&b, rest, is_bchar);
	struct slice url = slice_keep(a, buf_slice(&b));
	buf_release(&b);
	return url;
}
