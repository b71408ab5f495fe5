/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_quota.c - GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 2087): one root, named "", has all mailboxes of the account. Only
 * the administrator changes it. */
#include "session/imap/imap.h"

enum { STORAGE_UNIT = 1024 }; /* RFC 2087 3 */

/* * QUOTA "" (STORAGE 10 512); without a limit the list is empty */
static enum err
await_put_quota(struct imap *im)
{
	struct store_account_usage_in in = { 0 };
	struct store_account_usage_out out = { 0 };
	enum err e = await_imap_ask(im, account_usage, &in, &im->arena, &out);
	if (e != OK)
		return e;
	buf_put(&im->text, S("* QUOTA \"\" ("));
	if (out.quota)
		buf_printf(&im->text, "STORAGE %llu %llu",
		           (unsigned long long)(out.used / STORAGE_UNIT + (out.used % STORAGE_UNIT != 0)),
		           (unsigned long long)(out.quota / STORAGE_UNIT));
	buf_put(&im->text, S(")\r\n"));
	return OK;
}

/* RFC 2087 4.2 */
struct imap_reply
imap_cmd_getquota(struct imap *im, struct cursor *args)
{
	struct slice root;
	if (!imap_take_space(args) || !imap_take_astring(args, &im->arena, &root) || !take_end(args))
		return imap_bad("GETQUOTA takes the name of a quota root");
	if (root.len)
		return imap_no("NONEXISTENT", "there is no such quota root");
	enum err e = await_put_quota(im);
	return e ? imap_err(e) : imap_ok("done");
}

/* RFC 2087 4.3: a mailbox need not exist */
struct imap_reply
imap_cmd_getquotaroot(struct imap *im, struct cursor *args)
{
	struct slice name;
	bool valid;
	if (!imap_take_space(args) || !imap_take_mailbox(args, &im->arena, imap_names(im), &name, &valid) ||
	    !take_end(args))
		return imap_bad("GETQUOTAROOT takes a mailbox name");
	if (!valid)
		return imap_no("NONEXISTENT", "no mailbox can have that name");
	buf_put(&im->text, S("* QUOTAROOT "));
	imap_put_mailbox(im, &im->text, name);
	buf_put(&im->text, S(" \"\"\r\n"));
	enum err e = await_put_quota(im);
	return e ? imap_err(e) : imap_ok("done");
}

/* setquota_resource = atom SP number */
static bool
take_resources(struct cursor *c)
{
	struct slice name;
	uint64_t limit;
	if (!take_char(c, '('))
		return false;
	if (take_char(c, ')'))
		return true;
	do {
		if (!imap_take_atom(c, &name) || !imap_take_space(c) || !take_u64(c, &limit))
			return false;
	} while (imap_take_space(c));
	return take_char(c, ')');
}

/* RFC 2087 4.1 */
struct imap_reply
imap_cmd_setquota(struct imap *im, struct cursor *args)
{
	struct slice root;
	if (!imap_take_space(args) || !imap_take_astring(args, &im->arena, &root) || !imap_take_space(args) ||
	    !take_resources(args) || !take_end(args))
		return imap_bad("SETQUOTA takes the name of a quota root and limits in parentheses");
	return imap_no("NOPERM", "only the administrator changes quotas");
}
