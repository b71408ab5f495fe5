/* SPDX-License-Identifier: Apache-2.0 */
/* tls_report_session.c - see tls_report.h: which policy a session was under, and which result type of RFC 8460 4.3 it
 * came to. Called by open.c before and (through send.c) after each session. */
#include "relay/dane.h"
#include "relay/sts.h"
#include "relay/tls_report.h"

static struct slice
mx_lines(struct arena *a, const struct sts_policy *p)
{
	struct buf text;
	buf_init(&text, TLS_REPORT_POLICY_BYTES_MAX);
	for (size_t i = 0; i < p->nmx && text.len + p->mx[i].len < TLS_REPORT_POLICY_BYTES_MAX; i++) {
		buf_put(&text, p->mx[i]);
		buf_put_char(&text, '\n');
	}
	struct slice kept = slice_keep(a, buf_slice(&text));
	buf_release(&text);
	return kept;
}

/* DANE goes before MTA-STS, as it does where the policy is chosen. */
struct tls_trial *
tls_trial_new(struct arena *a, struct tls_reports *t, struct slice domain, const struct route_host *host,
              const struct dane *dane, const struct sts *sts, const struct tls_facts *f)
{
	struct tls_trial *trial = ARENA_NEW(a, struct tls_trial);
	struct tls_session *s = &trial->s;
	trial->reports = t;
	trial->unanswered = dane->state == DANE_UNANSWERED;
	trial->required = f->configured == ROUTE_TLS_DANE;
	*s = (struct tls_session){ .domain = domain, .policy_domain = domain, .host = slice_text(host->name) };
	if (dane->state >= DANE_UNANSWERED) {
		s->type = TLS_REPORT_TLSA;
		s->policy_domain = slice_text(dane->base);
		s->policy = dane->text;
		trial->unusable = dane->state == DANE_UNUSABLE;
	} else if (sts->policy.mode != STS_NONE) {
		s->type = TLS_REPORT_STS;
		s->policy = sts->text;
		s->mx = mx_lines(a, &sts->policy);
		trial->not_named = !sts_policy_names(&sts->policy, s->host);
	}
	return trial;
}

static void
count(const struct tls_trial *trial, enum tls_result result, const char *why)
{
	struct tls_session s = trial->s;
	s.result = result;
	s.why = slice_text(why);
	tls_report_count(trial->reports, &s);
}

void
tls_trial_refused(const struct tls_trial *trial)
{
	if (trial->unanswered) {
		count(trial, TLS_RESULT_DNSSEC_INVALID, "no answer about TLSA that DNSSEC secures");
	} else if (trial->required) {
		struct tls_trial required = *trial;
		required.s.type = TLS_REPORT_TLSA;
		required.s.policy_domain = trial->s.host;
		count(&required, TLS_RESULT_DANE_REQUIRED, "");
	} else if (trial->not_named) {
		count(trial, TLS_RESULT_VALIDATION, "the policy does not name the MX host");
	}
}

/* Of a certificate, or of the handshake. */
static enum tls_result
result_of(enum tls_verdict v, const char **why)
{
	*why = "";
	switch (v) {
	case TLS_EXPIRED: *why = "X509_V_ERR_CERT_HAS_EXPIRED"; return TLS_RESULT_EXPIRED;
	case TLS_WRONG_NAME: *why = "X509_V_ERR_HOSTNAME_MISMATCH"; return TLS_RESULT_HOST_MISMATCH;
	case TLS_UNTRUSTED: *why = "the chain does not lead to a trusted certificate"; return TLS_RESULT_NOT_TRUSTED;
	case TLS_NOT_IN_TLSA: *why = "X509_V_ERR_DANE_NO_MATCH"; return TLS_RESULT_NOT_TRUSTED;
	case TLS_BROKEN: *why = "the TLS handshake failed"; return TLS_RESULT_VALIDATION;
	default: return TLS_RESULT_SUCCESS;
	}
}

/* "192.0.2.1:25" and "[2001:db8::1]:25" without the port. */
static struct slice
ip_of(const char *address)
{
	struct slice all = slice_text(address);
	struct slice ip = slice_part(all, 0, (size_t)MAX(slice_find_last_char(all, ':'), (ptrdiff_t)0));
	return slice_starts(ip, S("[")) && ip.len > 2 ? slice_part(ip, 1, ip.len - 2) : ip;
}

void
tls_trial_ended(void *arg, const struct remote *r, bool open)
{
	struct tls_trial trial = *(const struct tls_trial *)arg;
	const char *why = "";
	trial.s.ip = ip_of(r->address);
	trial.s.from_ip = slice_text(r->local);
	if (r->no_starttls) {
		count(&trial, TLS_RESULT_NO_STARTTLS, "");
		return;
	}
	if (!r->secure && r->verdict == TLS_UNCHECKED) /* RFC 8460 4.3.4: nobody was there; not told */
		return;
	enum tls_result result = result_of(r->verdict, &why);
	if (result == TLS_RESULT_SUCCESS && !open && !r->secure)
		return;
	if (result == TLS_RESULT_SUCCESS && trial.unusable)
		count(&trial, TLS_RESULT_TLSA_INVALID, "no TLSA record is of a kind that SMTP uses (RFC 7672 3.1.3)");
	else if (result == TLS_RESULT_SUCCESS && trial.not_named)
		count(&trial, TLS_RESULT_VALIDATION, "the policy does not name the MX host");
	else
		count(&trial, result, why);
}

void
tls_report_sts(struct tls_reports *t, struct slice domain, const struct sts *sts)
{
	static const enum tls_result results[] = { [STS_FETCH_ERROR] = TLS_RESULT_STS_FETCH,
		                                       [STS_INVALID] = TLS_RESULT_STS_INVALID,
		                                       [STS_WEBPKI] = TLS_RESULT_STS_WEBPKI };
	struct tls_session s = { .domain = domain, .type = TLS_REPORT_STS, .policy_domain = domain, .policy = sts->text };
	s.result = results[sts->failure];
	tls_report_count(t, &s);
}
