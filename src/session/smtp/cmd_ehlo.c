/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_ehlo.c - EHLO, HELO and LHLO: who the client says it is, and what this server can do. Each capability is a row
 * that puts its line, or nothing where it does not hold now. */
#include "session/smtp/smtp.h"

#include "session/sasl.h"

#include <time.h>

static bool
is_helo_char(char c)
{
	/* Wider than RFC 5321 4.1.2: names with underscores are common. Nothing that means something in a header field. */
	return ascii_alpha(c) || ascii_digit(c) || (c != 0 && strchr(".-_:[]", c) != NULL);
}

/* The argument is kept: it stands in the Received field. */
static bool
take_helo(struct smtp *s, struct cursor *args)
{
	struct slice name;
	skip_spaces(args);
	if (!take_while(args, is_helo_char, &name) || name.len > SMTP_HELO_BYTES_MAX)
		return false;
	skip_spaces(args);
	if (!take_end(args))
		return false;
	tx_reset(s); /* RFC 5321 4.1.4: EHLO also means RSET */
	free(s->helo);
	s->helo = slice_dup(name);
	return true;
}

struct reply
cmd_helo(struct smtp *s, struct cursor *args)
{
	if (!take_helo(s, args))
		return reply(501, "5.5.4", "HELO takes the name of your host");
	s->esmtp = false;
	return reply(250, "", s->c->conf->v.hostname);
}

typedef bool (*capability_fn)(struct smtp *s, struct buf *line);

static bool
has_size(struct smtp *s, struct buf *line)
{
	buf_printf(line, "SIZE %llu", (unsigned long long)s->c->conf->v.message_bytes_max);
	return true;
}

static bool
has_starttls(struct smtp *s, struct buf *line)
{
	buf_put(line, S("STARTTLS"));
	return conn_can_starttls(s->c);
}

static bool
has_auth(struct smtp *s, struct buf *line)
{
	if (s->face != FACE_SUBMISSION || !s->c->secure || s->account)
		return false;
	buf_put(line, S("AUTH "));
	sasl_put_mechanisms(s->c, S(""), line);
	return true;
}

/* RFC 3461. Who sends must be known to get reports: then they cannot be had for others. */
static bool
has_dsn(struct smtp *s, struct buf *line)
{
	buf_put(line, S("DSN"));
	return s->face != FACE_SMTP || sender_known(s);
}

/* RFC 4865 3: the most seconds, and the last moment. */
static bool
has_futurerelease(struct smtp *s, struct buf *line)
{
	int64_t max = (int64_t)s->c->conf->v.submission_hold_max / 1000;
	time_t last = (time_t)(clock_wall_sec() + max);
	struct tm tm;
	char text[40];
	if (s->face != FACE_SUBMISSION || max == 0 || !gmtime_r(&last, &tm))
		return false;
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_printf(line, "FUTURERELEASE %lld %s", (long long)max, text);
	return true;
}

/* RFC 2852 2 */
static bool
has_deliverby(struct smtp *s, struct buf *line)
{
	buf_printf(line, "DELIVERBY %llu", (unsigned long long)s->c->conf->v.submission_deliver_by_min / 1000);
	return s->face == FACE_SUBMISSION;
}

static bool
has_priority(struct smtp *s, struct buf *line)
{
	buf_put(line, S("MT-PRIORITY"));
	return s->face == FACE_SUBMISSION;
}

/* RFC 9422 */
static bool
has_limits(struct smtp *s, struct buf *line)
{
	buf_printf(line, "LIMITS RCPTMAX=%llu", (unsigned long long)s->c->conf->v.smtp_recipients_max);
	if (!s->c->trusted)
		buf_printf(line, " MAILMAX=%llu", (unsigned long long)s->c->conf->v.smtp_messages_max);
	return true;
}

/* RFC 8689 2 */
static bool
has_requiretls(struct smtp *s, struct buf *line)
{
	buf_put(line, S("REQUIRETLS"));
	return s->c->io.tls != NULL;
}

static const struct {
	const char *text;
	capability_fn put; /* instead of text */
	const char *rfc;
} capabilities[] = {
	{ "PIPELINING", NULL, "2920" },      { NULL, has_size, "1870" },
	{ NULL, has_starttls, "3207" },      { NULL, has_auth, "4954" },
	{ "8BITMIME", NULL, "6152" },        { "SMTPUTF8", NULL, "6531" },
	{ "CHUNKING", NULL, "3030" },        { "BINARYMIME", NULL, "3030" },
	{ NULL, has_dsn, "3461" },           { "ENHANCEDSTATUSCODES", NULL, "2034" },
	{ NULL, has_futurerelease, "4865" }, { NULL, has_deliverby, "2852" },
	{ NULL, has_priority, "6710" },      { NULL, has_limits, "9422" },
	{ NULL, has_requiretls, "8689" },
};

struct reply
cmd_ehlo(struct smtp *s, struct cursor *args)
{
	if (!take_helo(s, args))
		return reply(501, "5.5.4", "this command takes the name of your host");
	s->esmtp = true;
	smtp_put_line(s, 250, true, slice_text(s->c->conf->v.hostname));
	for (size_t i = 0; i < COUNT_OF(capabilities); i++) {
		char room[200];
		struct buf line = { .at = room, .cap = sizeof room, .bytes_max = sizeof room };
		if (capabilities[i].text)
			smtp_put_line(s, 250, true, slice_text(capabilities[i].text));
		else if (capabilities[i].put(s, &line))
			smtp_put_line(s, 250, true, buf_slice(&line));
	}
	smtp_put_line(s, 250, false, S("HELP"));
	return REPLY_NONE;
}
