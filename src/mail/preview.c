/* SPDX-License-Identifier: Apache-2.0 */
/* preview.c - RFC 8970. Called by facts. Looks at the first bytes of one part only. */
#include "mail/preview.h"

#include "mail/charset.h"
#include "mail/part_text.h"

#define PLAIN_BYTES 2048 /* of the encoded part; HTML begins with much that is no text */
#define HTML_BYTES (16u << 10)
#define PARTS_LOOKED_AT 100

/* NULL: no text at all. */
static const struct mime_part *
find_text(const struct mime *m)
{
	const struct mime_part *html = NULL;
	for (size_t i = 0; i < MIN(m->count, (size_t)PARTS_LOOKED_AT); i++) {
		const struct mime_part *part = mime_part(m, i);
		bool plain = part->at.kind == FACTS_KIND_TEXT && slice_equal_nocase(part->subtype, S("plain"));
		if (!plain && (html || !part_is_html(part)))
			continue;
		if (i > 0 && part_is_attachment(part))
			continue;
		if (plain)
			return part;
		html = part;
	}
	return html;
}

struct preview {
	struct buf *to;
	size_t chars;
	bool space; /* one is due */
};

static bool
put_char(struct preview *p, struct slice c)
{
	if (p->space && p->chars > 0) {
		if (p->chars + 1 >= PREVIEW_CHARS_MAX)
			return false;
		buf_put_char(p->to, ' ');
		p->chars++;
	}
	p->space = false;
	buf_put(p->to, c);
	return ++p->chars < PREVIEW_CHARS_MAX;
}

static bool
put_line(struct preview *p, struct slice line)
{
	p->space = true;
	while (line.len > 0) {
		size_t n = (unsigned char)line.at[0] < 0x80 ? 1 : MAX(utf8_char_bytes(line), (size_t)1);
		struct slice c = slice_part(line, 0, n);
		line = slice_from(line, n);
		if (n == 1 && ((unsigned char)c.at[0] <= ' ' || c.at[0] == 0x7f))
			p->space = true;
		else if (!put_char(p, c))
			return false;
	}
	return true;
}

void
preview_put(struct buf *to, const struct mime *m, struct slice message)
{
	const struct mime_part *part = find_text(m);
	if (!part)
		return;
	struct buf text, scratch;
	size_t bytes = part_is_html(part) ? HTML_BYTES : PLAIN_BYTES;
	bool whole = part->at.end - part->at.body <= bytes;
	buf_init(&text, 4 * bytes);
	buf_init(&scratch, bytes + 16);
	part_text_put(&text, part, message, bytes, &scratch, NULL);
	struct slice rest = buf_slice(&text), line;
	if (!whole) /* the last character may be cut */
		while (rest.len > 0 && slice_ends(rest, S("\xef\xbf\xbd")))
			rest.len -= 3;
	struct preview p = { .to = to };
	for (bool more = true; more && rest.len > 0;) {
		slice_cut(rest, '\n', &line, &rest);
		if (!slice_starts(line, S(">")))
			more = put_line(&p, line);
	}
	buf_release(&text);
	buf_release(&scratch);
}
