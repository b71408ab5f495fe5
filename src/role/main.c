/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - `posthouse serve` is the supervisor, `posthouse role` one role of it; all else is the command. */
#include "cmd/command.h"
#include "role/running.h"
#include "role/supervisor.h"

static bool
asks_to_serve(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "serve") == 0)
			return true;
		if (strcmp(argv[i], "-c") == 0)
			i++;
		else if (argv[i][0] != '-')
			return false;
	}
	return false;
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "role") == 0)
		return role_main(argc, argv);
	if (asks_to_serve(argc, argv))
		return serve_main(argc, argv);
	return command_main(argc, argv);
}
