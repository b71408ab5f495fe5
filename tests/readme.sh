#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# readme.sh - does the README tell the truth? Copies the committed tree to an empty folder and does there what the README
# says: ./run, then its lines that send and read, then Ctrl-C, then ./run again. Ends with "N passed, N failed".
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
passed=0
failed=0
run=""
ok() { passed=$((passed + 1)); echo "ok: $1"; }
no() { failed=$((failed + 1)); echo "FAILED: $1"; }
check() { local what=$1; shift; if "$@"; then ok "$what"; else no "$what"; fi; }
finish() {
	[ -z "$run" ] || { kill -INT "$run" 2>/dev/null; wait "$run" 2>/dev/null; }
	rm -rf "$work"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ]
	exit
}
trap finish EXIT

git -C "$here" ls-files -z | (cd "$here" && xargs -0 tar -cf -) | tar -xf - -C "$work"
cd "$work" || exit 1

# The lines that send and read, as the README prints them.
send=$(grep -m1 "| curl -sS smtp://" README.md | sed 's/^ *//')
read=$(grep -m1 "^ *curl -sS --netrc-file" README.md | sed 's/^ *//')
check "the README has a line that sends" test -n "$send"
check "the README has a line that reads" test -n "$read"

# A shell starts background jobs with SIGINT ignored; Python gives it back, so that Ctrl-C can be played.
start() {
	python3 -c 'import os, signal; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv("./run", ["./run"])' >run.log 2>&1 &
	run=$!
	for _ in $(seq 400); do
		grep -q 'Ctrl-C stops it' run.log && return 0
		kill -0 "$run" 2>/dev/null || return 1
		sleep 1
	done
	return 1
}
stop() { kill -INT "$run"; wait "$run"; local status=$?; run=""; return $status; }

check "./run starts from an empty folder" start || { cat run.log; exit; }
check "./run prints the same line that sends" grep -qF -- "$send" run.log
check "./run prints the same line that reads" grep -qF -- "$read" run.log
check "demo/credentials is for its owner only" test "$(stat -c %a demo/credentials)" = 600
bash -c "$read" >welcome.txt 2>&1
check "the welcome message is there" grep -q '^Subject: Welcome' welcome.txt
check "the line that sends works" bash -c "$send"
bash -c "$read" >mail.txt 2>&1
check "the line that reads shows it" grep -q 'It works\.' mail.txt
check "Ctrl-C stops it cleanly" stop
begun=$SECONDS
check "a second ./run starts" start
check "in seconds" test $((SECONDS - begun)) -lt 15
bash -c "$read" >mail2.txt 2>&1
check "and kept the mail" grep -q 'It works\.' mail2.txt
check "Ctrl-C stops it cleanly again" stop
