#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# fuzz.sh - every fuzzer (or those named) under clang's libFuzzer with both sanitizers for SECONDS each, JOBS at once. New findings stay in
# build-fuzz/found/. Leaks are looked for by ./test fuzz, at the end of each fuzzer. Ends with "N passed, N failed".
#   SECONDS_EACH=600 JOBS=2 tools/fuzz.sh [mail-header_fuzz ...]
set -u
cd "$(dirname "$0")/.."
. tools/packages.sh
need_packages $BUILD_PACKAGES clang libclang-rt-14-dev libcmocka-dev || exit 1
CC="$(command -v ccache >/dev/null && echo 'ccache clang' || echo clang)" build_in build-fuzz -Dtests=true -Dlibfuzzer=true -Db_sanitize=address,undefined -Db_lundef=false --buildtype=debugoptimized || exit 1
mkdir -p build-fuzz/found build-fuzz/grown build-fuzz/logs
names=${*:-$(cd build-fuzz && ls -- *_fuzz)}
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

one() {
	local name=$1 corpus=${1%_fuzz}
	corpus=tests/corpus/${corpus##*-} # of x_fuzz.c: tests/corpus/x
	mkdir -p "build-fuzz/grown/$name"
	[ -d "$corpus" ] || corpus=""
	if "build-fuzz/$name" -max_total_time="${SECONDS_EACH:-60}" -rss_limit_mb=4096 -timeout=60 -detect_leaks=0 -max_len=65536 -artifact_prefix="build-fuzz/found/$name-" "build-fuzz/grown/$name" $corpus >"build-fuzz/logs/$name.log" 2>&1; then
		echo "ok: $name $(grep -oE 'Done [0-9]+ runs in [0-9]+ second' "build-fuzz/logs/$name.log" | tail -n 1)"
	else
		echo "FAILED: $name; see build-fuzz/logs/$name.log and build-fuzz/found/"
	fi
}
export -f one
printf '%s\n' $names | xargs -P "${JOBS:-2}" -I NAME bash -c 'one NAME' | tee build-fuzz/summary
ok=$(grep -c '^ok' build-fuzz/summary)
bad=$(grep -c '^FAILED' build-fuzz/summary)
echo "$ok passed, $bad failed"
[ "$bad" = 0 ]
