/* SPDX-License-Identifier: Apache-2.0 */
/* local.c - rows for mailboxes of ours: mail that was submitted for a later time (RFC 4865) waits in the queue like any
 * other. Here it is found out whose mailboxes they are now; the settle delivers into them. Runs in a worker's task. */
#include "relay/relay.h"

#include "store/rows.h"

static void
note(struct store_recipient *to, uint32_t state, struct slice status, struct slice reply)
{
	to->state = state;
	to->status = status;
	to->reply = reply;
	to->mta = SLICE_NONE;
}

static void
note_trouble(struct store_recipient *to, enum err e)
{
	if (e == ERR_NOT_FOUND)
		note(to, RECIPIENT_FAILED, S("5.1.1"), S("there is no such mailbox any more"));
	else if (e == ERR_QUOTA)
		note(to, RECIPIENT_WAITING, S("4.2.2"), S("the mailbox is full"));
	else if (e == ERR_SUSPENDED)
		note(to, RECIPIENT_WAITING, S("4.2.1"), S("the mailbox is switched off for now"));
	else
		note(to, RECIPIENT_WAITING, S("4.3.0"), S("the mailbox could not be looked up"));
}

/* A mailbox gets one copy. False: it is one too many for this time. */
static bool
add_mailbox(struct job *j, const struct store_target *t)
{
	for (uint32_t i = 0; i < j->ndeliveries; i++)
		if (j->deliveries[i].account == t->account && slice_equal(j->deliveries[i].mailbox, t->mailbox))
			return true;
	if (j->ndeliveries == DELIVERIES_MAX)
		return false;
	j->deliveries[j->ndeliveries++] =
	    (struct store_delivery){ .account = t->account, .mailbox = slice_keep(&j->arena, t->mailbox) };
	return true;
}

static void
await_one(struct relay *r, struct job *j, struct store_recipient *to)
{
	struct store_resolve_in in = { .address = to->address, .bytes = j->row.bytes };
	struct store_resolve_out out = { 0 };
	uint32_t found = 0, before = j->ndeliveries;
	enum err e = await_store_resolve(&r->store, &in, &j->arena, &out);
	if (e == OK)
		e = out.local ? (enum err)out.verdict : ERR_NOT_FOUND;
	for (uint32_t i = 0; i < out.ntargets && e == OK; i++) {
		const struct store_target *t = &out.targets[i];
		if (t->verdict || !t->account)
			continue;
		found++;
		if (!add_mailbox(j, t))
			e = ERR_LIMIT; /* with the next try */
	}
	if (e == OK && found == 0)
		e = ERR_NOT_FOUND;
	if (e)
		j->ndeliveries = before;
	if (e)
		note_trouble(to, e);
	else
		note(to, RECIPIENT_DONE, S("2.0.0"), S("delivered to the mailbox"));
}

void
await_local(struct relay *r, struct job *j)
{
	if (job_decided(j))
		return;
	j->row.tries++;
	j->tried = true;
	j->deliveries = ARENA_ARRAY(&j->arena, struct store_delivery, DELIVERIES_MAX);
	for (uint32_t i = 0; i < j->row.nrecipients; i++)
		if (j->row.recipients[i].state == RECIPIENT_WAITING)
			await_one(r, j, &j->row.recipients[i]);
}
