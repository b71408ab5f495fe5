/* SPDX-License-Identifier: Apache-2.0 */
/* request.c - the grammar of RFC 9112 2 to 6 as far as it is spoken here. Called by http.c for each request, and by the
 * fuzzer. Keeps nothing; slices point into the head. */
#include "session/http/request.h"

#include "base/cursor.h"

/* RFC 9110 5.6.2 */
static bool
is_token_char(char ch)
{
	return ascii_alpha(ch) || ascii_digit(ch) || (ch && strchr("!#$%&'*+-.^_`|~", ch));
}

/* RFC 3986 3.3 and 3.4, and the percent sign */
static bool
is_target_char(char ch)
{
	return ascii_alpha(ch) || ascii_digit(ch) || (ch && strchr("-._~%!$&'()*+,;=:@/?", ch));
}

size_t
http_head_bytes(struct slice input)
{
	ptrdiff_t at = slice_find(input, S("\r\n\r\n"));
	return at < 0 ? 0 : (size_t)at + 4;
}

static bool
take_line(struct cursor *c, struct slice *line)
{
	if (!take_until_char(c, '\r', line))
		return take_char(c, '\r') && take_char(c, '\n') ? (*line = S(""), true) : false;
	return take_exact(c, S("\r\n"));
}

/* request-line = method SP request-target SP HTTP-version (RFC 9112 3) */
static unsigned
parse_request_line(struct slice line, struct http_request *r, const char **why)
{
	struct cursor c = cursor_of(line);
	struct slice target;
	*why = "the request line is malformed";
	if (!take_while(&c, is_token_char, &r->method) || !take_char(&c, ' '))
		return 400;
	if (!take_while(&c, is_target_char, &target) || target.at[0] != '/' || !take_char(&c, ' '))
		return 400;
	if (take_exact(&c, S("HTTP/1.0")))
		r->http_1_0 = true;
	else if (!take_exact(&c, S("HTTP/1.1")))
		return *why = "only HTTP/1.1 is spoken here", 505;
	if (!take_end(&c))
		return 400;
	if (target.len > HTTP_TARGET_BYTES_MAX)
		return *why = "the target is too long", 414;
	slice_cut(target, '?', &r->path, &r->query);
	return 0;
}

struct seen {
	unsigned fields, hosts, lengths;
};

static unsigned
take_field_value(struct slice name, struct slice value, struct http_request *r, struct seen *seen, const char **why)
{
	if (slice_equal_nocase(name, S("Host")))
		seen->hosts++;
	else if (slice_equal_nocase(name, S("Content-Type")))
		r->content_type = value;
	else if (slice_equal_nocase(name, S("Accept-Language")))
		r->accept_language = value;
	else if (slice_equal_nocase(name, S("Expect")))
		r->expects_continue = slice_equal_nocase(value, S("100-continue"));
	else if (slice_equal_nocase(name, S("Transfer-Encoding")))
		return *why = "transfer codings are not accepted: send Content-Length", 501;
	else if (slice_equal_nocase(name, S("Connection"))) {
		if (slice_equal_nocase(value, S("close")))
			r->keep_alive = false;
	} else if (slice_equal_nocase(name, S("Content-Length"))) {
		/* RFC 9112 6.3: two lengths, or one that is no number, are an attack or a mistake */
		if (seen->lengths++ || !slice_to_u64(value, &r->body_bytes))
			return *why = "Content-Length must be one number", 400;
		if (r->body_bytes > HTTP_BODY_BYTES_MAX)
			return *why = "the body is too large: at most 1 MiB", 413;
	}
	return 0;
}

/* field-line = field-name ":" OWS field-value OWS; no folding (RFC 9112 5) */
static unsigned
parse_field(struct slice line, struct http_request *r, struct seen *seen, const char **why)
{
	struct cursor c = cursor_of(line);
	struct slice name;
	if (!take_while(&c, is_token_char, &name) || !take_char(&c, ':'))
		return *why = "a header field is malformed", 400;
	struct slice value = slice_trim(cursor_rest(&c));
	for (size_t i = 0; i < value.len; i++)
		if (((unsigned char)value.at[i] < ' ' && value.at[i] != '\t') || value.at[i] == 0x7f)
			return *why = "a header field holds a control character", 400;
	return take_field_value(name, value, r, seen, why);
}

unsigned
http_request_parse(struct slice head, struct http_request *r, const char **why)
{
	*r = (struct http_request){ .keep_alive = true };
	struct seen seen = { 0 };
	struct cursor c = cursor_of(head);
	struct slice line;
	take_exact(&c, S("\r\n")); /* RFC 9112 2.2: one empty line before it is forgiven */
	*why = "the request is malformed";
	if (head.len > HTTP_HEAD_BYTES_MAX)
		return *why = "the header is too large", 431;
	if (!take_line(&c, &line))
		return 400;
	unsigned status = parse_request_line(line, r, why);
	while (status == 0) {
		*why = "the request is malformed";
		if (!take_line(&c, &line))
			return 400;
		if (line.len == 0)
			break;
		if (++seen.fields > HTTP_FIELDS_MAX)
			return *why = "too many header fields", 431;
		status = parse_field(line, r, &seen, why);
	}
	if (status == 0 && (seen.hosts > 1 || (seen.hosts == 0 && !r->http_1_0)))
		return *why = "exactly one Host field is needed", 400; /* RFC 9112 3.2 */
	if (r->http_1_0)
		r->keep_alive = false;
	return status;
}

bool
http_decode(struct slice text, struct arena *a, struct slice *out)
{
	char *to = arena_alloc(a, text.len + 1);
	size_t len = 0;
	for (size_t i = 0; i < text.len; i++) {
		char ch = text.at[i];
		if (ch == '%') {
			if (text.len - i < 3 || hex_value(text.at[i + 1]) < 0 || hex_value(text.at[i + 2]) < 0)
				return false;
			ch = (char)(hex_value(text.at[i + 1]) * 16 + hex_value(text.at[i + 2]));
			i += 2;
		}
		to[len++] = ch;
	}
	*out = slice_of(to, len);
	return !slice_has_control(*out);
}

bool
http_query_next(struct slice *query, struct slice name, struct arena *a, struct slice *value)
{
	while (query->len) {
		struct slice pair, key, rest;
		slice_cut(*query, '&', &pair, query);
		slice_cut(pair, '=', &key, &rest);
		if (slice_equal(key, name) && http_decode(rest, a, value))
			return true;
	}
	return false;
}
