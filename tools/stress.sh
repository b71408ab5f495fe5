#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# stress.sh [SECONDS] - many clients on one mailbox, each held against a model of what it may believe, as it is and while the store is killed now and
# then; ten minutes each when nothing is said (./test takes 8 seconds). STRESS_SEED=N: the same run again, STRESS_CLIENTS=N.
set -e
cd "$(dirname "$0")/.."
export STRESS_SECONDS="${1:-600}"
exec /usr/bin/python3 -m pytest -q -s -p no:cacheprovider tests/imap/test_stress.py
