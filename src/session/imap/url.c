/* SPDX-License-Identifier: Apache-2.0 */
/* url.c - IMAP URLs (RFC 2192 12): [imap://[user[;AUTH=x]@]host[:port]/] mailbox [;UIDVALIDITY=n] /;UID=n
 * [/;SECTION=s]. Mailbox names are UTF-8 in percent-encoding (section 9). What URLAUTH adds is no part of it. */
#include "session/imap/url.h"

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

/* "/;UID=n" ["/;SECTION=s"] */
static bool
take_part(struct slice text, struct arena *a, struct imap_url *url)
{
	static const struct slice word = S_ROW("/;SECTION=");
	size_t at = find_nocase(text, word);
	if (at < text.len && !take_section(slice_from(text, at + word.len), a, url))
		return false;
	return number_of(slice_part(text, 0, at), &url->uid);
}

bool
imap_url_parse(struct slice text, struct arena *a, struct imap_url *url)
{
	static const struct slice scheme = S_ROW("imap://"), word = S_ROW(";UID=");
	*url = (struct imap_url){ .absolute = false };
	if (text.len > IMAP_URL_BYTES_MAX)
		return false;
	if (slice_starts_nocase(text, scheme)) {
		text = slice_from(text, scheme.len);
		if (!take_server(&text, a, url))
			return false;
	}
	size_t at = find_nocase(text, word);
	return at < text.len && take_part(slice_from(text, at + word.len), a, url) &&
	       take_mailbox(slice_part(text, 0, at), a, url);
}
