/* SPDX-License-Identifier: Apache-2.0 */
/* record.h - the values of the rows: what stands behind the keys of keys.h. Each begins with a version; numbers are
 * little endian. Pure: bytes in, struct out, and back.
 *
 * A take function returns false for anything that a put function did not write (the row is damaged); slices in the
 * result point into the bytes given, lists live in the arena. A put function returns bytes that live in the arena. */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include "store/rows.h"
#include "store_msg.h"

struct row_domain {
	struct slice shown; /* as it was added, for people; the key has the comparable form */
	int64_t created;
	bool verp;             /* bulk mail has a return path for each recipient */
	bool forward;          /* what comes back there goes to who sent it, too */
	bool unsubscribe;      /* bulk mail gets List-Unsubscribe */
	struct slice feedback; /* the address at which complaints come in; empty: none */
};

enum { ADDRESS_ACCOUNT = 1, ADDRESS_ALIAS = 2 };
struct row_address {
	uint8_t kind;
	uint64_t account;           /* ADDRESS_ACCOUNT */
	struct slice shown;         /* the address as it was added */
	struct store_name *targets; /* ADDRESS_ALIAS */
	uint32_t ntargets;
};

struct row_account {
	struct slice address, hash;
	uint32_t status; /* ACCOUNT_* */
	uint64_t generation, rights;
	uint64_t quota, messages_max, mailboxes_max, annotations_max; /* 0: the server's */
	int64_t created;
};

struct row_maildrop {
	uint32_t expire_days, hide_days; /* 0: no such rule */
	bool uidls;                      /* rows 'y' hold some */
};

struct row_fetched {
	struct slice uidl; /* empty: not imported */
	int64_t fetched;   /* wall seconds; 0: not yet, or nobody counts */
};

struct row_counters {
	uint64_t modseq;       /* the clock of the account */
	uint64_t bytes;        /* of all messages; a copy counts again */
	uint64_t messages;     /* in all mailboxes */
	uint64_t next_mailbox; /* never given twice */
	uint32_t uidvalidity;  /* the last that was given */
	uint32_t gone;         /* greatest uidvalidity of a mailbox that was deleted or renamed */
	uint32_t names;        /* rows 'n' */
	uint32_t mailboxes;
	uint32_t acl_entries; /* in the rights on all mailboxes */
	uint64_t annotations; /* bytes of annotations of messages */
};

struct row_name {
	uint64_t mailbox;    /* 0: only subscribed, or only a parent */
	uint32_t attributes; /* MAILBOX_SUBSCRIBED, MAILBOX_NOSELECT (a parent without mailbox), special uses */
};

struct row_mailbox {
	struct slice name;
	uint32_t uidvalidity, uidnext;
	uint64_t modseq; /* greatest of its messages and of its log */
	uint32_t messages, unseen, deleted;
	uint32_t recent, recent_from; /* how many are recent; uids from recent_from are */
	uint64_t bytes, deleted_bytes;
	uint32_t keyword_sets;  /* how many there are: the ids 1 .. keyword_sets */
	uint32_t keyword_bytes; /* of their names */
	uint64_t log_floor;     /* the log is whole for what came after this modseq */
	uint32_t log_entries;
	uint64_t annotations; /* bytes */
};

/* Who else may do what in a mailbox. */
struct row_acl_entry {
	uint64_t account; /* 0: anyone */
	bool negative;    /* these rights are taken away (RFC 4314 2) */
	uint32_t rights;  /* ACL_* */
};
struct row_acl {
	struct row_acl_entry *entries; /* by account, what is granted first */
	uint32_t n;
};

struct row_message {
	uint64_t object;
	uint32_t flags, keyword_set;
	uint64_t modseq;
	int64_t received, saved;
	uint32_t bytes;
};
#define ROW_MESSAGE_BYTES 45

/* Of all annotations of a message. */
struct row_annotated {
	uint64_t bytes;
};
struct row_annotation {
	bool gone;       /* it was removed: kept for who is to hear of it */
	uint64_t modseq; /* of the message when it was set */
	struct slice value;
};

enum { LOG_CHANGED = 1, LOG_VANISHED = 2 };

struct row_sequence {
	uint64_t last;  /* id given last */
	uint64_t count; /* how many rows there are now */
};

struct row_queue {
	uint64_t object, lease;
	int64_t lease_until; /* wall seconds; with lease 0 it means nothing */
	struct slice domain;
	int64_t due, born;
	uint32_t tries, notices;
	bool held;
	uint64_t bytes;
	struct store_envelope envelope;
	struct store_recipient *recipients;
	uint32_t nrecipients;
	bool appointed; /* somebody asked for that due time */
	bool returned, local;
	int64_t paused_until; /* 0: it is not paused */
	struct slice hold_reason, reroute;
	struct store_attempt *attempts; /* at most QUEUE_ATTEMPTS_MAX */
	uint32_t nattempts;
};
/* Where a row stands in 'Q': its band, and in it the time at which it is looked at next. INT64_MAX: nowhere. */
enum { BAND_NORMAL, BAND_HIGH, BAND_LOW, BAND_APPOINTED, BANDS };
#define BAND_SHIFT 48
#define SLOT_WHEN(slot) ((int64_t)((slot) & ((1ll << BAND_SHIFT) - 1)))
/* Mail that was sent for a later time (RFC 4865): it counts for its account as long as its row is here. */
bool row_queue_is_for_later(const struct row_queue *row);
int64_t row_queue_slot(const struct row_queue *row);

/* What a commit answered. */
struct row_answer {
	struct store_delivered *delivered;
	uint32_t ndelivered;
	uint32_t rows;
};

struct slice row_domain_put(struct arena *a, const struct row_domain *row);
bool row_domain_take(struct slice bytes, struct row_domain *row);
struct slice row_address_put(struct arena *a, const struct row_address *row);
bool row_address_take(struct slice bytes, struct arena *a, struct row_address *row);
struct slice row_account_put(struct arena *a, const struct row_account *row);
bool row_account_take(struct slice bytes, struct row_account *row);
struct slice row_maildrop_put(struct arena *a, const struct row_maildrop *row);
bool row_maildrop_take(struct slice bytes, struct row_maildrop *row);
struct slice row_fetched_put(struct arena *a, const struct row_fetched *row);
bool row_fetched_take(struct slice bytes, struct row_fetched *row);
struct slice row_counters_put(struct arena *a, const struct row_counters *row);
bool row_counters_take(struct slice bytes, struct row_counters *row);
struct slice row_name_put(struct arena *a, const struct row_name *row);
bool row_name_take(struct slice bytes, struct row_name *row);
struct slice row_mailbox_put(struct arena *a, const struct row_mailbox *row);
bool row_mailbox_take(struct slice bytes, struct row_mailbox *row);
struct slice row_acl_put(struct arena *a, const struct row_acl *row);
bool row_acl_take(struct slice bytes, struct arena *a, struct row_acl *row);
struct slice row_annotated_put(struct arena *a, const struct row_annotated *row);
bool row_annotated_take(struct slice bytes, struct row_annotated *row);
struct slice row_annotation_put(struct arena *a, const struct row_annotation *row);
bool row_annotation_take(struct slice bytes, struct row_annotation *row);
/* The most frequent one needs no arena. */
struct slice row_message_put(const struct row_message *row, char to[ROW_MESSAGE_BYTES]);
bool row_message_take(struct slice bytes, struct row_message *row);
struct slice row_sequence_put(struct arena *a, const struct row_sequence *row);
bool row_sequence_take(struct slice bytes, struct row_sequence *row);
struct slice row_queue_put(struct arena *a, const struct row_queue *row);
bool row_queue_take(struct slice bytes, struct arena *a, struct row_queue *row);
struct slice row_answer_put(struct arena *a, const struct row_answer *row);
bool row_answer_take(struct slice bytes, struct arena *a, struct row_answer *row);

/* Row <-> row of an index. */
struct index_row index_row_of(uint32_t uid, const struct row_message *m);

#endif
