/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_mail.c - MAIL: begins a transaction (RFC 5321 4.1.1.2) and reads its parameters: SIZE (RFC 1870), BODY (RFC 6152,
 * RFC 3030), SMTPUTF8 (RFC 6531), RET and ENVID (RFC 3461), AUTH (RFC 4954 5, read and not believed), and on submission
 * those of wishes.c. */
#include "session/smtp/smtp.h"

#include "store/rows.h"

enum mail_param {
	PARAM_SIZE = 1,
	PARAM_BODY = 2,
	PARAM_SMTPUTF8 = 4,
	PARAM_RET = 8,
	PARAM_ENVID = 16,
	PARAM_AUTH = 32,
	PARAM_REQUIRETLS = 1024,
	PARAM_HOLDFOR = 64,
	PARAM_HOLDUNTIL = 128,
	PARAM_BY = 256,
	PARAM_PRIORITY = 512,
};

struct mail_args {
	struct path path;
	uint32_t seen, ret, flags;
	uint64_t size;
	bool binary;
	struct slice envid;
	struct wishes wishes;
};

static struct reply
take_size(struct smtp *s, struct mail_args *m, const struct smtp_param *p)
{
	if (p->value.len > 20 || !slice_to_u64(p->value, &m->size)) /* RFC 1870 4 */
		return reply(501, "5.5.4", "SIZE is a number of bytes");
	if (m->size > s->c->conf->v.message_bytes_max)
		return reply_slice(552, "5.3.4",
		                   arena_printf(s->command, "too large: at most %llu bytes",
		                                (unsigned long long)s->c->conf->v.message_bytes_max));
	return REPLY_NONE;
}

static struct reply
take_body(struct smtp *s, struct mail_args *m, const struct smtp_param *p)
{
	m->binary = slice_equal_nocase(p->value, S("BINARYMIME"));
	if (slice_equal_nocase(p->value, S("8BITMIME")))
		m->flags |= ENVELOPE_8BIT;
	else if (m->binary)
		m->flags |= ENVELOPE_BINARY;
	else if (!slice_equal_nocase(p->value, S("7BIT")))
		return reply(501, "5.5.4", "BODY is 7BIT, 8BITMIME or BINARYMIME");
	return REPLY_NONE;
}

static struct reply
take_smtputf8(struct smtp *s, struct mail_args *m, const struct smtp_param *p)
{
	if (p->has_value)
		return reply(501, "5.5.4", "SMTPUTF8 takes no value");
	m->flags |= ENVELOPE_SMTPUTF8;
	return REPLY_NONE;
}

static struct reply
take_ret(struct smtp *s, struct mail_args *m, const struct smtp_param *p)
{
	m->ret = slice_equal_nocase(p->value, S("FULL"))   ? RET_FULL
	         : slice_equal_nocase(p->value, S("HDRS")) ? RET_HDRS
	                                                   : RET_NONE;
	return m->ret == RET_NONE ? reply(501, "5.5.4", "RET is FULL or HDRS") : REPLY_NONE;
}

static struct reply
take_envid(struct smtp *s, struct mail_args *m, const struct smtp_param *p)
{
	if (p->value.len > 100 || !is_xtext(p->value)) /* RFC 3461 4.4 */
		return reply(501, "5.5.4", "ENVID is xtext of at most 100 characters");
	m->envid = p->value;
	return REPLY_NONE;
}

/* RFC 4954 5: who is not trusted to say it is treated as if AUTH=<> was said. */
static struct reply
take_auth(struct smtp *s, struct mail_args *m, const struct smtp_param *p)
{
	if (!p->has_value || (!slice_equal(p->value, S("<>")) && !is_xtext(p->value)))
		return reply(501, "5.5.4", "AUTH is xtext or <>");
	return REPLY_NONE;
}

/* RFC 8689 2: only where the session itself is protected. */
static struct reply
take_requiretls(struct smtp *s, struct mail_args *m, const struct smtp_param *p)
{
	if (p->has_value)
		return reply(501, "5.5.4", "REQUIRETLS takes no value");
	if (!s->c->io.tls)
		return reply(530, "5.7.10", "REQUIRETLS needs TLS: say STARTTLS first");
	m->flags |= ENVELOPE_REQUIRETLS;
	return REPLY_NONE;
}

static struct reply
take_hold_for(struct smtp *s, struct mail_args *m, const struct smtp_param *p)
{
	return wish_hold_for(s, &m->wishes, p->value);
}

static struct reply
take_hold_until(struct smtp *s, struct mail_args *m, const struct smtp_param *p)
{
	return wish_hold_until(s, &m->wishes, p->value);
}

static struct reply
take_by(struct smtp *s, struct mail_args *m, const struct smtp_param *p)
{
	return wish_by(s, &m->wishes, p->value);
}

static struct reply
take_priority(struct smtp *s, struct mail_args *m, const struct smtp_param *p)
{
	return wish_priority(s, &m->wishes, p->value);
}

static const struct {
	struct slice name;
	uint32_t bit, faces;
	struct reply (*take)(struct smtp *s, struct mail_args *m, const struct smtp_param *p);
} params[] = {
	{ S_ROW("SIZE"), PARAM_SIZE, FACE_ALL, take_size },
	{ S_ROW("BODY"), PARAM_BODY, FACE_ALL, take_body },
	{ S_ROW("SMTPUTF8"), PARAM_SMTPUTF8, FACE_ALL, take_smtputf8 },
	{ S_ROW("RET"), PARAM_RET, FACE_ALL, take_ret },
	{ S_ROW("ENVID"), PARAM_ENVID, FACE_ALL, take_envid },
	{ S_ROW("AUTH"), PARAM_AUTH, FACE_SUBMISSION, take_auth },
	{ S_ROW("REQUIRETLS"), PARAM_REQUIRETLS, FACE_ALL, take_requiretls },
	{ S_ROW("HOLDFOR"), PARAM_HOLDFOR, FACE_SUBMISSION, take_hold_for },
	{ S_ROW("HOLDUNTIL"), PARAM_HOLDUNTIL, FACE_SUBMISSION, take_hold_until },
	{ S_ROW("BY"), PARAM_BY, FACE_SUBMISSION, take_by },
	{ S_ROW("MT-PRIORITY"), PARAM_PRIORITY, FACE_SUBMISSION, take_priority },
};

static struct reply
take_one_param(struct smtp *s, void *into, const struct smtp_param *p)
{
	struct mail_args *m = into;
	for (size_t i = 0; i < COUNT_OF(params); i++) {
		if (!slice_equal_nocase(p->name, params[i].name) || !(params[i].faces & s->face))
			continue;
		if (m->seen & params[i].bit)
			return reply(501, "5.5.4", "a parameter came twice");
		m->seen |= params[i].bit;
		return params[i].take(s, m, p);
	}
	return reply_slice(555, "5.5.4",
	                   arena_printf(s->command, "no such parameter of MAIL: %.*s", /* RFC 5321 4.1.1.11 */
	                                (int)MIN(p->name.len, (size_t)40), p->name.at));
}

static struct reply
take_mail(struct smtp *s, struct cursor *args, struct mail_args *m)
{
	skip_spaces(args);
	if (!take_nocase(args, S("FROM:")))
		return reply(501, "5.5.4", "say MAIL FROM:<address>");
	skip_spaces(args); /* RFC 5321 3.3 wants no space here; many send one, and it means nothing */
	if (!take_reverse_path(args, s->command, true, &m->path))
		return reply(501, "5.1.7", "malformed address; it stands in angle brackets");
	if (!path_fits(&m->path))
		return reply(501, "5.1.7", "an address this long cannot exist (RFC 5321 4.5.3.1)");
	struct reply r = take_params(s, args, take_one_param, m);
	return r.code ? r : wishes_check(&m->wishes);
}

/* RFC 6409 6.1: who is logged in writes as somebody that the account is. Asked each time: rights end while a session
 * lasts. */
static struct reply
await_check_sender(struct smtp *s, struct slice address)
{
	if (s->face != FACE_SUBMISSION)
		return REPLY_NONE;
	struct store_sender_allowed_in in = { .account = s->account, .address = address };
	struct store_sender_allowed_out out = { 0 };
	enum err e = await_account(s);
	if (e == ERR_STALE || e == ERR_SUSPENDED || e == ERR_DENIED)
		return reply_close(reply(421, "4.7.0", "your account was changed, log in again"));
	if (e == OK)
		e = address.len ? await_store_sender_allowed(&s->c->session->store, &in, s->command, &out) : OK;
	if (e == ERR_NOT_FOUND || e == ERR_SUSPENDED || e == ERR_DENIED)
		return reply(550, "5.7.1", "your account may not send now");
	if (e != OK)
		return reply_trouble(e);
	if (address.len && !out.allowed)
		return reply_slice(550, "5.7.1", arena_printf(s->command, "that is no address of your account %s", s->user));
	return REPLY_NONE;
}

struct reply
reply_hold_quota(void)
{
	return reply(552, "5.7.16", "your account has no room to keep more messages for later");
}

/* RFC 4865 6 (3): what would not fit beside what the account holds already is refused here, where its size was said. */
static struct reply
await_check_hold(struct smtp *s, const struct mail_args *m)
{
	struct store_account_usage_in in = { .handle = s->handle };
	struct store_account_usage_out out = { 0 };
	if (!m->wishes.hold_until || !s->account)
		return REPLY_NONE;
	enum err e = await_store_account_usage(&s->c->session->store, &in, s->command, &out);
	const struct store_usage *u = &out.usage;
	uint64_t used = u->bytes + u->held;
	if (e != OK)
		return reply_trouble(e);
	return u->bytes_max && (used >= u->bytes_max || m->size > u->bytes_max - used) ? reply_hold_quota() : REPLY_NONE;
}

struct reply
await_cmd_mail(struct smtp *s, struct cursor *args)
{
	if (!s->c->trusted && s->mails >= s->c->conf->v.smtp_messages_max)
		return reply_close(reply(421, "4.7.0", "that was enough for one session, come again"));
	struct mail_args m = { 0 };
	struct reply r = take_mail(s, args, &m);
	if (r.code)
		return r;
	if (m.path.utf8 && !(m.flags & ENVELOPE_SMTPUTF8)) /* RFC 6531 3.5 */
		return reply(553, "5.6.7", "an address that is not ASCII needs SMTPUTF8");
	struct slice address = path_address(s->command, &m.path);
	r = await_check_sender(s, address);
	if (!r.code)
		r = await_check_hold(s, &m);
	if (r.code)
		return r;
	tx_begin(s);
	s->mails++;
	s->tx.reverse = slice_keep(&s->tx.arena, address);
	s->tx.reverse_path = path_written(&s->tx.arena, &m.path);
	s->tx.envid = slice_keep(&s->tx.arena, m.envid);
	s->tx.ret = m.ret;
	s->tx.flags = m.flags;
	s->tx.binary = m.binary;
	s->tx.size = m.size;
	s->tx.wishes = m.wishes;
	if (m.wishes.lowered) /* RFC 6710 4.1: X.3.6, the new priority first */
		return reply_slice(250, "2.3.6",
		                   arena_printf(s->command, "%lld is the priority of this message, as high as it may be",
		                                (long long)m.wishes.priority));
	return reply(250, "2.1.0", "sender accepted");
}
