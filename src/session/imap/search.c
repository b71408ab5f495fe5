/* SPDX-License-Identifier: Apache-2.0 */
/* search.c - a search program (RFC 3501 6.4.4) in its rounds over the selected mailbox. Called by SEARCH, SORT
 * and THREAD. Texts come from facts or through the scan role; this process looks into no message itself. Fails: store,
 * scan or shared memory are not there. */
#include "session/imap/search.h"
#include "mail/charset.h"
#include "mail/fold.h"
#include "scan/rows.h"
#include "scan_msg.h"
#include "session/imap/fetch.h"

enum {
	TURN_KEYS = 1 << 20,     /* keys judged before others get a turn */
	NEEDLE_BYTES_MAX = 2000, /* of scan.msg */
	FIELD_BYTES_MAX = 200,
	ANNOTATIONS_MAX = 16, /* keys that look at annotations */
};

/* ---- rounds */

/* What is still to be decided, as a set to walk along. */
static struct view_spans
undecided(const struct search_run *r, struct arena *a)
{
	size_t count = r->im->view.count, n = 0;
	struct view_spans s = { 0 };
	for (size_t i = 0; i < count; i++)
		n += r->found[i] == SEARCH_UNKNOWN && (i == 0 || r->found[i - 1] != SEARCH_UNKNOWN);
	s.spans = ARENA_ARRAY(a, struct view_span, n);
	for (size_t i = 0; i < count; i++) {
		if (r->found[i] != SEARCH_UNKNOWN)
			continue;
		if (!s.count || s.spans[s.count - 1].to != i)
			s.spans[s.count++] = (struct view_span){ i, i };
		s.spans[s.count - 1].to = i + 1;
		s.messages++;
	}
	return s;
}

static void
await_view_round(struct search_run *r)
{
	size_t keys = 0;
	for (size_t i = 0; i < r->im->view.count; i++) {
		/* what is gone is not found any more */
		bool out = (r->im->view.rows[i].flags & VIEW_GONE) || (r->only && !r->only[i]);
		r->found[i] = out ? SEARCH_NO : search_judge(r, i, NULL, NULL);
		if ((keys += r->program->count) > TURN_KEYS) {
			keys = 0;
			await_turn();
		}
	}
}

static enum err
await_facts_round(struct search_run *r)
{
	struct view_spans left = undecided(r, &r->im->arena);
	struct view_walk w = view_walk_of(&left);
	struct fetch_reader reader;
	enum err e = OK;
	size_t i;
	fetch_reader_init(&reader, r->im, READ_FACTS);
	while (view_walk_next(&w, &i) && r->im->c->io.error == OK) {
		struct slice record;
		struct facts facts;
		await_imap_progress(r->im, i, r->im->view.count);
		e = await_fetch_get(&reader, i, &w, &record);
		if (e == OK && facts_open(&facts, record))
			r->found[i] = search_judge(r, i, &facts, NULL);
		else if (e == ERR_NOT_FOUND)
			r->found[i] = SEARCH_NO;
		else if (e != OK)
			break;
	}
	fetch_reader_release(&reader);
	return e == ERR_NOT_FOUND ? OK : e;
}

/* ---- the last round: scan looks */

static bool
is_scan_key(const struct imap_search_key *k)
{
	return !k->fuzzy && (k->op == SEARCH_HEADER || k->op == SEARCH_BODY || k->op == SEARCH_TEXT);
}

static struct scan_key
scan_key_of(const struct imap_search_key *k)
{
	return (struct scan_key){
		.where = k->op == SEARCH_BODY   ? SCAN_IN_BODY
		         : k->op == SEARCH_TEXT ? SCAN_IN_TEXT
		                                : SCAN_IN_HEADER,
		.field = k->field.len ? k->field : S(""),
		.needle = k->text.len ? k->text : S(""),
	};
}

/* Asks for all keys of the program, 64 at a time; in says where the message is. */
static enum err
await_match(struct search_run *r, struct scan_match_in *in, struct arena *a)
{
	struct scan_key keys[SCAN_KEYS_MAX];
	size_t of[SCAN_KEYS_MAX];
	for (size_t next = 0; next < r->program->count;) {
		in->keys = keys;
		in->nkeys = 0;
		for (; next < r->program->count && in->nkeys < SCAN_KEYS_MAX; next++) {
			if (!is_scan_key(&r->program->keys[next]))
				continue;
			of[in->nkeys] = next;
			keys[in->nkeys++] = scan_key_of(&r->program->keys[next]);
		}
		struct scan_match_out out = { 0 };
		enum err e = in->nkeys ? await_scan_match(session_scan(r->im->c->session), in, a, &out) : OK;
		if (e != OK)
			return e;
		for (uint32_t i = 0; i < in->nkeys; i++)
			r->hits[of[i]] = (out.hits >> i & 1) != 0;
	}
	return await_search_scores(r, in, a);
}

/* A body in the reader's shared memory is shown to scan where it is; a large one is copied to a spool file first. */
static enum err
await_look_into(struct search_run *r, struct fetch_body *b, struct arena *a)
{
	if (b->whole.at) {
		struct scan_match_in in = { .file = -1, .bytes = b->whole.len, .how = r->program->how };
		in.off = shm_offset(r->im->c->session->shm, b->whole.at);
		return await_match(r, &in, a);
	}
	struct body copy;
	body_init(&copy, r->im->c->session, UINT32_MAX);
	enum err e = await_fetch_copy(b, &copy);
	struct scan_match_in in = { .file = copy.spool ? copy.file : -1, .bytes = copy.len, .how = r->program->how };
	if (!copy.spool && copy.at)
		in.off = shm_offset(r->im->c->session->shm, copy.at);
	if (e == OK)
		e = await_match(r, &in, a);
	body_release(&copy);
	return e;
}

static enum err
await_scan_one(struct search_run *r, size_t i, const struct view_walk *ahead, struct fetch_reader *bodies,
               struct fetch_body *body, struct arena *a)
{
	arena_clear(a);
	r->at = i;
	enum err e = await_fetch_body(body, bodies, i, ahead);
	if (e == OK)
		e = await_look_into(r, body, a);
	if (e == ERR_NOT_FOUND) {
		r->found[i] = SEARCH_NO;
		return OK;
	}
	return e;
}

static enum err
await_scan_round(struct search_run *r)
{
	struct view_spans left = undecided(r, &r->im->arena);
	struct view_walk w = view_walk_of(&left);
	struct fetch_reader bodies, facts_reader;
	struct fetch_body body;
	struct arena a;
	enum err e = OK;
	size_t i;
	fetch_reader_init(&bodies, r->im, READ_BODIES);
	fetch_reader_init(&facts_reader, r->im, READ_FACTS);
	fetch_body_init(&body, r->im);
	arena_init(&a, 0);
	while (e == OK && view_walk_next(&w, &i) && r->im->c->io.error == OK) {
		struct slice record;
		struct facts facts;
		r->im->c->io.deadline_ms = deadline_in_ms(r->im->c->idle_ms);
		await_imap_progress(r->im, i, r->im->view.count);
		e = await_scan_one(r, i, &w, &bodies, &body, &a);
		if (e != OK || r->found[i] == SEARCH_NO)
			continue;
		e = await_fetch_get(&facts_reader, i, &w, &record);
		if (e == OK)
			e = await_fetch_facts(&body, &a, record, &facts);
		if (e == OK || e == ERR_NOT_FOUND)
			r->found[i] = e == OK && search_judge(r, i, &facts, r->hits) == SEARCH_YES;
		e = e == ERR_NOT_FOUND ? OK : e;
	}
	fetch_reader_release(&bodies);
	fetch_reader_release(&facts_reader);
	fetch_body_release(&body);
	arena_release(&a);
	return e;
}

static bool
has_undecided(const struct search_run *r)
{
	return memchr(r->found, SEARCH_UNKNOWN, r->im->view.count) != NULL;
}

static enum err
await_rounds(struct search_run *r)
{
	enum err e = OK;
	await_view_round(r);
	if (has_undecided(r))
		e = await_search_kept(r);
	if (e == OK && has_undecided(r))
		e = await_facts_round(r);
	if (e == OK && has_undecided(r))
		e = await_scan_round(r);
	return e;
}

/* ---- the program */

/* RFC 3501 6.4.4: strings are in the charset that was named; searched is UTF-8. */
static void
convert(struct arena *a, struct slice charset, struct slice *text)
{
	if (slice_is_ascii(*text))
		return;
	struct buf utf8;
	buf_init(&utf8, 4u << 20);
	charset_put(&utf8, charset, *text);
	*text = slice_keep(a, buf_slice(&utf8));
	buf_release(&utf8);
}

static struct slice
folded(struct arena *a, enum fold_how how, struct slice text)
{
	struct buf b;
	buf_init(&b, 64u << 10);
	fold_put_as(&b, how, text);
	struct slice kept = slice_keep(a, buf_slice(&b));
	buf_release(&b);
	return kept;
}

/* RFC 8474 6: the number that "M1f" is written from; 0: none of ours */
static uint64_t
object_of(struct slice id)
{
	uint64_t n = 0;
	if (id.len < 2 || id.len > 17 || id.at[0] != 'M' || id.at[1] == '0')
		return 0;
	for (size_t i = 1; i < id.len; i++) {
		char c = id.at[i];
		if (!ascii_digit(c) && (c < 'a' || c > 'f')) /* RFC 8474 7: case matters */
			return 0;
		n = n << 4 | (uint64_t)(ascii_digit(c) ? c - '0' : c - 'a' + 10);
	}
	return n;
}

/* OK status: the strings of the program are UTF-8 and no longer than what scan takes. */
struct imap_reply
imap_search_prepare(struct arena *a, struct imap_search *program)
{
	struct slice charset = program->charset.len ? program->charset : S("UTF-8");
	bool utf8 = slice_equal_nocase(charset, S("UTF-8")) || slice_equal_nocase(charset, S("US-ASCII"));
	if (!utf8 && !charset_is_known(charset))
		return imap_no("BADCHARSET (US-ASCII UTF-8)", "this charset is not known here");
	size_t annotations = 0;
	for (size_t i = 0; i < program->count; i++) {
		struct imap_search_key *k = &program->keys[i];
		if (!utf8)
			convert(a, charset, &k->text);
		bool bytes = k->op == SEARCH_ANNOTATION; /* of any value */
		annotations += bytes;
		if (annotations > ANNOTATIONS_MAX) /* each takes a byte for each message, and looks into all its values */
			return imap_no("LIMIT", "at most 16 ANNOTATION in one search");
		if (!bytes && (!slice_is_utf8(k->text) || slice_find_char(k->text, '\0') >= 0))
			return imap_no("BADCHARSET (US-ASCII UTF-8)", "the text is not in this charset");
		if (k->text.len > NEEDLE_BYTES_MAX || (k->field.len > FIELD_BYTES_MAX && !bytes))
			return imap_no("LIMIT", "the text to search for is too long");
		if (!slice_is_utf8(k->field) || slice_find_char(k->field, '\0') >= 0)
			return imap_bad("that is not the name of a header field");
		k->folded = folded(a, k->fuzzy ? FOLD_UNICODE : program->how, k->text); /* RFC 6203 3: no comparator */
		k->object = k->op == SEARCH_EMAILID ? object_of(k->text) : 0;
	}
	return imap_ok("");
}

/* RFC 7377 2: numbers that no message has are no error in a search. */
static struct imap_set
set_that_is(struct search_run *r, const struct imap_set *set)
{
	struct imap_set there = { ARENA_ARRAY(&r->im->arena, struct imap_range, set->count), 0 };
	for (size_t i = 0; i < set->count; i++)
		if (set->ranges[i].star || set->ranges[i].low <= r->im->view.count)
			there.ranges[there.count++] = set->ranges[i];
	return there;
}

/* RFC 9586 3.5 */
static bool
has_numbers(const struct imap_search *program)
{
	for (size_t i = 0; i < program->count; i++)
		if (program->keys[i].op == SEARCH_SEQUENCE)
			return true;
	return false;
}

static void
resolve_sets(struct search_run *r)
{
	r->sets = ARENA_ARRAY(&r->im->arena, struct view_spans, r->program->count);
	for (size_t i = 0; i < r->program->count; i++) {
		const struct imap_search_key *k = &r->program->keys[i];
		if (k->op == SEARCH_MODSEQ) { /* RFC 7162 3.1 */
			imap_enable(r->im, ENABLED_CONDSTORE);
			r->tells_modseq = true;
		}
		if (k->op != SEARCH_SEQUENCE && k->op != SEARCH_UID)
			continue;
		/* RFC 7162 3.2.10.2: numbers must not change under such a command */
		r->im->names_numbers = r->im->names_numbers || k->op == SEARCH_SEQUENCE;
		struct imap_set set = k->op == SEARCH_SEQUENCE ? set_that_is(r, &k->set) : k->set;
		(void)view_resolve(&r->im->view, &set, k->op == SEARCH_UID, &r->im->arena, &r->sets[i]);
	}
}

/* Objects of all messages, when the program asks for any. */
static enum err
await_ids(struct search_run *r)
{
	struct view *v = &r->im->view;
	struct view_span all = { 0, v->count };
	struct view_spans spans = { .spans = &all, .count = v->count > 0, .messages = v->count };
	struct view_walk w = view_walk_of(&spans);
	struct fetch_reader reader;
	bool asked = false;
	enum err e = OK;
	size_t i;
	for (size_t k = 0; k < r->program->count; k++)
		asked = asked || r->program->keys[k].op == SEARCH_EMAILID;
	if (!asked)
		return OK;
	r->ids = must_calloc(v->count + 1, sizeof *r->ids);
	fetch_reader_init(&reader, r->im, READ_IDS);
	while (e == OK && view_walk_next(&w, &i)) {
		e = await_fetch_id(&reader, i, &w, &r->ids[i]);
		e = e == ERR_NOT_FOUND ? OK : e;
	}
	fetch_reader_release(&reader);
	return e;
}

static void
search_run_init(struct search_run *r)
{
	r->found = must_calloc(r->im->view.count + 1, 1);
	r->stack = must_calloc(r->program->count + 1, 1);
	r->hits = must_calloc(r->program->count + 1, sizeof *r->hits);
	r->kept_bit = must_calloc(r->program->count + 1, 1);
	search_fuzzy_init(r);
	r->now = clock_wall_sec();
	buf_init(&r->scratch, 4u << 20);
}

void
search_run_release(struct search_run *r)
{
	free(r->found);
	free(r->stack);
	free(r->hits);
	free(r->ids);
	free(r->kept_bit);
	free(r->kept);
	search_annotations_release(r);
	search_fuzzy_release(r);
	buf_release(&r->scratch);
}

/* Sets, resolved, say what is searched (RFC 9738 3.1); of other keys anything may be. */
static uint8_t
judge_sets(struct search_run *r, size_t index)
{
	uint8_t *top = r->stack;
	for (size_t k = 0; k < r->program->count; k++) {
		enum imap_search_op op = r->program->keys[k].op;
		if (op == SEARCH_AND || op == SEARCH_OR) {
			uint8_t decides = op == SEARCH_AND ? SEARCH_NO : SEARCH_YES;
			uint8_t b = *--top, a = top[-1];
			top[-1] = a == decides || b == decides ? decides : a == SEARCH_UNKNOWN ? a : b;
		} else if (op == SEARCH_NOT) {
			top[-1] = top[-1] == SEARCH_UNKNOWN ? (uint8_t)SEARCH_UNKNOWN : (uint8_t)(top[-1] == SEARCH_NO);
		} else if (op == SEARCH_SEQUENCE || op == SEARCH_UID) {
			*top++ = view_spans_hold(&r->sets[k], index);
		} else {
			*top++ = SEARCH_UNKNOWN;
		}
	}
	return top == r->stack ? (uint8_t)SEARCH_UNKNOWN : r->stack[0];
}

/* Leaves the last r->max of the messages that are to be searched; OK status: go on. */
static struct imap_reply
limit_searched(struct search_run *r, bool refuses)
{
	size_t count = r->im->view.count, n = 0;
	if (!r->max || count <= r->max)
		return imap_ok("");
	uint8_t *only = arena_alloc(&r->im->arena, count);
	size_t lowest = count;
	for (size_t i = count; i-- > 0;) {
		if ((r->im->view.rows[i].flags & VIEW_GONE) || judge_sets(r, i) == SEARCH_NO || n++ >= r->max)
			continue;
		only[i] = 1;
		lowest = i;
	}
	if (n <= r->max)
		return imap_ok("");
	if (refuses)
		return imap_over_limit(r->im, r->max, &(struct view_spans){ .messages = 0 });
	r->only = only;
	r->im->limited_to = r->im->view.rows[lowest].uid;
	return imap_ok("");
}

static struct imap_reply
await_run(struct search_run *r, bool refuses)
{
	await_imap_keywords(r->im, true);
	resolve_sets(r);
	search_run_init(r);
	struct imap_reply no = limit_searched(r, refuses);
	if (no.status != IMAP_OK)
		return no;
	enum err e = await_ids(r);
	e = e ? e : await_search_annotations(r);
	e = e ? e : await_rounds(r);
	return e ? imap_err(e) : imap_ok("");
}

static struct imap_reply
await_search_up_to(struct search_run *r, struct imap *im, struct imap_search *program, size_t max, bool refuses)
{
	*r = (struct search_run){ .im = im };
	if (imap_uidonly(im) && has_numbers(program))
		return imap_bad_numbers();
	program->how = im->collation; /* RFC 5255 4.2 */
	struct imap_reply no = imap_search_prepare(&im->arena, program);
	*r = (struct search_run){ .im = im, .program = program, .max = max };
	return no.status == IMAP_OK ? await_run(r, refuses) : no;
}

struct imap_reply
await_search(struct search_run *r, struct imap *im, struct imap_search *program)
{
	return await_search_up_to(r, im, program, 0, false);
}

struct imap_reply
await_search_limited(struct search_run *r, struct imap *im, struct imap_search *program, bool refuses)
{
	return await_search_up_to(r, im, program, imap_messages_max(im), refuses);
}

struct imap_reply
await_search_some(struct search_run *r, struct imap *im, const struct imap_search *program, const uint8_t *only)
{
	*r = (struct search_run){ .im = im, .program = program, .only = only };
	return await_run(r, false);
}

struct imap_reply
imap_search_fault(enum imap_search_fault fault)
{
	switch (fault) {
	case SEARCH_SYNTAX: return imap_bad("malformed search");
	case SEARCH_TOO_DEEP: return imap_no("LIMIT", "parentheses, NOT and OR may nest 64 deep");
	case SEARCH_TOO_MANY: return imap_no("LIMIT", "at most 1000 search keys");
	default: return imap_ok("");
	}
}

size_t
search_found(const struct search_run *r, uint32_t *rows)
{
	size_t n = 0;
	for (size_t i = 0; i < r->im->view.count; i++)
		if (r->found[i] == SEARCH_YES)
			rows[n++] = (uint32_t)i;
	return n;
}
