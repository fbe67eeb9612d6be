#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 3600
# The glibc census at length: 1,000 readings of processes that do nothing but malloc and free,
# against their own count, and thousands of heaps that are broken by a seed.

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$(dirname "$0")/../trace.sh"
# shellcheck source=tests/real/libc.bash
. "$(dirname "$0")/../real/libc.bash"

READINGS=${MEMDRIFT_READINGS:-1000}
# What a reading may take, in seconds: the census's own bound, and what is read beside it.
READING_SECONDS=10

unit_at_length() {
	local test=$BUILD_DIR/unit/test_glibc_census

	[ -x "$test" ] || skip "the unit tests were not built"
	MEMDRIFT_READINGS=$READINGS "$test"
}

broken_heaps() {
	local test=$BUILD_DIR/asan/unit/test_glibc_fuzz

	[ -x "$test" ] || test=$BUILD_DIR/unit/test_glibc_fuzz
	[ -x "$test" ] || skip "the unit tests were not built"
	MEMDRIFT_SEEDS=20000 "$test"
}

# in_use: the sum of the counters that the target's threads keep.
in_use() {
	od -An -v -t u8 -w8 counters | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

# watch_in_use: counts until it is killed.
watch_in_use() {
	while in_use >>samples; do :; done
}

# What was in use wanders while memdrift starts and reads: a reading is off by what is missing to
# the nearest count of that time, 4 KB a thread for malloc's own apart.
churn() {
	local threads=$1 i took watcher

	shift
	rm -f target.in target.out counters
	mkfifo target.in
	exec 8<>target.in
	"$@" --churn --threads "$threads" --counters counters <target.in >target.out 8>&- &
	TARGET=$!
	wait_for 120 grep -q '^ready' target.out
	: >readings
	for ((i = 0; i < READINGS; i++)); do
		in_use >samples
		watch_in_use &
		watcher=$!
		took=$EPOCHREALTIME
		"$MEMDRIFT" explain -p "$TARGET" --json >report.json
		took=$(awk -v a="$took" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')
		in_use >>samples
		kill "$watcher"
		wait "$watcher" || true
		jq -r --slurpfile in_use samples --argjson took "$took" \
			--argjson own "$((threads * 4096))" '.glibc |
			($in_use | min) as $low | ($in_use | max) as $high |
			([$low - .in_use_bytes, .in_use_bytes - $high, 0] | max) as $off |
			[$off / $low, (if $off <= .in_use_error_bytes + $own then 1 else 0 end), $took]
			| @tsv' report.json >>readings
	done
	sort -g readings | awk -v n="$READINGS" -v bound="$READING_SECONDS" '
		{ off[NR] = $1; covered += $2; if ($3 > longest) longest = $3 }
		END {
			printf "%d readings: median error %.3f %%, %.1f %% covered, longest %.2f s\n",
				NR, 100 * off[int((NR + 1) / 2)], 100 * covered / NR, longest
			exit !(NR == n && off[int((NR + 1) / 2)] <= 0.01 && covered >= 0.95 * NR &&
				longest <= bound)
		}' || fail "the readings are not as good as they say"
}

churn_of_system() {
	need_target heap_mix
	churn "$1" "$TARGETS/heap_mix" --mb "$2" --max-bytes "$3"
}

churn_of_suite() {
	fetch_libc "$1"
	link_for_libc heap_mix.c mix
	churn 6 "$loader" --library-path "$libc" ./mix --mb 8
}

test_case "readings of a running process" unit_at_length
test_case "broken heaps" broken_heaps
test_case "4 threads, small blocks" churn_of_system 4 10 2000
test_case "16 threads, blocks of up to 20 KB" churn_of_system 16 20 20000
test_case "glibc of bullseye" churn_of_suite bullseye
test_case "glibc of sid" churn_of_suite sid
