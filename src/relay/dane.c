/* SPDX-License-Identifier: Apache-2.0 */
/* dane.c - see dane.h. DNSSEC is the resolver's to check; here its verdicts are obeyed. */
#include "relay/dane.h"

#include "resolver_msg.h"

enum { DNS_CNAME = 5, DNS_TLSA = 52 };

bool
dane_record(struct slice rdata, struct tls_tlsa *out)
{
	if (rdata.len < 4)
		return false;
	*out = (struct tls_tlsa){ (uint8_t)rdata.at[0], (uint8_t)rdata.at[1], (uint8_t)rdata.at[2], slice_from(rdata, 3) };
	if ((out->usage != 2 && out->usage != 3) || out->selector > 1) /* RFC 7672 3.1.3: PKIX-TA and PKIX-EE are not */
		return false;
	return out->matching == 0 || (out->matching == 1 && out->data.len == 32) ||
	       (out->matching == 2 && out->data.len == 64);
}

/* RFC 8460 4.5: four fields, no space within them. */
static struct slice
text_of(const struct resolver_lookup_out *got, struct arena *a)
{
	struct buf text;
	buf_init(&text, DANE_TEXT_BYTES_MAX);
	for (uint32_t i = 0; i < got->nrecords; i++) {
		struct slice r = got->records[i].bytes;
		if (r.len < 4 || text.len + 2 * r.len + 12 > DANE_TEXT_BYTES_MAX)
			continue;
		buf_printf(&text, "%u %u %u ", (uint8_t)r.at[0], (uint8_t)r.at[1], (uint8_t)r.at[2]);
		for (size_t b = 3; b < r.len; b++)
			buf_printf(&text, "%02X", (uint8_t)r.at[b]);
		buf_put_char(&text, '\n');
	}
	struct slice kept = slice_keep(a, buf_slice(&text));
	buf_release(&text);
	return kept;
}

static void
take_records(const struct resolver_lookup_out *got, struct arena *a, struct dane *out)
{
	out->records = ARENA_ARRAY(a, struct tls_tlsa, DANE_RECORDS_MAX);
	for (uint32_t i = 0; i < got->nrecords && out->nrecords < DANE_RECORDS_MAX; i++) {
		struct tls_tlsa t;
		if (!dane_record(got->records[i].bytes, &t))
			continue;
		t.data = slice_keep(a, t.data);
		out->records[out->nrecords++] = t;
	}
	out->state = out->nrecords > 0 ? DANE_USABLE : DANE_UNUSABLE;
	out->text = text_of(got, a);
}

/* The records below one base domain. */
static void
await_base(struct ipc_client *resolver, const char *base, uint16_t port, struct arena *a, struct dane *out)
{
	struct resolver_lookup_out got;
	struct resolver_lookup_in in = { .name = arena_printf(a, "_%u._tcp.%s", port, base), .type = DNS_TLSA };
	snprintf(out->base, sizeof out->base, "%s", base);
	enum err e = await_resolver_lookup(resolver, &in, a, &got);
	if (e == OK)
		e = (enum err)got.verdict;
	out->state = DANE_UNANSWERED;
	if (e == OK && got.secure)
		take_records(&got, a, out);
	else if (e == OK || e == ERR_NOT_FOUND)
		out->state = DANE_ABSENT; /* RFC 7672 2.1.1: what is not secured does not count */
}

/* RFC 7672 2.2.2: the chain of CNAMEs leaves what is signed, but its first step is signed. */
static bool
await_alias_secure(struct ipc_client *resolver, const char *name, struct arena *a)
{
	struct resolver_lookup_out got;
	struct resolver_lookup_in in = { .name = slice_text(name), .type = DNS_CNAME };
	return await_resolver_lookup(resolver, &in, a, &got) == OK && got.verdict == OK && got.secure;
}

void
await_dane(struct ipc_client *resolver, const struct route_host *host, const struct route_host_dns *dns,
           struct arena *a, struct dane *out)
{
	*out = (struct dane){ .state = DANE_INSECURE };
	bool alias = dns->canonical[0] && !slice_equal_nocase(slice_text(dns->canonical), slice_text(host->name));
	if (!host->secure || (!dns->secure && !(alias && await_alias_secure(resolver, host->name, a))))
		return;
	if (alias && dns->secure) { /* RFC 7672 2.2.3: first where the CNAMEs lead */
		await_base(resolver, dns->canonical, host->port, a, out);
		if (out->state != DANE_ABSENT)
			return;
	}
	await_base(resolver, host->name, host->port, a, out);
}
