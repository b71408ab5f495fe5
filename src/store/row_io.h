/* SPDX-License-Identifier: Apache-2.0 */
/* row_io.h - rows by their keys: get, put, delete, and the changes of a mailbox that keep its counts, its log and the
 * account's clock together. Used inside run functions and views only; everything goes through the transaction. */
#ifndef STORE_ROW_IO_H
#define STORE_ROW_IO_H

#include "store/record.h"
#include "store/store.h"

/* ERR_NOT_FOUND, ERR_DAMAGED (logged), ERR_IO. What the rows point to lives as long as the transaction. */
enum err domain_get(struct txn *t, struct slice domain, struct row_domain *row);
enum err address_get(struct txn *t, struct slice domain, struct slice local, struct row_address *row);
enum err account_get(struct txn *t, uint64_t account, struct row_account *row);
enum err counters_get(struct txn *t, uint64_t account, struct row_counters *row);
enum err name_get(struct txn *t, uint64_t account, struct slice name, struct row_name *row);
enum err mailbox_get(struct txn *t, uint64_t account, uint64_t mailbox, struct row_mailbox *row);
enum err message_get(struct txn *t, uint64_t account, uint64_t mailbox, uint32_t uid, struct row_message *row);
enum err annotated_get(struct txn *t, struct slice key, struct row_annotated *row);
enum err sequence_get(struct txn *t, struct slice name, struct row_sequence *row); /* all 0 when there is none */

void address_put(struct txn *t, struct slice domain, struct slice local, const struct row_address *row);
void account_put(struct txn *t, uint64_t account, const struct row_account *row);
void name_put(struct txn *t, uint64_t account, struct slice name, const struct row_name *row);
void sequence_put(struct txn *t, struct slice name, const struct row_sequence *row);

struct key key_text(char kind, struct slice text);
struct key key_head(struct slice name);
struct key key_address(struct slice domain, struct slice local);
struct key key_annotated(uint64_t account, uint64_t mailbox, uint32_t uid);
struct key key_name(uint64_t account, struct slice name);
/* For a row that does not read: says which kind in the log. */
enum err row_damaged(const char *kind);

/* ---- changes of one account: its counters are read once and written once */
struct change {
	struct store *s;
	struct txn *t;
	uint64_t account;
	struct row_counters counters;
	struct job *job;      /* hears of mailboxes that are made; NULL: nobody does */
	uint64_t span_modseq; /* a modseq that several rows share */
	uint32_t span_left;   /* how many more may have it */
	struct {              /* entries of the change log that make up one row: the same mailbox, modseq and kind */
		uint64_t mailbox, modseq;
		char *bytes; /* the kind, and the uids but for the first, which stands in the key */
		uint32_t first, n;
	} log;
};
/* A modseq is shared by at most this many rows, so that a page of changes always holds all of one. */
#define MODSEQ_SPAN 1024
extern uint32_t log_entries_max; /* of a mailbox; the oldest go when there are a sixteenth more. Tests set it lower */

enum err change_begin(struct change *c, struct store *s, struct txn *t, uint64_t account);
void change_end(struct change *c);
uint64_t change_modseq(struct change *c); /* of a row that is changed or added now */

/* The uids of a row of the change log; key and value as they are in the engine. Calls add(to, modseq, uid, what). */
bool log_row_take(struct slice key, struct slice value, void (*add)(void *to, uint64_t modseq, uint32_t uid, char what),
                  void *to);

struct box {
	uint64_t id;
	uint32_t changed; /* CHANGED_* so far */
	struct row_mailbox row;
};
enum err box_get(struct change *c, uint64_t mailbox, struct box *b);
void box_put(struct change *c, const struct box *b);
/* A new message: gets the next uid. m->modseq and m->saved are set here; its object must count this reference. */
enum err box_add(struct change *c, struct box *b, struct row_message *m, uint32_t *uid);
/* Flags or keywords are others now. was: the row before. */
void box_alter(struct change *c, struct box *b, uint32_t uid, const struct row_message *was, struct row_message *now);
/* Annotations of it are others now. */
void box_annotate(struct change *c, struct box *b, uint32_t uid, const struct row_message *was,
                  struct row_message *now);
/* Takes a message out; its reference to the object stays counted. Its annotations go, too. */
enum err box_take_out(struct change *c, struct box *b, uint32_t uid, const struct row_message *m);

/* The messages with these uids (u32 little endian each, ascending) that exist, in order. The array is freed by the
 * caller. ERR_SYNTAX: not ascending. */
struct uid_row {
	uint32_t uid;
	struct row_message row;
};
enum err messages_get(struct txn *t, uint64_t account, uint64_t mailbox, struct slice uids, struct uid_row **rows,
                      size_t *n);

/* What an account holds and may hold. */
struct store_usage usage_of(const struct store *s, const struct row_account *row, const struct row_counters *counters);
/* May this many bytes in this many messages be added? OK, ERR_QUOTA. */
enum err quota_check(const struct store *s, const struct row_account *row, const struct row_counters *counters,
                     uint64_t bytes, uint64_t messages);
struct store_mailbox mailbox_answer(uint64_t account, uint64_t id, const struct row_mailbox *row, uint32_t attributes);

#endif
