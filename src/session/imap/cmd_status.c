/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_status.c - STATUS (RFC 3501 6.3.10), also as LIST asks for it (RFC 5819). A further item is a row of
 * status_items[]. */
#include "session/imap/imap.h"

static uint64_t
value_messages(const struct imap *im, const struct store_mailbox *m)
{
	return m->messages;
}
static uint64_t
value_recent(const struct imap *im, const struct store_mailbox *m)
{
	return m->recent;
}
static uint64_t
value_uidnext(const struct imap *im, const struct store_mailbox *m)
{
	return m->uidnext;
}
static uint64_t
value_uidvalidity(const struct imap *im, const struct store_mailbox *m)
{
	return m->uidvalidity;
}
static uint64_t
value_unseen(const struct imap *im, const struct store_mailbox *m)
{
	return m->unseen;
}

static uint64_t
value_size(const struct imap *im, const struct store_mailbox *m)
{
	return m->bytes;
}
static uint64_t
value_deleted(const struct imap *im, const struct store_mailbox *m)
{
	return m->deleted;
}
static uint64_t
value_deleted_storage(const struct imap *im, const struct store_mailbox *m)
{
	return m->deleted_bytes;
}
static uint64_t
value_highest(const struct imap *im, const struct store_mailbox *m)
{
	return m->modseq;
}

static uint64_t
value_append_limit(const struct imap *im, const struct store_mailbox *m)
{
	return im->c->conf->v.message_bytes_max;
}

/* value NULL: the identifier of the mailbox */
static const struct status_item {
	struct slice word;
	uint64_t (*value)(const struct imap *im, const struct store_mailbox *m);
	uint32_t enables;
} status_items[] = {
	{ S_ROW("MESSAGES"), value_messages, 0 },
	{ S_ROW("RECENT"), value_recent, 0 },
	{ S_ROW("UIDNEXT"), value_uidnext, 0 },
	{ S_ROW("UIDVALIDITY"), value_uidvalidity, 0 },
	{ S_ROW("UNSEEN"), value_unseen, 0 },
	{ S_ROW("DELETED"), value_deleted, 0 },                       /* RFC 9208 4.1.4, RFC 9051 6.3.11 */
	{ S_ROW("SIZE"), value_size, 0 },                             /* RFC 8438 */
	{ S_ROW("DELETED-STORAGE"), value_deleted_storage, 0 },       /* in bytes, as RFC822.SIZE */
	{ S_ROW("APPENDLIMIT"), value_append_limit, 0 },              /* RFC 7889 */
	{ S_ROW("MAILBOXID"), NULL, 0 },                              /* RFC 8474 4.3 */
	{ S_ROW("HIGHESTMODSEQ"), value_highest, ENABLED_CONDSTORE }, /* RFC 7162 3.1.7 */
};

/* "(" status-att *(SP status-att) ")", as bits */
bool
imap_take_status_items(struct cursor *c, uint32_t *items)
{
	struct slice word;
	if (!take_char(c, '('))
		return false;
	do {
		size_t i = 0;
		if (!imap_take_atom(c, &word))
			return false;
		while (i < COUNT_OF(status_items) && !slice_equal_nocase(word, status_items[i].word))
			i++;
		if (i == COUNT_OF(status_items))
			return false;
		*items |= 1u << i;
	} while (imap_take_space(c));
	return take_char(c, ')');
}

static void
put_value(struct imap *im, const struct status_item *item, const struct store_mailbox *m)
{
	struct buf *to = &im->text;
	if (item->value) {
		buf_put_u64(to, item->value(im, m));
		return;
	}
	buf_put_char(to, '(');
	imap_put_mailbox_id(to, m->account, m->id);
	buf_put_char(to, ')');
}

void
imap_put_status(struct imap *im, struct slice name, const struct store_mailbox *m, uint32_t items)
{
	struct buf *to = &im->text;
	buf_put(to, S("* STATUS "));
	imap_put_mailbox(im, to, name);
	buf_put(to, S(" ("));
	for (size_t i = 0; i < COUNT_OF(status_items); i++) {
		if (!(items & 1u << i))
			continue;
		buf_put(to, status_items[i].word);
		buf_put_char(to, ' ');
		put_value(im, &status_items[i], m);
		buf_put_char(to, ' ');
	}
	buf_drop_end(to, 1);
	buf_put(to, S(")\r\n"));
}

void
imap_status_enables(struct imap *im, uint32_t items)
{
	for (size_t i = 0; i < COUNT_OF(status_items); i++)
		if (items & 1u << i)
			imap_enable(im, status_items[i].enables);
}

/* RFC 3501 6.3.10 */
struct imap_reply
imap_cmd_status(struct imap *im, struct cursor *args)
{
	struct store_mailbox_status_in in = { 0 };
	struct store_mailbox_status_out out = { 0 };
	struct imap_place p;
	struct slice name;
	uint32_t items = 0;
	bool valid;
	if (!imap_take_space(args) || !imap_take_mailbox(args, &im->arena, imap_names(im), &name, &valid) ||
	    !imap_take_space(args) || !imap_take_status_items(args, &items) || !take_end(args))
		return imap_bad("STATUS takes a mailbox name and items in parentheses");
	if (!valid)
		return imap_no("NONEXISTENT", "no mailbox can have that name");
	enum err e = await_imap_place(im, name, &p);
	in.name = p.name;
	e = e ? e : await_imap_ask_of(im, p.owner, mailbox_status, &in, &im->arena, &out);
	if (e == OK && (out.mailbox.id == 0 || (out.mailbox.attributes & MAILBOX_NOSELECT)))
		e = ERR_NOT_FOUND;
	if (e == OK && !(out.mailbox.rights & ACL_READ)) /* RFC 4314 4 */
		e = out.mailbox.rights & ACL_LOOKUP ? ERR_DENIED : ERR_NOT_FOUND;
	if (e != OK)
		return imap_err(e);
	imap_status_enables(im, items);
	imap_put_status(im, name, &out.mailbox, items);
	return imap_ok("done");
}
