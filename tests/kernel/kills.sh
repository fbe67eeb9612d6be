#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# vm: 6.1 newest
# limit: 200
# memdrift and its keeper (src/probe/keeper.h) are killed: no breakpoint stays in the target, no
# process of theirs stays either. tests/acceptance/kills.sh does this hundreds of times.
# shellcheck disable=SC2119 # arguments are optional
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$(dirname "$0")/../trace.sh"

# Probes take longer to come and go in an emulated machine, a trace to begin as well.
if [ "$MEMDRIFT_VM" = 1 ]; then
	KILLS=4 DELAY_US=100000
else
	KILLS=12 DELAY_US=2000
fi

keeper_of_trace() {
	KEEPER=$(pgrep -P "$TRACE" -x drift-keeper) || fail "memdrift has no keeper"
}

has_gone() {
	[ ! -d "/proc/$1" ]
}

# What ^C in a terminal, a service manager's stop and a kill by name reach.
only_memdrift_is_reached() {
	local signal

	need_bpf
	start_target alloc_mix --wait --rounds 1000
	start_trace -p "$TARGET" --budget none
	keeper_of_trace
	expect_equal "$(ps -o sid= -p "$KEEPER" | tr -d ' ')" "$KEEPER" "the keeper's session"
	for signal in INT TERM HUP QUIT TSTP; do
		kill -s "$signal" "$KEEPER"
	done
	expect_equal "$(pgrep -f 'memdrift trace' | grep -cx "$KEEPER")" 0 "found by memdrift's name"
	expect_probed
	end_trace
	expect_equal "$(keepers)" "" "keepers after the end"
	expect_equal "$(breakpoints)" 0 "breakpoints after the end"
	tell_target
}

# Then the counts would be wrong from there on: the trace ends, and says so.
keeper_is_killed() {
	need_bpf
	start_target alloc_mix --wait --rounds 1000
	start_trace -p "$TARGET" --budget none
	keeper_of_trace
	kill -KILL "$KEEPER"
	join_trace 1
	expect_match trace.err '^memdrift: the trace broke off: Owner died' "message"
	wait_for 30 no_breakpoint
	tell_target
}

# A command runs on without its tracer, and is no keeper's child.
command_keeps_no_keeper() {
	need_bpf
	mkfifo in
	exec 8<>in
	TRUTH=truth.json "$MEMDRIFT" trace -o report -- "$TARGETS/alloc_mix" --wait --rounds 1000 \
		<in >target.out 8>&- &
	TRACE=$!
	wait_for 60 grep -q '^ready' target.out
	TARGET=$(sed -n 's/^ready //p' target.out)
	keeper_of_trace
	find "/proc/$TARGET/fd" -lname 'socket:*' >sockets
	expect_equal "$(cat sockets)" "" "sockets that the command has inherited"
	kill -KILL "$TRACE"
	wait "$TRACE" || true
	wait_for 30 has_gone "$KEEPER"
	wait_for 30 no_breakpoint
	tell_target
	wait_done
	tell_target
}

# Of the whole host it is no part, as memdrift is none.
keeper_is_not_traced() {
	need_bpf
	start_target alloc_mix --wait --rounds 1000
	start_trace
	keeper_of_trace
	tell_target
	wait_for 60 grep -q '^done' target.out
	end_trace
	expect_json report.json '[.processes[].pid] | any(. == $t)' "the target is traced" \
		--argjson t "$TARGET"
	expect_json report.json '[.processes[].pid] | all(. != $k and . != $m)' \
		"neither memdrift nor its keeper is" --argjson k "$KEEPER" --argjson m "$TRACE"
	tell_target
}

# One that fails after its keeper has started.
failing_trace() {
	need_bpf
	expect_exit 1 "$MEMDRIFT" trace -p 4194304 -d 1 2>err
	expect_equal "$(keepers)" "" "keepers after a failure"
}

# The keeper as a process is the same on every kernel; what a kill leaves is not.
if [ "$MEMDRIFT_VM" != 1 ]; then
	test_case "signals for memdrift do not reach what keeps its probes" only_memdrift_is_reached
	test_case "says that what kept the probes was killed" keeper_is_killed
	test_case "a command inherits nothing of what keeps its probes" command_keeps_no_keeper
	test_case "traces the host without what keeps its probes" keeper_is_not_traced
	test_case "leaves no process behind when it fails" failing_trace
fi
test_case "$KILLS kills while probes come and go leave nothing behind" \
	killed_at_edges "$KILLS" "$DELAY_US"
