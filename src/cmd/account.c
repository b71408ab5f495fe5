/* SPDX-License-Identifier: Apache-2.0 */
/* account.c - posthouse account add|list|show|delete|suspend|resume|password. A password comes on standard input
 * (--password-stdin) or is asked for on a terminal; never on the command line, where others could read it. */
#include "cmd/cmd.h"

#include "base/random.h"
#include "role/conf_special.h"

#include <errno.h>
#include <termios.h>
#include <unistd.h>

#define SECRET_BYTES_MAX 1001
#define DAYS_MAX 36500u
#define UIDLS_AT_ONCE 500
#define UIDL_LINE_BYTES_MAX 1200

/* One line of standard input, without its end. */
static bool
read_line(char to[SECRET_BYTES_MAX + 1])
{
	if (!fgets(to, SECRET_BYTES_MAX + 1, stdin))
		return false;
	size_t len = strcspn(to, "\r\n");
	bool whole = len < SECRET_BYTES_MAX;
	to[len] = '\0';
	return whole && len > 0;
}

static bool
ask_on_terminal(const char *question, char to[SECRET_BYTES_MAX + 1])
{
	struct termios before, quiet;
	if (tcgetattr(STDIN_FILENO, &before) != 0)
		return false;
	quiet = before;
	quiet.c_lflag &= (tcflag_t)~ECHO;
	fprintf(stderr, "%s", question);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	bool ok = read_line(to);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	return ok;
}

static bool
ask_twice(struct args *a, char secret[SECRET_BYTES_MAX + 1])
{
	char again[SECRET_BYTES_MAX + 1] = "";
	bool ok = ask_on_terminal("Password: ", secret) && ask_on_terminal("Again: ", again);
	bool same = ok && strcmp(secret, again) == 0;
	secret_wipe(again, sizeof again);
	if (!ok)
		cmd_fail(a, NULL, "no password was typed, or it is longer than 1000 bytes");
	else if (!same)
		cmd_fail(a, NULL, "the two passwords differ");
	return same;
}

/* Puts "password" or "hash" into body. */
static bool
take_secret(struct args *a, json_t *body)
{
	char secret[SECRET_BYTES_MAX + 1] = "";
	bool ok;
	if (a->given & (OPT_PASSWORD_STDIN | OPT_HASH_STDIN)) {
		ok = read_line(secret);
		if (!ok)
			cmd_fail(a, "give it as one line, for instance: printf '%s\\n' \"$password\" | posthouse ...",
			         "no password came on standard input, or it is longer than 1000 bytes");
	} else if (isatty(STDIN_FILENO)) {
		ok = ask_twice(a, secret);
	} else {
		ok = false;
		cmd_fail(a, "use --password-stdin and give it as one line, or run the command on a terminal",
		         "a password is needed and there is nobody to ask");
	}
	if (ok) {
		json_t *j = json_string(secret);
		ok = j != NULL;
		if (ok)
			json_object_set_new(body, a->given & OPT_HASH_STDIN ? "hash" : "password", j);
		else
			cmd_fail(a, NULL, "the password is not UTF-8");
	}
	secret_wipe(secret, sizeof secret);
	return ok;
}

static bool
take_quota(struct args *a, json_t *body)
{
	uint64_t quota;
	if (!(a->given & OPT_QUOTA))
		return true;
	if (!conf_quantity(slice_text(a->quota), CONF_BYTES, &quota) || quota > INT64_MAX) {
		cmd_fail(a, NULL, "--quota '%.40s' is not a size such as 500m, 2g; 0 is none of its own", a->quota);
		return false;
	}
	json_object_set_new(body, "quota", json_integer((json_int_t)quota));
	return true;
}

static void
put_rights(struct args *a, json_t *body)
{
	if (!(a->given & OPT_ADMIN))
		return;
	json_t *rights = json_array();
	json_array_append_new(rights, json_string("send"));
	json_array_append_new(rights, json_string("imap"));
	json_array_append_new(rights, json_string("pop3"));
	json_array_append_new(rights, json_string("admin"));
	json_object_set_new(body, "rights", rights);
}

static int
add(struct args *a)
{
	json_t *body = json_object();
	json_object_set_new(body, "address", json_string(a->words[0]));
	put_rights(a, body);
	if (!cmd_conf(a) || !take_quota(a, body) || (!(a->given & OPT_NO_PASSWORD) && !take_secret(a, body))) {
		json_decref(body);
		return EXIT_FAILED;
	}
	return cmd_do(a, "POST", "/api/v1/accounts", body, "account %s added", a->words[0]);
}

static int
password(struct args *a)
{
	json_t *body = json_object();
	if (!cmd_conf(a) || !take_secret(a, body)) {
		json_decref(body);
		return EXIT_FAILED;
	}
	return cmd_do(a, "PUT", cmd_path(a, "/api/v1/accounts/", a->words[0], "/password"), body,
	              "the password of %s is changed; sessions that used the old one end", a->words[0]);
}

struct listing {
	struct table table;
	struct arena *arena;
};

static void
list_one(const json_t *row, void *arg)
{
	struct listing *l = arg;
	uint64_t quota = cmd_number(row, "quota");
	table_add(&l->table, cmd_text(row, "address"), cmd_text(row, "status"),
	          arena_printf(l->arena, "%llu", (unsigned long long)cmd_number(row, "messages")).at,
	          cmd_size(l->arena, cmd_number(row, "used")), quota ? cmd_size(l->arena, quota) : "-",
	          cmd_when(l->arena, (int64_t)cmd_number(row, "created")));
}

static int
list(struct args *a)
{
	struct listing l = { .arena = a->arena };
	table_init(&l.table, a->arena, 6, "ADDRESS", "STATUS", ">MESSAGES", ">USED", ">QUOTA", "CREATED");
	const char *path = a->nwords ? cmd_path(a, "/api/v1/accounts?domain=", a->words[0], "") : "/api/v1/accounts";
	int code = cmd_list(a, path, "accounts", "address", list_one, &l);
	if (code == EXIT_DONE && !a->json)
		table_print(&l.table);
	return code;
}

/* " of 1000", or nothing */
static const char *
of_max(struct args *a, uint64_t max)
{
	return max ? arena_printf(a->arena, " of %llu", (unsigned long long)max).at : "";
}

static void
print_days(const char *text, uint64_t days)
{
	const char *at = strstr(text, "%llu");
	if (days)
		printf("%.*s%llu%s", (int)(at - text), text, (unsigned long long)days, at + 4);
}

static void
print_referrals(const json_t *o)
{
	const json_t *list = json_object_get(o, "referrals");
	if (cmd_text(o, "moved_to")[0])
		printf("moved to  %s%s\n", cmd_text(o, "moved_to"),
		       json_is_true(json_object_get(o, "moved_open")) ? ", and open here" : "");
	for (size_t i = 0; i < json_array_size(list); i++)
		printf("referral  %s: %s\n", cmd_text(json_array_get(list, i), "mailbox"),
		       cmd_text(json_array_get(list, i), "url"));
}

static int
show(struct args *a)
{
	json_t *o;
	if (!cmd_ask(a, "GET", cmd_path(a, "/api/v1/accounts/", a->words[0], ""), NULL, &o))
		return EXIT_FAILED;
	if (a->json)
		cmd_print_json(o);
	else {
		uint64_t quota = cmd_number(o, "quota");
		printf("address   %s\nstatus    %s\nrights   ", cmd_text(o, "address"), cmd_text(o, "status"));
		const json_t *rights = json_object_get(o, "rights");
		for (size_t i = 0; i < json_array_size(rights); i++)
			printf(" %s", json_string_value(json_array_get(rights, i)));
		printf("\nmessages  %llu%s\nmailboxes %llu%s\nused      %s\nquota     %s\ncreated   %s\n",
		       (unsigned long long)cmd_number(o, "messages"), of_max(a, cmd_number(o, "messages_max")),
		       (unsigned long long)cmd_number(o, "mailboxes"), of_max(a, cmd_number(o, "mailboxes_max")),
		       cmd_size(a->arena, cmd_number(o, "used")), quota ? cmd_size(a->arena, quota) : "the server's",
		       cmd_when(a->arena, (int64_t)cmd_number(o, "created")));
		print_days("pop3      deletes fetched messages after %llu days\n", cmd_number(o, "pop3_delete_after"));
		print_days("pop3      hides messages older than %llu days\n", cmd_number(o, "pop3_hide_after"));
		if (cmd_text(o, "language")[0])
			printf("language  %s\n", cmd_text(o, "language"));
		if (cmd_text(o, "public")[0])
			printf("public    Shared/%s\n", cmd_text(o, "public"));
		print_referrals(o);
	}
	json_decref(o);
	return EXIT_DONE;
}

static int delete (struct args *a)
{
	return cmd_do(a, "DELETE", cmd_path(a, "/api/v1/accounts/", a->words[0], ""), NULL,
	              "account %s and its mail are deleted", a->words[0]);
}

static int
set_status(struct args *a, const char *status, const char *done)
{
	json_t *body = json_object();
	json_object_set_new(body, "status", json_string(status));
	return cmd_do(a, "PATCH", cmd_path(a, "/api/v1/accounts/", a->words[0], ""), body, "account %s %s", a->words[0],
	              done);
}

static int
suspend(struct args *a)
{
	return set_status(a, "suspended", "is suspended: no login, mail for it is deferred; `account resume` ends it");
}

static int
resume(struct args *a)
{
	return set_status(a, "active", "is active");
}

static bool
take_count(struct args *a, json_t *body, uint32_t option, const char *text, const char *name)
{
	uint64_t n;
	if (!(a->given & option))
		return true;
	if (!conf_quantity(slice_text(text), CONF_NUMBER, &n) || n > INT64_MAX) {
		cmd_fail(a, NULL, "'%.40s' is not a number; 0 is the server's limit", text);
		return false;
	}
	json_object_set_new(body, name, json_integer((json_int_t)n));
	return true;
}

static int
quota(struct args *a)
{
	json_t *body = json_object();
	a->quota = a->words[1];
	a->given |= OPT_QUOTA;
	if (!take_quota(a, body) || !take_count(a, body, OPT_MESSAGES, a->messages, "messages_max") ||
	    !take_count(a, body, OPT_MAILBOXES, a->mailboxes, "mailboxes_max")) {
		json_decref(body);
		return EXIT_FAILED;
	}
	return cmd_do(a, "PATCH", cmd_path(a, "/api/v1/accounts/", a->words[0], ""), body, "the quota of %s is %s now",
	              a->words[0], a->words[1]);
}

/* ---- POP3 */

static bool
take_days(struct args *a, json_t *body, const char *name, const char *text)
{
	uint64_t days;
	if (!text)
		return true;
	if (!slice_to_u64(slice_text(text), &days) || days > DAYS_MAX) {
		cmd_fail(a, NULL, "'%.40s' is no number of days; allowed: 1 to 36500, 0 for never", text);
		return false;
	}
	json_object_set_new(body, name, json_integer((json_int_t)days));
	return true;
}

static int
set(struct args *a)
{
	json_t *body = json_object();
	if (!take_quota(a, body) || !take_days(a, body, "pop3_delete_after", a->delete_after) ||
	    !take_days(a, body, "pop3_hide_after", a->hide_after)) {
		json_decref(body);
		return EXIT_FAILED;
	}
	if (a->language)
		json_object_set_new(body, "language", json_string(a->language));
	if (a->moved_to) {
		json_object_set_new(body, "moved_to", json_string(a->moved_to));
		json_object_set_new(body, "moved_open", json_boolean(a->given & OPT_MOVED_OPEN));
	}
	if (json_object_size(body) == 0) {
		json_decref(body);
		return cmd_fail(a, "posthouse help account set", "nothing to set was named");
	}
	return cmd_do(a, "PATCH", cmd_path(a, "/api/v1/accounts/", a->words[0], ""), body, "account %s is changed",
	              a->words[0]);
}

/* "12 UIDL" or "<id@host> UIDL" */
static json_t *
uidl_line(struct slice line)
{
	struct slice name, uidl;
	uint64_t uid;
	json_t *o = json_object();
	ptrdiff_t space = slice_find_last_char(line, ' ');
	name = slice_trim(slice_part(line, 0, space < 0 ? 0 : (size_t)space));
	uidl = slice_from(line, (size_t)(space + 1));
	if (slice_to_u64(name, &uid) && uid > 0 && uid <= UINT32_MAX) {
		json_object_set_new(o, "uid", json_integer((json_int_t)uid));
	} else {
		if (slice_starts(name, S("<")) && slice_ends(name, S(">")))
			name = slice_part(name, 1, name.len - 2);
		json_object_set_new(o, "message_id", json_stringn(name.at, name.len));
	}
	json_object_set_new(o, "uidl", json_stringn(uidl.at, uidl.len));
	bool good = name.len && uidl.len && (json_object_get(o, "uid") || json_object_get(o, "message_id")) &&
	            json_object_get(o, "uidl");
	if (good)
		return o;
	json_decref(o);
	return NULL;
}

/* Sends what was gathered; list is given away. */
static bool
send_uidls(struct args *a, json_t *list, uint64_t *found)
{
	json_t *body = json_object(), *answer;
	json_object_set_new(body, "uidls", list);
	if (!cmd_ask(a, "PUT", cmd_path(a, "/api/v1/accounts/", a->words[0], "/uidls"), body, &answer))
		return false;
	*found += cmd_number(answer, "found");
	json_decref(answer);
	return true;
}

static bool
send_lines(struct args *a, FILE *f, uint64_t *lines, uint64_t *found)
{
	char text[UIDL_LINE_BYTES_MAX];
	json_t *list = json_array();
	bool good = true;
	while (good && fgets(text, sizeof text, f)) {
		struct slice line = slice_trim(slice_text(text));
		json_t *one = line.len ? uidl_line(line) : NULL;
		++*lines;
		if (one)
			json_array_append_new(list, one);
		else if (line.len) {
			cmd_fail(a, "a line is a UID or a Message-ID, a space, and the UIDL", "line %llu of %s is malformed",
			         (unsigned long long)*lines, a->words[1]);
			good = false;
		}
		if (good && json_array_size(list) == UIDLS_AT_ONCE) {
			good = send_uidls(a, list, found);
			list = json_array();
		}
	}
	if (good && json_array_size(list))
		return send_uidls(a, list, found);
	json_decref(list);
	return good;
}

static int
uidls(struct args *a)
{
	uint64_t lines = 0, found = 0;
	FILE *f = fopen(a->words[1], "re");
	if (!f)
		return cmd_fail(a, NULL, "%s cannot be read: %s", a->words[1], strerror(errno));
	bool good = cmd_conf(a) && send_lines(a, f, &lines, &found);
	fclose(f);
	if (!good)
		return EXIT_FAILED;
	printf("%llu messages of %s have a UIDL of %s (%llu lines)\n", (unsigned long long)found, a->words[0], a->words[1],
	       (unsigned long long)lines);
	return EXIT_DONE;
}

/* ---- sharing */

/* Its mailboxes that give rights to anyone show in its domain as "Shared/NAME/..." */
static int public(struct args *a)
{
	json_t *body = json_object();
	json_object_set_new(body, "public", json_string(a->words[1]));
	const char *path = cmd_path(a, "/api/v1/accounts/", a->words[0], "");
	if (!a->words[1][0])
		return cmd_do(a, "PATCH", path, body, "%s is not public any more", a->words[0]);
	return cmd_do(a, "PATCH", path, body, "%s is public in its domain as Shared/%s", a->words[0], a->words[1]);
}

/* A mailbox that is on another server: clients get the URL (RFC 2193). */
static int
refer(struct args *a)
{
	json_t *body = json_object();
	json_object_set_new(body, "mailbox", json_string(a->words[1]));
	json_object_set_new(body, "url", json_string(a->words[2]));
	const char *path = cmd_path(a, "/api/v1/accounts/", a->words[0], "/referrals");
	if (!a->words[2][0])
		return cmd_do(a, "PUT", path, body, "%s of %s is not on another server any more", a->words[1], a->words[0]);
	return cmd_do(a, "PUT", path, body, "%s of %s is at %s", a->words[1], a->words[0], a->words[2]);
}

#define SECRETS (OPT_PASSWORD_STDIN | OPT_HASH_STDIN)
static const struct verb rows[] = {
	{ "account", "add", add, 1, 1, SECRETS | OPT_ADMIN | OPT_QUOTA | OPT_NO_PASSWORD,
	  "account add ADDRESS [--password-stdin] [--admin] [--quota SIZE]", "a new mailbox" },
	{ "account", "list", list, 0, 1, 0, "account list [DOMAIN]", "the accounts" },
	{ "account", "show", show, 1, 1, 0, "account show ADDRESS", "one account" },
	{ "account", "delete", delete, 1, 1, 0, "account delete ADDRESS", "with its mail" },
	{ "account", "suspend", suspend, 1, 1, 0, "account suspend ADDRESS", "no login, mail is deferred" },
	{ "account", "resume", resume, 1, 1, 0, "account resume ADDRESS", "ends a suspension" },
	{ "account", "quota", quota, 2, 2, OPT_MESSAGES | OPT_MAILBOXES,
	  "account quota ADDRESS SIZE [--messages N] [--mailboxes N]", "storage, such as 2g; 0: the server's" },
	{ "account", "set", set, 1, 1,
	  OPT_QUOTA | OPT_DELETE_AFTER | OPT_HIDE_AFTER | OPT_LANGUAGE | OPT_MOVED_TO | OPT_MOVED_OPEN,
	  "account set ADDRESS [--quota SIZE] [--pop3-delete-after DAYS] [--pop3-hide-after DAYS] [--language LANGUAGE] "
	  "[--moved-to URL [--moved-open]]",
	  "quota; days after which messages that POP3 fetched go, or POP3 shows none, 0: never; language of notices: en, "
	  "de, fr, default; the server that it moved to: imap://HOST/, empty: none" },
	{ "account", "refer", refer, 3, 3, 0, "account refer ADDRESS MAILBOX URL",
	  "a mailbox that is on another server: imap://HOST/MAILBOX, empty: no longer" },
	{ "account", "uidls", uidls, 2, 2, 0, "account uidls ADDRESS FILE",
	  "UIDLs of another server: lines of UID or Message-ID, and UIDL" },
	{ "account", "public", public, 2, 2, 0, "account public ADDRESS NAME", "its shared mailboxes show as Shared/NAME" },
	{ "account", "password", password, 1, 1, SECRETS, "account password ADDRESS [--password-stdin]",
	  "a new password; --hash-stdin imports a hash" },
};
const struct verbs account_verbs = { rows, COUNT_OF(rows) };
