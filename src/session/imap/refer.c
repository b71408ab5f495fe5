/* SPDX-License-Identifier: Apache-2.0 */
/* refer.c - mailboxes and accounts that are on other servers, and where (RFC 2193, RFC 2221). Called by imap.c when a
 * command found no mailbox of a name, and by the login. The URLs are the administrator's; what would be none is not
 * given to anybody. */
#include "session/imap/imap.h"

#include "mail/referral.h"

struct slice
imap_login_referral(struct imap *im, struct slice url, struct slice user)
{
	struct referral r;
	if (!referral_take(url, &r))
		return SLICE_NONE;
	return arena_join(&im->arena, S("REFERRAL "), referral_url(&r, user, S(""), &im->arena));
}

/* Where a name leads; *remote: to another server. Empty: it cannot be found out. */
static struct slice
await_url_of(struct imap *im, struct slice name, bool *remote)
{
	struct store_mailbox_referral_in in = { .name = name };
	struct store_mailbox_referral_out out = { 0 };
	struct referral r;
	*remote = false;
	if (await_imap_ask(im, mailbox_referral, &in, &im->arena, &out) != OK)
		return SLICE_NONE;
	*remote = referral_take(out.url, &r);
	if (*remote)
		return referral_url(&r, out.address, out.rest, &im->arena);
	struct slice here = arena_join(&im->arena, S("imap://"), slice_text(im->c->conf->v.hostname));
	if (!referral_take(here, &r))
		return SLICE_NONE;
	return referral_url(&r, out.address, name, &im->arena);
}

/* RFC 2193 4.3: RENAME has a pair, with the name that it was to get. */
struct imap_reply
await_imap_refer(struct imap *im, bool pair, struct imap_reply no)
{
	bool remote[2];
	struct slice urls[2];
	if (!slice_equal(no.code, S("NONEXISTENT")) && !slice_equal(no.code, S("TRYCREATE")))
		return no;
	size_t first = pair ? 0 : im->nnamed - 1;
	pair = pair && im->nnamed == 2;
	for (size_t i = 0; i <= pair; i++)
		urls[i] = await_url_of(im, im->named[first + i], &remote[i]);
	if (!(remote[0] || (pair && remote[1])) || !urls[0].len || (pair && !urls[1].len))
		return no;
	struct slice code = arena_join(&im->arena, S("REFERRAL "), urls[0]);
	if (pair)
		code = arena_join(&im->arena, arena_join(&im->arena, code, S(" ")), urls[1]);
	return (struct imap_reply){ IMAP_NO, code, "this mailbox is on another server" };
}
