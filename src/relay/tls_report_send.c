/* SPDX-License-Identifier: Apache-2.0 */
/* tls_report_send.c - sends the TLS reports that are due (RFC 8460 5), each in a task of its own: by HTTPS to those who
 * take them so, by mail through the queue to the others. One who accepts is enough; else the report waits, longer each
 * time, and is given up within a day. Its memo is moved to the next try before this one, and goes when the report is
 * out: after a crash in between the same report, with the same id, may go twice, which RFC 8460 5.3 provides for. */
#include "relay/tls_report.h"

#include "base/log.h"
#include "mail/facts.h"
#include "relay/https.h"
#include "relay/notice_mail.h"
#include "store/rows.h"

enum { POST_MS = 60 * 1000, REPLY_BYTES_MAX = 4096, LOOK_MS_MAX = 3600 * 1000, MAIL_BYTES_MAX = 256 * 1024 };

struct sending {
	struct tls_reports *t;
	struct arena arena, *a; /* a: &arena */
	struct conf *conf;      /* held */
	struct slice name, domain;
	int64_t day;
	json_t *value;
	struct slice contact, submitter, id, gzip;
	struct tls_report_uris uris;
	struct slice to; /* who accepted it, for people */
	const char *why; /* nobody did */
	bool last;       /* there is no further try */
};

const char *
tls_report_contact(const struct conf *conf, struct arena *a)
{
	if (conf->v.tls_report_contact[0])
		return conf->v.tls_report_contact;
	return arena_printf(a, "postmaster@%s", conf->v.hostname).at;
}

/* ---- HTTPS */

/* RFC 8460 5.4: 2xx. */
static bool
await_post(struct sending *s, const struct tls_report_uri *u)
{
	struct relay *r = s->t->relay;
	struct http_reply reply;
	struct https_request q = { .host = u->host,
		                       .port = u->port ? u->port : (uint16_t)s->conf->v.relay_https_port,
		                       .path = u->path,
		                       .type = S("application/tlsrpt+gzip"),
		                       .body = s->gzip,
		                       .reply_bytes_max = REPLY_BYTES_MAX,
		                       .wait_ms = POST_MS };
	static const char *const words[] = { [HTTPS_ANSWERED] = "its server refuses the report",
		                                 [HTTPS_UNREACHABLE] = "its server cannot be reached",
		                                 [HTTPS_CERTIFICATE] = "its server shows no trusted certificate",
		                                 [HTTPS_BROKEN] = "its server does not answer as HTTP has it" };
	enum https_result result = await_https(r, &q, s->a, &reply);
	s->why = words[result];
	return result == HTTPS_ANSWERED && reply.status / 100 == 2;
}

/* ---- mail */

/* RFC 8460 5.1 */
static struct slice
filename(const struct sending *s)
{
	int64_t begin = s->day * 86400;
	return arena_printf(s->a, "%.*s!%.*s!%lld!%lld.json.gz", SLICE_ARG(s->submitter), SLICE_ARG(s->domain),
	                    (long long)begin, (long long)begin + 86399);
}

static enum err
await_commit_mail(struct sending *s, struct store_mail *mail, struct slice to)
{
	struct store_commit_in in = { .mails = mail, .nmails = 1 };
	struct store_commit_out out = { 0 };
	unsigned char id[16]; /* the same after a restart: the store makes it once */
	tls_report_digest(s->id, to, s->day, id);
	in.id = slice_of(id, sizeof id);
	enum err e = await_store_commit(&s->t->relay->store, &in, s->a, &out);
	return e ? e : (enum err)out.verdict;
}

static bool
write_mail(struct sending *s, struct slice to, struct store_mail *mail, void **block)
{
	struct relay *r = s->t->relay;
	struct buf text, facts;
	struct tls_report_mail m = { .from = s->contact.at,
		                         .host = s->conf->v.hostname,
		                         .to = to,
		                         .domain = s->domain,
		                         .submitter = s->submitter,
		                         .id = s->id,
		                         .filename = filename(s),
		                         .gzip = s->gzip,
		                         .now_sec = clock_wall_sec() };
	buf_init(&text, MAIL_BYTES_MAX);
	buf_init(&facts, FACTS_BYTES_MAX);
	buf_put(&text, S("Return-Path: <>\r\n"));
	mail->envelope.skip = (uint32_t)text.len;
	tls_report_mail_put(&text, &m);
	bool good = !text.over && facts_of_message(buf_slice(&text), &facts) && (*block = shm_alloc(r->shm, text.len));
	if (good) {
		memcpy(*block, text.at, text.len);
		mail->body.at = (struct store_region){ shm_offset(r->shm, *block), text.len };
		mail->facts = slice_keep(s->a, buf_slice(&facts));
	}
	buf_release(&text);
	buf_release(&facts);
	return good;
}

/* Into the queue is accepted. RFC 8460 3: such mail goes whatever its TLS is like, and is not counted itself; nobody is
 * told when it does not arrive. */
static bool
await_mail(struct sending *s, const struct tls_report_uri *u)
{
	struct relay *r = s->t->relay;
	struct store_mail mail = { .received = clock_wall_sec() };
	void *block = NULL;
	mail.envelope.session = arena_printf(s->a, "tls-report.%016llx", (unsigned long long)slice_hash(s->id));
	mail.envelope.class = CLASS_NOTICE;
	mail.envelope.flags = ENVELOPE_TLS_OPTIONAL;
	enum err e = await_mail_to(&r->store, u->address, s->a, &mail);
	if (e == OK)
		e = write_mail(s, u->address, &mail, &block) ? await_commit_mail(s, &mail, u->address) : ERR_LIMIT;
	if (block)
		shm_free(r->shm, block);
	s->why = "its mail could not be put into the queue";
	return e == OK;
}

/* ---- one report */

static bool
prepare(struct sending *s)
{
	struct buf gz;
	s->contact = slice_text(tls_report_contact(s->conf, s->a));
	s->submitter = slice_from(s->contact, (size_t)(slice_find_last_char(s->contact, '@') + 1));
	s->id = tls_report_id(s->a, s->submitter, s->domain, s->day);
	const char *who = s->conf->v.tls_report_organization[0] ? s->conf->v.tls_report_organization : s->conf->v.hostname;
	struct tls_report_head head = { slice_text(who), s->contact, s->id, s->day };
	buf_init(&gz, MAIL_BYTES_MAX / 2);
	bool good = tls_report_gzip(s->value, &head, &gz);
	s->gzip = slice_keep(s->a, buf_slice(&gz));
	buf_release(&gz);
	return good;
}

/* To each of them. False: nobody accepted it. */
static bool
await_deliver(struct sending *s)
{
	bool accepted = false;
	for (size_t i = 0; i < s->uris.count; i++) {
		const struct tls_report_uri *u = &s->uris.rows[i];
		bool mail = u->address.len > 0;
		if (mail ? !await_mail(s, u) : !await_post(s, u))
			continue;
		struct slice whom = mail ? arena_join(s->a, S("mailto:"), u->address)
		                         : arena_printf(s->a, "https://%s%.*s", u->host, SLICE_ARG(u->path));
		s->to = accepted ? arena_printf(s->a, "%.*s,%.*s", SLICE_ARG(s->to), SLICE_ARG(whom)) : whom;
		accepted = true;
	}
	return accepted;
}

static void
log_sent(const struct sending *s, bool accepted)
{
	struct log l;
	log_begin(&l, accepted ? LOG_INFO : LOG_WARN, accepted ? "tls_report.sent" : "tls_report.waits");
	log_slice(&l, "domain", s->domain);
	log_slice(&l, "report", s->id);
	if (accepted)
		log_slice(&l, "to", s->to);
	else
		log_text(&l, "why", s->why);
	log_end(&l);
}

/* What is to be seen of it afterwards: the last report of a domain. */
static struct store_memo
sent_memo(const struct sending *s, char **text)
{
	uint64_t good, bad;
	json_t *o = json_object();
	tls_report_sums(s->value, &good, &bad);
	json_object_set_new(o, "day", json_integer(s->day));
	json_object_set_new(o, "id", json_stringn(s->id.at, s->id.len));
	json_object_set_new(o, "at", json_integer(clock_wall_sec()));
	json_object_set_new(o, "success", json_integer((json_int_t)good));
	json_object_set_new(o, "failure", json_integer((json_int_t)bad));
	json_object_set_new(o, "to", json_stringn(s->to.at ? s->to.at : "", s->to.len));
	json_object_set_new(o, "why", json_string(s->to.len ? "" : s->why));
	*text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return (struct store_memo){ .kind = S("tls-sent"),
		                        .name = s->domain,
		                        .value = slice_text(*text),
		                        .until = clock_wall_sec() + TLS_SENT_KEPT_SEC };
}

/* The memo under its present name goes; what stands instead of it comes in the same change. */
static enum err
await_replace(struct sending *s, const struct store_memo *by)
{
	struct store_memo memos[2] = { { .kind = S("tls-report"), .name = s->name } };
	struct store_memo_put_in in = { .memos = memos, .nmemos = by ? 2 : 1 };
	struct store_memo_put_out out;
	if (by)
		memos[1] = *by;
	return await_store_memo_put(&s->t->relay->store, &in, s->a, &out);
}

/* To its next try; when this is the last one it goes. */
static enum err
await_move(struct sending *s)
{
	unsigned tries = (unsigned)json_integer_value(json_object_get(s->value, "tries")) + 1;
	int64_t again = tls_report_again(clock_wall_sec(), tries);
	if (!again)
		return await_replace(s, NULL);
	json_object_set_new(s->value, "tries", json_integer(tries));
	char *text = json_dumps(s->value, JSON_COMPACT);
	struct store_memo m = { .kind = S("tls-report"),
		                    .name = tls_report_name(s->a, again, s->domain),
		                    .value = slice_text(text),
		                    .until = again + TLS_REPORT_KEPT_SEC };
	enum err e = await_replace(s, &m);
	free(text);
	s->last = false;
	s->name = m.name;
	return e;
}

static void
await_report(struct sending *s)
{
	if (!await_tls_report_uris(s->t, s->domain, s->a, &s->uris) || !prepare(s)) {
		(void)await_replace(s, NULL); /* nobody asks for it any more */
		return;
	}
	bool accepted = await_deliver(s);
	log_sent(s, accepted);
	if (!accepted && !s->last)
		return;
	char *text;
	struct store_memo m = sent_memo(s, &text);
	(void)await_replace(s, &m); /* else it goes once more */
	free(text);
}

static void
sending_free(struct sending *s)
{
	json_decref(s->value);
	conf_free(&s->conf);
	arena_release(&s->arena);
	free(s);
}

static void
report_task(void *arg)
{
	struct sending *s = arg;
	struct tls_reports *t = s->t;
	await_report(s);
	sending_free(s);
	t->senders--;
	gate_open(&t->ended, OK);
	gate_open(&t->relay->idle, OK);
}

/* Takes the first report when it is due. False: *wait_ms says when to look again. */
static bool
await_take(struct sending *s, int64_t *wait_ms)
{
	struct store_memo_list_in in = { .kind = S("tls-report"), .max = 1 };
	struct store_memo_list_out out = { 0 };
	int64_t due = 0, now = clock_wall_sec();
	*wait_ms = LOOK_MS_MAX;
	enum err e = await_store_memo_list(&s->t->relay->store, &in, s->a, &out);
	if (e || out.nmemos == 0)
		return false;
	s->name = out.memos[0].name;
	bool good = tls_report_name_read(s->name, &due, &s->domain);
	if (good && due > now) {
		*wait_ms = MIN((due - now) * 1000, (int64_t)LOOK_MS_MAX);
		return false;
	}
	s->value = good ? json_loadb(out.memos[0].value.at, out.memos[0].value.len, 0, NULL) : NULL;
	s->day = json_integer_value(json_object_get(s->value, "day"));
	return (s->day > 0 ? await_move(s) : await_replace(s, NULL)) == OK;
}

/* One report on its way. False: none is due, or there is trouble. */
static bool
await_first(struct tls_reports *t, int64_t *wait_ms)
{
	struct sending *s = must_calloc(1, sizeof *s);
	*s = (struct sending){ .t = t, .conf = conf_keep(t->relay->conf), .why = "", .last = true };
	arena_init(&s->arena, 0);
	s->a = &s->arena;
	bool taken = await_take(s, wait_ms);
	t->senders++;
	if (taken && s->day > 0 && task_start(report_task, s))
		return true;
	t->senders--;
	sending_free(s);
	return taken;
}

static void
send_task(void *arg)
{
	struct tls_reports *t = arg;
	int64_t wait_ms = LOOK_MS_MAX;
	while (!t->stopped && await_first(t, &wait_ms))
		while (t->senders >= TLS_REPORT_TASKS_MAX)
			(void)await_gate(&t->ended, DEADLINE_NONE);
	t->sending = false;
	if (!t->stopped)
		timer_set(&t->due, deadline_in_ms(wait_ms));
	gate_open(&t->relay->idle, OK);
}

void
tls_report_due_fired(struct timer *timer)
{
	struct tls_reports *t = CONTAINER_OF(timer, struct tls_reports, due);
	if (t->sending || t->stopped)
		return;
	t->sending = true;
	if (task_start(send_task, t))
		return;
	t->sending = false;
	timer_set(timer, deadline_in_ms(60 * 1000));
}
