#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# What is outstanding, at length: 20 million operations against the program's ledger, and a leak of one
# call in 10,000 found within a minute.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../trace.sh"

millions() {
	need_bpf
	start_target live_mix --wait --rounds 5000000 --threads 4 --slots 4096
	start_trace -p "$TARGET" --live --no-stacks --budget none
	tell_target
	wait_done
	end_trace
	expect_only_losses report.json
	expect_json report.json '[.processes[0].buckets[] | select(.live_count > 0) |
		{min_bytes, live_count, live_bytes}] == $t[0].processes[0].buckets' \
		"live count and bytes of each size bucket" --slurpfile t truth.json
	expect_json report.json '.processes[0].live | .count == $t[0].processes[0].count and
		.bytes == $t[0].processes[0].bytes and .failed_calls == $t[0].processes[0].failed' \
		"live count and bytes" --slurpfile t truth.json
	tell_target
}

# The issue's minute: a trace of 60 s, whatever the program manages meanwhile.
leak_in_a_minute() {
	need_bpf
	start_target leaky
	start_trace -p "$TARGET" --live --budget none -d 60s
	tell_target
	join_trace
	tell_target
	wait_done
	expect_json report.json '.processes[0].live.groups[0] | .stack[0] == "leak_one" and .growth.certain' \
		"the leak comes first"
	tell_target
}

test_case "20 million operations" millions
test_case "a leak of one call in 10,000 within 60 s" leak_in_a_minute
