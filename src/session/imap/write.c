/* SPDX-License-Identifier: Apache-2.0 */
/* write.c - responses in the words of RFC 3501 9. They gather in im->text and go to the client with await_imap_text. */
#include "session/imap/imap.h"

#include "base/map.h"
#include "session/imap/mutf7.h"

void
await_imap_text(struct imap *im)
{
	ASSERT(!im->text.over);
	if (im->state != IMAP_NOT_AUTHENTICATED) /* a slow reader has this long for each piece, not for all of them */
		im->c->io.deadline_ms = deadline_in_ms(im->c->idle_ms);
	if (im->text.len)
		(void)await_put(&im->c->io, buf_slice(&im->text));
	buf_clear(&im->text);
}

void
imap_untagged(struct imap *im, struct slice text)
{
	buf_put(&im->text, S("* "));
	buf_put(&im->text, lang_response(im->language, text, &im->arena));
	buf_put(&im->text, S("\r\n"));
}

/* ---- strings */

/* Up to which character may it stand in quotes? */
static bool
fits_quotes(struct slice s, unsigned char last)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];
		if (c < 0x20 || c == 0x7f || c > last)
			return false;
	}
	return s.len < 1000;
}

static void
put_literal(struct buf *to, struct slice s)
{
	buf_printf(to, "{%zu}\r\n", s.len);
	buf_put(to, s);
}

static void
put_quoted(struct buf *to, struct slice s)
{
	buf_put_char(to, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] == '"' || s.at[i] == '\\')
			buf_put_char(to, '\\');
		buf_put_char(to, s.at[i]);
	}
	buf_put_char(to, '"');
}

void
imap_put_string(struct buf *to, struct slice s)
{
	if (fits_quotes(s, 0x7f))
		put_quoted(to, s);
	else
		put_literal(to, s);
}

void
imap_put_mailbox(const struct imap *im, struct buf *to, struct slice utf8)
{
	struct buf wire;
	if (imap_utf8_accept(im)) { /* RFC 6855 3: only to those who asked for it */
		if (fits_quotes(utf8, 0xff))
			put_quoted(to, utf8);
		else
			put_literal(to, utf8);
		return;
	}
	buf_init(&wire, 16000);
	mutf7_encode(utf8, &wire);
	imap_put_string(to, buf_slice(&wire));
	buf_release(&wire);
}

/* ---- flags */

static const struct {
	uint32_t flag;
	struct slice word;
} flag_words[] = {
	{ MESSAGE_ANSWERED, S_ROW("\\Answered ") }, { MESSAGE_FLAGGED, S_ROW("\\Flagged ") },
	{ MESSAGE_DELETED, S_ROW("\\Deleted ") },   { MESSAGE_SEEN, S_ROW("\\Seen ") },
	{ MESSAGE_DRAFT, S_ROW("\\Draft ") },       { VIEW_RECENT, S_ROW("\\Recent ") },
};

void
imap_put_flags(struct imap *im, struct buf *to, const struct index_row *row)
{
	buf_put_char(to, '(');
	size_t start = to->len;
	uint32_t flags = imap_rev2(im) ? row->flags & ~(uint32_t)VIEW_RECENT : row->flags; /* RFC 9051 E.12 */
	for (size_t i = 0; i < COUNT_OF(flag_words); i++)
		if (flags & flag_words[i].flag)
			buf_put(to, flag_words[i].word);
	const struct slice *names = row->keyword_set ? view_keywords_get(&im->view, row->keyword_set) : NULL;
	if (names && names->len)
		buf_put(to, *names);
	else if (to->len > start)
		buf_drop_end(to, 1);
	buf_put_char(to, ')');
}

#define KEYWORDS_BYTES_MAX (64u << 10) /* of one response: clients only use it as a hint */

/* All keywords that messages of the mailbox have, each once. */
static void
put_all_keywords(struct imap *im)
{
	struct map seen = { 0 };
	size_t end = im->text.len + KEYWORDS_BYTES_MAX;
	for (size_t i = 0; i < im->view.nkeywords; i++) {
		struct slice name, rest = im->view.keywords[i].names;
		bool more = rest.len > 0;
		while (more) {
			more = slice_cut(rest, ' ', &name, &rest);
			if (!name.len || im->text.len + name.len > end || map_set(&seen, slice_hash_nocase(name), im))
				continue;
			buf_put_char(&im->text, ' ');
			buf_put(&im->text, name);
		}
	}
	map_release(&seen);
}

void
imap_put_flags_response(struct imap *im, bool permanent)
{
	buf_put(&im->text, permanent ? S("* OK [PERMANENTFLAGS (") : S("* FLAGS ("));
	/* RFC 4314 5.1.1: those that the client may change */
	uint32_t rights = !permanent ? ACL_ALL : im->view.read_only ? 0 : im->view.rights;
	buf_put(&im->text, rights & ACL_WRITE ? S("\\Answered \\Flagged ") : S(""));
	buf_put(&im->text, rights & ACL_DELETE_MESSAGE ? S("\\Deleted ") : S(""));
	buf_put(&im->text, rights & ACL_SEEN ? S("\\Seen ") : S(""));
	buf_put(&im->text, rights & ACL_WRITE ? S("\\Draft ") : S(""));
	if (rights & ACL_FLAGS)
		buf_drop_end(&im->text, 1);
	if (rights & ACL_WRITE) {
		put_all_keywords(im);
		buf_put(&im->text, permanent ? S(" \\*") : S(""));
	}
	buf_put(&im->text, permanent ? S(")] flags that stay\r\n") : S(")\r\n"));
}

void
imap_put_fetch(struct imap *im, struct buf *to, size_t index)
{
	bool uids = imap_uidonly(im);
	buf_put(to, S("* "));
	buf_put_u64(to, uids ? im->view.rows[index].uid : (uint64_t)index + 1);
	buf_put(to, uids ? S(" UIDFETCH (") : S(" FETCH ("));
}

void
imap_put_flag_update(struct imap *im, size_t index, bool with_uid)
{
	struct index_row *row = &im->view.rows[index];
	struct buf *to = &im->text;
	imap_put_fetch(im, to, index);
	bool with_modseq = im->enabled & ENABLED_CONDSTORE;
	if ((with_uid || with_modseq || imap_rev2(im)) && !imap_uidonly(im)) { /* RFC 7162 3.2.4, RFC 9051 7.5.2 */
		buf_put(to, S("UID "));
		buf_put_u64(to, row->uid);
		buf_put_char(to, ' ');
	}
	buf_put(to, S("FLAGS "));
	imap_put_flags(im, to, row);
	if (with_modseq) {
		buf_put(to, S(" MODSEQ ("));
		buf_put_u64(to, row->modseq);
		buf_put_char(to, ')');
	}
	buf_put(to, S(")\r\n"));
	view_clean(&im->view, row);
}

void
imap_put_modseq_update(struct imap *im, size_t index)
{
	struct index_row *row = &im->view.rows[index];
	imap_put_fetch(im, &im->text, index);
	if (!imap_uidonly(im))
		buf_printf(&im->text, "UID %u ", row->uid);
	buf_printf(&im->text, "MODSEQ (%llu))\r\n", (unsigned long long)row->modseq);
	view_clean(&im->view, row);
}

void
imap_put_highest(struct imap *im)
{
	buf_printf(&im->text, "* OK [HIGHESTMODSEQ %llu] changes up to there are known\r\n",
	           (unsigned long long)im->view.told_modseq);
}

/* ---- sets */

void
imap_put_set(struct buf *to, struct slice uids)
{
	for (size_t i = 0; i < uids.len; i += 4) {
		uint32_t first = (uint32_t)bytes_get_le(uids.at + i, 4), last = first;
		while (i + 8 <= uids.len && bytes_get_le(uids.at + i + 4, 4) == (uint64_t)last + 1) {
			last++;
			i += 4;
		}
		buf_put_u64(to, first);
		if (last != first) {
			buf_put_char(to, ':');
			buf_put_u64(to, last);
		}
		buf_put_char(to, ',');
	}
	if (uids.len)
		buf_drop_end(to, 1);
}

/* ---- object identifiers */

void
imap_put_mailbox_id(struct buf *to, uint64_t account, uint64_t mailbox)
{
	buf_printf(to, "F%llx-%llx", (unsigned long long)account, (unsigned long long)mailbox);
}

void
imap_put_email_id(struct buf *to, uint64_t object)
{
	buf_printf(to, "M%llx", (unsigned long long)object);
}
