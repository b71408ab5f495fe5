#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# compare.sh - the same mailbox in Posthouse and in Debian's Dovecot: all of the some 6,000 real messages and 3,000 malformed ones, with the count of
# each class of differences and its reason (./test takes a sample). COMPARE_SEED=N: other malformed messages, other searches. A few minutes.
set -e
cd "$(dirname "$0")/.."
. tools/packages.sh
need_packages dovecot-imapd python3-pytest
export COMPARE_EVERY="${COMPARE_EVERY:-1}" COMPARE_MALFORMED="${COMPARE_MALFORMED:-3000}" COMPARE_SEARCHES="${COMPARE_SEARCHES:-1500}"
exec /usr/bin/python3 -m pytest -q -s -p no:cacheprovider tests/compare "$@"
