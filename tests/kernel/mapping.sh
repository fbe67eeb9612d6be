#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# The model of address spaces, compared with /proc/PID/maps, and the counts of mapping calls.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../trace.sh"

ROUNDS=$([ "$MEMDRIFT_VM" = 1 ] && echo 2000 || echo 20000)

stop_and_compare() {
	local pid

	end_trace
	expect_no_losses
	# shellcheck disable=SC2013
	for pid in $(sed -n 's/^done //p' target.out); do
		expect_same_maps spaces "$pid"
	done
}

# Attached before the storm: counts are exact. The break is kept in whole pages.
expect_calls() {
	# A skipped program's call is in no count.
	jq -e '.losses.missed_recursion == 0' report.json >/dev/null || return 0
	expect_json report.json '[.processes[] | {pid, mapping}] as $got |
		[$t[0].processes[] | . as $p | $got[] | select(.pid == $p.pid) | .mapping |
		 .mmap_calls == $p.mmap.calls and .mmap_bytes == $p.mmap.bytes and
		 .munmap_calls == $p.munmap.calls and
		 .mremap_calls == $p.mremap.calls and .brk_calls == $p.brk.calls and
		 (.brk_delta_bytes - $p.brk_delta_bytes | fabs) < 4096] | length > 0 and all' \
		"mapping calls and bytes" --slurpfile t truth.json
}

storm_from_start() {
	need_bpf
	start_target map_storm --wait --rounds "$ROUNDS" "$@"
	start_trace -p "$TARGET" --dump-spaces "$PWD/spaces"
	tell_target
	wait_done
	stop_and_compare
	# What an exec's loader maps is not in the program's own counts.
	[[ " $* " == *" --exec "* ]] || expect_calls
	tell_target
}

# Attached while it rages, stopped after it.
storm_in_the_middle() {
	local from

	need_bpf
	start_target map_storm --wait --until-line --rounds 1000000000 "$@"
	tell_target
	start_trace -p "$TARGET" --dump-spaces "$PWD/spaces"
	# Some thousands of calls with the trace on.
	from=$(cpu_ticks)
	wait_for 120 has_worked "$((from + 20))"
	tell_target
	wait_done
	stop_and_compare
	tell_target
}

# A command from its first moment, with children and exec.
storm_command() {
	need_bpf
	need_target map_storm
	mkfifo in
	exec 8<>in
	TRUTH=truth.json "$MEMDRIFT" trace -v --json -o report.json --dump-spaces "$PWD/spaces" -- \
		"$TARGETS/map_storm" --wait --rounds "$ROUNDS" "$@" <in >target.out 2>trace.err 8>&- &
	TRACE=$!
	wait_for 60 grep -q '^ready' target.out
	tell_target
	wait_done
	stop_and_compare
	tell_target
}

# The reader is held back until the ring overflows: every lost record is counted, and the model is
# right again after the next interval.
heals_after_loss() {
	need_bpf
	start_target map_storm --wait --rounds "$ROUNDS" --threads 2
	start_trace -p "$TARGET" --hold-reader --ring-size 64K -i 1s --strict --dump-spaces "$PWD/spaces"
	tell_target
	wait_done
	end_trace 3
	expect_json report.json '.losses.ring_full > 0' "lost records are counted"
	[ "$(jq .losses.missed_recursion report.json)" = 0 ] || skip "the kernel skipped programs (7.x)"
	expect_same_maps spaces "$TARGET"
	tell_target
}

host_case "model equals /proc, one thread" storm_from_start --threads 1
test_case "model equals /proc, eight threads" storm_from_start --threads 8
host_case "model equals /proc, forked children" storm_from_start --threads 1 --forks 3
test_case "model equals /proc, children forked in mid-storm" storm_from_start --threads 4 --forks 3 --late-forks
test_case "model equals /proc, exec" storm_from_start --threads 2 --exec
host_case "model equals /proc, attached in mid-storm, one thread" storm_in_the_middle --threads 1
test_case "model equals /proc, attached in mid-storm, eight threads" storm_in_the_middle --threads 8
host_case "model equals /proc, a command" storm_command --threads 2 --forks 2 --exec
test_case "losses are counted and healed" heals_after_loss
