/* SPDX-License-Identifier: Apache-2.0 */
/* engine_manifest.h - the end of RocksDB's MANIFEST after a crash. RocksDB appends a record to it and syncs it before
 * it builds on it. A machine that stops in between may leave a part of that record, of which RocksDB itself only
 * forgives one that is too short: with a wrong sum it does not open at all. */
#ifndef STORE_ENGINE_MANIFEST_H
#define STORE_ENGINE_MANIFEST_H

#include "base/slice.h"

/* Cuts off a record that is broken, when no whole one stands behind it: nothing was ever built on it. Damage
 * further in front stays, since what follows it was synced. True: something was cut, opening is worth another try. */
bool manifest_mend(const char *folder);

#endif
