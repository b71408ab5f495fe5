/* SPDX-License-Identifier: Apache-2.0 */
/* tls_reports.c - /api/v1/tls-reports: reports about TLS (RFC 8460) that others sent us, that we sent, and that wait to
 * be sent. Each is a memo whose value is JSON that scan or relay made. */
#include "session/http/api.h"

#define PAGE 100
#define NAME_BYTES_MAX 600

typedef void put_fn(const struct store_memo *m, json_t *o);

static void
await_list_kind(struct api_call *call, struct slice kind, put_fn *put)
{
	struct store_memo_list_in in = { .kind = kind, .max = PAGE };
	struct store_memo_list_out out;
	in.after = slice_part(api_query(call, S("after")), 0, NAME_BYTES_MAX);
	enum err e = await_store_memo_list(&call->session->store, &in, call->arena, &out);
	json_t *list = json_array(), *o = json_object();
	for (uint32_t i = 0; i < out.nmemos && !e; i++) {
		const struct store_memo *m = &out.memos[i];
		json_t *row = json_loadb(m->value.at, m->value.len, JSON_REJECT_DUPLICATES, NULL);
		if (!json_is_object(row)) {
			json_decref(row);
			row = json_object();
		}
		json_put(row, "name", m->name);
		if (put)
			put(m, row);
		json_array_append_new(list, row);
	}
	json_object_set_new(o, "reports", list);
	json_object_set_new(o, "more", json_boolean(!e && out.more));
	if (api_failed(call, e, "TLS reports", S("")))
		json_decref(o);
	else
		api_answer(call, 200, o);
}

/* RFC 8460 3: without a DKIM signature that is verified nobody knows who made it. */
static void
put_received(const struct store_memo *m, json_t *o)
{
	(void)m;
	json_object_set_new(o, "verified", json_false());
}

static void
put_sent(const struct store_memo *m, json_t *o)
{
	json_put(o, "domain", m->name);
}

/* "DUE DOMAIN", and the sums of the report as it will be. */
static void
put_waiting(const struct store_memo *m, json_t *o)
{
	struct slice due, domain;
	uint64_t n = 0;
	size_t i;
	json_t *row;
	json_int_t good = 0, bad = 0;
	if (slice_cut(m->name, ' ', &due, &domain) && slice_to_u64(due, &n))
		json_put(o, "domain", domain);
	json_put_number(o, "due", n);
	json_array_foreach(json_object_get(o, "policies"), i, row)
	{
		const json_t *sums = json_object_get(row, "summary");
		good += json_integer_value(json_object_get(sums, "total-successful-session-count"));
		bad += json_integer_value(json_object_get(sums, "total-failure-session-count"));
	}
	json_object_set_new(o, "success", json_integer(good));
	json_object_set_new(o, "failure", json_integer(bad));
}

static void
await_received(struct api_call *call)
{
	await_list_kind(call, S("tls-received"), put_received);
}

static void
await_sent(struct api_call *call)
{
	await_list_kind(call, S("tls-sent"), put_sent);
}

static void
await_waiting(struct api_call *call)
{
	await_list_kind(call, S("tls-report"), put_waiting);
}

static const struct api_row rows[] = { { "GET", "/api/v1/tls-reports/received", await_received },
	                                   { "GET", "/api/v1/tls-reports/sent", await_sent },
	                                   { "GET", "/api/v1/tls-reports/waiting", await_waiting } };
const struct api_rows tls_report_methods = { rows, COUNT_OF(rows) };
