/* SPDX-License-Identifier: Apache-2.0 */
/* suppression.c - see suppression.h. A value is "REASON BY ADDED TEXT". */
#include "store/suppression.h"

#include "store/rows.h"

const struct slice suppress_words[SUPPRESS_REASONS] = {
	[SUPPRESS_SOFT] = S_ROW("soft"),
	[SUPPRESS_HARD] = S_ROW("hard"),
	[SUPPRESS_UNSUBSCRIBED] = S_ROW("unsubscribed"),
	[SUPPRESS_COMPLAINT] = S_ROW("complaint"),
	[SUPPRESS_ADMINISTRATOR] = S_ROW("administrator"),
};

bool
suppress_reason_of(struct slice word, enum suppress_reason *reason)
{
	for (unsigned i = 0; i < SUPPRESS_REASONS; i++)
		if (slice_equal(word, suppress_words[i])) {
			*reason = (enum suppress_reason)i;
			return true;
		}
	return false;
}

void
suppression_take(struct slice value, struct suppression *s)
{
	struct slice reason, added, rest;
	uint64_t seconds = 0;
	(void)slice_cut(value, ' ', &reason, &rest);
	(void)slice_cut(rest, ' ', &s->by, &rest);
	(void)slice_cut(rest, ' ', &added, &s->text);
	if (!suppress_reason_of(reason, &s->reason) || !slice_to_u64(added, &seconds) || seconds > INT64_MAX)
		*s = (struct suppression){ .reason = SUPPRESS_HARD, .text = value };
	else
		s->added = (int64_t)seconds;
}

struct slice
suppression_put(const struct suppression *s, struct arena *a)
{
	struct slice text = slice_part(s->text, 0, SUPPRESS_TEXT_BYTES_MAX);
	return arena_printf(a, "%.*s %.*s %lld %.*s", SLICE_ARG(suppress_words[s->reason]), SLICE_ARG(s->by),
	                    (long long)s->added, SLICE_ARG(text));
}

struct slice
suppression_name(struct arena *a, struct slice domain, struct slice address)
{
	if (domain.len + 1 + address.len > MEMO_NAME_BYTES_MAX)
		return SLICE_NONE;
	struct slice name = arena_join(a, arena_join(a, domain, S("/")), address);
	char *to = arena_alloc(a, name.len + 1);
	for (size_t i = 0; i < name.len; i++)
		to[i] = ascii_lower(name.at[i]);
	return slice_of(to, name.len);
}

struct slice
suppression_words(const struct suppression *s, struct arena *a)
{
	static const char *const words[SUPPRESS_REASONS] = {
		[SUPPRESS_SOFT] = "mail bounced again and again",      [SUPPRESS_HARD] = "hard bounce",
		[SUPPRESS_UNSUBSCRIBED] = "it has unsubscribed",       [SUPPRESS_COMPLAINT] = "its owner complained",
		[SUPPRESS_ADMINISTRATOR] = "an administrator said so",
	};
	return arena_printf(a, "%s%s%.*s", words[s->reason], s->text.len ? ": " : "", SLICE_ARG(s->text));
}
