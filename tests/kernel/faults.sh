#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# Page faults by call stack, against the pages that a program touches by known chains of calls and
# against the kernel's own count of its faults.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../trace.sh"

PAGES=200
# At the default period: some hundred samples.
MANY=4000
if [ "$MEMDRIFT_VM" = 1 ]; then
	PAGES=40
	MANY=1500
fi

# own_chains FOLDED: "CHAIN BYTES" of the chains that the program counts.
own_chains() {
	sed -nE 's/^[^;]*;(.*;)?((main;work;(.*;)?(touch|by_read))|(in_thread;touch)) ([0-9]+)$/\2 \7/p' "$1" |
		sed -E 's/;signalled;.*;on_signal;/;signalled;*;on_signal;/' |
		awk '{ sums[$1] += $2 } END { for (chain in sums) print chain, sums[chain] }' | sort
}

folded_sum() {
	awk '{ sum += $NF } END { printf "%d", sum }' folded
}

# trace_mix PAGES OPTION...
trace_mix() {
	need_bpf
	start_target fault_mix "$1"
	start_trace -p "$TARGET" --folded folded --weight fault_bytes --budget none "${@:2}"
	tell_target
	wait_done
	end_trace
	expect_no_call_losses
	grep -v '^faults ' truth.json | sort >expected
	own_chains folded >got
	expect_equal "$(folded_sum)" "$(jq '.processes[0].faults.bytes' report.json)" \
		"the sum of folded stacks"
}

every_fault() {
	trace_mix "$PAGES" --fault-period 1
	diff expected got || fail "bytes by chain of calls"
	expect_equal "$(jq '.processes[0].faults.sampled' report.json)" \
		"$(sed -n 's/^faults //p' truth.json)" "page faults, by getrusage(2)"
	expect_json report.json '.processes[0].faults | .counted == .sampled and .error_bytes == 0' \
		"page faults as the kernel has them in /proc"
	! grep -F '[no-stack]' folded || fail "faults without a stack"
	# The start of the trace found it in a system call.
	! grep -F '[truncated]' folded || fail "stacks that do not reach a root"
}

# The kernel maps a page for them into the program, whose first fault is in that page itself.
beside_return_probes() {
	need_bpf
	sleep 1000 &
	"$MEMDRIFT" trace -v -p $! --live --budget none -o other.txt 2>other.err &
	wait_for 60 grep -q 'the trace has begun' other.err
	every_fault
}

# Chains of calls are estimates as their sum is: within the interval of as many samples.
a_sample() {
	local faults

	trace_mix "$MANY"
	faults=$(sed -n 's/^faults //p' truth.json)
	expect_json report.json '.processes[0].faults | .period == 61 and
		(.bytes - $f * 4096 | fabs) <= .error_bytes' "the estimate is within its error" \
		--argjson f "$faults"
	expect_json report.json '.processes[0].faults | .counted == $f' "the kernel's own count" \
		--argjson f "$faults"
	awk 'NR == FNR { got[$1] = $2; next } {
		n = got[$1] / 4096 / 61
		error = 61 * 4096 * (1.92 + 1.96 * sqrt(n + 0.96))
		if (!n || $2 - got[$1] > error || got[$1] - $2 > error)
			print $1, got[$1], $2
	}' got expected >beyond
	[ ! -s beyond ] || fail "chains beyond their error: $(head -n 1 beyond)"
}

# From its first instruction on; the copy of memdrift that it was before is none of it.
a_command() {
	need_bpf
	need_target fault_mix
	trace_held --fault-period 1 --folded folded --weight fault_bytes --budget none -- \
		"$TARGETS/fault_mix" "$PAGES"
	expect_no_call_losses
	grep -v '^faults ' truth.json | sort >expected
	own_chains folded >got
	diff expected got || fail "bytes by chain of calls"
	! grep -F '[truncated]' folded || fail "stacks that do not reach a root"
	! grep -E 'cmd_trace|trace_session|run_command' folded || fail "memdrift's own stacks"
	grep -qE '_dl_start|;ld-linux' folded || fail "the loader touches pages too"
	# What the kernel brings in by itself has no event: copies of pages for breakpoints.
	expect_json report.json '.processes[0].faults | .counted >= .sampled and
		.counted - .sampled < 40' "counts"
}

# Programs of its children, until the tables of a new one are there, are walked by frame pointers,
# which they have not; and children that are no program of their own are named by their parent's.
children() {
	need_bpf
	need_target fault_mix
	TRUTH=truth.json "$MEMDRIFT" trace --json -o report.json --fault-period 1 --folded folded \
		--weight fault_bytes --budget none -- sh -c \
		"printf '\n\n' | '$TARGETS/fault_mix' $PAGES; exit 0" >target.out 2>trace.err
	# Not all: what short-lived children have mapped may stay unknown.
	expect_json report.json '.losses | .fault_counts_full + .stacks_lost + .stacks_stale + .stacks_busy +
		.fault_cpus_missed == 0' "no page fault is lost"
	expect_equal "$(grep -E ';(touch|by_read) [0-9]+$' folded | awk '{ n += $NF } END { printf "%d", n }')" \
		"$(grep -v '^faults ' truth.json | awk '{ n += $NF } END { printf "%d", n }')" "bytes of all chains"
	expect_equal "$(folded_sum)" "$(jq '[.processes[].faults.bytes] | add' report.json)" "sum"
	! grep '^sh-.*\[unknown\]' folded || fail "a child's code is not its parent's"
	expect_json report.json '[.processes[].faults | select(.counted) |
		.counted >= .sampled and .counted - .sampled < 40] | length > 0 and all' "counts"
}

in_words() {
	need_bpf
	"$MEMDRIFT" trace --faults --pprof profile.pb.gz -o report.txt -- ls -R /usr/lib >out 2>trace.err
	expect_match report.txt 'Page faults brought in .* \(95 %\): one of 61 was sampled, [0-9,]+ in' "sum"
	expect_match report.txt 'The kernel counted [0-9,]+ faults' "the kernel's count"
	expect_match report.txt '^ +faulted in +share +by$' "where memory grew"
	if command -v go; then
		go tool pprof -raw profile.pb.gz 2>pprof.err | grep -q 'fault_space/bytes' ||
			fail "no fault_space in the pprof file"
	fi
}

wrong_use() {
	expect_exit 2 "$MEMDRIFT" trace --fault-period 5 -p 1 2>err
	expect_match err 'add --faults' "a period of nothing"
	expect_exit 2 "$MEMDRIFT" trace --faults --fault-period 0 -p 1 2>err
	expect_match err 'from 1 to 10000' "a period of 0"
	expect_exit 2 "$MEMDRIFT" trace --faults --fault-period 10001 -p 1 2>err
	expect_match err 'from 1 to 10000' "a period that is too long"
}

test_case "counts every page by the chain that touched it" every_fault
test_case "the same beside another tracer's return probes" beside_return_probes
test_case "a sample is within its stated error" a_sample
test_case "page faults of a command from its first instruction on" a_command
# An emulated machine is too slow to read what a child has mapped before it ends.
host_case "page faults of a command's children" children
test_case "page faults in the report and in pprof files" in_words
test_case "wrong use" wrong_use
