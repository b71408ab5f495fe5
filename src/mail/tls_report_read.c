/* SPDX-License-Identifier: Apache-2.0 */
/* tls_report_read.c - see tls_report_read.h. Finds the part, undoes base64 and gzip within bounds, looks at how deep
 * the JSON goes before it is parsed (the parser is recursive), and copies what is known. */
#include "mail/tls_report_read.h"

#include "mail/charset.h"
#include "mail/date.h"
#include "mail/mime.h"
#include "mail/transfer.h"

#include <jansson.h>
#include <zlib.h>

#define PARTS_MAX 100 /* that are looked at */
#define DAY_SEC 86400
#define COUNT_MAX (1ll << 53) /* RFC 7493 2.2 */

/* ---- the part */

static bool
is_report(const struct mime_part *p)
{
	return slice_equal_nocase(p->type, S("application")) &&
	       (slice_equal_nocase(p->subtype, S("tlsrpt+gzip")) || slice_equal_nocase(p->subtype, S("tlsrpt+json")));
}

static bool
find_part(struct slice message, struct buf *to)
{
	struct mime m;
	struct arena a;
	bool found = false;
	arena_init(&a, 0);
	mime_init(&m);
	mime_parse(&m, message, &a);
	for (size_t i = 0; i < m.count && i < PARTS_MAX && !found; i++) {
		const struct mime_part *p = mime_part(&m, i);
		if (!is_report(p))
			continue;
		found = true;
		transfer_decode(p->at.encoding, slice_part(message, p->at.body, p->at.end - p->at.body), to);
	}
	mime_release(&m);
	arena_release(&a);
	return found;
}

/* RFC 1952. What it says of itself counts, not the media type. False: broken, cut, or larger than anybody needs. */
static bool
gunzip(struct slice in, struct buf *to)
{
	z_stream z = { 0 };
	int state = Z_OK;
	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return false;
	z.next_in = (unsigned char *)in.at;
	z.avail_in = (unsigned)in.len;
	while (state == Z_OK && to->len < TLS_REPORT_JSON_BYTES_MAX &&
	       buf_room(to, MIN(65536u, TLS_REPORT_JSON_BYTES_MAX - to->len))) {
		size_t room = MIN(65536u, TLS_REPORT_JSON_BYTES_MAX - to->len);
		z.next_out = (unsigned char *)to->at + to->len;
		z.avail_out = (unsigned)room;
		state = inflate(&z, Z_NO_FLUSH);
		to->len += room - z.avail_out;
		if (z.avail_in == 0 && z.avail_out > 0 && state == Z_OK)
			break; /* cut short */
	}
	(void)inflateEnd(&z);
	return state == Z_STREAM_END;
}

/* ---- JSON */

/* How deep it goes is known without parsing. */
static bool
is_shallow(struct slice json)
{
	size_t depth = 0;
	bool quoted = false;
	for (size_t i = 0; i < json.len; i++) {
		char c = json.at[i];
		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '[' || c == '{') && ++depth > TLS_REPORT_DEPTH_MAX)
			return false;
		else if (!quoted && (c == ']' || c == '}') && depth > 0)
			depth--;
	}
	return true;
}

/* A text of theirs, short and on one line. */
static json_t *
clean(const json_t *o, const char *name, size_t max)
{
	const json_t *value = json_object_get(o, name);
	struct slice s = slice_of(json_string_value(value), json_string_length(value));
	struct buf text;
	buf_init(&text, max + 1);
	s = utf8_prefix(s, max);
	for (size_t i = 0; i < s.len; i++)
		buf_put_char(&text, (unsigned char)s.at[i] < 0x20 || s.at[i] == 0x7f ? ' ' : s.at[i]);
	json_t *j = json_stringn(text.at ? text.at : "", text.len);
	buf_release(&text);
	return j ? j : json_string("");
}

static json_int_t
number(const json_t *o, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(o, name));
	return MAX(MIN(n, (json_int_t)COUNT_MAX), (json_int_t)0);
}

static int64_t
moment(const json_t *o, const char *name)
{
	int64_t sec = 0;
	const json_t *value = json_object_get(o, name);
	struct slice text = slice_of(json_string_value(value), json_string_length(value));
	return date_parse_rfc3339(text, &sec) ? MAX(MIN(sec, (int64_t)253402300799), (int64_t)0) : 0;
}

static void
add_details(const json_t *row, json_t *out)
{
	size_t i;
	const json_t *d;
	json_array_foreach(json_object_get(row, "failure-details"), i, d)
	{
		if (json_array_size(out) >= TLS_REPORT_READ_DETAILS_MAX)
			return;
		json_t *one = json_object();
		json_object_set_new(one, "result", clean(d, "result-type", 50));
		json_object_set_new(one, "count", json_integer(number(d, "failed-session-count")));
		json_object_set_new(one, "mx", clean(d, "receiving-mx-hostname", 100));
		json_object_set_new(one, "from", clean(d, "sending-mta-ip", 50));
		json_object_set_new(one, "to", clean(d, "receiving-ip", 50));
		json_object_set_new(one, "why", clean(d, "failure-reason-code", 100));
		json_array_append_new(out, one);
	}
}

static void
add_policies(const json_t *report, json_t *to)
{
	size_t i;
	const json_t *row;
	json_int_t good = 0, bad = 0;
	json_t *policies = json_array(), *failures = json_array();
	json_array_foreach(json_object_get(report, "policies"), i, row)
	{
		const json_t *policy = json_object_get(row, "policy"), *sums = json_object_get(row, "summary");
		json_int_t ok = number(sums, "total-successful-session-count");
		json_int_t failed = number(sums, "total-failure-session-count");
		good = MIN(good + ok, (json_int_t)COUNT_MAX);
		bad = MIN(bad + failed, (json_int_t)COUNT_MAX);
		add_details(row, failures);
		if (json_array_size(policies) >= TLS_REPORT_READ_POLICIES_MAX)
			continue;
		json_t *one = json_object();
		json_object_set_new(one, "type", clean(policy, "policy-type", 50));
		json_object_set_new(one, "domain", clean(policy, "policy-domain", 255));
		json_object_set_new(one, "success", json_integer(ok));
		json_object_set_new(one, "failure", json_integer(failed));
		json_array_append_new(policies, one);
	}
	json_object_set_new(to, "success", json_integer(good));
	json_object_set_new(to, "failure", json_integer(bad));
	json_object_set_new(to, "policies", policies);
	json_object_set_new(to, "failures", failures);
}

/* RFC 8460 4.4: without these nobody could tell what it is about. */
static bool
is_whole(const json_t *report)
{
	const json_t *policies = json_object_get(report, "policies");
	return moment(json_object_get(report, "date-range"), "start-datetime") > 0 &&
	       json_is_string(json_object_get(report, "organization-name")) &&
	       json_is_string(json_object_get(report, "report-id")) && json_is_array(policies) &&
	       json_is_object(json_object_get(json_array_get(policies, 0), "policy"));
}

static json_t *
normalize(const json_t *report)
{
	const json_t *range = json_object_get(report, "date-range"), *first;
	json_t *to = json_object();
	int64_t begin = moment(range, "start-datetime");
	first = json_object_get(json_array_get(json_object_get(report, "policies"), 0), "policy");
	json_object_set_new(to, "day", json_integer(begin / DAY_SEC));
	json_object_set_new(to, "domain", clean(first, "policy-domain", 255));
	json_object_set_new(to, "organization", clean(report, "organization-name", 100));
	json_object_set_new(to, "contact", clean(report, "contact-info", 254));
	json_object_set_new(to, "id", clean(report, "report-id", 150));
	json_object_set_new(to, "begin", json_integer(begin));
	json_object_set_new(to, "end", json_integer(moment(range, "end-datetime")));
	add_policies(report, to);
	return to;
}

static bool
put_small(json_t *o, struct buf *to)
{
	char *text = json_dumps(o, JSON_COMPACT);
	bool fits = text && strlen(text) <= TLS_REPORT_READ_BYTES_MAX;
	if (fits)
		buf_put(to, slice_text(text));
	free(text);
	return fits;
}

/* Letters, digits and a few signs, in lower case; the rest becomes "-". */
static void
put_word(struct buf *to, const json_t *o, const char *member, size_t max)
{
	struct slice s = slice_text(json_string_value(json_object_get(o, member)));
	for (size_t i = 0; i < s.len && i < max; i++) {
		char c = ascii_lower(s.at[i]);
		bool plain = ascii_alpha(c) || ascii_digit(c) || c == '.' || c == '_' || c == '@';
		buf_put_char(to, plain ? c : '-');
	}
}

static void
put_name(const json_t *o, struct buf *to)
{
	buf_printf(to, "%07lld ", (long long)json_integer_value(json_object_get(o, "day")));
	put_word(to, o, "domain", 255);
	buf_put_char(to, ' ');
	put_word(to, o, "organization", 100);
	buf_put_char(to, ' ');
	put_word(to, o, "id", 150);
}

static bool
read_json(struct slice json, struct buf *name, struct buf *to)
{
	json_t *report =
	    is_shallow(json) ? json_loadb(json.at ? json.at : "", json.len, JSON_REJECT_DUPLICATES, NULL) : NULL;
	bool good = report && is_whole(report);
	if (good) {
		json_t *o = normalize(report);
		good = put_small(o, to);
		if (!good) { /* many letters that JSON writes as six */
			json_object_set_new(o, "failures", json_array());
			json_object_set_new(o, "policies", json_array());
			good = put_small(o, to);
		}
		put_name(o, name);
		json_decref(o);
	}
	json_decref(report);
	return good;
}

enum tls_report_found
tls_report_read(struct slice message, struct buf *name, struct buf *to)
{
	struct buf packed, json;
	buf_init(&packed, TLS_REPORT_PACKED_BYTES_MAX);
	buf_init(&json, TLS_REPORT_JSON_BYTES_MAX);
	enum tls_report_found result = TLS_REPORT_NONE;
	if (find_part(message, &packed)) {
		bool zipped = slice_starts(buf_slice(&packed), S("\x1f\x8b"));
		bool good = !packed.over && (!zipped || gunzip(buf_slice(&packed), &json));
		good = good && read_json(zipped ? buf_slice(&json) : buf_slice(&packed), name, to);
		result = good ? TLS_REPORT_FOUND : TLS_REPORT_BROKEN;
	}
	buf_release(&packed);
	buf_release(&json);
	return result;
}
