/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.h - reading many messages of the selected mailbox: facts and bodies ahead in batches, large bodies in pieces.
 * Used by FETCH and SEARCH. */
#ifndef IMAP_FETCH_H
#define IMAP_FETCH_H

#include "mail/facts.h"
#include "session/imap/imap.h"

/* Bodies up to here come whole and several at a time; larger ones in pieces, so that a slow client never holds more
 * than a batch or a piece of shared memory. */
#define FETCH_WHOLE_BYTES_MAX (512u << 10)
#define FETCH_BATCH_BYTES (1u << 20)
#define FETCH_PIECE_BYTES (256u << 10)
/* Of a header in which fields are looked for. */
#define FETCH_HEADER_BYTES_MAX SHM_BLOCK_BYTES_MAX

enum read_what { READ_FACTS, READ_IDS, READ_BODIES };

/* Entries of messages in shared memory. */
struct fetch_batch {
	char *block;
	size_t got, filled;
	uint32_t last; /* uids up to here were looked at; 0: nothing yet */
};

/* Reads ahead along a walk: ask for rising rows. */
struct fetch_reader {
	struct imap *im;
	enum read_what what;
	struct fetch_batch batch;
	struct fetch_ahead *ahead; /* the batch after it, on its way */
	size_t at;                 /* in the batch */
	size_t facts_bytes;        /* how large facts are, as far as is known */
	struct arena arena;
};
void fetch_reader_init(struct fetch_reader *r, struct imap *im, enum read_what what);
void fetch_reader_release(struct fetch_reader *r);
/* The facts or the body of row `index`; *ahead: the walk behind it, what may be read along. Valid until the next call.
 * ERR_NOT_FOUND: the message is gone. */
enum err await_fetch_get(struct fetch_reader *r, size_t index, const struct view_walk *ahead, struct slice *out);
/* The number of its object, with a reader of READ_IDS. */
enum err await_fetch_id(struct fetch_reader *ids, size_t index, const struct view_walk *ahead, uint64_t *id);

/* ---- fetch_ahead.c */
/* Asks for a batch of so many bytes; NULL: memory is scarce, or the store is not there. *spare: a block that may be
 * taken for it (NULL afterwards). */
struct fetch_ahead *fetch_ahead_start(struct imap *im, enum read_what what, struct slice uids, size_t bytes,
                                      char **spare);
/* Waits for it, and takes it over when it has this uid (or knows that it is gone). *at is NULL afterwards. */
bool await_fetch_ahead(struct fetch_ahead **at, uint32_t uid, struct fetch_batch *out);
void fetch_ahead_forget(struct fetch_ahead **at);

/* The body of one message, in memory or to be read in pieces. */
struct fetch_body {
	struct imap *im;
	uint64_t mailbox; /* the selected one, unless somebody sets another */
	struct imap_owner *owner;
	uint32_t uid;
	uint64_t bytes;
	struct slice whole; /* at NULL: in pieces */
	char *block;        /* shared memory of the last piece */
	size_t got;
	struct arena arena;
	const struct fetch_patch *patches; /* of a surrogate that is read in pieces; in order */
	size_t npatches;
	struct buf joined;
};
void fetch_body_init(struct fetch_body *b, struct imap *im);
void fetch_body_release(struct fetch_body *b);
/* Makes ready for row `index`. */
enum err await_fetch_body(struct fetch_body *b, struct fetch_reader *bodies, size_t index,
                          const struct view_walk *ahead);
/* Some bytes from `from` on, at most len and at least one; valid until the next call. */
enum err await_fetch_piece(struct fetch_body *b, uint64_t from, size_t len, struct slice *out);
/* [from, from + len) in one piece, cut at FETCH_HEADER_BYTES_MAX. */
enum err await_fetch_stretch(struct fetch_body *b, uint64_t from, size_t len, struct slice *out);
/* All of it as a body that scan reads. */
enum err await_fetch_copy(struct fetch_body *b, struct body *to);
/* Facts of a record that cannot be read (made by another version): made again from the body. */
enum err await_fetch_facts(struct fetch_body *b, struct arena *a, struct slice record, struct facts *facts);

/* ---- fetch_surrogate.c: what clients are shown that did not ask for UTF-8 (RFC 6855 7, RFC 6858) */
struct fetch_patch {
	uint64_t at;       /* in the surrogate */
	uint64_t from, to; /* of the message, what text stands for */
	struct slice text;
};
/* facts are those of the message. When it is international, *b and *facts become those of its surrogate, which lives in
 * a; *made says so. */
enum err await_fetch_surrogate(struct fetch_body *b, struct arena *a, struct facts *facts, bool *made);
/* Where `from` of a surrogate is: in a patch, then *out is what stands there; else *from and *len become those of the
 * message. */
bool fetch_patches_find(const struct fetch_body *b, uint64_t *from, size_t *len, struct slice *out);

/* ---- fetch_binary.c: a part without its transfer encoding (RFC 3516, RFC 9051 7.5.2) */
struct fetch_binary {
	struct fetch_body *body;
	uint64_t from, to; /* of the message */
	uint8_t encoding;
	bool text;      /* its lines end with CR LF */
	uint64_t bytes; /* decoded */
	bool nul;       /* there may be a NUL in it */
	bool kept;      /* all of it is in data */
	struct buf data;
};
void fetch_binary_init(struct fetch_binary *b, struct fetch_body *body);
void fetch_binary_release(struct fetch_binary *b);
/* Finds out how long the part is that stands at [from, to). */
enum err await_fetch_binary(struct fetch_binary *b, const struct facts_part *part, uint64_t from, uint64_t to);
/* Sends [from, to) of what it decodes to. A failure is one of the connection. */
enum err await_fetch_binary_put(struct fetch_binary *b, uint64_t from, uint64_t to);

/* ---- facts_walk.c */
/* Called for each of the rows, in order; the facts are good until it returns, and empty for a message that is gone. */
typedef void facts_visitor(void *to, size_t i, const struct facts *facts);
enum err await_facts_walk(struct imap *im, const uint32_t *rows, size_t n, facts_visitor *visit, void *to);
int64_t facts_sent(const struct facts *facts, const struct index_row *row); /* RFC 5256 2.2 */

/* ---- fetch_section.c: pure */
/* The bytes of the message that a section means, before fields are chosen and <partial> is applied. False: NIL. */
bool fetch_section_find(const struct facts *facts, const struct imap_section *s, uint64_t bytes, uint64_t *from,
                        uint64_t *to);
/* The part that a section without words means, and its bytes. False: there is none. */
bool fetch_section_part(const struct facts *facts, const struct imap_section *s, uint64_t bytes,
                        struct facts_part *part, uint64_t *from, uint64_t *to);
/* RFC 3501 6.4.5: the fields named (or all others), and the empty line. */
void fetch_section_fields(const struct imap_section *s, struct slice header, struct buf *out);
/* Does it need facts to be found? */
bool fetch_section_needs_facts(const struct imap_section *s);

#endif
