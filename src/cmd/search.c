/* SPDX-License-Identifier: Apache-2.0 */
/* search.c - posthouse search status|rebuild: texts that the server keeps for SEARCH. A rebuild goes on in the server;
 * the command shows how far it is, and may be ended meanwhile. */
#include "cmd/cmd.h"

#include <time.h>
#include <unistd.h>

#define LOOK_MS 250
#define STUCK_LOOKS 1200 /* without any progress: it goes on without us */

static bool
ask(struct args *a, json_t **o)
{
	return cmd_ask(a, "GET", cmd_path(a, "/api/v1/accounts/", a->words[0], "/search"), NULL, o);
}

static void
print_status(const json_t *o)
{
	printf("texts for search  %s\nmessages          %llu\nwith text         %llu\nin packs          %llu\n",
	       json_is_true(json_object_get(o, "on")) ? "kept" : "off (option search.index)",
	       (unsigned long long)cmd_number(o, "messages"), (unsigned long long)cmd_number(o, "texts"),
	       (unsigned long long)cmd_number(o, "packed"));
}

static int
print_end(struct args *a, json_t *o)
{
	if (a->json)
		cmd_print_json(o);
	else
		print_status(o);
	json_decref(o);
	return EXIT_DONE;
}

static int
status(struct args *a)
{
	json_t *o;
	return ask(a, &o) ? print_end(a, o) : EXIT_FAILED;
}

static void
show_progress(const json_t *o)
{
	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%llu of %llu ", (unsigned long long)cmd_number(o, "texts"),
	        (unsigned long long)cmd_number(o, "messages"));
	fflush(stderr);
}

static int
rebuild(struct args *a)
{
	json_t *o;
	uint64_t last = 0;
	if (!cmd_ask(a, "POST", cmd_path(a, "/api/v1/accounts/", a->words[0], "/search"), NULL, NULL))
		return EXIT_FAILED;
	for (unsigned same = 0;; same++) {
		if (!ask(a, &o))
			return EXIT_FAILED;
		uint64_t texts = cmd_number(o, "texts");
		show_progress(o);
		if (texts >= cmd_number(o, "messages"))
			break;
		same = texts == last ? same : 0;
		last = texts;
		json_decref(o);
		if (same == STUCK_LOOKS)
			return cmd_fail(a, "posthouse search status shows how far it is", "it takes long, and goes on");
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_MS * 1000000L }, NULL);
	}
	if (isatty(STDERR_FILENO))
		fputc('\n', stderr);
	return print_end(a, o);
}

static const struct verb rows[] = {
	{ "search", "status", status, 1, 1, 0, "search status ADDRESS", "how far its texts for SEARCH are made" },
	{ "search", "rebuild", rebuild, 1, 1, 0, "search rebuild ADDRESS", "make them again, while searches go on" },
};
const struct verbs search_verbs = { rows, COUNT_OF(rows) };
