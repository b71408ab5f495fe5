/* SPDX-License-Identifier: Apache-2.0 */
/* driver.c - a store under work, for run.py.
 *
 *     driver run FOLDER ACKS SEED STEPS    works on the store in FOLDER through its protocol, and says in ACKS what it
 * is about to ask ("I id ..."), what was answered ("A id ..."), what failed ("F id") driver verify FOLDER prints all
 * that is in the store, body by body, then what fsck says
 *
 * Several tasks work at once (mail arriving, the users of two accounts, relay), each asking for one thing at a time, so
 * that commits hold several updates and at most one thing for each is unanswered when the process dies. The clock is
 * simulated: waiting costs nothing. Bodies follow from the number of their message. */
#include "mail/bounce.h"
#include "mail/search_pack.h"
#include "store/sent.h"
#include "store/store_testing.h"
#include "store/texts.h"

#include "store/fsck.h"

#include <stdarg.h>
#include <sys/stat.h>

#define USERS 2
#define NAME_BYTES 24
#define KNOWN_MAX 4096
#define SMALL_SEGMENT_BYTES (192u << 10)
#define SMALL_BUFFER_BYTES (96u << 10)
#define BODY_BYTES_MAX (90u << 10)

static const char *const addresses[USERS] = { "ann@example.test", "bob@example.test" };
static const int64_t born_sec = 1800000000;

static struct {
	uint64_t dice;
	int acks;
	uint64_t asked;
	unsigned steps, messages, workers;
	uint64_t accounts[USERS];
	uint32_t handles[USERS];
} work;

/* ---- what is known */

struct known {
	unsigned user;
	char mailbox[NAME_BYTES];
	uint32_t uid;
	bool gone;
};
static struct known known[KNOWN_MAX];
static size_t nknown;

static void
know(unsigned user, const char *mailbox, uint32_t uid)
{
	ASSERT(nknown < KNOWN_MAX);
	known[nknown] = (struct known){ .user = user, .uid = uid };
	snprintf(known[nknown].mailbox, NAME_BYTES, "%s", mailbox);
	nknown++;
}

static unsigned
dice(unsigned below)
{
	work.dice ^= work.dice << 13;
	work.dice ^= work.dice >> 7;
	work.dice ^= work.dice << 17;
	return (unsigned)(work.dice % below);
}

/* Some messages of one mailbox of the user, by rising uid; their mailbox. */
static size_t
choose(unsigned user, uint32_t *uids, size_t max, char mailbox[NAME_BYTES])
{
	size_t n = 0, start = nknown ? dice((unsigned)nknown) : 0;
	mailbox[0] = 0;
	for (size_t i = start; i < nknown && n < max; i++) {
		const struct known *k = &known[i];
		if (k->gone || k->user != user || (n && strcmp(k->mailbox, mailbox) != 0) || (n && k->uid <= uids[n - 1]))
			continue;
		snprintf(mailbox, NAME_BYTES, "%s", k->mailbox);
		uids[n++] = k->uid;
		if (dice(3) == 0)
			break;
	}
	return n;
}

static void
forget(unsigned user, const char *mailbox, const uint32_t *uids, size_t n)
{
	for (size_t i = 0; i < nknown; i++)
		for (size_t k = 0; k < n || (!uids && k == 0); k++)
			if (known[i].user == user && strcmp(known[i].mailbox, mailbox) == 0 && (!uids || known[i].uid == uids[k]))
				known[i].gone = true;
}

/* ---- bodies */

static size_t
make_body(unsigned n, char *to)
{
	size_t len = n % 7 == 3 ? 40000 + n * 7919 % 40000 : 200 + n * 7919 % 6000;
	size_t head = (size_t)snprintf(to, BODY_BYTES_MAX, "Number: %u\r\n\r\n", n);
	uint64_t x = n * 0x9e3779b97f4a7c15u + 1;
	for (size_t i = head; i < len; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		to[i] = (char)(x >> 56);
	}
	return len;
}

/* The number of the message, 0: it is not what was made. */
static unsigned
read_body(struct slice body)
{
	static char want[BODY_BYTES_MAX];
	struct slice head = S("Number: "), digits;
	uint64_t n;
	if (!slice_starts(body, head) || !slice_cut(slice_from(body, head.len), '\r', &digits, &body) ||
	    !slice_to_u64(digits, &n))
		return 0;
	size_t len = make_body((unsigned)n, want);
	size_t whole = body.len + digits.len + head.len + 1;
	return whole == len && memcmp(want + len - body.len, body.at, body.len) == 0 ? (unsigned)n : 0;
}

static struct store_body
new_body(unsigned n)
{
	static char text[BODY_BYTES_MAX];
	return body_of(slice_of(text, make_body(n, text)));
}

static struct slice
facts_record(void)
{
	return slice_of("\1\0\0\0\0\0\0\0", 8); /* version 1, nothing known */
}

/* ---- what was said */

static void PRINTF_LIKE(1, 2) say(const char *format, ...)
{
	char line[1024];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(line, sizeof line - 1, format, args);
	va_end(args);
	line[n] = '\n';
	ssize_t written = write(work.acks, line, (size_t)n + 1);
	ASSERT(written == n + 1);
}

static const char *
uid_text(const uint32_t *uids, size_t n)
{
	static char text[512];
	size_t len = 0;
	text[0] = 0;
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%u", i ? "," : "", uids[i]);
	return text;
}

/* Says what came of it; true when it was done. */
static bool
answered(uint64_t id, enum err e)
{
	if (e)
		say("F %llu %s", (unsigned long long)id, err_word(e));
	return e == OK;
}

/* ---- mail arrives */

static void
await_mail(void)
{
	unsigned n = ++work.messages;
	struct store_delivery d[3] = { { 0 } };
	struct store_recipient remote = { .state = RECIPIENT_WAITING };
	struct store_group group = { .domain = S("remote.test"), .recipients = &remote, .nrecipients = 1 };
	char id[16], to[200] = "", address[40];
	uint64_t ask = ++work.asked;
	uint32_t ndeliveries = 1 + dice(3);
	size_t len = 0;
	snprintf(address, sizeof address, "r%u@remote.test", n);
	remote.address = slice_text(address);
	random_bytes(id, sizeof id);
	static const char *const folders[] = { "INBOX", "Lists" };
	unsigned users[3], folder[3];
	for (uint32_t i = 0; i < ndeliveries; i++) {
		users[i] = dice(USERS), folder[i] = dice(4) == 0;
		d[i].account = work.accounts[users[i]];
		d[i].mailbox = slice_text(folders[folder[i]]);
		len += (size_t)snprintf(to + len, sizeof to - len, " %u:%s", users[i], folders[folder[i]]);
	}
	struct store_mail mail = { .body = new_body(n), .facts = facts_record(), .received = born_sec };
	mail.deliveries = d, mail.ndeliveries = ndeliveries;
	mail.groups = &group, mail.ngroups = dice(3) == 0;
	mail.envelope.reverse_path = S("ann@example.test");
	bool counted = mail.ngroups && dice(2); /* ann is logged in: what she sends is counted */
	mail.envelope.account = counted ? work.accounts[0] : 0;
	struct store_commit_in in = { .id = slice_of(id, 16), .mails = &mail, .nmails = 1 };
	struct store_commit_out out;
	say("I %llu deliver %u %u%s", (unsigned long long)ask, n, mail.ngroups + counted, to);
	struct arena a;
	arena_init(&a, 0);
	enum err e = await_store_commit(counted ? &house.user : &house.mx, &in, &a, &out);
	if (answered(ask, e ? e : (enum err)out.verdict)) {
		char uids[200] = "";
		len = 0;
		for (uint32_t i = 0; i < out.ndelivered; i++) {
			len += (size_t)snprintf(uids + len, sizeof uids - len, " %u.%u", out.delivered[i].uidvalidity,
			                        out.delivered[i].uid);
			know(users[i], folders[folder[i]], out.delivered[i].uid);
		}
		say("A %llu%s", (unsigned long long)ask, uids);
	}
	arena_release(&a);
}

/* ---- users */

static void
await_append(unsigned user, struct arena *a)
{
	struct store_append appends[2];
	uint32_t count = 1 + dice(2);
	uint64_t ask = ++work.asked;
	unsigned n[2];
	for (uint32_t i = 0; i < count; i++) {
		n[i] = ++work.messages;
		appends[i] = (struct store_append){ .body = new_body(n[i]), .facts = facts_record(), .received = born_sec };
	}
	struct store_message_append_in in = { work.handles[user], S("INBOX"), appends, count };
	struct store_message_append_out out;
	say("I %llu append %u INBOX %s", (unsigned long long)ask, user, uid_text(n, count));
	if (!answered(ask, await_store_message_append(&house.user, &in, a, &out)))
		return;
	uint32_t uids[2];
	for (uint32_t i = 0; i < count; i++) {
		uids[i] = (uint32_t)bytes_get_le(out.uids.at + 4 * (size_t)i, 4);
		know(user, "INBOX", uids[i]);
	}
	say("A %llu %u %s", (unsigned long long)ask, out.uidvalidity, uid_text(uids, count));
}

static struct slice
packed(struct arena *a, const uint32_t *uids, size_t n)
{
	char *at = arena_alloc(a, 4 * n + 1);
	for (size_t i = 0; i < n; i++)
		bytes_set_le(at + 4 * i, uids[i], 4);
	return slice_of(at, 4 * n);
}

/* The number of a mailbox by its name; 0: there is none. */
static uint64_t
await_mailbox(unsigned user, const char *name, struct arena *a)
{
	struct store_mailbox_status_in in = { work.handles[user], slice_text(name) };
	struct store_mailbox_status_out out;
	return await_store_mailbox_status(&house.user, &in, a, &out) == OK ? out.mailbox.id : 0;
}

static void
await_flags(unsigned user, struct arena *a)
{
	uint32_t uids[16];
	char mailbox[NAME_BYTES];
	size_t n = choose(user, uids, COUNT_OF(uids), mailbox);
	if (!n)
		return;
	struct store_message_store_in in = { .handle = work.handles[user], .uids = packed(a, uids, n), .op = dice(3) };
	struct store_message_store_out out;
	in.mailbox = await_mailbox(user, mailbox, a);
	in.flags = dice(32);
	in.unchanged_since = STORE_MODSEQ_ANY;
	in.into = (struct store_region){ shm_offset(house.shm, house.region) + user * (64u << 10), 64u << 10 };
	uint64_t ask = ++work.asked;
	say("I %llu store %u %s %u %u %s", (unsigned long long)ask, user, mailbox, in.op, in.flags, uid_text(uids, n));
	if (answered(ask, await_store_message_store(&house.user, &in, a, &out)))
		say("A %llu %llu", (unsigned long long)ask, (unsigned long long)out.modseq);
}

/* Two entries of some messages, of which one goes now and then: both are others now, or neither. */
static void
await_annotate(unsigned user, struct arena *a)
{
	static const char *const names[] = { "/altsubject", "/comment" };
	uint32_t uids[16];
	char mailbox[NAME_BYTES];
	struct store_message_annotation list[2];
	size_t n = choose(user, uids, COUNT_OF(uids), mailbox);
	if (!n)
		return;
	for (unsigned i = 0; i < 2; i++) {
		list[i] = (struct store_message_annotation){ slice_text(names[i]), SLICE_NONE, dice(2), dice(3) == 0 };
		list[i].value = list[i].gone ? S("-") : arena_printf(a, "v%u", dice(1000));
	}
	struct store_annotation_set_in in = { .handle = work.handles[user], .uids = packed(a, uids, n) };
	struct store_annotation_set_out out;
	in.mailbox = await_mailbox(user, mailbox, a);
	in.annotations = list;
	in.nannotations = 2;
	in.unchanged_since = STORE_MODSEQ_ANY;
	in.into = (struct store_region){ shm_offset(house.shm, house.region) + user * (64u << 10), 64u << 10 };
	uint64_t ask = ++work.asked;
	say("I %llu annotate %u %s %s %u:%s=%.*s %u:%s=%.*s", (unsigned long long)ask, user, mailbox, uid_text(uids, n),
	    list[0].shared, names[0], SLICE_ARG(list[0].value), list[1].shared, names[1], SLICE_ARG(list[1].value));
	if (answered(ask, await_store_annotation_set(&house.user, &in, a, &out)))
		say("A %llu %llu", (unsigned long long)ask, (unsigned long long)out.modseq);
}

static void
await_copy(unsigned user, bool move, struct arena *a)
{
	uint32_t uids[16], into[16];
	char mailbox[NAME_BYTES], to[NAME_BYTES];
	size_t n = choose(user, uids, COUNT_OF(uids), mailbox);
	snprintf(to, sizeof to, "Box%u", dice(3));
	if (!n || strcmp(to, mailbox) == 0)
		return;
	struct store_message_copy_in in = { .handle = work.handles[user], .uids = packed(a, uids, n), .move = move };
	struct store_message_copy_out out;
	in.mailbox = await_mailbox(user, mailbox, a);
	in.to = slice_text(to);
	uint64_t ask = ++work.asked;
	say("I %llu %s %u %s %s %s", (unsigned long long)ask, move ? "move" : "copy", user, mailbox, to, uid_text(uids, n));
	if (!answered(ask, await_store_message_copy(&house.user, &in, a, &out)))
		return;
	ASSERT(out.into.len == 4 * n);
	for (size_t i = 0; i < n; i++) {
		into[i] = (uint32_t)bytes_get_le(out.into.at + 4 * i, 4);
		know(user, to, into[i]);
	}
	if (move)
		forget(user, mailbox, uids, n);
	say("A %llu %u %s", (unsigned long long)ask, out.uidvalidity, uid_text(into, n));
}

static void
await_expunge(unsigned user, struct arena *a)
{
	uint32_t uids[16];
	char mailbox[NAME_BYTES];
	size_t n = choose(user, uids, COUNT_OF(uids), mailbox);
	if (!n)
		return;
	struct store_message_expunge_in in = { .handle = work.handles[user], .uids = packed(a, uids, n), .any = true };
	struct store_message_expunge_out out;
	in.mailbox = await_mailbox(user, mailbox, a);
	uint64_t ask = ++work.asked;
	say("I %llu expunge %u %s %s", (unsigned long long)ask, user, mailbox, uid_text(uids, n));
	if (!answered(ask, await_store_message_expunge(&house.user, &in, a, &out)))
		return;
	forget(user, mailbox, uids, n);
	say("A %llu %llu", (unsigned long long)ask, (unsigned long long)out.modseq);
}

/* A new message in INBOX for one of any mailbox, INBOX too. */
static void
await_replace(unsigned user, struct arena *a)
{
	uint32_t uid, number;
	char mailbox[NAME_BYTES];
	if (!choose(user, &uid, 1, mailbox))
		return;
	number = ++work.messages;
	struct store_append append = { .body = new_body(number), .facts = facts_record(), .received = born_sec };
	struct store_message_append_in in = { work.handles[user], S("INBOX"), &append, 1 };
	struct store_message_append_out out;
	in.replaced_mailbox = await_mailbox(user, mailbox, a);
	in.replaced = uid;
	uint64_t ask = ++work.asked;
	say("I %llu replace %u %s %u INBOX %u", (unsigned long long)ask, user, mailbox, uid, number);
	if (!answered(ask, await_store_message_append(&house.user, &in, a, &out)))
		return;
	forget(user, mailbox, &uid, 1);
	uint32_t added = (uint32_t)bytes_get_le(out.uids.at, 4);
	know(user, "INBOX", added);
	say("A %llu %u %u", (unsigned long long)ask, out.uidvalidity, added);
}

static void
await_create(unsigned user, const char *name, struct arena *a)
{
	struct store_mailbox_create_in in = { work.handles[user], slice_text(name), 0 };
	struct store_mailbox_create_out out;
	uint64_t ask = ++work.asked;
	say("I %llu create %u %s", (unsigned long long)ask, user, name);
	if (answered(ask, await_store_mailbox_create(&house.user, &in, a, &out)))
		say("A %llu %u", (unsigned long long)ask, out.uidvalidity);
}

static void
await_delete(unsigned user, const char *name, struct arena *a)
{
	struct store_mailbox_delete_in in = { work.handles[user], slice_text(name) };
	struct store_mailbox_delete_out out;
	uint64_t ask = ++work.asked;
	say("I %llu delete %u %s", (unsigned long long)ask, user, name);
	if (!answered(ask, await_store_mailbox_delete(&house.user, &in, a, &out)))
		return;
	forget(user, name, NULL, 0);
	say("A %llu", (unsigned long long)ask);
}

static void
await_rename(unsigned user, const char *from, const char *to, struct arena *a)
{
	struct store_mailbox_rename_in in = { work.handles[user], slice_text(from), slice_text(to) };
	struct store_mailbox_rename_out out;
	uint64_t ask = ++work.asked;
	say("I %llu rename %u %s %s", (unsigned long long)ask, user, from, to);
	if (!answered(ask, await_store_mailbox_rename(&house.user, &in, a, &out)))
		return;
	for (size_t i = 0; i < nknown; i++)
		if (known[i].user == user && strcmp(known[i].mailbox, from) == 0)
			snprintf(known[i].mailbox, NAME_BYTES, "%s", to);
	say("A %llu", (unsigned long long)ask);
}

static void
await_names(unsigned user, struct arena *a)
{
	char from[NAME_BYTES], to[NAME_BYTES];
	snprintf(from, sizeof from, "Box%u", dice(3));
	snprintf(to, sizeof to, "Box%u", dice(3));
	switch (dice(4)) {
	case 0: await_delete(user, from, a); break;
	case 1: await_rename(user, from, to, a); break;
	default: await_create(user, from, a);
	}
}

static void
await_user_step(unsigned user)
{
	struct arena a;
	arena_init(&a, 0);
	switch (dice(11)) {
	case 0: await_append(user, &a); break;
	case 1:
	case 2: await_flags(user, &a); break;
	case 3: await_copy(user, false, &a); break;
	case 4: await_copy(user, true, &a); break;
	case 5:
	case 6: await_expunge(user, &a); break;
	case 7: await_replace(user, &a); break;
	case 8:
	case 9: await_annotate(user, &a); break;
	default: await_names(user, &a);
	}
	arena_release(&a);
}

/* ---- relay */

static void
await_settle_one(struct arena *a)
{
	struct store_queue_claim_in ask = { .now = clock_wall_sec(), .max = 2, .lease_sec = 1, .horizon = 7200 };
	struct store_queue_claim_out rows;
	if (await_store_queue_claim(&house.relay, &ask, a, &rows) || rows.nrows == 0)
		return;
	struct store_settle settle = { .id = rows.rows[0].id, .lease = rows.rows[0].lease, .gone = dice(2) };
	settle.due = clock_wall_sec() + 5;
	settle.tries = rows.rows[0].tries + 1;
	settle.recipients = rows.rows[0].recipients;
	settle.nrecipients = rows.rows[0].nrecipients;
	settle.failed = settle.gone && dice(2);
	/* nobody is there: the row goes and the address is suppressed, both or neither */
	struct store_bounced bounced = { settle.recipients[0].address, BOUNCE_NO_USER, S("550 no") };
	settle.bounced = &bounced;
	settle.nbounced = settle.failed;
	char id[16];
	random_bytes(id, sizeof id);
	struct store_commit_in in = { .id = slice_of(id, 16), .settles = &settle, .nsettles = 1 };
	struct store_commit_out out;
	uint64_t number = ++work.asked;
	say("I %llu settle %.*s %u %u %u", (unsigned long long)number, SLICE_ARG(settle.recipients[0].address), settle.gone,
	    settle.tries, settle.failed && rows.rows[0].envelope.account);
	enum err e = await_store_commit(&house.relay, &in, a, &out);
	if (answered(number, e ? e : (enum err)out.verdict))
		say("A %llu", (unsigned long long)number);
}

/* An administrator holds a row, releases it, sends it elsewhere or at another time. */
static void
await_change_one(struct arena *a)
{
	static const struct {
		uint32_t op;
		const char *word;
	} ops[] = { { QUEUE_HOLD, "hold" },
		        { QUEUE_RELEASE, "release" },
		        { QUEUE_REROUTE, "reroute" },
		        { QUEUE_DUE, "due" },
		        { QUEUE_RETRY, "retry" } };
	struct store_queue_list_in list = { 0 };
	struct store_queue_list_out rows;
	if (await_store_queue_list(&house.admin, &list, a, &rows) || rows.nrows == 0)
		return;
	const struct store_queue_row *row = &rows.rows[dice(rows.nrows)];
	unsigned which = dice(COUNT_OF(ops));
	struct store_queue_change_in in = { .id = row->id, .op = ops[which].op };
	struct store_queue_change_out out;
	if (in.op == QUEUE_HOLD)
		in.text = S("by hand");
	if (in.op == QUEUE_REROUTE)
		in.text = arena_printf(a, "h%u.test:25", dice(9));
	in.due = in.op == QUEUE_DUE ? born_sec + 10000 + dice(1000) : 0;
	uint64_t number = ++work.asked;
	say("I %llu change %.*s %s %lld %.*s", (unsigned long long)number, SLICE_ARG(row->recipients[0].address),
	    ops[which].word, (long long)in.due, SLICE_ARG(in.op == QUEUE_REROUTE ? in.text : S("-")));
	enum err e = await_store_queue_change(&house.admin, &in, a, &out);
	if (answered(number, e ? e : out.changed == 0 ? ERR_NOT_FOUND : OK)) /* a row that is held has no other time */
		say("A %llu", (unsigned long long)number);
}

/* A pause comes or goes, relay notes how fast a destination is, an address is not written to any more: two at once. */
static void
await_memos(struct arena *a)
{
	static const char *const kinds[] = { "pause", "pace", "suppress" };
	unsigned kind = dice(3);
	struct store_memo *memos = ARENA_ARRAY(a, struct store_memo, 2);
	struct store_memo_put_in in = { memos, 2 };
	struct store_memo_put_out out;
	for (unsigned i = 0; i < 2; i++) {
		memos[i].kind = slice_text(kinds[kind]);
		memos[i].name = kind == 0 ? arena_printf(a, "domain/d%u.test", 2 * dice(3) + i)
		                          : arena_printf(a, "n%u.test", 2 * dice(3) + i);
		memos[i].value = arena_printf(a, "v%u", dice(1000));
		memos[i].until = dice(3) ? MEMO_FOREVER : 0;
	}
	uint64_t number = ++work.asked;
	say("I %llu memos %s %.*s %.*s %.*s %.*s", (unsigned long long)number, kinds[kind], SLICE_ARG(memos[0].name),
	    SLICE_ARG(memos[0].until ? memos[0].value : S("-")), SLICE_ARG(memos[1].name),
	    SLICE_ARG(memos[1].until ? memos[1].value : S("-")));
	if (answered(number, await_store_memo_put(kind ? &house.relay : &house.admin, &in, a, &out)))
		say("A %llu", (unsigned long long)number);
}

static void
await_relay_step(void)
{
	struct arena a;
	arena_init(&a, 0);
	switch (dice(5)) {
	case 0: await_change_one(&a); break;
	case 1: await_memos(&a); break;
	default: await_settle_one(&a);
	}
	arena_release(&a);
}

/* ---- the indexer: texts for search and packs of them, in between all the rest, given up at the first error */

static struct ipc_client indexer;
static char *index_region;

static enum err
await_index_text(uint64_t account, uint64_t mailbox, const struct store_text_wanted *w, struct arena *a,
                 struct store_text *text)
{
	struct store_text_body_in in = { .account = account, .mailbox = mailbox, .uid = w->uid };
	struct store_text_body_out out = { 0 };
	struct buf record, packed;
	in.into = (struct store_region){ shm_offset(house.shm, index_region), REGION_BYTES };
	enum err e = await_store_text_body(&indexer, &in, a, &out);
	buf_init(&record, SEARCH_TEXT_BYTES_MAX);
	buf_init(&packed, SEARCH_TEXT_BYTES_MAX);
	search_text_make(slice_of(index_region, out.filled), 20000, &record);
	search_text_pack(buf_slice(&record), &packed);
	*text = (struct store_text){ w->object, slice_keep(a, buf_slice(&packed)) };
	buf_release(&record);
	buf_release(&packed);
	return e;
}

static enum err
await_index_texts(uint64_t account, uint64_t mailbox, struct arena *a)
{
	struct store_texts_wanted_in ask = { account, mailbox, 3 };
	struct store_texts_wanted_out w = { 0 };
	struct store_text texts[3];
	enum err e = await_store_texts_wanted(&indexer, &ask, a, &w);
	for (uint32_t i = 0; i < w.nwanted && !e; i++)
		e = await_index_text(account, mailbox, &w.wanted[i], a, &texts[i]);
	struct store_texts_put_in put = { account, mailbox, w.upto, texts, w.nwanted };
	return e ? e : await_store_texts_put(&indexer, &put, a, &(struct store_texts_put_out){ 0 });
}

/* Of the texts in the region, into it: each message is to be looked into. */
static struct store_region
make_pack(uint32_t filled, uint32_t *count)
{
	struct search_packer *p = search_packer_new();
	struct search_text nothing = { .flags = SEARCH_TEXT_HEADER_CUT | SEARCH_TEXT_BODY_CUT };
	struct buf pack;
	buf_init(&pack, SEARCH_PACK_BYTES_MAX);
	for (uint32_t at = 0; at < filled;) {
		const char *e = index_region + at;
		size_t text = bytes_get_le(e + 4, 4), facts = bytes_get_le(e + 16, 8);
		ASSERT(search_packer_add(p, (uint32_t)bytes_get_le(e, 4), bytes_get_le(e + 8, 8), &nothing,
		                         slice_of(e + 24 + text, facts)));
		at += 24 + (uint32_t)((text + facts + 7) & ~(size_t)7);
	}
	*count = (uint32_t)search_packer_count(p);
	search_packer_finish(p, &pack);
	ASSERT(!pack.over && pack.len <= REGION_BYTES);
	memcpy(index_region, pack.at, pack.len);
	struct store_region made = { shm_offset(house.shm, index_region), pack.len };
	buf_release(&pack);
	search_packer_free(&p);
	return made;
}

static enum err
await_index_pack(uint64_t account, uint64_t mailbox, struct arena *a)
{
	struct store_pack_wanted_in ask = { account, mailbox, 0 };
	struct store_pack_wanted_out w = { 0 };
	enum err e = await_store_pack_wanted(&indexer, &ask, a, &w);
	if (e || w.drop)
		return e ? e
		         : await_store_packs_drop(&indexer, &(struct store_packs_drop_in){ account, mailbox }, a,
		                                  &(struct store_packs_drop_out){ 0 });
	if (w.upto == 0)
		return OK;
	struct store_texts_get_in get = {
		account, mailbox, w.from, w.upto, { shm_offset(house.shm, index_region), REGION_BYTES }
	};
	struct store_texts_get_out got = { 0 };
	e = await_store_texts_get(&indexer, &get, a, &got);
	if (e || got.last || !got.filled) /* too much, or all of them went */
		return e;
	struct store_pack_put_in put = { .account = account, .mailbox = mailbox, .from = w.from, .upto = w.upto };
	put.pack = make_pack(got.filled, &put.count);
	return await_store_pack_put(&indexer, &put, a, &(struct store_pack_put_out){ 0 });
}

static void
await_index_step(void)
{
	struct arena a;
	struct store_index_next_out next = { 0 };
	arena_init(&a, 0);
	enum err e = await_store_index_next(&indexer, &(struct store_index_next_in){ 0 }, &a, &next);
	if (!e && next.account)
		e = await_index_texts(next.account, next.mailbox, &a);
	if (!e && next.account)
		(void)await_index_pack(next.account, next.mailbox, &a);
	struct store_search_rebuild_in again = { slice_text(addresses[dice(USERS)]) };
	if (dice(8) == 0)
		(void)await_store_search_rebuild(&house.admin, &again, &a, &(struct store_search_rebuild_out){ 0 });
	arena_release(&a);
}

/* ---- the run */

static void
worker(void *arg)
{
	unsigned which = (unsigned)(uintptr_t)arg;
	for (unsigned i = 0; i < work.steps; i++) {
		if (which == 0)
			await_mail();
		else if (which == 1)
			await_relay_step();
		else if (which == 2)
			await_index_step();
		else
			await_user_step(which - 3);
		if (i % 16 == 15)
			await_sleep(1500); /* background work gets its turn */
	}
	work.workers--;
}

static void
await_accounts(bool make)
{
	enum err e = make ? await_domain_add("example.test") : OK;
	ASSERT(e == OK || e == ERR_EXISTS);
	for (unsigned i = 0; i < USERS; i++) {
		struct store_account_show_in show = { slice_text(addresses[i]) };
		struct store_account_show_out out;
		struct store_account_open_out handle;
		e = await_store_account_show(&house.admin, &show, &house.a, &out);
		if (e && !make)
			continue;
		work.accounts[i] = e ? await_account(addresses[i], RIGHTS_USER, 0) : out.account.id;
		ASSERT(await_grant_open(work.accounts[i], 1, &handle) == OK);
		work.handles[i] = handle.handle;
	}
}

static void
run_body_of_work(void)
{
	await_accounts(true);
	say("S ready");
	work.workers = 3 + USERS;
	for (unsigned i = 0; i < 3 + USERS; i++)
		ASSERT(task_start(worker, (void *)(uintptr_t)i));
	while (work.workers)
		await_sleep(10);
	await_sleep(5000);
	say("S end");
}

/* ---- telling what is there */

static void
await_tell_annotations(unsigned user, const struct store_mailbox *m, uint32_t uid)
{
	struct store_annotation_get_in in = { .handle = work.handles[user], .mailbox = m->id, .private = true };
	struct store_annotation_get_out out;
	in.uids = uid_list(&uid, 1);
	in.shared = true;
	ASSERT(await_store_annotation_get(&house.user, &in, &house.a, &out) == OK && out.last == uid);
	for (uint32_t i = 0; i < out.nannotated; i++) {
		const struct store_message_annotation *a = &out.annotated[i].annotation;
		printf("annotation %u %.*s %u %u:%.*s %.*s\n", user, SLICE_ARG(m->name), uid, a->shared, SLICE_ARG(a->entry),
		       SLICE_ARG(a->value));
	}
}

static void
await_tell_message(unsigned user, const struct store_mailbox *m, const struct index_row *row)
{
	struct store_message_body_in in = { .handle = work.handles[user], .mailbox = m->id, .uid = row->uid };
	struct store_message_body_out out = { 0 };
	in.into = in_region();
	enum err e = await_store_message_body(&house.user, &in, &house.a, &out);
	unsigned n = e ? 0 : read_body(slice_of(house.region, out.filled));
	printf("message %u %.*s %u %u %u\n", user, SLICE_ARG(m->name), row->uid, n, row->flags & MESSAGE_FLAGS_ALL);
	await_tell_annotations(user, m, row->uid);
}

/* What is kept for search says of each message that it has a field Number, or that it does not know. */
static void
await_check_search(unsigned user, const struct store_mailbox *m, const struct index_row *rows, size_t n)
{
	struct store_search_key key = { .where = SEARCH_IN_HEADER, .field = S("NUMBER"), .needle = S("") };
	struct store_search_text_in in = {
		.handle = work.handles[user], .mailbox = m->id, .keys = &key, .nkeys = 1, .from = 1
	};
	struct store_search_text_out out = { 0 };
	size_t found = 0;
	in.into = in_region();
	enum err e = await_store_search_text(&house.user, &in, &house.a, &out);
	for (size_t at = 0; at < out.filled; at += 8)
		for (size_t i = 0; i < n; i++)
			found += rows[i].uid == bytes_get_le(house.region + at, 4) && bytes_get_le(house.region + at + 4, 4) != 0;
	if (e || found != n)
		printf("failed search %u %.*s: %s, %zu of %zu\n", user, SLICE_ARG(m->name), err_word(e), found, n);
}

static void
await_tell_mailbox(unsigned user, struct slice name)
{
	struct store_mailbox_open_in in = { .handle = work.handles[user], .name = name, .from_uid = 1 };
	struct store_mailbox_open_out out;
	in.into = in_region();
	enum err e = await_store_mailbox_open(&house.user, &in, &house.a, &out);
	if (e) {
		printf("failed mailbox %u %.*s %s\n", user, SLICE_ARG(name), err_word(e));
		return;
	}
	ASSERT(!out.more);
	struct index_row *rows = (struct index_row *)(void *)slice_keep(&house.a, slice_of(house.region, out.filled)).at;
	printf("mailbox %u %.*s %u %u %llu\n", user, SLICE_ARG(name), out.mailbox.uidvalidity, out.mailbox.uidnext,
	       (unsigned long long)out.mailbox.modseq);
	for (size_t i = 0; i < out.filled / INDEX_ROW_BYTES; i++)
		await_tell_message(user, &out.mailbox, &rows[i]);
	await_check_search(user, &out.mailbox, rows, out.filled / INDEX_ROW_BYTES);
}

static void
await_tell_queue(void)
{
	struct store_queue_list_in in = { 0 };
	struct store_queue_list_out out;
	ASSERT(await_store_queue_list(&house.relay, &in, &house.a, &out) == OK && !out.more);
	for (uint32_t i = 0; i < out.nrows; i++) {
		const struct store_queue_row *r = &out.rows[i];
		printf("queue %.*s %u %u %.*s %lld\n", SLICE_ARG(r->recipients[0].address), r->tries, r->held,
		       SLICE_ARG(r->reroute.len ? r->reroute : S("-")), (long long)r->due);
	}
}

static void
await_tell_memos(void)
{
	static const char *const kinds[] = { "pause", "pace", "suppress", "sent" };
	for (size_t k = 0; k < COUNT_OF(kinds); k++) {
		struct store_memo_list_in in = { .kind = slice_text(kinds[k]), .max = 1000 };
		struct store_memo_list_out out;
		ASSERT(await_store_memo_list(&house.admin, &in, &house.a, &out) == OK && !out.more);
		for (uint32_t i = 0; i < out.nmemos && k < 3; i++)
			printf("memo %s %.*s %.*s\n", kinds[k], SLICE_ARG(out.memos[i].name), SLICE_ARG(out.memos[i].value));
		struct sent sent;
		sent_take(out.nmemos ? out.memos[0].value : SLICE_NONE, &sent);
		if (k == 3)
			printf("sent %u %u\n", sent_sum(&sent, SENT_MESSAGES, SENT_HOURS),
			       sent_sum(&sent, SENT_FAILED, SENT_HOURS));
	}
}

static void
verify_body(void)
{
	await_accounts(false);
	for (unsigned i = 0; i < USERS; i++) {
		if (!work.accounts[i])
			continue;
		struct store_mailbox_list_in in = { .handle = work.handles[i] };
		struct store_mailbox_list_out out;
		ASSERT(await_store_mailbox_list(&house.user, &in, &house.a, &out) == OK);
		printf("account %u\n", i);
		for (uint32_t k = 0; k < out.nmailboxes; k++)
			if (out.mailboxes[k].id)
				await_tell_mailbox(i, out.mailboxes[k].name);
	}
	await_tell_queue();
	await_tell_memos();
}

static void
on_folder(const char *folder, void (*body)(void), int64_t wall_sec)
{
	loop_sim_start(wall_sec);
	segment_bytes_max = SMALL_SEGMENT_BYTES;
	house = (struct house){ 0 };
	snprintf(house.folder, sizeof house.folder, "%s", folder);
	house.conf.v.store_cache = 4u << 20;
	house.conf.v.store_index_cache = 4u << 20;
	house.conf.v.store_write_buffer = SMALL_BUFFER_BYTES;
	house.conf.v.subaddress = "+";
	house.conf.v.postmaster = "";
	house.conf.v.suppression_bounces = true;
	house.conf.v.suppression_lifetime = 180ll * 86400 * 1000;
	house.conf.v.limits_messages_per_day = 1000000; /* so that they are counted */
	house.shm = shm_pool_new(16u << 20);
	house.region = shm_alloc(house.shm, REGION_BYTES);
	arena_init(&house.a, 1u << 30);
	struct ipc_client *clients[] = { &house.admin, &house.mx, &house.user, &house.relay, &house.auth };
	for (size_t i = 0; i < COUNT_OF(clients); i++)
		client_init(clients[i]);
	client_init(&indexer);
	index_region = shm_alloc(house.shm, REGION_BYTES);
	house.conf.v.search_index = true;
	pack_messages = 4;
	house_open();
	house_connect(&indexer, IPC_CLASS_INDEXER);
	task_body = body;
	task_ended = false;
	ASSERT(task_start(run_body, NULL));
	ASSERT(loop_run_until(body_ended, NULL, 1000 * 1000));
	house_close();
}

int
main(int argc, char **argv)
{
	if (argc == 6 && strcmp(argv[1], "run") == 0) {
		work.acks = open(argv[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		work.dice = 88172645463325252u + strtoull(argv[4], NULL, 10) * 2654435761u;
		work.steps = (unsigned)strtoul(argv[5], NULL, 10);
		on_folder(argv[2], run_body_of_work, born_sec);
		return 0;
	}
	if (argc == 3 && strcmp(argv[1], "verify") == 0) {
		on_folder(argv[2], verify_body, born_sec + 3000);
		fflush(stdout);
		printf("fsck %d\n", store_check(argv[2], stdout));
		return 0;
	}
	fprintf(stderr, "driver run FOLDER ACKS SEED STEPS | driver verify FOLDER\n");
	return 2;
}
