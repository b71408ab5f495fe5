/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - rows to bytes and back. Each kind of row lists its fields once; the same list reads and writes, so that
 * the two cannot differ. Pure; a row that does not read is reported as damage by the callers. */
#include "store/record.h"

#define RECORD_VERSION 1
#define DOMAIN_VERSION 2      /* 1 ended after created */
#define QUEUE_VERSION 2       /* 1 ended after the recipients */
#define RECORD_LIST_MAX 10000 /* members of any list in a row */

struct codec {
	bool reading, bad;
	const char *at, *end; /* reading: what is left */
	char *to;             /* writing */
	size_t len, cap;
	struct arena *arena; /* NULL: the row has no lists, or its buffer is large enough */
};

static void
put(struct codec *c, const void *at, size_t n)
{
	if (c->len + n > c->cap) {
		ASSERT(c->arena != NULL);
		size_t cap = MAX(c->cap * 2, MAX(c->len + n, (size_t)120));
		char *to = arena_alloc(c->arena, cap);
		if (c->len)
			memcpy(to, c->to, c->len);
		c->to = to;
		c->cap = cap;
	}
	if (n)
		memcpy(c->to + c->len, at, n);
	c->len += n;
}

static void
raw(struct codec *c, void *value, size_t n)
{
	if (!c->reading) {
		put(c, value, n);
	} else if (c->bad || (size_t)(c->end - c->at) < n) {
		c->bad = true;
		memset(value, 0, n);
	} else {
		memcpy(value, c->at, n);
		c->at += n;
	}
}

static void
u8(struct codec *c, uint8_t *v)
{
	raw(c, v, 1);
}

static void
u32(struct codec *c, uint32_t *v)
{
	raw(c, v, 4);
}

static void
u64(struct codec *c, uint64_t *v)
{
	raw(c, v, 8);
}

static void
i64(struct codec *c, int64_t *v)
{
	raw(c, v, 8);
}

static void
flag(struct codec *c, bool *v)
{
	uint8_t byte = *v;
	u8(c, &byte);
	if (byte > 1)
		c->bad = true;
	*v = byte == 1;
}

static void
bytes(struct codec *c, struct slice *s)
{
	uint32_t n = (uint32_t)s->len;
	u32(c, &n);
	if (!c->reading) {
		put(c, s->at, n);
	} else if (c->bad || (size_t)(c->end - c->at) < n) {
		c->bad = true;
		*s = SLICE_NONE;
	} else {
		*s = slice_of(c->at, n);
		c->at += n;
	}
}

/* The number of members, and their array when reading; each member takes at least least bytes. */
static void *
list(struct codec *c, void *members, uint32_t *n, size_t size, size_t least)
{
	u32(c, n);
	if (!c->reading)
		return members;
	if (c->bad || *n > RECORD_LIST_MAX || *n * least > (size_t)(c->end - c->at)) {
		c->bad = true;
		*n = 0;
	}
	return arena_alloc(c->arena, (*n + 1) * size);
}

static void
version(struct codec *c)
{
	uint8_t v = RECORD_VERSION;
	u8(c, &v);
	if (v != RECORD_VERSION)
		c->bad = true;
}

static void
domain_fields(struct codec *c, struct row_domain *r)
{
	uint8_t v = DOMAIN_VERSION;
	u8(c, &v);
	if (v == 0 || v > DOMAIN_VERSION)
		c->bad = true;
	bytes(c, &r->shown);
	i64(c, &r->created);
	if (v < 2)
		return;
	flag(c, &r->verp);
	flag(c, &r->forward);
	bytes(c, &r->feedback);
	flag(c, &r->unsubscribe);
}

static void
address_fields(struct codec *c, struct row_address *r)
{
	version(c);
	u8(c, &r->kind);
	if (r->kind != ADDRESS_ACCOUNT && r->kind != ADDRESS_ALIAS)
		c->bad = true;
	u64(c, &r->account);
	bytes(c, &r->shown);
	r->targets = list(c, r->targets, &r->ntargets, sizeof *r->targets, 4);
	for (uint32_t i = 0; i < r->ntargets; i++)
		bytes(c, &r->targets[i].text);
}

static void
account_fields(struct codec *c, struct row_account *r)
{
	version(c);
	bytes(c, &r->address);
	bytes(c, &r->hash);
	u32(c, &r->status);
	u64(c, &r->generation);
	u64(c, &r->rights);
	u64(c, &r->quota);
	u64(c, &r->messages_max);
	u64(c, &r->mailboxes_max);
	u64(c, &r->annotations_max);
	i64(c, &r->created);
}

static void
maildrop_fields(struct codec *c, struct row_maildrop *r)
{
	version(c);
	u32(c, &r->expire_days);
	u32(c, &r->hide_days);
	flag(c, &r->uidls);
}

static void
fetched_fields(struct codec *c, struct row_fetched *r)
{
	version(c);
	bytes(c, &r->uidl);
	i64(c, &r->fetched);
}

static void
counters_fields(struct codec *c, struct row_counters *r)
{
	version(c);
	u64(c, &r->modseq);
	u64(c, &r->bytes);
	u64(c, &r->messages);
	u64(c, &r->next_mailbox);
	u32(c, &r->uidvalidity);
	u32(c, &r->gone);
	u32(c, &r->names);
	u32(c, &r->mailboxes);
	u32(c, &r->acl_entries);
	u64(c, &r->annotations);
}

static void
name_fields(struct codec *c, struct row_name *r)
{
	version(c);
	u64(c, &r->mailbox);
	u32(c, &r->attributes);
}

static void
mailbox_fields(struct codec *c, struct row_mailbox *r)
{
	version(c);
	bytes(c, &r->name);
	u32(c, &r->uidvalidity);
	u32(c, &r->uidnext);
	u64(c, &r->modseq);
	u32(c, &r->messages);
	u32(c, &r->unseen);
	u32(c, &r->deleted);
	u32(c, &r->recent);
	u32(c, &r->recent_from);
	u64(c, &r->bytes);
	u64(c, &r->deleted_bytes);
	u32(c, &r->keyword_sets);
	u32(c, &r->keyword_bytes);
	u64(c, &r->log_floor);
	u32(c, &r->log_entries);
	u64(c, &r->annotations);
}

static void
acl_fields(struct codec *c, struct row_acl *r)
{
	version(c);
	r->entries = list(c, r->entries, &r->n, sizeof *r->entries, 13);
	for (uint32_t i = 0; i < r->n; i++) {
		u64(c, &r->entries[i].account);
		flag(c, &r->entries[i].negative);
		u32(c, &r->entries[i].rights);
	}
}

static void
message_fields(struct codec *c, struct row_message *r)
{
	version(c);
	u64(c, &r->object);
	u32(c, &r->flags);
	u32(c, &r->keyword_set);
	u64(c, &r->modseq);
	i64(c, &r->received);
	i64(c, &r->saved);
	u32(c, &r->bytes);
}

static void
annotated_fields(struct codec *c, struct row_annotated *r)
{
	version(c);
	u64(c, &r->bytes);
}

static void
annotation_fields(struct codec *c, struct row_annotation *r)
{
	version(c);
	flag(c, &r->gone);
	u64(c, &r->modseq);
	bytes(c, &r->value);
}

static void
sequence_fields(struct codec *c, struct row_sequence *r)
{
	version(c);
	u64(c, &r->last);
	u64(c, &r->count);
}

static void
envelope_fields(struct codec *c, struct store_envelope *e)
{
	bytes(c, &e->reverse_path);
	bytes(c, &e->envid);
	u32(c, &e->ret);
	u32(c, &e->flags);
	u32(c, &e->skip);
	u64(c, &e->account);
	bytes(c, &e->session);
}

static void
recipient_fields(struct codec *c, struct store_recipient *r)
{
	bytes(c, &r->address);
	bytes(c, &r->orcpt);
	u32(c, &r->notify);
	u32(c, &r->state);
	bytes(c, &r->reply);
	bytes(c, &r->status);
	bytes(c, &r->mta);
}

/* Since version 2. */
static void
queue_later_fields(struct codec *c, struct row_queue *r)
{
	struct store_envelope *e = &r->envelope;
	u32(c, &e->class);
	i64(c, &e->priority);
	i64(c, &e->by_time);
	u32(c, &e->by_mode);
	bytes(c, &e->language);
	i64(c, &e->hold_until);
	u32(c, &e->hold_for);
	flag(c, &r->appointed);
	flag(c, &r->returned);
	flag(c, &r->local);
	i64(c, &r->paused_until);
	bytes(c, &r->hold_reason);
	bytes(c, &r->reroute);
	r->attempts = list(c, r->attempts, &r->nattempts, sizeof *r->attempts, 16);
	for (uint32_t i = 0; i < r->nattempts; i++) {
		i64(c, &r->attempts[i].at);
		bytes(c, &r->attempts[i].host);
		bytes(c, &r->attempts[i].said);
	}
}

bool
row_queue_is_for_later(const struct row_queue *r)
{
	return r->envelope.hold_until && r->envelope.account;
}

int64_t
row_queue_slot(const struct row_queue *r)
{
	if (r->held)
		return INT64_MAX;
	int64_t when = r->paused_until ? r->paused_until : r->lease ? r->lease_until : r->due;
	int64_t band = r->paused_until || (r->appointed && !r->lease) ? BAND_APPOINTED
	               : r->envelope.priority > 0                     ? BAND_HIGH
	               : r->envelope.priority < 0 || (r->envelope.class == CLASS_BULK && !r->envelope.priority)
	                   ? BAND_LOW
	                   : BAND_NORMAL;
	return band << BAND_SHIFT | MIN(MAX(when, (int64_t)0), SLOT_WHEN(-1ll));
}

static void
queue_fields(struct codec *c, struct row_queue *r)
{
	uint8_t v = QUEUE_VERSION;
	u8(c, &v);
	if (v == 0 || v > QUEUE_VERSION)
		c->bad = true;
	u64(c, &r->object);
	u64(c, &r->lease);
	i64(c, &r->lease_until);
	bytes(c, &r->domain);
	i64(c, &r->due);
	i64(c, &r->born);
	u32(c, &r->tries);
	u32(c, &r->notices);
	flag(c, &r->held);
	u64(c, &r->bytes);
	envelope_fields(c, &r->envelope);
	r->recipients = list(c, r->recipients, &r->nrecipients, sizeof *r->recipients, 28);
	for (uint32_t i = 0; i < r->nrecipients; i++)
		recipient_fields(c, &r->recipients[i]);
	if (v > 1)
		queue_later_fields(c, r);
}

static void
answer_fields(struct codec *c, struct row_answer *r)
{
	version(c);
	u32(c, &r->rows);
	r->delivered = list(c, r->delivered, &r->ndelivered, sizeof *r->delivered, 24);
	for (uint32_t i = 0; i < r->ndelivered; i++) {
		u64(c, &r->delivered[i].account);
		u64(c, &r->delivered[i].mailbox);
		u32(c, &r->delivered[i].uidvalidity);
		u32(c, &r->delivered[i].uid);
	}
}

/* The two faces of each list of fields. A row is not changed by writing it. */
#define ROW_PUT(kind)                                                                                                  \
	struct slice row_##kind##_put(struct arena *a, const struct row_##kind *row)                                       \
	{                                                                                                                  \
		struct codec c = { .arena = a };                                                                               \
		struct row_##kind r = *row;                                                                                    \
		kind##_fields(&c, &r);                                                                                         \
		return slice_of(c.to, c.len);                                                                                  \
	}
#define ROW_TAKE(kind)                                                                                                 \
	bool row_##kind##_take(struct slice from, struct row_##kind *row)                                                  \
	{                                                                                                                  \
		struct codec c = { .reading = true, .at = from.at, .end = from.at + from.len };                                \
		*row = (struct row_##kind){ 0 };                                                                               \
		kind##_fields(&c, row);                                                                                        \
		return !c.bad && c.at == c.end;                                                                                \
	}
#define ROW_TAKE_LIST(kind)                                                                                            \
	bool row_##kind##_take(struct slice from, struct arena *a, struct row_##kind *row)                                 \
	{                                                                                                                  \
		struct codec c = { .reading = true, .at = from.at, .end = from.at + from.len, .arena = a };                    \
		*row = (struct row_##kind){ 0 };                                                                               \
		kind##_fields(&c, row);                                                                                        \
		return !c.bad && c.at == c.end;                                                                                \
	}
ROW_PUT(domain)
ROW_TAKE(domain)
ROW_PUT(address)
ROW_TAKE_LIST(address)
ROW_PUT(account)
ROW_TAKE(account)
ROW_PUT(maildrop)
ROW_TAKE(maildrop)
ROW_PUT(fetched)
ROW_TAKE(fetched)
ROW_PUT(counters)
ROW_TAKE(counters)
ROW_PUT(name)
ROW_TAKE(name)
ROW_PUT(mailbox)
ROW_TAKE(mailbox)
ROW_TAKE(message)
ROW_PUT(acl)
ROW_TAKE_LIST(acl)
ROW_PUT(annotated)
ROW_TAKE(annotated)
ROW_PUT(annotation)
ROW_TAKE(annotation)
ROW_PUT(sequence)
ROW_TAKE(sequence)
ROW_PUT(queue)
ROW_TAKE_LIST(queue)
ROW_PUT(answer)
ROW_TAKE_LIST(answer)

struct slice
row_message_put(const struct row_message *row, char to[ROW_MESSAGE_BYTES])
{
	struct codec c = { .to = to, .cap = ROW_MESSAGE_BYTES };
	struct row_message r = *row;
	message_fields(&c, &r);
	ASSERT(c.len == ROW_MESSAGE_BYTES);
	return slice_of(to, ROW_MESSAGE_BYTES);
}

struct index_row
index_row_of(uint32_t uid, const struct row_message *m)
{
	return (struct index_row){ .uid = uid,
		                       .flags = m->flags,
		                       .modseq = m->modseq,
		                       .keyword_set = m->keyword_set,
		                       .bytes = m->bytes,
		                       .received = m->received,
		                       .saved = m->saved };
}
