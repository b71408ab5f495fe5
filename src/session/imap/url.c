/* SPDX-License-Identifier: Apache-2.0 */
/* url.c - IMAP URLs (RFC 5092 11): [imap://[user[;AUTH=x]@]host[:port]/] mailbox [;UIDVALIDITY=n] /;UID=n
 * [/;SECTION=s] [/;PARTIAL=n.n] [;EXPIRE=time] [;URLAUTH=access[:mechanism:token]]. Mailbox names are UTF-8 in
 * percent-encoding. What is signed are the bytes of the URL as they are (RFC 4467 6). */
#include "session/imap/url.h"

#include "mail/date.h"

/* Undoes percent-encoding; false: malformed, or a NUL, CR or LF. */
static bool
decode(struct arena *a, struct slice s, struct slice *out)
{
	char *to = arena_alloc(a, s.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];
		if (c == '%') {
			int high = s.len - i > 2 ? hex_value(s.at[i + 1]) : -1;
			int low = s.len - i > 2 ? hex_value(s.at[i + 2]) : -1;
			if (high < 0 || low < 0)
				return false;
			c = (char)(high * 16 + low);
			i += 2;
		}
		if (c == '\0' || c == '\r' || c == '\n')
			return false;
		to[n++] = c;
	}
	*out = slice_of(to, n);
	return slice_is_utf8(*out);
}

/* Where `word` stands in s, in any case; s.len: nowhere. */
static size_t
find_nocase(struct slice s, struct slice word)
{
	ptrdiff_t at = slice_find_nocase(s, word);
	return at < 0 ? s.len : (size_t)at;
}

static bool
number_of(struct slice s, uint32_t *n)
{
	struct cursor c = cursor_of(s);
	return imap_take_nz_number(&c, n) && take_end(&c);
}

/* iserver = [enc_user [";AUTH=" type] "@"] hostport "/" */
static bool
take_server(struct slice *rest, struct arena *a, struct imap_url *url)
{
	ptrdiff_t slash = slice_find_char(*rest, '/');
	if (slash < 0)
		return false;
	struct slice server = slice_part(*rest, 0, (size_t)slash);
	*rest = slice_from(*rest, (size_t)slash);
	ptrdiff_t at = slice_find_last_char(server, '@');
	if (at >= 0) {
		struct slice user = slice_part(server, 0, (size_t)at);
		server = slice_from(server, (size_t)at + 1);
		ptrdiff_t auth = slice_find_char(user, ';');
		if (!decode(a, slice_part(user, 0, auth >= 0 ? (size_t)auth : user.len), &url->user))
			return false;
	}
	ptrdiff_t colon = slice_find_last_char(server, ':');
	url->host = colon >= 0 && slice_find_char(server, ']') < colon ? slice_part(server, 0, (size_t)colon) : server;
	url->absolute = true;
	return url->host.len > 0;
}

/* enc_mailbox [";UIDVALIDITY=" n] */
static bool
take_mailbox(struct slice text, struct arena *a, struct imap_url *url)
{
	static const struct slice word = S_ROW(";UIDVALIDITY=");
	if (slice_ends(text, S("/"))) /* of "/;UID=" */
		text.len--;
	size_t at = find_nocase(text, word);
	if (at < text.len && !number_of(slice_from(text, at + word.len), &url->uidvalidity))
		return false;
	url->rooted = slice_starts(text, S("/"));
	text = slice_part(text, 0, at);
	if (slice_starts(text, S("/")))
		text = slice_from(text, 1);
	if (slice_find_char(text, ';') >= 0 || slice_find_char(text, '?') >= 0 || !decode(a, text, &url->mailbox))
		return false;
	if (slice_equal_nocase(url->mailbox, S("INBOX")))
		url->mailbox = S("INBOX");
	return true;
}

static bool
take_section(struct slice text, struct arena *a, struct imap_url *url)
{
	struct slice section;
	struct imap_section *s = &url->section;
	if (!decode(a, text, &section) || !section.len)
		return false;
	struct cursor c = cursor_of(arena_join(a, section, S("]")));
	return imap_take_section_spec(&c, a, s) && take_char(&c, ']') && take_end(&c);
}

static bool
is_no_semicolon(char c)
{
	return c != ';';
}

/* achar, without what the grammar has a use for (RFC 5092 11) */
static bool
is_of_user(char c)
{
	return c != ';' && c != ':' && c != '/' && c != '@' && c != '?';
}

static bool
is_of_mechanism(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '-' || c == '.';
}

static bool
is_hex(char c)
{
	return hex_value(c) >= 0;
}

/* ["/;SECTION=" s] */
static bool
take_section_part(struct cursor *c, struct arena *a, struct imap_url *url)
{
	struct slice text;
	if (!take_nocase(c, S("/;SECTION=")))
		return true;
	if (!take_while(c, is_no_semicolon, &text))
		return false;
	if (slice_ends(text, S("/")) && !cursor_done(c)) { /* of "/;PARTIAL=" */
		text.len--;
		c->at--;
	}
	return take_section(text, a, url);
}

/* ["/;PARTIAL=" number ["." nz-number]] */
static bool
take_partial(struct cursor *c, struct imap_url *url)
{
	if (!take_nocase(c, S("/;PARTIAL=")))
		return true;
	url->partial = true;
	url->count = UINT64_MAX;
	if (!take_u64(c, &url->from))
		return false;
	return !take_char(c, '.') || (take_u64(c, &url->count) && url->count > 0);
}

/* [";EXPIRE=" date-time] */
static bool
take_expire(struct cursor *c, struct imap_url *url)
{
	struct slice text;
	if (!take_nocase(c, S(";EXPIRE=")))
		return true;
	return take_while(c, is_no_semicolon, &text) && date_parse_rfc3339(text, &url->expires) && url->expires > 0;
}

/* access = ("submit+" enc-user) / ("user+" enc-user) / "authuser" / "anonymous" */
static bool
take_access(struct cursor *c, struct arena *a, struct imap_url *url)
{
	static const struct {
		struct slice word;
		enum imap_url_access access;
	} words[] = {
		{ S_ROW("submit+"), ACCESS_SUBMIT },
		{ S_ROW("user+"), ACCESS_USER },
		{ S_ROW("authuser"), ACCESS_AUTHUSER },
		{ S_ROW("anonymous"), ACCESS_ANONYMOUS },
	};
	size_t i = 0;
	struct slice user;
	while (i < COUNT_OF(words) && !take_nocase(c, words[i].word))
		i++;
	if (i == COUNT_OF(words))
		return false;
	url->access = words[i].access;
	if (url->access != ACCESS_SUBMIT && url->access != ACCESS_USER)
		return true;
	return take_while(c, is_of_user, &user) && decode(a, user, &url->access_user) &&
	       url->access_user.len <= IMAP_URL_USER_BYTES_MAX;
}

/* [":" mechanism ":" enc-urlauth]: the token in bytes. One that this server cannot have made is as good as none. */
static bool
take_token(struct cursor *c, struct arena *a, struct imap_url *url)
{
	struct slice mechanism, hex;
	if (!take_char(c, ':'))
		return true;
	if (!take_while(c, is_of_mechanism, &mechanism) || !take_char(c, ':') || !take_while(c, is_hex, &hex) ||
	    hex.len < 32)
		return false;
	url->verified = true;
	if (!slice_equal_nocase(mechanism, S("INTERNAL")) || hex.len != 2 * (size_t)URL_TOKEN_BYTES)
		return true;
	char *token = arena_alloc(a, URL_TOKEN_BYTES);
	for (size_t i = 0; i < URL_TOKEN_BYTES; i++)
		token[i] = (char)(hex_value(hex.at[2 * i]) * 16 + hex_value(hex.at[2 * i + 1]));
	url->token = slice_of(token, URL_TOKEN_BYTES);
	return true;
}

/* [expire] [";URLAUTH=" access [token]]; text: the whole URL */
static bool
take_authorization(struct cursor *c, struct slice text, struct arena *a, struct imap_url *url)
{
	if (!take_expire(c, url))
		return false;
	if (!take_nocase(c, S(";URLAUTH=")))
		return !url->expires; /* RFC 5092 6.1.1: EXPIRE belongs to URLAUTH */
	if (!take_access(c, a, url))
		return false;
	url->authorized = true;
	url->rump = slice_part(text, 0, (size_t)(c->at - text.at));
	return take_token(c, a, url);
}

bool
imap_url_parse(struct slice text, struct arena *a, struct imap_url *url)
{
	static const struct slice scheme = S_ROW("imap://"), word = S_ROW(";UID=");
	struct slice rest = text;
	*url = (struct imap_url){ .absolute = false };
	if (text.len > IMAP_URL_BYTES_MAX)
		return false;
	if (slice_starts_nocase(rest, scheme)) {
		rest = slice_from(rest, scheme.len);
		if (!take_server(&rest, a, url))
			return false;
	}
	size_t at = find_nocase(rest, word);
	if (at == rest.len || !take_mailbox(slice_part(rest, 0, at), a, url))
		return false;
	struct cursor c = cursor_of(slice_from(rest, at + word.len));
	return imap_take_nz_number(&c, &url->uid) && take_section_part(&c, a, url) && take_partial(&c, url) &&
	       take_authorization(&c, text, a, url) && take_end(&c);
}
