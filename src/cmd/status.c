/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - posthouse status, posthouse version. */
#include "cmd/cmd.h"

static unsigned long long
counter(const json_t *o, const char *name)
{
	return cmd_number(json_object_get(o, "counters"), name);
}

static void
print_status(struct args *a, const json_t *o)
{
	printf("server       %s, posthouse %s\n", cmd_text(o, "hostname"), cmd_text(o, "version"));
	printf("domains      %llu\naccounts     %llu\nmessages     %llu, %s\n",
	       (unsigned long long)cmd_number(o, "domains"), (unsigned long long)cmd_number(o, "accounts"),
	       (unsigned long long)cmd_number(o, "messages"), cmd_size(a->arena, cmd_number(o, "body_bytes")));
	printf("queue        %llu\nconnections  %llu\n", (unsigned long long)cmd_number(o, "queued"),
	       (unsigned long long)cmd_number(o, "connections"));
	printf("disk         %s in segments, %s free\nengine       %s\n",
	       cmd_size(a->arena, cmd_number(o, "segment_bytes")), cmd_size(a->arena, cmd_number(o, "free_bytes")),
	       cmd_text(o, "engine"));
	printf("since start  %llu connections, %llu messages taken, %llu refused, %llu deferred, %llu sent on\n",
	       counter(o, "connections_accepted_total"), counter(o, "smtp_messages_accepted_total"),
	       counter(o, "smtp_messages_refused_total"), counter(o, "smtp_messages_deferred_total"),
	       counter(o, "relay_recipients_delivered_total"));
	printf("             %llu logins, %llu failed; %llu roles started again\n", counter(o, "logins_total"),
	       counter(o, "logins_failed_total"), counter(o, "role_restarts_total"));
}

static int
status(struct args *a)
{
	json_t *o;
	if (!cmd_ask(a, "GET", "/api/v1/status", NULL, &o))
		return EXIT_FAILED;
	if (a->json)
		cmd_print_json(o);
	else
		print_status(a, o);
	json_decref(o);
	return EXIT_DONE;
}

static int
version(struct args *a)
{
	if (a->json)
		puts("{\n  \"version\": \"" POSTHOUSE_VERSION "\"\n}");
	else
		puts("posthouse " POSTHOUSE_VERSION);
	return EXIT_DONE;
}

static const struct verb rows[] = {
	{ "status", NULL, status, 0, 0, 0, "status", "how the server is" },
	{ "version", NULL, version, 0, 0, 0, "version", "of this program" },
};
const struct verbs status_verbs = { rows, COUNT_OF(rows) };
