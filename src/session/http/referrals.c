/* SPDX-License-Identifier: Apache-2.0 */
/* referrals.c - accounts and mailboxes that are on other servers, in the administration API: the URLs that clients are
 * given. Called by accounts.c and api.c; the store checks and keeps them. */
#include "session/http/referrals.h"

enum { ADDRESS_BYTES_MAX = 1000, TEXT_BYTES_MAX = 1000 };

static bool
await_set(struct api_call *call, struct store_referral_set_in *in)
{
	struct store_referral_set_out out;
	enum err e = in->name.len > TEXT_BYTES_MAX || in->url.len > TEXT_BYTES_MAX
	                 ? ERR_SYNTAX
	                 : await_store_referral_set(&call->session->store, in, call->arena, &out);
	if (e == ERR_SYNTAX)
		api_error(call, 400, "no URL or name that can be referred to",
		          in->name.len ? "give imap://HOST/MAILBOX, with neither IPv6 address nor options"
		                       : "give imap://HOST/ or imap://USER@HOST:PORT/");
	else if (e == ERR_CONFLICT)
		api_error(call, 400, "the URL leads back to this server", "a referral names another one");
	else if (e == ERR_EXISTS)
		api_error(call, 409, "there is a mailbox of that name, or below it", "delete or rename it first");
	else
		return !api_failed(call, e, "referral of", in->address);
	return false;
}

bool
await_change_moved(struct api_call *call, struct slice address)
{
	struct store_referral_set_in in = { .address = address,
		                                .open = json_is_true(json_object_get(call->body, "moved_open")) };
	if (!json_object_get(call->body, "moved_to"))
		return true;
	return api_text(call, "moved_to", &in.url) && await_set(call, &in);
}

enum err
await_put_referrals(struct api_call *call, struct slice address, json_t *o)
{
	struct store_referral_list_in in = { .address = address };
	struct store_referral_list_out out = { 0 };
	enum err e = await_store_referral_list(&call->session->store, &in, call->arena, &out);
	json_t *list = json_array();
	json_put(o, "moved_to", S(""));
	for (uint32_t i = 0; e == OK && i < out.nreferrals; i++) {
		const struct store_referral *r = &out.referrals[i];
		if (!r->name.len) {
			json_put(o, "moved_to", r->url);
			json_object_set_new(o, "moved_open", json_boolean(r->open));
			continue;
		}
		json_t *one = json_object();
		json_put(one, "mailbox", r->name);
		json_put(one, "url", r->url);
		json_array_append_new(list, one);
	}
	json_object_set_new(o, "referrals", list);
	return e;
}

/* PUT /api/v1/accounts/{}/referrals: one of its mailboxes; an empty URL: it is here, or nowhere, again. */
static void
await_refer(struct api_call *call)
{
	struct store_referral_set_in in = { .address = slice_part(call->words[0], 0, ADDRESS_BYTES_MAX) };
	if (!api_text(call, "mailbox", &in.name) || !api_text(call, "url", &in.url))
		return;
	if (!in.name.len)
		api_error(call, 400, "\"mailbox\" is missing", "an account that moved: PATCH its \"moved_to\"");
	else if (await_set(call, &in))
		api_answer(call, 204, NULL);
}

static const struct api_row rows[] = {
	{ "PUT", "/api/v1/accounts/{}/referrals", await_refer },
};
const struct api_rows referral_methods = { rows, COUNT_OF(rows) };
