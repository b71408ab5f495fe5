/* SPDX-License-Identifier: Apache-2.0 */
/* head.c - what a submission server does to a header (RFC 6409): refuses a From that is not the account's (6.1), adds
 * Date and Message-ID where they are missing (8.2, 8.3). Called by intake.c with the header as it came. Fails as the
 * store does: 451. */
#include "session/smtp/smtp.h"

#include "base/random.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/header.h"
#include "store/rows.h"

struct head {
	bool date, message_id;
	unsigned from_fields, from_addresses;
};

static struct reply
await_check_from(struct smtp *s, const struct address *a)
{
	struct slice at = arena_join(s->command, a->local, S("@"));
	struct path p = { .local = a->local, .domain = a->domain };
	struct slice address = a->domain.len ? path_address(s->command, &p) : at;
	if (a->local.len && a->domain.len && slice_equal(address, s->tx.reverse))
		return REPLY_NONE; /* MAIL was allowed it */
	if (address.len > 1000)
		return reply(550, "5.7.1", "an address in From is too long");
	struct store_sender_allowed_in in = { .account = s->account, .address = address };
	struct store_sender_allowed_out out = { 0 };
	enum err e = await_store_sender_allowed(&s->c->session->store, &in, s->command, &out);
	if (e == ERR_NOT_FOUND || e == ERR_SUSPENDED || e == ERR_DENIED)
		return reply(550, "5.7.1", "your account may not send now");
	if (e != OK)
		return reply_trouble(e);
	if (!out.allowed)
		return reply(550, "5.7.1", "From names an address that is not one of your account's");
	return REPLY_NONE;
}

static struct reply
await_check_from_field(struct smtp *s, struct head *h, struct slice value)
{
	struct address_reader r;
	struct address a;
	h->from_fields++;
	address_begin(&r, s->command, header_unfold(s->command, value));
	while (address_next(&r, &a)) {
		if (a.kind != ADDRESS_MAILBOX)
			continue;
		if (++h->from_addresses > SMTP_FROM_MAX)
			return reply(550, "5.6.0", "too many addresses in From");
		struct reply no = await_check_from(s, &a);
		if (no.code)
			return no;
	}
	return REPLY_NONE;
}

static void
add_missing(struct smtp *s, const struct head *h, struct buf *added)
{
	if (!h->date) {
		buf_put(added, S("Date: "));
		date_put(added, clock_wall_sec(), 0);
		buf_put(added, S("\r\n"));
	}
	if (!h->message_id) {
		char random[33];
		random_text(random, 32);
		buf_printf(added, "Message-ID: <%s@%s>\r\n", random, s->c->conf->v.hostname);
	}
}

/* RFC 8689 3. REQUIRETLS of MAIL goes before the field (4.1). */
static bool
is_tls_optional(const struct smtp *s, const struct header_field *f)
{
	return slice_equal_nocase(f->name, S("TLS-Required")) && slice_equal_nocase(slice_trim(f->value), S("No")) &&
	       !(s->tx.flags & ENVELOPE_REQUIRETLS);
}

struct reply
await_check_head(struct smtp *s, struct slice text, struct buf *added)
{
	struct head h = { 0 };
	struct header_reader r;
	struct header_field f;
	header_begin(&r, text);
	while (header_next(&r, &f)) {
		enum header_id id = header_id(f.name);
		h.date |= id == HEADER_DATE;
		h.message_id |= id == HEADER_MESSAGE_ID;
		if (is_tls_optional(s, &f)) /* RFC 8689 4.1 */
			s->tx.flags |= ENVELOPE_TLS_OPTIONAL;
		if (slice_equal_nocase(f.name, S("List-Unsubscribe")))
			s->tx.flags |= ENVELOPE_UNSUBSCRIBES;
		if (id != HEADER_FROM)
			continue;
		struct reply no = await_check_from_field(s, &h, f.value);
		if (no.code)
			return no;
	}
	if (r.fields >= HEADER_FIELDS_MAX) /* what stands behind was not looked at */
		return reply(552, "5.3.4", "the header of the message has too many fields");
	if (h.from_fields != 1 || h.from_addresses == 0) /* RFC 5322 3.6: exactly one From */
		return reply(550, "5.6.0", "the message needs one From field with an address");
	add_missing(s, &h, added);
	return REPLY_NONE;
}
