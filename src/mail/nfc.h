/* SPDX-License-Identifier: Apache-2.0 */
/* nfc.h - Unicode's Normalization Form C, by ICU. Pure but for the arena. */
#ifndef MAIL_NFC_H
#define MAIL_NFC_H

#include "base/arena.h"

#define NFC_BYTES_MAX 1000

/* The NFC form of well-formed UTF-8; utf8 itself where it is that already, or is longer than NFC_BYTES_MAX. */
struct slice nfc_keep(struct arena *a, struct slice utf8);

#endif
