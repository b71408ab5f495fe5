/* SPDX-License-Identifier: Apache-2.0 */
/* parse_fuzz.c - the arguments of every command, as the grammar takes them. The first byte chooses the parser. */
#include "session/imap/parse.h"

#include "session/imap/match.h"
#include "session/imap/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
parse(uint8_t which, struct cursor *c, struct arena *a)
{
	struct imap_fetch fetch;
	struct imap_search search;
	struct imap_set set;
	struct imap_metadata metadata;
	struct imap_flags flags;
	struct slice s;
	bool valid;
	int64_t v;
	struct imap_notify notify;
	struct imap_url url;
	struct imap_annotations annotations;
	switch (which % 13) {
	case 0: (void)imap_take_fetch(c, a, &fetch); break;
	case 1: (void)imap_parse_search(c, a, &search); break;
	case 2: (void)imap_take_set(c, a, &set); break;
	case 3: (void)imap_take_store_flags(c, a, &flags); break;
	case 4:
		if (imap_take_mailbox(c, a, cursor_left(c) % 2 ? NAMES_UTF7 : NAMES_UTF8, &s, &valid))
			ASSERT(!valid || (slice_is_utf8(s) && s.len));
		break;
	case 5:
		if (imap_take_list_mailbox(c, a, cursor_left(c) % 2 ? NAMES_UTF7 : NAMES_UTF8, &s, &valid) && valid)
			(void)imap_match(s, S("INBOX/some/where"));
		break;
	case 6:
		if (!imap_take_date_time(c, &v))
			(void)imap_take_date(c, &v);
		break;
	case 7: (void)imap_take_notify(c, a, cursor_left(c) % 2 ? NAMES_UTF7 : NAMES_UTF8, &notify); break;
	case 8: (void)imap_take_getmetadata(c, a, NAMES_UTF8, &metadata); break;
	case 9: (void)imap_take_setmetadata(c, a, NAMES_UTF7, &metadata); break;
	case 10:
		if (imap_url_parse(cursor_rest(c), a, &url))
			ASSERT(url.uid && slice_is_utf8(url.mailbox) && (!url.absolute || url.host.len) &&
			       (!url.authorized || slice_starts(cursor_rest(c), url.rump)) && (url.verified || !url.token.len));
		break;
	case 12:
		if (imap_take_annotations(c, a, &annotations))
			ASSERT(annotations.n && annotations.n <= ANNOTATE_ENTRIES_MAX);
		break;
	default: (void)imap_is_append(cursor_rest(c), a);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > 65536)
		return 0;
	struct arena a;
	struct cursor c = cursor_of(slice_of(data + 1, size - 1));
	arena_init(&a, 0);
	parse(data[0], &c, &a);
	arena_release(&a);
	return 0;
}
