/* SPDX-License-Identifier: Apache-2.0 */
/* smtp.h - SMTP in (port 25), LMTP and submission: one protocol with three faces, as its files see it.
 *
 * smtp.c reads a line, looks its word up in the table, checks what the row asks for, calls the handler and writes the
 * reply that it returns. Handlers whose name begins with await_ may suspend. */
#ifndef SESSION_SMTP_SMTP_H
#define SESSION_SMTP_SMTP_H

#include "base/log.h"
#include "mail/smtp_path.h"
#include "session/session.h"
#include "session/smtp/dot.h"

#include "scan_msg.h"
#include "store_msg.h"

enum smtp_face { FACE_SMTP = 1, FACE_LMTP = 2, FACE_SUBMISSION = 4, FACE_ALL = 7 };

enum {
	SMTP_HELO_BYTES_MAX = 255,
	SMTP_TARGETS_MAX = 10000,         /* mailboxes and remote addresses that one message goes to */
	SMTP_REMOTE_MAX = 1000,           /* remote ones of them: queue rows of one message */
	SMTP_RETURNS_MAX = 64,            /* return paths that one message is counted for */
	SMTP_HEAD_BYTES_MAX = 256 * 1024, /* header of a submitted message, which is looked at before the body goes on */
	SMTP_FROM_MAX = 20,               /* addresses in the From field of a submitted message */
	SMTP_DATA_MS_MAX = 3600 * 1000,   /* for a whole message, however steadily it drips */
	SMTP_SLOW_MS = 200,               /* before each reply to a client that made half of the errors it may */
};

/* code 0: nothing to write, the handler did that. status: RFC 3463; empty: the reply has none. */
struct reply {
	uint16_t code;
	bool close; /* after it */
	const char *status;
	struct slice text;
};
struct reply reply(uint16_t code, const char *status, const char *text);        /* literals */
struct reply reply_slice(uint16_t code, const char *status, struct slice text); /* in an arena */
struct reply reply_close(struct reply r);
#define REPLY_NONE ((struct reply){ 0 })

struct smtp_target {
	uint64_t account; /* 0: remote */
	struct slice address, mailbox;
	struct slice suppressed; /* remote: why bulk mail does not go there; empty: it does */
};
struct smtp_rcpt {
	struct slice address; /* local-part without quotes @ domain */
	struct slice path;    /* as it is written in trace fields */
	struct slice orcpt;
	uint32_t notify;
	uint32_t first, count; /* of tx->targets */
	struct reply outcome;  /* set: the commit refused it (LMTP) */
	bool verp, forward;    /* a return path of bulk mail; what comes back goes on to who sent it */
	bool feedback;         /* complaints come in here */
	bool consumed;         /* the message is counted, not delivered */
};

/* The bytes of a message as they arrive: trace fields first, the header of a submission looked at and completed. */
struct intake {
	bool begun;
	bool head_done;      /* or none is looked at */
	bool bare, after_cr; /* a CR or LF alone was seen; the last byte was CR (BDAT) */
	struct buf head;     /* submission: the header so far */
	struct body body;
	uint32_t skip;        /* bytes of Return-Path at the top of body */
	struct reply trouble; /* the first thing wrong: what follows is read and dropped */
	uint64_t bytes;       /* of the client's message */
	int64_t began_ms;
};

/* wishes.c: what MAIL said about when and how to send. */
struct wishes {
	int64_t hold_until; /* RFC 4865; 0: at once */
	uint32_t hold_for;  /* asked for as so many seconds; 0: as a time */
	int64_t by_time;    /* RFC 2852 */
	uint32_t by_mode;   /* BY_* */
	int64_t priority;   /* RFC 6710 */
	bool lowered;       /* from what was asked for */
};

struct transaction {
	struct arena arena;
	bool open;                 /* MAIL was accepted */
	bool chunks;               /* BDAT began: DATA, RCPT and MAIL are out of order */
	struct slice reverse;      /* local-part without quotes @ domain; empty: <> */
	struct slice reverse_path; /* as it is written in trace fields */
	struct slice envid;
	uint32_t ret, flags; /* RET_*, ENVELOPE_* */
	bool binary;
	struct wishes wishes;
	uint64_t size; /* declared; 0: not */
	struct smtp_rcpt *rcpts;
	uint32_t nrcpts, rcpts_room;
	struct smtp_target *targets;
	uint32_t ntargets, targets_room, nremote;
	struct store_returned *returns; /* for the commit to count */
	uint32_t nreturns;
	struct intake in;
	int64_t began_ms;
};

struct smtp {
	struct conn *c;
	enum smtp_face face;
	struct arena *command; /* lives as long as the command under way */
	char *helo;            /* malloc'ed; NULL: no HELO yet */
	bool esmtp;
	uint64_t account; /* 0: nobody logged in */
	char *user;       /* its address, malloc'ed */
	char grant[200];  /* from auth: what the store opens the account for, so that we hear when it is revoked */
	size_t grant_len;
	uint32_t handle;
	uint64_t generation; /* of the store's connection that gave the handle */
	uint32_t errors, login_failures;
	uint64_t mails, messages; /* MAIL commands; messages accepted or refused, for ids */
	struct transaction tx;
};

struct smtp_command {
	struct slice word;
	struct reply (*await_run)(struct smtp *s, struct cursor *args); /* those named cmd_... never wait */
	uint32_t faces;                                                 /* where it exists */
	uint32_t needs;                                                 /* NEEDS_* */
	const char *rfc;
	const char *help;
};
enum {
	NEEDS_HELO = 1,
	NEEDS_LOGIN = 2, /* on submission */
	NEEDS_MAIL = 4,
	NEEDS_NO_MAIL = 8,
	LOGS_REFUSAL = 16, /* refusals are worth a line in the log */
	LOGS_ARGUMENT = 32,
};
extern const struct smtp_command smtp_commands[];
extern const size_t smtp_commands_count;

/* ---- the commands */
struct reply cmd_ehlo(struct smtp *s, struct cursor *args);
struct reply cmd_helo(struct smtp *s, struct cursor *args);
struct reply await_cmd_mail(struct smtp *s, struct cursor *args);
struct reply await_cmd_rcpt(struct smtp *s, struct cursor *args);
struct reply await_cmd_data(struct smtp *s, struct cursor *args);
struct reply await_cmd_bdat(struct smtp *s, struct cursor *args);
struct reply await_cmd_auth(struct smtp *s, struct cursor *args);
struct reply await_cmd_starttls(struct smtp *s, struct cursor *args);
struct reply cmd_rset(struct smtp *s, struct cursor *args);
struct reply cmd_noop(struct smtp *s, struct cursor *args);
struct reply cmd_vrfy(struct smtp *s, struct cursor *args);
struct reply cmd_expn(struct smtp *s, struct cursor *args);
struct reply cmd_help(struct smtp *s, struct cursor *args);
struct reply cmd_quit(struct smtp *s, struct cursor *args);

/* ---- smtp.c */
void smtp_put_reply(struct smtp *s, struct reply r);                             /* one line */
void smtp_put_line(struct smtp *s, uint16_t code, bool more, struct slice text); /* of a reply of several lines */
void tx_begin(struct smtp *s);
void tx_reset(struct smtp *s);
/* The id of the message under way, "smtp-abcdefgh.3"; of the transaction. */
struct slice tx_message_id(struct smtp *s);
/* What went wrong in our own house, in words for the client: 4xx. */
struct reply reply_trouble(enum err e);

/* ---- cmd_auth.c */
/* Has the store (which may have been started again) keep the account open for this session; at once when it does. An
 * error means that the login is over: ERR_STALE, ERR_SUSPENDED, ERR_DENIED. */
enum err await_account(struct smtp *s);
void account_release(struct smtp *s);

/* ---- params.c: what follows a path in MAIL and RCPT. Pure but for the arena. */
struct smtp_param {
	struct slice name, value; /* value: empty without '=' */
	bool has_value;
};
/* False: malformed. *end: there was none. Takes the space before it. */
bool take_param(struct cursor *c, struct smtp_param *p, bool *end);
/* All of them to the end of the line, each handed to take_one, up to the first refusal. */
struct reply take_params(struct smtp *s, struct cursor *c,
                         struct reply (*take_one)(struct smtp *s, void *into, const struct smtp_param *p), void *into);
bool is_xtext(struct slice s);                      /* RFC 3461 4 */
bool notify_of(struct slice value, uint32_t *bits); /* RFC 3461 4.1 */
bool is_orcpt(struct slice value, bool utf8);       /* RFC 3461 4.2, RFC 6533 3 */
/* An address as roles speak of it: local-part without quotes @ domain in lower case. */
struct slice path_address(struct arena *a, const struct path *p);
struct slice path_written(struct arena *a, const struct path *p); /* as in trace fields, without brackets */

/* ---- wishes.c */
struct reply wish_hold_for(struct smtp *s, struct wishes *w, struct slice value);
struct reply reply_hold_quota(void); /* cmd_mail.c */
struct reply wish_hold_until(struct smtp *s, struct wishes *w, struct slice value);
struct reply wish_by(struct smtp *s, struct wishes *w, struct slice value);
struct reply wish_priority(struct smtp *s, struct wishes *w, struct slice value);
struct reply wishes_check(const struct wishes *w); /* of all of them together */
uint32_t sender_class(struct smtp *s);             /* CLASS_* of store/rows.h, of the whole message */
/* ---- trace.c */
struct slice trace_fields(struct smtp *s, uint32_t *skip); /* Return-Path and Received; skip: bytes of the former */

/* ---- intake.c */
/* Waits for bytes of a message; an error is the stream's. */
enum err await_intake_fill(struct smtp *s);
void await_intake_put(struct smtp *s, struct slice bytes);
/* So much was read after a limit was passed that the client must be cut off. */
bool intake_hopeless(const struct smtp *s);
struct reply await_intake_end(struct smtp *s); /* code 0: the body is whole */

/* ---- head.c: the header of a submitted message. Checks From, puts what is missing into `added`. */
struct reply await_check_head(struct smtp *s, struct slice head, struct buf *added);

/* ---- tls_report.c: when the message carries a TLS report for us, it is kept. */
void await_tls_report(struct smtp *s);

/* ---- success.c: NOTIFY=SUCCESS. Is a notice due to the sender, because somebody's mailbox here gets the message? */
bool success_wanted(const struct smtp *s);
bool is_expanded(const struct smtp *s, const struct smtp_rcpt *r); /* an alias that leads elsewhere and to several */
/* Is it known who sends? Others cause no notices: their reverse-path may be anybody's. */
bool sender_known(const struct smtp *s);
/* Builds it (mail and what it points to in the command's arena; *block: shared memory, freed by the caller after the
 * commit) and finds out where it goes. False: nowhere; why is logged. */
bool await_success_notice(struct smtp *s, struct store_mail *mail, void **block);

/* ---- cmd_rcpt.c */
struct slice suppressed_text(struct arena *a, struct slice why);

/* ---- returned.c */
/* Room for another recipient of that sort. */
bool returned_fits(const struct smtp *s, bool feedback);
/* Finds out what came back, when anybody here is such a recipient: tx.returns, and who is `consumed`. */
enum err await_returned(struct smtp *s);

/* ---- sending.c */
/* Why the account may not send this now; code 0: that was not it. */
struct reply reply_sending(struct smtp *s, const struct store_commit_out *out);

/* ---- deliver.c */
/* The targets of all recipients that the commit did not refuse; in the command's arena. */
void split_targets(struct smtp *s, struct store_mail *mail);
/* The end of a message: facts, policy, commit, or the refusal that is known already (code not 0). Ends the
 * transaction. LMTP writes its replies, one for each recipient, and returns none. */
struct reply await_message_end(struct smtp *s, struct reply refusal);

#endif
