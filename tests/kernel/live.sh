#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 400
# What is outstanding, exactly: against the program's own ledger.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../trace.sh"

ROUNDS=$([ "$MEMDRIFT_VM" = 1 ] && echo 4000 || echo 200000)

# expect_ledger: each process of truth.json holds what the report says it holds.
expect_ledger() {
	jq -c '.processes[] | {pid, live: (.live | del(.groups, .peak))}' report.json
	jq -c '.processes[] | del(.buckets)' truth.json
	expect_json report.json '. as $r | $t[0].processes | length > 0 and all(.[]; . as $p |
		$r.processes[] | select(.pid == $p.pid) | .live.count == $p.count and .live.bytes == $p.bytes)' \
		"live count and bytes" --slurpfile t truth.json
	expect_json report.json '. as $r | all($t[0].processes[]; . as $p | $r.processes[] |
		select(.pid == $p.pid) |
		[.buckets[] | select(.live_count > 0) | {min_bytes, live_count, live_bytes}] == $p.buckets)' \
		"live count and bytes of each size bucket" --slurpfile t truth.json
	expect_json report.json '. as $r | all($t[0].processes[]; . as $p | $r.processes[] |
		select(.pid == $p.pid) | .live.failed_calls == $p.failed and
		.live.failed_bytes == $p.failed_bytes and .live.unknown_frees == $p.before_frees)' \
		"failed calls, and frees of what was there before" --slurpfile t truth.json
	# Groups are parts of the whole.
	expect_json report.json '. as $r | all($t[0].processes[]; . as $p | $r.processes[] |
		select(.pid == $p.pid) | .live | ([.groups[].bytes] | add // 0) == .bytes and
		([.groups[].count] | add // 0) == .count and all(.groups[]; .oldest_s >= .median_age_s))' \
		"groups add up" --slurpfile t truth.json
}

live_running() {
	local program=$1

	shift
	need_bpf
	start_target "$program" --wait --rounds "$ROUNDS" "$@"
	start_trace -p "$TARGET" --live --no-stacks --budget none
	tell_target
	wait_done
	end_trace
	expect_no_call_losses
	expect_ledger
	expect_json report.json '.processes[0] | .allocator.live_bytes == .live.bytes and
		.live.sampled == false and .live.peak_bytes + .live.peak_error_bytes >= .live.bytes' \
		"the sums agree"
	expect_json report.json '.processes[0].live.peak | .bytes > 0 and ([.groups[].bytes] | add) == .bytes' \
		"the fullest reading"
	# Of glibc the chunks tell; of musl nothing does.
	expect_json report.json '.processes[0].live.usable | . == null or (.source == "chunk-headers" and
		.unread == 0 and .count == $t[0].processes[0].count and
		.requested_bytes == $t[0].processes[0].bytes and
		.usable_bytes == $t[0].processes[0].usable_bytes)' "usable bytes" --slurpfile t truth.json
	case $program in
	*musl*) expect_json report.json '.processes[0].live.usable == null' "unknown with musl" ;;
	*) expect_json report.json '.processes[0].live.usable != null' "known with glibc" ;;
	esac
	tell_target
}

# With stacks the same figures; what is lost of stacks is said.
live_stacks() {
	need_bpf
	start_target live_mix --wait --rounds "$ROUNDS" --threads 2
	start_trace -p "$TARGET" --live --budget none
	tell_target
	wait_done
	end_trace
	expect_no_call_losses report.json stacks_lost
	expect_ledger
	expect_json report.json '[.processes[0].live.groups[] | select(.stack)] | length > 0' "there are stacks"
	tell_target
}

# A fork copies what is held, and both sides go on.
live_children() {
	need_bpf
	need_target live_mix
	TRUTH=truth.json "$MEMDRIFT" trace -v --live --no-stacks --json -o report.json -- \
		"$TARGETS/live_mix" --rounds "$1" --forks 6 --grandchildren >out 2>trace.err ||
		fail "memdrift failed: $(cat trace.err)"
	expect_no_call_losses report.json "$COMMAND_LOSSES"
	expect_ledger
	expect_json report.json '[.processes[].live.inherited_count] | max > 0 or $rounds > 2000' \
		"some of it was inherited" --argjson rounds "$1"
}

# The set is smaller than what the program holds: it becomes a sample, without losses. The truth is
# inside of the 95 % error for most figures, and inside of twice that for each.
live_sampled() {
	local seed inside=0

	need_bpf
	for seed in 1 2 3 4 5; do
		start_target live_mix --wait --rounds "$ROUNDS" --slots 60000 --seed "$seed"
		# Room for 28,672; the program holds some 35,000.
		start_trace -p "$TARGET" --live --no-stacks --live-memory 1M -i 50ms --budget none
		tell_target
		wait_done
		end_trace
		expect_only_losses report.json live_full
		expect_json report.json '.processes[0].live.sampled and .processes[0].live.bytes_error > 0' \
			"it says that it is a sample"
		expect_json report.json '.losses.live_full == 0' "it began in time"
		jq -c '.processes[0].live | del(.groups, .peak)' report.json
		jq -c '.processes[] | del(.buckets)' truth.json
		jq --slurpfile t truth.json '.processes[0].live | . as $l | $t[0].processes[0] |
			[(.bytes - $l.bytes | fabs) / $l.bytes_error,
			 (.count - $l.count | fabs) / $l.count_error]' report.json >off
		cat off
		expect_json off 'max <= 2' "the truth is inside of twice the error"
		inside=$((inside + $(jq 'map(select(. <= 1)) | length' off)))
		tell_target
		wait "$TARGET"
	done
	# Of an honest error 6 of 10 miss with a chance of 1 in 10,000.
	[ "$inside" -ge 6 ] || fail "the truth was inside of the error for $inside of 10 figures"
}

# Return probes enter the kernel by a system call of their own on newer ones.
live_sandboxed() {
	need_bpf
	start_target sandboxed
	start_trace -p "$TARGET" --live --no-stacks --budget none
	tell_target
	wait_done
	end_trace
	expect_json report.json '.processes[0].allocator.calls | .malloc == 1000 and .free == 900' "calls"
	# Where it cannot be done without harm it is not done, and said.
	if grep -q "strict seccomp filter" trace.err; then
		expect_json report.json '.processes[0].live == null' "nothing is said of what is outstanding"
	else
		expect_json report.json '.processes[0].live | .count == 100 and .bytes == 10000' "live set"
	fi
	tell_target
	wait "$TARGET" || fail "the target ended with $?"
}

# A new program holds nothing of what the old one had.
live_exec() {
	need_bpf
	need_target live_mix
	trace_held --live --no-stacks -- bash -c \
		'x=$(for i in {1..2000}; do echo "$i"; done); exec "$0" --rounds 3000 --wait' \
		"$TARGETS/live_mix"
	# A child of the shell may be gone before it is looked at.
	expect_no_call_losses report.json "$COMMAND_LOSSES"
	expect_ledger
}

# A small leak among a million calls a second comes first, with its stack.
live_leak() {
	# The caches must be full for most of it, on a slow machine too: filling them is growth.
	local slots=4096

	need_bpf
	[ "$MEMDRIFT_VM" = 0 ] || slots=64
	start_target leaky --slots "$slots"
	start_trace -p "$TARGET" --live --budget none -i 200ms
	tell_target
	wait_for 60 has_leaked 300
	end_trace
	tell_target
	wait_done
	jq -c '.processes[0].live.groups[:3]' report.json
	expect_json report.json '.processes[0].live.groups[0] | .stack[0] == "leak_one" and .stack[1] == "main" and
		.growth.certain and .min_bytes == 64 and .bytes == 100 * .count' "the leak comes first"
	expect_json report.json '[.processes[0].live.groups[1:][] | select(.growth.certain)] | length == 0' \
		"and is the only one"
	tell_target
}

# It has had so many ticks of CPU time to leak in.
has_leaked() {
	kill -0 "$TRACE" && [ "$(cpu_ticks)" -gt "$1" ]
}

# Freed before the thread's next allocation. What another thread gave and this one frees can only be
# met when a thread gets its own back, which the program does not do.
live_temporary() {
	need_bpf
	start_target temporary
	start_trace -p "$TARGET" --live --temporary --no-stacks --budget none
	tell_target
	wait_done
	end_trace
	expect_no_call_losses
	jq -c '.processes[0].live.temporary | del(.stacks)' report.json
	expect_json report.json '.processes[0].live.temporary | .count == $t[0].temporary and
		.bytes == $t[0].temporary_bytes' "temporary allocations" --slurpfile t truth.json
	tell_target
}

# Under a budget that the program does not keep to, frees are missed: said, instead of a wrong figure.
live_budget() {
	need_bpf
	start_target leaky
	start_trace -p "$TARGET" --live --budget 5% -i 200ms
	tell_target
	wait_for 60 has_leaked 100
	end_trace
	tell_target
	wait_done
	jq -c '.overhead, .processes[0].live' report.json
	expect_json report.json '.overhead.estimated and (.processes[0].live | .observable == false and .stopped_s > 0) and
		.processes[0].allocator.live_bytes == null' "what is outstanding is not observable at this budget"
	tell_target
}

# A command that is over before anybody looked still has its stacks named.
live_short() {
	need_bpf
	need_target live_mix
	"$MEMDRIFT" trace --live --json -o report.json -- "$TARGETS/live_mix" --rounds 2000 >out 2>trace.err ||
		fail "memdrift failed: $(cat trace.err)"
	expect_json report.json '[.processes[0].live.groups[].stack | select(.) | .[0]] |
		any(. == "run" or . == "allocate")' "functions of a program that has ended"
}

# The leak flame graph: its weights add up to what the report says, the leak is in it.
live_folded() {
	need_bpf
	start_target leaky
	start_trace -p "$TARGET" --live --budget none --folded stacks.folded --weight live_bytes
	tell_target
	wait_for 60 has_leaked 50
	end_trace
	tell_target
	wait_done
	grep -q ';leak_one [0-9]*$' stacks.folded || fail "no leak in $(head -c 500 stacks.folded)"
	expect_json report.json '.processes[0].live.bytes == $sum' "folded weights add up" \
		--argjson sum "$(awk '{ sum += $NF } END { printf "%d", sum }' stacks.folded)"
	tell_target
}

# What is listed can be narrowed; the sums stay those of everything.
live_filters() {
	need_bpf
	start_target live_mix --wait --rounds "$ROUNDS"
	start_trace -p "$TARGET" --live --budget none --no-stacks --min-size 16 --max-size 255
	tell_target
	wait_done
	end_trace
	expect_json report.json '.processes[0].live | .bytes == $t[0].processes[0].bytes and
		([.groups[] | .min_bytes] | min >= 16) and ([.groups[] | .max_bytes] | max <= 255) and
		([.groups[].count] | add) == ([$t[0].processes[0].buckets[] |
		select(.min_bytes >= 16 and .min_bytes < 256) | .live_count] | add)' \
		"groups of the sizes asked for" --slurpfile t truth.json
	start_trace -p "$TARGET" --live --budget none --older 1h
	end_trace
	expect_json report.json '.processes[0].live.groups == []' "nothing is an hour old"
	tell_target
}

host_case "a leak flame graph" live_folded
host_case "what is listed can be narrowed" live_filters
host_case "stacks of a command that is over" live_short
host_case "what a budget does not let it see is not told" live_budget
host_case "temporary allocations" live_temporary
host_case "a small leak comes first" live_leak
host_case "live set of a running thread" live_running live_mix
test_case "live set of four threads, attached in mid-life" live_running live_mix --threads 4 --before 600
host_case "live set of a static program" live_running live_mix_static --threads 2
host_case "live set of a musl program" live_running live_mix_musl --threads 2
host_case "live set of a static musl program" live_running live_mix_musl_static --threads 2
test_case "live set by stack" live_stacks
test_case "forked children have what their parent had" live_children 2000
host_case "forked children go on by themselves" live_children 40000
test_case "an exec clears the live set" live_exec
test_case "a process under a strict seccomp filter lives" live_sandboxed
host_case "a live set that is full becomes a sample" live_sampled
