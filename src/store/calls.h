/* SPDX-License-Identifier: Apache-2.0 */
/* calls.h - a call of store.msg on its way through the row logic. calls.c checks the arguments and makes a struct job;
 * its work function, in directory.c, mailbox.c and so on, reads or changes rows inside one transaction. Jobs that
 * change rows go through store_update and are answered when they are durable; the others are answered at once.
 *
 * A work function may run again: it writes to *out (zeroed before each run), to the results in struct job and to
 * nothing else. What *out points to must live in the call's arena (job_keep). */
#ifndef STORE_CALLS_H
#define STORE_CALLS_H

#include "store/row_io.h"

#define ANSWER_BYTES_MAX (1u << 20) /* pages of lists end here: the answer fits into a frame whatever is in it */

/* One thing that a job changed, for those who watch the account (history.c). */
struct note {
	struct note *next;
	uint64_t account, mailbox; /* mailbox 0: a name */
	uint64_t modseq;
	uint32_t what; /* CHANGED_* */
	uint32_t by;   /* the handle that asked for it; 0: none */
	struct slice name, old;
	struct slice acl; /* row 'r' of the mailbox as it was before; empty: it had none, or it did not change */
};

/* What somebody else must have been granted for a call, and on which mailbox. */
struct job_needs {
	enum { NEEDS_OWNER, NEEDS_NO_MAILBOX, NEEDS_BY_ID, NEEDS_BY_NAME } of;
	uint32_t rights; /* ACL_*, all of them */
	uint64_t mailbox;
	struct slice name;
};

/* Rows of a mailbox that a job altered: for the index (index.c). */
struct altered {
	uint64_t mailbox;
	uint64_t was, now; /* modseq of the mailbox before and afterwards */
	struct uid_row *rows;
	size_t n;
};

struct job {
	struct update update;
	struct store *s;
	struct ipc_call *call;
	const void *in; /* struct store_x_in */
	void *out;      /* struct store_x_out */
	size_t out_bytes;
	enum err (*work)(struct job *j, struct txn *t);
	/* Answers the call when the job is durable or failed; NULL: with *out, or ipc_fail. */
	void (*answers)(struct job *j, enum err e);

	uint64_t account; /* of the handle; 0: the call has none */
	uint32_t handle;
	uint64_t principal;                /* who asks: the same, or whom the account shares with */
	struct job_needs need;             /* looked at before work runs, when it is somebody else */
	uint32_t granted;                  /* ACL_*: on the mailbox of need; the account itself has all */
	uint64_t to_account, to_principal; /* message_copy; message_append: of what is replaced */
	uint32_t to_handle;
	void *into; /* the region of the call */
	size_t into_bytes;
	struct body_source *bodies; /* one for each body of the call */

	/* results of a run */
	uint64_t *modseqs; /* of each delivery */
	struct job_notice {
		uint64_t account, mailbox, modseq; /* account 0: nothing to tell */
	} notices[2];
	struct note *notes, *last_note;
	struct url_reset { /* a key of URLs is gone */
		uint64_t mailbox, number;
	} url_reset;            /* number 0: none */
	uint64_t unshare;       /* account whose handles in other hands are opened again; 0: none */
	struct altered altered; /* n 0: none */
	uint64_t revoke;        /* account whose sessions end; 0: none */
	uint32_t queued;        /* queue rows added */
	int64_t queue_rows;     /* queue rows more (or less) */
	int64_t queue_due;      /* of the earliest row changed; INT64_MAX: none */
	struct slice memo_kind; /* memos of this kind were put */
	bool to_remove;         /* rows wait to be removed: removal.c */
};

/* Starts a job that changes rows; out_bytes of struct store_x_out. What is set in *j already is kept. */
void job_update(struct job *j, struct ipc_call *call, const void *in, size_t out_bytes,
                enum err (*work)(struct job *j, struct txn *t));
struct slice job_keep(struct job *j, struct slice s);
/* OK: whoever asks may do this. Sets j->granted. */
enum err job_admit(struct job *j, struct txn *t);
/* For the notice of this job: one mailbox, or several (then it names none), of at most two accounts. */
void job_tell(struct job *j, uint64_t account, uint64_t mailbox, uint64_t modseq);
/* The same for messages that came, went or changed. */
void job_tell_box(struct job *j, uint64_t account, const struct box *b);
/* For those who watch names: CHANGED_NAME and what follows it. */
void job_note_name(struct job *j, const struct change *c, uint32_t what, struct slice name, struct slice old);
/* The same where the rights of others were these until now. */
void job_note_rights(struct job *j, const struct change *c, uint32_t what, struct slice name,
                     const struct row_acl *was);
/* Account `sharer` gave rights to the account of c. */
void job_note_sharer(struct job *j, const struct change *c, uint64_t sharer);

/* ---- the work, by file */
enum err resolve(struct job *j, struct txn *t);
enum err sender_allowed(struct job *j, struct txn *t);

enum err domain_add(struct job *j, struct txn *t);
enum err domain_delete(struct job *j, struct txn *t);
enum err domain_list(struct job *j, struct txn *t);
enum err domain_show(struct job *j, struct txn *t);
enum err domain_set(struct job *j, struct txn *t);
enum err unsubscribe_show(struct job *j, struct txn *t);
enum err unsubscribe(struct job *j, struct txn *t);
enum err account_add(struct job *j, struct txn *t);
enum err account_show(struct job *j, struct txn *t);
enum err account_list(struct job *j, struct txn *t);
enum err account_delete(struct job *j, struct txn *t);
enum err account_set(struct job *j, struct txn *t);
enum err account_limit(struct job *j, struct txn *t);
enum err alias_add(struct job *j, struct txn *t);
enum err alias_delete(struct job *j, struct txn *t);
enum err alias_list(struct job *j, struct txn *t);
enum err secret_get(struct job *j, struct txn *t);
enum err secret_put(struct job *j, struct txn *t);
enum err scram_put(struct job *j, struct txn *t);
enum err store_status(struct job *j, struct txn *t);

enum err maildrop_set(struct job *j, struct txn *t);
enum err maildrop_show(struct job *j, struct txn *t);
enum err maildrop_uidls(struct job *j, struct txn *t);
enum err uidls_set(struct job *j, struct txn *t);
enum err message_fetched(struct job *j, struct txn *t);

enum err account_usage(struct job *j, struct txn *t);
enum err account_public(struct job *j, struct txn *t);
enum err referral_set(struct job *j, struct txn *t);
enum err referral_list(struct job *j, struct txn *t);
enum err mailbox_referral(struct job *j, struct txn *t);
enum err sharer_list(struct job *j, struct txn *t);
enum err acl_get(struct job *j, struct txn *t);
enum err acl_set(struct job *j, struct txn *t);

enum err account_changes(struct job *j, struct txn *t); /* history.c */

enum err mailbox_list(struct job *j, struct txn *t);
enum err mailbox_status(struct job *j, struct txn *t);
enum err mailbox_create(struct job *j, struct txn *t);
enum err mailbox_delete(struct job *j, struct txn *t);
enum err mailbox_rename(struct job *j, struct txn *t);
enum err mailbox_subscribe(struct job *j, struct txn *t);
enum err mailbox_open(struct job *j, struct txn *t);       /* reads only */
enum err mailbox_open_write(struct job *j, struct txn *t); /* takes \Recent */
enum err mailbox_changes(struct job *j, struct txn *t);
enum err keyword_sets(struct job *j, struct txn *t);

enum err mailbox_use(struct job *j, struct txn *t);
enum err memo_put(struct job *j, struct txn *t);
enum err memo_get(struct job *j, struct txn *t);
enum err memo_list(struct job *j, struct txn *t);
enum err url_sign(struct job *j, struct txn *t);
enum err url_reset(struct job *j, struct txn *t);
enum err metadata_get(struct job *j, struct txn *t);
enum err metadata_set(struct job *j, struct txn *t);
enum err annotation_get(struct job *j, struct txn *t);
enum err annotation_set(struct job *j, struct txn *t);
enum err annotation_changes(struct job *j, struct txn *t);
enum err message_facts(struct job *j, struct txn *t);
enum err message_ids(struct job *j, struct txn *t);
enum err message_store(struct job *j, struct txn *t);
enum err message_copy(struct job *j, struct txn *t);
enum err message_expunge(struct job *j, struct txn *t);
enum err message_append(struct job *j, struct txn *t);

enum err commit_mails(struct job *j, struct txn *t);

enum err queue_claim(struct job *j, struct txn *t);
enum err queue_list(struct job *j, struct txn *t);

#endif
