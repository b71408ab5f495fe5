/* SPDX-License-Identifier: Apache-2.0 */
/* view.h - the selected mailbox as this session has told it to its client: rows by sequence number. What the store says
 * goes in with view_apply_...; what the client has not heard yet is marked on the rows until sync.c tells it, so that
 * sequence numbers never move under a command (RFC 3501 7.4.1). Pure: no waiting, no output. */
#ifndef IMAP_VIEW_H
#define IMAP_VIEW_H

#include "base/arena.h"
#include "session/imap/parse.h"
#include "store/rows.h"

/* Bits of index_row.flags that are the session's own, above MESSAGE_FLAGS_ALL. */
enum {
	VIEW_RECENT = 1 << 8,   /* \Recent for this session */
	VIEW_DIRTY = 1 << 9,    /* its flags changed and the client does not know */
	VIEW_GONE = 1 << 10,    /* expunged and the client does not know */
	VIEW_STALE = 1 << 12,   /* came, went or changed since search contexts looked at it */
	VIEW_STAMPED = 1 << 11, /* this session's STORE gave it a change number that the client does not know */
};

struct view_keywords {
	uint32_t id;
	struct slice names; /* separated by spaces */
};

struct view {
	uint64_t mailbox; /* the store's id; 0: nothing selected */
	uint64_t account; /* whose it is */
	char *name;
	size_t name_bytes;
	bool read_only;
	uint64_t url_resets; /* as the store counted them when the client was told last */
	uint32_t rights;     /* ACL_*: what the client may do in it (RFC 4314) */
	uint32_t uidvalidity, uidnext;
	uint64_t modseq;      /* changes up to here are in the rows */
	uint64_t told_modseq; /* the client knows all changes up to here */
	bool tells_modseqs;   /* a change number alone is news to the client (RFC 7162) */
	bool examined;
	struct {            /* of messages (RFC 5257 4.4) */
		bool wanted;    /* SELECT asked for what others change */
		uint64_t told;  /* changes up to here were told, or need not be */
		uint32_t known; /* of messages up to this UID */
		struct {
			uint64_t above, upto;
		} own[4]; /* what this session changed since */
		size_t nown;
	} annotations;
	struct index_row *rows; /* by uid; sequence number n is rows[n - 1] */
	size_t count, cap;
	size_t mapped;                  /* bytes of rows, when they are a view of a frozen copy; 0: they are on the heap */
	size_t gone, dirty;             /* rows with these marks */
	size_t marked_from, marked_end; /* all rows with one of them stand there; means nothing when there are none */
	bool watched;                   /* search contexts want VIEW_STALE */
	size_t stale;
	uint32_t recent; /* rows with VIEW_RECENT */
	size_t told;     /* EXISTS as the client knows it */
	uint32_t told_recent;
	struct view_keywords *keywords; /* by id */
	size_t nkeywords;
	bool keywords_missing; /* a row names a set that is not among them */
	struct arena keyword_arena;
	struct imap_range *saved; /* UIDs that "$" means (RFC 5182), in order; what was expunged since is not counted */
	size_t nsaved;
};

void view_release(struct view *v); /* nothing is selected afterwards */

/* At SELECT: rows in order of uid, page by page. */
void view_load(struct view *v, const struct index_row *rows, size_t n, uint32_t first_recent);
/* At SELECT: all rows at once, from a frozen copy (ipc/frozen.h) that others have, too. False: it cannot be mapped. */
bool view_share(struct view *v, int fd, size_t n);
/* Before the client hears anything: all that was applied so far is how it is, and these are recent. */
void view_begin(struct view *v, uint32_t first_recent);
/* Rows that are new or changed, in order of uid. New ones are recent from first_recent on (0: none). */
void view_apply_rows(struct view *v, const struct index_row *rows, size_t n, uint32_t first_recent);
/* Rows that this session changed itself: the client hears of them from the command. What others changed besides is
 * marked as such. */
struct view_own {
	uint32_t op, flags; /* FLAGS_*, MESSAGE_* */
	bool keywords;      /* some were named: what they are afterwards is told */
};
void view_apply_own(struct view *v, const struct view_own *own, const struct index_row *rows, size_t n);
/* uids: u32 little endian, as store.msg has them. */
void view_apply_vanished(struct view *v, struct slice uids);
/* These are all rows there are from uid first to uid last: others in between are gone. */
void view_apply_whole(struct view *v, const struct index_row *rows, size_t n, uint32_t first, uint32_t last);
/* Takes one expunged row out of the numbering, the last one first: its sequence number, 0 when there is none. The rows
 * close up with view_close_gaps. */
size_t view_next_gone(const struct view *v, size_t below);
void view_close_gaps(struct view *v);
void view_settle(struct view *v);                       /* search contexts have looked at all that changed */
void view_clean(struct view *v, struct index_row *row); /* the client knows its flags now */

/* The index of a uid, or of the first one above it (v->count: none). */
size_t view_index(const struct view *v, uint32_t uid);
struct index_row *view_find(const struct view *v, uint32_t uid); /* NULL: not there */
uint32_t view_uid_last(const struct view *v);

void view_keywords_set(struct view *v, uint32_t id, struct slice names);
/* NULL: this set is not known yet. */
const struct slice *view_keywords_get(const struct view *v, uint32_t id);
bool view_has_keyword(const struct view *v, const struct index_row *row, struct slice keyword);

/* Stretches [from, to) of row indices in rising order: what a sequence set means here. */
struct view_span {
	size_t from, to;
};
struct view_spans {
	struct view_span *spans;
	size_t count, messages;
};
/* False: a sequence number that no message has (RFC 3501 9: that is BAD); only for sets of sequence numbers. */
bool view_resolve(const struct view *v, const struct imap_set *set, bool by_uid, struct arena *a,
                  struct view_spans *out);
/* "$" means these rows from now on; they are in order. */
void view_save(struct view *v, const uint32_t *rows, size_t n);
/* The last n messages of them only; n is no greater than there are. */
void view_spans_keep_last(struct view_spans *s, size_t n);
bool view_spans_hold(const struct view_spans *s, size_t index);
/* The indices one by one: for (size_t i, at = 0; spans_next(&s, &at, &i);), at counts messages. */
struct view_walk {
	const struct view_spans *spans;
	size_t span, next;
};
struct view_walk view_walk_of(const struct view_spans *s);
bool view_walk_next(struct view_walk *w, size_t *index);

#endif
