/* SPDX-License-Identifier: Apache-2.0 */
/* fsck.c - reads every row and every body once, each kind in the order of its keys, and compares: messages with the
 * counts of their mailbox and account, annotations with their messages, names with mailboxes, the queue with its order
 * in time, references with objects, objects with the bytes in segments and their checksums. Called by the posthouse
 * command, without a server. Rows that are still to be removed in the background ('D') are no problem. Problems are
 * told, not mended. */
#include "store/fsck.h"
#include "mail/referral.h"
#include "store/format.h"

#include "mail/facts.h"
#include "mail/search_pack.h"
#include "store/object.h"
#include "store/row_io.h"
#include "store/texts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

#define PROBLEMS_TOLD_MAX 1000
#define CACHE_BYTES (32u << 20)

/* Who names an object: the first one that was met. */
struct named {
	uint32_t refs, uid;
	uint64_t account, mailbox; /* mailbox 0: the queue row with this number (in account) */
	uint32_t bytes;
	bool is_pack; /* of texts for search: uid is the last one in it, bytes are not known */
};

struct checked_account {
	char *address;
	uint64_t messages, bytes, names, mailboxes, acl_entries, annotations;
	uint64_t held; /* bytes of mail for later */
};

struct check {
	FILE *out;
	int problems;
	struct engine *engine;
	struct segments *segments;
	struct txn *t;
	struct arena scratch; /* of one row */
	struct map accounts;  /* id -> struct checked_account */
	struct map objects;   /* id -> struct named */
	struct map rows;      /* segment -> struct segment_row; alive counts down to 0 */
	struct place pack_at; /* of the pack that is read now */
	uint64_t naccounts, nmailboxes, nmessages, nobjects, nqueue, last_queue;

	/* the mailbox whose messages are read now */
	uint64_t account, mailbox;
	bool have;
	struct row_mailbox box, sum;
	char where[1200];
};

static void PRINTF_LIKE(2, 3) problem(struct check *c, const char *format, ...)
{
	if (++c->problems > PROBLEMS_TOLD_MAX)
		return;
	va_list args;
	va_start(args, format);
	vfprintf(c->out, format, args);
	va_end(args);
	fputc('\n', c->out);
}

static const char *
address_of(struct check *c, uint64_t account)
{
	static char number[40];
	const struct checked_account *a = map_get(&c->accounts, account);
	snprintf(number, sizeof number, "account %llu", (unsigned long long)account);
	return a ? a->address : number;
}

static bool
exists(struct check *c, struct key k)
{
	struct slice value;
	return txn_get(c->t, key_slice(&k), &value) == OK;
}

static bool
is_going(struct check *c, uint64_t account, uint64_t mailbox)
{
	return exists(c, key2('D', account, 0)) || (mailbox && exists(c, key2('D', account, mailbox)));
}

/* Every row of a kind. */
static void
each(struct check *c, char kind, void (*row)(struct check *c, struct slice key, struct slice value))
{
	char from[1] = { kind }, to[1] = { (char)(kind + 1) };
	struct slice key, value;
	struct range *r = range_begin(c->t, slice_of(from, 1), slice_of(to, 1), false);
	while (range_next(r, &key, &value)) {
		arena_clear(&c->scratch);
		row(c, key, value);
	}
	enum err e = range_end(&r);
	if (e)
		problem(c, "rows of kind '%c' cannot be read: %s", kind, err_text(e));
}

static uint64_t
number_at(struct slice key, size_t at)
{
	return key.len >= at + 8 ? bytes_get_be(key.at + at, 8) : 0;
}

static struct slice
value_of(struct check *c, struct key k)
{
	struct slice value;
	return txn_get(c->t, key_slice(&k), &value) == OK ? value : SLICE_NONE;
}

/* ---- accounts and addresses */

static void
check_account(struct check *c, struct slice key, struct slice value)
{
	struct row_account row;
	uint64_t id = number_at(key, 1);
	c->naccounts++;
	struct checked_account *a = must_calloc(1, sizeof *a);
	bool good = row_account_take(value, &row);
	a->address = slice_dup(good ? row.address : S("an account whose row is damaged"));
	free(map_set(&c->accounts, id, a));
	if (!good)
		problem(c, "account %llu: its row is damaged", (unsigned long long)id);
}

static void
check_address(struct check *c, struct slice key, struct slice value)
{
	struct row_address row;
	struct slice name = slice_from(key, 1), domain, local;
	slice_cut(name, 0, &domain, &local);
	if (!row_address_take(value, &c->scratch, &row))
		problem(c, "address %.*s@%.*s: its row is damaged", SLICE_ARG(local), SLICE_ARG(domain));
	else if (row.kind == ADDRESS_ACCOUNT && !map_get(&c->accounts, row.account))
		problem(c, "address %.*s@%.*s: its account is not there", SLICE_ARG(local), SLICE_ARG(domain));
}

static void
check_counters(struct check *c, struct slice key, struct slice value)
{
	struct row_counters row;
	uint64_t id = number_at(key, 1);
	const struct checked_account *a = map_get(&c->accounts, id);
	if (!row_counters_take(value, &row)) {
		problem(c, "%s: the row of its counters is damaged", address_of(c, id));
		return;
	}
	if (!a) {
		if (!is_going(c, id, 0))
			problem(c, "account %llu has counters, but is not there", (unsigned long long)id);
		return;
	}
	if (row.messages != a->messages || row.bytes != a->bytes)
		problem(c, "%s: counters say %llu messages and %llu bytes, there are %llu and %llu", a->address,
		        (unsigned long long)row.messages, (unsigned long long)row.bytes, (unsigned long long)a->messages,
		        (unsigned long long)a->bytes);
	if (row.names != a->names)
		problem(c, "%s: counters say %u names of mailboxes, there are %llu", a->address, row.names,
		        (unsigned long long)a->names);
	if (row.annotations != a->annotations)
		problem(c, "%s: counters say %llu bytes of annotations, there are %llu", a->address,
		        (unsigned long long)row.annotations, (unsigned long long)a->annotations);
	if (row.mailboxes != a->mailboxes)
		problem(c, "%s: counters say %u mailboxes, there are %llu", a->address, row.mailboxes,
		        (unsigned long long)a->mailboxes);
	if (row.acl_entries != a->acl_entries)
		problem(c, "%s: counters say %u entries in rights, there are %llu", a->address, row.acl_entries,
		        (unsigned long long)a->acl_entries);
}

/* ---- mailboxes */

static void
check_name(struct check *c, struct slice key, struct slice value)
{
	struct row_name row;
	struct row_mailbox box;
	uint64_t account = number_at(key, 1);
	struct slice name = slice_from(key, 9);
	struct checked_account *a = map_get(&c->accounts, account);
	if (a)
		a->names++;
	else if (!is_going(c, account, 0))
		problem(c, "mailbox name %.*s: its account is not there", SLICE_ARG(name));
	if (!row_name_take(value, &row))
		problem(c, "%s, mailbox name %.*s: its row is damaged", address_of(c, account), SLICE_ARG(name));
	else if (row.mailbox && !row_mailbox_take(value_of(c, key2('m', account, row.mailbox)), &box))
		problem(c, "%s, mailbox %.*s: it has a name, but its row is damaged or not there", address_of(c, account),
		        SLICE_ARG(name));
	else if (row.mailbox && !slice_equal(box.name, name))
		problem(c, "%s, mailbox %.*s: it is also called %.*s", address_of(c, account), SLICE_ARG(name),
		        SLICE_ARG(box.name));
	else if (a)
		a->mailboxes += row.mailbox != 0;
	if ((row.attributes & MAILBOX_SHARED) && !exists(c, key2('r', account, row.mailbox)))
		problem(c, "%s, mailbox %.*s: it is marked as shared, and nobody has rights on it", address_of(c, account),
		        SLICE_ARG(name));
}

static size_t
count_rows(struct check *c, char kind, uint64_t account, uint64_t mailbox, size_t max)
{
	struct key from = key2(kind, account, mailbox), to = from;
	struct slice key, value;
	size_t n = 0;
	key_after_prefix(&to);
	struct range *r = range_begin(c->t, key_slice(&from), key_slice(&to), false);
	while (n < max && range_next(r, &key, &value))
		n++;
	enum err e = range_end(&r);
	if (e)
		problem(c, "%s: rows of kind '%c' cannot be read: %s", address_of(c, account), kind, err_text(e));
	return n;
}

static void
count_entry(void *to, uint64_t modseq, uint32_t uid, char what)
{
	++*(size_t *)to;
}

static void
check_log(struct check *c, uint64_t account, uint64_t mailbox, const struct row_mailbox *row)
{
	struct key from = key2('l', account, mailbox), to = from;
	struct slice key, value;
	size_t n = 0;
	key_after_prefix(&to);
	struct range *r = range_begin(c->t, key_slice(&from), key_slice(&to), false);
	while (range_next(r, &key, &value))
		if (!log_row_take(key, value, count_entry, &n))
			problem(c, "%s, mailbox %.*s: a row of its log of changes is damaged", address_of(c, account),
			        SLICE_ARG(row->name));
	enum err e = range_end(&r);
	if (e)
		problem(c, "%s: the log of changes cannot be read: %s", address_of(c, account), err_text(e));
	if (n != row->log_entries)
		problem(c, "%s, mailbox %.*s: its log of changes has %zu entries instead of %u", address_of(c, account),
		        SLICE_ARG(row->name), n, row->log_entries);
}

static void
check_mailbox(struct check *c, struct slice key, struct slice value)
{
	struct row_mailbox row;
	struct row_name name;
	uint64_t account = number_at(key, 1), id = number_at(key, 9);
	c->nmailboxes++;
	if (!row_mailbox_take(value, &row)) {
		problem(c, "%s, mailbox %llu: its row is damaged", address_of(c, account), (unsigned long long)id);
		return;
	}
	if (is_going(c, account, id))
		return;
	struct key k = key1('n', account);
	key_bytes(&k, row.name);
	if (!row_name_take(value_of(c, k), &name) || name.mailbox != id)
		problem(c, "%s, mailbox %.*s: nothing leads to it by its name", address_of(c, account), SLICE_ARG(row.name));
	if (row.messages && !count_rows(c, 'u', account, id, 1))
		problem(c, "%s, mailbox %.*s: it should have %u messages and has none", address_of(c, account),
		        SLICE_ARG(row.name), row.messages);
	check_log(c, account, id, &row);
}

/* ---- rights of others */

static bool
has_row(struct check *c, char kind, uint64_t a, uint64_t b, uint64_t d)
{
	struct key k = key2(kind, a, b);
	key_u64(&k, d);
	return exists(c, k);
}

static void
check_acl_entry(struct check *c, const struct row_acl_entry *entry, const struct row_mailbox *box, uint64_t account,
                uint64_t mailbox)
{
	if (entry->account && !map_get(&c->accounts, entry->account) && !is_going(c, entry->account, 0))
		problem(c, "%s, mailbox %.*s: account %llu has rights on it, but is not there", address_of(c, account),
		        SLICE_ARG(box->name), (unsigned long long)entry->account);
	else if (!is_going(c, entry->account, 0) && !has_row(c, 'g', entry->account, account, mailbox))
		problem(c, "%s, mailbox %.*s: nothing leads account %llu to its rights", address_of(c, account),
		        SLICE_ARG(box->name), (unsigned long long)entry->account);
}

static void
check_acl(struct check *c, struct slice key, struct slice value)
{
	struct row_acl acl;
	struct row_mailbox box;
	struct row_name name;
	uint64_t account = number_at(key, 1), mailbox = number_at(key, 9);
	if (is_going(c, account, 0))
		return;
	if (!row_acl_take(value, &c->scratch, &acl) || !acl.n) {
		problem(c, "%s, mailbox %llu: the row of its rights is damaged", address_of(c, account),
		        (unsigned long long)mailbox);
		return;
	}
	if (!row_mailbox_take(value_of(c, key2('m', account, mailbox)), &box)) {
		problem(c, "%s: there are rights on mailbox %llu, which is not there", address_of(c, account),
		        (unsigned long long)mailbox);
		return;
	}
	struct checked_account *a = map_get(&c->accounts, account);
	if (a)
		a->acl_entries += acl.n;
	struct key k = key1('n', account);
	key_bytes(&k, box.name);
	if (row_name_take(value_of(c, k), &name) && !(name.attributes & MAILBOX_SHARED))
		problem(c, "%s, mailbox %.*s: others have rights on it, but it is not marked as shared", address_of(c, account),
		        SLICE_ARG(box.name));
	for (uint32_t i = 0; i < acl.n; i++)
		check_acl_entry(c, &acl.entries[i], &box, account, mailbox);
}

static void
check_granted(struct check *c, struct slice key, struct slice value)
{
	struct row_acl acl = { 0 };
	uint64_t grantee = number_at(key, 1), account = number_at(key, 9), mailbox = number_at(key, 17);
	bool named = false;
	if (is_going(c, account, 0) || is_going(c, grantee, 0))
		return;
	struct slice row = value_of(c, key2('r', account, mailbox));
	if (row.len && row_acl_take(row, &c->scratch, &acl))
		for (uint32_t i = 0; i < acl.n; i++)
			named = named || acl.entries[i].account == grantee;
	if (!named)
		problem(c, "%s, mailbox %llu: account %llu is led to rights that it has not", address_of(c, account),
		        (unsigned long long)mailbox, (unsigned long long)grantee);
}

static void
check_public(struct check *c, struct slice key, struct slice value)
{
	uint64_t account = value.len == 8 ? bytes_get_le(value.at, 8) : 0;
	struct slice name = slice_from(key, (size_t)(slice_find_char(key, '\0') + 1));
	struct slice shown = value_of(c, key1('p', account));
	if (!map_get(&c->accounts, account) || !slice_equal_nocase(shown, name))
		problem(c, "public name %.*s: its account is not there, or has another one", SLICE_ARG(name));
}

/* ---- messages */

static void
name_object(struct check *c, uint64_t object, uint64_t account, uint64_t mailbox, uint32_t uid, uint32_t bytes)
{
	struct named *n = map_get(&c->objects, object);
	if (!n) {
		n = must_calloc(1, sizeof *n);
		*n = (struct named){ .uid = uid, .account = account, .mailbox = mailbox, .bytes = bytes };
		map_set(&c->objects, object, n);
	}
	n->refs++;
}

static void
end_mailbox(struct check *c)
{
	struct checked_account *a = map_get(&c->accounts, c->account);
	const struct row_mailbox *want = &c->box, *got = &c->sum;
	if (!c->have)
		return;
	if (a) {
		a->messages += got->messages;
		a->bytes += got->bytes;
		a->annotations += got->annotations;
	}
	if (want->messages != got->messages || want->bytes != got->bytes)
		problem(c, "%s: it counts %u messages and %llu bytes, there are %u and %llu", c->where, want->messages,
		        (unsigned long long)want->bytes, got->messages, (unsigned long long)got->bytes);
	if (want->annotations != got->annotations)
		problem(c, "%s: it counts %llu bytes of annotations, there are %llu", c->where,
		        (unsigned long long)want->annotations, (unsigned long long)got->annotations);
	if (want->unseen != got->unseen || want->deleted != got->deleted || want->deleted_bytes != got->deleted_bytes)
		problem(c, "%s: it counts %u unseen and %u deleted messages, there are %u and %u", c->where, want->unseen,
		        want->deleted, got->unseen, got->deleted);
}

static void
begin_mailbox(struct check *c, uint64_t account, uint64_t mailbox)
{
	end_mailbox(c);
	c->account = account;
	c->mailbox = mailbox;
	c->sum = (struct row_mailbox){ 0 };
	c->have = row_mailbox_take(value_of(c, key2('m', account, mailbox)), &c->box);
	struct slice name = c->have ? c->box.name : S("without a row");
	snprintf(c->where, sizeof c->where, "%s, mailbox %.*s", address_of(c, account), SLICE_ARG(name));
	if (c->have || is_going(c, account, mailbox))
		return;
	problem(c, "%s: there are messages of mailbox %llu, which is not there", address_of(c, account),
	        (unsigned long long)mailbox);
}

/* What the annotations of a message are said to have, and have. */
static uint64_t
annotated_bytes(struct check *c, uint32_t uid)
{
	struct key from = key_annotated(c->account, c->mailbox, uid), to = from;
	struct row_annotated said = { 0 };
	struct row_annotation row;
	struct slice key, value;
	uint64_t bytes = 0;
	if (!row_annotated_take(value_of(c, from), &said))
		problem(c, "%s, message %u: the row of its annotations is damaged or not there", c->where, uid);
	key_u64(&from, 0);
	key_after_prefix(&to);
	struct range *r = range_begin(c->t, key_slice(&from), key_slice(&to), false);
	while (range_next(r, &key, &value)) {
		if (key.len <= from.len || !row_annotation_take(value, &row))
			problem(c, "%s, message %u: one of its annotations is damaged", c->where, uid);
		else
			bytes += row.gone ? 0 : key.len - from.len + row.value.len;
	}
	enum err e = range_end(&r);
	if (e)
		problem(c, "%s, message %u: its annotations cannot be read: %s", c->where, uid, err_text(e));
	if (bytes != said.bytes)
		problem(c, "%s, message %u: its annotations are said to have %llu bytes, and have %llu", c->where, uid,
		        (unsigned long long)said.bytes, (unsigned long long)bytes);
	return said.bytes;
}

static void
check_in_box(struct check *c, uint32_t uid, const struct row_message *m)
{
	c->sum.messages++;
	c->sum.bytes += m->bytes;
	c->sum.unseen += !(m->flags & MESSAGE_SEEN);
	c->sum.deleted += (m->flags & MESSAGE_DELETED) != 0;
	c->sum.deleted_bytes += m->flags & MESSAGE_DELETED ? m->bytes : 0;
	if (uid == 0 || uid >= c->box.uidnext)
		problem(c, "%s, message %u: its uid is not below the next one (%u)", c->where, uid, c->box.uidnext);
	if (m->modseq > c->box.modseq)
		problem(c, "%s, message %u: its modseq is greater than its mailbox's", c->where, uid);
	if (m->keyword_set > c->box.keyword_sets)
		problem(c, "%s, message %u: its keywords are not there", c->where, uid);
	if (m->flags & MESSAGE_ANNOTATED)
		c->sum.annotations += annotated_bytes(c, uid);
}

static void
check_message(struct check *c, struct slice key, struct slice value)
{
	struct row_message m;
	uint64_t account = number_at(key, 1), mailbox = number_at(key, 9);
	if (account != c->account || mailbox != c->mailbox)
		begin_mailbox(c, account, mailbox);
	uint32_t uid = key.len == 21 ? (uint32_t)bytes_get_be(key.at + 17, 4) : 0;
	if (!row_message_take(value, &m)) {
		problem(c, "%s, message %u: its row is damaged", c->where, uid);
		return;
	}
	c->nmessages++;
	if (c->have)
		check_in_box(c, uid, &m);
	name_object(c, m.object, account, mailbox, uid, m.bytes);
}

/* Annotations of a message that is not there, or does not know of them. */
static void
check_annotated(struct check *c, struct slice key, struct slice value)
{
	struct row_message m;
	uint64_t account = number_at(key, 1), mailbox = number_at(key, 9);
	uint32_t uid = key.len >= 21 ? (uint32_t)bytes_get_be(key.at + 17, 4) : 0;
	struct key gone = key_annotated(account, mailbox, uid);
	gone.bytes[0] = 'E';
	if (key.len > 21 || is_going(c, account, mailbox) || exists(c, gone))
		return;
	if (!row_message_take(value_of(c, key_message(account, mailbox, uid)), &m) || !(m.flags & MESSAGE_ANNOTATED))
		problem(c, "%s, mailbox %llu, message %u: it has annotations, and is not there or does not say so",
		        address_of(c, account), (unsigned long long)mailbox, uid);
}

/* ---- the queue */

static void
check_queue_row(struct check *c, struct slice key, struct slice value)
{
	struct row_queue row;
	uint64_t id = number_at(key, 1);
	c->nqueue++;
	c->last_queue = MAX(c->last_queue, id);
	if (!row_queue_take(value, &c->scratch, &row)) {
		problem(c, "queue row %llu: it is damaged", (unsigned long long)id);
		return;
	}
	name_object(c, row.object, id, 0, 0, (uint32_t)row.bytes);
	struct checked_account *a = map_get(&c->accounts, row.envelope.account);
	if (a && row_queue_is_for_later(&row))
		a->held += row.bytes;
	if (!row.held && !exists(c, key2('Q', (uint64_t)row_queue_slot(&row), id)))
		problem(c, "queue row %llu: it is never due", (unsigned long long)id);
}

static void
check_queue_time(struct check *c, struct slice key, struct slice value)
{
	struct row_queue row;
	uint64_t when = number_at(key, 1), id = number_at(key, 9);
	if (!row_queue_take(value_of(c, key1('q', id)), &c->scratch, &row))
		problem(c, "queue row %llu: it is due, but is not there", (unsigned long long)id);
	else if (row.held || (uint64_t)row_queue_slot(&row) != when)
		problem(c, "queue row %llu: it is due at another time than it says", (unsigned long long)id);
}

static void
check_sequence(struct check *c, struct slice name, const char *what, uint64_t count, uint64_t last)
{
	struct row_sequence row = { 0 };
	struct key k;
	key_begin(&k, 'h');
	key_bytes(&k, name);
	struct slice value = value_of(c, k);
	if (value.len && !row_sequence_take(value, &row))
		problem(c, "the number of %s is damaged", what);
	else if (row.count != count || row.last < last)
		problem(c, "the number of %s is %llu and should be %llu", what, (unsigned long long)row.count,
		        (unsigned long long)count);
}

static void
check_held(struct check *c)
{
	uint64_t id;
	void *value;
	for (size_t i = 0; map_each(&c->accounts, &i, &id, &value);) {
		const struct checked_account *a = value;
		arena_clear(&c->scratch);
		struct slice name = arena_printf(&c->scratch, "held %llu", (unsigned long long)id);
		check_sequence(c, name, "bytes that wait for a later time", a->held, 0);
	}
}

/* ---- objects, their bytes, segments */

static void
load_segment(struct check *c, struct slice key, struct slice value)
{
	struct segment_row *row = must_calloc(1, sizeof *row);
	if (!segment_row_take(key, value, row)) {
		problem(c, "the row of a segment is damaged");
		free(row);
		return;
	}
	segment_used(c->segments, row->number);
	free(map_set(&c->rows, row->number, row));
}

/* "alice@example.test, mailbox INBOX, message 7" or "queue row 3". */
static const char *
who_names(struct check *c, const struct named *n)
{
	static char text[1200];
	struct row_mailbox box;
	if (!n) {
		snprintf(text, sizeof text, "a body that nothing names");
	} else if (n->mailbox == 0) {
		snprintf(text, sizeof text, "queue row %llu", (unsigned long long)n->account);
	} else {
		bool good = row_mailbox_take(value_of(c, key2('m', n->account, n->mailbox)), &box);
		struct slice name = good ? box.name : S("(removed)");
		snprintf(text, sizeof text, "%s, mailbox %.*s, message %u", address_of(c, n->account), SLICE_ARG(name), n->uid);
	}
	return text;
}

static void
check_bytes(struct check *c, uint64_t id, const struct object *o, const char *who)
{
	struct segment_row *row = map_get(&c->rows, o->at.segment);
	uint64_t bytes = segment_record_bytes(o->at.bytes);
	if (!row || o->at.offset + bytes > row->end) {
		problem(c, "%s: its body stands in a place that is not there", who);
		return;
	}
	row->alive -= bytes;
	enum err e = segment_verify(c->segments, &o->at, id);
	if (e)
		problem(c, "%s: its body cannot be read: %s", who, err_text(e));
}

static void
check_object(struct check *c, struct slice key, struct slice value)
{
	struct object o;
	uint64_t id = number_at(key, 1);
	struct named *n = map_remove(&c->objects, id);
	const char *who = who_names(c, n);
	c->nobjects++;
	if (!object_row_take(value, &o)) {
		problem(c, "%s: the row of its body is damaged", who);
	} else {
		struct slice facts;
		struct facts f;
		if (n ? o.refs != n->refs : o.refs > 0)
			problem(c, "%s: its body counts %u references, there are %u", who, o.refs, n ? n->refs : 0);
		if (n && !n->is_pack && n->bytes != o.at.bytes)
			problem(c, "%s: its body has %u bytes instead of %u", who, o.at.bytes, n->bytes);
		check_bytes(c, id, &o, who);
		if (!(n && n->is_pack) && (object_facts(c->t, id, &facts) || !facts_open(&f, facts)))
			problem(c, "%s: what is known about its parts and headers is damaged", who);
	}
	free(n);
}

static void
check_facts(struct check *c, struct slice key, struct slice value)
{
	uint64_t id = number_at(key, 1);
	if (!exists(c, key1('o', id)))
		problem(c, "facts of body %llu, which is not there", (unsigned long long)id);
}

static void
check_text(struct check *c, struct slice key, struct slice value)
{
	uint64_t id = number_at(key, 1);
	struct buf record;
	struct search_text text;
	buf_init(&record, SEARCH_TEXT_BYTES_MAX);
	if (!exists(c, key1('o', id)))
		problem(c, "text for search of body %llu, which is not there", (unsigned long long)id);
	else if (!search_text_unpack(value, &record) || !search_text_open(&text, buf_slice(&record)))
		problem(c, "text for search of body %llu: it is damaged; 'posthouse search rebuild' makes it again",
		        (unsigned long long)id);
	buf_release(&record);
}

static void
check_texts(struct check *c, struct slice key, struct slice value)
{
	struct row_texts row;
	struct row_mailbox box;
	uint64_t account = number_at(key, 1), mailbox = number_at(key, 9);
	if (!row_mailbox_take(value_of(c, key2('m', account, mailbox)), &box)) {
		if (!is_going(c, account, mailbox))
			problem(c, "%s: texts for search of mailbox %llu, which is not there", address_of(c, account),
			        (unsigned long long)mailbox);
	} else if (row_texts_take(value, &row) && row.text_uid >= box.uidnext) {
		problem(c, "%s, mailbox %.*s: texts for search are said to reach to message %u, the next one is %u",
		        address_of(c, account), SLICE_ARG(box.name), row.text_uid, box.uidnext);
	}
}

static bool
pack_read(void *from, uint64_t at, void *to, size_t len)
{
	struct check *c = from;
	return segment_read(c->segments, &c->pack_at, at, to, len) == OK;
}

static void
check_url_key(struct check *c, struct slice key, struct slice value)
{
	uint64_t account = number_at(key, 1), mailbox = number_at(key, 9);
	bool there = mailbox ? exists(c, key2('m', account, mailbox)) : number_at(key, 17) == account;
	if (key.len != 25 || value.len != 32)
		problem(c, "%s: a key of URLs is damaged", address_of(c, account));
	else if (!there && !is_going(c, account, mailbox))
		problem(c, "%s: a key of URLs of mailbox %llu, which is not there", address_of(c, account),
		        (unsigned long long)mailbox);
}

static void
check_referral(struct check *c, struct slice key, struct slice value)
{
	struct referral r;
	struct row_name row = { 0 };
	struct key name;
	uint64_t account = number_at(key, 1);
	if (value.len < 2 || !referral_take(slice_from(value, 1), &r))
		problem(c, "%s: a referral is damaged", address_of(c, account));
	key_begin(&name, 'n');
	key_bytes(&name, slice_from(key, 1));
	if (key.len > 9 && !is_going(c, account, 0) &&
	    !(row_name_take(value_of(c, name), &row) && (row.attributes & MAILBOX_REMOTE)))
		problem(c, "%s, mailbox %.*s: it is referred to, and does not say so", address_of(c, account),
		        SLICE_ARG(slice_from(key, 9)));
}

static void
check_pack(struct check *c, struct slice key, struct slice value)
{
	struct row_pack row;
	struct object o;
	uint64_t account = number_at(key, 1), mailbox = number_at(key, 9);
	if (!row_pack_take(key, value, &row)) {
		problem(c, "%s: the row of a pack of texts is damaged", address_of(c, account));
		return;
	}
	name_object(c, row.object, account, mailbox, row.upto, 0);
	((struct named *)map_get(&c->objects, row.object))->is_pack = true;
	if (!exists(c, key2('m', account, mailbox)) && !is_going(c, account, mailbox))
		problem(c, "%s: a pack of texts of mailbox %llu, which is not there", address_of(c, account),
		        (unsigned long long)mailbox);
	if (object_get(c->t, row.object, &o))
		return; /* told as a body that is not there */
	c->pack_at = o.at;
	struct search_pack p = { .read = pack_read, .from = c, .bytes = o.at.bytes };
	uint8_t version;
	if (pack_read(c, 0, &version, 1) && version > 0 && version < SEARCH_PACK_VERSION)
		return; /* it is made again in the background */
	if (!search_pack_open(&p) || p.n != row.count)
		problem(c, "%s: a pack of texts up to message %u is damaged; 'posthouse search rebuild' makes it again",
		        address_of(c, account), row.upto);
}

static void
check_rest(struct check *c)
{
	uint64_t key;
	void *value;
	for (size_t i = 0; map_each(&c->objects, &i, &key, &value);)
		problem(c, "%s: its body is not there", who_names(c, value));
	for (size_t i = 0; map_each(&c->rows, &i, &key, &value);) {
		const struct segment_row *row = value;
		if (row->alive)
			problem(c, "segment %08x: %lld bytes more are counted as alive than are", row->number,
			        (long long)row->alive);
	}
}

/* ---- all of it */

static void
check_all(struct check *c)
{
	c->t = txn_begin(c->engine, false);
	each(c, 's', load_segment);
	each(c, 'A', check_account);
	each(c, 'a', check_address);
	each(c, 'n', check_name);
	each(c, 'm', check_mailbox);
	each(c, 'r', check_acl);
	each(c, 'g', check_granted);
	each(c, 'P', check_public);
	each(c, 'U', check_url_key);
	each(c, 'R', check_referral);
	each(c, 'u', check_message);
	end_mailbox(c);
	each(c, 'e', check_annotated);
	each(c, 'c', check_counters);
	each(c, 'q', check_queue_row);
	each(c, 'Q', check_queue_time);
	check_sequence(c, S("accounts"), "accounts", c->naccounts, 0);
	check_sequence(c, S("queue"), "queue rows", c->nqueue, c->last_queue);
	check_held(c);
	each(c, 'z', check_pack);
	each(c, 'o', check_object);
	each(c, 'f', check_facts);
	each(c, 'T', check_text);
	each(c, 'i', check_texts);
	check_rest(c);
	txn_end(&c->t);
}

static void
free_values(struct map *m)
{
	uint64_t key;
	void *value;
	for (size_t i = 0; map_each(m, &i, &key, &value);)
		free(value);
	map_release(m);
}

static void
free_accounts(struct map *m)
{
	uint64_t key;
	void *value;
	for (size_t i = 0; map_each(m, &i, &key, &value);)
		free(((struct checked_account *)value)->address);
	free_values(m);
}

static bool
open_all(struct check *c, const char *folder, int dir)
{
	char path[4096];
	const char *why = "";
	const struct engine_options options = { CACHE_BYTES, CACHE_BYTES };
	snprintf(path, sizeof path, "%s/engine", folder);
	if (faccessat(dir, "engine/CURRENT", F_OK, 0) < 0) {
		fprintf(c->out, "%s: there is no store in this folder\n", folder);
		return false;
	}
	enum err e = engine_open(path, &options, &c->engine, &c->scratch, &why);
	e = e ? e : format_check(c->engine, false, &c->scratch, &why);
	if (!e)
		e = segments_open(dir, &c->segments, &why);
	if (e)
		fprintf(c->out, "%s: %s\n", folder, why);
	return e == OK;
}

int
store_check(const char *data_folder, FILE *out)
{
	struct check c = { .out = out };
	int dir = open(data_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		fprintf(out, "%s: %s\n", data_folder, err_text(err_from_errno(errno)));
		return -1;
	}
	bool opened = open_all(&c, data_folder, dir);
	if (opened) {
		check_all(&c);
		fprintf(out, "%llu accounts, %llu mailboxes, %llu messages, %llu bodies, %llu queue rows: %d problems\n",
		        (unsigned long long)c.naccounts, (unsigned long long)c.nmailboxes, (unsigned long long)c.nmessages,
		        (unsigned long long)c.nobjects, (unsigned long long)c.nqueue, c.problems);
	}
	free_accounts(&c.accounts);
	free_values(&c.objects);
	free_values(&c.rows);
	segments_close(&c.segments);
	engine_close(&c.engine);
	arena_release(&c.scratch);
	close(dir);
	return opened ? c.problems : -1;
}
