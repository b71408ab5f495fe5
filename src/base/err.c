/* SPDX-License-Identifier: Apache-2.0 */
/* err.c - texts of enum err. */
#include "base/err.h"

#include "base/check.h"

#include <ctype.h>
#include <errno.h>

static const struct {
	const char *name, *text;
} table[ERR_COUNT] = {
#define X(name, text) { #name, text },
	ERR_TABLE(X)
#undef X
};

const char *
err_text(enum err e)
{
	return (unsigned)e < ERR_COUNT ? table[e].text : "unknown error";
}

const char *
err_word(enum err e)
{
	static char words[ERR_COUNT][24];
	if ((unsigned)e >= ERR_COUNT)
		return "unknown";
	if (!words[e][0]) {
		const char *from = table[e].name;
		if (strncmp(from, "ERR_", 4) == 0)
			from += 4;
		size_t n = MIN(strlen(from), sizeof words[e] - 1);
		for (size_t i = n; i-- > 0;)
			words[e][i] = (char)tolower((unsigned char)from[i]);
	}
	return words[e];
}

enum err
err_from_errno(int number)
{
	switch (number) {
	case 0: return OK;
	case ENOSPC:
	case EDQUOT: return ERR_DISK_FULL;
	case EAGAIN: return ERR_AGAIN;
	case ETIMEDOUT: return ERR_TIMEOUT;
	case EPIPE:
	case ECONNRESET: return ERR_CLOSED;
	case ENOENT: return ERR_NOT_FOUND;
	case EEXIST: return ERR_EXISTS;
	case EACCES:
	case EPERM: return ERR_DENIED;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM: return ERR_LIMIT;
	default: return ERR_IO;
	}
}
