/* SPDX-License-Identifier: Apache-2.0 */
/* tls_report_rows.c - see tls_report_rows.h. Called by tls_report.c (counting) and tls_report_send.c (sending). */
#include "relay/tls_report_rows.h"

#include <openssl/evp.h>
#include <time.h>
#include <zlib.h>

#define DAY_SEC 86400

/* What strangers wrote, as the JSON text that a report may have: I-JSON (RFC 7493), no control characters. */
static json_t *
text_json(struct slice s, size_t max)
{
	char text[300];
	size_t n = MIN(MIN(s.len, max), sizeof text);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s.at[i];
		text[i] = c < 0x20 || c >= 0x7f ? '?' : (char)c;
	}
	return json_stringn(text, n);
}

static json_t *
lines_json(struct slice lines)
{
	json_t *list = json_array();
	for (struct slice line; lines.len;) {
		slice_cut(lines, '\n', &line, &lines);
		line = slice_trim(line);
		if (line.len)
			json_array_append_new(list, text_json(line, 300));
	}
	return list;
}

static json_t *
policy_json(const struct tls_session *s)
{
	json_t *p = json_object();
	json_object_set_new(p, "policy-type", json_string(tls_report_policy_word(s->type)));
	if (s->type != TLS_REPORT_NO_POLICY)
		json_object_set_new(p, "policy-string", lines_json(slice_part(s->policy, 0, TLS_REPORT_POLICY_BYTES_MAX)));
	json_object_set_new(p, "policy-domain", text_json(s->policy_domain, 255));
	if (s->type == TLS_REPORT_STS)
		json_object_set_new(p, "mx-host", lines_json(slice_part(s->mx, 0, TLS_REPORT_POLICY_BYTES_MAX)));
	return p;
}

/* The row of that policy, a new one when there is room. */
static json_t *
row_of(json_t *rows, const struct tls_session *s)
{
	size_t i;
	json_t *row, *policy = policy_json(s);
	json_array_foreach(rows, i, row) if (json_equal(json_object_get(row, "policy"), policy))
	{
		json_decref(policy);
		return row;
	}
	if (json_array_size(rows) >= TLS_REPORT_POLICIES_MAX) {
		json_decref(policy);
		return NULL;
	}
	json_t *sums = json_object();
	json_object_set_new(sums, "total-successful-session-count", json_integer(0));
	json_object_set_new(sums, "total-failure-session-count", json_integer(0));
	row = json_object();
	json_object_set_new(row, "policy", policy);
	json_object_set_new(row, "summary", sums);
	json_array_append_new(rows, row);
	return row;
}

static void
count_in(json_t *o, const char *name, uint64_t n)
{
	json_int_t before = json_integer_value(json_object_get(o, name));
	json_object_set_new(o, name, json_integer(before + (json_int_t)MIN(n, (uint64_t)INT32_MAX)));
}

static void
set_text(json_t *o, const char *name, struct slice value, size_t max)
{
	if (value.len)
		json_object_set_new(o, name, text_json(value, max));
}

static json_t *
detail_json(const struct tls_session *s)
{
	json_t *d = json_object();
	json_object_set_new(d, "result-type", json_string(tls_result_word(s->result)));
	set_text(d, "sending-mta-ip", s->from_ip, 64);
	set_text(d, "receiving-mx-hostname", s->host, 255);
	set_text(d, "receiving-ip", s->ip, 64);
	set_text(d, "failure-reason-code", s->why, 120);
	return d;
}

/* The same but for the count. */
static bool
detail_equal(const json_t *have, const json_t *want)
{
	const char *name;
	json_t *value;
	if (json_object_size(have) != json_object_size(want) + 1)
		return false;
	json_object_foreach((json_t *)want, name, value) if (!json_equal(json_object_get(have, name), value)) return false;
	return true;
}

static size_t
details_of_all(const json_t *rows)
{
	size_t i, n = 0;
	json_t *row;
	json_array_foreach((json_t *)rows, i, row) n += json_array_size(json_object_get(row, "failure-details"));
	return n;
}

static void
add_detail(const json_t *rows, json_t *row, const struct tls_session *s, uint64_t n)
{
	size_t i;
	json_t *have, *want = detail_json(s), *list = json_object_get(row, "failure-details");
	if (!list) {
		list = json_array();
		json_object_set_new(row, "failure-details", list);
	}
	json_array_foreach(list, i, have) if (detail_equal(have, want))
	{
		count_in(have, "failed-session-count", n);
		json_decref(want);
		return;
	}
	if (details_of_all(rows) >= TLS_REPORT_DETAILS_MAX) {
		json_decref(want);
		return;
	}
	count_in(want, "failed-session-count", n);
	json_array_append_new(list, want);
}

bool
tls_report_add(json_t *o, const struct tls_session *s, uint64_t n)
{
	json_t *rows = json_object_get(o, "policies");
	if (!json_is_array(rows)) {
		rows = json_array();
		json_object_set_new(o, "policies", rows);
	}
	json_t *row = row_of(rows, s);
	if (!row)
		return false;
	bool good = s->result == TLS_RESULT_SUCCESS;
	count_in(json_object_get(row, "summary"), good ? "total-successful-session-count" : "total-failure-session-count",
	         n);
	if (!good)
		add_detail(rows, row, s, n);
	return true;
}

void
tls_report_sums(const json_t *o, uint64_t *good, uint64_t *bad)
{
	size_t i;
	json_t *row;
	*good = *bad = 0;
	json_array_foreach(json_object_get(o, "policies"), i, row)
	{
		const json_t *sums = json_object_get(row, "summary");
		*good += (uint64_t)json_integer_value(json_object_get(sums, "total-successful-session-count"));
		*bad += (uint64_t)json_integer_value(json_object_get(sums, "total-failure-session-count"));
	}
}

/* ---- when, and under which name */

void
tls_report_digest(struct slice x, struct slice y, int64_t day, unsigned char out[16])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	struct buf text;
	buf_init(&text, 2000);
	buf_put_u64(&text, (uint64_t)day);
	buf_put_char(&text, ' ');
	buf_put(&text, slice_part(x, 0, 500));
	buf_put_char(&text, ' ');
	buf_put(&text, slice_part(y, 0, 500));
	ASSERT(EVP_Digest(text.at, text.len, sum, &len, EVP_sha256(), NULL) == 1 && len >= 16);
	memcpy(out, sum, 16);
	buf_release(&text);
}

int64_t
tls_report_due(const char *sender, struct slice domain, int64_t day)
{
	unsigned char sum[16];
	tls_report_digest(slice_text(sender), domain, day, sum);
	int64_t spread = TLS_REPORT_SPREAD_SEC - TLS_REPORT_REST_SEC;
	return (day + 1) * DAY_SEC + TLS_REPORT_REST_SEC + (int64_t)bytes_get_le(sum, 4) % spread;
}

struct slice
tls_report_name(struct arena *a, int64_t due, struct slice domain)
{
	return arena_printf(a, "%012lld %.*s", (long long)due, SLICE_ARG(domain));
}

bool
tls_report_name_read(struct slice name, int64_t *due, struct slice *domain)
{
	struct slice number;
	uint64_t n;
	if (!slice_cut(name, ' ', &number, domain) || number.len != 12 || !slice_to_u64(number, &n) || domain->len == 0)
		return false;
	*due = (int64_t)n;
	return true;
}

/* A quarter of an hour, then twice as long each time: the last one is 15 3/4 hours after the first. */
int64_t
tls_report_again(int64_t now, unsigned tries)
{
	return tries >= TLS_REPORT_TRIES_MAX ? 0 : now + (900LL << (MAX(tries, 1u) - 1));
}

/* ---- the report */

struct slice
tls_report_id(struct arena *a, struct slice submitter, struct slice domain, int64_t day)
{
	unsigned char sum[16];
	tls_report_digest(submitter, domain, day, sum);
	return arena_printf(a, "%lld.%016llx@%.*s", (long long)day * DAY_SEC, (unsigned long long)bytes_get_be(sum, 8),
	                    SLICE_ARG(submitter));
}

/* RFC 3339 5.6 */
static json_t *
moment_json(int64_t sec)
{
	struct tm tm;
	char text[40];
	time_t t = (time_t)sec;
	ASSERT(gmtime_r(&t, &tm) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0);
	return json_string(text);
}

static bool
gzip(struct slice in, struct buf *to)
{
	z_stream z = { 0 };
	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	bool good = buf_room(to, deflateBound(&z, in.len));
	z.next_in = (unsigned char *)in.at;
	z.avail_in = (unsigned)in.len;
	z.next_out = (unsigned char *)to->at + to->len;
	z.avail_out = (unsigned)(to->cap - to->len);
	good = good && deflate(&z, Z_FINISH) == Z_STREAM_END;
	to->len += good ? z.total_out : 0;
	(void)deflateEnd(&z);
	return good;
}

bool
tls_report_gzip(const json_t *o, const struct tls_report_head *head, struct buf *to)
{
	json_t *report = json_object(), *range = json_object();
	json_object_set_new(range, "start-datetime", moment_json(head->day * DAY_SEC));
	json_object_set_new(range, "end-datetime", moment_json(head->day * DAY_SEC + DAY_SEC - 1));
	json_object_set_new(report, "organization-name", text_json(head->organization, 300));
	json_object_set_new(report, "date-range", range);
	json_object_set_new(report, "contact-info", text_json(head->contact, 300));
	json_object_set_new(report, "report-id", text_json(head->id, 300));
	json_object_set(report, "policies", json_object_get(o, "policies"));
	char *text = json_dumps(report, JSON_COMPACT);
	bool good = text && gzip(slice_text(text), to);
	free(text);
	json_decref(report);
	return good;
}
