/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_fetch.c - FETCH and UID FETCH (RFC 3501 6.4.5). Flags, dates and sizes come from the view, structures from facts,
 * bodies from the store, all of them read ahead in batches; responses go out while the next ones are made. A message
 * that another session expunged meanwhile is left out (RFC 2180 4.1.2), and the reply says so. */
#include "session/imap/annotate.h"
#include "session/imap/fetch.h"

#include "mail/charset.h"
#include "mail/date.h"

enum {
	TEXT_BYTES = 32 << 10, /* responses that are gathered before they are handed to the stream */
	SEEN_BATCH = 4096,     /* messages that become \Seen with one commit */
};

struct fetching {
	struct imap *im;
	const struct imap_fetch *what;
	struct fetch_reader facts, bodies, ids;
	struct annotation_reader annotations;
	struct fetch_body body;
	struct fetch_binary binary;
	struct buf fields;
	struct arena arena; /* of one message */
	bool needs_facts, missing;
	bool binaries;         /* a section is to be decoded */
	bool unknown_cte;      /* one could not be */
	bool no_part;          /* annotations of a part that is not there were asked for */
	struct buf downgraded; /* UIDs of messages that were shown as surrogates */
	unsigned items;        /* of this message so far */
	struct facts now;
	uint64_t id; /* of its object */
};

/* ---- items that are text */

static void
put_date(struct buf *to, int64_t seconds)
{
	char text[DATE_IMAP_BYTES];
	date_write_imap(text, seconds);
	buf_put(to, slice_of(text, sizeof text));
	buf_put_char(to, '"');
}

/* Items are divided by spaces. */
static void
put_word(struct fetching *f, struct slice word)
{
	if (f->items++)
		buf_put_char(&f->im->text, ' ');
	buf_put(&f->im->text, word);
}

static void
put_row_items(struct fetching *f, struct index_row *row, uint32_t items)
{
	struct buf *to = &f->im->text;
	if (items & FETCH_UID) {
		put_word(f, S("UID "));
		buf_put_u64(to, row->uid);
	}
	if (items & FETCH_FLAGS) {
		put_word(f, S("FLAGS "));
		imap_put_flags(f->im, to, row);
		view_clean(&f->im->view, row);
	}
	if (items & FETCH_INTERNALDATE) {
		put_word(f, S("INTERNALDATE \""));
		put_date(to, row->received);
	}
	if (items & FETCH_SIZE) {
		put_word(f, S("RFC822.SIZE "));
		buf_put_u64(to, row->bytes);
	}
	if (items & FETCH_SAVEDATE) { /* RFC 8514 4.2 */
		put_word(f, S("SAVEDATE \""));
		put_date(to, row->saved);
	}
	if (items & FETCH_MODSEQ) { /* RFC 7162 3.1.4.2 */
		put_word(f, S("MODSEQ ("));
		buf_put_u64(to, row->modseq);
		buf_put_char(to, ')');
	}
}

static const struct {
	uint32_t item;
	struct slice word;
	enum facts_id id;
	struct slice missing; /* for a message of which nothing could be made out */
} facts_items[] = {
	{ FETCH_ENVELOPE, S_ROW("ENVELOPE "), FACTS_ENVELOPE, S_ROW("(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)") },
	{ FETCH_BODY, S_ROW("BODY "), FACTS_BODY, S_ROW("(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0)") },
	{ FETCH_BODYSTRUCTURE, S_ROW("BODYSTRUCTURE "), FACTS_BODYSTRUCTURE,
	  S_ROW("(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0 NIL NIL NIL NIL)") },
};

static void
await_facts_items(struct fetching *f)
{
	for (size_t i = 0; i < COUNT_OF(facts_items); i++) {
		if (!(f->what->items & facts_items[i].item))
			continue;
		struct slice value = facts_get(&f->now, facts_items[i].id);
		put_word(f, facts_items[i].word);
		if (value.len > TEXT_BYTES)
			await_imap_text(f->im);
		buf_put(&f->im->text, value.len ? value : facts_items[i].missing);
	}
	if (f->what->items & FETCH_EMAILID) {
		put_word(f, S("EMAILID ("));
		imap_put_email_id(&f->im->text, f->id);
		buf_put_char(&f->im->text, ')');
	}
	if (f->what->items & FETCH_THREADID) /* RFC 8474 5.2: messages are not grouped across mailboxes here */
		put_word(f, S("THREADID NIL"));
	if (f->what->items & FETCH_PREVIEW) { /* RFC 8970 3.2 */
		put_word(f, S("PREVIEW "));
		imap_put_string(&f->im->text, facts_get(&f->now, FACTS_PREVIEW));
	}
}

static void
put_annotation_word(void *to)
{
	put_word(to, S("ANNOTATION "));
}

/* ---- sections */

static void
cut_partial(const struct imap_section *s, uint64_t *from, uint64_t *to)
{
	if (!s->partial)
		return;
	*from += MIN((uint64_t)s->from, *to - *from); /* RFC 3501 6.4.5: past the end it is empty */
	*to = MIN(*to, *from + s->count);
}

static void
put_literal_head(struct fetching *f, const struct imap_section *s, uint64_t bytes)
{
	struct buf *to = &f->im->text;
	put_word(f, s->label);
	buf_put(to, S(" {"));
	buf_put_u64(to, bytes);
	buf_put(to, S("}\r\n"));
}

static enum err
await_fields(struct fetching *f, const struct imap_section *s, uint64_t from, uint64_t to)
{
	struct slice header;
	enum err e = await_fetch_stretch(&f->body, from, (size_t)(to - from), &header);
	if (e != OK)
		return e;
	buf_clear(&f->fields);
	fetch_section_fields(s, header, &f->fields);
	from = 0;
	to = f->fields.len;
	cut_partial(s, &from, &to);
	put_literal_head(f, s, to - from);
	buf_put(&f->im->text, slice_part(buf_slice(&f->fields), (size_t)from, (size_t)(to - from)));
	return OK;
}

/* Once its length was said all of it must come, or the connection is of no more use. */
static enum err
await_bytes(struct fetching *f, uint64_t from, uint64_t to)
{
	struct imap *im = f->im;
	await_imap_text(im);
	while (from < to && im->c->io.error == OK) {
		struct slice piece;
		enum err e = await_fetch_piece(&f->body, from, (size_t)MIN(to - from, (uint64_t)FETCH_WHOLE_BYTES_MAX), &piece);
		if (e != OK)
			return stream_fail(&im->c->io, ERR_IO);
		im->c->io.deadline_ms = deadline_in_ms(im->c->idle_ms);
		(void)await_put(&im->c->io, piece);
		from += piece.len;
	}
	return im->c->io.error;
}

/* RFC 9051 7.5.2: a string where it can be one, so that the client knows that there is no NUL */
static enum err
await_binary(struct fetching *f, const struct imap_section *s)
{
	struct buf *out = &f->im->text;
	struct facts_part part;
	uint64_t from, to;
	bool there = fetch_section_part(&f->now, s, f->body.bytes, &part, &from, &to);
	put_word(f, s->label);
	buf_put_char(out, ' ');
	if (!there) {
		buf_put(out, s->form == FORM_BINARY ? S("NIL") : S("0"));
		return OK;
	}
	enum err e = await_fetch_binary(&f->binary, &part, from, to);
	if (s->form == FORM_BINARY_SIZE)
		buf_put_u64(out, f->binary.bytes);
	if (e != OK || s->form == FORM_BINARY_SIZE)
		return e;
	from = 0;
	to = f->binary.bytes;
	cut_partial(s, &from, &to);
	buf_put(out, f->binary.nul ? S("~{") : S("{"));
	buf_put_u64(out, to - from);
	buf_put(out, S("}\r\n"));
	return await_fetch_binary_put(&f->binary, from, to);
}

/* Is there a section among them whose encoding nobody knows? */
static bool
has_unknown_cte(const struct fetching *f)
{
	struct facts_part part;
	uint64_t from, to;
	for (size_t i = 0; f->binaries && i < f->what->nsections; i++) {
		const struct imap_section *s = &f->what->sections[i];
		if (s->form != FORM_BODY && fetch_section_part(&f->now, s, f->body.bytes, &part, &from, &to) &&
		    part.encoding == FACTS_ENCODING_UNKNOWN)
			return true;
	}
	return false;
}

static enum err
await_section(struct fetching *f, const struct imap_section *s)
{
	uint64_t from, to;
	enum err e = OK;
	if (s->form != FORM_BODY)
		return await_binary(f, s);
	if (!fetch_section_find(&f->now, s, f->body.bytes, &from, &to)) {
		put_word(f, s->label);
		buf_put(&f->im->text, S(" NIL"));
	} else if (s->text == SECTION_FIELDS || s->text == SECTION_FIELDS_NOT) {
		e = await_fields(f, s, from, to);
	} else {
		cut_partial(s, &from, &to);
		put_literal_head(f, s, to - from);
		if (to - from <= TEXT_BYTES && f->body.whole.at)
			buf_put(&f->im->text, slice_part(f->body.whole, (size_t)from, (size_t)(to - from)));
		else
			e = await_bytes(f, from, to);
	}
	if (f->im->text.len > TEXT_BYTES)
		await_imap_text(f->im);
	return e;
}

/* ---- one message */

static enum err
await_prepare(struct fetching *f, size_t index, const struct view_walk *ahead)
{
	struct slice record;
	const struct store_annotated *list;
	size_t n;
	enum err e = OK;
	if (f->what->nsections || f->needs_facts)
		arena_clear(&f->arena);
	if (f->needs_facts)
		e = await_fetch_get(&f->facts, index, ahead, &record);
	if (e == OK && (f->what->items & FETCH_EMAILID))
		e = await_fetch_id(&f->ids, index, ahead, &f->id);
	if (e == OK && f->what->annotations)
		e = await_annotations(&f->annotations, index, ahead, &list, &n);
	if (e == OK && f->what->nsections)
		e = await_fetch_body(&f->body, &f->bodies, index, ahead);
	if (e != OK || !f->needs_facts || facts_open(&f->now, record))
		return e;
	if (!f->what->nsections)
		e = await_fetch_body(&f->body, &f->bodies, index, ahead);
	return e ? e : await_fetch_facts(&f->body, &f->arena, record, &f->now);
}

/* ---- surrogates, RFC 6855 7 */

/* Can there be 8-bit in what is to be shown of a header? */
static bool
might_be_international(const struct fetching *f)
{
	if (f->what->nsections)
		return !f->body.whole.at || ascii_prefix(f->body.whole) != f->body.whole.len;
	for (size_t i = 0; f->needs_facts && i < COUNT_OF(facts_items); i++)
		if ((f->what->items & facts_items[i].item) && !slice_is_ascii(facts_get(&f->now, facts_items[i].id)))
			return true;
	return false;
}

static enum err
await_downgrade(struct fetching *f, size_t index, const struct view_walk *ahead)
{
	static const struct view_spans none;
	struct view_walk nothing = view_walk_of(&none);
	struct slice record = SLICE_NONE;
	bool made = false;
	char uid[4];
	enum err e = OK;
	if (!might_be_international(f))
		return OK;
	if (!f->needs_facts) {
		e = await_fetch_get(&f->facts, index, ahead, &record);
		e = e ? e : await_fetch_facts(&f->body, &f->arena, record, &f->now);
	} else if (!f->what->nsections) {
		e = await_fetch_body(&f->body, &f->bodies, index, &nothing);
	}
	e = e ? e : await_fetch_surrogate(&f->body, &f->arena, &f->now, &made);
	if (e == OK && made) {
		bytes_set_le(uid, f->im->view.rows[index].uid, sizeof uid);
		buf_put(&f->downgraded, slice_of(uid, sizeof uid));
	}
	return e;
}

static bool
shows_surrogates(const struct imap *im)
{
	return !imap_utf8_accept(im) && im->c->conf->v.downgrade;
}

/* RFC 6858 3 */
static struct imap_reply
reply_fetched(struct fetching *f)
{
	if (!f->downgraded.len)
		return imap_ok("fetched");
	struct buf code;
	buf_init(&code, 1u << 20);
	buf_put(&code, S("DOWNGRADED "));
	imap_put_set(&code, buf_slice(&f->downgraded));
	struct slice kept = code.over ? SLICE_NONE : slice_keep(&f->im->arena, buf_slice(&code));
	buf_release(&code);
	return imap_ok_code(kept, "fetched");
}

static enum err
await_message(struct fetching *f, size_t index, const struct view_walk *ahead)
{
	struct imap *im = f->im;
	struct index_row *row = &im->view.rows[index];
	enum err e = await_prepare(f, index, ahead);
	if (e == OK && shows_surrogates(im))
		e = await_downgrade(f, index, ahead);
	if (e != OK)
		return e;
	if (has_unknown_cte(f)) {
		f->unknown_cte = true;
		return OK;
	}
	if (f->what->annotations && f->what->annotations->parts &&
	    !annotation_parts_exist(f->what->annotations, &f->now, row->bytes)) {
		f->no_part = true;
		return OK;
	}
	/* \Seen that the command itself set is told with the message (RFC 3501 7.4.2) */
	uint32_t items = f->what->items;
	if (row->flags & VIEW_DIRTY) /* RFC 7162 3.2.4 */
		items |= im->enabled & ENABLED_CONDSTORE ? (uint32_t)FETCH_FLAGS | FETCH_UID | FETCH_MODSEQ
		         : imap_rev2(im)                 ? (uint32_t)FETCH_FLAGS | FETCH_UID /* RFC 9051 7.5.2 */
		                                         : FETCH_FLAGS;
	size_t start = im->text.len;
	imap_put_fetch(im, &im->text, index);
	f->items = 0;
	put_row_items(f, row, items);
	await_facts_items(f);
	if (f->what->annotations)
		e = await_annotation_item(&f->annotations, f->what->annotations, index, ahead, put_annotation_word, f);
	if (!f->items && e == OK && !f->what->nsections) { /* no annotation fits: there is nothing to be said */
		buf_drop_end(&im->text, im->text.len - start);
		return OK;
	}
	for (size_t i = 0; i < f->what->nsections && e == OK; i++)
		e = await_section(f, &f->what->sections[i]);
	buf_put(&im->text, S(")\r\n"));
	if (im->text.len > TEXT_BYTES)
		await_imap_text(im);
	return e ? stream_fail(&im->c->io, ERR_IO) : im->c->io.error; /* half a response is none */
}

/* ---- \Seen */

/* What is read becomes \Seen, a batch with one commit. That it cannot be (disk full) does not keep anybody from
 * reading. */
static void
await_seen(struct imap *im, struct view_walk w, size_t messages)
{
	size_t n = 0, i, got;
	char *uids = arena_alloc(&im->arena, messages * 4);
	for (size_t k = 0; k < messages && view_walk_next(&w, &i); k++)
		if (!(im->view.rows[i].flags & (MESSAGE_SEEN | VIEW_GONE)))
			bytes_set_le(uids + 4 * n++, im->view.rows[i].uid, 4);
	char *block = n ? await_imap_block(im, n * INDEX_ROW_BYTES, n * INDEX_ROW_BYTES, &got) : NULL;
	if (!block)
		return;
	struct store_message_store_in in = { .mailbox = im->view.mailbox,
		                                 .uids = slice_of(uids, n * 4),
		                                 .op = FLAGS_ADD,
		                                 .flags = MESSAGE_SEEN,
		                                 .unchanged_since = STORE_MODSEQ_ANY,
		                                 .into = imap_region(im, block, got) };
	struct store_message_store_out out = { 0 };
	if (await_imap_ask_selected(im, message_store, &in, &im->arena, &out) == OK) {
		view_apply_rows(&im->view, (const void *)block, MIN(out.filled, got) / INDEX_ROW_BYTES, 0);
		imap_stored(im, out.was, out.modseq);
	}
	shm_free(im->c->session->shm, block);
	await_imap_keywords(im, true);
}

/* ---- the command */

static enum err
await_messages(struct fetching *f, const struct view_spans *spans)
{
	struct imap *im = f->im;
	struct view_walk w = view_walk_of(spans), ahead = w;
	bool seen = f->what->sets_seen && !im->view.read_only && (im->view.rights & ACL_SEEN); /* RFC 4314 4 */
	size_t i, n = 0;
	while (view_walk_next(&ahead, &i)) {
		if (seen && n++ % SEEN_BATCH == 0)
			await_seen(im, w, MIN(spans->messages, (size_t)SEEN_BATCH));
		w = ahead;
		enum err e = im->view.rows[i].flags & VIEW_GONE ? ERR_NOT_FOUND : await_message(f, i, &ahead);
		if (e == ERR_NOT_FOUND && im->c->io.error == OK)
			f->missing = im->changed = true;
		else if (e != OK)
			return e;
	}
	return OK;
}

struct imap_reply
await_imap_fetch(struct imap *im, const struct imap_fetch *what, const struct view_spans *spans)
{
	struct fetching f = { .im = im, .what = what, .needs_facts = (what->items & FETCH_NEEDS_FACTS) != 0 };
	f.needs_facts = f.needs_facts || (what->annotations && what->annotations->parts);
	annotation_reader_init(&f.annotations, im, what->annotations ? what->annotations->all : 0);
	for (size_t i = 0; what->annotations && !what->annotations->wild && i < what->annotations->nentries; i++)
		annotation_reader_add(&f.annotations, what->annotations->entries[i]);
	for (size_t i = 0; i < what->nsections; i++) {
		f.needs_facts = f.needs_facts || fetch_section_needs_facts(&what->sections[i]);
		f.binaries = f.binaries || what->sections[i].form != FORM_BODY;
	}
	fetch_reader_init(&f.facts, im, READ_FACTS);
	fetch_reader_init(&f.bodies, im, READ_BODIES);
	fetch_reader_init(&f.ids, im, READ_IDS);
	fetch_body_init(&f.body, im);
	fetch_binary_init(&f.binary, &f.body);
	buf_init(&f.downgraded, 64u << 20);
	buf_init(&f.fields, FETCH_HEADER_BYTES_MAX + 2);
	arena_init(&f.arena, 0);
	enum err e = await_messages(&f, spans);
	fetch_reader_release(&f.facts);
	fetch_reader_release(&f.bodies);
	fetch_reader_release(&f.ids);
	annotation_reader_release(&f.annotations);
	fetch_body_release(&f.body);
	fetch_binary_release(&f.binary);
	struct imap_reply done = reply_fetched(&f);
	buf_release(&f.downgraded);
	buf_release(&f.fields);
	arena_release(&f.arena);
	if (e != OK)
		return imap_err(e);
	if (f.unknown_cte) /* RFC 3516 4.3 */
		return imap_no("UNKNOWN-CTE", "a part of these messages has a transfer encoding that is not known here");
	if (f.no_part) /* RFC 5257 3.2.1 */
		return imap_bad("one of these messages has no such part");
	if (f.missing && im->by_uid) /* RFC 3501 6.4.8: a UID that does not exist is no error */
		return imap_ok_code(S("EXPUNGEISSUED"), "some of these messages are gone");
	if (f.missing) /* RFC 5530 3 */
		return imap_no("EXPUNGEISSUED", "some of these messages are gone");
	return done;
}

/* RFC 7162 3.1.4.1: of those that were named, the ones that changed */
static struct view_spans
only_changed(struct imap *im, const struct view_spans *named, uint64_t since)
{
	struct view_spans s = { 0 };
	size_t i, n = 0, last = SIZE_MAX;
	for (struct view_walk w = view_walk_of(named); view_walk_next(&w, &i);) {
		if (im->view.rows[i].modseq <= since)
			continue;
		n += last == SIZE_MAX || last + 1 != i;
		last = i;
	}
	s.spans = ARENA_ARRAY(&im->arena, struct view_span, n);
	for (struct view_walk w = view_walk_of(named); view_walk_next(&w, &i);) {
		if (im->view.rows[i].modseq <= since)
			continue;
		if (!s.count || s.spans[s.count - 1].to != i)
			s.spans[s.count++] = (struct view_span){ i, i };
		s.spans[s.count - 1].to = i + 1;
		s.messages++;
	}
	return s;
}

/* RFC 9394 3.3: the messages first to last of those that were named, counted from an end */
static struct view_spans
only_partial(struct imap *im, const struct view_spans *named, const struct imap_partial *partial)
{
	size_t n = named->messages, first = MIN((size_t)partial->first - 1, n), last = MIN((size_t)partial->last, n);
	size_t from = partial->from_end ? n - last : first, to = partial->from_end ? n - first : last, at = 0;
	struct view_spans s = { .spans = ARENA_ARRAY(&im->arena, struct view_span, named->count) };
	for (size_t i = 0; i < named->count; i++) {
		struct view_span span = named->spans[i];
		size_t len = span.to - span.from, skip = MIN(from > at ? from - at : 0, len),
		       keep = MIN(to > at ? to - at : 0, len);
		at += len;
		if (skip >= keep)
			continue;
		s.spans[s.count++] = (struct view_span){ span.from + skip, span.from + keep };
		s.messages += keep - skip;
	}
	return s;
}

/* PARTIAL, CHANGEDSINCE and VANISHED (RFC 9394 3.3, RFC 7162 3.1.4.1, 3.2.6); OK status: go on. */
static struct imap_reply
await_modifiers(struct imap *im, const struct imap_fetch *what, const struct imap_set *set, struct view_spans *spans)
{
	if (what->vanished && !(im->by_uid && what->changed_only && (im->enabled & ENABLED_QRESYNC)))
		return imap_bad("VANISHED goes with UID FETCH, CHANGEDSINCE and ENABLE QRESYNC");
	if (what->partial_only && !im->by_uid)
		return imap_bad("PARTIAL goes with UID FETCH");
	size_t max = imap_messages_max(im);
	if (what->partial_only && max && what->partial.last - what->partial.first >= max) /* RFC 9738 3.1 */
		return imap_over_limit(im, max, &(struct view_spans){ .messages = 0 });
	if (what->partial_only)
		*spans = only_partial(im, spans, &what->partial);
	if (what->items & FETCH_MODSEQ)
		imap_enable(im, ENABLED_CONDSTORE);
	if (!what->changed_only)
		return imap_ok("");
	*spans = only_changed(im, spans, what->changed_since);
	if (!what->vanished)
		return imap_ok("");
	enum err e = await_imap_vanished(im, &(struct resync){ .since = what->changed_since, .set = set });
	return e ? imap_err(e) : imap_ok("");
}

struct imap_reply
imap_cmd_fetch(struct imap *im, struct cursor *args)
{
	struct imap_set set;
	struct view_spans spans;
	struct imap_fetch what;
	if (!imap_take_space(args) || !imap_take_set(args, &im->arena, &set) || !imap_take_space(args) ||
	    !imap_take_fetch(args, &im->arena, &what) || !imap_take_fetch_modifiers(args, &what) || !take_end(args))
		return imap_bad("FETCH takes a set and what to fetch");
	if (!view_resolve(&im->view, &set, im->by_uid, &im->arena, &spans))
		return imap_bad("there is no message of that number");
	if (im->by_uid && !imap_uidonly(im)) /* RFC 3501 6.4.8, RFC 9586 3.3 */
		what.items |= FETCH_UID;
	struct imap_reply no = await_modifiers(im, &what, &set, &spans);
	if (no.status != IMAP_OK)
		return no;
	imap_limit(im, &spans);
	return await_imap_fetch(im, &what, &spans);
}
