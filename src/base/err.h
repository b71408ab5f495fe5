/* SPDX-License-Identifier: Apache-2.0 */
/* err.h - what the world can do to us. Functions that can fail return one of these; 0 is success.
 * The values travel between roles (ipc), so they keep their numbers: add at the end. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define ERR_TABLE(X)                                                                                                   \
	X(OK, "success")                                                                                                   \
	X(ERR_AGAIN, "try again later")                                                                                    \
	X(ERR_TIMEOUT, "deadline passed")                                                                                  \
	X(ERR_CLOSED, "the other side closed the connection")                                                              \
	X(ERR_IO, "input or output error")                                                                                 \
	X(ERR_DISK_FULL, "no space left on the disk")                                                                      \
	X(ERR_LIMIT, "a limit was passed")                                                                                 \
	X(ERR_SYNTAX, "malformed input")                                                                                   \
	X(ERR_NOT_FOUND, "not found")                                                                                      \
	X(ERR_EXISTS, "exists already")                                                                                    \
	X(ERR_DENIED, "not allowed")                                                                                       \
	X(ERR_QUOTA, "over quota")                                                                                         \
	X(ERR_SUSPENDED, "the account is suspended")                                                                       \
	X(ERR_DAMAGED, "stored data is damaged")                                                                           \
	X(ERR_UNSUPPORTED, "not supported")                                                                                \
	X(ERR_CONFLICT, "changed by somebody else meanwhile")                                                              \
	X(ERR_STALE, "a handle or grant that is no longer valid")                                                          \
	X(ERR_BUSY, "in use by another session")                                                                           \
	X(ERR_TLS, "TLS failed")                                                                                           \
	X(ERR_LINE_TOO_LONG, "line too long")                                                                              \
	X(ERR_BARE_EOL, "bare CR or LF")                                                                                   \
	X(ERR_NUL, "NUL in a line")

enum err {
#define X(name, text) name,
	ERR_TABLE(X)
#undef X
	    ERR_COUNT
};

/* A short English text: "no space left on the disk". */
const char *err_text(enum err e);
/* The constant's name in lower case for logs: "disk_full". */
const char *err_word(enum err e);
/* The err for an errno value of a system call (ENOSPC and EDQUOT: ERR_DISK_FULL, ...). */
enum err err_from_errno(int number);

#endif
