#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# Arenas of other glibc versions of Debian's, unpacked beside the system's and started by their own
# loader. sid's libc carries the memory_* notes (USDT), the others have no symbol of arena_get2.

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$(dirname "$0")/../trace.sh"
# shellcheck source=tests/real/libc.bash
. "$(dirname "$0")/libc.bash"

# arenas_of SUITE SOURCE [MORE_SOURCES]: what is created equals what the program's malloc_info says.
arenas_of() {
	need_bpf
	fetch_libc "$1"
	need_target arena_threads
	mkfifo target.in
	exec 8<>target.in
	TRUTH=truth.json "$loader" --library-path "$libc" "$TARGETS/arena_threads" --wait \
		<target.in >target.out 2>target.err 8>&- &
	TARGET=$!
	wait_for 60 grep -q '^ready' target.out
	start_trace -p "$TARGET" --budget none
	tell_target
	wait_for 60 grep -Eq '^(peak|done)' target.out
	end_trace
	expect_no_losses
	expect_json report.json '.processes[0].arenas.source == $s' "the source is $2" --arg s "$2"
	expect_json report.json '.processes[0].arenas.created == $t[0].peak.arenas - 1' \
		"arenas created, the main one apart" --slurpfile t truth.json
	expect_json report.json '.processes[0].arenas.sources_agree' "the sources agree"
	tell_target
}

test_case "glibc of sid: arenas by USDT" arenas_of sid usdt
test_case "glibc of trixie: arenas" arenas_of trixie mapping
