#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# vm: no
# alone: yes
# limit: 400
# --budget: probes that come and go, and what is said of the time between. The program counts its
# own calls; how much it is slowed down is measured by `make acceptance`.
# shellcheck disable=SC2016,SC2119 # $ in single quotes is for jq; arguments are optional
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$(dirname "$0")/../trace.sh"

# In an emulated machine fewer calls are seen, attaching takes a second, and a hit costs four times
# what calibration says: shares are coarse, runs long, and nothing is to be said of rates and cost.
if [ "$MEMDRIFT_VM" = 1 ]; then
	SHARE_ERROR=0.5 SCALE=2 BUDGET=20%
else
	SHARE_ERROR=0.05 SCALE=1 BUDGET=5%
fi

need_time() {
	[ "$MEMDRIFT_VM" = 0 ] || skip "takes too long in an emulated machine"
}

# ask LINE: alloc_pace's answer goes to truth.json.
ask() {
	local want

	want=$(($(wc -l <target.out) + 1))

	echo "$1" >&8
	wait_for 240 has_lines "$want"
	tail -n 1 target.out >truth.json
}

has_lines() {
	[ "$(wc -l <target.out)" -ge "$1" ]
}

# The counts of what was seen: shares of what the program says that it did.
expect_shares() {
	expect_json report.json '.processes[0].buckets as $b | $t[0] | .pairs as $pairs | [.buckets |
		to_entries[] | (.value / $pairs) as $share | pow(2; (.key | tonumber) - 1) as $min |
		([$b[] | select(.min_bytes == $min) | .estimate.count_share] | add // 0) / $share - 1 |
		fabs] | max < $error' "shares of the sizes" \
		--slurpfile t truth.json --argjson error "$SHARE_ERROR"
	expect_json report.json '.processes[0].allocator.estimate.call_shares |
		(.malloc - 0.5 | fabs) < 0.02 and (.free - 0.5 | fabs) < 0.02' "malloc and free"
}

# The interval, where it has ends, holds the program's count.
expect_holds() {
	[ "$MEMDRIFT_VM" = 1 ] && return
	expect_json report.json '.processes[0].allocator.estimate.calls | .low <= 2 * $t[0].pairs and
		(.high == null or .high >= 2 * $t[0].pairs)' "calls in all" --slurpfile t truth.json
}

# Three times the budget: these runs are short, and a first look costs what it costs.
expect_cost() {
	[ "$MEMDRIFT_VM" = 1 ] ||
		expect_json report.json '.overhead.cost_share < 3 * .overhead.budget' "cost"
}

expect_bursts() {
	expect_json report.json '.overhead | .estimated and .bursts >= 2 and .detached_at_s > 0 and
		.attach_ns > 0 and .detach_ns > 0' "bursts"
	expect_json report.json '.overhead.covered > 0 and .overhead.covered < 0.9' "what they cover"
	expect_json report.json '.processes[0].allocator.estimate | .bursts >= 2 and
		.covered_share_cpu > 0 and .covered_share_cpu < 0.9' "of the process"
	expect_cost
}

malloc_bound() {
	need_bpf
	start_target alloc_pace
	start_trace -p "$TARGET" --budget "$BUDGET"
	ask "run $((5000 * SCALE)) 0 0"
	end_trace
	expect_no_losses
	expect_bursts
	expect_shares
	expect_holds
	expect_json report.json '(.processes[0].allocator.calls.malloc) < $t[0].pairs / 10' \
		"few of its calls were seen" --slurpfile t truth.json
}

# Now and then: 20 and more times what a hit costs between two calls.
calls_apart() {
	local gap_ns

	need_bpf
	need_time
	start_target alloc_pace
	start_trace -p "$TARGET" -d 50ms
	join_trace
	gap_ns=$(jq '.overhead.hit_ns * 2 * 20 | floor' report.json)
	start_trace -p "$TARGET" --budget 2%
	ask "run 6000 $gap_ns 0"
	end_trace
	expect_no_losses
	expect_bursts
	expect_holds
	expect_json report.json '.processes[0].allocator.estimate.calls.best / (2 * $t[0].pairs) - 1 |
		fabs < 0.05' "the best guess" --slurpfile t truth.json
}

# What keeps to the budget is seen whole.
cheap() {
	local gap_ns

	need_bpf
	start_target alloc_pace
	start_trace -p "$TARGET" -d 50ms
	join_trace
	gap_ns=$(jq '.overhead.hit_ns * 2 * 10 | floor' report.json)
	start_trace -p "$TARGET" --budget 50%
	ask "run 1500 $gap_ns 0"
	end_trace
	expect_no_losses
	expect_json report.json '.overhead | (.estimated | not) and .detached_at_s == null and
		.bursts == 0' "no bursts"
	expect_json report.json '.processes[0].allocator | .estimate == null and
		.calls.malloc >= $t[0].pairs' "every call" --slurpfile t truth.json
}

no_budget() {
	need_bpf
	start_target alloc_pace
	start_trace -p "$TARGET" --budget none
	ask "run 300 0 0"
	end_trace
	expect_json report.json '.overhead | .budget == null and (.estimated | not) and
		.cost_share > 0.2' "no limit"
	expect_json report.json '.processes[0].allocator | .estimate == null and
		.calls.malloc >= $t[0].pairs' "every call" --slurpfile t truth.json
}

# As text: no seen count passes for a total.
says_so() {
	need_bpf
	need_time
	start_target alloc_pace
	start_text_trace -p "$TARGET"
	ask "run 3000 0 0"
	end_trace
	expect_match trace.err "cost process $TARGET more than the budget: .* come and go" "a word"
	expect_match report.txt '^  Estimates: [0-9]+ bursts cover [0-9.]+ % of the time' "estimates"
	expect_match report.txt '^  malloc +[0-9,]+ +(49|50).[0-9] % +[>0-9]' "seen, share, rate"
	expect_match report.txt 'To keep the budget the allocator probes of 1 process came and went' "cost"
	expect_match report.txt '\(budget 5.0 %\)' "the budget"
}

# A command and its children share their probes.
a_command() {
	need_bpf
	need_time
	need_target alloc_pace
	printf 'run 3000 0 0\n' >lines
	"$MEMDRIFT" trace --json -o report.json --budget 5% -- \
		sh -c "\"$TARGETS/alloc_pace\" <lines >said; :" 2>trace.err ||
		fail "memdrift failed: $(cat trace.err)"
	tail -n 1 said >truth.json
	expect_json report.json '.overhead | .estimated and .bursts >= 2' "bursts"
	expect_cost
	jq '.processes |= [.[] | select(.comm == "alloc_pace")]' report.json >of-child.json
	mv of-child.json report.json
	expect_json report.json '.processes | length == 1' "the child"
	expect_shares
	expect_holds
}

# Each of several running programs has bursts of its own.
several() {
	local others=() pids i

	need_bpf
	need_time
	need_target alloc_pace
	for i in 1 2 3 4 5 6; do
		printf 'run 600000 0 0\n' | "$TARGETS/alloc_pace" >"said.$i" &
		others+=($!)
	done
	for i in 1 2 3 4 5 6; do
		wait_for 60 grep -q ready "said.$i"
	done
	pids=$(IFS=,; echo "${others[*]}")
	start_trace -p "$pids" -d 6
	join_trace
	kill "${others[@]}"
	expect_cost
	expect_json report.json '[.processes[].allocator.estimate.bursts >= 1] | length == 6 and all' \
		"estimates of each"
	expect_json report.json '.overhead.bursts >= 6' "bursts"
}

# ---- call stacks ---------------------------------------------------------------------------------

# walked DEPTH OPTION...: of 20,000 pairs below DEPTH frames.
walked() {
	start_trace -p "$TARGET" --budget none "${@:2}"
	ask "exactly $1 20000"
	end_trace
	expect_no_losses
	expect_json report.json '.overhead | .stack_ns > 0 and .frame_ns > 0' "what a stack costs"
}

# expect_walked STACKS OPTION...: so many for each allocation, and all of their frames: those of 60
# calls are 60 more than those of none.
expect_walked() {
	walked 0 "${@:2}"
	expect_json report.json ".overhead.stacks == $1 * 20000" "stacks"
	expect_json report.json ".overhead.frames % 20000 == 0" "each of the same depth"
	mv report.json shallow.json
	walked 60 "${@:2}"
	expect_json report.json ".overhead.stacks == $1 * 20000" "stacks"
	expect_json report.json ".overhead.frames - \$s[0].overhead.frames == $1 * 60 * 20000" \
		"frames" --slurpfile s shallow.json
}

counts_walks() {
	need_bpf
	start_target alloc_pace
	expect_walked 1 --folded stacks --weight alloc_bytes
	expect_walked 1 --live
	expect_walked 2 --live --folded stacks --weight alloc_bytes
	start_trace -p "$TARGET" --budget none
	ask "exactly 60 20000"
	end_trace
	expect_json report.json '.overhead | .stacks == 0 and .frames == 0 and .stack_ns == 0 and
		.hits >= 40000' "none are taken"
}

# Its hits cost some 2 % of its CPU time, and its stacks several times that: only with them its
# probes have to come and go.
stacks_count() {
	local gap_ns

	need_bpf
	need_time
	start_target alloc_pace
	start_trace -p "$TARGET" -d 50ms
	join_trace
	gap_ns=$(jq '.overhead.hit_ns * 2 * 50 | floor' report.json)
	start_trace -p "$TARGET" --budget 5%
	ask "deep 110 1500 $gap_ns 0"
	end_trace
	expect_json report.json '.overhead | (.estimated | not) and .cost_share < .budget' "hits alone"
	mv report.json shallow.json
	start_trace -p "$TARGET" --budget 5% --folded stacks --weight alloc_bytes
	ask "deep 110 3000 $gap_ns 0"
	end_trace
	expect_json report.json '.overhead | .estimated and .frames > 110 * .stacks' "with stacks"
	expect_cost
	start_trace -p "$TARGET" --budget none --folded stacks --weight alloc_bytes
	ask "deep 110 1500 $gap_ns 0"
	end_trace
	expect_json report.json '.overhead.cost_share > 2 * $s[0].overhead.cost_share' \
		"they cost more" --slurpfile s shallow.json
}

# ---- nothing stays -----------------------------------------------------------------------------

# Those on arena_get2, which is hardly ever called, stay all the time.
came_and_went() {
	grep -q 'come and go' trace.err && [ "$(breakpoints)" -lt 5 ]
}

comes_back() {
	[ "$(breakpoints)" -ge 5 ]
}

# A window of a program that mostly sleeps lasts half a second: the end comes inside one.
ends_in_mid_burst() {
	local signal=$1 got=0

	need_bpf
	start_target alloc_pace
	start_trace -p "$TARGET" --budget 20%
	echo "sleep 600000 0 0" >&8
	wait_for 120 came_and_went
	wait_for 240 comes_back
	kill -s "$signal" "$TRACE"
	wait "$TRACE" || got=$?
	expect_equal "$got" "$([ "$signal" = KILL ] && echo 137 || echo 0)" "exit code"
	wait_for 30 no_breakpoint
	grep -q '^State:.*[RS]' "/proc/$TARGET/status" || fail "the target is $(cat "/proc/$TARGET/status")"
	kill "$TARGET"
	[ "$signal" != INT ] || expect_json report.json '.overhead.estimated' "its report"
}

# The target ends while it is probed, and while it is not.
target_ends() {
	local i

	need_bpf
	for i in 1 2 3; do
		start_target alloc_pace
		start_trace -p "$TARGET" --budget 5%
		echo "run 600000 0 0" >&8
		wait_for 120 grep -q 'come and go' trace.err
		sleep "0.$i"
		kill -KILL "$TARGET"
		join_trace
		expect_json report.json '.processes[0] | .ended.signal == 9 and
			.allocator.estimate.bursts >= 1' "its last state"
		exec 8>&-
	done
}

test_case "keeps to the budget, and knows the shares of a program that does nothing but malloc" malloc_bound
test_case "estimates how often a program calls that does other work" calls_apart
test_case "sees all of a program that keeps to the budget" cheap
test_case "keeps its probes without a budget" no_budget
test_case "says what is seen and what is estimated" says_so
test_case "keeps a command and its child to a budget" a_command
test_case "keeps each of several programs to the budget" several
test_case "counts the stacks that hits walk, and their frames" counts_walks
test_case "charges the budget for the depth of stacks" stacks_count
test_case "leaves nothing behind when it is interrupted in a burst" ends_in_mid_burst INT
test_case "leaves nothing behind when it is killed in a burst" ends_in_mid_burst KILL
test_case "reports on targets that end" target_ends
