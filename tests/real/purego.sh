#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# A Go program without cgo that calls libc and opens a library by dlopen.

# shellcheck disable=SC2016 # jq's variables, not the shell's
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$(dirname "$0")/common.bash"

program=go-purego_dlopen

# Beyond the program's own: a call each of malloc, calloc and free for every thread that
# the runtime starts, and what dlopen does.
expect_calls() {
	expect_sound out.json
	expect_json out.json '$truth[0].processes[0] as $t | first(.processes[] |
		select(.pid == $t.pid)) | .allocator |
		([.calls.malloc - $t.calls.malloc, .calls.calloc - $t.calls.calloc,
			.calls.free - $t.calls.free] | all(. >= 0 and . <= 100)) and
		(.calls.realloc - $t.calls.realloc | . >= 0 and . <= 5) and
		(.requested_bytes - $t.requested_bytes | . >= 0 and . <= 100000)' \
		"calls and bytes" --slurpfile truth truth
}

as_command() {
	need_bpf
	need_target "$program"
	TRUTH=truth "$MEMDRIFT" trace --json --budget none -o out.json -- "$TARGETS/$program"
	expect_calls
}

attached() {
	need_bpf
	need_target "$program"
	start_stepped "$TARGETS/$program" -wait
	reached ready
	start_trace out.json -p "$(pid_at ready)"
	step
	reached 'done'
	end_trace
	expect_calls
}

test_case "libc called by Go without cgo, as a command" as_command
test_case "libc called by Go without cgo, attached" attached
