/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_quota.c - GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208). One root, named "", has all mailboxes of the account. An
 * administrator reaches the roots of other accounts by their addresses, and sets limits. A further resource is a row of
 * resources[]. */
#include "session/imap/imap.h"

enum { STORAGE_UNIT = 1024 }; /* RFC 9208 5.1 */

static const struct resource {
	struct slice name;
	size_t used, max; /* where in struct store_usage */
	uint64_t unit;
} resources[] = {
	{ S_ROW("STORAGE"), offsetof(struct store_usage, bytes), offsetof(struct store_usage, bytes_max), STORAGE_UNIT },
	{ S_ROW("MESSAGE"), offsetof(struct store_usage, messages), offsetof(struct store_usage, messages_max), 1 },
	{ S_ROW("MAILBOX"), offsetof(struct store_usage, mailboxes), offsetof(struct store_usage, mailboxes_max), 1 },
	{ S_ROW("ANNOTATION-STORAGE"), offsetof(struct store_usage, annotations),
	  offsetof(struct store_usage, annotations_max), STORAGE_UNIT },
};

static uint64_t *
number_at(struct store_usage *u, size_t at)
{
	return (uint64_t *)((char *)u + at);
}

/* * QUOTA "" (STORAGE 10 512): RFC 9208 4.2.1: what is not limited is not named */
static void
put_quota(struct imap *im, struct slice root, struct store_usage *u)
{
	struct buf *to = &im->text;
	buf_put(to, S("* QUOTA "));
	imap_put_string(to, root);
	buf_put(to, S(" ("));
	size_t start = to->len;
	for (size_t i = 0; i < COUNT_OF(resources); i++) {
		const struct resource *r = &resources[i];
		uint64_t used = *number_at(u, r->used), max = *number_at(u, r->max);
		if (max == 0)
			continue;
		if (to->len > start)
			buf_put_char(to, ' ');
		buf_put(to, r->name);
		buf_printf(to, " %llu %llu", (unsigned long long)(used / r->unit + (used % r->unit != 0)),
		           (unsigned long long)(max / r->unit));
	}
	buf_put(to, S(")\r\n"));
}

static struct imap_reply
await_quota(struct imap *im, struct slice root)
{
	struct store_account_usage_in in = { .address = root };
	struct store_account_usage_out out = { 0 };
	enum err e = await_imap_ask(im, account_usage, &in, &im->arena, &out);
	if (e == ERR_DENIED || e == ERR_NOT_FOUND || e == ERR_SYNTAX) /* whether there is such an account is not told */
		return imap_no("NONEXISTENT", "there is no such quota root");
	if (e != OK)
		return imap_err(e);
	put_quota(im, root, &out.usage);
	return imap_ok("done");
}

/* RFC 9208 4.1.1 */
struct imap_reply
imap_cmd_getquota(struct imap *im, struct cursor *args)
{
	struct slice root;
	if (!imap_take_space(args) || !imap_take_astring(args, &im->arena, &root) || !take_end(args))
		return imap_bad("GETQUOTA takes the name of a quota root");
	return await_quota(im, root);
}

/* RFC 9208 4.1.2: a mailbox need not exist */
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
	if (imap_is_elsewhere(name)) { /* how full the accounts of others are, is not for the client to know */
		buf_put(&im->text, S("\r\n"));
		return imap_ok("done");
	}
	buf_put(&im->text, S(" \"\"\r\n"));
	return await_quota(im, SLICE_NONE);
}

/* setquota-resource = resource-name SP resource-limit; *unknown: one that this server does not know */
static bool
take_limit(struct cursor *c, struct store_usage *limits, bool *unknown)
{
	struct slice name;
	uint64_t limit;
	if (!imap_take_atom(c, &name) || !imap_take_space(c) || !take_u64(c, &limit) || limit > INT64_MAX / STORAGE_UNIT)
		return false;
	for (size_t i = 0; i < COUNT_OF(resources); i++)
		if (slice_equal_nocase(name, resources[i].name)) {
			*number_at(limits, resources[i].max) = limit * resources[i].unit;
			return true;
		}
	*unknown = true;
	return true;
}

static bool
take_limits(struct cursor *c, struct store_usage *limits, bool *unknown)
{
	if (!take_char(c, '('))
		return false;
	if (take_char(c, ')'))
		return true;
	do {
		if (!take_limit(c, limits, unknown))
			return false;
	} while (imap_take_space(c));
	return take_char(c, ')');
}

/* RFC 9208 4.1.3: limits that are not named go */
struct imap_reply
imap_cmd_setquota(struct imap *im, struct cursor *args)
{
	struct slice root;
	struct store_usage limits = { 0 };
	bool unknown = false;
	if (!imap_take_space(args) || !imap_take_astring(args, &im->arena, &root) || !imap_take_space(args) ||
	    !take_limits(args, &limits, &unknown) || !take_end(args))
		return imap_bad("SETQUOTA takes the name of a quota root and limits in parentheses");
	if (unknown)
		return imap_no("CANNOT", "limits are of STORAGE, MESSAGE, MAILBOX and ANNOTATION-STORAGE");
	struct store_account_limit_in in = { .address = root,
		                                 .bytes_max = limits.bytes_max,
		                                 .messages_max = limits.messages_max,
		                                 .mailboxes_max = limits.mailboxes_max,
		                                 .annotations_max = limits.annotations_max };
	struct store_account_limit_out out;
	enum err e = await_imap_ask(im, account_limit, &in, &im->arena, &out);
	if (e == ERR_DENIED)
		return imap_no("NOPERM", "only an administrator changes quotas");
	return e ? imap_err(e) : await_quota(im, root);
}
