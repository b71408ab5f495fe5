/* SPDX-License-Identifier: Apache-2.0 */
/* parse.h - the grammar of IMAP (RFC 3501 9) on the text of one command, literals inline ("{5}\r\nhello"). Pure but for
 * the arena that results live in. Every take_ function either succeeds or leaves the cursor where it was. */
#ifndef IMAP_PARSE_H
#define IMAP_PARSE_H

#include "base/arena.h"
#include "base/cursor.h"
#include "mail/fold.h"

/* How the client writes mailbox names: modified UTF-7 (RFC 3501 5.1.3), or UTF-8 (RFC 6855 3, RFC 9051 5.1). */
enum imap_names { NAMES_UTF7, NAMES_UTF8 };

/* The number of an element of a set; "*" is the largest that exists. */
#define IMAP_STAR UINT32_MAX
struct imap_range {
	uint32_t low, high; /* in this order unless one is IMAP_STAR, which is then high */
	bool star;          /* high is "*": RFC 3501 9: the order of the two does not matter */
};
struct imap_set {
	struct imap_range *ranges;
	size_t count;
	bool saved; /* "$": what SEARCH RETURN (SAVE) found (RFC 5182) */
};

struct imap_literal {
	uint64_t bytes;
	bool sync; /* the client waits for "+" (not LITERAL+) */
};

/* Flags as a client names them. */
#define IMAP_KEYWORDS_MAX 100
#define IMAP_KEYWORD_BYTES_MAX 200
struct imap_flags {
	uint32_t system; /* MESSAGE_* */
	struct slice *keywords;
	size_t nkeywords;
};

bool imap_is_atom_char(char c);
bool imap_take_space(struct cursor *c);
bool imap_take_tag(struct cursor *c, struct slice *tag);
bool imap_take_atom(struct cursor *c, struct slice *atom);
bool imap_take_string(struct cursor *c, struct arena *a, struct slice *s);
bool imap_take_astring(struct cursor *c, struct arena *a, struct slice *s);
bool imap_take_nstring(struct cursor *c, struct arena *a, struct slice *s, bool *nil);
/* literal8 = "~{" number ["+"] "}" CRLF *OCTET (RFC 3516 7): bytes of any value */
bool imap_take_literal8(struct cursor *c, struct slice *s);
bool imap_take_nz_number(struct cursor *c, uint32_t *n);
bool imap_take_modseq(struct cursor *c, uint64_t *n); /* mod-sequence-valzer: 63 bits */
bool imap_take_set(struct cursor *c, struct arena *a, struct imap_set *set);
/* A mailbox name as UTF-8, "INBOX" in capitals. *valid is false (and the cursor past it) for a name that no mailbox can
 * have. */
bool imap_take_mailbox(struct cursor *c, struct arena *a, enum imap_names names, struct slice *name, bool *valid);
/* The same; *supplied: as the client wrote it, for OLDNAME (RFC 9051 6.3.9.7). */
bool imap_take_supplied_mailbox(struct cursor *c, struct arena *a, enum imap_names names, struct slice *name,
                                struct slice *supplied, bool *valid);
/* list-mailbox: with wildcards; decoded as above, without looking whether it could be a name. */
bool imap_take_list_mailbox(struct cursor *c, struct arena *a, enum imap_names names, struct slice *pattern,
                            bool *valid);
/* flag-list of APPEND and STORE; \Recent and unknown flags with a backslash are not taken. */
bool imap_take_flag_list(struct cursor *c, struct arena *a, struct imap_flags *flags);
/* As above, or flags without parentheses (RFC 3501 6.4.6). */
bool imap_take_store_flags(struct cursor *c, struct arena *a, struct imap_flags *flags);
bool imap_take_date(struct cursor *c, int64_t *day); /* days since 1970 */
bool imap_take_date_time(struct cursor *c, int64_t *seconds);

/* Does the line end with the announcement of a literal? */
bool imap_literal_at_end(struct slice line, struct imap_literal *literal);

/* "{" number ["+"] "}" CRLF, without the bytes */
bool imap_take_literal_head(struct cursor *c, struct imap_literal *literal);

/* ---- annotations of messages (parse_annotate.c, RFC 5257 5) */
#define ANNOTATE_ENTRIES_MAX 100 /* of a command */
#define ANNOTATE_ENTRY_BYTES_MAX 255
#define ANNOTATE_PATTERNS_MAX 10 /* of those entries: with wildcards */
#define ANNOTATE_VALUE_BYTES_MAX 65536
enum { /* attributes, as bits */
	   ATTRIB_VALUE_PRIVATE = 1,
	   ATTRIB_VALUE_SHARED = 2,
	   ATTRIB_SIZE_PRIVATE = 4,
	   ATTRIB_SIZE_SHARED = 8,
	   ATTRIB_PRIVATE = ATTRIB_VALUE_PRIVATE | ATTRIB_SIZE_PRIVATE,
	   ATTRIB_SHARED = ATTRIB_VALUE_SHARED | ATTRIB_SIZE_SHARED,
};
/* What FETCH asks for. */
struct imap_annotation_fetch {
	struct slice entries[ANNOTATE_ENTRIES_MAX];
	size_t nentries;
	bool wild;           /* one of them has wildcards */
	bool parts;          /* one of them is of a part of the message, and has no wildcards */
	uint32_t attribs[4]; /* in the order in which they are answered */
	size_t nattribs;
	uint32_t all; /* of them */
};
/* What STORE and APPEND set. */
struct imap_message_annotation {
	struct slice entry, value;
	bool shared, gone; /* gone: NIL */
};
struct imap_annotations {
	struct imap_message_annotation *list;
	size_t n, bytes;
	bool too_many, too_big;
	bool cut; /* the text ends where the bytes of a literal should stand */
};
bool imap_take_annotation_fetch(struct cursor *c, struct arena *a, struct imap_annotation_fetch *f);
bool imap_take_annotations(struct cursor *c, struct arena *a, struct imap_annotations *to);
/* entry-match SP att-search, entry SP att-sort */
bool imap_take_annotation_match(struct cursor *c, struct arena *a, struct slice *pattern, uint32_t *attribs);
bool imap_take_annotation_key(struct cursor *c, struct arena *a, struct slice *entry, uint32_t *attribs);
bool imap_take_annotation_value(struct cursor *c, struct arena *a, struct slice *value, bool *nil);
bool imap_entry_is_wild(struct slice entry);
/* The numbers of the part that a sound entry is of; 0: it is of the message. path has room for SECTION_DEPTH_MAX. */
size_t imap_entry_part(struct slice entry, uint32_t *path);

/* ---- APPEND and REPLACE (parse_append.c), step by step, since the bytes of messages are not part of the text: each
 * stretch of text ends with a literal, and the next one begins behind its bytes. */
struct imap_append {
	/* where the parser is */
	enum { APPEND_AT_MESSAGE, APPEND_AT_DATA, APPEND_AT_PART, APPEND_AT_NEXT_PART, APPEND_AT_UTF8_END } at;
	bool catenate;
	uint32_t messages;
	/* what it found */
	struct imap_flags flags;
	bool dated;
	int64_t date;
	struct imap_annotations annotations; /* RFC 5257 4.7 */
	struct imap_literal literal;         /* of a message, or a part of one */
	bool binary;                         /* it may hold NULs: literal8 (RFC 3516 4.4) */
	bool utf8;                           /* "UTF8 (": RFC 6855 4 */
	struct slice url;                    /* RFC 4469 3 */
};
enum imap_append_step {
	APPEND_MESSAGE,     /* one begins: flags, dated, date */
	APPEND_LITERAL,     /* literal, binary, utf8; the text ends here */
	APPEND_URL,         /* url */
	APPEND_URL_LITERAL, /* a URL of literal.bytes; the text ends here */
	APPEND_MESSAGE_END,
	APPEND_END, /* of the command */
	APPEND_FAULT,
	/* the text ends within a value: literal says how many bytes come, and then more text. Again from here */
	APPEND_MORE,
};
enum imap_append_step imap_append_next(struct cursor *c, struct arena *a, struct imap_append *p);
/* mailbox, and what the steps go on from */
bool imap_take_append(struct cursor *c, struct arena *a, enum imap_names names, struct slice *mailbox, bool *valid,
                      struct imap_append *p);
/* The same for the whole command text, tag and word included: is the literal that it ends with a message, or part of
 * one? */
bool imap_is_append(struct slice command, struct arena *a);

/* ---- SELECT (parse_select.c): what stands behind the name (RFC 7162 3.1.8, 3.2.5) */
struct imap_select {
	bool condstore, qresync;
	bool annotate; /* RFC 5257 4.2 */
	uint32_t uidvalidity;
	uint64_t since;
	bool known; /* known_uids were given */
	struct imap_set known_uids;
	struct imap_set match_numbers, match_uids; /* pairs, in rising order */
};
bool imap_take_select_params(struct cursor *c, struct arena *a, struct imap_select *s);

/* ---- METADATA (parse_metadata.c, RFC 5464 5) */
#define METADATA_ENTRIES_MAX 100 /* of a command */
#define METADATA_ENTRY_BYTES_MAX 1000
struct imap_annotation {
	struct slice entry; /* in lower case */
	struct slice value;
	bool gone; /* NIL */
};
struct imap_metadata {
	struct slice mailbox;
	bool server, valid; /* "" was named; the name is one that a mailbox can have */
	struct imap_annotation *entries;
	size_t count;
	uint32_t depth; /* UINT32_MAX: any */
	uint64_t max_size;
};
bool imap_take_entry(struct cursor *c, struct arena *a, struct slice *entry);
bool imap_take_entry_list(struct cursor *c, struct arena *a, struct imap_metadata *m); /* "(" entry *(SP entry) ")" */
bool imap_take_getmetadata(struct cursor *c, struct arena *a, enum imap_names names, struct imap_metadata *m);
bool imap_take_setmetadata(struct cursor *c, struct arena *a, enum imap_names names, struct imap_metadata *m);

/* ---- FETCH (parse_fetch.c) */
enum { /* bits of what is asked for, in the order in which it is answered */
	   FETCH_UID = 1,
	   FETCH_FLAGS = 2,
	   FETCH_INTERNALDATE = 4,
	   FETCH_SIZE = 8,
	   FETCH_ENVELOPE = 16,
	   FETCH_BODY = 32,
	   FETCH_BODYSTRUCTURE = 64,
	   FETCH_MODSEQ = 128,   /* RFC 7162 */
	   FETCH_SAVEDATE = 256, /* RFC 8514 */
	   FETCH_PREVIEW = 512,  /* RFC 8970 */
	   FETCH_EMAILID = 1024, /* RFC 8474 */
	   FETCH_THREADID = 2048,
	   FETCH_ANNOTATION = 4096, /* RFC 5257 */
};
#define FETCH_NEEDS_FACTS (FETCH_ENVELOPE | FETCH_BODY | FETCH_BODYSTRUCTURE | FETCH_PREVIEW)

enum imap_section_text {
	SECTION_ALL,
	SECTION_HEADER,
	SECTION_FIELDS,
	SECTION_FIELDS_NOT,
	SECTION_TEXT,
	SECTION_MIME,
};
#define SECTION_DEPTH_MAX 100
enum imap_section_form {
	FORM_BODY,
	FORM_BINARY,
	FORM_BINARY_SIZE
}; /* as it is, decoded (RFC 3516), how long that is */
struct imap_section {
	enum imap_section_form form;
	struct slice label; /* as it goes into the response: BODY[...]<n> or RFC822... */
	uint32_t *path;
	size_t depth;
	enum imap_section_text text;
	struct slice *fields;
	size_t nfields;
	bool peek, partial;
	uint32_t from, count;
};
#define FETCH_SECTIONS_MAX 100
#define FETCH_FIELDS_MAX 1000
struct imap_fetch {
	uint32_t items;
	struct imap_section *sections;
	size_t nsections;
	bool sets_seen; /* one of the sections is no peek */
	struct imap_annotation_fetch *annotations;
	/* RFC 7162: only those changed since; VANISHED */
	bool changed_only, vanished;
	uint64_t changed_since;
	bool partial_only; /* RFC 9394 */
	struct imap_partial {
		uint32_t first, last; /* first <= last */
		bool from_end;
	} partial;
};
bool imap_take_fetch(struct cursor *c, struct arena *a, struct imap_fetch *fetch);
/* What stands between the brackets; the "]" behind it is left. */
bool imap_take_section_spec(struct cursor *c, struct arena *a, struct imap_section *s);
/* [SP "(" modifiers ")"] behind it */
bool imap_take_fetch_modifiers(struct cursor *c, struct imap_fetch *fetch);

/* ---- which mailboxes: NOTIFY, and what ESEARCH searches (parse_notify.c; RFC 5465 6, RFC 7377 2.2) */
enum imap_filter_kind {
	FILTER_SELECTED,
	FILTER_DELAYED, /* SELECTED-DELAYED */
	FILTER_INBOXES,
	FILTER_PERSONAL,
	FILTER_SUBSCRIBED,
	FILTER_SUBTREE,
	FILTER_SUBTREE_ONE,
	FILTER_MAILBOXES,
};
#define FILTER_NAMES_MAX 1000 /* of all filters of a command */
#define FILTERS_MAX 100
struct imap_filter {
	enum imap_filter_kind kind;
	struct slice *names; /* those that a mailbox can have */
	size_t nnames;
};
/* total: names so far; over FILTER_NAMES_MAX they are only counted. */
bool imap_take_filter(struct cursor *c, struct arena *a, enum imap_names names, struct imap_filter *filter,
                      size_t *total);
/* The name stands where mailboxes of others show (names.c). */
bool imap_is_elsewhere(struct slice name);
/* Does it mean this mailbox? Not for FILTER_SELECTED and FILTER_DELAYED. */
bool imap_filter_holds(const struct imap_filter *filter, struct slice name, bool subscribed);

enum { /* events, as bits (RFC 5465 8) */
	   EVENT_NEW = 1,
	   EVENT_EXPUNGE = 2,
	   EVENT_FLAGS = 4,
	   EVENT_MESSAGES = 7,
	   EVENT_NAME = 8,
	   EVENT_SUBSCRIPTION = 16,
	   EVENT_METADATA = 64,
	   EVENT_SERVER_METADATA = 128,
	   EVENT_ANNOTATIONS = 256,
	   EVENT_OTHER = 32, /* one that does not exist here */
};
struct imap_event_group {
	struct imap_filter filter;
	uint32_t events;
	bool fetches;
	struct imap_fetch fetch; /* of MessageNew */
};
struct imap_notify {
	bool set, status; /* set false: NONE */
	struct imap_event_group *groups;
	size_t ngroups, names;
};
bool imap_take_notify(struct cursor *c, struct arena *a, enum imap_names names, struct imap_notify *notify);

/* ---- SEARCH (parse_search.c) */
enum imap_search_op {
	SEARCH_ALL,
	SEARCH_AND,
	SEARCH_OR,
	SEARCH_NOT,
	SEARCH_FUZZY, /* what it works on is fuzzy; stands in no program */
	SEARCH_SEQUENCE,
	SEARCH_UID,
	SEARCH_FLAG,    /* number: MESSAGE_* that is set */
	SEARCH_KEYWORD, /* text */
	SEARCH_RECENT,  /* \Recent */
	SEARCH_BEFORE,  /* day: of the internal date */
	SEARCH_ON,
	SEARCH_SINCE,
	SEARCH_OLDER, /* number: seconds (RFC 5032) */
	SEARCH_YOUNGER,
	SEARCH_SAVEDBEFORE, /* day: of the save date (RFC 8514) */
	SEARCH_SAVEDON,
	SEARCH_SAVEDSINCE,
	SEARCH_LARGER, /* number */
	SEARCH_SMALLER,
	SEARCH_SENTBEFORE,
	SEARCH_SENTON,
	SEARCH_SENTSINCE,
	SEARCH_MODSEQ, /* modseq: RFC 7162 3.1.5 */
	SEARCH_HEADER, /* field, text */
	SEARCH_BODY,   /* text */
	SEARCH_TEXT,
	SEARCH_EMAILID,    /* text, and object made from it by who runs the program: RFC 8474 6 */
	SEARCH_ANNOTATION, /* field: entry, with wildcards; number: ATTRIB_*; text, or nil: RFC 5257 4.8 */
	SEARCH_NONE,       /* matches nothing */
};
struct imap_search_key {
	enum imap_search_op op;
	bool fuzzy; /* a text within FUZZY (RFC 6203 3): fits more or less */
	bool nil;
	uint32_t number;
	int64_t day;
	uint64_t modseq, object;
	struct slice field, text;
	struct slice folded; /* text as mail/fold.h has it; made by who runs the program */
	struct imap_set set;
};
#define SEARCH_DEPTH_MAX 64
#define SEARCH_KEYS_MAX 1000
/* Keys in postfix order: what AND, OR and NOT work on stands before them. */
struct imap_search {
	struct slice text;    /* that it was read from, filters replaced; set by who parses for a command */
	struct slice charset; /* empty: none named */
	enum fold_how how;    /* in which texts are compared; made by who runs the program */
	struct imap_search_key *keys;
	size_t count;
	bool fuzzy; /* there is a FUZZY in it */
	/* RFC 5466: the first filter that is named, and the key that names it in the text: to be put in its place */
	struct slice filter, filter_key;
};
enum imap_search_fault { SEARCH_FINE, SEARCH_SYNTAX, SEARCH_TOO_DEEP, SEARCH_TOO_MANY };
/* [RETURN "(" ... ")" SP]: what SEARCH and SORT answer */
enum {
	RETURN_MIN = 1,
	RETURN_MAX = 2,
	RETURN_ALL = 4,
	RETURN_COUNT = 8,
	RETURN_SAVE = 16,    /* RFC 5182 */
	RETURN_PARTIAL = 32, /* RFC 9394 */
	RETURN_UPDATE = 64,  /* RFC 5267 4.3 */
	RETURN_CONTEXT = 128,
	RETURN_RELEVANCY = 256,                      /* RFC 6203 4 */
	RETURN_QUIET = RETURN_SAVE | RETURN_CONTEXT, /* these ask for no data */
};
struct imap_return {
	bool extended; /* RETURN stands there: the answer is an ESEARCH */
	uint32_t items;
	struct imap_partial partial;
	bool correlates;         /* the answer names mailbox and UIDVALIDITY (RFC 7377 2.1) */
	bool fetches;            /* UPDATE names what is to be fetched (RFC 5465 7) */
	struct imap_fetch fetch; /* then */
};
bool imap_take_return(struct cursor *c, struct arena *a, struct imap_return *ret);
bool imap_take_partial(struct cursor *c, struct imap_partial *partial);

/* search-program; takes the rest of the text. */
enum imap_search_fault imap_parse_search(struct cursor *c, struct arena *a, struct imap_search *search);

#endif
