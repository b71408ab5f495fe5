/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c - domains whose mail we take for other servers: where their mail goes, and which of their addresses exist.
 *
 * A session that does not know an address of such a domain puts a memo "verify"; here its server is asked with RCPT, in
 * a transaction that ends there, and the answer becomes a memo "verified". One task asks, one domain after the other,
 * relay.verify-rate addresses a minute at most: what strangers guess costs that server no more. Who waits for longer is
 * answered by the session. Fails: no answer is one, too, and is kept for a few minutes. */
#include "relay/verify.h"

#include "base/log.h"

enum {
	ADDRESSES_MAX = 50,    /* in one transaction */
	PROBE_MS = 20 * 1000,  /* of one connection */
	UNSURE_KEPT_SEC = 120, /* then it may be asked again */
	WORDS_BYTES = 260,     /* of an answer that is kept */
	MINUTE_MS = 60 * 1000,
	WAIT_MS = 1000, /* for the next minute */
};

/* ---- where it goes */

static enum err
await_relay_domain(struct relay *r, struct slice domain, struct arena *a, struct slice *to)
{
	struct store_memo_get_in in = { .kind = S("relay-domain"), .name = domain };
	struct store_memo_get_out out;
	enum err e = await_store_memo_get(&r->store, &in, a, &out);
	if (e || !out.found)
		return e ? e : ERR_NOT_FOUND;
	ptrdiff_t at = slice_find(out.memo.value, S("to="));
	*to = at < 0 ? SLICE_NONE : slice_from(out.memo.value, (size_t)at + 3);
	return OK;
}

static void
add_hops(struct route *all, struct slice to)
{
	struct route one;
	struct slice hop;
	all->nhosts = 0;
	reply_begin(&all->reply);
	while (to.len && all->nhosts < ROUTE_HOSTS_MAX) {
		slice_cut(to, ',', &hop, &to);
		route_by_hand(hop, &one);
		if (one.nhosts)
			all->hosts[all->nhosts++] = one.hosts[0];
		else
			all->reply = one.reply;
	}
}

void
await_route_of(struct relay *r, struct slice domain, struct route *out)
{
	const struct conf_route *line = route_line(r->conf, domain);
	struct arena a;
	struct slice to = SLICE_NONE;
	enum err e = ERR_NOT_FOUND;
	arena_init(&a, 0);
	if (r->backups && !(line && line->nhops))
		e = await_relay_domain(r, domain, &a, &to);
	if (e == OK && to.len && !slice_equal(to, S("mx")))
		add_hops(out, to);
	else
		await_route(&r->resolver, r->conf, domain, out);
	arena_release(&a);
}

/* ---- whom it knows */

struct probe {
	struct relay *relay;
	struct arena arena;
	struct slice domain;
	const struct store_memo *asked; /* one after the other, of one domain */
	uint32_t nasked;
	struct store_memo kept[2 * ADDRESSES_MAX];
	uint32_t nkept;
};

/* RFC 3463: 5.1.x is about the address; 5.7.x and the like are about us, or about what we said. */
static bool
is_unknown(const struct remote_reply *reply)
{
	bool about = slice_starts(slice_text(reply->status), S("5.1.")) ||
	             (!reply->status[0] && (reply->code == 550 || reply->code == 551 || reply->code == 553));
	return reply_permanent(reply) && about;
}

static void
keep(struct probe *p, const struct store_memo *of, const char *verdict, const struct remote_reply *reply, int64_t sec)
{
	struct slice text = arena_printf(&p->arena, "%s %u %s %s", verdict, reply->code, reply->status, reply->text);
	p->kept[p->nkept++] =
	    (struct store_memo){ S("verified"), of->name, slice_part(text, 0, WORDS_BYTES), clock_wall_sec() + sec };
	p->kept[p->nkept++] = (struct store_memo){ S("verify"), of->name, S(""), 0 };
}

static void
keep_answer(struct probe *p, const struct store_memo *of, const struct remote_reply *reply)
{
	const struct conf_values *v = &p->relay->conf->v;
	if (reply_good(reply))
		keep(p, of, "yes", reply, v->relay_verify_keep / 1000);
	else if (is_unknown(reply))
		keep(p, of, "no", reply, v->relay_verify_keep_refused / 1000);
	else
		keep(p, of, "unsure", reply, UNSURE_KEPT_SEC);
}

/* A server that cannot be asked knows nothing about all that are left. */
static void
await_ask(struct probe *p, struct remote *remote, struct remote_reply *why)
{
	uint32_t i = 0;
	bool begun = remote->usable && await_remote_probe_begin(remote);
	if (remote->usable || begun)
		*why = remote->reply;
	for (; begun && remote->usable && i < p->nasked; i++) {
		if (!await_remote_probe(remote, p->asked[i].value))
			break;
		keep_answer(p, &p->asked[i], &remote->reply);
		*why = remote->reply;
	}
	for (; i < p->nasked; i++)
		keep(p, &p->asked[i], "unsure", why, UNSURE_KEPT_SEC);
}

static void
await_probe(struct probe *p)
{
	struct relay *r = p->relay;
	struct remote *remote = must_calloc(1, sizeof *remote);
	struct route *route = must_calloc(1, sizeof *route);
	struct job j = { .relay = r, .row.domain = p->domain };
	struct store_memo_put_out done;
	struct remote_reply why;
	remote->end_ms = deadline_in_ms(PROBE_MS);
	remote->io.fd = -1; /* perhaps nothing is opened */
	await_route_of(r, p->domain, route);
	why = route->reply;
	if (route->nhosts)
		(void)await_open(r, &j, route, remote, &why);
	await_ask(p, remote, &why);
	if (remote->usable)
		await_remote_quit(remote);
	struct log l;
	log_begin(&l, LOG_INFO, "relay.verify");
	log_slice(&l, "domain", p->domain);
	log_text(&l, "to", remote->host[0] ? remote->address : "none");
	log_u64(&l, "addresses", p->nasked);
	log_text(&l, "reply", why.text);
	log_end(&l);
	stream_release(&remote->io);
	free(remote);
	free(route);
	struct store_memo_put_in put = { p->kept, p->nkept };
	(void)await_store_memo_put(&r->store, &put, &p->arena, &done);
}

static struct slice
domain_of(const struct store_memo *m)
{
	struct slice domain, local;
	slice_cut(m->name, '/', &domain, &local);
	return domain;
}

/* In turn: many guesses at the first domain do not keep the others from being asked for. */
static bool
await_waiting(struct relay *r, uint32_t max, struct arena *a, struct store_memo_list_out *out)
{
	struct store_memo_list_in in = { .kind = S("verify"), .after = slice_text(r->verify_last), .max = max };
	enum err e = await_store_memo_list(&r->store, &in, a, out);
	if (e == OK && out->nmemos == 0 && in.after.len) {
		in.after = SLICE_NONE;
		e = await_store_memo_list(&r->store, &in, a, out);
	}
	return e == OK && out->nmemos > 0;
}

/* The next domain that waits, as many of its addresses as may be asked for now. False: nobody waits. */
static bool
await_next(struct relay *r, uint32_t *may)
{
	struct store_memo_list_out out;
	struct probe *p = must_calloc(1, sizeof *p);
	arena_init(&p->arena, 0);
	bool any = await_waiting(r, MIN(*may, (uint32_t)ADDRESSES_MAX), &p->arena, &out);
	if (any) {
		p->relay = r;
		p->domain = domain_of(&out.memos[0]);
		p->asked = out.memos;
		while (p->nasked < out.nmemos && slice_equal(domain_of(&out.memos[p->nasked]), p->domain))
			p->nasked++;
		*may -= p->nasked;
		snprintf(r->verify_last, sizeof r->verify_last, "%.*s", SLICE_ARG(p->asked[p->nasked - 1].name));
		await_probe(p);
	}
	arena_release(&p->arena);
	free(p);
	return any;
}

static void
verify_task(void *arg)
{
	struct relay *r = arg;
	do {
		r->verify_again = false;
		int64_t now = clock_mono_ms();
		if (now - r->verify_ms >= MINUTE_MS) {
			r->verify_ms = now;
			r->verify_may = (uint32_t)r->conf->v.relay_verify_rate;
		}
		if (r->verify_may == 0) {
			r->verify_again = await_sleep(WAIT_MS) == OK;
			continue;
		}
		while (!r->stopping && r->verify_may > 0 && await_next(r, &r->verify_may))
			r->verify_again = true; /* more may have come; and what waits for the next minute */
	} while (r->verify_again && !r->stopping);
	r->verifying = false;
	gate_open(&r->idle, OK);
}

void
verify_soon(struct relay *r)
{
	r->verify_again = true;
	if (r->verifying || r->stopping)
		return;
	r->verifying = true;
	if (!task_start(verify_task, r))
		r->verifying = false; /* with the next one that is wanted */
}

void
await_backups(struct relay *r)
{
	struct arena a;
	struct store_memo_list_in in = { .kind = S("relay-domain"), .max = 1 };
	struct store_memo_list_out out;
	arena_init(&a, 0);
	r->backups = await_store_memo_list(&r->store, &in, &a, &out) != OK || out.nmemos > 0;
	arena_release(&a);
}
