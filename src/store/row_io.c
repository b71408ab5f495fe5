/* SPDX-License-Identifier: Apache-2.0 */
/* row_io.c - rows by their keys, and the changes of a mailbox. The one place that moves uidnext, modseq, counts and the
 * change log: a caller cannot change a message and forget one of them. */
#include "store/row_io.h"

#include "base/clock.h"
#include "base/log.h"

#define LOG_ROW_BYTES_MAX (1 + 4 * MODSEQ_SPAN)

uint32_t log_entries_max = 100000;

enum err
row_damaged(const char *kind)
{
	log_event(LOG_ERROR, "store.row_damaged", "kind", kind);
	return ERR_DAMAGED;
}

struct key
key_text(char kind, struct slice text)
{
	struct key k;
	key_begin(&k, kind);
	key_bytes(&k, text);
	return k;
}

struct key
key_head(struct slice name)
{
	return key_text('h', name);
}

struct key
key_address(struct slice domain, struct slice local)
{
	struct key k;
	key_begin(&k, 'a');
	key_bytes(&k, domain);
	key_nul(&k);
	key_bytes(&k, local);
	return k;
}

struct key
key_name(uint64_t account, struct slice name)
{
	struct key k = key1('n', account);
	key_bytes(&k, name);
	return k;
}

static enum err
get(struct txn *t, const struct key *k, struct slice *value)
{
	return txn_get(t, key_slice(k), value);
}

static void
put(struct txn *t, const struct key *k, struct slice value)
{
	txn_put(t, key_slice(k), value);
}

enum err
domain_get(struct txn *t, struct slice domain, struct row_domain *row)
{
	struct key k = key_text('d', domain);
	struct slice value;
	enum err e = get(t, &k, &value);
	return e ? e : row_domain_take(value, row) ? OK : row_damaged("domain");
}

enum err
address_get(struct txn *t, struct slice domain, struct slice local, struct row_address *row)
{
	struct key k = key_address(domain, local);
	struct slice value;
	enum err e = get(t, &k, &value);
	return e ? e : row_address_take(value, txn_arena(t), row) ? OK : row_damaged("address");
}

void
address_put(struct txn *t, struct slice domain, struct slice local, const struct row_address *row)
{
	struct key k = key_address(domain, local);
	put(t, &k, row_address_put(txn_arena(t), row));
}

enum err
account_get(struct txn *t, uint64_t account, struct row_account *row)
{
	struct key k = key1('A', account);
	struct slice value;
	enum err e = get(t, &k, &value);
	return e ? e : row_account_take(value, row) ? OK : row_damaged("account");
}

void
account_put(struct txn *t, uint64_t account, const struct row_account *row)
{
	struct key k = key1('A', account);
	put(t, &k, row_account_put(txn_arena(t), row));
}

enum err
counters_get(struct txn *t, uint64_t account, struct row_counters *row)
{
	struct key k = key1('c', account);
	struct slice value;
	enum err e = get(t, &k, &value);
	return e ? e : row_counters_take(value, row) ? OK : row_damaged("counters");
}

enum err
name_get(struct txn *t, uint64_t account, struct slice name, struct row_name *row)
{
	struct key k = key_name(account, name);
	struct slice value;
	enum err e = get(t, &k, &value);
	return e ? e : row_name_take(value, row) ? OK : row_damaged("name");
}

void
name_put(struct txn *t, uint64_t account, struct slice name, const struct row_name *row)
{
	struct key k = key_name(account, name);
	put(t, &k, row_name_put(txn_arena(t), row));
}

enum err
mailbox_get(struct txn *t, uint64_t account, uint64_t mailbox, struct row_mailbox *row)
{
	struct key k = key2('m', account, mailbox);
	struct slice value;
	enum err e = get(t, &k, &value);
	return e ? e : row_mailbox_take(value, row) ? OK : row_damaged("mailbox");
}

enum err
message_get(struct txn *t, uint64_t account, uint64_t mailbox, uint32_t uid, struct row_message *row)
{
	struct key k = key_message(account, mailbox, uid);
	struct slice value;
	enum err e = get(t, &k, &value);
	return e ? e : row_message_take(value, row) ? OK : row_damaged("message");
}

struct key
key_annotated(uint64_t account, uint64_t mailbox, uint32_t uid)
{
	struct key k = key2('e', account, mailbox);
	key_u32(&k, uid);
	return k;
}

enum err
annotated_get(struct txn *t, struct slice key, struct row_annotated *row)
{
	struct slice value;
	enum err e = txn_get(t, key, &value);
	return e ? e : row_annotated_take(value, row) ? OK : row_damaged("annotated");
}

enum err
sequence_get(struct txn *t, struct slice name, struct row_sequence *row)
{
	struct key k = key_head(name);
	struct slice value;
	enum err e = get(t, &k, &value);
	*row = (struct row_sequence){ 0 };
	if (e == ERR_NOT_FOUND)
		return OK;
	return e ? e : row_sequence_take(value, row) ? OK : row_damaged("sequence");
}

void
sequence_put(struct txn *t, struct slice name, const struct row_sequence *row)
{
	struct key k = key_head(name);
	put(t, &k, row_sequence_put(txn_arena(t), row));
}

/* ---- changes */

enum err
change_begin(struct change *c, struct store *s, struct txn *t, uint64_t account)
{
	*c = (struct change){ .s = s, .t = t, .account = account };
	return counters_get(t, account, &c->counters);
}

void
change_end(struct change *c)
{
	struct key k = key1('c', c->account);
	put(c->t, &k, row_counters_put(txn_arena(c->t), &c->counters));
}

uint64_t
change_modseq(struct change *c)
{
	if (c->span_left == 0) {
		c->span_modseq = ++c->counters.modseq;
		c->span_left = MODSEQ_SPAN;
	}
	c->span_left--;
	return c->span_modseq;
}

enum err
box_get(struct change *c, uint64_t mailbox, struct box *b)
{
	b->id = mailbox;
	b->changed = 0;
	return mailbox_get(c->t, c->account, mailbox, &b->row);
}

static void log_flush(struct change *c);

void
box_put(struct change *c, const struct box *b)
{
	log_flush(c);
	ASSERT(b->row.modseq <= c->counters.modseq);
	ASSERT(b->row.unseen <= b->row.messages && b->row.deleted <= b->row.messages && b->row.recent <= b->row.messages);
	struct key k = key2('m', c->account, b->id);
	put(c->t, &k, row_mailbox_put(txn_arena(c->t), &b->row));
}

static void
message_put(struct change *c, struct box *b, uint32_t uid, const struct row_message *m)
{
	char bytes[ROW_MESSAGE_BYTES];
	struct key k = key_message(c->account, b->id, uid);
	put(c->t, &k, row_message_put(m, bytes));
}

/* What a message with these flags adds to the counts of its mailbox. */
static void
count_flags(struct row_mailbox *row, const struct row_message *m, int sign)
{
	if (!(m->flags & MESSAGE_SEEN))
		row->unseen += (uint32_t)sign;
	if (!(m->flags & MESSAGE_DELETED))
		return;
	row->deleted += (uint32_t)sign;
	row->deleted_bytes += (uint64_t)((int64_t)m->bytes * sign);
}

/* ---- the change log: a row holds the uids, ascending or not, to which the same happened with the same modseq */

static size_t
log_trim_entries(void)
{
	return log_entries_max / 16 + 1;
}

bool
log_row_take(struct slice key, struct slice value, void (*add)(void *to, uint64_t modseq, uint32_t uid, char what),
             void *to)
{
	if (key.len != 29 || value.len % 4 != 1 || value.len > LOG_ROW_BYTES_MAX)
		return false;
	uint64_t modseq = bytes_get_be(key.at + 17, 8);
	add(to, modseq, (uint32_t)bytes_get_be(key.at + 25, 4), value.at[0]);
	for (size_t i = 1; i < value.len; i += 4)
		add(to, modseq, (uint32_t)bytes_get_le(value.at + i, 4), value.at[0]);
	return true;
}

/* Takes the oldest rows out of a log that grew over its limit. */
static void
log_trim(struct change *c, struct box *b)
{
	struct key from = key2('l', c->account, b->id), to = from;
	key_u64(&from, b->row.log_floor);
	key_after_prefix(&to);
	struct range *r = range_begin(c->t, key_slice(&from), key_slice(&to), false);
	struct slice k, value;
	uint32_t gone = 0;
	while (gone < log_trim_entries() && range_next(r, &k, &value)) {
		gone += (uint32_t)((value.len + 3) / 4);
		b->row.log_floor = bytes_get_be(k.at + 17, 8);
		txn_delete(c->t, slice_keep(txn_arena(c->t), k));
	}
	(void)range_end(&r); /* the log stays longer: nothing depends on it */
	b->row.log_entries -= MIN(gone, b->row.log_entries);
}

static void
log_flush(struct change *c)
{
	if (!c->log.n)
		return;
	struct key k = key2('l', c->account, c->log.mailbox);
	key_u64(&k, c->log.modseq);
	key_u32(&k, c->log.first);
	put(c->t, &k, slice_of(c->log.bytes, 1 + 4 * ((size_t)c->log.n - 1)));
	c->log.n = 0;
}

static void
log_add(struct change *c, struct box *b, uint64_t modseq, uint32_t uid, char what)
{
	if (!c->log.bytes)
		c->log.bytes = arena_alloc(txn_arena(c->t), LOG_ROW_BYTES_MAX);
	if (c->log.n && (c->log.mailbox != b->id || c->log.modseq != modseq || c->log.bytes[0] != what))
		log_flush(c);
	if (c->log.n == 0) {
		c->log.mailbox = b->id;
		c->log.modseq = modseq;
		c->log.first = uid;
		c->log.bytes[0] = what;
	} else {
		bytes_set_le(c->log.bytes + 1 + 4 * (c->log.n - 1), uid, 4);
	}
	c->log.n++; /* a modseq is shared by MODSEQ_SPAN rows at most */
	if (++b->row.log_entries > log_entries_max + log_trim_entries())
		log_trim(c, b);
}

enum err
box_add(struct change *c, struct box *b, struct row_message *m, uint32_t *uid)
{
	if (b->row.uidnext == UINT32_MAX || b->row.messages == UINT32_MAX)
		return ERR_LIMIT;
	*uid = b->row.uidnext++;
	m->modseq = b->row.modseq = change_modseq(c);
	m->saved = clock_wall_sec();
	b->changed |= CHANGED_NEW;
	b->row.messages++;
	b->row.recent++;
	b->row.bytes += m->bytes;
	count_flags(&b->row, m, 1);
	c->counters.messages++;
	c->counters.bytes += m->bytes;
	message_put(c, b, *uid, m);
	return OK;
}

void
box_alter(struct change *c, struct box *b, uint32_t uid, const struct row_message *was, struct row_message *now)
{
	count_flags(&b->row, was, -1);
	count_flags(&b->row, now, 1);
	now->modseq = b->row.modseq = change_modseq(c);
	b->changed |= CHANGED_FLAGS;
	message_put(c, b, uid, now);
	log_add(c, b, now->modseq, uid, LOG_CHANGED);
}

void
box_annotate(struct change *c, struct box *b, uint32_t uid, const struct row_message *was, struct row_message *now)
{
	uint32_t changed = b->changed;
	now->flags |= MESSAGE_ANNOTATED;
	box_alter(c, b, uid, was, now);
	b->changed = changed | CHANGED_ANNOTATIONS;
}

/* The rows go in the background (annotation.c), their bytes at once. */
static enum err
take_annotations_out(struct change *c, struct box *b, uint32_t uid)
{
	struct row_annotated row;
	struct key gone = key_annotated(c->account, b->id, uid);
	enum err e = annotated_get(c->t, key_slice(&gone), &row);
	if (e)
		return e == ERR_NOT_FOUND ? row_damaged("annotated") : e;
	ASSERT(b->row.annotations >= row.bytes && c->counters.annotations >= row.bytes);
	b->row.annotations -= row.bytes;
	c->counters.annotations -= row.bytes;
	gone.bytes[0] = 'E';
	put(c->t, &gone, SLICE_NONE);
	return OK;
}

enum err
box_take_out(struct change *c, struct box *b, uint32_t uid, const struct row_message *m)
{
	ASSERT(b->row.messages > 0 && b->row.bytes >= m->bytes);
	ASSERT(c->counters.messages > 0 && c->counters.bytes >= m->bytes);
	struct key k = key_message(c->account, b->id, uid);
	txn_delete(c->t, key_slice(&k));
	b->changed |= CHANGED_EXPUNGED;
	b->row.messages--;
	b->row.bytes -= m->bytes;
	if (uid >= b->row.recent_from && b->row.recent > 0)
		b->row.recent--;
	count_flags(&b->row, m, -1);
	c->counters.messages--;
	c->counters.bytes -= m->bytes;
	b->row.modseq = change_modseq(c);
	log_add(c, b, b->row.modseq, uid, LOG_VANISHED);
	return m->flags & MESSAGE_ANNOTATED ? take_annotations_out(c, b, uid) : OK;
}

/* ---- many messages */

static uint32_t
uid_at(struct slice uids, size_t i)
{
	return (uint32_t)bytes_get_le(uids.at + 4 * i, 4);
}

static bool
uids_ascend(struct slice uids)
{
	if (uids.len % 4)
		return false;
	for (size_t i = 0; i < uids.len / 4; i++)
		if (uid_at(uids, i) <= (i ? uid_at(uids, i - 1) : 0))
			return false;
	return true;
}

static enum err
get_one_by_one(struct txn *t, uint64_t account, uint64_t mailbox, struct slice uids, struct uid_row *rows, size_t *n)
{
	for (size_t i = 0; i < uids.len / 4; i++) {
		rows[*n].uid = uid_at(uids, i);
		enum err e = message_get(t, account, mailbox, rows[*n].uid, &rows[*n].row);
		if (e && e != ERR_NOT_FOUND)
			return e;
		if (!e)
			(*n)++;
	}
	return OK;
}

/* Walks all messages between the first and the last: cheaper than a search for each when most of them are wanted. */
static enum err
get_by_range(struct txn *t, uint64_t account, uint64_t mailbox, struct slice uids, struct uid_row *rows, size_t *n)
{
	size_t count = uids.len / 4, i = 0;
	struct key from = key_message(account, mailbox, uid_at(uids, 0));
	struct key to = key_message(account, mailbox, uid_at(uids, count - 1));
	key_nul(&to); /* the last one is inside */
	struct range *r = range_begin(t, key_slice(&from), key_slice(&to), false);
	struct slice k, value;
	bool sound = true;
	while (i < count && sound && range_next(r, &k, &value)) {
		uint32_t uid = (uint32_t)bytes_get_be(k.at + 17, 4);
		while (i < count && uid_at(uids, i) < uid)
			i++;
		if (i == count || uid_at(uids, i) != uid)
			continue;
		rows[*n].uid = uid;
		sound = row_message_take(value, &rows[*n].row);
		(*n)++;
		i++;
	}
	enum err e = range_end(&r);
	return e ? e : sound ? OK : row_damaged("message");
}

enum err
messages_get(struct txn *t, uint64_t account, uint64_t mailbox, struct slice uids, struct uid_row **rows, size_t *n)
{
	size_t count = uids.len / 4;
	*rows = NULL;
	*n = 0;
	if (!uids_ascend(uids))
		return ERR_SYNTAX;
	if (count == 0)
		return OK;
	*rows = must_calloc(count, sizeof **rows);
	bool dense = count >= 8 && uid_at(uids, count - 1) - uid_at(uids, 0) < 4 * count;
	enum err e = (dense ? get_by_range : get_one_by_one)(t, account, mailbox, uids, *rows, n);
	if (e) {
		free(*rows);
		*rows = NULL;
	}
	return e;
}

/* ---- small rules */

struct store_usage
usage_of(const struct store *s, const struct row_account *row, const struct row_counters *counters)
{
	const struct conf_values *v = &s->conf->v;
	return (struct store_usage){
		.bytes = counters->bytes,
		.bytes_max = row->quota ? row->quota : v->quota,
		.messages = counters->messages,
		.messages_max = row->messages_max ? row->messages_max : v->quota_messages,
		.mailboxes = counters->mailboxes,
		.mailboxes_max = row->mailboxes_max ? row->mailboxes_max : v->quota_mailboxes,
		.annotations = counters->annotations,
		.annotations_max = row->annotations_max ? row->annotations_max : v->quota_annotations,
	};
}

/* used + more > max, without overflow; what is full takes nothing, not even nothing. */
static bool
is_over(uint64_t used, uint64_t more, uint64_t max)
{
	return max && (used >= max || more > max - used);
}

enum err
quota_check(const struct store *s, const struct row_account *row, const struct row_counters *counters, uint64_t bytes,
            uint64_t messages)
{
	struct store_usage u = usage_of(s, row, counters);
	return is_over(u.bytes, bytes, u.bytes_max) || is_over(u.messages, messages, u.messages_max) ? ERR_QUOTA : OK;
}

struct store_mailbox
mailbox_answer(uint64_t account, uint64_t id, const struct row_mailbox *row, uint32_t attributes)
{
	return (struct store_mailbox){ .id = id,
		                           .account = account,
		                           .name = row->name,
		                           .uidvalidity = row->uidvalidity,
		                           .uidnext = row->uidnext,
		                           .modseq = row->modseq,
		                           .messages = row->messages,
		                           .unseen = row->unseen,
		                           .deleted = row->deleted,
		                           .recent = row->recent,
		                           .bytes = row->bytes,
		                           .deleted_bytes = row->deleted_bytes,
		                           .attributes = attributes };
}
