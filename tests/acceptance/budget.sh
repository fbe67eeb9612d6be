#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 1500
# What --budget costs a program, by the program's own count of what it gets done in a CPU second,
# against the same program untraced, in turn; and what the estimates are worth.
# shellcheck disable=SC2016,SC2119 # $ in single quotes is for jq; arguments are optional
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$(dirname "$0")/../trace.sh"

ROUNDS=${ROUNDS:-3}
TRACED_MS=${TRACED_MS:-30000}
UNTRACED_MS=${UNTRACED_MS:-5000}

# ask LINE FILE: alloc_pace's answer.
ask() {
	local want

	want=$(($(wc -l <target.out) + 1))
	echo "$1" >&8
	wait_for 300 has_lines "$want"
	tail -n 1 target.out >"$2"
}

has_lines() {
	[ "$(wc -l <target.out)" -ge "$1" ]
}

# run_round BUDGET WORK: what a pair took, of CPU time: before, under the trace, after. WORK is
# alloc_pace's line with MS for the milliseconds.
OPTIONS=()
run_round() {
	local budget=$1 work=$2

	ask "${work/MS/$UNTRACED_MS}" before.json
	start_trace -p "$TARGET" --budget "$budget" "${OPTIONS[@]}"
	ask "${work/MS/$TRACED_MS}" truth.json
	end_trace
	ask "${work/MS/$UNTRACED_MS}" after.json
	jq -n --slurpfile b before.json --slurpfile t truth.json --slurpfile a after.json '
		(($b[0].cpu_ns + $a[0].cpu_ns) / ($b[0].pairs + $a[0].pairs)) as $untraced |
		{slowdown: (1 - $untraced / ($t[0].cpu_ns / $t[0].pairs)),
		 calls_per_cpu_s: (2e9 / $untraced), untraced_ns: $untraced}' >round.json
	cat round.json
	jq -c '.overhead, .processes[0].allocator.estimate' report.json
	jq .slowdown round.json >>slowdowns
}

# expect_slowdown MOST: the middle one of the rounds. Other load makes single ones larger, or less
# than nothing.
expect_slowdown() {
	sort -g slowdowns | sed -n "$(((ROUNDS + 1) / 2))p" >middle
	jq -e ". <= $1" middle >/dev/null || fail "slowdown $(cat middle), not within $1: $(tr '\n' ' ' <slowdowns)"
	echo "# slowdown $(cat middle)" >&3
}

# Sizes within 5 % of what the program says.
expect_shares() {
	expect_json report.json '.processes[0].buckets as $b | $t[0] | .pairs as $pairs | [.buckets |
		to_entries[] | (.value / $pairs) as $share | pow(2; (.key | tonumber) - 1) as $min |
		([$b[] | select(.min_bytes == $min) | .estimate.count_share] | add // 0) / $share - 1 |
		fabs] | max < 0.05' "shares of the sizes" --slurpfile t truth.json
}

expect_rate() {
	expect_json report.json '.processes[0].allocator.estimate.calls_per_cpu_s |
		.low <= 1.02 * $r[0].calls_per_cpu_s and
		(.high == null or .high >= 0.98 * $r[0].calls_per_cpu_s)' \
		"the interval of the rate" --slurpfile r round.json
}

keeps_budget() {
	local i

	need_bpf
	start_target alloc_pace
	for ((i = 0; i < ROUNDS; i++)); do
		run_round "$1" "$2"
		expect_json report.json '.overhead.cost_share <= .overhead.budget' "the cost as told"
		expect_shares
		expect_rate
	done
	expect_slowdown "$3"
}

# keeps_budget_below GAP_NS OPTION...: 5 %, with a call stack of 40 frames and some for each
# allocation. Work that no other load slows down lies between two: what is measured is the probes.
keeps_budget_below() {
	local i

	OPTIONS=("${@:2}")
	need_bpf
	start_target alloc_pace
	for ((i = 0; i < ROUNDS; i++)); do
		run_round 5% "deep 40 MS $1 0"
		expect_json report.json '.overhead | .estimated and .cost_share <= .budget' "the cost as told"
		expect_json report.json '.overhead | .stacks > 0 and .frames > 40 * .stacks' "deep stacks"
	done
	expect_slowdown 0.06
}

# What the report says that it cost, against what it did cost: the middle one of the rounds. The rest
# of a pair takes 10 ns, so that it is all cost, and nothing else than its speed then matters.
states_cost() {
	local i depth=$1

	OPTIONS=("${@:2}")
	need_bpf
	start_target alloc_pace
	for ((i = 0; i < ROUNDS; i++)); do
		TRACED_MS=2000 UNTRACED_MS=500 run_round none "deep $depth MS 0 0"
		jq '.overhead.cost_share / $r[0].slowdown' --slurpfile r round.json report.json >>ratios
	done
	sort -g ratios | sed -n "$(((ROUNDS + 1) / 2))p" >middle
	jq -e '. - 1 | fabs < 0.25' middle >/dev/null ||
		fail "told $(cat middle) of the cost: $(tr '\n' ' ' <ratios)"
	echo "# told / measured $(cat middle)" >&3
}

# $1 hit costs lie between two calls, at a budget below what that costs.
knows_rate() {
	local i gap_ns

	need_bpf
	start_target alloc_pace
	start_trace -p "$TARGET" -d 100ms
	join_trace
	gap_ns=$(jq ".overhead.hit_ns * 2 * $1 | floor" report.json)
	for ((i = 0; i < ROUNDS; i++)); do
		run_round "$2" "run MS $gap_ns $3"
		expect_rate
		[ "$1" -ge 20 ] || continue
		expect_json report.json '.processes[0].allocator.estimate.calls_per_cpu_s.best /
			$r[0].calls_per_cpu_s - 1 | fabs < 0.05' "the rate" --slurpfile r round.json
	done
}

exec 3>&1
test_case "malloc-bound, 5 %: slowed down by at most 6 %" keeps_budget 5% "run MS 0 0" 0.06
test_case "malloc-bound, 1 %: slowed down by at most 2 %" keeps_budget 1% "run MS 0 0" 0.02
test_case "1 us of work, cold caches, 5 %: slowed down by at most 6 %" keeps_budget 5% "run MS 0 32768" 0.06
test_case "20 hit costs apart: the rate within 5 %" knows_rate 20 2% 0
test_case "20 hit costs apart, cold caches: the rate within 5 %" knows_rate 20 2% 65536
test_case "3 hit costs apart: the interval holds the rate" knows_rate 3 5% 0
for gap_ns in 2000 20000; do
	test_case "below 40 frames, $gap_ns ns apart, 5 %, with stacks: slowed down by at most 6 %" \
		keeps_budget_below "$gap_ns" --folded stacks --weight alloc_bytes
	test_case "below 40 frames, $gap_ns ns apart, 5 %, with what is outstanding: at most 6 %" \
		keeps_budget_below "$gap_ns" --live
done
test_case "the stated cost without stacks is within 25 % of the measured one" states_cost 0
for depth in 0 40 100; do
	test_case "the stated cost of stacks below $depth frames is within 25 % of the measured one" \
		states_cost "$depth" --folded stacks --weight alloc_bytes
done
test_case "the stated cost of what is outstanding, with stacks, is within 25 %" states_cost 40 --live
