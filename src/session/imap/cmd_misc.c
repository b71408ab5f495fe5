/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_misc.c - CAPABILITY, NOOP, CHECK, LOGOUT, ID, ENABLE. None of them can fail but for its syntax. */
#include "session/imap/imap.h"

#include "base/log.h"

enum { ID_FIELDS_MAX = 30, ID_NAME_BYTES_MAX = 30, ID_VALUE_BYTES_MAX = 1024 }; /* RFC 2971 3.3 */

/* RFC 3501 6.1.1 */
struct imap_reply
imap_cmd_capability(struct imap *im, struct cursor *args)
{
	if (!take_end(args))
		return imap_bad("CAPABILITY takes no arguments");
	buf_put(&im->text, S("* CAPABILITY "));
	imap_put_capabilities(im, &im->text);
	buf_put(&im->text, S("\r\n"));
	return imap_ok("these are the capabilities");
}

/* NOOP and CHECK - RFC 3501 6.1.2, 6.4.1: the time to tell what is new; nothing waits to be made durable here. */
struct imap_reply
imap_cmd_noop(struct imap *im, struct cursor *args)
{
	if (!take_end(args))
		return imap_bad("this command takes no arguments");
	await_imap_sync(im, SYNC_ASK | SYNC_EXPUNGES);
	return imap_ok("done");
}

/* RFC 3501 6.1.3: BYE comes before the tagged OK */
struct imap_reply
imap_cmd_logout(struct imap *im, struct cursor *args)
{
	if (!take_end(args))
		return imap_bad("LOGOUT takes no arguments");
	imap_unselect(im);
	im->state = IMAP_LOGOUT;
	imap_untagged(im, S("BYE until next time"));
	return imap_ok("logged out");
}

/* ---- ID, RFC 2971 3.1 */

static bool
take_id_field(struct imap *im, struct cursor *c, struct log *l)
{
	struct slice name, value;
	bool nil;
	if (!imap_take_string(c, &im->arena, &name) || name.len > ID_NAME_BYTES_MAX || !imap_take_space(c) ||
	    !imap_take_nstring(c, &im->arena, &value, &nil) || value.len > ID_VALUE_BYTES_MAX)
		return false;
	if (!nil) {
		log_slice(l, "field", name);
		log_slice(l, "value", value);
	}
	return true;
}

/* id_params_list = "(" [string SP nstring *(SP string SP nstring)] ")" / nil */
static bool
take_id_list(struct imap *im, struct cursor *c, struct log *l)
{
	if (take_nocase(c, S("NIL")) || take_exact(c, S("()")))
		return true;
	if (!take_char(c, '('))
		return false;
	int n = 0;
	do {
		if (n++ == ID_FIELDS_MAX || !take_id_field(im, c, l))
			return false;
	} while (imap_take_space(c));
	return take_char(c, ')');
}

struct imap_reply
imap_cmd_id(struct imap *im, struct cursor *args)
{
	struct log l;
	log_begin(&l, LOG_DEBUG, "imap.id");
	log_text(&l, "session", im->c->id);
	bool ok = imap_take_space(args) && take_id_list(im, args, &l) && take_end(args);
	log_end(&l);
	if (!ok)
		return imap_bad("ID takes NIL or a list of at most 30 names and values");
	imap_untagged(im, S("ID (\"name\" \"Posthouse\")"));
	return imap_ok("pleased to meet you");
}

/* ---- ENABLE, RFC 5161 3.1 */

static const struct {
	struct slice word;
	uint32_t bits;
} extensions[] = {
	{ S_ROW("CONDSTORE"), ENABLED_CONDSTORE }, { S_ROW("QRESYNC"), ENABLED_CONDSTORE | ENABLED_QRESYNC },
	{ S_ROW("UTF8=ACCEPT"), ENABLED_UTF8 }, /* RFC 6855 3 */
	{ S_ROW("IMAP4rev2"), ENABLED_REV2 },   /* RFC 9051 6.3.1 */
	{ S_ROW("UIDONLY"), ENABLED_UIDONLY },  /* RFC 9586 3.1 */
};

void
imap_enable(struct imap *im, uint32_t what)
{
	bool first = (what & ~im->enabled & ENABLED_CONDSTORE) != 0;
	im->enabled |= what;
	im->view.tells_modseqs = im->enabled & ENABLED_CONDSTORE;
	if (first && im->state == IMAP_SELECTED) /* RFC 7162 3.1 */
		imap_put_highest(im);
}

/* What is not known is ignored. */
struct imap_reply
imap_cmd_enable(struct imap *im, struct cursor *args)
{
	uint32_t named = 0;
	struct slice word;
	do {
		if (!imap_take_space(args) || !imap_take_atom(args, &word))
			return imap_bad("ENABLE takes capabilities");
		for (size_t i = 0; i < COUNT_OF(extensions); i++)
			if (slice_equal_nocase(word, extensions[i].word))
				named |= 1u << i;
	} while (!take_end(args));
	buf_put(&im->text, S("* ENABLED"));
	for (size_t i = 0; i < COUNT_OF(extensions); i++) {
		if (!(named & 1u << i))
			continue;
		buf_put_char(&im->text, ' ');
		buf_put(&im->text, extensions[i].word);
	}
	buf_put(&im->text, S("\r\n"));
	for (size_t i = 0; i < COUNT_OF(extensions); i++)
		if (named & 1u << i)
			imap_enable(im, extensions[i].bits);
	return imap_ok("done");
}
