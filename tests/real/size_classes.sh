#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# Size classes of allocators beside glibc's: jemalloc's by what it says of itself, and a Go program
# that calls C, whose two allocators are told apart.

# shellcheck disable=SC2016 # jq's variables, not the shell's
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$(dirname "$0")/common.bash"

lib=/usr/lib/x86_64-linux-gnu

# malloc_usable_size of jemalloc is the class.
jemalloc() {
	local pid

	need_bpf
	need_target class_mix
	[ -e "$lib/libjemalloc.so.2" ] || skip "there is no libjemalloc.so.2"
	start_stepped env LD_PRELOAD="$lib/libjemalloc.so.2" "$TARGETS/class_mix" --threads 3 \
		--rounds 30000 --wait
	reached ready
	pid=$(pid_at ready)
	start_trace out.json -p "$pid" --buckets jemalloc
	step
	reached 'done'
	end_trace
	step
	expect_only_losses out.json
	jq -c '.processes[0].size_classes' out.json >got.json
	jq -c 'del(.classes)' got.json
	# A size that only realloc asked for has no class said.
	expect_json truth '.processes[0].sizes | all(.usable > 0)' "each size has its class"
	jq -c '.processes[0].sizes | map(. + {class: .usable})' truth >want.json
	jq -e -n --slurpfile got got.json --slurpfile want want.json -f "$TESTS/kernel/size_classes.jq" ||
		fail "the classes differ from jemalloc's own"
	# libc's functions are always there.
	expect_json got.json '.matches_allocator == "mixed" and
		.allocators == ["glibc", "jemalloc"]' "the report says what is mapped"
	expect_json got.json '[.classes[] | select(.class_bytes == 112)] | length == 1' \
		"100 bytes are in a class of 112"
}

go_and_c() {
	need_bpf
	need_target go-calloc_arenas
	TRUTH=truth "$MEMDRIFT" trace --json --budget none --buckets go -o out.json -- \
		"$TARGETS/go-calloc_arenas" -mb 4
	expect_only_losses out.json
	expect_json out.json 'first(.processes[] | select(.pid == $t[0].pid)) |
		.allocator.calls as $calls | .size_classes.count == $calls["runtime.mallocgc"] and
		.size_classes.count > 0 and .size_classes.matches_allocator == "yes"' \
		"Go's requests, and no others, are in the classes" --slurpfile t truth
	expect_json out.json 'first(.processes[] | select(.pid == $t[0].pid)) |
		([.allocator.calls | to_entries[] | select(.key | test("free|^runtime") | not) |
			.value // 0] | add) == ([.buckets[].count] | add) + .allocator.impossible_requests and
		.allocator.requested_bytes == ([.buckets[].bytes] | add)' \
		"C's requests, and no others, are in the buckets" --slurpfile t truth
}

test_case "jemalloc, preloaded" jemalloc
test_case "a Go program that calls C" go_and_c
