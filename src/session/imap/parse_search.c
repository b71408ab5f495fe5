/* SPDX-License-Identifier: Apache-2.0 */
/* parse_search.c - SEARCH (RFC 3501 6.4.4) to keys in postfix order, without recursion. A further key is a row of
 * words[]. */
#include "session/imap/parse.h"

#include "store/rows.h"

enum arg {
	ARG_NONE,
	ARG_TEXT,
	ARG_KEYWORD,
	ARG_DAY,
	ARG_NUMBER,
	ARG_SET,
	ARG_FIELD_TEXT,
	ARG_MODSEQ,
	ARG_SECONDS,
	ARG_ID,
	ARG_FILTER,
	ARG_UID_AFTER,
	ARG_UID_BEFORE,
	ARG_ANNOTATION,
};

static const struct word {
	struct slice name;
	enum imap_search_op op;
	enum arg arg;
	bool negated;
	uint32_t flag;
	struct slice field;
} words[] = {
	{ S_ROW("ALL"), SEARCH_ALL, ARG_NONE, false, 0, { NULL, 0 } },
	{ S_ROW("ANNOTATION"), SEARCH_ANNOTATION, ARG_ANNOTATION, false, 0, { NULL, 0 } }, /* RFC 5257 4.8 */
	{ S_ROW("ANSWERED"), SEARCH_FLAG, ARG_NONE, false, MESSAGE_ANSWERED, { NULL, 0 } },
	{ S_ROW("BCC"), SEARCH_HEADER, ARG_TEXT, false, 0, S_ROW("Bcc") },
	{ S_ROW("BEFORE"), SEARCH_BEFORE, ARG_DAY, false, 0, { NULL, 0 } },
	{ S_ROW("BODY"), SEARCH_BODY, ARG_TEXT, false, 0, { NULL, 0 } },
	{ S_ROW("CC"), SEARCH_HEADER, ARG_TEXT, false, 0, S_ROW("Cc") },
	{ S_ROW("DELETED"), SEARCH_FLAG, ARG_NONE, false, MESSAGE_DELETED, { NULL, 0 } },
	{ S_ROW("DRAFT"), SEARCH_FLAG, ARG_NONE, false, MESSAGE_DRAFT, { NULL, 0 } },
	{ S_ROW("EMAILID"), SEARCH_EMAILID, ARG_ID, false, 0, { NULL, 0 } },
	{ S_ROW("FILTER"), SEARCH_NONE, ARG_FILTER, false, 0, { NULL, 0 } }, /* RFC 5466 3.1 */
	{ S_ROW("FLAGGED"), SEARCH_FLAG, ARG_NONE, false, MESSAGE_FLAGGED, { NULL, 0 } },
	{ S_ROW("FROM"), SEARCH_HEADER, ARG_TEXT, false, 0, S_ROW("From") },
	{ S_ROW("HEADER"), SEARCH_HEADER, ARG_FIELD_TEXT, false, 0, { NULL, 0 } },
	{ S_ROW("KEYWORD"), SEARCH_KEYWORD, ARG_KEYWORD, false, 0, { NULL, 0 } },
	{ S_ROW("LARGER"), SEARCH_LARGER, ARG_NUMBER, false, 0, { NULL, 0 } },
	{ S_ROW("MODSEQ"), SEARCH_MODSEQ, ARG_MODSEQ, false, 0, { NULL, 0 } },
	{ S_ROW("OLDER"), SEARCH_OLDER, ARG_SECONDS, false, 0, { NULL, 0 } },
	{ S_ROW("OLD"), SEARCH_RECENT, ARG_NONE, true, 0, { NULL, 0 } },
	{ S_ROW("ON"), SEARCH_ON, ARG_DAY, false, 0, { NULL, 0 } },
	{ S_ROW("RECENT"), SEARCH_RECENT, ARG_NONE, false, 0, { NULL, 0 } },
	{ S_ROW("SAVEDATESUPPORTED"), SEARCH_ALL, ARG_NONE, false, 0, { NULL, 0 } },
	{ S_ROW("SAVEDBEFORE"), SEARCH_SAVEDBEFORE, ARG_DAY, false, 0, { NULL, 0 } },
	{ S_ROW("SAVEDON"), SEARCH_SAVEDON, ARG_DAY, false, 0, { NULL, 0 } },
	{ S_ROW("SAVEDSINCE"), SEARCH_SAVEDSINCE, ARG_DAY, false, 0, { NULL, 0 } },
	{ S_ROW("SEEN"), SEARCH_FLAG, ARG_NONE, false, MESSAGE_SEEN, { NULL, 0 } },
	{ S_ROW("SENTBEFORE"), SEARCH_SENTBEFORE, ARG_DAY, false, 0, { NULL, 0 } },
	{ S_ROW("SENTON"), SEARCH_SENTON, ARG_DAY, false, 0, { NULL, 0 } },
	{ S_ROW("SENTSINCE"), SEARCH_SENTSINCE, ARG_DAY, false, 0, { NULL, 0 } },
	{ S_ROW("SINCE"), SEARCH_SINCE, ARG_DAY, false, 0, { NULL, 0 } },
	{ S_ROW("SMALLER"), SEARCH_SMALLER, ARG_NUMBER, false, 0, { NULL, 0 } },
	{ S_ROW("SUBJECT"), SEARCH_HEADER, ARG_TEXT, false, 0, S_ROW("Subject") },
	{ S_ROW("TEXT"), SEARCH_TEXT, ARG_TEXT, false, 0, { NULL, 0 } },
	{ S_ROW("THREADID"), SEARCH_NONE, ARG_ID, false, 0, { NULL, 0 } }, /* RFC 8474 5.2 */
	{ S_ROW("TO"), SEARCH_HEADER, ARG_TEXT, false, 0, S_ROW("To") },
	{ S_ROW("UID"), SEARCH_UID, ARG_SET, false, 0, { NULL, 0 } },
	{ S_ROW("UIDAFTER"), SEARCH_UID, ARG_UID_AFTER, false, 0, { NULL, 0 } }, /* RFC 9738 3.2 */
	{ S_ROW("UIDBEFORE"), SEARCH_UID, ARG_UID_BEFORE, false, 0, { NULL, 0 } },
	{ S_ROW("UNANSWERED"), SEARCH_FLAG, ARG_NONE, true, MESSAGE_ANSWERED, { NULL, 0 } },
	{ S_ROW("UNDELETED"), SEARCH_FLAG, ARG_NONE, true, MESSAGE_DELETED, { NULL, 0 } },
	{ S_ROW("UNDRAFT"), SEARCH_FLAG, ARG_NONE, true, MESSAGE_DRAFT, { NULL, 0 } },
	{ S_ROW("UNFLAGGED"), SEARCH_FLAG, ARG_NONE, true, MESSAGE_FLAGGED, { NULL, 0 } },
	{ S_ROW("UNKEYWORD"), SEARCH_KEYWORD, ARG_KEYWORD, true, 0, { NULL, 0 } },
	{ S_ROW("UNSEEN"), SEARCH_FLAG, ARG_NONE, true, MESSAGE_SEEN, { NULL, 0 } },
	{ S_ROW("YOUNGER"), SEARCH_YOUNGER, ARG_SECONDS, false, 0, { NULL, 0 } },
};

/* What is open: a parenthesis (or the whole program) that gathers keys, a NOT or OR that waits for its keys. */
struct frame {
	enum imap_search_op op; /* SEARCH_AND, SEARCH_NOT, SEARCH_OR, SEARCH_FUZZY */
	size_t keys;
};

struct parser {
	struct cursor c;
	struct arena *arena;
	struct imap_search *search;
	struct frame frames[SEARCH_DEPTH_MAX];
	size_t depth, named, slots, fuzzy; /* fuzzy: how many FUZZY are open */
	enum imap_search_fault fault;
};

/* Postfix keys: each key that was named adds at most one NOT and one AND or OR. */
#define SEARCH_SLOTS (3 * SEARCH_KEYS_MAX + SEARCH_DEPTH_MAX)

static void
emit(struct parser *p, struct imap_search_key key)
{
	if (p->search->count == p->slots)
		p->fault = SEARCH_TOO_MANY;
	else
		p->search->keys[p->search->count++] = key;
}

static void
emit_op(struct parser *p, enum imap_search_op op)
{
	emit(p, (struct imap_search_key){ .op = op });
}

static void
open_frame(struct parser *p, enum imap_search_op op)
{
	if (p->depth == SEARCH_DEPTH_MAX)
		p->fault = SEARCH_TOO_DEEP;
	else
		p->frames[p->depth++] = (struct frame){ op, 0 };
}

/* A whole key stands in the output: tell what waits for it. */
static void
key_done(struct parser *p)
{
	while (!p->fault) {
		struct frame *f = &p->frames[p->depth - 1];
		f->keys++;
		if (f->op == SEARCH_AND) {
			if (f->keys > 1)
				emit_op(p, SEARCH_AND);
			return;
		}
		if (f->op == SEARCH_OR && f->keys < 2)
			return;
		if (f->op == SEARCH_FUZZY)
			p->fuzzy--;
		else
			emit_op(p, f->op);
		p->depth--;
	}
}

/* RFC 7162 7: [entry-name SP entry-type-req SP] mod-sequence-valzer; there is one change number for all entries */
static bool
take_modseq(struct parser *p, uint64_t *modseq)
{
	struct cursor *c = &p->c;
	struct slice entry;
	if (peek(c) == '"' && !(imap_take_string(c, p->arena, &entry) && imap_take_space(c) &&
	                        (take_nocase(c, S("priv ")) || take_nocase(c, S("shared ")) || take_nocase(c, S("all ")))))
		return false;
	return imap_take_modseq(c, modseq);
}

/* objectid = 1*255(ALPHA / DIGIT / "_" / "-") (RFC 8474 7) */
static bool
take_id(struct cursor *c, struct slice *id)
{
	const char *start = c->at;
	while (!cursor_done(c) && (ascii_alpha(*c->at) || ascii_digit(*c->at) || *c->at == '_' || *c->at == '-'))
		c->at++;
	*id = slice_of(start, (size_t)(c->at - start));
	return id->len > 0 && id->len <= 255;
}

/* RFC 9738 3.2: all UIDs on one side of this one */
static bool
take_side(struct parser *p, bool after, struct imap_search_key *key)
{
	uint32_t uid;
	if (!imap_take_nz_number(&p->c, &uid))
		return false;
	key->set = (struct imap_set){ ARENA_NEW(p->arena, struct imap_range), 1, false };
	if (uid == (after ? UINT32_MAX : 1))
		key->op = SEARCH_NONE;
	else
		key->set.ranges[0] = (struct imap_range){ after ? uid + 1 : 1, after ? UINT32_MAX : uid - 1, false };
	return true;
}

static bool
take_arg(struct parser *p, enum arg arg, struct imap_search_key *key)
{
	struct cursor *c = &p->c;
	uint64_t n;
	if (arg == ARG_NONE)
		return true;
	if (!imap_take_space(c))
		return false;
	switch (arg) {
	case ARG_TEXT: return imap_take_astring(c, p->arena, &key->text);
	case ARG_KEYWORD: return imap_take_atom(c, &key->text);
	case ARG_ID: return take_id(c, &key->text);
	case ARG_FILTER: return imap_take_atom(c, &key->text) && slice_find_char(key->text, '/') < 0;
	case ARG_DAY: return imap_take_date(c, &key->day);
	case ARG_NUMBER:
		if (!take_u64(c, &n))
			return false;
		key->number = (uint32_t)MIN(n, (uint64_t)UINT32_MAX);
		return true;
	case ARG_SET: return imap_take_set(c, p->arena, &key->set);
	case ARG_UID_AFTER:
	case ARG_UID_BEFORE: return take_side(p, arg == ARG_UID_AFTER, key);
	case ARG_SECONDS: return imap_take_nz_number(c, &key->number);
	case ARG_ANNOTATION:
		return imap_take_annotation_match(c, p->arena, &key->field, &key->number) && imap_take_space(c) &&
		       imap_take_annotation_value(c, p->arena, &key->text, &key->nil);
	case ARG_MODSEQ: return take_modseq(p, &key->modseq);
	default:
		return imap_take_astring(c, p->arena, &key->field) && imap_take_space(c) &&
		       imap_take_astring(c, p->arena, &key->text);
	}
}

/* ---- RETURN */

static const struct {
	struct slice name;
	uint32_t item;
} returns[] = {
	{ S_ROW("MIN"), RETURN_MIN },       { S_ROW("MAX"), RETURN_MAX },         { S_ROW("ALL"), RETURN_ALL },
	{ S_ROW("COUNT"), RETURN_COUNT },   { S_ROW("SAVE"), RETURN_SAVE },       { S_ROW("PARTIAL"), RETURN_PARTIAL },
	{ S_ROW("UPDATE"), RETURN_UPDATE }, { S_ROW("CONTEXT"), RETURN_CONTEXT }, { S_ROW("RELEVANCY"), RETURN_RELEVANCY },
};

/* partial-range = nz-number ":" nz-number / "-" nz-number ":" "-" nz-number (RFC 9394 4) */
bool
imap_take_partial(struct cursor *c, struct imap_partial *partial)
{
	struct cursor p = *c;
	uint32_t a, b;
	partial->from_end = take_char(&p, '-');
	if (!imap_take_nz_number(&p, &a) || !take_char(&p, ':') || take_char(&p, '-') != partial->from_end ||
	    !imap_take_nz_number(&p, &b))
		return false;
	partial->first = MIN(a, b);
	partial->last = MAX(a, b);
	*c = p;
	return true;
}

/* "UPDATE" [[SP] "(" fetch-att *(SP fetch-att) ")"]: RFC 5465 8, and its example in 7 */
static bool
take_update(struct cursor *c, struct arena *a, struct imap_return *ret)
{
	struct cursor p = *c;
	(void)imap_take_space(&p);
	if (peek(&p) != '(')
		return true;
	if (ret->fetches || !imap_take_fetch(&p, a, &ret->fetch))
		return false;
	ret->fetch.sets_seen = false; /* nobody read it */
	ret->fetches = true;
	*c = p;
	return true;
}

static bool
take_return_option(struct cursor *c, struct arena *a, struct imap_return *ret)
{
	struct slice name;
	if (!imap_take_atom(c, &name))
		return false;
	for (size_t i = 0; i < COUNT_OF(returns); i++) {
		if (!slice_equal_nocase(name, returns[i].name))
			continue;
		ret->items |= returns[i].item;
		if (returns[i].item == RETURN_UPDATE)
			return take_update(c, a, ret);
		return returns[i].item != RETURN_PARTIAL || (imap_take_space(c) && imap_take_partial(c, &ret->partial));
	}
	return false;
}

/* "RETURN" SP "(" [option *(SP option)] ")" SP; RFC 4731 3.1: without an option it is ALL */
bool
imap_take_return(struct cursor *c, struct arena *a, struct imap_return *ret)
{
	struct cursor p = *c;
	*ret = (struct imap_return){ .items = 0 };
	if (!take_nocase(&p, S("RETURN (")))
		return true;
	ret->extended = true;
	if (peek(&p) != ')') {
		do {
			if (!take_return_option(&p, a, ret))
				return false;
		} while (imap_take_space(&p));
	} else {
		ret->items = RETURN_ALL;
	}
	/* RFC 9394 3.1: one of the two */
	if (!take_exact(&p, S(") ")) || (ret->items & (RETURN_ALL | RETURN_PARTIAL)) == (RETURN_ALL | RETURN_PARTIAL))
		return false;
	*c = p;
	return true;
}

/* ---- keys */

static const struct word *
word_of(struct slice name)
{
	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (slice_equal_nocase(name, words[i].name))
			return &words[i];
	return NULL;
}

/* A key that is complete with its argument. */
static bool
take_simple_key(struct parser *p)
{
	struct slice name;
	struct imap_search_key key = { .op = SEARCH_SEQUENCE };
	bool negated = false;
	if (!imap_take_set(&p->c, p->arena, &key.set)) {
		const char *start = p->c.at;
		const struct word *w = imap_take_atom(&p->c, &name) ? word_of(name) : NULL;
		if (!w)
			return false;
		key = (struct imap_search_key){ .op = w->op, .number = w->flag, .field = w->field };
		negated = w->negated;
		if (!take_arg(p, w->arg, &key))
			return false;
		if (w->arg == ARG_FILTER && !p->search->filter.len) {
			p->search->filter = key.text;
			p->search->filter_key = slice_of(start, (size_t)(p->c.at - start));
		}
	} else if (key.set.saved) { /* RFC 5182 2.1: messages, whatever they are called */
		key.op = SEARCH_UID;
	}
	if (++p->named > SEARCH_KEYS_MAX)
		p->fault = SEARCH_TOO_MANY;
	key.fuzzy = p->fuzzy && (key.op == SEARCH_HEADER || key.op == SEARCH_BODY || key.op == SEARCH_TEXT);
	emit(p, key);
	if (negated)
		emit_op(p, SEARCH_NOT);
	key_done(p);
	return true;
}

/* NEW is (RECENT UNSEEN), RFC 3501 6.4.4 */
static void
put_new(struct parser *p)
{
	emit_op(p, SEARCH_RECENT);
	emit(p, (struct imap_search_key){ .op = SEARCH_FLAG, .number = MESSAGE_SEEN });
	emit_op(p, SEARCH_NOT);
	emit_op(p, SEARCH_AND);
	if ((p->named += 2) > SEARCH_KEYS_MAX)
		p->fault = SEARCH_TOO_MANY;
	key_done(p);
}

static bool
take_word(struct cursor *c, struct slice word)
{
	struct cursor p = *c;
	if (!take_nocase(&p, word) || (!cursor_done(&p) && imap_is_atom_char(*p.at)))
		return false;
	*c = p;
	return true;
}

/* The closing parentheses after a key; then the program ends or a space comes. */
static bool
take_closings(struct parser *p)
{
	while (!p->fault && take_char(&p->c, ')')) {
		if (p->depth < 2 || p->frames[p->depth - 1].op != SEARCH_AND || p->frames[p->depth - 1].keys == 0)
			return false;
		p->depth--;
		key_done(p);
	}
	return true;
}

static bool
take_key(struct parser *p)
{
	if (take_char(&p->c, '(')) {
		open_frame(p, SEARCH_AND);
		return true;
	}
	if (take_word(&p->c, S("NOT"))) {
		open_frame(p, SEARCH_NOT);
		return imap_take_space(&p->c);
	}
	if (take_word(&p->c, S("OR"))) {
		open_frame(p, SEARCH_OR);
		return imap_take_space(&p->c);
	}
	if (take_word(&p->c, S("FUZZY"))) { /* RFC 6203 7 */
		open_frame(p, SEARCH_FUZZY);
		p->search->fuzzy = true;
		p->fuzzy++;
		return imap_take_space(&p->c);
	}
	if (take_word(&p->c, S("NEW")))
		put_new(p);
	else if (!take_simple_key(p))
		return false;
	return take_closings(p) && (cursor_done(&p->c) || (imap_take_space(&p->c) && !cursor_done(&p->c)));
}

enum imap_search_fault
imap_parse_search(struct cursor *c, struct arena *a, struct imap_search *search)
{
	struct parser *p = ARENA_NEW(a, struct parser);
	size_t slots = MIN((size_t)SEARCH_SLOTS, 2 * cursor_left(c) + 8); /* "1 " is the shortest key that adds two */
	*search = (struct imap_search){ .keys = ARENA_ARRAY(a, struct imap_search_key, slots) };
	*p = (struct parser){ .c = *c, .arena = a, .search = search, .slots = slots };
	if (take_nocase(&p->c, S("CHARSET ")) && !(imap_take_astring(&p->c, a, &search->charset) && imap_take_space(&p->c)))
		return SEARCH_SYNTAX;
	open_frame(p, SEARCH_AND);
	do {
		if (!take_key(p))
			return p->fault ? p->fault : SEARCH_SYNTAX;
	} while (!p->fault && !cursor_done(&p->c));
	if (!p->fault && (p->depth != 1 || p->frames[0].keys == 0))
		return SEARCH_SYNTAX;
	*c = p->c;
	return p->fault;
}
