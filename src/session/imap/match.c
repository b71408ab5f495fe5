/* SPDX-License-Identifier: Apache-2.0 */
/* match.c - wildcards of LIST, without recursion. Only the last wildcard of each kind has to be tried again: what an
 * earlier one could match, the later one can too. */
#include "session/imap/match.h"

struct retry {
	size_t pattern, name; /* go on here; pattern 0: there is no such wildcard */
};

bool
imap_match(struct slice pattern, struct slice name)
{
	struct retry star = { 0, 0 }, percent = { 0, 0 };
	size_t p = 0, n = 0;
	for (int steps = 0; steps < IMAP_MATCH_STEPS_MAX; steps++) {
		if (p < pattern.len && pattern.at[p] == '*') {
			star = (struct retry){ ++p, n };
			percent.pattern = 0;
		} else if (p < pattern.len && pattern.at[p] == '%') {
			percent = (struct retry){ ++p, n };
		} else if (p < pattern.len && n < name.len && pattern.at[p] == name.at[n]) {
			p++;
			n++;
		} else if (p == pattern.len && n == name.len) {
			return true;
		} else if (percent.pattern && percent.name < name.len && name.at[percent.name] != '/') {
			p = percent.pattern;
			n = ++percent.name;
		} else if (star.pattern && star.name < name.len) {
			percent.pattern = 0;
			p = star.pattern;
			n = ++star.name;
		} else {
			return false;
		}
	}
	return false;
}
