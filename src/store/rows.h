/* SPDX-License-Identifier: Apache-2.0 */
/* rows.h - the numbers that store.msg speaks of: flags, states, index rows. Shared by all roles; pure. */
#ifndef STORE_ROWS_H
#define STORE_ROWS_H

#include "base/buf.h"

/* System flags of a message. Keywords are not here: a message names a keyword set. */
enum {
	MESSAGE_SEEN = 1,
	MESSAGE_ANSWERED = 2,
	MESSAGE_FLAGGED = 4,
	MESSAGE_DELETED = 8,
	MESSAGE_DRAFT = 16,
	MESSAGE_FLAGS_ALL = 31,
	MESSAGE_ANNOTATED = 32, /* of its row alone, no flag: there are annotations (annotation.c) */
};
enum { FLAGS_SET, FLAGS_ADD, FLAGS_REMOVE };

enum {
	MAILBOX_SUBSCRIBED = 1,
	MAILBOX_NOSELECT = 2,
	MAILBOX_HAS_CHILDREN = 4,
	MAILBOX_SHARED = 8,          /* somebody else was granted rights */
	MAILBOX_REMOTE = 16,         /* on another server, to which clients are referred */
	MAILBOX_SPECIAL_ALL = 0x100, /* RFC 6154 2 */
	MAILBOX_SPECIAL_ARCHIVE = 0x200,
	MAILBOX_SPECIAL_DRAFTS = 0x400,
	MAILBOX_SPECIAL_FLAGGED = 0x800,
	MAILBOX_SPECIAL_JUNK = 0x1000,
	MAILBOX_SPECIAL_SENT = 0x2000,
	MAILBOX_SPECIAL_TRASH = 0x4000,
	MAILBOX_SPECIAL_MASK = 0x7f00,
};

/* What account_changes tells of a mailbox. */
enum {
	CHANGED_NEW = 1, /* messages came */
	CHANGED_EXPUNGED = 2,
	CHANGED_FLAGS = 4,
	CHANGED_MESSAGES = 7,
	CHANGED_NAME = 8, /* it came or went, or a child of it did */
	CHANGED_RENAMED = 16,
	CHANGED_SUBSCRIPTION = 32,
	CHANGED_METADATA = 64,     /* an annotation; of the server when there is no mailbox name */
	CHANGED_ANNOTATIONS = 128, /* of messages */
	CHANGED_RIGHTS = 256,      /* what others may do there */
	CHANGED_SHARER = 512,      /* another account gave rights to this one */
	CHANGED_BELOW = 1024,      /* beside CHANGED_RENAMED: it went along with a parent that nobody else sees */
};

enum { ACCOUNT_ACTIVE, ACCOUNT_SUSPENDED };
enum { RIGHT_SEND = 1, RIGHT_IMAP = 2, RIGHT_POP3 = 4, RIGHT_ADMIN = 8, RIGHTS_USER = 7 };
enum { RIGHT_SUBMISSION = 16 }; /* it is a submission server: what URLs with "submit+" open is for it */

/* Rights on a mailbox (RFC 4314 2.1). The owner has all of them, always. */
enum {
	ACL_LOOKUP = 1,             /* l */
	ACL_READ = 2,               /* r */
	ACL_SEEN = 4,               /* s */
	ACL_WRITE = 8,              /* w */
	ACL_INSERT = 0x10,          /* i */
	ACL_POST = 0x20,            /* p */
	ACL_CREATE = 0x40,          /* k */
	ACL_DELETE = 0x80,          /* x */
	ACL_DELETE_MESSAGE = 0x100, /* t */
	ACL_EXPUNGE = 0x200,        /* e */
	ACL_ADMINISTER = 0x400,     /* a */
	ACL_ANNOTATE = 0x800,       /* n (RFC 5257 4.10) */
	ACL_ALL = 0xfff,
	ACL_FLAGS = ACL_SEEN | ACL_WRITE | ACL_DELETE_MESSAGE,
};
enum { ACL_REPLACE, ACL_GRANT, ACL_REVOKE };

/* Names below which mailboxes of others show (RFC 2342); no account has mailboxes of its own there. */
#define ROOT_OTHERS "Other Users"
#define ROOT_SHARED "Shared"

enum { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 }; /* RFC 3461 4.1 */
enum { RET_NONE, RET_FULL, RET_HDRS };                                               /* RFC 3461 4.3 */
enum {
	ENVELOPE_8BIT = 1,
	ENVELOPE_SMTPUTF8 = 2,
	ENVELOPE_BINARY = 4,
	ENVELOPE_REQUIRETLS = 8,     /* RFC 8689 */
	ENVELOPE_TRUSTED = 16,       /* nobody logged in, but it came from a trusted address: its sender may get notices */
	ENVELOPE_TLS_OPTIONAL = 32,  /* RFC 8689 3: the header has TLS-Required: No */
	ENVELOPE_UTF8_HEADER = 64,   /* with SMTPUTF8: the header needs it (RFC 6532) */
	ENVELOPE_UNSUBSCRIBES = 128, /* the header has List-Unsubscribe */
	ENVELOPE_FLAGS_ALL = 255,
};
enum { CLASS_PERSONAL, CLASS_BULK, CLASS_NOTICE, CLASSES }; /* of senders: each has its schedule */
enum { BY_NONE, BY_NOTIFY, BY_RETURN, BY_TRACE = 4 };       /* RFC 2852 4; BY_TRACE is a bit */
enum { PRIORITY_MAX = 9 };                                  /* RFC 6710 5; the least is -9 */
enum { RECIPIENT_WAITING, RECIPIENT_DONE, RECIPIENT_FAILED };
enum { QUEUE_NOTICE_DELAYED = 1, QUEUE_NOTICE_LATE = 2 }; /* LATE: RFC 2852 */
enum {
	QUEUE_RETRY,
	QUEUE_DELETE,
	QUEUE_HOLD,
	QUEUE_RELEASE,
	QUEUE_REROUTE,
	QUEUE_DUE,
	QUEUE_RETURN, /* to the sender */
	QUEUE_RESUME, /* after a pause was taken away */
	QUEUE_OPS
};
/* Of a row: it waits for its next try, is held, is paused, is being sent, waits for a time that somebody asked for. */
enum {
	QUEUE_STATE_ANY,
	QUEUE_STATE_WAITING,
	QUEUE_STATE_HELD,
	QUEUE_STATE_PAUSED,
	QUEUE_STATE_ACTIVE,
	QUEUE_STATE_SCHEDULED,
	QUEUE_STATES
};
#define QUEUE_ATTEMPTS_MAX 10 /* that a row remembers */

/* Mail for an address of somebody else's server: not our business; taken; it does not have that address; nobody knows,
 * and nobody asked it; it was asked, and did not answer yet; it was asked, and no answer came. */
enum { BACKUP_NONE, BACKUP_TAKEN, BACKUP_UNKNOWN, BACKUP_ASK, BACKUP_ASKED, BACKUP_UNSURE };

#define MEMO_NAME_BYTES_MAX 600
#define MEMO_FOREVER 253402300799 /* until then: the end of the year 9999 */

enum { URL_ANONYMOUS, URL_AUTHUSER, URL_USER, URL_SUBMIT }; /* RFC 4467 3 */
#define URL_TOKEN_BYTES 33

#define STORE_NO_CULPRIT UINT32_MAX
#define STORE_SEARCH_KEYS_MAX 16 /* of one search_text */
#define STORE_MODSEQ_ANY UINT64_MAX

/* A row of a mailbox index as it stands in a region. */
#define INDEX_ROW_BYTES 40
struct index_row {
	uint32_t uid, flags;
	uint64_t modseq;
	uint32_t keyword_set, bytes;
	int64_t received, saved;
};
/* The first of n rows, which are in order of their uids, with at least this uid; n: there is none. */
static inline size_t
index_rows_from(const struct index_row *rows, size_t n, uint32_t uid)
{
	size_t low = 0, high = n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (rows[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

_Static_assert(sizeof(struct index_row) == INDEX_ROW_BYTES, "an index row has no padding: it is copied as it is");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "regions hold little endian rows");

#endif
