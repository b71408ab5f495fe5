/* SPDX-License-Identifier: Apache-2.0 */
/* imap.c - IMAP4rev1 (RFC 3501): the table of commands, their loop, and the one place where replies are written.
 * Called by session.c through imap_protocol. A session holds a task only while a command is under way. */
#include "session/imap/context.h"
#include "session/imap/notify.h"

#include "base/counter.h"
#include "base/log.h"
#include "base/random.h"

#define TEXT_BYTES_MAX (8u << 20)
#define IMAP_ARENA_BYTES_MAX ((size_t)256 << 20) /* 12 bytes for each message of the largest COPY, among others */

const struct imap_command imap_commands[] = {
	{ S_ROW("CAPABILITY"), imap_cmd_capability, IMAP_ANY, 0, "3501 6.1.1" },
	{ S_ROW("NOOP"), imap_cmd_noop, IMAP_ANY, 0, "3501 6.1.2" },
	{ S_ROW("LOGOUT"), imap_cmd_logout, IMAP_ANY, 0, "3501 6.1.3" },
	{ S_ROW("ID"), imap_cmd_id, IMAP_ANY, 0, "2971 3.1" },
	{ S_ROW("STARTTLS"), imap_cmd_starttls, IMAP_NOT_AUTHENTICATED, 0, "3501 6.2.1" },
	{ S_ROW("AUTHENTICATE"), imap_cmd_authenticate, IMAP_NOT_AUTHENTICATED, 0, "3501 6.2.2" },
	{ S_ROW("LOGIN"), imap_cmd_login, IMAP_NOT_AUTHENTICATED, 0, "3501 6.2.3" },
	{ S_ROW("LANGUAGE"), imap_cmd_language, IMAP_ANY, 0, "5255 3.2" },
	{ S_ROW("COMPARATOR"), imap_cmd_comparator, IMAP_LOGGED_IN, 0, "5255 4.7" },
	{ S_ROW("ENABLE"), imap_cmd_enable, IMAP_LOGGED_IN, 0, "5161 3.1" },
	{ S_ROW("UNAUTHENTICATE"), imap_cmd_unauthenticate, IMAP_LOGGED_IN, 0, "8437 3" },
	{ S_ROW("GETQUOTA"), imap_cmd_getquota, IMAP_LOGGED_IN, 0, "9208 4.1.1" },
	{ S_ROW("GETQUOTAROOT"), imap_cmd_getquotaroot, IMAP_LOGGED_IN, 0, "9208 4.1.2" },
	{ S_ROW("SETQUOTA"), imap_cmd_setquota, IMAP_LOGGED_IN, 0, "9208 4.1.3" },
	{ S_ROW("COMPRESS"), imap_cmd_compress, IMAP_LOGGED_IN, 0, "4978 3" },
	{ S_ROW("GETMETADATA"), imap_cmd_getmetadata, IMAP_LOGGED_IN, 0, "5464 4.2" },
	{ S_ROW("SETMETADATA"), imap_cmd_setmetadata, IMAP_LOGGED_IN, 0, "5464 4.3" },
	{ S_ROW("SETACL"), imap_cmd_setacl, IMAP_LOGGED_IN, 0, "4314 3.1" },
	{ S_ROW("DELETEACL"), imap_cmd_deleteacl, IMAP_LOGGED_IN, 0, "4314 3.2" },
	{ S_ROW("GETACL"), imap_cmd_getacl, IMAP_LOGGED_IN, 0, "4314 3.3" },
	{ S_ROW("LISTRIGHTS"), imap_cmd_listrights, IMAP_LOGGED_IN, 0, "4314 3.4" },
	{ S_ROW("MYRIGHTS"), imap_cmd_myrights, IMAP_LOGGED_IN, 0, "4314 3.5" },
	{ S_ROW("SELECT"), imap_cmd_select, IMAP_LOGGED_IN, 0, "3501 6.3.1" },
	{ S_ROW("EXAMINE"), imap_cmd_examine, IMAP_LOGGED_IN, 0, "3501 6.3.2" },
	{ S_ROW("CREATE"), imap_cmd_create, IMAP_LOGGED_IN, 0, "3501 6.3.3" },
	{ S_ROW("DELETE"), imap_cmd_delete, IMAP_LOGGED_IN, 0, "3501 6.3.4" },
	{ S_ROW("RENAME"), imap_cmd_rename, IMAP_LOGGED_IN, 0, "3501 6.3.5" },
	{ S_ROW("SUBSCRIBE"), imap_cmd_subscribe, IMAP_LOGGED_IN, 0, "3501 6.3.6" },
	{ S_ROW("UNSUBSCRIBE"), imap_cmd_unsubscribe, IMAP_LOGGED_IN, 0, "3501 6.3.7" },
	{ S_ROW("LIST"), imap_cmd_list, IMAP_LOGGED_IN, 0, "3501 6.3.8" },
	{ S_ROW("LSUB"), imap_cmd_lsub, IMAP_LOGGED_IN, 0, "3501 6.3.9" },
	{ S_ROW("RLIST"), imap_cmd_rlist, IMAP_LOGGED_IN, 0, "2193 5.1" },
	{ S_ROW("RLSUB"), imap_cmd_rlsub, IMAP_LOGGED_IN, 0, "2193 5.2" },
	{ S_ROW("NAMESPACE"), imap_cmd_namespace, IMAP_LOGGED_IN, 0, "2342 5" },
	{ S_ROW("STATUS"), imap_cmd_status, IMAP_LOGGED_IN, 0, "3501 6.3.10" },
	{ S_ROW("APPEND"), imap_cmd_append, IMAP_LOGGED_IN, 0, "3501 6.3.11" },
	{ S_ROW("GENURLAUTH"), imap_cmd_genurlauth, IMAP_LOGGED_IN, 0, "4467 7" },
	{ S_ROW("RESETKEY"), imap_cmd_resetkey, IMAP_LOGGED_IN, 0, "4467 7" },
	{ S_ROW("URLFETCH"), imap_cmd_urlfetch, IMAP_LOGGED_IN, 0, "4467 7, 5524 3" },
	{ S_ROW("NOTIFY"), imap_cmd_notify, IMAP_LOGGED_IN, 0, "5465 3.1" },
	{ S_ROW("REPLACE"), imap_cmd_replace, IMAP_SELECTED, BY_UID, "8508 3" },
	{ S_ROW("IDLE"), imap_cmd_idle, IMAP_LOGGED_IN, 0, "2177 3" },
	{ S_ROW("CHECK"), imap_cmd_noop, IMAP_SELECTED, 0, "3501 6.4.1" },
	{ S_ROW("CLOSE"), imap_cmd_close, IMAP_SELECTED, 0, "3501 6.4.2" },
	{ S_ROW("UNSELECT"), imap_cmd_unselect, IMAP_SELECTED, 0, "3691 2" },
	{ S_ROW("EXPUNGE"), imap_cmd_expunge, IMAP_SELECTED, BY_UID, "3501 6.4.3, 4315 2.1" },
	{ S_ROW("SEARCH"), imap_cmd_search, IMAP_SELECTED, BY_UID | KEEPS_NUMBERS, "3501 6.4.4" },
	{ S_ROW("CANCELUPDATE"), imap_cmd_cancelupdate, IMAP_SELECTED, KEEPS_NUMBERS, "5267 4.3.5" },
	{ S_ROW("ESEARCH"), imap_cmd_esearch, IMAP_LOGGED_IN, BY_UID | KEEPS_NUMBERS, "7377 2" },
	{ S_ROW("SORT"), imap_cmd_sort, IMAP_SELECTED, BY_UID | KEEPS_NUMBERS, "5256 3" },
	{ S_ROW("THREAD"), imap_cmd_thread, IMAP_SELECTED, BY_UID | KEEPS_NUMBERS, "5256 3" },
	{ S_ROW("UIDBATCHES"), imap_cmd_uidbatches, IMAP_SELECTED, 0, "10022 3.1" },
	{ S_ROW("FETCH"), imap_cmd_fetch, IMAP_SELECTED, BY_UID | KEEPS_NUMBERS, "3501 6.4.5" },
	{ S_ROW("STORE"), imap_cmd_store, IMAP_SELECTED, BY_UID | KEEPS_NUMBERS, "3501 6.4.6" },
	{ S_ROW("COPY"), imap_cmd_copy, IMAP_SELECTED, BY_UID | KEEPS_NUMBERS, "3501 6.4.7" },
	{ S_ROW("MOVE"), imap_cmd_move, IMAP_SELECTED, BY_UID, "6851 3.1" },
};
const size_t imap_commands_count = COUNT_OF(imap_commands);

/* ---- replies */

const struct imap_reply imap_silent = { IMAP_SILENT, { NULL, 0 }, NULL };

struct imap_reply
imap_ok(const char *text)
{
	return (struct imap_reply){ IMAP_OK, SLICE_NONE, text };
}

struct imap_reply
imap_ok_code(struct slice code, const char *text)
{
	return (struct imap_reply){ IMAP_OK, code, text };
}

struct imap_reply
imap_no(const char *code, const char *text)
{
	return (struct imap_reply){ IMAP_NO, slice_text(code), text };
}

struct imap_reply
imap_bad(const char *text)
{
	return (struct imap_reply){ IMAP_BAD, SLICE_NONE, text };
}

struct imap_reply
imap_bad_numbers(void)
{
	static const char text[] = "message numbers are not used after ENABLE UIDONLY";
	return (struct imap_reply){ IMAP_BAD, S("UIDREQUIRED"), text };
}

/* RFC 5530 3: the codes. */
struct imap_reply
imap_err(enum err e)
{
	switch (e) {
	case ERR_NOT_FOUND: return imap_no("NONEXISTENT", "there is no such mailbox");
	case ERR_EXISTS: return imap_no("ALREADYEXISTS", "a mailbox of that name exists already");
	case ERR_DENIED: return imap_no("NOPERM", "your rights on the mailbox do not allow that");
	case ERR_SYNTAX: return imap_no("CANNOT", "no mailbox can have that name");
	case ERR_QUOTA: return imap_no("OVERQUOTA", "the account is over its quota");
	case ERR_LIMIT: return imap_no("LIMIT", "a limit of this server is reached");
	case ERR_DISK_FULL: return imap_no("UNAVAILABLE", "the server has no space left, try again later");
	case ERR_SUSPENDED: return imap_no("CONTACTADMIN", "the account is suspended");
	case ERR_STALE: return imap_no("EXPIRED", "log in again");
	case ERR_BUSY: return imap_no("INUSE", "somebody else is using it, try again later");
	case ERR_DAMAGED: return imap_no("CORRUPTION", "stored data is damaged, the administrator finds more in the log");
	default: return imap_no("UNAVAILABLE", "not possible at the moment, try again later");
	}
}

/* RFC 7162 3.2: a client that sees change numbers above one whose EXPUNGE still waits must not count on them. */
static void
put_highest_if_behind(struct imap *im)
{
	if (im->state == IMAP_SELECTED && (im->enabled & ENABLED_CONDSTORE) && (im->view.gone || im->changed))
		imap_put_highest(im);
}

static void
put_reply(struct imap *im, const struct imap_reply *r)
{
	static const char *const words[] = { " OK ", " NO ", " BAD " };
	struct buf *to = &im->text;
	buf_put(to, im->tag.len ? im->tag : S("*"));
	buf_put(to, slice_text(words[r->status]));
	if (r->code.len) {
		buf_put_char(to, '[');
		buf_put(to, r->code);
		buf_put(to, S("] "));
	}
	buf_put(to, lang_text(im->language, slice_text(r->text)));
	buf_put(to, S("\r\n"));
}

/* ---- one command */

static const struct imap_command *
command_of(struct slice word)
{
	for (size_t i = 0; i < imap_commands_count; i++)
		if (slice_equal_nocase(word, imap_commands[i].word))
			return &imap_commands[i];
	return NULL;
}

/* tag SP ["UID" SP] word; NULL and *no when it is no command, or none that is allowed now. */
static const struct imap_command *
take_command(struct imap *im, struct cursor *c, struct imap_reply *no)
{
	struct slice word;
	im->tag = SLICE_NONE;
	im->by_uid = im->names_numbers = false;
	*no = imap_bad("a command is a tag, a space and a word");
	if (!imap_take_tag(c, &im->tag) || !imap_take_space(c)) {
		if (!cursor_done(c)) /* what came first was no tag */
			im->tag = SLICE_NONE;
		return NULL;
	}
	if (!imap_take_atom(c, &word))
		return NULL;
	if (slice_equal_nocase(word, S("UID")) && imap_take_space(c)) {
		im->by_uid = true;
		if (!imap_take_atom(c, &word))
			return NULL;
	}
	const struct imap_command *row = command_of(word);
	*no = imap_bad("there is no such command");
	if (!row || (im->by_uid && !(row->flags & BY_UID)))
		return NULL;
	*no = imap_bad(im->state == IMAP_NOT_AUTHENTICATED ? "log in first"
	               : row->states == IMAP_SELECTED      ? "select a mailbox first"
	                                                   : "you are logged in already");
	if (!(row->states & im->state))
		return NULL;
	*no = imap_bad_numbers();
	bool numbers = (row->flags & BY_UID) && !im->by_uid && row->await_run != imap_cmd_expunge;
	return numbers && imap_uidonly(im) ? NULL : row; /* RFC 9586 3.2, 3.8 */
}

void
await_imap_reply(struct imap *im, const struct imap_command *row, const struct imap_reply *r)
{
	im->bad_in_row = r->status == IMAP_BAD ? im->bad_in_row + 1 : 0;
	if (r->status == IMAP_SILENT)
		return;
	im->progress_ms = INT64_MAX; /* the work is done */
	bool keeps = row && (row->flags & KEEPS_NUMBERS) && (!im->by_uid || im->names_numbers);
	if (r->status != IMAP_BAD) {
		await_imap_sync(im, keeps ? 0 : SYNC_EXPUNGES);
		put_highest_if_behind(im);
	}
	struct imap_reply tagged = *r;
	if (im->limited_to)
		imap_put_limited(im, &tagged);
	put_reply(im, &tagged);
	if (im->asked == ERR_STALE || im->asked == ERR_SUSPENDED) { /* the grant is over */
		imap_untagged(im, S("BYE log in again"));
		im->ended = true;
	}
	await_imap_text(im);
	if (im->view.gone && imap_notify_expunges(im)) /* the command had to keep its numbers */
		conn_wake(im->c);
}

static void
await_run_command(struct imap *im)
{
	struct cursor c = cursor_of(buf_slice(&im->command));
	struct imap_reply r;
	im->asked = OK;
	im->limited_to = 0;
	imap_progress_begin(im);
	const struct imap_command *row = take_command(im, &c, &r);
	counter_add(COUNTER_IMAP_COMMANDS, 1);
	if (row) {
		im->nnamed = 0;
		r = row->await_run(im, &c);
		if (r.status == IMAP_NO && im->nnamed)
			r = await_imap_refer(im, row->await_run == imap_cmd_rename, r);
	}
	/* the message of an APPEND that nobody read: it must not be taken for commands */
	else if (imap_is_append(buf_slice(&im->command), &im->arena) && !im->literal.sync)
		im->ended = im->literal.bytes > IMAP_LITERAL_SKIP_BYTES_MAX || await_imap_skip(im, im->literal.bytes) != OK ||
		            await_imap_skip_command(im) != OK;
	await_imap_reply(im, row, &r);
}

/* Between commands a session holds no memory but its view. */
static void
rest(struct imap *im)
{
	if (stream_has_input(&im->c->io)) {
		arena_clear(&im->arena);
		return;
	}
	arena_release(&im->arena);
	buf_release(&im->command);
	buf_release(&im->text);
}

static enum next
imap_await_command(struct conn *c)
{
	struct imap *im = c->state;
	if (im->idling)
		return await_imap_idle_line(im);
	bool secret = im->state == IMAP_NOT_AUTHENTICATED;
	enum imap_got got = await_imap_command_text(im);
	if (got == IMAP_GOT_COMMAND)
		await_run_command(im);
	if (secret && im->command.at)
		secret_wipe(im->command.at, im->command.len);
	if (secret)
		stream_wipe_consumed(&c->io);
	if (im->bad_in_row >= IMAP_BAD_MAX && !im->ended) {
		imap_untagged(im, S("BYE too many malformed commands"));
		await_imap_text(im);
		im->ended = true;
	}
	rest(im);
	return got == IMAP_GOT_CLOSED || im->ended || im->state == IMAP_LOGOUT ? NEXT_CLOSE : NEXT_COMMAND;
}

/* ---- the protocol */

static enum next
imap_await_start(struct conn *c)
{
	struct imap *im = c->state;
	im->c = c;
	im->state = IMAP_NOT_AUTHENTICATED;
	arena_init(&im->arena, IMAP_ARENA_BYTES_MAX);
	arena_init(&im->view.keyword_arena, 0);
	buf_init(&im->text, TEXT_BYTES_MAX);
	buf_init(&im->command, IMAP_LINE_BYTES_MAX + IMAP_LITERALS_BYTES_MAX + 4096);
	buf_put(&im->text, S("* OK [CAPABILITY "));
	imap_put_capabilities(im, &im->text);
	buf_printf(&im->text, "] %s ready\r\n", c->conf->v.hostname);
	await_imap_text(im);
	rest(im);
	return NEXT_COMMAND;
}

static void
imap_await_goodbye(struct conn *c, bool stopping)
{
	struct imap *im = c->state;
	stream_put(&c->io, stopping && !c->revoked ? S("* BYE [UNAVAILABLE] ") : S("* BYE "));
	stream_put(&c->io, lang_text(im->language, !stopping    ? S("silent for too long")
	                                           : c->revoked ? S("log in again")
	                                                        : S("the server stops, come again in a moment")));
	stream_put(&c->io, S("\r\n"));
	im->ended = true;
}

static void
imap_changed(struct conn *c, uint64_t account, uint64_t mailbox, uint64_t modseq)
{
	struct imap *im = c->state;
	bool selected = im->state == IMAP_SELECTED && (!account || account == im->view.account) &&
	                (!mailbox || (mailbox == im->view.mailbox && modseq > im->view.modseq));
	bool elsewhere = imap_notify_concerns(im, account, mailbox, modseq);
	im->changed = im->changed || selected;
	if (elsewhere || (selected && (im->idling || im->notify) && (imap_events_selected(im) & EVENT_NEW)))
		conn_wake(c);
}

static enum next
imap_await_woken(struct conn *c)
{
	struct imap *im = c->state;
	if (!im->idling && !im->notify)
		return NEXT_COMMAND;
	await_imap_sync(im, im->idling || imap_notify_expunges(im) ? SYNC_EXPUNGES : 0);
	await_imap_notify(im);
	await_imap_text(im);
	rest(im);
	return im->ended ? NEXT_CLOSE : NEXT_COMMAND;
}

static void
imap_release(struct conn *c)
{
	struct imap *im = c->state;
	im->c = c; /* a connection whose TLS handshake failed was never started */
	imap_forget_account(im);
	contexts_end(im);
	view_release(&im->view);
	arena_release(&im->arena);
	buf_release(&im->command);
	buf_release(&im->text);
	slab_free(im->idle_tag, im->idle_tag_bytes + 1);
}

const struct protocol imap_protocol = {
	.name = "imap",
	.state_bytes = sizeof(struct imap),
	.await_start = imap_await_start,
	.await_command = imap_await_command,
	.await_goodbye = imap_await_goodbye,
	.changed = imap_changed,
	.await_woken = imap_await_woken,
	.release = imap_release,
};
