/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_acl.c - SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314). The store keeps the rights and looks at them
 * with each call; here they are letters. */
#include "session/imap/imap.h"

enum { IDENTIFIER_BYTES_MAX = 1001 };

static const struct {
	char letter;
	uint32_t rights;
} letters[] = {
	{ 'l', ACL_LOOKUP },
	{ 'r', ACL_READ },
	{ 's', ACL_SEEN },
	{ 'w', ACL_WRITE },
	{ 'i', ACL_INSERT },
	{ 'p', ACL_POST },
	{ 'k', ACL_CREATE },
	{ 'x', ACL_DELETE },
	{ 't', ACL_DELETE_MESSAGE },
	{ 'e', ACL_EXPUNGE },
	/* RFC 4314 2.1.1: for clients of RFC 2086; shown with any of their members */
	{ 'c', ACL_CREATE | ACL_DELETE },
	{ 'd', ACL_DELETE_MESSAGE | ACL_EXPUNGE },
	{ 'a', ACL_ADMINISTER },
	{ 'n', ACL_ANNOTATE }, /* RFC 5257 4.10 */
};

void
imap_put_rights(struct buf *to, uint32_t rights)
{
	if (!rights)
		buf_put(to, S("\"\""));
	for (size_t i = 0; i < COUNT_OF(letters); i++)
		if (rights & letters[i].rights)
			buf_put_char(to, letters[i].letter);
}

void
imap_put_my_rights(struct imap *im, struct slice name, uint32_t rights)
{
	buf_put(&im->text, S("* MYRIGHTS "));
	imap_put_mailbox(im, &im->text, name);
	buf_put_char(&im->text, ' ');
	imap_put_rights(&im->text, rights);
	buf_put(&im->text, S("\r\n"));
}

/* ---- arguments */

static bool
take_mailbox(struct imap *im, struct cursor *c, struct slice *name, bool *valid)
{
	return imap_take_space(c) && imap_take_mailbox(c, &im->arena, imap_names(im), name, valid);
}

/* RFC 4314 3: an identifier that cannot be one is BAD; what names nobody is found out by the store. */
static bool
take_identifier(struct imap *im, struct cursor *c, struct slice *identifier)
{
	return imap_take_space(c) && imap_take_astring(c, &im->arena, identifier) && identifier->len &&
	       identifier->len <= IDENTIFIER_BYTES_MAX && slice_is_utf8(*identifier) && !slice_has_control(*identifier);
}

/* mod-rights: ["+" / "-"] *letter. RFC 4314 3.1: a right that is not known is BAD. */
static bool
take_mod_rights(struct imap *im, struct cursor *c, uint32_t *op, uint32_t *rights)
{
	struct slice text;
	if (!imap_take_space(c) || !imap_take_astring(c, &im->arena, &text))
		return false;
	*op = slice_starts(text, S("+")) ? ACL_GRANT : slice_starts(text, S("-")) ? ACL_REVOKE : ACL_REPLACE;
	*rights = 0;
	for (size_t at = *op != ACL_REPLACE; at < text.len; at++) {
		size_t i = 0;
		while (i < COUNT_OF(letters) && letters[i].letter != text.at[at])
			i++;
		if (i == COUNT_OF(letters))
			return false;
		*rights |= letters[i].rights;
	}
	return true;
}

static struct imap_reply
no_such_mailbox(void)
{
	return imap_no("NONEXISTENT", "no mailbox can have that name");
}

/* ---- the commands */

static struct imap_reply
await_set(struct imap *im, struct slice name, struct slice identifier, uint32_t op, uint32_t rights)
{
	struct imap_place p;
	struct store_acl_set_in in = { .identifier = identifier, .op = op, .rights = rights };
	struct store_acl_set_out out;
	enum err e = await_imap_place(im, name, &p);
	in.name = p.name;
	e = e ? e : await_imap_ask_of(im, p.owner, acl_set, &in, &im->arena, &out);
	if (e == ERR_SYNTAX)
		return imap_no("CANNOT", "there is nobody of that name: give the address of an account, or anyone");
	if (e == ERR_CONFLICT)
		return imap_no("CANNOT", "the owner of a mailbox has all rights, and keeps them");
	im->changed = true;
	return e ? imap_err(e) : imap_ok("done");
}

/* RFC 4314 3.1 */
struct imap_reply
imap_cmd_setacl(struct imap *im, struct cursor *args)
{
	struct slice name, identifier;
	uint32_t op, rights;
	bool valid;
	if (!take_mailbox(im, args, &name, &valid) || !take_identifier(im, args, &identifier) ||
	    !take_mod_rights(im, args, &op, &rights) || !take_end(args))
		return imap_bad("SETACL takes a mailbox name, an identifier, and rights out of lrswipkxteacdn");
	return valid ? await_set(im, name, identifier, op, rights) : no_such_mailbox();
}

/* RFC 4314 3.2 */
struct imap_reply
imap_cmd_deleteacl(struct imap *im, struct cursor *args)
{
	struct slice name, identifier;
	bool valid;
	if (!take_mailbox(im, args, &name, &valid) || !take_identifier(im, args, &identifier) || !take_end(args))
		return imap_bad("DELETEACL takes a mailbox name and an identifier");
	return valid ? await_set(im, name, identifier, ACL_REPLACE, 0) : no_such_mailbox();
}

static enum err
await_get(struct imap *im, struct slice name, struct store_acl_get_out *out)
{
	struct imap_place p;
	struct store_acl_get_in in = { 0 };
	enum err e = await_imap_place(im, name, &p);
	in.name = p.name;
	return e ? e : await_imap_ask_of(im, p.owner, acl_get, &in, &im->arena, out);
}

/* RFC 4314 3.3: * ACL INBOX fred@example.com lrswipkxtecda anyone lr */
struct imap_reply
imap_cmd_getacl(struct imap *im, struct cursor *args)
{
	struct store_acl_get_out out = { 0 };
	struct slice name;
	bool valid;
	if (!take_mailbox(im, args, &name, &valid) || !take_end(args))
		return imap_bad("GETACL takes a mailbox name");
	if (!valid)
		return no_such_mailbox();
	enum err e = await_get(im, name, &out);
	if (e != OK)
		return imap_err(e);
	buf_put(&im->text, S("* ACL "));
	imap_put_mailbox(im, &im->text, name);
	for (uint32_t i = 0; i < out.nentries; i++) {
		buf_put_char(&im->text, ' ');
		imap_put_string(&im->text, out.entries[i].identifier);
		buf_put_char(&im->text, ' ');
		imap_put_rights(&im->text, out.entries[i].rights);
	}
	buf_put(&im->text, S("\r\n"));
	return imap_ok("done");
}

/* RFC 4314 3.4: all rights of the owner stand first, as what he always has; of others each can be given alone. */
struct imap_reply
imap_cmd_listrights(struct imap *im, struct cursor *args)
{
	struct store_acl_get_out out = { 0 };
	struct slice name, identifier;
	struct buf *to = &im->text;
	bool valid;
	if (!take_mailbox(im, args, &name, &valid) || !take_identifier(im, args, &identifier) || !take_end(args))
		return imap_bad("LISTRIGHTS takes a mailbox name and an identifier");
	if (!valid)
		return no_such_mailbox();
	enum err e = await_get(im, name, &out);
	if (e != OK)
		return imap_err(e);
	bool owner = out.nentries && slice_equal_nocase(identifier, out.entries[0].identifier);
	buf_put(to, S("* LISTRIGHTS "));
	imap_put_mailbox(im, to, name);
	buf_put_char(to, ' ');
	imap_put_string(to, identifier);
	buf_put_char(to, ' ');
	imap_put_rights(to, owner ? ACL_ALL : 0);
	for (size_t i = 0; i < COUNT_OF(letters) && !owner; i++) {
		buf_put_char(to, ' ');
		buf_put_char(to, letters[i].letter);
	}
	buf_put(to, S("\r\n"));
	return imap_ok("done");
}

/* RFC 4314 3.5 */
struct imap_reply
imap_cmd_myrights(struct imap *im, struct cursor *args)
{
	struct imap_place p;
	struct store_mailbox_status_in in = { 0 };
	struct store_mailbox_status_out out = { 0 };
	struct slice name;
	bool valid;
	if (!take_mailbox(im, args, &name, &valid) || !take_end(args))
		return imap_bad("MYRIGHTS takes a mailbox name");
	if (!valid)
		return no_such_mailbox();
	enum err e = await_imap_place(im, name, &p);
	in.name = p.name;
	e = e ? e : await_imap_ask_of(im, p.owner, mailbox_status, &in, &im->arena, &out);
	if (e != OK)
		return imap_err(e);
	imap_put_my_rights(im, name, out.mailbox.rights);
	return imap_ok("done");
}
