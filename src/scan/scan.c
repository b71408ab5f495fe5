/* SPDX-License-Identifier: Apache-2.0 */
/* scan.c - the scan role: the facts of one message, or which substrings it holds. The only role that takes apart what
 * strangers wrote, and therefore the one that may do nothing: no files of its own, no network, nothing kept.
 *
 * A message is copied into memory of ours before it is looked at: shared memory can be written, and a file cut, by its
 * owner meanwhile. Fails: ERR_DENIED for a range that is not there or a descriptor that is no file, ERR_LIMIT for a
 * message larger than message-bytes-max (and some room for what the house adds), ERR_IO for a file that is too short.
 */
#include "scan/rows.h"

#include "base/counter.h"
#include "base/random.h"
#include "mail/bounce.h"
#include "mail/charset.h"
#include "mail/facts.h"
#include "mail/fold.h"
#include "mail/fuzzy.h"
#include "mail/match.h"
#include "mail/search_text.h"
#include "mail/seven_bit.h"
#include "mail/tls_report_read.h"
#include "role/role.h"
#include "scan_msg.h"

#include <errno.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCAN_KEEP_BYTES (4u << 20)     /* a larger copy is given back after use */
#define SCAN_TRACE_BYTES (64u << 10)   /* that trace fields may add to a message of the largest size */
#define SCAN_BYTES_MAX (2048ull << 20) /* message-bytes-max has the same bound */

_Static_assert((int)SCAN_IN_TEXT == MATCH_IN_TEXT && (int)SCAN_IN_BODY == MATCH_IN_BODY &&
                   (int)SCAN_IN_HEADER == MATCH_IN_HEADER && SCAN_KEYS_MAX == MATCH_KEYS_MAX,
               "one table of places");

struct scan {
	uint64_t message_bytes_max;
	char *copy; /* of the message under way */
	size_t copy_bytes;
};

static void
copy_room(struct scan *s, size_t bytes)
{
	if (s->copy_bytes >= bytes)
		return;
	free(s->copy);
	s->copy_bytes = MAX(bytes, (size_t)SHM_BLOCK_BYTES_MIN);
	s->copy = must_calloc(1, s->copy_bytes);
}

static void
copy_rest(struct scan *s)
{
	if (s->copy_bytes <= SCAN_KEEP_BYTES)
		return;
	free(s->copy);
	s->copy = NULL;
	s->copy_bytes = 0;
}

/* Only a regular file (or memfd): reading anything else might wait. */
static enum err
copy_file(struct scan *s, int file, uint64_t off, size_t bytes)
{
	struct stat st;
	if (fstat(file, &st) != 0 || !S_ISREG(st.st_mode))
		return ERR_DENIED;
	if (off > INT64_MAX - bytes || (uint64_t)st.st_size < off + bytes)
		return ERR_IO;
	copy_room(s, bytes);
	for (size_t at = 0; at < bytes;) {
		ssize_t n = pread(file, s->copy + at, bytes - at, (off_t)(off + at));
		if (n < 0 && errno != EINTR)
			return err_from_errno(errno);
		if (n == 0)
			return ERR_IO; /* cut meanwhile */
		at += n > 0 ? (size_t)n : 0;
	}
	return OK;
}

static enum err
copy_shared(struct scan *s, const struct shm_map *map, uint64_t off, size_t bytes)
{
	const void *from = map->at ? shm_range(map, off, bytes) : NULL;
	if (!from && bytes > 0)
		return ERR_DENIED;
	copy_room(s, bytes);
	if (bytes > 0)
		memcpy(s->copy, from, bytes);
	return OK;
}

/* The message that a call is about, until the next call. */
static enum err
message_take(struct ipc_call *call, int file, uint64_t off, uint64_t bytes, struct slice *message)
{
	struct scan *s = call->peer->owner;
	enum err e = ERR_LIMIT;
	if (bytes <= s->message_bytes_max)
		e = file >= 0 ? copy_file(s, file, off, (size_t)bytes) : copy_shared(s, &call->peer->shm, off, (size_t)bytes);
	ipc_drop_fd(file);
	*message = slice_of(s->copy, e == OK ? (size_t)bytes : 0);
	return e;
}

static void
serve_facts(struct ipc_call *call, const struct scan_facts_in *in)
{
	struct scan *s = call->peer->owner;
	struct slice message;
	enum err e = message_take(call, in->file, in->off, in->bytes, &message);
	struct buf record;
	buf_init(&record, FACTS_BYTES_MAX);
	if (e == OK && !facts_of_message(message, &record))
		e = ERR_LIMIT;
	counter_add(COUNTER_SCANNED, e == OK);
	copy_rest(s);
	if (e == OK)
		scan_facts_reply(call, &(struct scan_facts_out){ .facts = buf_slice(&record) });
	else
		ipc_fail(call, e);
	buf_release(&record);
}

static void
reply_bounce(struct ipc_call *call, const struct bounce *b)
{
	struct scan_bounced recipients[BOUNCE_RECIPIENTS_MAX];
	struct scan_bounced_path paths[BOUNCE_PATHS_MAX];
	struct scan_bounce_out out = { b->kind, b->class, b->status, b->said, recipients, 0, paths, 0 };
	for (size_t i = 0; i < b->nrecipients; i++)
		if (b->recipients[i].address.len && b->recipients[i].address.len <= 320)
			recipients[out.nrecipients++].address = b->recipients[i].address;
	for (size_t i = 0; i < b->npaths; i++)
		paths[out.npaths++].text = b->paths[i];
	scan_bounce_reply(call, &out);
}

static void
serve_bounce(struct ipc_call *call, const struct scan_bounce_in *in)
{
	struct scan *s = call->peer->owner;
	struct slice message;
	struct bounce b;
	struct arena a;
	enum err e = message_take(call, in->file, in->off, in->bytes, &message);
	arena_init(&a, 0);
	if (e == OK)
		bounce_read(message, &a, &b);
	if (e == OK)
		reply_bounce(call, &b);
	else
		ipc_fail(call, e);
	copy_rest(s); /* what was answered is in it */
	arena_release(&a);
}

static bool
keys_take(const struct scan_match_in *in, struct match_key keys[MATCH_KEYS_MAX])
{
	for (uint32_t i = 0; i < in->nkeys; i++) {
		const struct scan_key *k = &in->keys[i];
		if (k->where > SCAN_IN_HEADER || in->how > FOLD_OCTET)
			return false;
		keys[i] = (struct match_key){ (enum match_where)k->where, k->field, k->needle, (enum fold_how)in->how };
	}
	return true;
}

static void
serve_match(struct ipc_call *call, const struct scan_match_in *in)
{
	struct scan *s = call->peer->owner;
	struct match_key keys[MATCH_KEYS_MAX];
	struct slice message;
	enum err e = message_take(call, in->file, in->off, in->bytes, &message);
	if (e == OK && !keys_take(in, keys))
		e = ERR_SYNTAX;
	uint64_t hits = e == OK ? match_message(message, keys, in->nkeys) : 0;
	copy_rest(s);
	if (e == OK)
		scan_match_reply(call, &(struct scan_match_out){ .hits = hits });
	else
		ipc_fail(call, e);
}

static void
serve_text(struct ipc_call *call, const struct scan_text_in *in)
{
	struct scan *s = call->peer->owner;
	struct slice message;
	struct buf record, packed;
	enum err e = message_take(call, in->file, in->off, in->bytes, &message);
	buf_init(&record, SEARCH_TEXT_BYTES_MAX + 64);
	buf_init(&packed, SCAN_TEXT_BYTES_MAX);
	if (e == OK) {
		search_text_make(message, MIN(in->max, (uint32_t)SCAN_TEXT_BYTES_MAX - 64), &record);
		search_text_pack(buf_slice(&record), &packed);
	}
	copy_rest(s);
	if (e == OK)
		scan_text_reply(call, &(struct scan_text_out){ .text = buf_slice(&packed) });
	else
		ipc_fail(call, e);
	buf_release(&record);
	buf_release(&packed);
}

static void
serve_score(struct ipc_call *call, const struct scan_score_in *in)
{
	struct scan *s = call->peer->owner;
	struct fuzzy f;
	struct search_text text;
	struct slice message;
	struct buf record;
	uint32_t score = 0;
	enum err e = message_take(call, in->file, in->off, in->bytes, &message);
	if (e == OK && in->where > SCAN_IN_HEADER)
		e = ERR_SYNTAX;
	buf_init(&record, SEARCH_TEXT_BYTES_MAX + 64);
	if (e == OK) {
		fuzzy_init(&f, &(struct search_key){ (enum search_where)in->where, in->field, in->needle });
		search_text_make(message, SEARCH_TEXT_BYTES_MAX, &record);
		if (search_text_open(&text, buf_slice(&record)))
			score = fuzzy_score(&f, &text);
	}
	copy_rest(s);
	buf_release(&record);
	if (e == OK)
		scan_score_reply(call, &(struct scan_score_out){ .score = score });
	else
		ipc_fail(call, e);
}

static void
serve_tls_report(struct ipc_call *call, const struct scan_tls_report_in *in)
{
	struct scan *s = call->peer->owner;
	struct scan_tls_report_out out = { .found = TLS_REPORT_NONE };
	struct slice message;
	struct buf name, report;
	enum err e = message_take(call, in->file, in->off, in->bytes, &message);
	buf_init(&name, TLS_REPORT_NAME_BYTES_MAX);
	buf_init(&report, TLS_REPORT_READ_BYTES_MAX);
	if (e == OK)
		out.found = tls_report_read(message, &name, &report);
	out.name = buf_slice(&name);
	out.report = buf_slice(&report);
	copy_rest(s);
	if (e == OK)
		scan_tls_report_reply(call, &out);
	else
		ipc_fail(call, e);
	buf_release(&name);
	buf_release(&report);
}

static void
serve_convert(struct ipc_call *call, const struct scan_convert_in *in)
{
	struct scan *s = call->peer->owner;
	struct seven_bit_plan plan;
	struct slice message;
	enum err e = message_take(call, in->file, in->off, in->bytes, &message);
	seven_bit_init(&plan);
	if (e == OK && !seven_bit_make(&plan, message, in->eight_bit))
		e = ERR_UNSUPPORTED;
	copy_rest(s);
	struct scan_convert_out out = { .text = buf_slice(&plan.text), .bytes = plan.bytes };
	out.nsteps = (uint32_t)seven_bit_steps(&plan);
	out.steps = ARENA_ARRAY(&call->arena, struct scan_step, out.nsteps + 1);
	for (uint32_t i = 0; i < out.nsteps; i++) {
		struct seven_bit_step step = seven_bit_step(&plan, i);
		out.steps[i] = (struct scan_step){ step.how, step.at, step.len };
	}
	if (e == OK)
		scan_convert_reply(call, &out);
	else
		ipc_fail(call, e);
	seven_bit_release(&plan);
}

static const struct scan_server handlers = { .facts = serve_facts,
	                                         .bounce = serve_bounce,
	                                         .match = serve_match,
	                                         .text = serve_text,
	                                         .score = serve_score,
	                                         .tls_report = serve_tls_report,
	                                         .convert = serve_convert };

static enum err
configure(void *self, const struct conf *conf, const char **why)
{
	struct scan *s = self;
	s->message_bytes_max = MIN((uint64_t)conf->v.message_bytes_max, SCAN_BYTES_MAX) + SCAN_TRACE_BYTES;
	return OK;
}

/* ICU loads its tables while it may. */
static enum err
before_box(void *self, const char **why)
{
	struct buf warm;
	charset_setup();
	json_object_seed((size_t)random_u64()); /* it would look for a file otherwise */
	buf_init(&warm, 100);
	fold_put(&warm, S("\xc3\x84"));
	buf_release(&warm);
	return OK;
}

static void
serve(void *self, enum role_id role, uint32_t class_bit, uint32_t index, int fd)
{
	(void)ipc_peer_open(fd, &scan_protocol, &handlers, self, class_bit, index);
}

static void
await_stop(void *self, int64_t grace_ms)
{
	struct scan *s = self;
	free(s->copy);
	s->copy = NULL;
	s->copy_bytes = 0;
	charset_release();
}

const struct role role_scan = {
	.name = "scan",
	.id = ROLE_SCAN,
	.class_bit = IPC_CLASS_SCAN,
	.one_per_cpu = true,
	.state_bytes = sizeof(struct scan),
	.configure = configure,
	.serve = serve,
	.before_box = before_box,
	.await_stop = await_stop,
};
