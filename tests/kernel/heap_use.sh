#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# vm: no
# What trace says of malloc's heaps at its start and end, against what glibc says of itself.
# shellcheck disable=SC2016,SC2119 # $ in single quotes is for jq; arguments are optional
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$(dirname "$0")/../trace.sh"

# A program that gives its free memory back in the middle of the trace.
before_and_after_trim() {
	need_bpf
	need_target heap_mix
	mkfifo target.in
	exec 8<>target.in
	TRUTH=truth.json "$TARGETS/heap_mix" --threads 8 --mb 4 <target.in >target.out 8>&- &
	TARGET=$!
	wait_for 60 grep -q '^ready' target.out
	start_trace -p "$TARGET"
	tell_target
	wait_for 60 grep -q '^trimmed' target.out
	end_trace
	expect_json report.json '.processes[0].malloc_heap.start | .complete and
		(.in_use_bytes - $t[0].live_bytes | fabs) <= $t[0].live_bytes / 1000 and
		(.trimmable_bytes - $t[0].trimmed_bytes | fabs) <= $t[0].trimmed_bytes / 200' \
		"at the start" --slurpfile t truth.json
	expect_json report.json '.processes[0].malloc_heap | .end.complete and .end.t_s > .start.t_s and
		(.end.in_use_bytes - $t[0].live_bytes | fabs) <= $t[0].live_bytes / 1000 and
		.end.trimmable_bytes <= $t[0].trimmed_bytes / 200' \
		"at the end" --slurpfile t truth.json
}

# Memory that is no malloc's, and what has ended, is not told.
unknown_is_null() {
	need_bpf
	"$MEMDRIFT" trace --json -o out.json -- true
	expect_json out.json '.processes[0].malloc_heap == {start: null, end: null}' "null"
}

test_case "trace: in use and returnable, before and after a trim" before_and_after_trim
test_case "trace: what malloc holds is unknown of a program that has ended" unknown_is_null
