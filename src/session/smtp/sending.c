/* SPDX-License-Identifier: Apache-2.0 */
/* sending.c - why the store does not let an account send a message now, in words for its user. Called by deliver.c. The
 * limits themselves are the store's (store/sending.c). */
#include "session/smtp/smtp.h"
#include "store/sent.h"

#include <time.h>

struct reply
reply_sending(struct smtp *s, const struct store_commit_out *out)
{
	if (out->held)
		return reply(450, "4.7.1", "your account may have been taken over: its mail is held, see the message in INBOX");
	if (out->limit == 0 || out->limit > SEND_LIMITS)
		return REPLY_NONE;
	const char *words = send_limit_rows[out->limit - 1].words;
	if (out->until == 0)
		return reply_slice(
		    550, "5.7.1", arena_printf(s->command, "more %s than your account may ever send: send it in parts", words));
	char when[40];
	time_t until = (time_t)out->until;
	struct tm tm;
	strftime(when, sizeof when, "%Y-%m-%d %H:%M UTC", gmtime_r(&until, &tm));
	return reply_slice(452, "4.7.1",
	                   arena_printf(s->command, "more %s than your account may send, it goes on at %s", words, when));
}
