/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_select.c - SELECT, EXAMINE, CLOSE, UNSELECT: makes the view of a mailbox, and drops it. */
#include "session/imap/imap.h"

#include <unistd.h>

enum { FIRST_BLOCK_BYTES = 64 << 10 }; /* 1,638 messages; larger mailboxes take a second and larger block */

static void
start_view(struct view *v, const struct store_mailbox *m, struct slice name, bool read_only)
{
	/* RFC 4314 5.2: READ-ONLY where nothing can be changed */
	bool changes = m->rights & (ACL_FLAGS | ACL_INSERT | ACL_EXPUNGE | ACL_ANNOTATE);
	v->mailbox = m->id;
	v->account = m->account;
	v->name = slab_dup(name);
	v->name_bytes = name.len;
	v->read_only = read_only || !changes;
	v->examined = read_only;
	v->rights = m->rights;
	v->url_resets = m->url_resets;
	v->uidvalidity = m->uidvalidity;
	v->uidnext = m->uidnext;
	v->modseq = v->told_modseq = m->modseq; /* of the first page: what changes from here on comes as a change */
	v->tells_modseqs = false;
}

/* The rows that the store shares with all who open the mailbox; they may be older than its answer. */
static enum err
await_shared(struct imap *im, const struct store_mailbox_open_out *out)
{
	struct view *v = &im->view;
	bool mapped = out->shared_rows && view_share(v, out->shared, out->shared_rows);
	close(out->shared);
	if (!mapped)
		return ERR_AGAIN;
	v->modseq = out->shared_modseq;
	v->keywords_missing = out->keyword_sets > 0;
	enum err e = v->modseq < out->mailbox.modseq ? await_imap_catch_up(im) : OK;
	view_begin(v, out->first_recent);
	v->told_modseq = v->modseq;
	return e;
}

/* One page of rows, from uid *from on; *from is 0 after the last. */
static enum err
await_page(struct imap *im, struct slice name, bool read_only, uint32_t *from)
{
	struct view *v = &im->view;
	size_t got;
	char *block =
	    await_imap_block(im, *from == 1 ? (size_t)FIRST_BLOCK_BYTES : SHM_BLOCK_BYTES_MAX, SHM_BLOCK_BYTES_MIN, &got);
	if (!block)
		return ERR_AGAIN;
	/* only the first page claims what is \Recent */
	struct store_mailbox_open_in in = {
		.name = name,
		.from_uid = *from,
		.write = !read_only && *from == 1,
		.into = imap_region(im, block, got),
		.share = *from == 1,
	};
	struct store_mailbox_open_out out = { .shared = -1 };
	enum err e = await_imap_ask_selected(im, mailbox_open, &in, &im->arena, &out);
	if (e == OK && *from != 1 && out.mailbox.id != v->mailbox)
		e = ERR_AGAIN; /* renamed under our hands */
	if (e == OK && out.shared >= 0) {
		start_view(v, &out.mailbox, name, read_only);
		e = await_shared(im, &out);
		*from = 0;
	} else if (e == OK) {
		if (*from == 1)
			start_view(v, &out.mailbox, name, read_only);
		else if (out.mailbox.modseq != v->modseq)
			im->changed = true; /* later pages are ahead of the first */
		view_load(v, (const void *)block, MIN(out.filled, got) / INDEX_ROW_BYTES, *from == 1 ? out.first_recent : 0);
		*from = out.more && out.filled && view_uid_last(v) < UINT32_MAX ? view_uid_last(v) + 1 : 0;
	}
	shm_free(im->c->session->shm, block);
	return e;
}

static enum err
await_view(struct imap *im, struct slice name, bool read_only)
{
	uint32_t from = 1;
	enum err e = OK;
	while (from && e == OK)
		e = await_page(im, name, read_only, &from);
	return e;
}

enum err
await_imap_view(struct imap *im, struct slice name)
{
	struct imap_place p;
	enum err e = await_imap_place(im, name, &p);
	im->owner = p.owner;
	return e ? e : await_view(im, p.name, true);
}

/* RFC 3501 6.3.1: what the client must be told, and what is useful to it */
static void
put_selected(struct imap *im)
{
	struct view *v = &im->view;
	size_t unseen = 0;
	while (unseen < v->count && (v->rows[unseen].flags & MESSAGE_SEEN))
		unseen++;
	imap_put_flags_response(im, false);
	buf_printf(&im->text, "* %zu EXISTS\r\n", v->count);
	if (!imap_rev2(im)) /* RFC 9051 E.11, E.12: without RECENT and UNSEEN */
		buf_printf(&im->text, "* %u RECENT\r\n", v->recent);
	if (unseen < v->count && !imap_rev2(im) && !imap_uidonly(im))
		buf_printf(&im->text, "* OK [UNSEEN %zu] the first of them\r\n", unseen + 1);
	imap_put_flags_response(im, true);
	buf_printf(&im->text, "* OK [UIDNEXT %u] the next UID\r\n* OK [UIDVALIDITY %u] UIDs are good\r\n", v->uidnext,
	           v->uidvalidity);
	buf_put(&im->text, S("* OK [MAILBOXID (")); /* RFC 8474 4.2 */
	imap_put_mailbox_id(&im->text, v->account, v->mailbox);
	buf_put(&im->text, S(")] its identifier\r\n"));
	imap_put_highest(im);
	imap_put_annotations_level(im);
	imap_untagged(im, S("OK [URLMECH INTERNAL] URLs can be signed")); /* RFC 4467 8 */
	v->told = v->count;
	v->told_recent = v->recent;
}

/* The UID up to which pairs of number and UID agree with the mailbox: up to there nothing went that the client does not
 * know of (RFC 7162 3.2.5.2). */
static uint32_t
known_up_to(const struct view *v, const struct imap_select *s)
{
	uint32_t known = 0;
	size_t r = 0, at = 0;
	for (size_t i = 0; i < s->match_numbers.count; i++) {
		const struct imap_range *numbers = &s->match_numbers.ranges[i];
		for (uint64_t n = numbers->low; n <= numbers->high; n++) {
			if (r == s->match_uids.count || n > v->count)
				return known;
			uint32_t uid = s->match_uids.ranges[r].low + (uint32_t)at;
			if (v->rows[n - 1].uid != uid)
				return known;
			known = uid;
			at++;
			if (uid == s->match_uids.ranges[r].high) {
				at = 0;
				r++;
			}
		}
	}
	return known;
}

/* RFC 7162 3.2.5: what changed and went since the client was here last */
static enum err
await_resync(struct imap *im, const struct imap_select *s)
{
	if (!s->qresync || s->uidvalidity != im->view.uidvalidity)
		return OK;
	struct resync r = { .since = s->since, .set = s->known ? &s->known_uids : NULL };
	r.known_up_to = known_up_to(&im->view, s);
	enum err e = await_imap_vanished(im, &r);
	if (e == OK)
		await_imap_changed(im, &r);
	return e;
}

static struct imap_reply
await_select(struct imap *im, struct cursor *args, bool read_only)
{
	struct slice name, supplied;
	struct imap_select s;
	bool valid;
	if (!imap_take_space(args) ||
	    !imap_take_supplied_mailbox(args, &im->arena, imap_names(im), &name, &supplied, &valid) ||
	    !imap_take_select_params(args, &im->arena, &s) || !take_end(args))
		return imap_bad("SELECT and EXAMINE take a mailbox name, and perhaps parameters");
	if (s.qresync && !(im->enabled & ENABLED_QRESYNC))
		return imap_bad("ENABLE QRESYNC comes first");
	if (s.match_numbers.count && imap_uidonly(im)) /* RFC 9586 3.7 */
		return imap_bad_numbers();
	if (im->state == IMAP_SELECTED) /* RFC 7162 3.2.11 */
		imap_untagged(im, S("OK [CLOSED] the mailbox that was selected"));
	imap_unselect(im); /* RFC 3501 6.3.1: whether it succeeds or not */
	imap_enable(im, s.condstore || s.qresync ? ENABLED_CONDSTORE : 0);
	if (!valid)
		return imap_no("NONEXISTENT", "no mailbox can have that name");
	struct imap_place p;
	enum err e = await_imap_place(im, name, &p);
	im->owner = p.owner;
	if (e == OK && p.owner) /* before its pages are read: no change is missed */
		imap_hear_owner(im, p.owner);
	e = e ? e : await_view(im, p.name, read_only);
	if (e != OK) {
		imap_unselect(im);
		return imap_err(e);
	}
	im->state = IMAP_SELECTED;
	im->view.tells_modseqs = im->enabled & ENABLED_CONDSTORE;
	im->view.annotations.wanted = s.annotate;
	im->view.annotations.told = im->view.modseq;
	im->view.annotations.known = view_uid_last(&im->view);
	await_imap_keywords(im, false);
	put_selected(im);
	e = imap_rev2(im) ? await_imap_put_list(im, &p, name, supplied) : OK; /* RFC 9051 6.3.2 */
	if (e == OK)
		e = await_resync(im, &s);
	if (e != OK) {
		imap_unselect(im);
		return imap_err(e);
	}
	return imap_ok_code(im->view.read_only ? S("READ-ONLY") : S("READ-WRITE"), "selected");
}

struct imap_reply
imap_cmd_select(struct imap *im, struct cursor *args)
{
	return await_select(im, args, false);
}

/* RFC 3501 6.3.2 */
struct imap_reply
imap_cmd_examine(struct imap *im, struct cursor *args)
{
	return await_select(im, args, true);
}

/* RFC 3501 6.4.2: expunges without telling, unless the mailbox was opened for reading only */
struct imap_reply
imap_cmd_close(struct imap *im, struct cursor *args)
{
	if (!take_end(args))
		return imap_bad("CLOSE takes no arguments");
	bool more = !im->view.read_only;
	enum err e = OK;
	while (more) {
		struct store_message_expunge_in in = { .mailbox = im->view.mailbox };
		struct store_message_expunge_out out = { 0 };
		e = await_imap_ask_selected(im, message_expunge, &in, &im->arena, &out);
		more = e == OK && out.more;
	}
	imap_unselect(im);
	if (e != OK && e != ERR_NOT_FOUND && e != ERR_DENIED) /* RFC 4314 4: without the right e it only closes */
		return imap_err(e);
	return imap_ok("closed");
}

/* RFC 3691 2 */
struct imap_reply
imap_cmd_unselect(struct imap *im, struct cursor *args)
{
	if (!take_end(args))
		return imap_bad("UNSELECT takes no arguments");
	imap_unselect(im);
	return imap_ok("no mailbox is selected now");
}
