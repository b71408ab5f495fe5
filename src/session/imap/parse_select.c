/* SPDX-License-Identifier: Apache-2.0 */
/* parse_select.c - parameters of SELECT and EXAMINE (RFC 4466 2.1, RFC 7162 7). Pure. */
#include "session/imap/parse.h"

/* known-uids, known-sequence-set: a set without "*" */
static bool
take_known_set(struct cursor *c, struct arena *a, struct imap_set *set)
{
	if (!imap_take_set(c, a, set))
		return false;
	if (set->saved)
		return false;
	for (size_t i = 0; i < set->count; i++)
		if (set->ranges[i].star)
			return false;
	return true;
}

/* seq-match-data = "(" known-sequence-set SP known-uid-set ")" */
static bool
take_match_data(struct cursor *c, struct arena *a, struct imap_select *s)
{
	return take_char(c, '(') && take_known_set(c, a, &s->match_numbers) && imap_take_space(c) &&
	       take_known_set(c, a, &s->match_uids) && take_char(c, ')');
}

/* "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")" */
static bool
take_qresync(struct cursor *c, struct arena *a, struct imap_select *s)
{
	if (!take_char(c, '(') || !imap_take_nz_number(c, &s->uidvalidity) || !imap_take_space(c) ||
	    !imap_take_modseq(c, &s->since) || !s->since)
		return false;
	bool more = imap_take_space(c);
	if (more && peek(c) != '(') {
		s->known = true;
		if (!take_known_set(c, a, &s->known_uids))
			return false;
		more = imap_take_space(c);
	}
	return (!more || take_match_data(c, a, s)) && take_char(c, ')');
}

/* [SP "(" select-param *(SP select-param) ")"] */
bool
imap_take_select_params(struct cursor *c, struct arena *a, struct imap_select *s)
{
	struct cursor p = *c;
	*s = (struct imap_select){ .condstore = false };
	if (!imap_take_space(&p))
		return true;
	if (!take_char(&p, '('))
		return false;
	do {
		if (take_nocase(&p, S("CONDSTORE")))
			s->condstore = true;
		else if (take_nocase(&p, S("ANNOTATE")))
			s->annotate = true;
		else if (!s->qresync && take_nocase(&p, S("QRESYNC ")) && take_qresync(&p, a, s))
			s->qresync = true;
		else
			return false;
	} while (imap_take_space(&p));
	if (!take_char(&p, ')'))
		return false;
	*c = p;
	return true;
}
