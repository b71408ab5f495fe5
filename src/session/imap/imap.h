/* SPDX-License-Identifier: Apache-2.0 */
/* imap.h - one IMAP session, as the files of this folder share it.
 *
 * imap.c reads a command (command.c), finds its row, runs its handler (cmd_*.c) and writes the handler's reply; before
 * that, sync.c tells the client what others changed in the selected mailbox. A handler parses its arguments with
 * parse.h, asks the store with await_imap_ask, and writes untagged responses with write.c. All it allocates lives in
 * im->arena, until the command ends.
 *
 * A further command is a row of imap.c and a function; a further capability a row of capabilities.c. */
#ifndef IMAP_IMAP_H
#define IMAP_IMAP_H

#include "base/slab.h"
#include "mail/fold.h"
#include "session/imap/parse.h"
#include "session/imap/view.h"
#include "session/lang.h"
#include "session/session.h"
#include "store_msg.h"

enum { /* states, bits (RFC 3501 3) */
	   IMAP_NOT_AUTHENTICATED = 1,
	   IMAP_AUTHENTICATED = 2,
	   IMAP_SELECTED = 4,
	   IMAP_LOGOUT = 8,
	   IMAP_ANY = 7,
	   IMAP_LOGGED_IN = 6,
};

enum {                                        /* limits */
	   IMAP_LINE_BYTES_MAX = 64 << 10,        /* of all lines of one command, literals not counted */
	   IMAP_LOGIN_LINE_BYTES_MAX = 8 << 10,   /* before the login */
	   IMAP_LOGIN_LITERAL_BYTES_MAX = 1000,   /* user names and passwords are no longer than that in auth.msg */
	   IMAP_LITERALS_BYTES_MAX = 1 << 20,     /* of all literals of one command */
	   IMAP_LITERAL_SKIP_BYTES_MAX = 1 << 20, /* of a non-synchronizing literal that is read only to be dropped */
	   IMAP_BAD_MAX = 20,                     /* malformed commands in a row */
	   IMAP_LOGINS_FAILED_MAX = 10,
	   IMAP_GRANT_BYTES_MAX = 200,
	   IMAP_UIDS_MAX = 65536, /* of one call of the store: 262144 bytes */
};

struct imap {
	struct conn *c;
	uint32_t state;
	struct arena arena; /* the command's clock */
	struct buf command; /* the text of the command under way, literals inline */
	struct buf text;    /* responses in the making */
	struct slice tag;
	int64_t progress_ms;         /* when the client is to hear that the command under way goes on */
	struct imap_literal literal; /* that APPEND has still to read */
	bool by_uid;                 /* UID FETCH, not FETCH */
	bool names_numbers;          /* sequence numbers stand among the arguments of a UID command */
	uint32_t limited_to;         /* the lowest UID that the command under way worked on; 0: it had no limit */
	uint32_t enabled;            /* ENABLED_*, until the connection ends */
	enum lang language;          /* of texts (RFC 5255 3) */
	enum fold_how collation;     /* of SEARCH, SORT and THREAD (RFC 5255 4) */
	bool changed;                /* somebody may have changed the selected mailbox */
	bool ended;                  /* BYE was said */
	uint32_t bad_in_row, logins_failed;
	bool idling;
	char *idle_tag;
	size_t idle_tag_bytes;
	struct view view;
	struct context *contexts; /* context.h */
	struct imap_range own[4]; /* UIDs that this session added to the selected mailbox, and was not told of yet */
	size_t nown;
	struct notify *notify; /* notify.h; NULL: NOTIFY was not used */
	/* The account at the store: the grant opens it again after the store was started again. */
	char grant[IMAP_GRANT_BYTES_MAX];
	size_t grant_bytes;
	uint64_t account;
	uint32_t handle;
	uint64_t handle_generation; /* of the store's connection; 0: not open */
	struct imap_owner *owners;  /* of mailboxes of others that were used, the last one first */
	struct imap_owner *owner;   /* whose mailbox is selected; NULL: one's own */
	struct imap_owner *held;    /* the same, while another mailbox stands in its place */
	enum err asked;             /* the result of the last call */
	struct slice named[2];      /* names of one's own that the command under way meant, the last two */
	size_t nnamed;
};

/* ---- what a client must ask for first (RFC 5161) */
enum {
	ENABLED_CONDSTORE = 1, /* RFC 7162 3.1: FETCH responses that were not asked for carry UID and MODSEQ */
	ENABLED_QRESYNC = 2,   /* RFC 7162 3.2.3: VANISHED instead of EXPUNGE */
	ENABLED_UTF8 = 4,      /* RFC 6855: UTF-8 in quoted strings, in mailbox names and in the headers of messages */
	ENABLED_UIDONLY = 16,  /* RFC 9586: UIDs only, in commands and in responses */
	ENABLED_REV2 = 8,      /* RFC 9051: IMAP4rev2 where it differs from IMAP4rev1 */
};
static inline bool
imap_utf8_accept(const struct imap *im)
{
	return (im->enabled & (ENABLED_UTF8 | ENABLED_REV2)) != 0; /* RFC 9051 4.3, 5.1: rev2 has the same */
}
static inline bool
imap_uidonly(const struct imap *im)
{
	return (im->enabled & ENABLED_UIDONLY) != 0;
}
static inline enum imap_names
imap_names(const struct imap *im)
{
	return imap_utf8_accept(im) ? NAMES_UTF8 : NAMES_UTF7;
}
static inline bool
imap_rev2(const struct imap *im)
{
	return (im->enabled & ENABLED_REV2) != 0;
}
/* Any command of RFC 7162 3.1 may be the first that shows that the client knows change numbers. */
void imap_enable(struct imap *im, uint32_t what);

/* ---- replies: what a handler returns, and imap.c writes */
enum imap_status { IMAP_OK, IMAP_NO, IMAP_BAD, IMAP_SILENT };
struct imap_reply {
	enum imap_status status;
	struct slice code; /* without brackets; empty: none */
	const char *text;
};
struct imap_reply imap_ok(const char *text);
struct imap_reply imap_ok_code(struct slice code, const char *text);
struct imap_reply imap_no(const char *code, const char *text); /* code NULL: none */
struct imap_reply imap_bad(const char *text);
struct imap_reply imap_bad_numbers(void); /* RFC 9586 3: message numbers where only UIDs may be */
struct imap_reply imap_err(enum err e);   /* what the world did to us, as NO */
extern const struct imap_reply imap_silent;

/* ---- commands */
enum {             /* flags */
	   BY_UID = 1, /* has a UID form */
	   /* RFC 3501 7.4.1: no EXPUNGE while it is under way, unless it goes by UID */
	   KEEPS_NUMBERS = 2,
};
struct imap_command {
	struct slice word;
	struct imap_reply (*await_run)(struct imap *im, struct cursor *args);
	uint32_t states, flags;
	const char *rfc;
};
extern const struct imap_command imap_commands[];
extern const size_t imap_commands_count;

typedef struct imap_reply imap_handler(struct imap *im, struct cursor *args);
imap_handler imap_cmd_capability, imap_cmd_noop, imap_cmd_logout, imap_cmd_id, imap_cmd_enable; /* cmd_misc.c */
imap_handler imap_cmd_starttls, imap_cmd_login, imap_cmd_authenticate;                          /* cmd_auth.c */
imap_handler imap_cmd_select, imap_cmd_examine, imap_cmd_close, imap_cmd_unselect;              /* cmd_select.c */
imap_handler imap_cmd_list, imap_cmd_lsub, imap_cmd_namespace, imap_cmd_status;                 /* cmd_list.c */
imap_handler imap_cmd_rlist, imap_cmd_rlsub;                                                    /* the same file */
imap_handler imap_cmd_create, imap_cmd_delete, imap_cmd_rename, imap_cmd_subscribe,
    imap_cmd_unsubscribe; /* cmd_mailbox.c */
imap_handler imap_cmd_append, imap_cmd_fetch, imap_cmd_store, imap_cmd_search, imap_cmd_sort, imap_cmd_thread,
    imap_cmd_copy, imap_cmd_move, imap_cmd_expunge;                       /* a file each */
imap_handler imap_cmd_getquota, imap_cmd_getquotaroot, imap_cmd_setquota; /* cmd_quota.c */
imap_handler imap_cmd_getmetadata, imap_cmd_setmetadata;                  /* cmd_metadata.c */
imap_handler imap_cmd_uidbatches;                                         /* cmd_uidbatches.c */
imap_handler imap_cmd_unauthenticate;                                     /* cmd_auth.c */
imap_handler imap_cmd_notify;                                             /* cmd_notify.c */
imap_handler imap_cmd_cancelupdate;                                       /* context.c */
imap_handler imap_cmd_esearch;                                            /* a file of its own */
imap_handler imap_cmd_language, imap_cmd_comparator;                      /* cmd_language.c */
imap_handler imap_cmd_setacl, imap_cmd_deleteacl, imap_cmd_getacl, imap_cmd_listrights,
    imap_cmd_myrights; /* cmd_acl.c */
imap_handler imap_cmd_idle;
imap_handler imap_cmd_replace;                                          /* cmd_append.c */
imap_handler imap_cmd_compress;                                         /* cmd_compress.c */
imap_handler imap_cmd_genurlauth, imap_cmd_resetkey, imap_cmd_urlfetch; /* cmd_url.c */
enum next await_imap_idle_line(struct imap *im); /* cmd_idle.c: what the client sent while idling */

/* imap.c: tells what changed, and then the tagged reply. row NULL: no command that is known. */
void await_imap_reply(struct imap *im, const struct imap_command *row, const struct imap_reply *r);

/* ---- cmd_status.c, for LIST too */
bool imap_take_status_items(struct cursor *c, uint32_t *items); /* "(" status-att *(SP status-att) ")", as bits */
void imap_put_status(struct imap *im, struct slice name, const struct store_mailbox *m, uint32_t items);
void imap_status_enables(struct imap *im, uint32_t items);

/* ---- cmd_list.c: "* LIST" that was not asked for (RFC 9051 6.3.2), with OLDNAME when old differs from name (6.3.9.7)
 */
enum { LIST_NOACCESS = 1 << 26, LIST_CHILDREN_UNKNOWN = 1 << 27, LIST_NONEXISTENT = 1 << 28 }; /* beside MAILBOX_* */
void imap_put_list(struct imap *im, uint32_t attributes, struct slice name, struct slice old);
/* The same of a mailbox that there is. */
struct imap_place;
void
imap_put_namespace(struct imap *im); /* "* NAMESPACE", with names as they are called in its language (RFC 5255 3.4) */
enum err await_imap_put_list(struct imap *im, const struct imap_place *p, struct slice name, struct slice old);
/* Each mailbox in order of names. numbers: with counts and the like. */
typedef void imap_mailbox_visitor(struct imap *im, void *to, const struct store_mailbox *m);
enum err await_imap_each_mailbox(struct imap *im, bool numbers, imap_mailbox_visitor *visit, void *to);
/* The same, perhaps with names that are on other servers (MAILBOX_REMOTE). */
enum err await_imap_each_own(struct imap *im, bool numbers, bool remote, imap_mailbox_visitor *visit, void *to);

/* ---- refer.c: where mailboxes and accounts are that are on other servers (RFC 2193, RFC 2221) */
/* The command failed: is what it named on another server? Then that is the reply. */
struct imap_reply await_imap_refer(struct imap *im, bool pair, struct imap_reply no);
/* "REFERRAL imap://..." for who logged in; empty: the URL is none. */
struct slice imap_login_referral(struct imap *im, struct slice url, struct slice user);

/* ---- cmd_mailbox.c: special uses as LIST shows them (RFC 6154 2): "\Sent \Trash", empty when there are none */
struct slice imap_special_uses(struct arena *a, uint32_t attributes);
bool imap_parse_special_uses(struct slice text, uint32_t *special);

/* ---- cmd_metadata.c, for LIST too: puts what m asks for, *longest: the size
 * of the longest value that max_size left out, else 0 */
enum err await_imap_metadata(struct imap *im, struct imap_metadata *m, uint64_t *longest);

/* ---- cmd_annotate.c: annotations of messages (RFC 5257) */
void imap_put_annotations_level(struct imap *im); /* * OK [ANNOTATIONS ...] */
void imap_put_entry(struct buf *to, struct slice entry);
/* What others changed in the selected mailbox, for who wants to hear of it; events: EVENT_* that are told. */
void await_imap_annotation_news(struct imap *im, uint32_t events);
/* What speaks against them; OK status: nothing. */
struct imap_reply imap_annotations_judge(const struct imap_annotations *a);
struct imap_reply imap_annotations_err(enum err e);
struct store_message_annotation *imap_annotations_call(struct arena *a, const struct imap_annotations *from);
/* How many messages may be annotated with one call. */
size_t imap_annotations_batch(const struct imap_annotations *a);
/* Is there each part that they are of, in this message? */
struct facts;
bool imap_annotations_fit(const struct imap_annotations *a, const struct facts *facts, uint64_t bytes);
enum err await_imap_annotations_fit(struct imap *im, const struct imap_annotations *a, const struct view_spans *spans,
                                    bool *fit);
enum err await_imap_annotate(struct imap *im, const struct imap_annotations *a, struct slice uids,
                             uint64_t unchanged_since, struct buf *refused);

/* ---- filters.c: the rest of args as a search program, the filters that it names put in (RFC 5466). charset: as it was
 * named before the program; empty: it was not. OK status: program is good. */
struct imap_reply await_imap_search_program(struct imap *im, struct cursor *args, struct slice charset,
                                            struct imap_search *program);

/* ---- limit.c: how many messages one command may work on (RFC 9738); 0: any number */
size_t imap_messages_max(const struct imap *im);
size_t imap_save_max(const struct imap *im); /* of COPY and APPEND */
/* The last ones stay; the reply to the command says so. */
void imap_limit(struct imap *im, struct view_spans *spans);
void imap_limit_deleted(struct imap *im, struct view_spans *spans);
struct imap_reply imap_over_limit(struct imap *im, size_t max, const struct view_spans *spans);
void imap_put_limited(struct imap *im, struct imap_reply *r);
void imap_put_limit_capability(const struct imap *im, struct buf *to);

/* ---- capabilities.c */
void imap_put_capabilities(const struct imap *im, struct buf *to); /* "IMAP4rev1 ..." as they are now */

/* ---- command.c: the text of a command */
enum imap_got { IMAP_GOT_COMMAND, IMAP_GOT_NOTHING, IMAP_GOT_CLOSED };
enum imap_got await_imap_command_text(struct imap *im);
/* Reads bytes that nobody wants. */
enum err await_imap_skip(struct imap *im, uint64_t bytes);
/* After a literal that was skipped: the rest of the command, when that must be dropped. */
enum err await_imap_skip_command(struct imap *im);

/* ---- account.c: the store */
void imap_forget_account(struct imap *im); /* gives the handle back, and wipes the grant */
/* Somebody else, who shares mailboxes with the client (RFC 4314), and his account at the store. Lives as long as the
 * session needs it; several are kept. */
struct imap_owner {
	struct imap_owner *next;
	char *address; /* or the name under which it is public in the domain */
	bool is_public;
	uint64_t account;
	uint32_t handle, by;        /* by: the session's handle with which it was opened */
	uint64_t handle_generation; /* 0: not open */
	struct conn_ear ear;        /* while his mailbox is selected, or NOTIFY watches him */
	uint32_t watched;           /* by so many struct notify */
	/* url_read.c: the handle is for one message only, which this URL opens; of the mailbox that it answers */
	const struct store_url_open_in *url;
	struct store_url_open_out opened;
};
void imap_forget_owners(struct imap *im);
/* Starts or ends hearing of his account, as it is needed now. */
void imap_hear_owner(struct imap *im, struct imap_owner *o);
/* owner NULL: the client's own account. ERR_NOT_FOUND: he shares nothing, or is not there. */
bool await_imap_handle(struct imap *im, struct imap_owner *owner, uint32_t *handle);
bool await_imap_handle_again(struct imap *im, struct imap_owner *owner, uint32_t *handle, enum err e);
/* enum err e = await_imap_ask_of(im, owner, mailbox_status, &in, &arena, &out): a call of store.msg with the handle of
 * his account; opens the account again, and asks again, when the store was started again meanwhile. */
#define await_imap_ask_of(im, owner, call, in, a, out)                                                                 \
	(!await_imap_handle((im), (owner), &(in)->handle) ? (im)->asked                                                    \
	 : await_imap_handle_again((im), (owner), &(in)->handle,                                                           \
	                           await_store_##call(&(im)->c->session->store, (in), (a), (out)))                         \
	     ? await_store_##call(&(im)->c->session->store, (in), (a), (out))                                              \
	     : (im)->asked)
/* The client's own account; the account of the mailbox that is selected. */
#define await_imap_ask(im, call, in, a, out) await_imap_ask_of((im), NULL, call, (in), (a), (out))
#define await_imap_ask_selected(im, call, in, a, out) await_imap_ask_of((im), (im)->owner, call, (in), (a), (out))

/* ---- names.c: where a name leads */
struct imap_place {
	struct imap_owner *owner; /* NULL: the client himself */
	struct slice name;        /* in the owner's account */
};
/* ERR_NOT_FOUND: below the names where mailboxes of others show, and nobody shares anything there. */
enum err await_imap_place(struct imap *im, struct slice name, struct imap_place *p);
/* The account of this address or public name, open. */
enum err await_imap_owner(struct imap *im, struct slice owner, bool is_public, struct imap_owner **o);
/* *owner empty: the client's own, *rest is the name. False: nothing can be there. */
bool imap_split_place(struct slice name, struct slice *owner, bool *is_public, struct slice *rest);
/* What the client calls this mailbox of somebody else (NULL: his own); the mailbox that is selected. */
struct slice imap_name_at(struct arena *a, const struct imap_owner *o, struct slice name);
struct slice imap_selected_name(struct imap *im);
/* Answer to a CREATE, DELETE, RENAME that failed: in one's own account nothing is a matter of rights. */
struct imap_reply imap_err_at(const struct imap_place *p, enum err e);

/* ---- shared.c: mailboxes of others, under the names that they have here */
struct imap_wanted { /* what LIST looks for; a mailbox that no pattern can match need not be visited */
	const struct slice *patterns;
	size_t npatterns;
	bool all, numbers;
};
/* All mailboxes of one of them that may be looked up. */
enum err await_imap_each_of(struct imap *im, struct imap_owner *owner, bool numbers, imap_mailbox_visitor *visit,
                            void *to);
enum err await_imap_each_shared(struct imap *im, const struct imap_wanted *wanted, imap_mailbox_visitor *visit,
                                void *to);

/* ---- cmd_acl.c */
void imap_put_rights(struct buf *to, uint32_t rights); /* "lrswi...", with c and d (RFC 4314 2.1.1) */
void imap_put_my_rights(struct imap *im, struct slice name, uint32_t rights);
/* How large a block may be now, if it can do with less. */
size_t imap_block_share(const struct imap *im);
/* A block of shared memory, of want bytes or fewer, at least `least`; NULL when none is to be had. Blocks are freed
 * with shm_free(im->c->session->shm, at). */
char *await_imap_block(struct imap *im, size_t want, size_t least, size_t *got);
struct store_region imap_region(struct imap *im, const char *block, size_t bytes);
/* The uids of these rows (those with all of `flags` set, none of `not_flags`), from a walk, at most max. */
struct slice imap_uids(struct imap *im, struct view_walk *w, uint32_t flags, uint32_t not_flags, size_t max,
                       struct arena *a);

/* ---- sync.c */
enum { SYNC_EXPUNGES = 1, SYNC_ASK = 2 };
/* Our own change of the selected mailbox, which is in the view, took it from one modseq to another. */
void imap_stored(struct imap *im, uint64_t was, uint64_t now);
/* Tells what changed in the selected mailbox. SYNC_ASK: asks the store even when no notice came. */
void await_imap_sync(struct imap *im, uint32_t how);
/* Loads names of keyword sets that rows[from..] name and the view does not know; tells FLAGS when there are new ones.
 */
void await_imap_keywords(struct imap *im, bool tell);
void imap_unselect(struct imap *im);
/* While a mailbox is being selected: brings the rows up to date. */
enum err await_imap_catch_up(struct imap *im);
/* After EXPUNGE and MOVE: tells all that is to be told, and says up to where (RFC 7162 3.2.7). */
struct imap_reply await_imap_expunged(struct imap *im, bool some, const char *text);
void await_imap_exists(struct imap *im); /* EXISTS and RECENT when they differ from what was told */

/* cmd_select.c: makes the view of a mailbox to read in; there is none before. */
enum err await_imap_view(struct imap *im, struct slice name);

/* ---- write.c */
void await_imap_text(struct imap *im);                /* sends what stands in im->text, and empties it */
void imap_put_string(struct buf *to, struct slice s); /* quoted, or a literal where it must be */
/* A mailbox name, in modified UTF-7 or as UTF-8, as the client wants it. */
void imap_put_mailbox(const struct imap *im, struct buf *to, struct slice utf8);
void imap_put_flags(struct imap *im, struct buf *to, const struct index_row *row); /* (\Seen ...) */
void imap_put_flags_response(struct imap *im, bool permanent);                     /* * FLAGS (...) */
/* RFC 8474 4, 5.1: "F1-2" and "M3": what names a mailbox and the content of a message for ever. */
void imap_put_mailbox_id(struct buf *to, uint64_t account, uint64_t mailbox);
void imap_put_email_id(struct buf *to, uint64_t object);
/* "* 12 FETCH (", or "* 5 UIDFETCH (" (RFC 9586 3.3): the start of what is told of a row */
void imap_put_fetch(struct imap *im, struct buf *to, size_t index);
/* "* 12 FETCH (UID 5 FLAGS (...))" of a row; the client knows its flags then. */
void imap_put_flag_update(struct imap *im, size_t index, bool with_uid);
/* "* 12 FETCH (UID 5 MODSEQ (...))": RFC 7162 3.1.3: after a silent STORE */
void imap_put_modseq_update(struct imap *im, size_t index);
/* "* OK [HIGHESTMODSEQ n]": all changes up to n were told (RFC 7162 3.1.2.1). */
void imap_put_highest(struct imap *im);
/* cmd_fetch.c: FETCH of these rows. */
struct imap_fetch;
struct imap_reply await_imap_fetch(struct imap *im, const struct imap_fetch *what, const struct view_spans *spans);
void imap_put_set(struct buf *to, struct slice uids); /* 1:3,7 */
void imap_untagged(struct imap *im, struct slice text);

/* progress.c: for loops of commands that may take long: tells now and then that `done` of `goal` messages were looked
 * at. */
void imap_progress_begin(struct imap *im);
void await_imap_progress(struct imap *im, size_t done, size_t goal);

/* ---- resync.c: what went since a change number (RFC 7162 3.2.5, 3.2.6) */
struct resync {
	uint64_t since;
	uint32_t known_up_to;       /* the client knows what went up to this UID */
	const struct imap_set *set; /* UIDs that are asked for; NULL: all */
};
/* VANISHED (EARLIER) for what went. */
enum err await_imap_vanished(struct imap *im, const struct resync *r);
/* FETCH of flags for what changed. */
void await_imap_changed(struct imap *im, const struct resync *r);

#endif
