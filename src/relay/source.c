/* SPDX-License-Identifier: Apache-2.0 */
/* source.c - the addresses of ours that connections come from, as workers need them: which one a job may use (pool.h),
 * what is under way over it, and what became of the mail that went out from each: memos of the kind "source". */
#include "relay/source.h"

#include "base/cursor.h"
#include "base/random.h"
#include "relay/site.h"
#include "store/rows.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define TOTALS_MAX 256 /* more addresses of our own are not counted one by one */

static struct slice
domain_of(struct slice address)
{
	ptrdiff_t at = slice_find_last_char(address, '@');
	return at < 0 ? SLICE_NONE : slice_from(address, (size_t)at + 1);
}

/* False: there are no sources, or the route or the row has a way of its own. */
static bool
ask_of(const struct job *j, const struct conf *conf, struct pool_ask *ask)
{
	const struct store_envelope *e = &j->row.envelope;
	const struct conf_route *line = j->row.reroute.len ? NULL : route_line(conf, j->row.domain);
	bool bulk = job_class(j) == FAIR_BULK;
	if (conf->nsources == 0 || !j->site || (line && line->nsources > 0)) /* a question (verify.c) has no site */
		return false;
	*ask = (struct pool_ask){ .pool = pool_of(conf, bulk ? CLASS_BULK : e->class, domain_of(e->reverse_path)),
		                      .more = j->row.nrecipients,
		                      .bulk = bulk,
		                      .now = clock_wall_sec(),
		                      .pick = random_u64() };
	return true;
}

bool
source_there(const struct job *j)
{
	struct pool_ask ask;
	const struct conf *conf = j->relay->conf;
	return !ask_of(j, conf, &ask) || pool_pick(conf, &j->site->counts, &ask);
}

bool
source_serves(const struct remote *remote, const struct job *j)
{
	struct pool_ask ask;
	const struct conf *conf = j->relay->conf;
	return !ask_of(j, conf, &ask) || pool_may(conf, &j->site->counts, remote->source, &ask);
}

/* Counted once for a job, even if it is tried over several addresses one after the other. */
static void
claim(struct remote *remote, struct job *j, const struct conf *conf, const char *address)
{
	for (size_t i = 0; i < remote->nclaims; i++)
		if (strcmp(remote->claims[i], address) == 0)
			return;
	if (remote->nclaims == COUNT_OF(remote->claims))
		return;
	snprintf(remote->claims[remote->nclaims++], sizeof remote->claims[0], "%s", address);
	pool_begin(conf, &j->site->counts, address, j->row.nrecipients, clock_wall_sec());
}

bool
source_pick(struct remote *remote, struct job *j, const struct conf *conf, int family,
            const struct conf_source **picked)
{
	struct pool_ask ask;
	*picked = NULL;
	if (!ask_of(j, conf, &ask))
		return true;
	ask.family = family == AF_INET ? 4 : 6;
	*picked = pool_pick(conf, &j->site->counts, &ask);
	if (*picked)
		claim(remote, j, conf, (*picked)->address);
	return *picked != NULL;
}

void
source_begin(struct remote *remote, struct job *j)
{
	remote->nclaims = 0;
	if (remote->usable)
		claim(remote, j, j->relay->conf, remote->source);
}

void
source_opened(struct remote *remote, const struct conf_source *picked)
{
	struct sockaddr_storage own;
	socklen_t len = sizeof own;
	char *text = remote->source;
	if (picked) {
		snprintf(text, sizeof remote->source, "%s", picked->address);
		return;
	}
	text[0] = '\0';
	if (getsockname(remote->io.fd, (struct sockaddr *)&own, &len))
		return;
	if (own.ss_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)&own)->sin_addr, text, sizeof remote->source);
	else if (own.ss_family == AF_INET6)
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&own)->sin6_addr, text, sizeof remote->source);
}

/* ---- what became of it */

static struct source_total *
total_of(struct relay *r, const char *address)
{
	uint64_t key = slice_hash(slice_text(address));
	struct source_total *t = map_get(&r->sources, key);
	if (t || !address[0] || r->sources.count >= TOTALS_MAX)
		return t;
	t = must_calloc(1, sizeof *t);
	snprintf(t->address, sizeof t->address, "%s", address);
	map_set(&r->sources, key, t);
	return t;
}

void
source_end(struct remote *remote, struct job *j, const struct tally *said)
{
	for (size_t i = 0; i < remote->nclaims; i++)
		pool_end(&j->site->counts, remote->claims[i], j->row.nrecipients,
		         strcmp(remote->claims[i], remote->source) == 0 ? (uint32_t)said->accepted : 0);
	remote->nclaims = 0;
	struct source_total *t = total_of(j->relay, remote->source);
	if (t) {
		tally_add(&t->tally, said);
		t->changed = true;
	}
}

/* ---- memos */

uint64_t
memo_number(struct slice value, struct slice name)
{
	struct cursor c = cursor_of(value);
	struct slice word;
	uint64_t n = 0;
	while (take_until_char(&c, '=', &word)) {
		bool found = slice_equal(word, name);
		take_char(&c, '=');
		if (slice_equal(word, S("why")) || !take_u64(&c, &n))
			return 0;
		if (found)
			return n;
		skip_spaces(&c);
	}
	return 0;
}

void
tally_add(struct tally *t, const struct tally *more)
{
	t->accepted += more->accepted;
	t->deferred += more->deferred;
	t->refused += more->refused;
	t->complained += more->complained;
}

struct slice
tally_memo(struct arena *a, const struct tally *t)
{
	return arena_printf(a, "accepted=%llu deferred=%llu refused=%llu complained=%llu", (unsigned long long)t->accepted,
	                    (unsigned long long)t->deferred, (unsigned long long)t->refused,
	                    (unsigned long long)t->complained);
}

void
tally_from_memo(struct tally *t, struct slice value)
{
	tally_add(t, &(struct tally){ .accepted = memo_number(value, S("accepted")),
	                              .deferred = memo_number(value, S("deferred")),
	                              .refused = memo_number(value, S("refused")),
	                              .complained = memo_number(value, S("complained")) });
}

/* What was put down before this process began comes first. */
static enum err
await_known(struct relay *r, struct arena *a, struct source_total *t)
{
	struct store_memo_get_in in = { .kind = S("source"), .name = slice_text(t->address) };
	struct store_memo_get_out out;
	enum err e = t->known ? OK : await_store_memo_get(&r->store, &in, a, &out);
	if (!e && !t->known && out.found)
		tally_from_memo(&t->tally, out.memo.value);
	t->known = t->known || !e;
	return e;
}

static enum err
await_total_put(struct relay *r, struct arena *a, struct source_total *t)
{
	enum err e = await_known(r, a, t);
	struct store_memo memo = { .kind = S("source"),
		                       .name = slice_text(t->address),
		                       .value = tally_memo(a, &t->tally),
		                       .until = clock_wall_sec() + REPUTATION_KEPT_SEC };
	struct store_memo_put_in in = { .memos = &memo, .nmemos = 1 };
	struct store_memo_put_out out;
	t->changed = e != OK;
	if (!e)
		e = await_store_memo_put(&r->store, &in, a, &out);
	t->changed = t->changed || e;
	return e;
}

enum err
await_sources_put(struct relay *r)
{
	struct arena a;
	size_t at = 0;
	uint64_t key;
	void *value;
	enum err e = OK;
	arena_init(&a, 0);
	while (!e && map_each(&r->sources, &at, &key, &value)) {
		struct source_total *t = value;
		if (t->changed)
			e = await_total_put(r, &a, t);
	}
	arena_release(&a);
	return e;
}

void
sources_release(struct relay *r)
{
	size_t at = 0;
	uint64_t key;
	void *value;
	while (map_each(&r->sources, &at, &key, &value))
		free(value);
	map_release(&r->sources);
}
