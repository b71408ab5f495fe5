/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_rcpt.c - RCPT: one recipient (RFC 5321 4.1.1.3), resolved by the store at once, so that whoever cannot get the
 * message is refused here, with the reason. Parameters NOTIFY and ORCPT (RFC 3461 4). Mail for other domains is taken
 * only from who is logged in: there is no other way through (%-hacks, bang paths, quoted local-parts and source routes
 * are local-parts of ours that nobody has, or nothing). */
#include "session/smtp/smtp.h"

#include "base/clock.h"
#include "base/counter.h"
#include "store/rows.h"
#include "store/suppression.h"

enum { VERIFY_WANTED_SEC = 60, VERIFY_LOOK_MS = 200 };

struct rcpt_args {
	struct path path;
	bool notify_seen, orcpt_seen;
	uint32_t notify;
	struct slice orcpt;
};

static struct reply
take_one_param(struct smtp *s, void *into, const struct smtp_param *p)
{
	struct rcpt_args *m = into;
	if (slice_equal_nocase(p->name, S("NOTIFY"))) {
		if (m->notify_seen || !notify_of(p->value, &m->notify))
			return reply(501, "5.5.4", "NOTIFY is NEVER, or some of SUCCESS,FAILURE,DELAY");
		m->notify_seen = true;
		return REPLY_NONE;
	}
	if (slice_equal_nocase(p->name, S("ORCPT"))) {
		if (m->orcpt_seen || !is_orcpt(p->value, s->tx.flags & ENVELOPE_SMTPUTF8))
			return reply(501, "5.5.4", "ORCPT is a type, a semicolon and xtext, at most 500 characters");
		m->orcpt_seen = true;
		m->orcpt = p->value;
		return REPLY_NONE;
	}
	return reply_slice(
	    555, "5.5.4",
	    arena_printf(s->command, "no such parameter of RCPT: %.*s", (int)MIN(p->name.len, (size_t)40), p->name.at));
}

static struct reply
take_rcpt(struct smtp *s, struct cursor *args, struct rcpt_args *m)
{
	skip_spaces(args);
	if (!take_nocase(args, S("TO:")))
		return reply(501, "5.5.4", "say RCPT TO:<address>");
	skip_spaces(args);
	if (!take_forward_path(args, s->command, true, &m->path))
		return reply(501, "5.1.3", "malformed address; it stands in angle brackets");
	if (!path_fits(&m->path))
		return reply(501, "5.1.3", "an address this long cannot exist (RFC 5321 4.5.3.1)");
	if (m->path.utf8 && !(s->tx.flags & ENVELOPE_SMTPUTF8))
		return reply(553, "5.6.7", "an address that is not ASCII needs SMTPUTF8");
	return take_params(s, args, take_one_param, m);
}

/* Why an address of ours gets nothing. */
static struct reply
reply_verdict(enum err verdict)
{
	switch (verdict) {
	case ERR_NOT_FOUND: return reply(550, "5.1.1", "nobody has this address here");
	case ERR_QUOTA: return reply(452, "4.2.2", "the mailbox is full, try again later");
	case ERR_SUSPENDED: return reply(450, "4.2.1", "the account is suspended, try again later");
	case ERR_LIMIT: return reply(550, "5.4.6", "the alias leads in a circle or too far");
	case ERR_DENIED: return reply(550, "5.7.1", "this address takes no mail");
	default: return reply_trouble(verdict);
	}
}

/* ---- keeping what was resolved */

static void *
grow(struct arena *a, void *old, uint32_t count, uint32_t need, uint32_t *room, size_t size)
{
	if (need <= *room)
		return old;
	uint32_t more = MAX(need, *room * 2);
	void *at = arena_alloc(a, size * more);
	if (count)
		memcpy(at, old, size * count);
	*room = more;
	return at;
}

static struct smtp_target *
add_target(struct transaction *tx, uint64_t account, struct slice address, struct slice mailbox)
{
	tx->targets = grow(&tx->arena, tx->targets, tx->ntargets, tx->ntargets + 1, &tx->targets_room, sizeof *tx->targets);
	tx->nremote += account == 0;
	struct smtp_target *t = &tx->targets[tx->ntargets++];
	*t = (struct smtp_target){
		.account = account,
		.address = account ? SLICE_NONE : slice_keep(&tx->arena, address),
		.mailbox = slice_keep(&tx->arena, mailbox),
	};
	return t;
}

static struct smtp_rcpt *
add_rcpt(struct smtp *s, const struct rcpt_args *m, struct slice address)
{
	struct transaction *tx = &s->tx;
	tx->rcpts = grow(&tx->arena, tx->rcpts, tx->nrcpts, tx->nrcpts + 1, &tx->rcpts_room, sizeof *tx->rcpts);
	struct smtp_rcpt *r = &tx->rcpts[tx->nrcpts++];
	*r = (struct smtp_rcpt){
		.address = slice_keep(&tx->arena, address),
		.path = path_written(&tx->arena, &m->path),
		.orcpt = slice_keep(&tx->arena, m->orcpt),
		.notify = m->notify,
		.first = tx->ntargets,
	};
	return r;
}

static struct reply
keep_local(struct smtp *s, const struct rcpt_args *m, struct slice address, const struct store_resolve_out *out)
{
	if (out->verdict != OK)
		return reply_verdict(out->verdict);
	for (uint32_t i = 0; i < out->ntargets; i++) /* one that cannot get it would make the others get it twice */
		if (out->targets[i].verdict != OK)
			return reply_verdict(out->targets[i].verdict);
	if (out->ntargets == 0)
		return reply_verdict(ERR_NOT_FOUND);
	uint32_t remote = 0;
	for (uint32_t i = 0; i < out->ntargets; i++)
		remote += out->targets[i].account == 0;
	if (out->ntargets > SMTP_TARGETS_MAX - s->tx.ntargets || remote > SMTP_REMOTE_MAX - s->tx.nremote)
		return reply(452, "4.5.3", "too many recipients behind these addresses, send the rest apart");
	struct smtp_rcpt *r = add_rcpt(s, m, address);
	for (uint32_t i = 0; i < out->ntargets; i++)
		add_target(&s->tx, out->targets[i].account, out->targets[i].address, out->targets[i].mailbox);
	r->count = out->ntargets;
	r->feedback = out->feedback;
	return reply(250, "2.1.5", "recipient accepted");
}

/* A return path of bulk mail: taken whatever became of the mailbox of who sent it, which may never get it. */
static struct reply
keep_return_path(struct smtp *s, const struct rcpt_args *m, struct slice address, const struct store_resolve_out *out)
{
	struct smtp_rcpt *r = add_rcpt(s, m, address);
	r->verp = true;
	r->forward = out->forward;
	for (uint32_t i = 0; i < out->ntargets; i++)
		if (out->targets[i].account && out->targets[i].verdict == OK && s->tx.ntargets < SMTP_TARGETS_MAX) {
			add_target(&s->tx, out->targets[i].account, SLICE_NONE, out->targets[i].mailbox);
			r->count++;
		}
	return reply(250, "2.1.5", "recipient accepted");
}

static struct reply
keep_remote(struct smtp *s, const struct rcpt_args *m, struct slice address, struct slice suppressed, bool backup)
{
	if ((s->face != FACE_SUBMISSION && !backup) || m->path.postmaster_only)
		return reply(550, "5.7.1", "that is no domain of ours, and relaying is not allowed");
	if (s->tx.ntargets == SMTP_TARGETS_MAX || s->tx.nremote == SMTP_REMOTE_MAX)
		return reply(452, "4.5.3", "too many recipients, send the rest apart");
	add_rcpt(s, m, address)->count = 1;
	add_target(&s->tx, 0, address, S(""))->suppressed = slice_keep(&s->tx.arena, suppressed);
	return reply(250, "2.1.5", "recipient accepted, to be sent on");
}

struct slice
suppressed_text(struct arena *a, struct slice why)
{
	return arena_printf(a, "your domain does not write to it any more: %.*s", SLICE_ARG(why));
}

/* Lets relay ask its server for the address, and waits for a moment. */
static enum err
await_verified(struct smtp *s, const struct store_resolve_in *in, struct store_resolve_out *out)
{
	struct store_memo wanted = { S("verify"), out->user, in->address, clock_wall_sec() + VERIFY_WANTED_SEC };
	struct store_memo_put_in put = { &wanted, 1 };
	struct store_memo_put_out done;
	int64_t end = deadline_in_ms(s->c->conf->v.relay_verify_wait);
	enum err e = OK;
	if (out->backup == BACKUP_ASK)
		e = await_store_memo_put(&s->c->session->store, &put, s->command, &done);
	while (!e && (out->backup == BACKUP_ASK || out->backup == BACKUP_ASKED) && clock_mono_ms() < end) {
		if (await_sleep(VERIFY_LOOK_MS))
			return ERR_CLOSED;
		e = await_store_resolve(&s->c->session->store, in, s->command, out);
	}
	return e;
}

/* Mail for somebody else's server, from whomever: only for those whom it knows. */
static struct reply
await_backup(struct smtp *s, const struct store_resolve_in *in, struct store_resolve_out *out)
{
	if (s->face != FACE_SUBMISSION && (out->backup == BACKUP_ASK || out->backup == BACKUP_ASKED)) {
		enum err e = await_verified(s, in, out);
		if (e != OK)
			return reply_trouble(e);
	}
	bool unsure = out->backup != BACKUP_TAKEN && out->backup != BACKUP_UNKNOWN;
	if (out->backup == BACKUP_UNKNOWN)
		return out->why.len ? reply_slice(550, "5.1.1",
		                                  arena_printf(s->command,
		                                               "the server of that domain does not know the "
		                                               "address: %.*s",
		                                               SLICE_ARG(out->why)))
		                    : reply(550, "5.1.1", "nobody has this address there");
	if (unsure && s->face != FACE_SUBMISSION && strcmp(s->c->conf->v.relay_verify_unsure, "accept") != 0)
		return reply(450, "4.1.1", "the server of that domain was not yet heard about the address, try again later");
	return REPLY_NONE;
}

static struct reply
await_resolve(struct smtp *s, const struct rcpt_args *m)
{
	struct slice address = path_address(s->command, &m->path);
	bool asks = s->face == FACE_SUBMISSION && s->c->conf->v.suppression;
	struct store_resolve_in in = { .address = address,
		                           .bytes = s->tx.size,
		                           .sender = asks ? s->tx.reverse : SLICE_NONE };
	struct store_resolve_out out = { 0 };
	enum err e = await_store_resolve(&s->c->session->store, &in, s->command, &out);
	if (e != OK)
		return reply_trouble(e);
	if (!out.local && out.verdict == ERR_SYNTAX) /* an empty local-part: of no use here, nor to anybody else */
		return reply(501, "5.1.3", "nobody can have this address");
	if (out.suppressed.len && out.reason == SUPPRESS_ADMINISTRATOR) /* others are bulk mail's alone: deliver.c */
		return reply_slice(550, "5.7.1", suppressed_text(s->command, out.suppressed));
	if ((out.verp || out.feedback) && !returned_fits(s, out.feedback))
		return reply(452, "4.5.3", "too many return paths, send the rest apart");
	if (out.verp)
		return keep_return_path(s, m, address, &out);
	if (out.local)
		return keep_local(s, m, address, &out);
	struct reply no = out.backup ? await_backup(s, &in, &out) : REPLY_NONE;
	return no.code ? no : keep_remote(s, m, address, out.suppressed, out.backup != BACKUP_NONE);
}

struct reply
await_cmd_rcpt(struct smtp *s, struct cursor *args)
{
	if (s->tx.chunks)
		return reply(503, "5.5.1", "the message is under way already");
	struct rcpt_args m = { 0 };
	struct reply r = take_rcpt(s, args, &m);
	if (!r.code && s->tx.nrcpts >= s->c->conf->v.smtp_recipients_max)
		return reply(452, "4.5.3", "too many recipients, send the rest apart"); /* RFC 5321 4.5.3.1.10 */
	if (!r.code)
		r = await_resolve(s, &m);
	if (r.code >= 400)
		counter_add(COUNTER_SMTP_RCPT_REFUSED, 1);
	return r;
}
