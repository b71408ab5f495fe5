/* SPDX-License-Identifier: Apache-2.0 */
/* sync.c - tells the client what happened in the selected mailbox: EXISTS, RECENT, EXPUNGE, FETCH FLAGS (RFC 3501 7.3,
 * 7.4). Called at the end of commands and while the client idles. EXPUNGE waits until the command allows it (7.4.1). */
#include "session/imap/context.h"
#include "session/imap/notify.h"

#include "base/log.h"

enum {
	CHANGES_BYTES = 256 << 10,
	CHANGES_BYTES_MIN = 64 << 10, /* what one commit changed comes in one answer: up to 1,024 rows */
	TEXT_BYTES = 32 << 10,        /* responses that are gathered before they are handed to the stream */
};

void
imap_unselect(struct imap *im)
{
	struct imap_owner *owner = im->owner;
	contexts_end(im); /* RFC 5267 4.3 */
	im->nown = 0;
	view_release(&im->view);
	im->owner = NULL;
	if (owner)
		imap_hear_owner(im, owner);
	im->changed = false;
	if (im->state == IMAP_SELECTED)
		im->state = IMAP_AUTHENTICATED;
}

/* ---- keywords */

void
await_imap_keywords(struct imap *im, bool tell)
{
	struct view *v = &im->view;
	if (!v->keywords_missing)
		return;
	size_t known = v->nkeywords;
	struct store_keyword_sets_in in = { .mailbox = v->mailbox };
	struct store_keyword_sets_out out = { 0 };
	if (await_imap_ask_selected(im, keyword_sets, &in, &im->arena, &out) != OK)
		return; /* asked again with the next rows */
	for (uint32_t i = 0; i < out.nsets; i++)
		view_keywords_set(v, out.sets[i].id, out.sets[i].names);
	v->keywords_missing = false;
	if (tell && v->nkeywords > known)
		imap_put_flags_response(im, false);
}

/* ---- what changed */

/* Messages that are new stop being \Recent for others; says from which uid on they are for us. */
static uint32_t
await_claim_recent(struct imap *im, uint32_t from)
{
	struct view *v = &im->view;
	if (v->read_only)
		return 0;
	struct store_mailbox_open_in in = { .name = slice_of(v->name, v->name_bytes), .from_uid = from, .write = true };
	struct store_mailbox_open_out out = { 0 };
	if (await_imap_ask_selected(im, mailbox_open, &in, &im->arena, &out) != OK || out.mailbox.id != v->mailbox)
		return 0;
	return out.first_recent;
}

static void
await_apply(struct imap *im, const char *block, size_t bytes)
{
	struct view *v = &im->view;
	const struct index_row *rows = (const void *)block;
	size_t n = bytes / INDEX_ROW_BYTES;
	uint32_t first_recent = 0;
	if (n && rows[n - 1].uid > view_uid_last(v))
		first_recent = await_claim_recent(im, view_uid_last(v) + 1);
	view_apply_rows(v, rows, n, first_recent);
}

/* The log does not reach back far enough: compare with all rows that there are. */
static enum err
await_whole(struct imap *im, char *block, size_t got)
{
	struct view *v = &im->view;
	uint32_t first = 1;
	bool more = true;
	while (more) {
		struct store_mailbox_open_in in = { .name = slice_of(v->name, v->name_bytes),
			                                .from_uid = first,
			                                .into = imap_region(im, block, got) };
		struct store_mailbox_open_out out = { 0 };
		enum err e = await_imap_ask_selected(im, mailbox_open, &in, &im->arena, &out);
		if (e == OK && out.mailbox.id != v->mailbox)
			e = ERR_NOT_FOUND;
		if (e != OK)
			return e;
		const struct index_row *rows = (const void *)block;
		size_t n = MIN(out.filled, got) / INDEX_ROW_BYTES;
		more = out.more && n;
		uint32_t last = more ? rows[n - 1].uid : UINT32_MAX;
		view_apply_whole(v, rows, n, first, last);
		first = last + 1;
		v->modseq = out.mailbox.modseq;
	}
	return OK;
}

/* RFC 4314 5.1.1: flags that may be changed are others now. */
static void
tell_rights(struct imap *im, uint32_t rights)
{
	uint32_t was = im->view.rights;
	im->view.rights = rights;
	if ((was ^ rights) & ACL_FLAGS) {
		imap_put_flags_response(im, false);
		imap_put_flags_response(im, true);
	}
}

void
imap_stored(struct imap *im, uint64_t was, uint64_t now)
{
	if (im->view.modseq == was)
		im->view.modseq = now;
	else if (im->enabled & ENABLED_CONDSTORE)
		im->changed = true; /* RFC 7162 3.2: what others did before must not be lost behind our change numbers */
}

/* Did somebody change the selected mailbox, or may have? Our own changes are in the view already. */
static bool
may_have_changed(const struct imap *im)
{
	const struct conn *c = im->c;
	const struct view *v = &im->view;
	bool known = c->changes && c->changed_account == v->account && c->changed_mailbox == v->mailbox &&
	             c->changed_modseq <= v->modseq;
	return im->changed || (c->changes && !known);
}

/* RFC 4467 7: another session of this user reset the key of this mailbox. */
static void
tell_url_reset(struct imap *im, uint64_t resets)
{
	if (resets && resets != im->view.url_resets)
		imap_untagged(im, S("OK [URLMECH INTERNAL] URLs that were signed are good no longer"));
	im->view.url_resets = resets;
}

static enum err
await_changes(struct imap *im, char *block, size_t got)
{
	struct view *v = &im->view;
	bool more = true;
	while (more) {
		struct store_mailbox_changes_in in = {
			.mailbox = v->mailbox, .since = v->modseq, .known = view_uid_last(v), .into = imap_region(im, block, got)
		};
		struct store_mailbox_changes_out out = { 0 };
		enum err e = await_imap_ask_selected(im, mailbox_changes, &in, &im->arena, &out);
		if (e != OK)
			return e;
		if (out.whole)
			return await_whole(im, block, got);
		await_apply(im, block, MIN(out.filled, got));
		view_apply_vanished(v, out.vanished);
		more = out.more && out.upto > v->modseq;
		v->modseq = MAX(v->modseq, out.upto);
		v->uidnext = out.mailbox.uidnext;
		tell_rights(im, out.mailbox.rights);
		tell_url_reset(im, out.mailbox.url_resets);
	}
	return OK;
}

enum err
await_imap_catch_up(struct imap *im)
{
	size_t got;
	char *block = await_imap_block(im, CHANGES_BYTES, CHANGES_BYTES_MIN, &got);
	if (!block)
		return ERR_AGAIN;
	enum err e = await_changes(im, block, got);
	shm_free(im->c->session->shm, block);
	return e;
}

static void
await_look(struct imap *im)
{
	size_t got;
	char *block = await_imap_block(im, CHANGES_BYTES, CHANGES_BYTES_MIN, &got);
	if (!block)
		return;
	im->changed = false;
	enum err e = await_changes(im, block, got);
	shm_free(im->c->session->shm, block);
	if (e == ERR_NOT_FOUND) { /* RFC 2180 3.3: deleted by another session */
		imap_untagged(im, S("BYE the selected mailbox was deleted"));
		im->ended = true;
	} else if (e == ERR_DENIED) { /* RFC 4314 5.1.1 */
		imap_untagged(im, S("BYE you may not read the selected mailbox any more"));
		im->ended = true;
	} else if (e != OK) {
		im->changed = true; /* at the end of the next command */
	}
}

/* ---- telling */

void
await_imap_exists(struct imap *im)
{
	struct view *v = &im->view;
	if (v->told != v->count)
		buf_printf(&im->text, "* %zu EXISTS\r\n", v->count);
	v->told = v->count;
	if (v->told_recent != v->recent && !imap_rev2(im))
		buf_printf(&im->text, "* %u RECENT\r\n", v->recent);
	v->told_recent = v->recent;
	await_imap_text(im);
}

enum { VANISHED_UIDS = 4096 }; /* of one response */

/* RFC 7162 3.2.10: UIDs instead of numbers, only of messages that the client was told of. */
static void
await_put_vanished(struct imap *im)
{
	struct view *v = &im->view;
	char uids[4 * VANISHED_UIDS];
	size_t n = 0;
	for (size_t i = v->marked_from; i < v->marked_end; i++) {
		if (v->rows[i].flags & VIEW_GONE)
			bytes_set_le(uids + 4 * n++, v->rows[i].uid, 4);
		if (n == VANISHED_UIDS || (n && i + 1 == v->marked_end)) {
			buf_put(&im->text, S("* VANISHED "));
			imap_put_set(&im->text, slice_of(uids, 4 * n));
			buf_put(&im->text, S("\r\n"));
			n = 0;
			await_imap_text(im);
		}
	}
}

/* From the last to the first, so that no number changes under another. */
static void
await_put_expunges(struct imap *im)
{
	struct view *v = &im->view;
	for (size_t seq = v->count + 1; (seq = view_next_gone(v, seq - 1)) != 0;) {
		buf_put(&im->text, S("* "));
		buf_put_u64(&im->text, seq);
		buf_put(&im->text, S(" EXPUNGE\r\n"));
		if (im->text.len > TEXT_BYTES)
			await_imap_text(im);
	}
}

static void
await_expunges(struct imap *im)
{
	struct view *v = &im->view;
	if (im->enabled & (ENABLED_QRESYNC | ENABLED_UIDONLY)) /* RFC 9586 3.4 */
		await_put_vanished(im);
	else
		await_put_expunges(im);
	view_close_gaps(v);
	v->told = v->count;
}

static void
await_flag_updates(struct imap *im)
{
	struct view *v = &im->view;
	for (size_t i = v->marked_from; v->dirty && i < v->marked_end; i++) {
		if ((v->rows[i].flags & (VIEW_DIRTY | VIEW_GONE)) == VIEW_DIRTY)
			imap_put_flag_update(im, i, im->by_uid || im->notify); /* RFC 5465 5.1 */
		if (im->text.len > TEXT_BYTES)
			await_imap_text(im);
	}
	await_imap_text(im);
}

void
await_imap_sync(struct imap *im, uint32_t how)
{
	struct view *v = &im->view;
	uint32_t events = imap_events_selected(im);
	if (im->state != IMAP_SELECTED || im->ended)
		return;
	/* RFC 5465 3.1: who does not want to hear of new messages keeps the mailbox as it was */
	if ((events & EVENT_NEW) && ((how & SYNC_ASK) || may_have_changed(im)))
		await_look(im);
	await_imap_keywords(im, true);
	size_t told = v->told;
	await_imap_exists(im);
	if (v->dirty > 0 && (events & EVENT_FLAGS))
		await_flag_updates(im);
	await_imap_annotation_news(im, events);
	await_imap_contexts(im, told);
	im->nown = 0;
	if (v->gone && (how & SYNC_EXPUNGES)) {
		await_expunges(im);
		await_imap_exists(im);
	}
	if (!v->gone && !v->dirty && !im->changed)
		v->told_modseq = v->modseq;
}

struct imap_reply
await_imap_expunged(struct imap *im, bool some, const char *text)
{
	im->changed = true; /* others may have expunged in between: told with ours */
	if (!some || !(im->enabled & ENABLED_QRESYNC))
		return imap_ok(text);
	await_imap_sync(im, SYNC_ASK | SYNC_EXPUNGES);
	return imap_ok_code(arena_printf(&im->arena, "HIGHESTMODSEQ %llu", (unsigned long long)im->view.told_modseq), text);
}
