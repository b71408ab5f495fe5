/* SPDX-License-Identifier: Apache-2.0 */
/* accounts.c - /api/v1/accounts: accounts, their state and their passwords. Passwords go to auth, all else to the
 * store. */
#include "session/http/api.h"
#include "session/http/referrals.h"

#include "session/lang.h"
#include "store/rows.h"

#define ADDRESS_BYTES_MAX 1000
#define PUBLIC_NAME_BYTES_MAX 255
#define QUOTA_UNCHANGED UINT64_MAX
#define MAILDROP_UNCHANGED UINT32_MAX
#define UIDLS_MAX 1000 /* of one request */

static const struct {
	const char *word;
	uint64_t bit;
} right_words[] = {
	{ "send", RIGHT_SEND },
	{ "imap", RIGHT_IMAP },
	{ "pop3", RIGHT_POP3 },
	{ "admin", RIGHT_ADMIN },
	{ "submission", RIGHT_SUBMISSION },
};

static json_t *
rights_json(uint64_t rights)
{
	json_t *list = json_array();
	for (size_t i = 0; i < COUNT_OF(right_words); i++)
		if (rights & right_words[i].bit)
			json_array_append_new(list, json_string(right_words[i].word));
	return list;
}

static uint64_t
right_bit(const char *word)
{
	for (size_t i = 0; word && i < COUNT_OF(right_words); i++)
		if (strcmp(word, right_words[i].word) == 0)
			return right_words[i].bit;
	return 0;
}

/* Unchanged when "rights" is not there. */
static bool
rights_of(struct api_call *call, uint64_t *rights)
{
	const json_t *list = json_object_get(call->body, "rights");
	if (!list)
		return true;
	uint64_t made = 0;
	bool ok = json_is_array(list);
	for (size_t i = 0; ok && i < json_array_size(list); i++) {
		uint64_t bit = right_bit(json_string_value(json_array_get(list, i)));
		ok = bit != 0;
		made |= bit;
	}
	if (!ok)
		api_error(call, 400, "\"rights\" must be a list of send, imap, pop3, admin, submission", NULL);
	else
		*rights = made;
	return ok;
}

static json_t *
account_json(const struct store_account *a)
{
	json_t *o = json_object();
	json_put_number(o, "id", a->id);
	json_put(o, "address", a->address);
	json_put(o, "status", a->status == ACCOUNT_ACTIVE ? S("active") : S("suspended"));
	json_object_set_new(o, "rights", rights_json(a->rights));
	json_put_number(o, "quota", a->quota);
	json_put_number(o, "messages_max", a->messages_max);
	json_put_number(o, "mailboxes_max", a->mailboxes_max);
	json_put_number(o, "used", a->used);
	json_put_number(o, "messages", a->messages);
	json_put_number(o, "mailboxes", a->mailboxes);
	json_put(o, "public", a->public);
	json_object_set_new(o, "created", json_integer(a->created));
	return o;
}

static void
await_list(struct api_call *call)
{
	struct store_account_list_in in = { .domain = slice_part(api_query(call, S("domain")), 0, 255),
		                                .after = api_query(call, S("after")) };
	struct store_account_list_out out;
	enum err e = await_store_account_list(&call->session->store, &in, call->arena, &out);
	if (api_failed(call, e, "list of accounts", S("")))
		return;
	json_t *list = json_array(), *o = json_object();
	for (uint32_t i = 0; i < out.naccounts; i++)
		json_array_append_new(list, account_json(&out.accounts[i]));
	json_object_set_new(o, "accounts", list);
	json_object_set_new(o, "more", json_boolean(out.more));
	api_answer(call, 200, o);
}

static bool
await_find(struct api_call *call, struct store_account *account)
{
	struct store_account_show_in in = { .address = slice_part(call->words[0], 0, ADDRESS_BYTES_MAX) };
	struct store_account_show_out out;
	enum err e = await_store_account_show(&call->session->store, &in, call->arena, &out);
	*account = out.account;
	return !api_failed(call, e, "account", in.address);
}

static struct slice
name_of_memo(struct api_call *call, const struct store_account *account)
{
	return arena_printf(call->arena, "%llu", (unsigned long long)account->id);
}

static void
await_show(struct api_call *call)
{
	struct store_account account;
	struct store_maildrop_show_out rules;
	struct store_memo_get_out language;
	if (!await_find(call, &account))
		return;
	struct store_maildrop_show_in in = { .address = account.address };
	struct store_memo_get_in ask = { S("language"), name_of_memo(call, &account) };
	enum err e = await_store_maildrop_show(&call->session->store, &in, call->arena, &rules);
	e = e ? e : await_store_memo_get(&call->session->store, &ask, call->arena, &language);
	if (api_failed(call, e, "account", account.address))
		return;
	json_t *o = account_json(&account);
	json_put_number(o, "pop3_delete_after", rules.expire_days);
	json_put_number(o, "pop3_hide_after", rules.hide_days);
	json_put(o, "language", language.memo.value);
	e = await_put_referrals(call, account.address, o);
	if (api_failed(call, e, "account", account.address))
		json_decref(o);
	else
		api_answer(call, 200, o);
}

/* The domain must be there first: say that, and not only that something was not found. */
static void
account_refused(struct api_call *call, enum err e, struct slice address)
{
	if (e != ERR_NOT_FOUND) {
		api_failed(call, e, "account", address);
		return;
	}
	ptrdiff_t at = slice_find_last_char(address, '@');
	struct slice domain = slice_from(address, (size_t)(at + 1));
	struct slice text = arena_printf(call->arena, "the domain %.*s is not one of this server", SLICE_ARG(domain));
	struct slice hint = arena_printf(call->arena, "add it first: posthouse domain add %.*s", SLICE_ARG(domain));
	api_error(call, 404, text.at, hint.at);
}

static bool
secrets_of(struct api_call *call, struct slice *password, struct slice *hash)
{
	if (!api_text(call, "password", password) || !api_text(call, "hash", hash))
		return false;
	if (password->len && hash->len)
		api_error(call, 400, "a password and a hash came", "give one of them");
	else if (password->len > 1000 || hash->len > 500)
		api_error(call, 400, "the password is longer than 1000 bytes, or the hash longer than 500", NULL);
	else
		return true;
	return false;
}

static void
await_add(struct api_call *call)
{
	struct auth_account_create_in in = { .rights = RIGHTS_USER };
	struct auth_account_create_out out;
	if (!api_text_needed(call, "address", &in.address) || !secrets_of(call, &in.password, &in.hash) ||
	    !rights_of(call, &in.rights) || !api_number(call, "quota", &in.quota))
		return;
	struct slice address = in.address;
	enum err e = address.len > ADDRESS_BYTES_MAX || slice_find_char(address, '@') < 1
	                 ? ERR_SYNTAX
	                 : await_auth_account_create(&call->session->auth, &in, call->arena, &out);
	if (e == ERR_SYNTAX && in.hash.len) {
		api_error(call, 400, "the address is malformed, or the hash is of no kind that is known",
		          "hashes of argon2, crypt(3) ($6$, $5$, $y$, $2b$, $1$) and {SSHA} can be imported");
		return;
	}
	if (e) {
		account_refused(call, e, address);
		return;
	}
	json_t *o = json_object();
	json_put_number(o, "id", out.account);
	json_put(o, "address", address);
	api_answer(call, 201, o);
}

static void
await_delete(struct api_call *call)
{
	struct store_account_delete_in in = { .address = slice_part(call->words[0], 0, ADDRESS_BYTES_MAX) };
	struct store_account_delete_out out;
	enum err e = await_store_account_delete(&call->session->store, &in, call->arena, &out);
	if (!api_failed(call, e, "account", in.address))
		api_answer(call, 204, NULL);
}

static bool
status_of(struct api_call *call, uint32_t *status)
{
	struct slice word;
	if (!api_text(call, "status", &word))
		return false;
	if (slice_equal(word, S("active")))
		*status = ACCOUNT_ACTIVE;
	else if (slice_equal(word, S("suspended")))
		*status = ACCOUNT_SUSPENDED;
	else if (word.len) {
		api_error(call, 400, "\"status\" must be active or suspended", NULL);
		return false;
	}
	return true;
}

/* Rules of the maildrop in days, 0: none. True when there was nothing wrong with them. */
static bool
await_rules(struct api_call *call, struct slice address)
{
	uint64_t expire = MAILDROP_UNCHANGED, hide = MAILDROP_UNCHANGED;
	struct store_maildrop_set_out out;
	if (!api_number(call, "pop3_delete_after", &expire) || !api_number(call, "pop3_hide_after", &hide))
		return false;
	if (expire == MAILDROP_UNCHANGED && hide == MAILDROP_UNCHANGED)
		return true;
	struct store_maildrop_set_in in = { address, (uint32_t)MIN(expire, (uint64_t)MAILDROP_UNCHANGED),
		                                (uint32_t)MIN(hide, (uint64_t)MAILDROP_UNCHANGED) };
	enum err e = await_store_maildrop_set(&call->session->store, &in, call->arena, &out);
	return !api_failed(call, e, "days after which mail goes or is hidden (36500 at most) of", address);
}

/* "public": a name, or empty: no longer. False: the call was answered. */
static bool
await_change_public(struct api_call *call, struct slice address)
{
	struct store_account_public_in in = { .address = address };
	struct store_account_public_out out;
	if (!json_object_get(call->body, "public"))
		return true;
	if (!api_text(call, "public", &in.name))
		return false;
	enum err e = in.name.len > PUBLIC_NAME_BYTES_MAX
	                 ? ERR_SYNTAX
	                 : await_store_account_public(&call->session->store, &in, call->arena, &out);
	if (e == ERR_SYNTAX)
		api_error(call, 400, "no mailbox can have that name", "give one part of a name, without a slash");
	return e != ERR_SYNTAX && !api_failed(call, e, "public name", in.name);
}

/* "language" of notices: en, de, fr, or "default". False: the call was answered. */
static bool
await_change_language(struct api_call *call, const struct store_account *a)
{
	enum lang lang = LANG_DEFAULT;
	struct slice word;
	struct store_memo_put_out out;
	if (!json_object_get(call->body, "language"))
		return true;
	if (!api_text(call, "language", &word))
		return false;
	if (!lang_of_range(word, LANG_DEFAULT, &lang)) {
		api_error(call, 400, "\"language\" must be en, de, fr or default", NULL);
		return false;
	}
	struct store_memo m = { S("language"), name_of_memo(call, a), lang_tag(lang), lang ? MEMO_FOREVER : 0 };
	struct store_memo_put_in in = { &m, 1 };
	enum err e = await_store_memo_put(&call->session->store, &in, call->arena, &out);
	return !api_failed(call, e, "language of", a->address);
}

static void
await_change(struct api_call *call)
{
	struct store_account a;
	if (!await_find(call, &a))
		return;
	struct store_account_set_in in = { .address = a.address, .status = a.status, .rights = a.rights };
	struct store_account_set_out out;
	in.quota = in.messages_max = in.mailboxes_max = QUOTA_UNCHANGED;
	if (!status_of(call, &in.status) || !rights_of(call, &in.rights) || !api_number(call, "quota", &in.quota) ||
	    !api_number(call, "messages_max", &in.messages_max) || !api_number(call, "mailboxes_max", &in.mailboxes_max))
		return;
	if (!await_change_public(call, a.address) || !await_change_language(call, &a) ||
	    !await_change_moved(call, a.address))
		return;
	enum err e = await_store_account_set(&call->session->store, &in, call->arena, &out);
	if (!api_failed(call, e, "account", a.address) && await_rules(call, a.address))
		await_show(call);
}

static void
await_password(struct api_call *call)
{
	struct auth_password_set_in in = { .address = slice_part(call->words[0], 0, ADDRESS_BYTES_MAX) };
	struct auth_password_set_out out;
	if (!secrets_of(call, &in.password, &in.hash))
		return;
	if (in.password.len == 0 && in.hash.len == 0) {
		api_error(call, 400, "neither \"password\" nor \"hash\" came", "an empty password is not possible");
		return;
	}
	enum err e = await_auth_password_set(&call->session->auth, &in, call->arena, &out);
	if (e == ERR_SYNTAX && in.hash.len)
		api_error(call, 400, "the hash is of no kind that is known",
		          "hashes of argon2, crypt(3) ($6$, $5$, $y$, $2b$, $1$) and {SSHA} can be imported");
	else if (!api_failed(call, e, "account", in.address))
		api_answer(call, 204, NULL);
}

/* ---- UIDLs of another server */

static bool
uidl_of(struct api_call *call, const json_t *j, struct store_uidl *u)
{
	const json_t *uid = json_object_get(j, "uid"), *id = json_object_get(j, "message_id");
	*u = (struct store_uidl){ .uid = (uint32_t)MIN(json_integer_value(uid), (json_int_t)UINT32_MAX),
		                      .message_id = slice_text(json_string_value(id)),
		                      .uidl = slice_text(json_string_value(json_object_get(j, "uidl"))) };
	if ((u->uid != 0) != (u->message_id.len != 0) && json_integer_value(uid) >= 0 && u->message_id.len <= 1000 &&
	    u->uidl.len && u->uidl.len <= 70)
		return true;
	api_error(call, 400, "each of \"uidls\" has a uid or a message_id, and a uidl of 1 to 70 characters", NULL);
	return false;
}

static bool
uidls_of(struct api_call *call, struct store_uidls_set_in *in)
{
	const json_t *list = json_object_get(call->body, "uidls");
	size_t n = json_array_size(list);
	if (n == 0 || n > UIDLS_MAX) {
		api_error(call, 400, "\"uidls\" must be a list of 1 to 1000", NULL);
		return false;
	}
	in->uidls = ARENA_ARRAY(call->arena, struct store_uidl, n);
	for (; in->nuidls < n; in->nuidls++)
		if (!uidl_of(call, json_array_get(list, in->nuidls), &in->uidls[in->nuidls]))
			return false;
	return true;
}

/* INBOX is looked through a stretch at a time, so that others are served in between. */
static void
await_uidls(struct api_call *call)
{
	struct store_uidls_set_in in = { .address = slice_part(call->words[0], 0, ADDRESS_BYTES_MAX) };
	struct store_uidls_set_out out = { .more = true };
	uint64_t found = 0;
	enum err e = OK;
	if (!uidls_of(call, &in))
		return;
	while (!e && out.more) {
		e = await_store_uidls_set(&call->session->store, &in, call->arena, &out);
		found += e ? 0 : out.found;
		in.after = e ? in.after : out.last;
	}
	if (e == ERR_EXISTS)
		api_error(call, 409, "two messages would have the same UIDL", "each UIDL names one message");
	else if (!api_failed(call, e, "account or UIDL", in.address)) {
		json_t *o = json_object();
		json_put_number(o, "found", found);
		api_answer(call, 200, o);
	}
}

static const struct api_row rows[] = {
	{ "GET", "/api/v1/accounts", await_list },           { "POST", "/api/v1/accounts", await_add },
	{ "GET", "/api/v1/accounts/{}", await_show },        { "PATCH", "/api/v1/accounts/{}", await_change },
	{ "DELETE", "/api/v1/accounts/{}", await_delete },   { "PUT", "/api/v1/accounts/{}/password", await_password },
	{ "PUT", "/api/v1/accounts/{}/uidls", await_uidls },
};
const struct api_rows account_methods = { rows, COUNT_OF(rows) };
