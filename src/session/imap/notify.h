/* SPDX-License-Identifier: Apache-2.0 */
/* notify.h - what a client asked to be told without asking (NOTIFY, RFC 5465), and what is told between commands. */
#ifndef IMAP_NOTIFY_H
#define IMAP_NOTIFY_H

#include "session/imap/imap.h"

#define NOTIFY_OWNERS_MAX 64 /* accounts of others that one session watches */

/* Somebody else whose mailboxes are watched. */
struct notify_watch {
	struct imap_owner *owner;
	uint64_t account; /* his, when it began */
	uint64_t upto;    /* as in struct notify, of his account */
	bool news;
};

struct notify {
	struct arena arena;
	struct imap_notify what;
	uint32_t selected; /* EVENT_* that are wanted of the selected mailbox */
	bool delayed;      /* its EXPUNGEs wait for a command that allows them */
	uint32_t elsewhere;
	const struct imap_fetch *fetch; /* of new messages; NULL: none */
	uint64_t upto;                  /* changes of the account up to here were told, or are not news */
	bool news;                      /* there may be others */
	struct notify_watch *watches;   /* NULL: none; else NOTIFY_OWNERS_MAX of them have room */
	size_t nwatches;
	bool look_again;       /* subscriptions to mailboxes of others may have changed, or */
	bool new_sharer;       /* somebody began to share */
	struct map subscribed; /* hashes of names of subscriptions to mailboxes of others */
};
void notify_free(struct imap *im, struct notify **n);

/* EVENT_* of the selected mailbox that are told: all of them where NOTIFY was never used. */
uint32_t imap_events_selected(const struct imap *im);
/* A notice of the store, on the loop: does it concern this session's NOTIFY? */
bool imap_notify_concerns(struct imap *im, uint64_t account, uint64_t mailbox, uint64_t modseq);
/* This session changed a subscription to a mailbox of somebody else. */
void imap_notify_subscribed(struct imap *im);
/* EXPUNGE may come at any time (RFC 5465 6.1.1). */
bool imap_notify_expunges(const struct imap *im);
/* What changed elsewhere. */
void await_imap_notify(struct imap *im);
/* FETCH of new messages, those from row `first` on (RFC 5465 5.2, 7). wanted: of some of the rows, rising, which
 * contexts want to have them, by their number. */
void await_imap_fetch_new(struct imap *im, size_t first, const uint32_t *rows, const uint64_t *wanted, size_t n);
/* Messages that this session added itself to a mailbox of this UIDVALIDITY are not fetched for it. */
void imap_notify_own(struct imap *im, uint32_t uidvalidity, struct slice uids);

/* notify.c, for watch.c: EVENT_* that are wanted of a mailbox; "* LIST", with \NonExistent where there is none; what a
 * change comes to. */
uint32_t imap_events_of(const struct notify *n, struct slice name, bool subscribed);
void imap_tell_name(struct imap *im, const struct store_mailbox *m, struct slice old);
void imap_tell_change(struct imap *im, const struct store_account_change *change);
void imap_notify_overflow(struct imap *im);

/* ---- watch.c: mailboxes of others */
/* Watches everybody whose mailboxes the filters mean. tell: of those who are new, what they share is told. ERR_LIMIT:
 * there are too many. */
enum err await_imap_watch_all(struct imap *im, struct notify *n, bool tell);
/* Tells what changed there. */
void await_imap_watched(struct imap *im);
void imap_watch_none(struct imap *im, struct notify *n);

#endif
