#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# Allocator calls, counted exactly: against what the program itself counted.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../trace.sh"

ROUNDS=$([ "$MEMDRIFT_VM" = 1 ] && echo 400 || echo 5000)

# expect_counts TRUTH_PROCESS: a jq filter that picks the process in truth.json.
expect_counts() {
	jq "$1" truth.json >want.json
	jq -c --slurpfile t want.json '.losses as $l | .processes[] | select(.pid == $t[0].pid) |
		{calls: (.allocator.calls | with_entries(select(.value != 0))), tail: .allocator.tail_calls,
		 losses: ($l | with_entries(select(.value != 0)))}' report.json
	jq -c '.calls | with_entries(select(.value != 0))' want.json
	expect_json report.json '.processes[] | select(.pid == $t[0].pid) |
		.allocator.calls | with_entries(select(.value != 0)) == ($t[0].calls | with_entries(select(.value != 0)))' \
		"calls of each probed address" --slurpfile t want.json
	expect_json report.json '.processes[] | select(.pid == $t[0].pid) |
		.allocator.requested_bytes == $t[0].requested_bytes' \
		"requested bytes" --slurpfile t want.json
	expect_json report.json '.processes[] | select(.pid == $t[0].pid) |
		[.buckets[] | select(.count > 0) | {min_bytes, max_bytes, count, bytes}] ==
		[$t[0].buckets[] | select(.count > 0)]' \
		"calls and bytes of each size bucket" --slurpfile t want.json
}

# A running process, one thread or several: nothing but its own calls between attach and detach.
counts_running() {
	need_bpf
	start_target "$1" --wait --threads "$2" --rounds "$ROUNDS"
	start_trace -p "$TARGET" --budget none
	tell_target
	wait_done
	end_trace
	expect_no_call_losses
	expect_counts '.processes[0]'
	tell_target
}

# With -- COMMAND every call of every process counts, start-up included. What start-up asks for
# does not depend on --rounds: two runs differ by what the program says it did.
run_command() {
	TRUTH=truth-$1.json "$MEMDRIFT" trace --json -o report-"$1".json -- \
		"$TARGETS/alloc_mix" --rounds "$2" --threads 2 --forks 2 --seed 7 "${@:3}" >out 2>err ||
		fail "memdrift failed: $(cat err)"
	# A program that has ended before its exec is dealt with was not looked at, either: whether
	# calls are missing for that is what is compared.
	expect_no_call_losses report-"$1".json "$COMMAND_LOSSES" programs_unscanned
}

counts_command() {
	need_bpf
	need_target alloc_mix
	run_command none 0 "$@"
	run_command some "$ROUNDS" "$@"
	jq -n --slurpfile a report-none.json --slurpfile b report-some.json --slurpfile t truth-some.json \
		--slurpfile t0 truth-none.json '
		def total(r): [r.processes[].allocator.calls | to_entries[]] | group_by(.key) |
			map({(.[0].key): map(.value // 0) | add}) | add;
		def said(t): [t.processes[].calls | to_entries[]] | group_by(.key) |
			map({(.[0].key): map(.value) | add}) | add;
		{ got: (total($b[0]) as $b1 | total($a[0]) as $a1 | $b1 | with_entries(.value -= ($a1[.key] // 0))),
		  want: (said($t[0]) as $b2 | said($t0[0]) as $a2 | $b2 | with_entries(.value -= ($a2[.key] // 0))),
		  bytes: (([$b[0].processes[].allocator.requested_bytes] | add) -
			([$a[0].processes[].allocator.requested_bytes] | add)),
		  want_bytes: (([$t[0].processes[].requested_bytes] | add) -
			([$t0[0].processes[].requested_bytes] | add)),
		  processes: ($b[0].processes | length), want_processes: ($t[0].processes | length) }' >sums.json
	expect_json sums.json '(.got | with_entries(select(.value != 0))) == (.want | with_entries(select(.value != 0)))' \
		"calls of all processes"
	expect_json sums.json '.bytes == .want_bytes' "requested bytes of all processes"
	expect_json sums.json '.processes == .want_processes' "every process is there"
}

# A library that is loaded while the trace runs, and calls malloc.
counts_dlopen() {
	need_bpf
	need_target liballoc_plugin.so
	start_target alloc_mix --wait --threads 1 --rounds 200 --dlopen "$TARGETS/liballoc_plugin.so"
	start_trace -p "$TARGET" --budget none
	tell_target
	wait_done
	end_trace
	expect_no_call_losses
	# The loader's own calls come on top of the program's.
	expect_json report.json '.processes[0].allocator.calls.malloc >= $t[0].processes[0].calls.malloc' \
		"calls from the loaded library" --slurpfile t truth.json
	tell_target
}

# The children of a running target: from their fork on, or with the start of coverage said.
children_say_coverage() {
	need_bpf
	start_target alloc_mix --wait --threads 1 --rounds 100 --forks 1
	start_trace -p "$TARGET" --budget none
	tell_target
	wait_done
	end_trace
	expect_json report.json '.processes | length >= 2' "the child is in the report"
	# One that ended before it could be probed has no figures at all.
	expect_json report.json '[.processes[] | select(.pid != $p) | .allocator |
		.covered_from_s > 0 or (.calls | [.[]] | all(. == null))] | all' \
		"the child says from when it was covered" --argjson p "$TARGET"
	tell_target
}

host_case "counts a running thread's calls" counts_running alloc_mix 1
test_case "counts the calls of eight running threads" counts_running alloc_mix 8
host_case "counts a static program's calls" counts_running alloc_mix_static 2
host_case "counts a musl program's calls" counts_running alloc_mix_musl 2
host_case "counts a static musl program's calls" counts_running alloc_mix_musl_static 2
host_case "counts the calls of a program with jemalloc linked in" counts_running alloc_mix_jemalloc 2
test_case "counts every call of a command and its children" counts_command
test_case "counts every call of a command that execs" counts_command --exec
test_case "counts calls of a library that is loaded later" counts_dlopen
test_case "says from when a forked child is covered" children_say_coverage
