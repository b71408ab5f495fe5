/* SPDX-License-Identifier: Apache-2.0 */
/* family.c - see family.h. Called by open.c in a worker's task. What the store cannot tell or keep is learnt anew: a
 * quarter of a second for each host. */
#include "relay/family.h"

#include "base/log.h"
#include "relay/relay.h"

#include <sys/socket.h>

#define THIS_MACHINE "[ipv6]" /* no host has this name */

void
families_release(struct families *f)
{
	map_release(&f->hosts);
	*f = (struct families){ 0 };
}

static int64_t
await_until(struct relay *r, const char *name)
{
	struct arena a;
	struct store_memo_get_in in = { .kind = S("host"), .name = slice_text(name) };
	struct store_memo_get_out out = { 0 };
	arena_init(&a, 0);
	enum err e = await_store_memo_get(&r->store, &in, &a, &out);
	int64_t until = e == OK && out.found && slice_equal(out.memo.value, S("family=4")) ? out.memo.until : 0;
	arena_release(&a);
	return until;
}

static void
await_keep(struct relay *r, const char *name, int64_t until)
{
	struct arena a;
	struct store_memo memo = { .kind = S("host"), .name = slice_text(name), .value = S("family=4"), .until = until };
	struct store_memo_put_in in = { .memos = &memo, .nmemos = 1 };
	struct store_memo_put_out out;
	arena_init(&a, 0);
	(void)await_store_memo_put(&r->store, &in, &a, &out);
	arena_release(&a);
}

static void
remember(struct families *f, const char *host, int64_t until)
{
	if (f->hosts.count >= FAMILY_HOSTS_MAX)
		map_release(&f->hosts); /* all of them: the memos still know */
	map_set(&f->hosts, slice_hash_nocase(slice_text(host)), (void *)(intptr_t)(until + 1));
}

static bool
recall(struct families *f, const char *host, int64_t *until)
{
	void *kept = map_get(&f->hosts, slice_hash_nocase(slice_text(host)));
	*until = kept ? (int64_t)(intptr_t)kept - 1 : 0;
	return kept != NULL;
}

int
await_family_first(struct relay *r, const char *host)
{
	struct families *f = &r->families;
	int64_t until, now = clock_wall_sec();
	if (!f->known) {
		f->known = true;
		f->broken_until = await_until(r, THIS_MACHINE);
	}
	if (f->broken_until > now)
		return AF_INET;
	if (!recall(f, host, &until)) {
		until = await_until(r, host);
		remember(f, host, until);
	}
	return until > now ? AF_INET : AF_INET6;
}

static void
log_broken(void)
{
	struct log l;
	log_begin(&l, LOG_WARN, "relay.ipv6");
	log_text(&l, "why", "several hosts in a row could be reached by IPv4 only");
	log_u64(&l, "seconds", FAMILY_BROKEN_SEC);
	log_text(&l, "advice", "mail goes by IPv4 first meanwhile; see whether this machine has a working IPv6 route");
	log_end(&l);
}

void
await_family_note(struct relay *r, const char *host, int won, bool six_tried)
{
	struct families *f = &r->families;
	int64_t until, now = clock_wall_sec();
	bool known = recall(f, host, &until), four = known && until > now;
	if (won == AF_INET6) {
		f->failed = 0;
		f->broken_until = 0;
		if (four) {
			remember(f, host, 0);
			await_keep(r, host, now); /* gone */
		}
	} else if (six_tried && !four) {
		remember(f, host, now + FAMILY_KEPT_SEC);
		if (++f->failed >= FAMILY_BROKEN_HOSTS && f->broken_until <= now) {
			f->broken_until = now + FAMILY_BROKEN_SEC;
			log_broken();
			await_keep(r, THIS_MACHINE, f->broken_until);
		}
		await_keep(r, host, now + FAMILY_KEPT_SEC);
	}
}
