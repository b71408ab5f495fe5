/* SPDX-License-Identifier: Apache-2.0 */
/* sts_policy.c - see sts_policy.h. */
#include "relay/sts_policy.h"

static bool
is_id(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_alpha(s.at[i]) && !ascii_digit(s.at[i]))
			return false;
	return s.len > 0 && s.len <= STS_ID_BYTES_MAX;
}

/* RFC 8461 3.1: v=STSv1 first, then fields in any order; unknown ones are skipped. */
bool
sts_record_id(struct slice text, struct slice *id)
{
	struct slice field, name, value;
	slice_cut(text, ';', &field, &text);
	if (!slice_equal(slice_trim(field), S("v=STSv1")))
		return false;
	*id = SLICE_NONE;
	while (text.len) {
		slice_cut(text, ';', &field, &text);
		if (!slice_cut(slice_trim(field), '=', &name, &value))
			continue;
		if (slice_equal(slice_trim_end(name), S("id")) && id->len == 0)
			*id = slice_trim(value);
	}
	return is_id(*id);
}

struct slice
txt_join(struct slice rdata, char *to)
{
	size_t n = 0;
	while (rdata.len) {
		struct slice one = slice_part(rdata, 1, (unsigned char)rdata.at[0]);
		if (one.len)
			memcpy(to + n, one.at, one.len);
		n += one.len;
		rdata = slice_from(rdata, one.len + 1);
	}
	return slice_of(to, n);
}

static bool
is_mx_pattern(struct slice s)
{
	if (slice_starts(s, S("*.")))
		s = slice_from(s, 2);
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_alpha(s.at[i]) && !ascii_digit(s.at[i]) && s.at[i] != '-' && s.at[i] != '.' && s.at[i] != '_')
			return false;
	return s.len > 0 && s.len <= 255 && s.at[0] != '.';
}

struct parsing {
	struct sts_policy *p;
	bool version, mode, max_age; /* were seen: the first counts */
};

static bool
take_pair(struct parsing *t, struct slice key, struct slice value)
{
	static const struct slice modes[] = {
		[STS_NONE] = S_ROW("none"), [STS_TESTING] = S_ROW("testing"), [STS_ENFORCE] = S_ROW("enforce")
	};
	struct sts_policy *p = t->p;
	if (slice_equal(key, S("mx"))) {
		if (!is_mx_pattern(value) || p->nmx == STS_MX_MAX)
			return false;
		p->mx[p->nmx++] = value;
	} else if (slice_equal(key, S("version")) && !t->version) {
		t->version = true;
		return slice_equal(value, S("STSv1"));
	} else if (slice_equal(key, S("max_age")) && !t->max_age) {
		t->max_age = true;
		return slice_to_u32(value, &p->max_age) && p->max_age <= STS_MAX_AGE_MAX;
	} else if (slice_equal(key, S("mode")) && !t->mode) {
		size_t i = 0;
		while (i < COUNT_OF(modes) && !slice_equal(value, modes[i]))
			i++;
		t->mode = true;
		p->mode = (enum sts_mode)i;
		return i < COUNT_OF(modes);
	}
	return true;
}

bool
sts_policy_parse(struct slice text, struct sts_policy *p)
{
	struct parsing t = { .p = p };
	struct slice line, key, value;
	*p = (struct sts_policy){ STS_NONE };
	if (text.len > STS_POLICY_BYTES_MAX)
		return false;
	while (text.len) {
		slice_cut(text, '\n', &line, &text);
		line = slice_trim(line);
		if (line.len == 0)
			continue;
		if (!slice_cut(line, ':', &key, &value) || !take_pair(&t, slice_trim(key), slice_trim(value)))
			return false;
	}
	return t.version && t.mode && t.max_age && (p->nmx > 0 || p->mode == STS_NONE);
}

bool
sts_policy_names(const struct sts_policy *p, struct slice host)
{
	struct slice label, parent;
	bool deep = slice_cut(host, '.', &label, &parent) && label.len > 0;
	for (size_t i = 0; i < p->nmx; i++) {
		if (slice_equal_nocase(p->mx[i], host))
			return true;
		if (deep && slice_starts(p->mx[i], S("*.")) && slice_equal_nocase(slice_from(p->mx[i], 2), parent))
			return true;
	}
	return false;
}
