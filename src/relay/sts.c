/* SPDX-License-Identifier: Apache-2.0 */
/* sts.c - see sts.h. A policy is kept as a memo of the store ("sts", by domain) until its max_age is over: when it was
 * fetched (8 bytes, seconds), the length of its id, the id, its text. It is fetched again when the TXT record has
 * another id, and once a day (RFC 8461 10.2). A domain is asked at most every five minutes (3.3), by one task; who else
 * wants its policy waits for that one. What cannot be fetched leaves the policy that is known in force (3.3, 5.1). */
#include "relay/sts.h"

#include "base/log.h"
#include "relay/https.h"
#include "relay/relay.h"
#include "relay/transport.h"
#include "resolver_msg.h"

enum {
	DNS_TXT = 16,
	REFRESH_SEC = 86400,
	AGAIN_MS = 5 * 60 * 1000, /* RFC 8461 3.3 */
	FETCH_MS = 60 * 1000,
	REFUSED_MAX = 10000
};

/* One domain that is being asked, or was asked in vain. */
struct sts_fetch {
	struct gate done;
	bool busy;
	unsigned waiting;
	enum sts_failure failure;
	int64_t again_ms;
};

struct known {
	bool there;
	int64_t fetched;
	struct slice id, text;
	struct sts_policy policy;
};

static void
known_take(struct slice value, struct known *k)
{
	size_t id_len = value.len > 8 ? (unsigned char)value.at[8] : 0;
	if (value.len < 9 + id_len)
		return;
	k->fetched = (int64_t)bytes_get_le(value.at, 8);
	k->id = slice_part(value, 9, id_len);
	k->text = slice_from(value, 9 + id_len);
	k->there = sts_policy_parse(k->text, &k->policy);
}

static struct known
await_known(struct relay *r, struct slice domain, struct arena *a)
{
	struct known k = { 0 };
	struct store_memo_get_in in = { .kind = S("sts"), .name = domain };
	struct store_memo_get_out out = { 0 };
	if (await_store_memo_get(&r->store, &in, a, &out) == OK && out.found && out.memo.until > clock_wall_sec())
		known_take(out.memo.value, &k);
	return k;
}

/* RFC 8461 3.1: exactly one record that begins with v=STSv1. */
static bool
await_id(struct relay *r, struct slice domain, struct arena *a, struct slice *id)
{
	struct resolver_lookup_in in = { .name = arena_printf(a, "_mta-sts.%.*s", SLICE_ARG(domain)), .type = DNS_TXT };
	struct resolver_lookup_out out;
	size_t n = 0;
	bool good = false;
	if (in.name.len > 253 || await_resolver_lookup(&r->resolver, &in, a, &out) != OK || out.verdict != OK)
		return false;
	for (uint32_t i = 0; i < out.nrecords; i++) {
		struct slice text = txt_join(out.records[i].bytes, arena_alloc(a, out.records[i].bytes.len + 1));
		if (!slice_starts(text, S("v=STSv1;")))
			continue;
		n++;
		good = sts_record_id(text, id);
	}
	return n == 1 && good;
}

static void
await_keep(struct relay *r, struct slice domain, struct slice id, struct slice text, const struct sts_policy *p,
           struct arena *a)
{
	char *value = arena_alloc(a, 9 + id.len + text.len);
	bytes_set_le(value, (uint64_t)clock_wall_sec(), 8);
	value[8] = (char)id.len;
	memcpy(value + 9, id.at, id.len);
	memcpy(value + 9 + id.len, text.at, text.len);
	struct store_memo m = { .kind = S("sts"),
		                    .name = domain,
		                    .value = slice_of(value, 9 + id.len + text.len),
		                    .until = clock_wall_sec() + p->max_age };
	struct store_memo_put_out out;
	(void)await_store_memo_put(&r->store, &(struct store_memo_put_in){ .memos = &m, .nmemos = 1 }, a, &out);
}

static enum sts_failure
await_fetch(struct relay *r, struct slice domain, struct slice id, struct arena *a)
{
	struct http_reply reply;
	struct sts_policy policy;
	struct slice host = arena_printf(a, "mta-sts.%.*s", SLICE_ARG(domain));
	struct https_request q = { .host = host.at,
		                       .port = (uint16_t)r->conf->v.relay_https_port,
		                       .path = S("/.well-known/mta-sts.txt"),
		                       .reply_bytes_max = STS_POLICY_BYTES_MAX,
		                       .wait_ms = FETCH_MS };
	switch (await_https(r, &q, a, &reply)) {
	case HTTPS_ANSWERED: break;
	case HTTPS_CERTIFICATE: return STS_WEBPKI;
	default: return STS_FETCH_ERROR;
	}
	if (reply.status != 200) /* RFC 8461 3.3: redirects are not followed */
		return STS_FETCH_ERROR;
	if (!slice_starts_nocase(reply.type, S("text/plain")) || !sts_policy_parse(reply.body, &policy))
		return STS_INVALID;
	await_keep(r, domain, id, reply.body, &policy, a);
	return STS_FINE;
}

static void
log_fetch(struct slice domain, enum sts_failure f)
{
	static const char *const words[] = { [STS_FINE] = "fetched",
		                                 [STS_FETCH_ERROR] = "cannot be fetched",
		                                 [STS_INVALID] = "is malformed",
		                                 [STS_WEBPKI] = "its server shows no trusted certificate" };
	struct log l;
	log_begin(&l, f ? LOG_WARN : LOG_INFO, "relay.sts");
	log_slice(&l, "domain", domain);
	log_text(&l, "policy", words[f]);
	log_end(&l);
}

static bool
fetch_unused(const struct sts_fetch *f)
{
	return !f->busy && f->waiting == 0;
}

/* Room for others; what is forgotten may be asked for a little too soon. */
static void
fetches_trim(struct transport *t)
{
	size_t at = 0;
	uint64_t key;
	void *value;
	if (t->fetches.count < REFUSED_MAX)
		return;
	while (map_each(&t->fetches, &at, &key, &value))
		if (fetch_unused(value)) {
			free(map_remove(&t->fetches, key));
			at = 0;
			if (t->fetches.count < REFUSED_MAX / 2)
				return;
		}
}

static struct sts_fetch *
fetch_of(struct transport *t, struct slice domain)
{
	uint64_t key = slice_hash_nocase(domain);
	struct sts_fetch *f = map_get(&t->fetches, key);
	if (f)
		return f;
	fetches_trim(t);
	f = must_calloc(1, sizeof *f);
	gate_init(&f->done);
	map_set(&t->fetches, key, f);
	return f;
}

/* Fetches, or waits for who does. */
static enum sts_failure
await_refresh(struct relay *r, struct slice domain, struct slice id, struct arena *a)
{
	struct sts_fetch *f = fetch_of(r->transport, domain);
	if (f->busy) {
		f->waiting++;
		(void)await_gate(&f->done, deadline_in_ms(2 * FETCH_MS));
		f->waiting--;
		return f->failure;
	}
	if (clock_mono_ms() < f->again_ms)
		return f->failure;
	f->busy = true;
	f->failure = await_fetch(r, domain, id, a);
	f->again_ms = deadline_in_ms(AGAIN_MS);
	f->busy = false;
	log_fetch(domain, f->failure);
	gate_open(&f->done, OK);
	return f->failure;
}

void
await_sts(struct relay *r, struct slice domain, struct arena *a, struct sts *out)
{
	struct slice id = SLICE_NONE;
	*out = (struct sts){ 0 };
	if (domain.len == 0 || domain.at[0] == '[')
		return;
	char *lower = arena_alloc(a, domain.len + 1);
	for (size_t i = 0; i < domain.len; i++)
		lower[i] = ascii_lower(domain.at[i]);
	domain = slice_of(lower, domain.len);
	bool asked = await_id(r, domain, a, &id);
	struct known k = await_known(r, domain, a);
	bool old = !k.there || !slice_equal(k.id, id) || clock_wall_sec() - k.fetched >= REFRESH_SEC ||
	           clock_wall_sec() < k.fetched;
	if (asked && old) {
		out->failure = await_refresh(r, domain, id, a);
		k = await_known(r, domain, a);
	}
	if (!k.there)
		return;
	out->policy = k.policy;
	out->text = k.text;
}
