/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_metadata.c - GETMETADATA and SETMETADATA (RFC 5464), also for LIST (RFC 9590). Two entries are not kept as such:
 * "/shared/admin" of the server, which the configuration says, and "/private/specialuse", which LIST says as well
 * (RFC 6154 4). */
#include "session/imap/imap.h"

enum {
	VALUE_BYTES_MAX = 65536, /* of store.msg */
	TEXT_BYTES = 32 << 10,
};

#define ENTRY_ADMIN S("/shared/admin")
#define ENTRY_USE S("/private/specialuse")

/* ---- answers */

/* nstring / literal8 */
static void
put_value(struct buf *to, const struct imap_annotation *a)
{
	if (a->gone) {
		buf_put(to, S("NIL"));
		return;
	}
	if (slice_find_char(a->value, '\0') >= 0)
		buf_put_char(to, '~');
	imap_put_string(to, a->value);
}

/* What came, and what was too long to come. */
struct metadata_answer {
	struct imap *im;
	struct slice mailbox; /* empty: the server */
	uint64_t max_size, longest;
	size_t told;
};

static void
put_one(struct metadata_answer *m, const struct imap_annotation *a)
{
	struct buf *to = &m->im->text;
	if (!a->gone && a->value.len > m->max_size) { /* RFC 5464 4.2.1 */
		m->longest = MAX(m->longest, (uint64_t)a->value.len);
		return;
	}
	if (m->told++) {
		buf_put_char(to, ' ');
	} else {
		buf_put(to, S("* METADATA "));
		imap_put_mailbox(m->im, to, m->mailbox);
		buf_put(to, S(" ("));
	}
	imap_put_string(to, a->entry);
	buf_put_char(to, ' ');
	put_value(to, a);
}

/* ---- the entries that are computed */

static struct imap_annotation
admin_entry(struct imap *im)
{
	const char *who = im->c->conf->v.postmaster;
	struct slice uri = strchr(who, '@') ? arena_printf(&im->arena, "mailto:%s", who)
	                                    : arena_printf(&im->arena, "mailto:postmaster@%s", im->c->conf->v.hostname);
	return (struct imap_annotation){ ENTRY_ADMIN, uri, false };
}

static enum err
await_use_entry(struct imap *im, struct slice mailbox, struct imap_annotation *a)
{
	struct imap_place p;
	struct store_mailbox_status_in in = { 0 };
	struct store_mailbox_status_out out = { 0 };
	enum err e = await_imap_place(im, mailbox, &p);
	in.name = p.name;
	e = e ? e : await_imap_ask_of(im, p.owner, mailbox_status, &in, &im->arena, &out);
	*a = (struct imap_annotation){ ENTRY_USE, imap_special_uses(&im->arena, out.mailbox.attributes), false };
	a->gone = a->value.len == 0;
	return e;
}

/* Answers those that are computed, and leaves the others in m. */
static enum err
await_computed(struct metadata_answer *answer, struct imap_metadata *m)
{
	size_t left = 0;
	enum err e = OK;
	for (size_t i = 0; i < m->count && e == OK; i++) {
		struct imap_annotation a = m->entries[i];
		if (m->server && slice_equal(a.entry, ENTRY_ADMIN))
			a = admin_entry(answer->im);
		else if (!m->server && slice_equal(a.entry, ENTRY_USE))
			e = await_use_entry(answer->im, m->mailbox, &a);
		else {
			m->entries[left++] = a;
			continue;
		}
		if (e == OK)
			put_one(answer, &a);
	}
	m->count = left;
	return e;
}

static enum err
await_kept(struct metadata_answer *answer, const struct imap_metadata *m)
{
	struct imap *im = answer->im;
	struct imap_place p;
	struct store_metadata_get_in in = { .depth = m->depth, .nentries = (uint32_t)m->count };
	struct store_metadata_get_out out = { 0 };
	enum err e = await_imap_place(im, m->mailbox, &p);
	in.name = p.name;
	in.entries = ARENA_ARRAY(&im->arena, struct store_name, m->count + 1);
	for (size_t i = 0; i < m->count; i++)
		in.entries[i].text = m->entries[i].entry;
	if (e == OK && m->count)
		e = await_imap_ask_of(im, p.owner, metadata_get, &in, &im->arena, &out);
	for (uint32_t i = 0; e == OK && i < out.nannotations; i++) {
		const struct store_annotation *a = &out.annotations[i];
		put_one(answer, &(struct imap_annotation){ a->entry, a->value, a->gone });
		if (im->text.len > TEXT_BYTES)
			await_imap_text(im);
	}
	return e;
}

enum err
await_imap_metadata(struct imap *im, struct imap_metadata *m, uint64_t *longest)
{
	struct metadata_answer answer = { .im = im, .mailbox = m->mailbox, .max_size = m->max_size };
	size_t start = im->text.len;
	enum err e = await_computed(&answer, m);
	e = e ? e : await_kept(&answer, m);
	if (answer.told)
		buf_put(&im->text, S(")\r\n"));
	else
		buf_drop_end(&im->text, im->text.len - start);
	*longest = answer.longest;
	return e;
}

/* ---- commands */

/* RFC 5464 4.2 */
struct imap_reply
imap_cmd_getmetadata(struct imap *im, struct cursor *args)
{
	struct imap_metadata m;
	uint64_t longest;
	if (!imap_take_space(args) || !imap_take_getmetadata(args, &im->arena, imap_names(im), &m) || !take_end(args))
		return imap_bad("GETMETADATA takes a mailbox name or \"\", perhaps options, and entries");
	if (!m.valid)
		return imap_no("NONEXISTENT", "no mailbox can have that name");
	enum err e = await_imap_metadata(im, &m, &longest);
	if (e != OK)
		return imap_err(e);
	if (longest)
		return imap_ok_code(arena_printf(&im->arena, "METADATA LONGENTRIES %llu", (unsigned long long)longest), "done");
	return imap_ok("done");
}

/* RFC 6154 4: takes "/private/specialuse" out of m; OK status: it was valid or not there. */
static struct imap_reply
take_use(struct imap *im, struct imap_metadata *m, bool *given, uint32_t *special)
{
	size_t left = 0;
	for (size_t i = 0; i < m->count; i++) {
		const struct imap_annotation *a = &m->entries[i];
		if (m->server || !slice_equal(a->entry, ENTRY_USE)) {
			m->entries[left++] = *a;
			continue;
		}
		*given = true;
		*special = 0;
		if (!a->gone && !imap_parse_special_uses(a->value, special))
			return imap_no("CANNOT", "these are no special uses that are known here");
	}
	m->count = left;
	return imap_ok("");
}

static struct imap_reply
check_values(struct imap *im, const struct imap_metadata *m)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct imap_annotation *a = &m->entries[i];
		if (slice_equal(a->entry, S("/private")) || slice_equal(a->entry, S("/shared")))
			return imap_bad("an entry has a name below /private or /shared");
		if (m->server && slice_equal(a->entry, ENTRY_ADMIN))
			return imap_no("CANNOT", "this entry is set by the server's configuration");
		if (a->value.len > VALUE_BYTES_MAX) /* RFC 5464 4.3 */
			return imap_no(arena_printf(&im->arena, "METADATA MAXSIZE %d", VALUE_BYTES_MAX).at,
			               "the value is too long");
	}
	return imap_ok("");
}

static enum err
await_set(struct imap *im, const struct imap_metadata *m, const struct imap_place *p)
{
	struct store_metadata_set_in in = { .name = p->name, .nannotations = (uint32_t)m->count };
	struct store_metadata_set_out out;
	in.annotations = ARENA_ARRAY(&im->arena, struct store_annotation, m->count + 1);
	for (size_t i = 0; i < m->count; i++) {
		const struct imap_annotation *a = &m->entries[i];
		in.annotations[i] = (struct store_annotation){ a->entry, a->gone ? S("") : a->value, a->gone };
	}
	return m->count ? await_imap_ask_of(im, p->owner, metadata_set, &in, &im->arena, &out) : OK;
}

static struct imap_reply
await_setmetadata(struct imap *im, struct imap_metadata *m)
{
	struct imap_place p;
	struct store_mailbox_use_in use = { 0 };
	struct store_mailbox_use_out used;
	bool given = false;
	struct imap_reply no = take_use(im, m, &given, &use.special);
	if (no.status == IMAP_OK)
		no = check_values(im, m);
	if (no.status != IMAP_OK)
		return no;
	enum err e = await_imap_place(im, m->mailbox, &p);
	use.name = p.name;
	e = e ? e : await_set(im, m, &p);
	if (e == OK && given)
		e = await_imap_ask_of(im, p.owner, mailbox_use, &use, &im->arena, &used);
	switch (e) {
	case OK: return imap_ok("done");
	case ERR_LIMIT: return imap_no("METADATA TOOMANY", "there are too many entries, or they are too long together");
	case ERR_DENIED: return imap_no("NOPERM", "your rights do not allow to set that");
	default: return imap_err(e);
	}
}

/* RFC 5464 4.3 */
struct imap_reply
imap_cmd_setmetadata(struct imap *im, struct cursor *args)
{
	struct imap_metadata m;
	if (!imap_take_space(args) || !imap_take_setmetadata(args, &im->arena, imap_names(im), &m) || !take_end(args))
		return imap_bad("SETMETADATA takes a mailbox name or \"\", and entries with values in parentheses");
	if (!m.valid)
		return imap_no("NONEXISTENT", "no mailbox can have that name");
	return await_setmetadata(im, &m);
}
