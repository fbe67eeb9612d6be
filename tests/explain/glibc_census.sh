#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# needs: nothing
# vm: no
# What explain says of glibc's heaps, on the glibc of several Debian releases, against what glibc
# says of itself: mallinfo2, malloc_info, and what malloc_trim(0) then gives back.

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$(dirname "$0")/../trace.sh"
# shellcheck source=tests/real/libc.bash
. "$TESTS/real/libc.bash"

# start_mix COMMAND...: heap_mix, until it stands still.
start_mix() {
	rm -f target.in target.out
	mkfifo target.in
	exec 8<>target.in
	TRUTH=truth.json "$@" <target.in >target.out 2>target.err 8>&- &
	TARGET=$!
	wait_for 120 grep -q '^ready' target.out
}

explain() {
	"$MEMDRIFT" explain -p "$TARGET" --json >report.json 2>explain.err ||
		fail "explain: $(tail -n 3 explain.err)"
}

# What glibc counts as in use and we do not: chunks in thread caches (cached, fastbins apart), and
# the headers of arenas and heaps, 4 KB for each heap at most.
expect_census() {
	expect_json report.json '.glibc.arenas == $t[0].arenas and
		(.glibc.per_arena | length) == $t[0].arenas' "arenas" --slurpfile t truth.json
	expect_json report.json '.glibc.unwalked_bytes == 0 and .glibc.in_use_error_bytes == 0' \
		"it stood still and all of it was walked"
	expect_json report.json '[.glibc.per_arena[].system_bytes] | add == $t[0].arena' \
		"what the arenas have of the kernel" --slurpfile t truth.json
	expect_json report.json '(.glibc.free_bytes - .glibc.cached_bytes + $t[0].fsmblks
		- $t[0].fordblks) | fabs <= $t[0].fordblks / 1000' "free, against mallinfo2" \
		--slurpfile t truth.json
	expect_json report.json '(.glibc.in_use_bytes + .glibc.cached_bytes - $t[0].fsmblks
		- $t[0].uordblks) | fabs <= $t[0].uordblks / 1000' "in use, against mallinfo2" \
		--slurpfile t truth.json
	expect_json report.json '(.glibc.in_use_bytes - $t[0].live_bytes) | fabs
		<= $t[0].live_bytes / 1000' "in use, against the program" --slurpfile t truth.json
	expect_json report.json '.glibc.mmapped_chunks == $t[0].hblks and
		.glibc.mmapped_bytes == $t[0].hblkhd' "chunks of their own mapping" \
		--slurpfile t truth.json
}

expect_trim() {
	tell_target
	wait_for 60 grep -q '^trimmed' target.out
	expect_json report.json '(.glibc.trimmable_bytes - $t[0].trimmed_bytes) | fabs
		<= $t[0].trimmed_bytes / 200' "what malloc_trim(0) gave back" --slurpfile t truth.json
	expect_json truth.json '.trimmed_bytes > 0' "it gave something back"
}

# Small chunks in many arenas, with more threads than arenas; large ones in several heaps each.
mix_of() {
	local runner=("$@")

	start_mix "${runner[@]}" --threads 24 --mb 3 --max-bytes 9000 --mmapped 9
	explain
	expect_census
	expect_trim
	tell_target
	wait "$TARGET" || true
	start_mix "${runner[@]}" --threads 2 --mb 90 --max-bytes 60000 --keep 20 --seed 7
	explain
	expect_census
	expect_trim
}

of_suite() {
	fetch_libc "$1"
	link_for_libc heap_mix.c mix
	mix_of "$loader" --library-path "$libc" ./mix
}

of_system() {
	need_target heap_mix
	mix_of "$TARGETS/heap_mix"
}

# Small chunks of which most are in fastbins: malloc_trim empties these first, so that they join what
# is free beside them.
mostly_in_fastbins() {
	need_target heap_mix
	start_mix "$TARGETS/heap_mix" --threads 3 --mb 12 --max-bytes 120 --keep 1
	explain
	expect_json report.json '.glibc.unwalked_bytes == 0 and .glibc.in_use_error_bytes == 0' \
		"it stood still and all of it was walked"
	expect_trim
}

# Without a libc.so.6 that could be known by its name.
static() {
	need_target heap_mix_static
	mix_of "$TARGETS/heap_mix_static"
}

# Memory that the program took from sbrk between two of malloc's is not taken for chunks.
foreign_sbrk() {
	need_target heap_mix
	start_mix "$TARGETS/heap_mix" --threads 1 --foreign
	explain
	expect_json report.json '.glibc.unwalked_bytes == 100000' "100,000 bytes are not malloc's"
	expect_json report.json '(.glibc.in_use_bytes - $t[0].live_bytes) | fabs
		<= $t[0].live_bytes / 1000' "in use" --slurpfile t truth.json
}

test_case "the system's glibc: in use, free, trimmable, mmapped" of_system
test_case "glibc of bullseye" of_suite bullseye
test_case "glibc of trixie" of_suite trixie
test_case "glibc of sid" of_suite sid
test_case "a static program" static
test_case "what is in fastbins is trimmed with what lies beside it" mostly_in_fastbins
test_case "sbrk that is not malloc's" foreign_sbrk
