/* SPDX-License-Identifier: Apache-2.0 */
/* rows_state.h - what the row logic keeps in memory: nothing that could not be made again from rows, but for who is
 * connected. Loop thread only. */
#ifndef STORE_ROWS_STATE_H
#define STORE_ROWS_STATE_H

#include "ipc/grant.h"
#include "mail/verp.h"
#include "store/calls.h"
#include "store/sent.h"
#include "store/suppression.h"

/* An account that a connection opened (account.c). */
struct handle {
	uint32_t id;
	uint64_t account, rights;
	uint64_t principal;   /* who asks: the account itself, or one that it shares mailboxes with */
	struct handle *by;    /* of the principal, by which this one was opened; NULL: of the account itself */
	struct link children; /* handles that were opened by this one */
	struct link in_children;
	uint64_t only_mailbox; /* 0: all; else it is good for reading this one message */
	uint32_t only_uid;
	struct ipc_peer *peer;
	struct open_account *of;
	bool revoked;        /* the account was suspended, deleted, or has another password */
	struct link in_peer; /* store_peer.handles */
	struct link in_account;
};

struct open_account {
	uint64_t account;
	struct link handles;
	struct handle *maildrop; /* who has the POP3 lock */
	bool pending;            /* a notice goes out at the end of this turn */
	uint64_t mailbox, modseq;
	struct link in_pending;
	struct history *history; /* history.c; NULL: nobody watches */
	struct map url_resets;   /* urlauth.c: whose key of which mailbox was reset, and when */
	size_t nurl_resets;
};

struct rows {
	struct store *s;
	uint8_t grant_key[GRANT_KEY_BYTES];
	uint8_t verp_key[VERP_KEY_BYTES];
	struct map handles; /* id -> struct handle */
	uint32_t last_handle;
	struct link pending; /* open accounts with a notice to send */
	struct later notices;
	bool queue_pending;
	int64_t queue_due;
	struct later queue_notice;
	struct map held;         /* lease.c: queue row -> who holds it */
	uint32_t claims;         /* under way */
	struct indexes *indexes; /* index.c */
	struct removal *removal; /* removal.c */
	struct expiry *expiry;   /* expiry.c */
	uint64_t url_resets;     /* of keys of URLs since the start */
};

/* ---- account.c */
/* NULL: there is none, it belongs to another connection, or it was revoked. */
struct handle *handle_of(struct ipc_call *call, uint32_t id);
/* The same, or one that url_open gave for this message. */
struct handle *handle_of_reader(struct ipc_call *call, uint32_t id, uint64_t mailbox, uint32_t uid);
enum err account_open(struct ipc_call *call, struct slice grant, struct store_account_open_out *out);
void account_open_shared(struct handle *by, uint64_t account, struct store_account_open_shared_out *out);
/* A handle for one message, with the rights of principal; it ends with `by`. */
uint32_t account_open_message(struct handle *by, uint64_t account, uint64_t principal, uint64_t mailbox, uint32_t uid);
void account_close(struct ipc_call *call, uint32_t id);
/* Handles of this account that others have are stale: they open it again, if they still find it. */
void account_unshare(struct store *s, uint64_t account);
enum err maildrop_lock(struct handle *h);

/* ---- resolve.c: the account that an address names by itself (no alias is followed) */
enum err directory_account_of(struct txn *t, struct slice address, uint64_t *account);

/* ---- acl.c: rights on mailboxes (RFC 4314) */
extern uint32_t acl_entries_max; /* of an account, in all its lists. Tests set it lower */
/* What principal may do in a mailbox of account; nothing where there is no such mailbox. */
enum err acl_rights(struct txn *t, uint64_t account, uint64_t mailbox, uint64_t principal, uint32_t *rights);
uint32_t acl_rights_in(const struct row_acl *acl, uint64_t principal);
/* acl_rights, and *cost grows with what there was to read: for calls that look at many lists. */
enum err acl_rights_counted(struct txn *t, uint64_t account, uint64_t mailbox, uint64_t principal, uint32_t *rights,
                            uint32_t *cost);
/* May it be done with these rights? A mailbox that may be neither looked up nor read is not
 * there (RFC 4314 6). */
enum err acl_verdict(uint32_t rights, uint32_t need);
enum err acl_check(struct txn *t, uint64_t account, uint64_t mailbox, uint64_t principal, uint32_t need);
/* The flags of rows.h that these rights let change. */
uint32_t acl_flags(uint32_t rights);
enum err acl_read(struct txn *t, uint64_t account, uint64_t mailbox, struct row_acl *acl);
/* The mailbox `to` with this name gets the rights that stand at `from`. */
enum err acl_copy(struct change *c, uint64_t from, uint64_t to, struct slice to_name);
/* The list of a mailbox goes, and what leads to it. counters NULL: they go, too. */
enum err acl_drop(struct txn *t, uint64_t account, uint64_t mailbox, struct row_counters *counters);
/* The account goes, whom this row 'g' names: it is no longer named there. */
enum err acl_forget(struct store *s, struct txn *t, struct slice granted_key);
struct key key_granted(uint64_t grantee, uint64_t account);

/* ---- sharer.c: who shares with whom */
enum err sharer_find(struct job *j, struct txn *t, uint64_t principal, const struct store_account_open_shared_in *in,
                     uint64_t *account);
/* The account goes: so does its public name. */
enum err sharer_forget(struct txn *t, uint64_t account, struct slice domain);
enum err sharer_public_name(struct txn *t, uint64_t account, struct slice *name);

/* ---- referral.c */
/* Where a mailbox is, or (without a name) the account; url empty: here. */
enum err referral_get(struct txn *t, uint64_t account, struct slice name, struct slice *url, bool *open);
enum err referral_move(struct txn *t, uint64_t account, struct slice from, struct slice to);

/* ---- mailbox.c */
/* The row of a name; none is a row without anything. */
enum err mailbox_name_find(struct change *c, struct slice name, struct row_name *row, bool *there);
/* Keeps it, or removes it when it says nothing. */
enum err mailbox_name_keep(struct change *c, struct slice name, bool there, const struct row_name *row);
extern uint32_t mailbox_names_max; /* of an account. Tests set it lower */
/* INBOX in any case, also as the first component. ERR_SYNTAX: not a name that can be had. */
enum err mailbox_name_check(struct arena *a, struct slice *name);
/* ERR_NOT_FOUND: also for what is no name, and for a name without a mailbox. */
enum err mailbox_has_children(struct txn *t, uint64_t account, struct slice name, bool *has);
enum err mailbox_id_of(struct txn *t, uint64_t account, struct slice name, struct row_name *row);
/* Makes the mailboxes that every account has. */
enum err mailbox_make_default(struct change *c);
/* The mailbox with this name; missing ones are made when make is set (else ERR_NOT_FOUND). */
enum err mailbox_by_name(struct change *c, struct slice name, bool make, struct box *b);

/* The mailbox of this name as it is now; id 0 when there is none. */
enum err mailbox_describe(struct job *j, struct txn *t, struct slice name, struct store_mailbox *out);

/* ---- history.c: what changed in accounts that somebody watches */
extern uint32_t history_entries_max; /* of an account: mailboxes and names. Tests set it lower */
#define HISTORY_SHARER (1ull << 63)  /* in place of a mailbox, with the number of the account that shares */
void history_note(struct store *s, const struct note *n);
void history_free(struct history **h);

/* ---- memo.c */
/* Is there one whose name begins so? */
enum err memo_any_with(struct txn *t, struct slice kind, struct slice prefix, bool *any);
enum err memo_remove(struct txn *t, struct slice kind, struct slice name);
/* All memos of an account ("7") or a domain go, some at once, the rest in the background. */
enum err memos_forget_account(struct txn *t, uint64_t account);
enum err memos_forget_domain(struct txn *t, struct slice domain);
/* The next of those that are to be forgotten, at most max of them. */
enum err memos_forget(struct txn *t, size_t max, bool *more);
/* Those whose time is over, at most max of them. */
enum err memos_remove(struct txn *t, size_t max, bool *more);
void notice_memo(struct store *s, const struct ipc_peer *putter, struct slice kind);

/* ---- urlauth.c: whose message a URL opens; ERR_NOT_FOUND: it does not open any */
struct opened_url {
	uint64_t account, principal, mailbox;
	uint32_t uidvalidity;
};
/* Of the mailbox, or of all (0), by whoever asks: when he reset his key last. */
uint64_t url_resets(const struct job *j, uint64_t mailbox);
/* It is durable: sessions of whoever asked hear of it. */
void url_reset_made(struct job *j);
void url_resets_free(struct open_account *o);
enum err url_check(struct job *j, struct txn *t, uint64_t rights, struct opened_url *out);

/* ---- metadata.c */
/* Annotations of a mailbox for another one of the account. */
enum err metadata_copy(struct txn *t, uint64_t account, uint64_t from, uint64_t to);

/* ---- annotation.c: of messages (RFC 5257) */
/* Those that the client asks to be set with a new message; m says afterwards whether it has any. ERR_DENIED: he may
 * not set shared ones. */
enum err annotations_check(const struct store_append *a, uint32_t granted, struct row_message *m);
enum err annotations_append(struct change *c, struct box *b, uint32_t uid, const struct row_message *m,
                            uint64_t principal, const struct store_append *a);
/* Those of a message with MESSAGE_ANNOTATED for its copy: shared ones, and those of principal (RFC 5257 4.6), as far as
 * `granted` lets him set them there. */
struct annotations_copying {
	uint64_t account, mailbox, principal, into_principal;
	uint32_t granted;
	size_t rows, bytes; /* of all copies of this transaction */
};
extern uint32_t annotations_copy_rows_max, annotations_copy_bytes_max; /* tests set them lower */
enum err annotations_copy(struct annotations_copying *k, uint32_t from, struct change *c, struct box *b, uint32_t uid,
                          const struct row_message *m);
/* ERR_QUOTA: the account has more than it may. */
enum err annotations_quota(const struct change *c);
/* Rows of messages that are gone, at most max of them. */
enum err annotations_remove(struct txn *t, size_t max, bool *more);

/* ---- keywords.c */
/* Keywords -> number of their set; made when it is new. ERR_LIMIT, ERR_SYNTAX. */
enum err keyword_set_of(struct change *c, struct box *b, const struct store_keyword *keywords, uint32_t n,
                        uint32_t *set);
/* The set after FLAGS_SET, _ADD or _REMOVE of these keywords to a message that had the set was. */
enum err keyword_set_change(struct change *c, struct box *b, uint32_t was, uint32_t op,
                            const struct store_keyword *keywords, uint32_t n, uint32_t *now);
/* The set of another mailbox (c: of its account) with the same keywords. */
enum err keyword_set_copy(struct change *from_c, const struct box *from, uint32_t set, struct change *c, struct box *to,
                          uint32_t *now);
enum err keyword_set_names(struct txn *t, uint64_t account, uint64_t mailbox, uint32_t set, struct slice *names);

/* message.c: the end of a call that changed these rows of a mailbox, which are put already: for the caller's region,
 * for others that hear of it, and for the index, which learns of it when it is durable. was: the modseq before. */
void rows_changed(struct job *j, struct change *c, struct box *b, uint64_t was, const struct uid_row *rows, size_t n);

/* ---- index.c */
struct indexes *indexes_new(struct store *s, size_t bytes_max);
void indexes_free(struct indexes **x);
void indexes_pack(struct store *s);
/* The rows of a mailbox with uid >= from, as many as fit; *more: there are others. row is the mailbox's row as t sees
 * it. */
enum err index_copy(struct indexes *x, struct txn *t, uint64_t account, uint64_t mailbox, const struct row_mailbox *row,
                    uint32_t from, struct index_row *into, size_t max, size_t *n, bool *more);
/* A frozen copy of the rows of a large mailbox, as they were at a modseq: fd -1 when it is not worth it. The descriptor
 * stays the index's. */
extern size_t index_share_bytes_min; /* of rows. Tests set it lower */
struct index_shared {
	int fd;
	size_t n;
	uint64_t modseq;
};
enum err index_share(struct indexes *x, struct txn *t, uint64_t account, uint64_t mailbox,
                     const struct row_mailbox *row, struct index_shared *out);
/* messages_get from the index, when it has the mailbox as t sees it. */
enum err index_messages(struct store *s, struct txn *t, uint64_t account, uint64_t mailbox,
                        const struct row_mailbox *row, struct slice uids, struct uid_row **rows, size_t *n);
/* The messages with \Deleted (any: all), at most max; *more: there are others. */
enum err index_expunged(struct store *s, struct txn *t, uint64_t account, uint64_t mailbox,
                        const struct row_mailbox *row, bool any, struct uid_row *rows, size_t max, size_t *n,
                        bool *more);
/* Rows that were altered, durably. */
void index_altered(struct store *s, uint64_t account, const struct altered *a);

/* ---- changes.c */
/* What changed after since: rows (by uid), and uids that went (ascending), both to be freed by the caller. known: the
 * caller has all that were there at since, and this one is the last of them; 0: that is not known. ERR_STALE: the log
 * does not reach back. index: the store whose index may be asked for rows (index.c); NULL: it is what asks. */
struct changes {
	struct uid_row *rows;
	size_t nrows;
	struct vanished {
		uint64_t modseq;
		uint32_t uid;
	} * vanished;
	size_t nvanished;
	size_t nentries; /* of the log that were read for it */
};
enum err changes_since(struct store *index, struct txn *t, uint64_t account, uint64_t mailbox,
                       const struct row_mailbox *row, uint64_t since, uint32_t known, struct changes *c);
void changes_release(struct changes *c);

/* ---- body.c */
void message_bodies_call(struct ipc_call *call, const struct store_message_bodies_in *in);
void message_body_call(struct ipc_call *call, const struct store_message_body_in *in);
void queue_body_call(struct ipc_call *call, const struct store_queue_body_in *in);
void text_body_call(struct ipc_call *call, const struct store_text_body_in *in);

/* ---- delivery.c */
/* Old answers go, at most max of them. */
enum err answers_remove(struct txn *t, size_t max, bool *more);

/* ---- queue.c */
#define CLAIM_MAX 64 /* rows in one claim */
enum err queue_row_get(struct txn *t, uint64_t id, struct row_queue *row);
uint32_t queue_state(const struct row_queue *row); /* QUEUE_STATE_* */
/* The row as it is answered, without its history; returns about how many bytes of a frame it takes. */
size_t queue_answer(struct job *j, uint64_t id, const struct row_queue *row, struct store_queue_row *out);
/* RFC 4865 6: what an account has sent for later, with so much more in the rows that this mail becomes, and what its
 * mailboxes hold are within its quota together (ERR_QUOTA). It is counted. */
enum err queue_hold(struct job *j, struct txn *t, const struct store_mail *mail, uint64_t bytes);
enum err queue_held_bytes(struct txn *t, uint64_t account, uint64_t *bytes);
enum err queue_row_delete(struct job *j, struct txn *t, uint64_t id, const struct row_queue *row);
/* The rows of a job are counted once, at its end. */
enum err queue_count(struct txn *t, int64_t change, uint64_t *rows);
/* was: its slot until now, INT64_MAX when it had none. */
void queue_row_put(struct job *j, struct txn *t, uint64_t id, int64_t was, const struct row_queue *row);
enum err queue_add(struct job *j, struct txn *t, const struct store_mail *mail, const struct store_group *group,
                   uint64_t object, uint64_t bytes);
enum err queue_settle(struct job *j, struct txn *t, const struct store_settle *settle);
void queue_change_call(struct ipc_call *call, const struct store_queue_change_in *in);

/* ---- sending.c: what an account may send */
/* Counts the mail for who submitted it. ERR_LIMIT, ERR_SUSPENDED: it may not send it now, *out says why. */
enum err sending_charge(struct job *j, struct txn *t, const struct store_mail *mail, struct store_commit_out *out);
/* In which language an account reads notices; empty: nobody said. */
enum err sending_language(struct txn *t, uint64_t account, struct slice *language);
/* Counts what came of mail that an account sent; its breaker may trip. */
enum err sending_count(struct job *j, struct txn *t, uint64_t account, enum sent_count what, uint32_t more,
                       struct store_commit_out *out);

/* ---- bounced.c: mail that did not arrive, and addresses that a domain does not write to any more */
/* Counts recipients that refused, for who submitted the row and for the suppression list. */
enum err bounced_refused(struct job *j, struct txn *t, const struct store_settle *settle, struct store_commit_out *out);
/* Counts what came back at a return path, or a complaint. */
enum err bounced_returned(struct job *j, struct txn *t, const struct store_returned *r, struct store_commit_out *out);
/* Why the domain of the sender does not write to address; text empty: it does. */
enum err bounced_suppressed(struct txn *t, struct slice sender, struct slice address, struct suppression *s);
/* Is the address a return path of ours? Then *account sent what comes back there. */
enum err bounced_path(struct job *j, struct txn *t, struct slice address, bool *is, uint64_t *account, bool *forward);
/* The key for the return paths of a row that relay sends; empty: they stay as they are. */
enum err bounced_key(struct job *j, struct txn *t, const struct row_queue *row, struct store_queue_row *out);
enum err bounced_feedback(struct txn *t, struct slice address, bool *is);

/* ---- lease.c */
void queue_claim_call(struct ipc_call *call, const struct store_queue_claim_in *in);
void queue_renew_call(struct ipc_call *call, const struct store_queue_renew_in *in);
/* Somebody who is connected holds the row, and renewed it in time. */
bool lease_is_held(const struct store *s, uint64_t id);
/* The settle is durable. */
void lease_settled(struct store *s, const struct store_settle *settle);

/* ---- maildrop.c: what POP3 knows of an account and of a message; none: zeroes */
enum err maildrop_get(struct txn *t, uint64_t account, struct row_maildrop *row);
enum err fetched_get(struct txn *t, struct slice key, struct row_fetched *row);

/* ---- expiry.c: messages that were fetched by POP3 go after some days, where the account has that rule */
struct expiry *expiry_new(struct store *s);
void expiry_free(struct expiry **x);
void expiry_soon(struct store *s);

/* ---- removal.c: rows that go in the background, a bounded number at a time */
struct removal *removal_new(struct store *s);
void removal_free(struct removal **r);
void removal_soon(struct store *s);

#endif
