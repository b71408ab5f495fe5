/* SPDX-License-Identifier: Apache-2.0 */
/* bounced.c - bulk mail that did not arrive, or was complained about: what relay was told at once, what came back to
 * return paths of ours, what came in as a complaint. It counts for the breaker of who sent it, and puts addresses onto
 * the suppression list of the sending domain. Called by delivery.c in the transaction of the commit, by resolve.c and
 * queue.c.
 *
 * Nobody can make others be suppressed: a return path leads to one recipient only and is signed (mail/verp.h), with a
 * key that is made at the first start and never leaves the store. What one mail to one recipient caused counts once.
 *
 * Memos (memo.h): "suppress" DOMAIN/ADDRESS (suppression.h); "bounced" DOMAIN/ADDRESS: "DAY:what DAY:what", the days of
 * the mails (since 1970), what: h (hard), s (soft), b (neither), c (complaint). */
#include "store/rows_state.h"

#include "base/clock.h"
#include "base/random.h"
#include "mail/bounce.h"
#include "store/directory_name.h"
#include "store/memo.h"

#define DAY_SEC 86400
#define BOUNCED_DAYS_MAX 32 /* that are remembered */

static struct slice
domain_of(struct slice address)
{
	return slice_from(address, (size_t)(slice_find_last_char(address, '@') + 1));
}

static enum err
own_domain(struct txn *t, struct slice domain, struct row_domain *row)
{
	struct slice key;
	return directory_domain(domain, txn_arena(t), &key) ? domain_get(t, key, row) : ERR_NOT_FOUND;
}

/* The same with each try; relay/copy.c counts it in the same way. */
static int64_t
day_of_row(const struct row_queue *row)
{
	return MAX(row->born, row->envelope.hold_until) / DAY_SEC;
}

/* ---- return paths */

static struct slice
unsubscribe_url(struct job *j, struct txn *t)
{
	const struct conf_values *v = &j->s->conf->v;
	if (v->unsubscribe_url[0])
		return slice_text(v->unsubscribe_url);
	return job_keep(j, arena_printf(txn_arena(t), "https://%s/unsubscribe/", v->hostname));
}

enum err
bounced_key(struct job *j, struct txn *t, const struct row_queue *row, struct store_queue_row *out)
{
	struct slice domain = domain_of(row->envelope.reverse_path);
	struct row_domain own;
	uint8_t key[VERP_KEY_BYTES];
	if (row->envelope.class != CLASS_BULK || !row->envelope.account || row->local || domain.len == 0)
		return OK;
	enum err e = own_domain(t, domain, &own);
	bool links = !e && own.unsubscribe && !(row->envelope.flags & ENVELOPE_UNSUBSCRIBES);
	if (e || !(own.verp || links))
		return e == ERR_NOT_FOUND ? OK : e;
	out->paths = own.verp;
	if (links)
		out->unsubscribe = unsubscribe_url(j, t);
	verp_key(j->s->rows->verp_key, row->envelope.account, day_of_row(row), domain, key);
	out->verp = job_keep(j, slice_of(key, sizeof key));
	out->forward = own.forward;
	secret_wipe(key, sizeof key);
	return OK;
}

static bool
is_genuine(struct job *j, struct txn *t, struct slice text, bool fields, struct verp *v, int64_t *day)
{
	struct arena *a = txn_arena(t);
	if (!verp_take(text, a, v) && !(fields && verp_field_take(text, a, v)))
		return false;
	return verp_check(v, j->s->rows->verp_key, clock_wall_sec() / DAY_SEC, a, day);
}

enum err
bounced_path(struct job *j, struct txn *t, struct slice address, bool *is, uint64_t *account, bool *forward)
{
	struct row_account row;
	struct row_domain own;
	struct verp v;
	int64_t day;
	*is = false;
	if (!is_genuine(j, t, address, false, &v, &day))
		return OK;
	enum err e = own_domain(t, v.domain, &own);
	e = e ? e : account_get(t, v.account, &row);
	*is = !e;
	*account = v.account;
	*forward = !e && own.forward;
	return e == ERR_NOT_FOUND ? OK : e;
}

enum err
bounced_feedback(struct txn *t, struct slice address, bool *is)
{
	struct arena *a = txn_arena(t);
	enum err e = memo_any(t, S("feedback"), is);
	if (e || !*is)
		return e;
	return memo_any_with(t, S("feedback"), suppression_name(a, S(""), arena_join(a, address, S(" "))), is);
}

/* ---- suppression */

enum err
bounced_suppressed(struct txn *t, struct slice sender, struct slice address, struct suppression *s)
{
	struct slice name, value;
	bool any;
	*s = (struct suppression){ 0 };
	enum err e = memo_any(t, S("suppress"), &any);
	if (e || !any)
		return e;
	name = suppression_name(txn_arena(t), domain_of(sender), address);
	e = name.len ? memo_read(t, S("suppress"), name, &value) : ERR_NOT_FOUND;
	if (!e) {
		suppression_take(value, s);
		s->text = suppression_words(s, txn_arena(t));
	}
	return e == ERR_NOT_FOUND ? OK : e;
}

/* A list that is full takes nobody: the next bounce tries again. */
static enum err
suppress(struct job *j, struct txn *t, struct slice name, struct suppression *s)
{
	struct suppression old;
	struct slice value;
	enum err e = memo_read(t, S("suppress"), name, &value);
	if (e && e != ERR_NOT_FOUND)
		return e;
	suppression_take(e ? S("soft - 0 ") : value, &old);
	if (old.reason > s->reason)
		return OK;
	s->added = clock_wall_sec();
	struct store_memo m = { S("suppress"), name, suppression_put(s, txn_arena(t)), MEMO_FOREVER };
	if (s->reason < SUPPRESS_UNSUBSCRIBED)
		m.until = s->added + j->s->conf->v.suppression_lifetime / 1000;
	e = memo_write(t, &m);
	return e == ERR_LIMIT ? OK : e;
}

/* ---- the days on which mail to an address came back */

struct days {
	int64_t day[BOUNCED_DAYS_MAX];
	char what[BOUNCED_DAYS_MAX];
	size_t n;
};

static void
days_take(struct slice value, struct days *d)
{
	struct slice word, day, what;
	uint64_t n;
	for (d->n = 0; value.len && d->n < BOUNCED_DAYS_MAX;) {
		(void)slice_cut(value, ' ', &word, &value);
		if (!slice_cut(word, ':', &day, &what) || !slice_to_u64(day, &n) || n > INT32_MAX || what.len != 1)
			continue;
		d->day[d->n] = (int64_t)n;
		d->what[d->n++] = *what.at;
	}
}

/* The latest stay. False: this mail was counted already. */
static bool
days_add(struct days *d, int64_t day, char what)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->day[i] == day && (d->what[i] == 'c') == (what == 'c'))
			return false;
	if (d->n == BOUNCED_DAYS_MAX) {
		d->n--;
		memmove(d->day, d->day + 1, d->n * sizeof *d->day);
		memmove(d->what, d->what + 1, d->n);
	}
	d->day[d->n] = day;
	d->what[d->n++] = what;
	return true;
}

static struct slice
days_put(const struct days *d, struct arena *a)
{
	struct slice out = S("");
	for (size_t i = 0; i < d->n; i++)
		out = arena_printf(a, "%.*s%s%lld:%c", SLICE_ARG(out), out.len ? " " : "", (long long)d->day[i], d->what[i]);
	return out;
}

static size_t
soft_days(const struct days *d, int64_t since)
{
	size_t n = 0;
	for (size_t i = 0; i < d->n; i++)
		n += d->what[i] == 's' && d->day[i] > since;
	return n;
}

/* ---- one address */

struct event {
	struct slice name; /* of its memos */
	int64_t day;       /* of the mail */
	char what;
	struct suppression s;
};

static char
letter_of(uint32_t class)
{
	return bounce_is_hard(class) ? 'h' : bounce_is_soft(class) ? 's' : 'b';
}

/* *fresh: it is the first that is heard about this mail. */
static enum err
count_event(struct job *j, struct txn *t, struct event *ev, bool *fresh)
{
	const struct conf_values *v = &j->s->conf->v;
	int64_t window = v->suppression_soft_window / 1000 / DAY_SEC, now = clock_wall_sec();
	struct slice value = S("");
	struct days d;
	enum err e = memo_read(t, S("bounced"), ev->name, &value);
	if (e && e != ERR_NOT_FOUND)
		return e;
	days_take(e ? S("") : value, &d);
	*fresh = days_add(&d, ev->day, ev->what);
	if (!*fresh)
		return OK;
	struct store_memo m = { S("bounced"), ev->name, days_put(&d, txn_arena(t)),
		                    now + MAX(window, (int64_t)VERP_DAYS) * DAY_SEC };
	e = memo_write(t, &m);
	if (e && e != ERR_LIMIT)
		return e;
	bool again = v->suppression_soft_bounces && soft_days(&d, now / DAY_SEC - window) >= v->suppression_soft_bounces;
	ev->s.reason = ev->what == 'c' ? SUPPRESS_COMPLAINT : ev->what == 'h' ? SUPPRESS_HARD : SUPPRESS_SOFT;
	bool due = ev->what == 'c' || (v->suppression_bounces && (ev->what == 'h' || (ev->what == 's' && again)));
	return due ? suppress(j, t, ev->name, &ev->s) : OK;
}

enum err
bounced_refused(struct job *j, struct txn *t, const struct store_settle *settle, struct store_commit_out *out)
{
	struct row_queue row;
	bool fresh;
	enum err e = settle->failed || settle->nbounced ? queue_row_get(t, settle->id, &row) : ERR_NOT_FOUND;
	if (e || row.envelope.account == 0 || row.lease != settle->lease)
		return e == ERR_NOT_FOUND ? OK : e; /* queue_settle says it */
	if (settle->failed)
		e = sending_count(j, t, row.envelope.account, SENT_FAILED, settle->failed, out);
	struct slice domain = domain_of(row.envelope.reverse_path);
	for (uint32_t i = 0; i < settle->nbounced && domain.len && !e; i++) {
		const struct store_bounced *b = &settle->bounced[i];
		struct event ev = { .name = suppression_name(txn_arena(t), domain, b->address),
			                .day = day_of_row(&row),
			                .what = letter_of(b->class),
			                .s = { .by = S("relay"), .text = b->said } };
		e = ev.name.len ? count_event(j, t, &ev, &fresh) : OK;
	}
	return e;
}

/* Whom it is about; where the return path holds a hash only, one of those that the report names. */
static struct slice
recipient_of(const struct verp *v, const struct store_returned *r)
{
	for (uint32_t i = 0; i < r->nnames && v->recipient.len == 0; i++)
		if (verp_is_of(v, r->names[i].text))
			return r->names[i].text;
	return v->recipient;
}

enum err
bounced_returned(struct job *j, struct txn *t, const struct store_returned *r, struct store_commit_out *out)
{
	struct row_domain own;
	struct verp v;
	int64_t day;
	bool complaint = r->kind == BOUNCE_COMPLAINT, fresh = false;
	if (!is_genuine(j, t, r->path, complaint, &v, &day))
		return OK;
	enum err e = own_domain(t, v.domain, &own);
	if (e || (complaint && !(own.feedback.len && slice_equal_nocase(own.feedback, r->at))))
		return e == ERR_NOT_FOUND ? OK : e;
	struct slice recipient = recipient_of(&v, r);
	struct event ev = { .name = suppression_name(txn_arena(t), v.domain, recipient.len ? recipient : v.text),
		                .day = day,
		                .what = complaint ? 'c' : letter_of(r->class),
		                .s = { .by = complaint ? S("feedback") : S("bounce"), .text = r->said } };
	e = ev.name.len ? count_event(j, t, &ev, &fresh) : OK;
	if (e || !fresh)
		return e;
	if (complaint)
		return sending_count(j, t, v.account, SENT_COMPLAINTS, 1, out);
	bool passes = r->class == BOUNCE_FULL || r->class == BOUNCE_TEMPORARY;
	return passes ? OK : sending_count(j, t, v.account, SENT_FAILED, 1, out);
}

/* ---- links of List-Unsubscribe */

/* *day: of the mail. False: it is not genuine, too old, or about a domain that is not ours any more. */
static bool
is_link(struct job *j, struct txn *t, struct slice ref, struct verp *v, enum err *e)
{
	struct arena *a = txn_arena(t);
	struct row_domain own;
	int64_t day;
	*e = OK;
	if (!verp_field_take(ref, a, v) || !verp_check(v, j->s->rows->verp_key, clock_wall_sec() / DAY_SEC, a, &day))
		return false;
	*e = own_domain(t, v->domain, &own);
	return *e == OK;
}

enum err
unsubscribe_show(struct job *j, struct txn *t)
{
	const struct store_unsubscribe_show_in *in = j->in;
	struct store_unsubscribe_show_out *out = j->out;
	struct verp v;
	enum err e;
	if (is_link(j, t, in->ref, &v, &e))
		out->domain = job_keep(j, v.domain);
	return e == ERR_NOT_FOUND ? OK : e;
}

enum err
unsubscribe(struct job *j, struct txn *t)
{
	const struct store_unsubscribe_in *in = j->in;
	struct store_unsubscribe_out *out = j->out;
	struct suppression s = { .reason = SUPPRESS_UNSUBSCRIBED, .by = S("recipient"), .text = S("") };
	struct verp v;
	enum err e;
	if (!is_link(j, t, in->ref, &v, &e))
		return e == ERR_NOT_FOUND ? OK : e;
	out->domain = job_keep(j, v.domain);
	struct slice name = suppression_name(txn_arena(t), v.domain, v.recipient);
	return name.len ? suppress(j, t, name, &s) : OK;
}
