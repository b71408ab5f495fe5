/* SPDX-License-Identifier: Apache-2.0 */
/* parse_notify.c - the arguments of NOTIFY (RFC 5465 8), and the filters of mailboxes that ESEARCH shares with it (RFC
 * 7377 4). Pure. */
#include "session/imap/parse.h"

static const struct {
	struct slice word;
	bool names;
} filter_words[] = {
	[FILTER_SELECTED] = { S_ROW("SELECTED"), false },      [FILTER_DELAYED] = { S_ROW("SELECTED-DELAYED"), false },
	[FILTER_INBOXES] = { S_ROW("INBOXES"), false },        [FILTER_PERSONAL] = { S_ROW("PERSONAL"), false },
	[FILTER_SUBSCRIBED] = { S_ROW("SUBSCRIBED"), false },  [FILTER_SUBTREE] = { S_ROW("SUBTREE"), true },
	[FILTER_SUBTREE_ONE] = { S_ROW("SUBTREE-ONE"), true }, [FILTER_MAILBOXES] = { S_ROW("MAILBOXES"), true },
};

/* one-or-more-mailbox = mailbox / "(" mailbox *(SP mailbox) ")". What no mailbox can be called is passed over (RFC 5465
 * 3.1: a name that does not exist is ignored). */
static bool
take_names(struct cursor *c, struct arena *a, enum imap_names names, struct imap_filter *f, size_t *total)
{
	struct slice name;
	bool valid, several = take_char(c, '(');
	f->names = ARENA_ARRAY(a, struct slice, several ? MIN(cursor_left(c) / 2 + 1, (size_t)FILTER_NAMES_MAX) : 1);
	do {
		if (!imap_take_mailbox(c, a, names, &name, &valid))
			return false;
		if (++*total <= FILTER_NAMES_MAX && valid)
			f->names[f->nnames++] = name;
	} while (several && imap_take_space(c));
	return !several || take_char(c, ')');
}

bool
imap_take_filter(struct cursor *c, struct arena *a, enum imap_names names, struct imap_filter *filter, size_t *total)
{
	struct slice word;
	struct cursor p = *c;
	*filter = (struct imap_filter){ .nnames = 0 };
	if (!imap_take_atom(&p, &word))
		return false;
	size_t i = 0;
	while (i < COUNT_OF(filter_words) && !slice_equal_nocase(word, filter_words[i].word))
		i++;
	if (i == COUNT_OF(filter_words))
		return false;
	filter->kind = (enum imap_filter_kind)i;
	if (filter_words[i].names && !(imap_take_space(&p) && take_names(&p, a, names, filter, total)))
		return false;
	*c = p;
	return true;
}

static bool
is_below(struct slice name, struct slice parent, bool one_level)
{
	if (name.len <= parent.len || !slice_starts(name, parent) || name.at[parent.len] != '/')
		return false;
	return !one_level || slice_find_char(slice_from(name, parent.len + 1), '/') < 0;
}

bool
imap_filter_holds(const struct imap_filter *filter, struct slice name, bool subscribed)
{
	switch (filter->kind) {
	case FILTER_SELECTED:
	case FILTER_DELAYED: return false;
	case FILTER_INBOXES: /* RFC 5465 6.3: rules and sub-addresses deliver anywhere */
	case FILTER_PERSONAL: return !imap_is_elsewhere(name);
	case FILTER_SUBSCRIBED: return subscribed;
	default: break;
	}
	for (size_t i = 0; i < filter->nnames; i++) {
		if (slice_equal(name, filter->names[i]))
			return true;
		if (filter->kind != FILTER_MAILBOXES && is_below(name, filter->names[i], filter->kind == FILTER_SUBTREE_ONE))
			return true;
	}
	return false;
}

/* ---- events */

static const struct {
	struct slice word;
	uint32_t event;
} events[] = {
	{ S_ROW("MessageNew"), EVENT_NEW },
	{ S_ROW("MessageExpunge"), EVENT_EXPUNGE },
	{ S_ROW("FlagChange"), EVENT_FLAGS },
	{ S_ROW("AnnotationChange"), EVENT_ANNOTATIONS },
	{ S_ROW("MailboxName"), EVENT_NAME },
	{ S_ROW("SubscriptionChange"), EVENT_SUBSCRIPTION },
	{ S_ROW("MailboxMetadataChange"), EVENT_METADATA },
	{ S_ROW("ServerMetadataChange"), EVENT_SERVER_METADATA },
};

/* "MessageNew" [SP "(" fetch-att *(SP fetch-att) ")"] / another event */
static bool
take_event(struct cursor *c, struct arena *a, struct imap_event_group *g)
{
	struct slice word;
	struct cursor p;
	if (!imap_take_atom(c, &word))
		return false;
	uint32_t event = EVENT_OTHER;
	for (size_t i = 0; i < COUNT_OF(events); i++)
		if (slice_equal_nocase(word, events[i].word))
			event = events[i].event;
	g->events |= event;
	p = *c;
	if (event != EVENT_NEW || g->fetches || !imap_take_space(&p) || peek(&p) != '(')
		return true;
	g->fetches = true;
	*c = p;
	return imap_take_fetch(c, a, &g->fetch);
}

/* events = ("(" event *(SP event) ")") / "NONE" */
static bool
take_events(struct cursor *c, struct arena *a, struct imap_event_group *g)
{
	if (!take_char(c, '(')) {
		struct slice word;
		return imap_take_atom(c, &word) && slice_equal_nocase(word, S("NONE"));
	}
	do {
		if (!take_event(c, a, g))
			return false;
	} while (imap_take_space(c));
	return take_char(c, ')');
}

/* RFC 5465 5: FlagChange and AnnotationChange go with the other two, and these two go together; 6.1: the selected
 * mailbox has events of messages only, and only there a FETCH can be asked for (8). */
static bool
is_sound(const struct imap_event_group *g)
{
	bool selected = g->filter.kind <= FILTER_DELAYED;
	bool both = (g->events & (EVENT_NEW | EVENT_EXPUNGE)) == (EVENT_NEW | EVENT_EXPUNGE);
	if ((g->events & (EVENT_MESSAGES | EVENT_ANNOTATIONS)) && !both)
		return false;
	if (selected && (g->events & (EVENT_NAME | EVENT_SUBSCRIPTION | EVENT_METADATA | EVENT_SERVER_METADATA)))
		return false;
	return (selected || !g->fetches) && g->filter.kind != FILTER_SUBTREE_ONE;
}

/* "(" filter-mailboxes SP events ")" */
static bool
take_group(struct cursor *c, struct arena *a, enum imap_names names, struct imap_notify *n)
{
	if (n->ngroups == FILTERS_MAX)
		return false;
	struct imap_event_group *g = &n->groups[n->ngroups++];
	return take_char(c, '(') && imap_take_filter(c, a, names, &g->filter, &n->names) && imap_take_space(c) &&
	       take_events(c, a, g) && take_char(c, ')') && is_sound(g);
}

static bool
one_selected(const struct imap_notify *n)
{
	size_t found = 0;
	for (size_t i = 0; i < n->ngroups; i++)
		found += n->groups[i].filter.kind <= FILTER_DELAYED;
	return found <= 1;
}

/* SP ("NONE" / "SET" [SP "STATUS"] 1*(SP event-group)) */
bool
imap_take_notify(struct cursor *c, struct arena *a, enum imap_names names, struct imap_notify *notify)
{
	*notify = (struct imap_notify){ .set = false };
	if (take_nocase(c, S(" NONE")))
		return take_end(c);
	if (!take_nocase(c, S(" SET")))
		return false;
	notify->set = true;
	notify->status = take_nocase(c, S(" STATUS"));
	/* " (inboxes NONE)" is the shortest */
	notify->groups = ARENA_ARRAY(a, struct imap_event_group, MIN(cursor_left(c) / 14 + 1, (size_t)FILTERS_MAX));
	do {
		if (!imap_take_space(c) || !take_group(c, a, names, notify))
			return false;
	} while (!take_end(c));
	return one_selected(notify);
}
