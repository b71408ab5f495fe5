/* SPDX-License-Identifier: Apache-2.0 */
/* mime.c - finds the parts of a message. Called by facts, match and whoever needs a part of a body; all of them get the
 * same answer. Pure: part rows go into the caller's struct mime, texts into its arena. */
#include "mail/mime.h"

#include "mail/header.h"
#include "mail/mime_param.h"
#include "mail/transfer.h"

/* An entity that is open: its body goes on. */
struct level {
	uint32_t part;
	uint32_t last_child;
	struct slice boundary; /* empty: not a multipart, or its end was seen */
	uint32_t lf;           /* LFs before its body */
};

struct parser {
	struct mime *m;
	struct arena *arena;
	struct arena scratch; /* for parameters that are looked at once */
	const char *start, *end;
	const char *p; /* at the start of a line */
	uint32_t lf;   /* LFs before p */
	struct level open[MIME_DEPTH_MAX + 1];
	size_t nopen, nboundaries;
};

typedef unsigned char vec __attribute__((vector_size(16)));

static uint32_t
count_lf(const char *p, const char *end)
{
	uint32_t count = 0;
	while (end - p >= 16) {
		vec sums = { 0 };
		for (size_t turns = 0; turns < 255 && end - p >= 16; turns++, p += 16) {
			vec v;
			memcpy(&v, p, 16);
			sums -= (vec)(v == '\n');
		}
		for (size_t k = 0; k < 16; k++)
			count += sums[k];
	}
	for (; p < end; p++)
		count += *p == '\n';
	return count;
}

uint16_t
mime_flags_of_bytes(struct slice bytes)
{
	vec high = { 0 }, nul = { 0 };
	size_t i = 0;
	for (; i + 16 <= bytes.len; i += 16) {
		vec v;
		memcpy(&v, bytes.at + i, 16);
		high |= v;
		nul |= (vec)(v == 0);
	}
	unsigned char any_high = 0, any_nul = 0;
	for (size_t k = 0; k < 16; k++) {
		any_high |= high[k];
		any_nul |= nul[k];
	}
	for (; i < bytes.len; i++) {
		any_high |= (unsigned char)bytes.at[i];
		any_nul |= bytes.at[i] == 0;
	}
	return (uint16_t)((any_high & 0x80 ? FACTS_8BIT : 0) | (any_nul ? FACTS_NUL : 0));
}

void
mime_init(struct mime *m)
{
	*m = (struct mime){ .parts_max = MIME_PARTS_MAX };
	buf_init(&m->parts, MIME_PARTS_MAX * sizeof(struct mime_part));
}

void
mime_release(struct mime *m)
{
	buf_release(&m->parts);
	m->count = 0;
}

static uint32_t
offset(const struct parser *x, const char *p)
{
	return (uint32_t)(p - x->start);
}

static struct level *
innermost(struct parser *x)
{
	return &x->open[x->nopen - 1];
}

/* ---- the fields of a part */

/* Content-Type := type "/" subtype *(";" parameter). RFC 2045 5.2: what is not understood is text/plain. */
static void
read_type(struct mime_part *part, struct slice value)
{
	struct cursor c = cursor_of(value);
	struct slice type, subtype;
	header_skip_cfws(&c);
	if (!mime_take_token(&c, &type))
		return;
	header_skip_cfws(&c);
	if (take_char(&c, '/')) {
		header_skip_cfws(&c);
		if (!mime_take_token(&c, &subtype))
			return;
	} else if (slice_equal_nocase(type, S("text"))) {
		subtype = S("plain");
	} else {
		return;
	}
	part->type = type;
	part->subtype = subtype;
	part->params = cursor_rest(&c);
}

static void
read_encoding(struct mime_part *part, struct slice value)
{
	struct cursor c = cursor_of(value);
	header_skip_cfws(&c);
	if (!mime_take_token(&c, &part->encoding))
		return;
	part->at.encoding = transfer_encoding(part->encoding);
}

static void
read_field(struct mime_part *part, const struct header_field *f, bool *typed)
{
	switch (header_id(f->name)) {
	case HEADER_CONTENT_TYPE:
		if (!*typed)
			read_type(part, f->value);
		*typed = true;
		return;
	case HEADER_CONTENT_TRANSFER_ENCODING:
		if (!part->encoding.at)
			read_encoding(part, f->value);
		return;
#define FIRST(id, member)                                                                                              \
	case id:                                                                                                           \
		if (!part->member.at)                                                                                          \
			part->member = f->value;                                                                                   \
		return
		FIRST(HEADER_CONTENT_DISPOSITION, disposition);
		FIRST(HEADER_CONTENT_ID, id);
		FIRST(HEADER_CONTENT_DESCRIPTION, description);
		FIRST(HEADER_CONTENT_LANGUAGE, language);
		FIRST(HEADER_CONTENT_LOCATION, location);
		FIRST(HEADER_CONTENT_MD5, md5);
#undef FIRST
	default: return;
	}
}

static void
read_header(struct mime_part *part, struct slice header)
{
	struct header_reader r;
	struct header_field f;
	bool typed = false;
	for (header_begin(&r, header); header_next(&r, &f);)
		if (f.name.len > 8 && (f.name.at[0] | 0x20) == 'c')
			read_field(part, &f, &typed);
}

/* ---- opening and closing */

/* A new entity whose header begins at p; false: there are enough already. */
static bool
open_part(struct parser *x)
{
	struct mime *m = x->m;
	if (m->count >= m->parts_max || !buf_room(&m->parts, sizeof(struct mime_part))) {
		m->flags |= FACTS_CUT;
		return false;
	}
	uint32_t index = (uint32_t)m->count++;
	m->parts.len += sizeof(struct mime_part);
	struct mime_part *part = mime_part(m, index);
	*part = (struct mime_part){ .type = S("text"), .subtype = S("plain") };
	part->at.header = offset(x, x->p);
	part->at.depth = (uint16_t)x->nopen;
	part->at.number = 1;
	if (x->nopen > 0) {
		struct level *up = innermost(x);
		struct mime_part *parent = mime_part(m, up->part);
		part->at.parent = (uint16_t)up->part;
		part->at.number = ++parent->at.children;
		if (up->last_child)
			mime_part(m, up->last_child)->at.next = index;
		else
			parent->at.first = index;
		up->last_child = index;
		if (slice_equal_nocase(parent->subtype, S("digest"))) { /* RFC 2046 5.1.5 */
			part->type = S("message");
			part->subtype = S("rfc822");
		}
	}
	ASSERT(x->nopen <= MIME_DEPTH_MAX);
	x->open[x->nopen++] = (struct level){ .part = index };
	return true;
}

/* Ends the entities deeper than keep. at is where the line begins that ends them; the line end before it belongs to the
 * boundary (RFC 2046 5.1.1). */
static void
close_parts(struct parser *x, size_t keep, const char *at, uint32_t lf, bool boundary)
{
	uint32_t here = offset(x, at), least = 0, stripped = here;
	if (boundary && stripped > 0 && at[-1] == '\n')
		stripped -= stripped > 1 && at[-2] == '\r' ? 2 : 1;
	for (; x->nopen > keep; x->nopen--) {
		struct level *l = innermost(x);
		struct facts_part *f = &mime_part(x->m, l->part)->at;
		f->end = MAX(MAX(stripped, f->body), least);
		least = f->end;
		f->lines = (f->end == here ? lf : lf - 1) - l->lf;
		if (f->end > f->body && x->start[f->end - 1] != '\n')
			f->lines++;
		if (l->boundary.len)
			x->nboundaries--;
	}
}

static struct slice
boundary_of(struct parser *x, const struct mime_part *part)
{
	struct cursor c = cursor_of(slice_part(part->params, 0, MIME_FIELD_BYTES_MAX));
	struct mime_params params;
	arena_clear(&x->scratch);
	mime_params_take(&c, &x->scratch, &params);
	const struct mime_param *b = mime_param_find(&params, S("boundary"));
	struct slice boundary = b ? slice_trim_end(b->value) : SLICE_NONE; /* RFC 2046 5.1.1: does not end with a space */
	return boundary.len <= MIME_BOUNDARY_BYTES_MAX ? slice_keep(x->arena, boundary) : SLICE_NONE;
}

static bool
is_identity(const struct mime_part *part)
{
	return part->at.encoding <= FACTS_ENCODING_BINARY;
}

static bool
is_message(const struct mime_part *part)
{
	/* RFC 6532 3.7: message/global; encoded ones are leaves. */
	return slice_equal_nocase(part->type, S("message")) && is_identity(part) &&
	       (slice_equal_nocase(part->subtype, S("rfc822")) || slice_equal_nocase(part->subtype, S("global")));
}

/* Its header is known: what kind of thing it is. */
static void
set_kind(struct parser *x, struct mime_part *part, struct level *l)
{
	bool multipart = slice_equal_nocase(part->type, S("multipart"));
	bool message = is_message(part);
	if ((multipart || message) && x->nopen > MIME_DEPTH_MAX) {
		x->m->flags |= FACTS_CUT;
		part->type = S("application");
		part->subtype = S("octet-stream");
	} else if (multipart) {
		l->boundary = boundary_of(x, part);
		if (l->boundary.len) {
			x->nboundaries++;
			part->at.kind = FACTS_KIND_MULTIPART;
			if (!is_identity(part)) /* RFC 2045 6.4: not allowed, and never true */
				part->at.encoding = FACTS_ENCODING_7BIT;
		} else {
			part->type = S("text");
			part->subtype = S("plain");
			part->params = SLICE_NONE;
		}
	} else if (message) {
		part->at.kind = FACTS_KIND_MESSAGE;
	}
	if (part->at.kind == FACTS_KIND_SINGLE && slice_equal_nocase(part->type, S("text")))
		part->at.kind = FACTS_KIND_TEXT;
}

/* ---- lines */

static void
next_line(struct parser *x)
{
	const char *lf = memchr(x->p, '\n', (size_t)(x->end - x->p));
	x->lf += lf != NULL;
	x->p = lf ? lf + 1 : x->end;
}

/* The line at p, if it is a boundary of an open multipart: 1 + its level, and whether it is the last. RFC 2046 5.1.1:
 * it is enough that the line begins with it; where one boundary begins with another, the longer one is meant. */
static size_t
match_boundary(const struct parser *x, bool *last)
{
	if (x->nboundaries == 0 || x->end - x->p < 3 || x->p[0] != '-' || x->p[1] != '-')
		return 0;
	const char *text = x->p + 2;
	size_t room = (size_t)(x->end - text), best = 0, best_len = 0;
	for (size_t i = x->nopen; i-- > 0;) {
		struct slice b = x->open[i].boundary;
		if (b.len > best_len && b.len <= room && b.at[0] == text[0] && memcmp(b.at, text, b.len) == 0) {
			best = i + 1;
			best_len = b.len;
		}
	}
	if (best)
		*last = room - best_len >= 2 && text[best_len] == '-' && text[best_len + 1] == '-';
	return best;
}

static bool
is_empty_line(const struct parser *x)
{
	return *x->p == '\n' || (*x->p == '\r' && x->end - x->p > 1 && x->p[1] == '\n');
}

/* From the start of a header to behind its empty line, or to a boundary that comes before that. */
static void
scan_header(struct parser *x)
{
	struct level *l = innermost(x);
	const char *from = x->p;
	bool last;
	while (x->p < x->end && !is_empty_line(x) && !match_boundary(x, &last))
		next_line(x);
	const char *to = x->p;
	if (x->p < x->end && is_empty_line(x))
		next_line(x);
	struct mime_part *part = mime_part(x->m, l->part);
	part->at.body = offset(x, x->p);
	part->at.end = part->at.body;
	l->lf = x->lf;
	read_header(part, slice_of(from, (size_t)(to - from)));
	set_kind(x, part, l);
}

/* Lines of a body, up to a boundary or the end. */
static size_t
scan_body(struct parser *x, bool *last)
{
	if (x->nboundaries == 0) {
		x->lf += count_lf(x->p, x->end);
		x->p = x->end;
	}
	while (x->p < x->end) {
		size_t level = match_boundary(x, last);
		if (level)
			return level;
		next_line(x);
	}
	return 0;
}

static void
scan(struct parser *x)
{
	bool more = open_part(x);
	while (more) {
		scan_header(x);
		if (mime_part(x->m, innermost(x)->part)->at.kind == FACTS_KIND_MESSAGE) {
			more = open_part(x);
			continue;
		}
		for (bool last = true; last;) {
			size_t level = scan_body(x, &last);
			if (level == 0)
				return;
			close_parts(x, level, x->p, x->lf, true);
			next_line(x);
			if (last) {
				innermost(x)->boundary = SLICE_NONE; /* what follows is the epilogue */
				x->nboundaries--;
			}
		}
		more = open_part(x);
	}
}

static void
finish_leaves(struct parser *x)
{
	for (size_t i = 0; i < x->m->count; i++) {
		struct mime_part *part = mime_part(x->m, i);
		struct slice body = slice_of(x->start + part->at.body, part->at.end - part->at.body);
		bool leaf = part->at.kind == FACTS_KIND_SINGLE || part->at.kind == FACTS_KIND_TEXT;
		part->at.decoded = (uint32_t)(leaf ? transfer_decoded_bytes(part->at.encoding, body) : body.len);
	}
}

void
mime_parse(struct mime *m, struct slice message, struct arena *a)
{
	struct parser x = { .m = m, .arena = a };
	struct cursor all = cursor_of(message);
	ASSERT(message.len < UINT32_MAX);
	x.start = x.p = all.at;
	x.end = all.end;
	buf_clear(&m->parts);
	m->count = 0;
	m->flags = 0;
	arena_init(&x.scratch, 0);
	scan(&x);
	x.lf += count_lf(x.p, x.end);
	close_parts(&x, 0, x.end, x.lf, false);
	finish_leaves(&x);
	arena_release(&x.scratch);
}
