/* SPDX-License-Identifier: Apache-2.0 */
/* pages.c - what the listeners http and https show to strangers: /unsubscribe/REF, whose link stands in the field
 * List-Unsubscribe of bulk mail (RFC 2369, RFC 8058). A mail program posts to it; a person who follows it sees a page
 * with a button, since whatever looks into mail follows links, too (RFC 8058 1). REF was made for one recipient of one
 * sending domain (mail/verp.h), and is checked by the store. */
#include "session/http/api.h"
#include "session/lang.h"

#define UNSUBSCRIBE S("/unsubscribe/")
#define ONE_CLICK S("List-Unsubscribe=One-Click")
#define REF_BYTES_MAX 1000
#define LANG_RANGES_MAX 20

/* '%': the domain. */
struct texts {
	struct slice question, button, done, unknown, later;
};
static const struct texts texts[LANG_COUNT] = {
	[LANG_EN] = { S_ROW("Do you want no more bulk mail from %?"), S_ROW("Unsubscribe"),
	              S_ROW("You get no more bulk mail from %."),
	              S_ROW("This link is not valid, or too old. Please write to who sent the message."),
	              S_ROW("This cannot be done just now. Please try again later.") },
	[LANG_DE] = { S_ROW("Möchten Sie keine Rundschreiben von % mehr bekommen?"), S_ROW("Abbestellen"),
	              S_ROW("Sie bekommen keine Rundschreiben von % mehr."),
	              S_ROW("Dieser Verweis ist nicht gültig oder zu alt. Bitte schreiben Sie an den Absender."),
	              S_ROW("Das geht gerade nicht. Bitte versuchen Sie es später noch einmal.") },
	[LANG_FR] = { S_ROW("Ne plus recevoir de courrier collectif de % ?"), S_ROW("Se désabonner"),
	              S_ROW("Vous ne recevrez plus de courrier collectif de %."),
	              S_ROW("Ce lien n'est pas valable, ou trop ancien. Veuillez écrire à l'expéditeur."),
	              S_ROW("Ce n'est pas possible pour l'instant. Veuillez réessayer plus tard.") },
};

/* The first of the languages that the reader likes which we speak: they come in the order of their weights from all
 * browsers (RFC 9110 12.5.4). */
static enum lang
reader_lang(struct slice accept)
{
	struct slice range, weight;
	enum lang lang;
	for (int i = 0; accept.len && i < LANG_RANGES_MAX; i++) {
		slice_cut(accept, ',', &range, &accept);
		slice_cut(range, ';', &range, &weight);
		if (lang_of_range(slice_trim(range), LANG_EN, &lang) && lang != LANG_DEFAULT)
			return lang;
	}
	return LANG_EN;
}

/* A page with one sentence, and a button or none. domain: of ours, or empty. */
static void
show(struct api_call *call, unsigned status, enum lang lang, struct slice sentence, struct slice domain,
     struct slice button)
{
	struct slice before, after, mark = slice_find_char(sentence, '%') >= 0 ? domain : SLICE_NONE;
	slice_cut(sentence, '%', &before, &after);
	struct slice form = SLICE_NONE;
	if (button.len)
		form = arena_printf(
		    call->arena,
		    "<form method=\"post\"><button name=\"List-Unsubscribe\" value=\"One-Click\">%.*s</button></form>",
		    SLICE_ARG(button));
	call->status = status;
	call->text_type = "text/html; charset=utf-8";
	call->text =
	    arena_printf(call->arena,
	                 "<!DOCTYPE html>\n<html lang=\"%.*s\"><meta charset=\"utf-8\">"
	                 "<meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">"
	                 "<title>%.*s</title><body style=\"font: 18px sans-serif; margin: 3em auto; max-width: 30em\">"
	                 "<p>%.*s%.*s%.*s</p>%.*s</body></html>\n",
	                 SLICE_ARG(lang_tag(lang)), SLICE_ARG(texts[lang].button), SLICE_ARG(before), SLICE_ARG(mark),
	                 SLICE_ARG(after), SLICE_ARG(form));
}

/* As a form sends it: one pair by itself, or a part of multipart/form-data (RFC 8058 3.2 allows both). */
static bool
says_one_click(struct slice content_type, struct slice body)
{
	ptrdiff_t at;
	if (!slice_starts_nocase(content_type, S("multipart/form-data")))
		return slice_equal(slice_trim(body), ONE_CLICK);
	at = slice_find_nocase(body, S("name=\"List-Unsubscribe\""));
	return at >= 0 && slice_find(slice_from(body, (size_t)at), S("\r\n\r\nOne-Click\r\n")) > 0;
}

/* *domain: whose bulk mail it is about; empty: the link is not valid. */
static enum err
await_ask(struct api_call *call, struct slice ref, bool act, struct slice *domain)
{
	struct ipc_client *store = &call->session->store;
	struct store_unsubscribe_in in = { .ref = ref };
	struct store_unsubscribe_out out;
	struct store_unsubscribe_show_in show_in = { .ref = ref };
	struct store_unsubscribe_show_out show_out;
	enum err e = act ? await_store_unsubscribe(store, &in, call->arena, &out)
	                 : await_store_unsubscribe_show(store, &show_in, call->arena, &show_out);
	*domain = e ? SLICE_NONE : act ? out.domain : show_out.domain;
	return e;
}

static void
await_unsubscribe(struct api_call *call, struct slice ref, struct slice body)
{
	struct slice domain;
	bool post = slice_equal(call->request->method, S("POST"));
	enum lang lang = reader_lang(call->request->accept_language);
	const struct texts *t = &texts[lang];
	if (post && !says_one_click(call->request->content_type, body)) {
		show(call, 400, lang, t->unknown, SLICE_NONE, SLICE_NONE);
		return;
	}
	enum err e = await_ask(call, ref, post, &domain);
	if (e)
		show(call, 503, lang, t->later, SLICE_NONE, SLICE_NONE);
	else if (!domain.len)
		show(call, 404, lang, t->unknown, SLICE_NONE, SLICE_NONE);
	else
		show(call, 200, lang, post ? t->done : t->question, domain, post ? SLICE_NONE : t->button);
}

void
await_public(struct api_call *call, struct slice body)
{
	struct slice path, method = call->request->method;
	bool reads = slice_equal(method, S("GET")) || slice_equal(method, S("HEAD"));
	if (!http_decode(call->request->path, call->arena, &path) || !slice_starts(path, UNSUBSCRIBE) ||
	    path.len == UNSUBSCRIBE.len || path.len > UNSUBSCRIBE.len + REF_BYTES_MAX)
		api_error(call, 404, "there is nothing here", NULL);
	else if (!reads && !slice_equal(method, S("POST")))
		api_error(call, 405, "this method is not offered here", NULL);
	else
		await_unsubscribe(call, slice_from(path, UNSUBSCRIBE.len), body);
}
