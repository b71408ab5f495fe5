/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_mailbox.c - CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE: the store does all of it. */
#include "session/imap/notify.h"

static const struct {
	struct slice word;
	uint32_t bit;
} special_uses[] = {
	/* RFC 6154 2 */
	{ S_ROW("\\All"), MAILBOX_SPECIAL_ALL },       { S_ROW("\\Archive"), MAILBOX_SPECIAL_ARCHIVE },
	{ S_ROW("\\Drafts"), MAILBOX_SPECIAL_DRAFTS }, { S_ROW("\\Flagged"), MAILBOX_SPECIAL_FLAGGED },
	{ S_ROW("\\Junk"), MAILBOX_SPECIAL_JUNK },     { S_ROW("\\Sent"), MAILBOX_SPECIAL_SENT },
	{ S_ROW("\\Trash"), MAILBOX_SPECIAL_TRASH },
};

struct slice
imap_special_uses(struct arena *a, uint32_t attributes)
{
	struct slice all = SLICE_NONE;
	for (size_t i = 0; i < COUNT_OF(special_uses); i++)
		if (attributes & special_uses[i].bit)
			all = all.len ? arena_join(a, arena_join(a, all, S(" ")), special_uses[i].word) : special_uses[i].word;
	return all;
}

static bool take_use(struct cursor *c, uint32_t *special, bool *known);

bool
imap_parse_special_uses(struct slice text, uint32_t *special)
{
	struct cursor c = cursor_of(text);
	bool known = true;
	do {
		if (!take_use(&c, special, &known))
			return false;
	} while (imap_take_space(&c));
	return known && take_end(&c);
}

static bool
take_use(struct cursor *c, uint32_t *special, bool *known)
{
	const char *start = c->at;
	struct slice word;
	if (!take_char(c, '\\') || !imap_take_atom(c, &word))
		return false;
	word = slice_of(start, (size_t)(c->at - start));
	for (size_t i = 0; i < COUNT_OF(special_uses); i++) {
		if (slice_equal_nocase(word, special_uses[i].word)) {
			*special |= special_uses[i].bit;
			return true;
		}
	}
	*known = false;
	return true;
}

/* RFC 6154 6: SP "(USE (" [use-attr *(SP use-attr)] "))" */
static bool
take_create_params(struct cursor *c, uint32_t *special, bool *known)
{
	if (!imap_take_space(c))
		return true;
	if (!take_nocase(c, S("(USE (")))
		return false;
	if (take_exact(c, S("))")))
		return true;
	do {
		if (!take_use(c, special, known))
			return false;
	} while (imap_take_space(c));
	return take_exact(c, S("))"));
}

/* RFC 9051 6.3.9.7: the client hears the name as it is now, when it is not the one that it wrote. */
static void
await_tell_name(struct imap *im, const struct imap_place *p, struct slice name, struct slice old)
{
	if (imap_rev2(im) && !slice_equal(name, old))
		(void)await_imap_put_list(im, p, name, old);
}

/* RFC 3501 6.3.3, RFC 6154 3 */
struct imap_reply
imap_cmd_create(struct imap *im, struct cursor *args)
{
	struct store_mailbox_create_in in = { .special = 0 };
	struct store_mailbox_create_out out = { 0 };
	struct imap_place p;
	struct slice name, supplied;
	bool valid, known = true;
	if (!imap_take_space(args) ||
	    !imap_take_supplied_mailbox(args, &im->arena, imap_names(im), &name, &supplied, &valid) ||
	    !take_create_params(args, &in.special, &known) || !take_end(args))
		return imap_bad("CREATE takes a mailbox name and perhaps (USE (...))");
	if (!valid)
		return imap_no("CANNOT", "no mailbox can have that name");
	if (!known)
		return imap_no("USEATTR", "this special use is not known here");
	enum err e = await_imap_place(im, name, &p);
	if (e == ERR_NOT_FOUND) /* RFC 4314 4: there is no parent that would allow it */
		return imap_no("NOPERM", "the names below this one are of mailboxes that others share");
	in.name = p.name;
	e = e ? e : await_imap_ask_of(im, p.owner, mailbox_create, &in, &im->arena, &out);
	if (e)
		return imap_err_at(&p, e);
	await_tell_name(im, &p, name, supplied);
	struct buf code; /* RFC 8474 4.1 */
	buf_init(&code, 100);
	buf_put(&code, S("MAILBOXID ("));
	imap_put_mailbox_id(&code, out.account, out.id);
	buf_put_char(&code, ')');
	struct slice kept = slice_keep(&im->arena, buf_slice(&code));
	buf_release(&code);
	return imap_ok_code(kept, "created");
}

/* A command whose only argument is a name. */
static bool
take_name(struct imap *im, struct cursor *args, struct slice *name, struct slice *supplied, struct imap_reply *no)
{
	bool valid;
	if (!imap_take_space(args) ||
	    !imap_take_supplied_mailbox(args, &im->arena, imap_names(im), name, supplied, &valid) || !take_end(args)) {
		*no = imap_bad("this command takes a mailbox name");
		return false;
	}
	*no = imap_no("NONEXISTENT", "no mailbox can have that name");
	return valid;
}

/* RFC 3501 6.3.4 */
struct imap_reply
imap_cmd_delete(struct imap *im, struct cursor *args)
{
	struct store_mailbox_delete_in in = { 0 };
	struct store_mailbox_delete_out out;
	struct imap_place p;
	struct imap_reply no;
	struct slice name, supplied;
	if (!take_name(im, args, &name, &supplied, &no))
		return no;
	enum err e = await_imap_place(im, name, &p);
	in.name = p.name;
	e = e ? e : await_imap_ask_of(im, p.owner, mailbox_delete, &in, &im->arena, &out);
	if (e == ERR_BUSY) /* RFC 9051 6.3.5 */
		return imap_no("HASCHILDREN", "there are mailboxes below that name");
	if (e != OK)
		return imap_err_at(&p, e);
	if (imap_rev2(im) && !slice_equal(name, supplied))
		imap_put_list(im, LIST_NONEXISTENT | LIST_CHILDREN_UNKNOWN, name, supplied);
	struct view *v = &im->view;
	if (v->name && im->owner == p.owner && slice_equal(slice_of(v->name, v->name_bytes), in.name))
		imap_unselect(im);
	return imap_ok("deleted");
}

/* The mailbox that is selected keeps being found under its new name. INBOX stays where it is. */
static void
rename_selected(struct view *v, struct slice from, struct slice to)
{
	struct slice name = slice_of(v->name, v->name_bytes);
	if (!v->name || slice_equal(from, S("INBOX")) || !slice_starts(name, from) ||
	    (name.len > from.len && name.at[from.len] != '/'))
		return;
	size_t bytes = to.len + name.len - from.len;
	char *renamed = slab_calloc(bytes + 1);
	memcpy(renamed, to.at, to.len);
	memcpy(renamed + to.len, name.at + from.len, name.len - from.len);
	slab_free(v->name, v->name_bytes + 1);
	v->name = renamed;
	v->name_bytes = bytes;
}

/* RFC 3501 6.3.5 */
struct imap_reply
imap_cmd_rename(struct imap *im, struct cursor *args)
{
	struct store_mailbox_rename_in in = { 0 };
	struct store_mailbox_rename_out out;
	struct imap_place source, target;
	struct slice from, to; /* as they were written */
	struct slice from_name, to_name;
	bool valid, to_valid;
	if (!imap_take_space(args) ||
	    !imap_take_supplied_mailbox(args, &im->arena, imap_names(im), &from_name, &from, &valid) ||
	    !imap_take_space(args) ||
	    !imap_take_supplied_mailbox(args, &im->arena, imap_names(im), &to_name, &to, &to_valid) || !take_end(args))
		return imap_bad("RENAME takes two mailbox names");
	if (!valid)
		return imap_no("NONEXISTENT", "no mailbox can have that name");
	if (!to_valid)
		return imap_no("CANNOT", "no mailbox can have that name");
	enum err e = await_imap_place(im, from_name, &source);
	if (e != OK)
		return imap_err(e);
	e = await_imap_place(im, to_name, &target);
	if (e != OK || source.owner != target.owner)
		return imap_no("CANNOT", "a mailbox stays with its owner");
	in.from = source.name;
	in.to = target.name;
	e = await_imap_ask_of(im, source.owner, mailbox_rename, &in, &im->arena, &out);
	im->changed = true; /* INBOX loses its messages */
	if (e == OK && im->owner == source.owner)
		rename_selected(&im->view, in.from, in.to);
	/* RFC 9051 6.3.6: when either was written otherwise than it is */
	if (e == OK && !(slice_equal(from, from_name) && slice_equal(to, to_name)))
		await_tell_name(im, &target, to_name, from);
	return e ? imap_err_at(&source, e) : imap_ok("renamed");
}

static struct imap_reply
await_subscribe(struct imap *im, struct cursor *args, bool on)
{
	struct store_mailbox_subscribe_in in = { .on = on };
	struct store_mailbox_subscribe_out out;
	struct imap_reply no;
	struct slice supplied;
	if (!take_name(im, args, &in.name, &supplied, &no))
		return no;
	enum err e = await_imap_ask(im, mailbox_subscribe, &in, &im->arena, &out);
	if (e == OK && imap_is_elsewhere(in.name))
		imap_notify_subscribed(im);
	return e ? imap_err(e) : imap_ok("done");
}

/* RFC 3501 6.3.6 */
struct imap_reply
imap_cmd_subscribe(struct imap *im, struct cursor *args)
{
	return await_subscribe(im, args, true);
}

/* RFC 3501 6.3.7 */
struct imap_reply
imap_cmd_unsubscribe(struct imap *im, struct cursor *args)
{
	return await_subscribe(im, args, false);
}
