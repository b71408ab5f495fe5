/* SPDX-License-Identifier: Apache-2.0 */
/* suppress.c - recipients of bulk mail that failed for good, with the reason that conf/bounces.txt finds in what was
 * said: the settle carries them, and the store puts those that do not exist onto the suppression list of the sender's
 * domain, at once or after some days. Who goes on writing to them is taken for a spammer by those that refused. Called
 * by settle.c. */
#include "relay/relay.h"

#include "mail/bounce.h"
#include "mail/bounce_text.h"
#include "store/rows.h"

#define SAID_BYTES_MAX 200

void
suppress_refused(struct job *j, struct store_settle *s)
{
	if (j->row.envelope.class != CLASS_BULK || !j->row.envelope.account || !j->tried)
		return;
	s->bounced = ARENA_ARRAY(&j->arena, struct store_bounced, j->row.nrecipients + 1);
	for (uint32_t i = 0; i < j->row.nrecipients; i++) {
		const struct store_recipient *to = &j->row.recipients[i];
		if (to->state == RECIPIENT_FAILED && !slice_has_control(to->address))
			s->bounced[s->nbounced++] =
			    (struct store_bounced){ .address = to->address,
				                        .class = bounce_classify(to->status, to->reply),
				                        .said = bounce_line(&j->arena, to->reply, SAID_BYTES_MAX) };
	}
}
