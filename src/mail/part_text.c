/* SPDX-License-Identifier: Apache-2.0 */
/* part_text.c - from the bytes of a part to its text. Called by preview, match and whoever keeps text for search. */
#include "mail/part_text.h"

#include "mail/charset.h"
#include "mail/header.h"
#include "mail/html_text.h"
#include "mail/mime_param.h"
#include "mail/office_text.h"
#include "mail/transfer.h"

static struct slice
param_value(struct slice params, struct slice name, struct arena *a)
{
	struct cursor c = cursor_of(slice_part(params, 0, MIME_FIELD_BYTES_MAX));
	struct mime_params p;
	mime_params_take(&c, a, &p);
	const struct mime_param *row = mime_param_find(&p, name);
	return row ? row->value : SLICE_NONE;
}

bool
part_is_html(const struct mime_part *part)
{
	return part->at.kind == FACTS_KIND_TEXT && slice_equal_nocase(part->subtype, S("html"));
}

/* By the parameter name or the disposition's filename, where senders write it. */
static bool
is_office(const struct mime_part *part)
{
	if (part->at.kind != FACTS_KIND_SINGLE || !slice_equal_nocase(part->type, S("application")))
		return false;
	struct arena a;
	arena_init(&a, 0);
	struct cursor c = cursor_of(part->disposition);
	struct slice word, name = part->params.len ? param_value(part->params, S("name"), &a) : SLICE_NONE;
	header_skip_cfws(&c);
	if (name.len == 0 && mime_take_token(&c, &word))
		name = param_value(cursor_rest(&c), S("filename"), &a);
	bool is = office_is(part->subtype, name);
	arena_release(&a);
	return is;
}

bool
part_has_text(const struct mime_part *part)
{
	return part->at.kind == FACTS_KIND_TEXT || is_office(part);
}

bool
part_is_attachment(const struct mime_part *part)
{
	struct cursor c = cursor_of(part->disposition);
	struct slice word = SLICE_NONE;
	header_skip_cfws(&c);
	if (mime_take_token(&c, &word) && !slice_equal_nocase(word, S("inline")))
		return true; /* RFC 2183 2.8: unknown dispositions are attachments */
	struct arena a;
	arena_init(&a, 0);
	bool named = part->disposition.len && param_value(cursor_rest(&c), S("filename"), &a).len > 0;
	named = named || (part->params.len && param_value(part->params, S("name"), &a).len > 0);
	arena_release(&a);
	return named && !slice_equal_nocase(word, S("inline"));
}

void
part_text_put(struct buf *to, const struct mime_part *part, struct slice message, size_t bytes, struct buf *scratch,
              size_t *office_work)
{
	struct slice body = slice_part(message, part->at.body, MIN(part->at.end - part->at.body, bytes));
	struct arena a;
	arena_init(&a, 0);
	struct slice charset = part->params.len ? param_value(part->params, S("charset"), &a) : SLICE_NONE;
	if (part->at.encoding == FACTS_ENCODING_BASE64 || part->at.encoding == FACTS_ENCODING_QP) {
		buf_clear(scratch);
		transfer_decode(part->at.encoding, body, scratch);
		body = buf_slice(scratch);
	}
	if (part->at.kind != FACTS_KIND_TEXT) {
		office_text_put(to, body, office_work);
	} else if (part_is_html(part)) {
		struct buf html;
		buf_init(&html, 4 * body.len + 16);
		charset_put(&html, charset, body);
		html_text_put(to, buf_slice(&html));
		buf_release(&html);
	} else {
		charset_put(to, charset, body);
	}
	buf_clear(scratch);
	arena_release(&a);
}
