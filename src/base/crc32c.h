/* SPDX-License-Identifier: Apache-2.0 */
/* crc32c.h - the Castagnoli checksum (RFC 3720 12.1) of stored bytes: finds damage, proves nothing about intent.
 * Uses the processor's instruction where it has one (x86 SSE4.2), a table elsewhere. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include "base/check.h"

/* Start with crc 0; feed the result back in to go on. */
uint32_t crc32c(uint32_t crc, const void *at, size_t len);

#endif
