#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# realmail.sh - all of the some 6,000 real messages through SMTP, LMTP, IMAP and POP3 (./test takes every 40th). Minutes with sanitizers.
set -e
cd "$(dirname "$0")/.."
REALMAIL_EVERY=1 exec /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/realmail "$@"
