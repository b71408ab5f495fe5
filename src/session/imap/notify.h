/* SPDX-License-Identifier: Apache-2.0 */
/* notify.h - what a client asked to be told without asking (NOTIFY, RFC 5465), and what is told between commands. */
#ifndef IMAP_NOTIFY_H
#define IMAP_NOTIFY_H

#include "session/imap/imap.h"

struct notify {
	struct arena arena;
	struct imap_notify what;
	uint32_t selected; /* EVENT_* that are wanted of the selected mailbox */
	bool delayed;      /* its EXPUNGEs wait for a command that allows them */
	uint32_t elsewhere;
	const struct imap_fetch *fetch; /* of new messages; NULL: none */
	uint64_t upto;                  /* changes of the account up to here were told, or are not news */
	bool news;                      /* there may be others */
};
void notify_free(struct notify **n);

/* EVENT_* of the selected mailbox that are told: all of them where NOTIFY was never used. */
uint32_t imap_events_selected(const struct imap *im);
/* A notice of the store, on the loop: does it concern this session's NOTIFY? */
bool imap_notify_concerns(struct imap *im, uint64_t mailbox, uint64_t modseq);
/* EXPUNGE may come at any time (RFC 5465 6.1.1). */
bool imap_notify_expunges(const struct imap *im);
/* What changed elsewhere. */
void await_imap_notify(struct imap *im);
/* FETCH of new messages, those from row `first` on (RFC 5465 5.2, 7). wanted: of some of the rows, rising, which
 * contexts want to have them, by their number. */
void await_imap_fetch_new(struct imap *im, size_t first, const uint32_t *rows, const uint64_t *wanted, size_t n);
/* Messages that this session added itself to a mailbox of this UIDVALIDITY are not fetched for it. */
void imap_notify_own(struct imap *im, uint32_t uidvalidity, struct slice uids);

#endif
