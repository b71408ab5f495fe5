/* SPDX-License-Identifier: Apache-2.0 */
/* message_test.c - messages of an opened account. The long test does thousands of random operations, asks the store
 * what every client would ask, and compares with a plain model in memory; a second view of each mailbox is kept up to
 * date by mailbox_changes only. The others look at limits and at single rules. */
#include "ipc/frozen.h"
#include "store/index.h"
#include "store/store_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the model */

#define BOXES 4
#define MESSAGES_MAX 400 /* of a mailbox */
#define KEYWORDS 4

struct model_message {
	uint32_t uid, flags, keywords; /* keywords: bits of keyword_names */
	uint64_t modseq;
	uint32_t bytes;
	uint8_t fill; /* what the body is made of */
};

struct model_box {
	const char *name;
	uint64_t id;
	uint32_t uidvalidity, uidnext;
	struct model_message m[MESSAGES_MAX + 64];
	size_t n;
	/* what a client knows that only listens to changes */
	uint64_t seen_modseq;
	struct index_row seen[MESSAGES_MAX + 64];
	size_t nseen;
};

static const char *const keyword_names[KEYWORDS] = { "$Forwarded", "Blue", "green", "NonJunk" };
static struct model_box boxes[BOXES];
static uint64_t account;
static uint32_t handle;
static uint64_t dice;
static unsigned wholes; /* answers that the log does not reach back */

static uint32_t
roll(uint32_t below)
{
	dice = dice * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((dice >> 33) % below);
}

static struct model_box *
any_box(void)
{
	return &boxes[roll(BOXES)];
}

static uint32_t
keyword_list(uint32_t bits, struct store_keyword to[KEYWORDS])
{
	uint32_t n = 0;
	for (size_t i = 0; i < KEYWORDS; i++)
		if (bits & 1u << i)
			to[n++].name = slice_text(keyword_names[i]);
	return n;
}

static struct slice
body_text(uint32_t bytes, uint8_t fill)
{
	char *text = arena_alloc(&house.a, bytes);
	memset(text, fill, bytes);
	return slice_of(text, bytes);
}

static void
model_add(struct model_box *b, uint32_t uid, uint32_t flags, uint32_t keywords, uint32_t bytes, uint8_t fill)
{
	ASSERT(uid == b->uidnext);
	b->uidnext = uid + 1;
	b->m[b->n++] = (struct model_message){ uid, flags, keywords, 0, bytes, fill };
}

static void
model_remove(struct model_box *b, uint32_t uid)
{
	size_t i = 0;
	while (b->m[i].uid != uid)
		ASSERT(++i < b->n);
	memmove(&b->m[i], &b->m[i + 1], (b->n - i - 1) * sizeof b->m[0]);
	b->n--;
}

/* A random choice of its messages, some that are gone, some that never were. */
static size_t
choose(const struct model_box *b, uint32_t uids[MESSAGES_MAX + 64], struct model_message **chosen, size_t *nchosen)
{
	size_t n = 0, most = roll(4) ? 1 + roll(6) : MESSAGES_MAX;
	uint32_t step = roll(2) ? 1 : 1 + roll(20);
	*nchosen = 0;
	for (uint32_t uid = 1 + roll(b->uidnext); uid <= b->uidnext + 1 && n < most; uid += step) {
		uids[n++] = uid;
		for (size_t i = 0; i < b->n; i++)
			if (b->m[i].uid == uid)
				chosen[(*nchosen)++] = (struct model_message *)&b->m[i];
	}
	return n;
}

/* ---- operations, in the store and in the model */

static void
await_op_deliver(void)
{
	struct model_box *b = any_box();
	struct store_delivered to;
	uint32_t bytes = 1 + roll(300);
	uint8_t fill = (uint8_t)('a' + roll(26));
	if (b->n >= MESSAGES_MAX)
		return;
	ASSERT(await_deliver(account, b->name, body_text(bytes, fill), &to) == OK);
	ASSERT(to.mailbox == b->id && to.uidvalidity == b->uidvalidity);
	model_add(b, to.uid, 0, 0, bytes, fill);
}

static void
await_op_append(void)
{
	struct model_box *b = any_box();
	struct store_append appends[5];
	struct store_keyword names[KEYWORDS];
	uint32_t n = 1 + roll(5), flags = roll(32), keywords = roll(16);
	if (b->n + n >= MESSAGES_MAX)
		return;
	for (uint32_t i = 0; i < n; i++)
		appends[i] = (struct store_append){ .body = body_of(body_text(i + 1, 'A')), .facts = S("f"), .flags = flags };
	appends[0].keywords = names;
	appends[0].nkeywords = keyword_list(keywords, names);
	struct store_message_append_in in = { handle, slice_text(b->name), appends, n };
	struct store_message_append_out out;
	ASSERT(await_store_message_append(&house.user, &in, &house.a, &out) == OK);
	ASSERT(out.uidvalidity == b->uidvalidity && out.uids.len == 4 * n);
	for (uint32_t i = 0; i < n; i++)
		model_add(b, (uint32_t)bytes_get_le(out.uids.at + 4 * i, 4), flags, i ? 0 : keywords, i + 1, 'A');
}

/* In the same mailbox or another one; now and then a message that is gone: then nothing happens. */
static void
await_op_replace(void)
{
	struct model_box *b = any_box(), *to = any_box();
	struct store_append append = { .body = body_of(body_text(7, 'R')), .facts = S("f"), .flags = roll(32) };
	struct store_message_append_in in = { handle, slice_text(to->name), &append, 1 };
	struct store_message_append_out out;
	bool there = b->n && roll(4);
	if (to->n + 1 >= MESSAGES_MAX)
		return;
	in.replaced_mailbox = b->id;
	in.replaced = there ? b->m[roll((unsigned)b->n)].uid : b->uidnext;
	enum err e = await_store_message_append(&house.user, &in, &house.a, &out);
	ASSERT(e == (there ? OK : ERR_CONFLICT));
	if (!there)
		return;
	ASSERT(out.uidvalidity == to->uidvalidity && out.uids.len == 4 && out.source_modseq > b->seen_modseq);
	model_remove(b, in.replaced);
	model_add(to, (uint32_t)bytes_get_le(out.uids.at, 4), append.flags, 0, 7, 'R');
}

static uint32_t
apply(uint32_t was, uint32_t op, uint32_t bits)
{
	return op == FLAGS_SET ? bits : op == FLAGS_ADD ? was | bits : was & ~bits;
}

static void await_compare_box(struct model_box *b);

static void
await_op_store(void)
{
	struct model_box *b = any_box();
	await_compare_box(b); /* learns the modseqs */
	uint32_t uids[MESSAGES_MAX + 64], op = roll(3), flags = roll(32), keywords = roll(16);
	struct model_message *chosen[MESSAGES_MAX + 64];
	struct store_keyword names[KEYWORDS];
	size_t nchosen, n = choose(b, uids, chosen, &nchosen), changed = 0, refused = 0;
	uint64_t since = roll(3) ? STORE_MODSEQ_ANY : roll(400);
	struct store_message_store_in in = { handle, b->id, uid_list(uids, n), op, flags, names, 0, since, in_region() };
	in.nkeywords = keyword_list(keywords, names);
	struct store_message_store_out out;
	ASSERT(await_store_message_store(&house.user, &in, &house.a, &out) == OK);
	const struct index_row *rows = (const void *)house.region;
	for (size_t i = 0; i < nchosen; i++) {
		struct model_message *m = chosen[i];
		if (m->modseq > since) {
			ASSERT(bytes_get_le(out.refused.at + 4 * refused++, 4) == m->uid);
			continue;
		}
		uint32_t f = apply(m->flags, op, flags), k = apply(m->keywords, op, keywords);
		if (f == m->flags && k == m->keywords)
			continue;
		m->flags = f;
		m->keywords = k;
		ASSERT(rows[changed].uid == m->uid && rows[changed].flags == f && rows[changed].modseq <= out.modseq);
		ASSERT(m->modseq <= out.was && rows[changed].modseq > out.was);
		m->modseq = rows[changed++].modseq;
	}
	ASSERT(out.filled == changed * INDEX_ROW_BYTES && out.refused.len == 4 * refused);
}

static void
await_op_copy(void)
{
	struct model_box *b = any_box(), *to = any_box();
	uint32_t uids[MESSAGES_MAX + 64];
	struct model_message *chosen[MESSAGES_MAX + 64], kept[MESSAGES_MAX + 64];
	bool move = roll(2);
	size_t nchosen, n = choose(b, uids, chosen, &nchosen);
	if (to->n + nchosen >= MESSAGES_MAX)
		return;
	struct store_message_copy_in in = { handle, b->id, uid_list(uids, n), slice_text(to->name), move };
	struct store_message_copy_out out;
	ASSERT(await_store_message_copy(&house.user, &in, &house.a, &out) == OK);
	ASSERT(out.from.len == 4 * nchosen && out.into.len == 4 * nchosen && out.uidvalidity == to->uidvalidity);
	for (size_t i = 0; i < nchosen; i++)
		kept[i] = *chosen[i];
	for (size_t i = 0; i < nchosen; i++) {
		ASSERT(bytes_get_le(out.from.at + 4 * i, 4) == kept[i].uid);
		if (move)
			model_remove(b, kept[i].uid);
		model_add(to, (uint32_t)bytes_get_le(out.into.at + 4 * i, 4), kept[i].flags, kept[i].keywords, kept[i].bytes,
		          kept[i].fill);
	}
}

static void
await_op_expunge(void)
{
	struct model_box *b = any_box();
	uint32_t uids[MESSAGES_MAX + 64];
	struct model_message *chosen[MESSAGES_MAX + 64];
	bool any = roll(6) == 0, all = !any && roll(2);
	size_t nchosen, n = choose(b, uids, chosen, &nchosen), gone = 0;
	struct store_message_expunge_in in = { handle, b->id, all ? SLICE_NONE : uid_list(uids, n), any };
	struct store_message_expunge_out out;
	ASSERT(await_store_message_expunge(&house.user, &in, &house.a, &out) == OK && !out.more);
	for (size_t i = 0; i < b->n;) {
		struct model_message *m = &b->m[i];
		bool named = all;
		for (size_t u = 0; u < n && !named; u++)
			named = uids[u] == m->uid;
		if (!named || !(any || (m->flags & MESSAGE_DELETED))) {
			i++;
			continue;
		}
		ASSERT(out.vanished.len > 4 * gone && bytes_get_le(out.vanished.at + 4 * gone, 4) == m->uid);
		gone++;
		model_remove(b, m->uid);
	}
	ASSERT(out.vanished.len == 4 * gone);
}

static void
await_learn_box(struct model_box *b)
{
	struct store_mailbox_status_in in = { handle, slice_text(b->name) };
	struct store_mailbox_status_out out;
	ASSERT(await_store_mailbox_status(&house.user, &in, &house.a, &out) == OK);
	ASSERT(out.mailbox.id != b->id && out.mailbox.uidvalidity > b->uidvalidity);
	b->id = out.mailbox.id;
	b->uidvalidity = out.mailbox.uidvalidity;
	b->uidnext = 1;
	b->n = b->nseen = 0;
	b->seen_modseq = out.mailbox.modseq;
}

static void
await_op_recreate(void)
{
	struct model_box *b = &boxes[1 + roll(BOXES - 1)];
	if (roll(8))
		return;
	struct store_mailbox_delete_in gone = { handle, slice_text(b->name) };
	struct store_mailbox_delete_out went;
	struct store_mailbox_create_in in = { handle, slice_text(b->name), 0 };
	struct store_mailbox_create_out out;
	ASSERT(await_store_mailbox_delete(&house.user, &gone, &house.a, &went) == OK);
	ASSERT(await_store_mailbox_create(&house.user, &in, &house.a, &out) == OK);
	await_learn_box(b);
}

static void
await_op_restart(void)
{
	if (roll(10))
		return;
	await_reopen();
	handle = await_handle(account);
}

/* ---- comparing */

static uint32_t
await_keywords(const struct model_box *b, uint32_t set)
{
	char id[4];
	uint32_t bits = 0;
	if (set == 0)
		return 0;
	bytes_set_le(id, set, 4);
	struct store_keyword_sets_in in = { handle, b->id, slice_of(id, 4) };
	struct store_keyword_sets_out out;
	ASSERT(await_store_keyword_sets(&house.user, &in, &house.a, &out) == OK && out.nsets == 1);
	struct slice name, names = out.sets[0].names;
	while (names.len) {
		if (!slice_cut(names, ' ', &name, &names))
			names = SLICE_NONE;
		for (size_t i = 0; i < KEYWORDS; i++)
			if (slice_equal(name, slice_text(keyword_names[i])))
				bits |= 1u << i;
	}
	return bits;
}

static void
compare_counts(const struct model_box *b, const struct store_mailbox *m)
{
	uint32_t unseen = 0, deleted = 0;
	uint64_t bytes = 0;
	for (size_t i = 0; i < b->n; i++) {
		unseen += !(b->m[i].flags & MESSAGE_SEEN);
		deleted += (b->m[i].flags & MESSAGE_DELETED) != 0;
		bytes += b->m[i].bytes;
	}
	ASSERT(m->messages == b->n && m->unseen == unseen && m->deleted == deleted && m->bytes == bytes);
	ASSERT(m->uidnext == b->uidnext && m->uidvalidity == b->uidvalidity && m->id == b->id);
}

static void
await_compare_box(struct model_box *b)
{
	struct store_mailbox_open_in in = { handle, slice_text(b->name), 1, roll(2), in_region() };
	struct store_mailbox_open_out out;
	const struct index_row *rows = (const void *)house.region;
	uint32_t known[4096], bits[4096], nknown = 0;
	ASSERT(await_store_mailbox_open(&house.user, &in, &house.a, &out) == OK && !out.more);
	compare_counts(b, &out.mailbox);
	ASSERT(out.filled == b->n * INDEX_ROW_BYTES);
	struct index_row *copy = arena_alloc(&house.a, out.filled + 1);
	memcpy(copy, rows, out.filled);
	for (size_t i = 0; i < b->n; i++) {
		uint32_t k = 0;
		ASSERT(copy[i].uid == b->m[i].uid && copy[i].flags == b->m[i].flags && copy[i].bytes == b->m[i].bytes);
		ASSERT(copy[i].modseq <= out.mailbox.modseq && copy[i].modseq >= b->m[i].modseq);
		b->m[i].modseq = copy[i].modseq;
		while (k < nknown && known[k] != copy[i].keyword_set)
			k++;
		if (k == nknown) {
			known[nknown] = copy[i].keyword_set;
			bits[nknown++] = await_keywords(b, copy[i].keyword_set);
		}
		ASSERT(bits[k] == b->m[i].keywords);
	}
}

static void
client_apply(struct model_box *b, const struct index_row *row)
{
	size_t i = 0;
	while (i < b->nseen && b->seen[i].uid < row->uid)
		i++;
	if (i == b->nseen || b->seen[i].uid != row->uid) {
		memmove(&b->seen[i + 1], &b->seen[i], (b->nseen - i) * sizeof *row);
		b->nseen++;
	}
	b->seen[i] = *row;
}

static void
client_forget(struct model_box *b, uint32_t uid)
{
	for (size_t i = 0; i < b->nseen; i++)
		if (b->seen[i].uid == uid) {
			memmove(&b->seen[i], &b->seen[i + 1], (b->nseen - i - 1) * sizeof b->seen[0]);
			b->nseen--;
			return;
		}
}

/* Sometimes the client begins anew with the rows that all share, which may be older than the mailbox; what it writes
 * to them nobody else sees. */
static void
await_begin_shared(struct model_box *b)
{
	struct store_mailbox_open_in in = { handle, slice_text(b->name), 1, false, in_region(), true };
	struct store_mailbox_open_out out;
	ASSERT(await_store_mailbox_open(&house.user, &in, &house.a, &out) == OK);
	ASSERT((out.shared >= 0) == (b->n > 0));
	if (out.shared < 0)
		return;
	size_t bytes = out.shared_rows * sizeof(struct index_row);
	struct index_row *rows = frozen_map(out.shared, bytes, bytes);
	ASSERT(rows && out.shared_rows <= COUNT_OF(b->seen) && out.shared_modseq <= out.mailbox.modseq);
	memcpy(b->seen, rows, bytes);
	memset(rows, 0xff, bytes);
	frozen_unmap(rows, bytes);
	close(out.shared);
	b->nseen = out.shared_rows;
	b->seen_modseq = out.shared_modseq;
}

/* The client that only listens to changes must know the same. */
static void
await_compare_changes(struct model_box *b)
{
	if (roll(4) == 0)
		await_begin_shared(b);
	struct store_mailbox_changes_in in = { handle, b->id, b->seen_modseq, 0, in_region() };
	struct store_mailbox_changes_out out;
	const struct index_row *rows = (const void *)house.region;
	do {
		in.known = b->nseen && roll(2) ? b->seen[b->nseen - 1].uid : 0;
		ASSERT(await_store_mailbox_changes(&house.user, &in, &house.a, &out) == OK);
		if (out.whole) {
			wholes++;
			struct store_mailbox_open_in open = { handle, slice_text(b->name), 1, false, in_region() };
			struct store_mailbox_open_out opened;
			ASSERT(await_store_mailbox_open(&house.user, &open, &house.a, &opened) == OK);
			b->nseen = opened.filled / INDEX_ROW_BYTES;
			memcpy(b->seen, rows, opened.filled);
			break;
		}
		for (size_t i = 0; i < out.filled / INDEX_ROW_BYTES; i++)
			client_apply(b, &rows[i]);
		for (size_t i = 0; i < out.vanished.len / 4; i++)
			client_forget(b, (uint32_t)bytes_get_le(out.vanished.at + 4 * i, 4));
		ASSERT(out.upto > in.since || !out.more);
		in.since = out.upto;
	} while (out.more);
	b->seen_modseq = out.upto;
	ASSERT(b->nseen == b->n);
	for (size_t i = 0; i < b->n; i++)
		ASSERT(b->seen[i].uid == b->m[i].uid && b->seen[i].flags == b->m[i].flags);
}

static void
await_compare_bodies(struct model_box *b)
{
	uint32_t uids[MESSAGES_MAX + 64];
	struct model_message *chosen[MESSAGES_MAX + 64];
	size_t nchosen, n = choose(b, uids, chosen, &nchosen), at = 0;
	struct store_message_bodies_in in = { handle, b->id, uid_list(uids, n), in_region() };
	struct store_message_bodies_out out;
	ASSERT(await_store_message_bodies(&house.user, &in, &house.a, &out) == OK);
	ASSERT(n == 0 || out.last == uids[n - 1]);
	for (size_t i = 0; i < nchosen; i++) {
		ASSERT(bytes_get_le(house.region + at, 4) == chosen[i]->uid);
		ASSERT(bytes_get_le(house.region + at + 4, 4) == chosen[i]->bytes);
		for (uint32_t k = 0; k < chosen[i]->bytes; k++)
			ASSERT((uint8_t)house.region[at + 8 + k] == chosen[i]->fill);
		at += (8 + chosen[i]->bytes + 7) & ~(size_t)7;
	}
	ASSERT(out.filled == at);
}

static void
await_compare_usage(void)
{
	struct store_account_usage_in in = { .handle = handle };
	struct store_account_usage_out out;
	uint64_t bytes = 0, messages = 0;
	for (size_t b = 0; b < BOXES; b++)
		for (size_t i = 0; i < boxes[b].n; i++, messages++)
			bytes += boxes[b].m[i].bytes;
	ASSERT(await_store_account_usage(&house.user, &in, &house.a, &out) == OK);
	ASSERT(out.usage.bytes == bytes && out.usage.messages == messages);
}

static void (*const operations[])(void) = { await_op_deliver, await_op_deliver, await_op_append,  await_op_store,
	                                        await_op_store,   await_op_copy,    await_op_expunge, await_op_recreate,
	                                        await_op_restart, await_op_replace };

static void
await_random_operations(uint64_t seed, size_t rounds)
{
	static const char *const names[BOXES] = { "INBOX", "Work", "Work/Sub", "Trash" };
	dice = seed;
	memset(boxes, 0, sizeof boxes);
	ASSERT(await_domain_add("x.test") == OK);
	account = await_account("a@x.test", RIGHTS_USER, 0);
	handle = await_handle(account);
	struct store_mailbox_create_in in = { handle, S("Work/Sub"), 0 };
	struct store_mailbox_create_out out;
	ASSERT(await_store_mailbox_create(&house.user, &in, &house.a, &out) == OK);
	for (size_t b = 0; b < BOXES; b++) {
		boxes[b].name = names[b];
		await_learn_box(&boxes[b]);
	}
	for (size_t i = 0; i < rounds; i++) {
		operations[roll(COUNT_OF(operations))]();
		struct model_box *b = any_box();
		await_compare_box(b);
		if (roll(4) == 0)
			await_compare_changes(b);
		if (roll(8) == 0)
			await_compare_bodies(b);
		if (roll(16) == 0)
			await_compare_usage();
		arena_clear(&house.a);
	}
	for (size_t b = 0; b < BOXES; b++) {
		await_compare_box(&boxes[b]);
		await_compare_changes(&boxes[b]);
	}
	await_compare_usage();
}

static void
random_operations_body(void)
{
	await_random_operations(20261, 1000);
	ASSERT(wholes == 0);
}

static void
random_operations_with_a_short_log_body(void)
{
	uint32_t most = log_entries_max;
	log_entries_max = 8;
	wholes = 0;
	await_random_operations(4711, 1000);
	ASSERT(wholes > 10 && wholes < 1000);
	log_entries_max = most;
}

/* ---- single rules */

static uint64_t
await_inbox(size_t messages)
{
	ASSERT(await_domain_add("x.test") == OK);
	account = await_account("a@x.test", RIGHTS_USER, 0);
	handle = await_handle(account);
	struct store_delivered to = { 0 };
	struct store_delivery *d = ARENA_ARRAY(&house.a, struct store_delivery, 1000);
	for (size_t left = messages; left;) {
		uint32_t n = (uint32_t)MIN(left, (size_t)1000);
		for (uint32_t i = 0; i < n; i++)
			d[i].account = account;
		char id[16];
		random_bytes(id, sizeof id);
		struct store_mail mail = { .body = body_of(S("body")), .facts = S("facts of it"), .deliveries = d };
		mail.ndeliveries = n;
		struct store_commit_in in = { .id = slice_of(id, 16), .mails = &mail, .nmails = 1 };
		struct store_commit_out out;
		ASSERT(await_store_commit(&house.mx, &in, &house.a, &out) == OK && out.verdict == OK);
		to = out.delivered[0];
		left -= n;
	}
	return to.mailbox;
}

static void
facts_and_stretches_body(void)
{
	uint64_t box = await_inbox(3);
	uint32_t uids[] = { 1, 2, 3, 9 };
	struct store_message_facts_in in = { handle, box, uid_list(uids, 4), in_region() };
	struct store_message_facts_out out;
	ASSERT(await_store_message_facts(&house.user, &in, &house.a, &out) == OK);
	ASSERT(out.filled == 3 * 24 && out.last == 9 && memcmp(house.region + 24 + 8, "facts of it", 11) == 0);
	in.into.len = 50;
	ASSERT(await_store_message_facts(&house.user, &in, &house.a, &out) == OK && out.filled == 48 && out.last == 2);
	in.into.len = 10;
	ASSERT(await_store_message_facts(&house.user, &in, &house.a, &out) == OK && out.filled == 0 && out.need == 24);
	uint32_t backwards[] = { 2, 1 };
	in.uids = uid_list(backwards, 2);
	ASSERT(await_store_message_facts(&house.user, &in, &house.a, &out) == ERR_SYNTAX);
	in.mailbox = 999;
	ASSERT(await_store_message_facts(&house.user, &in, &house.a, &out) == ERR_NOT_FOUND);

	struct store_message_body_in part = { handle, box, 2, 1, in_region() };
	struct store_message_body_out got;
	ASSERT(await_store_message_body(&house.user, &part, &house.a, &got) == OK);
	ASSERT(got.total == 4 && got.filled == 3 && memcmp(house.region, "ody", 3) == 0);
	part.uid = 77;
	ASSERT(await_store_message_body(&house.user, &part, &house.a, &got) == ERR_NOT_FOUND);
	struct store_message_bodies_in bodies = { handle, box, uid_list(uids, 4), in_region() };
	struct store_message_bodies_out all;
	bodies.into.len = 8;
	ASSERT(await_store_message_bodies(&house.user, &bodies, &house.a, &all) == OK && all.need == 16 && !all.filled);
}

/* Large bodies are read on another thread. */
static void
large_bodies_body(void)
{
	ASSERT(await_domain_add("x.test") == OK);
	account = await_account("a@x.test", RIGHTS_USER, 0);
	handle = await_handle(account);
	struct store_delivered to;
	for (uint8_t i = 0; i < 5; i++)
		ASSERT(await_deliver(account, "", body_text(150000, (uint8_t)('0' + i)), &to) == OK);
	uint32_t uids[] = { 1, 2, 3, 4, 5 };
	struct store_message_bodies_in in = { handle, to.mailbox, uid_list(uids, 5), in_region() };
	struct store_message_bodies_out out;
	ASSERT(await_store_message_bodies(&house.user, &in, &house.a, &out) == OK);
	ASSERT(out.filled == 5 * 150008 && out.last == 5);
	for (size_t i = 0; i < 5; i++)
		ASSERT(house.region[i * 150008 + 8] == (char)('0' + i) && house.region[i * 150008 + 150007] == (char)('0' + i));
}

static void
refusals_body(void)
{
	uint64_t box = await_inbox(2);
	uint32_t uids[] = { 1, 2 };
	struct store_message_store_in in = { handle, box, uid_list(uids, 2), FLAGS_ADD, 1, NULL, 0, STORE_MODSEQ_ANY };
	struct store_message_store_out out;
	in.into = in_region();
	in.into.len = 79;
	ASSERT(await_store_message_store(&house.user, &in, &house.a, &out) == ERR_LIMIT);
	in.into.len = 80;
	in.op = 3;
	ASSERT(await_store_message_store(&house.user, &in, &house.a, &out) == ERR_SYNTAX);
	in.op = FLAGS_ADD;
	in.flags = 32;
	ASSERT(await_store_message_store(&house.user, &in, &house.a, &out) == ERR_SYNTAX);
	in.flags = 0;
	struct store_keyword bad = { S("two words") };
	in.keywords = &bad;
	in.nkeywords = 1;
	ASSERT(await_store_message_store(&house.user, &in, &house.a, &out) == ERR_SYNTAX);
	in.mailbox = 999;
	ASSERT(await_store_message_store(&house.user, &in, &house.a, &out) == ERR_NOT_FOUND);

	struct store_message_copy_in copy = { handle, box, uid_list(uids, 2), S("no such"), false };
	struct store_message_copy_out copied;
	ASSERT(await_store_message_copy(&house.user, &copy, &house.a, &copied) == ERR_NOT_FOUND);
	copy.to = S("a//b");
	ASSERT(await_store_message_copy(&house.user, &copy, &house.a, &copied) == ERR_NOT_FOUND);
	house.conf.v.quota = 12; /* 8 are used */
	copy.to = S("Trash");
	ASSERT(await_store_message_copy(&house.user, &copy, &house.a, &copied) == ERR_QUOTA);
	copy.move = true;
	ASSERT(await_store_message_copy(&house.user, &copy, &house.a, &copied) == OK);
	struct store_append append = { .body = body_of(S("12345")), .facts = S("f") };
	struct store_message_append_in add = { handle, S("INBOX"), &append, 1 };
	struct store_message_append_out added;
	ASSERT(await_store_message_append(&house.user, &add, &house.a, &added) == ERR_QUOTA);
	append.body.at.len = 4;
	ASSERT(await_store_message_append(&house.user, &add, &house.a, &added) == OK);
	add.replaced = (uint32_t)bytes_get_le(added.uids.at, 4);
	struct store_mailbox_status_in ask = { handle, S("INBOX") };
	struct store_mailbox_status_out inbox;
	ASSERT(await_store_mailbox_status(&house.user, &ask, &house.a, &inbox) == OK);
	add.replaced_mailbox = inbox.mailbox.id;
	append.body = body_of(S("12345"));
	ASSERT(await_store_message_append(&house.user, &add, &house.a, &added) == ERR_QUOTA);
	append.body.at.len = 4; /* RFC 8508 3.4: as much as goes may come */
	ASSERT(await_store_message_append(&house.user, &add, &house.a, &added) == OK);
	ASSERT(await_store_message_append(&house.user, &add, &house.a, &added) == ERR_CONFLICT);
	add.replaced = 0;
	add.mailbox = S("no such");
	ASSERT(await_store_message_append(&house.user, &add, &house.a, &added) == ERR_NOT_FOUND);
	add.nappends = 0;
	ASSERT(await_store_message_append(&house.user, &add, &house.a, &added) == ERR_SYNTAX);
}

/* Each combination is a set; a mailbox has a limited number of them, and the rest of it goes on. */
static void
too_many_keywords_body(void)
{
	uint64_t box = await_inbox(1);
	uint32_t uid = 1;
	struct store_message_store_in in = { handle, box, uid_list(&uid, 1), FLAGS_SET, 0, NULL, 1, STORE_MODSEQ_ANY };
	struct store_message_store_out out;
	in.into = in_region();
	struct store_keyword k;
	in.keywords = &k;
	for (int i = 0; i < 4096; i++) {
		k.name = arena_printf(&house.a, "keyword%d", i);
		ASSERT(await_store_message_store(&house.user, &in, &house.a, &out) == OK);
	}
	k.name = S("KEYWORD7"); /* there already */
	ASSERT(await_store_message_store(&house.user, &in, &house.a, &out) == OK);
	k.name = S("one-more");
	ASSERT(await_store_message_store(&house.user, &in, &house.a, &out) == ERR_LIMIT);
	in.nkeywords = 0;
	ASSERT(await_store_message_store(&house.user, &in, &house.a, &out) == OK);
	struct store_keyword_sets_in ask = { handle, box, SLICE_NONE };
	struct store_keyword_sets_out sets;
	ASSERT(await_store_keyword_sets(&house.user, &ask, &house.a, &sets) == OK && sets.nsets == 4096);
}

/* Changes of thousands of messages come in pages, and each page ends between two modseqs. */
static void
pages_of_changes_body(void)
{
	uint64_t box = await_inbox(6000);
	struct store_mailbox_changes_in in = { handle, box, 0, 0, in_region() };
	struct store_mailbox_changes_out out;
	ASSERT(await_store_mailbox_changes(&house.user, &in, &house.a, &out) == OK && out.whole);
	in.since = 1; /* the mailbox was made then */
	ASSERT(await_store_mailbox_changes(&house.user, &in, &house.a, &out) == OK && !out.whole && !out.more);
	uint64_t before = out.upto;
	uint32_t *uids = ARENA_ARRAY(&house.a, uint32_t, 6000);
	for (uint32_t i = 0; i < 6000; i++)
		uids[i] = i + 1;
	struct store_message_store_in flag = { handle, box, uid_list(uids, 6000), FLAGS_ADD, MESSAGE_SEEN };
	struct store_message_store_out flagged;
	flag.unchanged_since = STORE_MODSEQ_ANY;
	flag.into = in_region();
	ASSERT(await_store_message_store(&house.user, &flag, &house.a, &flagged) == OK && flagged.filled == 6000 * 40);
	in.since = before;
	in.into.len = 1024 * INDEX_ROW_BYTES;
	size_t rows = 0, pages = 0;
	do {
		ASSERT(await_store_mailbox_changes(&house.user, &in, &house.a, &out) == OK && out.upto > in.since);
		rows += out.filled / INDEX_ROW_BYTES;
		in.since = out.upto;
		pages++;
	} while (out.more);
	ASSERT(rows == 6000 && pages == 6);
	in.into.len = 1000;
	ASSERT(await_store_mailbox_changes(&house.user, &in, &house.a, &out) == ERR_LIMIT);

	struct store_message_expunge_in gone = { handle, box, SLICE_NONE, true };
	struct store_message_expunge_out went;
	ASSERT(await_store_message_expunge(&house.user, &gone, &house.a, &went) == OK && went.vanished.len == 24000);
	in.into.len = REGION_BYTES;
	ASSERT(await_store_mailbox_changes(&house.user, &in, &house.a, &out) == OK);
	ASSERT(out.vanished.len == 24000 && out.filled == 0 && out.mailbox.messages == 0);
}

#define HOUSE_TEST(name)                                                                                               \
	static void name(void **state)                                                                                     \
	{                                                                                                                  \
		on_new_house(name##_body);                                                                                     \
	}
HOUSE_TEST(random_operations)
HOUSE_TEST(random_operations_with_a_short_log)
HOUSE_TEST(facts_and_stretches)
HOUSE_TEST(large_bodies)
HOUSE_TEST(refusals)
HOUSE_TEST(too_many_keywords)
HOUSE_TEST(pages_of_changes)

int
main(void)
{
	index_share_bytes_min = 1;
	packed_rows_min = 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(facts_and_stretches),
		cmocka_unit_test(large_bodies),
		cmocka_unit_test(refusals),
		cmocka_unit_test(too_many_keywords),
		cmocka_unit_test(pages_of_changes),
		cmocka_unit_test(random_operations),
		cmocka_unit_test(random_operations_with_a_short_log),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
