#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 400
# Go's own allocations by size class, against what Go's runtime counts itself.

# shellcheck disable=SC2016 # jq's variables, not the shell's
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$(dirname "$0")/common.bash"
# shellcheck source=tests/real/go.bash
. "$(dirname "$0")/go.bash"

# has_ended PID
has_ended() {
	! kill -0 "$1" 2>/dev/null
}

# run_window PROGRAM: traces its window; its truth is in $WORK/truth.
run_window() {
	local pid

	start_stepped "$1" -rounds "${2:-50}"
	reached ready
	pid=$(pid_at ready)
	start_trace out.json -p "$pid" --buckets go
	step
	reached 'done'
	end_trace
	step
	wait_for 30 has_ended "$pid"
}

# expect_window: every figure that both sides have.
expect_window() {
	jq -c 'del(.by_size)' truth
	jq -c '.processes[0] | .allocator.calls, (.size_classes | del(.classes))' out.json
	expect_only_losses out.json
	expect_json truth '.gcs == 0' "the garbage collector was off"
	expect_json out.json '.processes[0].size_classes | .rules == "go" and
		.matches_allocator == "yes" and .allocators == ["go"]' "the rules are its allocator's"
	# Not those of 0 bytes, which the runtime does not count.
	expect_json out.json '.processes[0] | .allocator.calls["runtime.mallocgc"] as $calls |
		$calls - $t[0].zero == $t[0].mallocs and .size_classes.count == $calls' \
		"all allocations are counted once" --slurpfile t truth
	expect_json out.json '.processes[0].size_classes.classes[0] |
		.class_bytes == 0 and .count == $t[0].zero and .waste_bytes == 0' \
		"requests of nothing" --slurpfile t truth
	# The tiny allocator puts several into a block of 16 bytes: those two classes are told apart.
	expect_json out.json '(.processes[0].size_classes.classes |
		map(select(.class_bytes > 16 and .class_bytes <= 18432) | {size: .class_bytes, mallocs: .count})) ==
		($t[0].by_size | map(select(.size > 16 and .mallocs > 0)))' \
		"each size class" --slurpfile t truth
	# Nothing of this is C.
	expect_json out.json '.processes[0] | .buckets == [] and .allocator.requested_bytes == 0' \
		"C has no part in it"
	# 100-byte buffers in a class of 112: 12 bytes of waste for each. 97 and 112 are in it too, once
	# for 100 of them; a request of the runtime's own may be.
	expect_json out.json '($t[0].hundred / 100) as $rounds |
		(first($t[0].by_size[] | select(.size == 112)).mallocs - 102 * $rounds) as $others |
		.processes[0].size_classes.classes[] | select(.class_bytes == 112) |
		.waste_bytes - 1215 * $rounds | . >= 0 and . <= 15 * $others' \
		"the waste of the 100-byte buffers" --slurpfile t truth
	expect_json out.json '.processes[0].size_classes |
		.waste_bytes == ([.classes[].waste_bytes] | add) and .header_unknown == 0' "the sums"
}

installed_go() {
	need_bpf
	need_target go-class_window
	run_window "$TARGETS/go-class_window"
	expect_window
}

# With no symbols at all: by the function table of the runtime.
stripped() {
	need_bpf
	need_target go-class_window
	need_command strip
	strip -o stripped "$TARGETS/go-class_window"
	! readelf -SW stripped | grep -q ' SYMTAB ' || fail "strip left the symbols"
	run_window ./stripped
	expect_window
}

# Since 1.22 objects have headers, since 1.26 small sizes have functions of their own.
newest_go() {
	need_bpf
	fetch_go sid
	GOROOT=$goroot GO111MODULE=off GOTOOLCHAIN=local GOFLAGS='' CGO_ENABLED=0 \
		GOCACHE=$BUILD_DIR/gocache "$go" build -ldflags '-s -w' -o newest \
		"$TESTS/targets/go/class_window/main.go" >build.log 2>&1 ||
		skip "the Go of sid does not build it: $(tail -n 1 build.log)"
	run_window ./newest
	expect_window
}

test_case "Go's allocations by class" installed_go
test_case "a stripped program's" stripped
test_case "a stripped program's of the newest Go" newest_go
