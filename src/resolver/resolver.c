/* SPDX-License-Identifier: Apache-2.0 */
/* resolver.c - the resolver role: DNS questions of the other roles, asked of libunbound, which resolves, validates and
 * caches in a thread of its own and reports on a descriptor in our loop. Owns the contexts and the calls under way;
 * each call is answered once: by libunbound, by its deadline, or at the end. Fails: ERR_SYNTAX for a configuration that
 * cannot be used; a question never fails, its verdict says what happened (resolver.msg). */
#include "resolver/resolver.h"

#include "base/counter.h"
#include "base/log.h"
#include "resolver_msg.h"

#include <unbound.h>

struct context {
	struct ub_ctx *ub;
	struct watch watch;
	size_t queries;
	bool retired; /* goes away with its last query */
};

struct query {
	struct resolver *resolver;
	struct context *context;
	struct ipc_call *call;
	const char *name; /* in the call's arena */
	int id;           /* libunbound's */
	struct timer timer;
	struct link link;
};

/* ---- contexts */

static void
context_ready(struct watch *w, uint32_t events)
{
	(void)ub_process(CONTAINER_OF(w, struct context, watch)->ub);
}

static struct context *
context_new(struct ub_ctx *ub)
{
	struct context *c = must_calloc(1, sizeof *c);
	c->ub = ub;
	c->watch = (struct watch){ .fd = ub_fd(ub), .ready = context_ready };
	ASSERT(watch_add(&c->watch, LOOP_READ) == OK);
	return c;
}

static void
context_free(struct context *c)
{
	watch_remove(&c->watch);
	ub_ctx_delete(c->ub); /* ends its thread */
	free(c);
}

/* Runs after ub_process returned: a context does not end inside its own callback. */
static void
context_end_posted(void *context)
{
	context_free(context);
}

static void
context_retire(struct context *c)
{
	c->retired = true;
	if (c->queries == 0)
		context_free(c);
}

/* ---- questions */

static void
query_end(struct query *q)
{
	struct context *c = q->context;
	q->resolver->nqueries--;
	list_remove(&q->link);
	timer_cancel(&q->timer);
	free(q);
	if (--c->queries == 0 && c->retired)
		loop_post(context_end_posted, c);
}

static void
reply_verdict(struct ipc_call *call, const char *name, enum err verdict)
{
	struct resolver_lookup_out out = { .verdict = verdict, .canonical = slice_text(name) };
	resolver_lookup_reply(call, &out);
}

static enum err
verdict_of(const struct ub_result *r)
{
	if (r->bogus)
		return ERR_DAMAGED;
	if (r->havedata)
		return OK;
	return r->rcode == 0 || r->nxdomain ? ERR_NOT_FOUND : ERR_AGAIN;
}

/* Borrows from the result: it is encoded before the result is freed. */
static void
records_take(const struct ub_result *r, struct arena *a, struct resolver_lookup_out *out)
{
	out->records = ARENA_ARRAY(a, struct resolver_record, RESOLVER_RECORDS_MAX);
	for (uint32_t i = 0; r->data[i] && i < RESOLVER_RECORDS_MAX; i++) {
		out->records[i].bytes = slice_of(r->data[i], (size_t)r->len[i]);
		out->nrecords = i + 1;
	}
}

static struct slice
without_last_dot(const char *name)
{
	struct slice s = slice_text(name);
	return s.len > 1 && slice_ends(s, S(".")) ? slice_part(s, 0, s.len - 1) : s;
}

static void
query_answered(void *arg, int failure, struct ub_result *r)
{
	struct query *q = arg;
	if (failure || !r) {
		reply_verdict(q->call, q->name, failure == UB_SYNTAX ? ERR_NOT_FOUND : ERR_AGAIN);
	} else {
		enum err verdict = verdict_of(r);
		struct resolver_lookup_out out = {
			.verdict = verdict,
			.nodata = verdict == ERR_NOT_FOUND && !r->nxdomain,
			.secure = r->secure,
			.canonical = without_last_dot(r->canonname ? r->canonname : q->name),
			.ttl = (uint32_t)MAX(r->ttl, 0),
		};
		if (verdict == OK)
			records_take(r, &q->call->arena, &out);
		resolver_lookup_reply(q->call, &out);
	}
	ub_resolve_free(r);
	query_end(q);
}

static void
query_give_up(struct query *q)
{
	(void)ub_cancel(q->context->ub, q->id);
	reply_verdict(q->call, q->name, ERR_AGAIN);
	query_end(q);
}

static void
query_late(struct timer *t)
{
	query_give_up(CONTAINER_OF(t, struct query, timer));
}

static void
lookup(struct ipc_call *call, const struct resolver_lookup_in *in)
{
	struct resolver *r = call->peer->owner;
	const char *name = slice_keep_text(&call->arena, in->name);
	counter_add(COUNTER_DNS_QUERIES, 1);
	if (!r->context || r->stopped || r->nqueries >= RESOLVER_QUERIES_MAX) {
		reply_verdict(call, name, ERR_AGAIN);
		return;
	}
	if (in->name.len == 0) {
		reply_verdict(call, name, ERR_NOT_FOUND);
		return;
	}
	struct query *q = must_calloc(1, sizeof *q);
	*q = (struct query){ .resolver = r, .context = r->context, .call = call, .name = name };
	int failure = ub_resolve_async(r->context->ub, name, (int)in->type, 1, q, query_answered, &q->id);
	if (failure) { /* a name that cannot be one does not exist */
		reply_verdict(call, name, failure == UB_SYNTAX ? ERR_NOT_FOUND : ERR_AGAIN);
		free(q);
		return;
	}
	r->nqueries++;
	r->context->queries++;
	list_append(&r->queries, &q->link);
	q->timer.fire = query_late;
	timer_set(&q->timer, deadline_in_ms(r->query_ms));
}

static const struct resolver_server handlers = { .lookup = lookup };

/* ---- the role */

static enum err
context_renew(struct resolver *r, const char **why)
{
	arena_clear(&r->arena);
	struct ub_ctx *ub = upstream_make(r->conf, &r->files, &r->arena, why);
	if (!ub)
		return ERR_SYNTAX;
	if (r->context)
		context_retire(r->context);
	r->context = context_new(ub);
	return OK;
}

/* A reload comes when the box is closed: what the files said before is used again. */
static enum err
configure(void *self, const struct conf *conf, const char **why)
{
	struct resolver *r = self;
	bool first = r->conf == NULL;
	if (first) {
		arena_init(&r->arena, 0);
		list_init(&r->queries);
		r->query_ms = RESOLVER_QUERY_MS;
	}
	struct conf *old = (struct conf *)r->conf;
	r->conf = conf_keep((struct conf *)conf);
	enum err e = r->context ? context_renew(r, why) : OK;
	if (!first)
		conf_free(&old);
	return e;
}

static enum err
before_box(void *self, const char **why)
{
	struct resolver *r = self;
	upstream_files_read(&r->files, r->conf);
	return context_renew(r, why);
}

static void
serve(void *self, enum role_id role, uint32_t class_bit, uint32_t index, int fd)
{
	(void)ipc_peer_open(fd, &resolver_protocol, &handlers, self, class_bit, index);
}

static void
await_stop(void *self, int64_t grace_ms)
{
	struct resolver *r = self;
	r->stopped = true;
	int64_t end = deadline_in_ms(grace_ms);
	while (r->nqueries > 0 && clock_mono_ms() < end && await_sleep(10) == OK)
		;
	while (!list_empty(&r->queries))
		query_give_up(CONTAINER_OF(r->queries.next, struct query, link));
	if (r->context)
		context_retire(r->context);
	r->context = NULL;
	upstream_files_release(&r->files);
	arena_release(&r->arena);
	conf_free((struct conf **)&r->conf);
}

const struct role role_resolver = {
	.name = "resolver",
	.id = ROLE_RESOLVER,
	.may = MAY_CONNECT | MAY_THREADS,
	.state_bytes = sizeof(struct resolver),
	.configure = configure,
	.serve = serve,
	.before_box = before_box,
	.await_stop = await_stop,
};
