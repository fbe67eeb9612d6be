#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# vm: no
# What two traces differ by, exactly: against the difference of the programs' own ledgers.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../trace.sh"

ROUNDS=$([ "$MEMDRIFT_VM" = 1 ] && echo 2000 || echo 20000)

# trace_mix NAME OPTIONS-OF-LIVE_MIX...: NAME.json is the report, NAME.truth what it held. What is
# in $TRACE_OPTIONS goes to memdrift.
trace_mix() {
	local name=$1

	shift
	need_target live_mix
	# shellcheck disable=SC2086
	TRUTH=$name.truth "$MEMDRIFT" trace -v --live --json -o "$name.json" ${TRACE_OPTIONS:---no-stacks} \
		-- "$TARGETS/live_mix" "$@" >out 2>trace.err || fail "memdrift failed: $(cat trace.err)"
	[ -n "${TRACE_OPTIONS:-}" ] || expect_no_losses "$name.json"
}

compare() {
	"$MEMDRIFT" report --diff "$1.json" "$2.json" --json -o diff.json --folded diff.folded
	"$MEMDRIFT" report --diff "$1.json" "$2.json"
	jq -c 'del(.processes[].live.groups)' diff.json
	jq -c 'del(.processes[].buckets)' "$1.truth" "$2.truth"
}

# Totals are sums of both ledgers, and folded stacks add up to the totals.
expect_totals() {
	expect_json diff.json '(.totals.live_bytes | .a == ([$a[0].processes[].bytes] | add) and
		.b == ([$b[0].processes[].bytes] | add) and .delta == .b - .a) and
		(.totals.live_count | .a == ([$a[0].processes[].count] | add) and
		.b == ([$b[0].processes[].count] | add) and .delta == .b - .a)' \
		"totals" --slurpfile a "$1.truth" --slurpfile b "$2.truth"
	expect_folded
}

expect_folded() {
	expect_equal "$(awk '{ a += $(NF - 1); b += $NF } END { printf "%d %d\n", a, b }' diff.folded)" \
		"$(jq -r '.totals.live_bytes | "\(.a) \(.b)"' diff.json)" "folded stacks add up"
	! grep -vE '^live_mix-[0-9/]+(;[^; ]+)+ [0-9]+ [0-9]+$' diff.folded || fail "folded stacks"
}

# Each pair differs by what its two ledgers differ by, in each size bucket.
expect_pairs() {
	expect_json diff.json '[.processes[] | select(.a and .b)] | length > 0 and all(.[]; . as $p |
		[$a[0].processes[] | select(.pid == $p.a.pid)][0] as $ta |
		[$b[0].processes[] | select(.pid == $p.b.pid)][0] as $tb |
		$p.live.bytes.delta == $tb.bytes - $ta.bytes and
		$p.live.count.delta == $tb.count - $ta.count and
		([$p.live.groups[] | {min: .min_bytes, bytes: .bytes.delta, count: .count.delta}] |
			group_by(.min) | map([.[0].min, (map(.bytes) | add), (map(.count) | add)]) |
			map(select(.[1] != 0 or .[2] != 0))) ==
		([($ta.buckets[] | [.min_bytes, -.live_bytes, -.live_count]),
			($tb.buckets[] | [.min_bytes, .live_bytes, .live_count])] | group_by(.[0]) |
			map([.[0][0], (map(.[1]) | add), (map(.[2]) | add)]) |
			map(select(.[1] != 0 or .[2] != 0))))' \
		"each size bucket" --slurpfile a "$1.truth" --slurpfile b "$2.truth"
}

# Two runs are two processes of one name.
diff_runs() {
	need_bpf
	TRACE_OPTIONS=$1
	trace_mix one --rounds "$ROUNDS" --seed 1
	trace_mix two --rounds $((ROUNDS * 2)) --slots 2000 --seed 2
	compare one two
	expect_totals one two
	expect_pairs one two
	expect_json diff.json '.processes | length == 1 and .[0].matched_by == "comm-and-exe"' "matched"
	# The other way round all signs are.
	"$MEMDRIFT" report --diff two.json one.json --json >back.json
	expect_json back.json '.totals.live_bytes.delta == -$d[0].totals.live_bytes.delta' "back" \
		--slurpfile d diff.json
}

# A report and itself: the same process, and nothing has changed.
diff_itself() {
	need_bpf
	trace_mix one --rounds "$ROUNDS"
	cp one.json two.json
	cp one.truth two.truth
	compare one two
	expect_totals one two
	expect_json diff.json '.processes[0] | .matched_by == "process" and .live.bytes.delta == 0 and
		all(.live.groups[]; .bytes.delta == 0 and .count.delta == 0)' "no difference"
}

# The same process, traced once more after it had allocated: what it holds is from before.
diff_same_process() {
	need_bpf
	start_target live_mix --wait --rounds "$ROUNDS"
	start_trace -p "$TARGET" --live --no-stacks --budget none
	tell_target
	wait_done
	end_trace
	mv report.json one.json
	# What the first trace said would be taken for the second's word that it has begun.
	rm trace.err
	start_trace -p "$TARGET" --live --no-stacks --budget none
	end_trace
	"$MEMDRIFT" report --diff one.json report.json --json -o diff.json
	expect_json diff.json '.processes | length == 1 and .[0].matched_by == "process" and
		.[0].a.pid == .[0].b.pid' "matched by PID and start time"
	expect_json diff.json '.processes[0].live | .bytes.delta == -$t[0].processes[0].bytes and
		.count.delta == -$t[0].processes[0].count' "the ledger" --slurpfile t truth.json
	tell_target
}

# Children have the name of their parent: they are matched in the order of their start.
diff_families() {
	need_bpf
	trace_mix one --rounds "$ROUNDS" --forks 2
	trace_mix two --rounds "$ROUNDS" --forks 4 --seed 3
	compare one two
	expect_totals one two
	expect_pairs one two
	expect_json diff.json '.totals | .processes_matched == 3 and .processes_only_in_b == 2' "matched"
	expect_json diff.json '[.processes[] | select(.a) | {a: .a.start_time_ticks, b: .b.start_time_ticks}] |
		sort_by(.a) | . == sort_by(.b)' "in the order of their start"
}

# Of samples the difference is an estimate: the truth lies inside of twice its error.
diff_samples() {
	need_bpf
	TRACE_OPTIONS="--no-stacks --live-memory 64K -i 50ms"
	trace_mix one --rounds "$ROUNDS" --slots 4000 --seed 1
	trace_mix two --rounds $((ROUNDS * 2)) --slots 8000 --seed 2
	compare one two
	expect_json diff.json '.processes[0].live | (.sampled_a or .sampled_b) and .bytes.error > 0' "samples"
	jq -s '.[1].processes[0].bytes - .[0].processes[0].bytes' one.truth two.truth >truth
	expect_json diff.json '.processes[0].live.bytes | (.delta - $t[0] | fabs) <= 2 * .error and
		.within_error == ((.delta | fabs) <= .error)' "the truth is inside of twice the error" \
		--slurpfile t truth
	expect_folded
}

# Without --live there is RSS alone, and no folded stacks.
diff_without_live() {
	need_bpf
	need_target live_mix
	"$MEMDRIFT" trace --json -o one.json -- "$TARGETS/live_mix" >out 2>trace.err
	"$MEMDRIFT" report --diff one.json one.json >text
	expect_match text "neither report has it" "it says what is missing"
	"$MEMDRIFT" report --diff one.json one.json --json >diff.json
	expect_json diff.json '.processes[0] | .live == null and .rss_bytes.delta == 0' "RSS alone"
	expect_exit 1 "$MEMDRIFT" report --diff one.json one.json --folded none >text 2>err
	expect_match err "neither report has outstanding allocations" "why"
}

usage_errors() {
	local line

	echo '{"schema": "memdrift.explain/1"}' >other.json
	while read -r line; do
		# shellcheck disable=SC2086
		expect_exit 2 "$MEMDRIFT" report $line 2>err >out
		expect_match err "report" "a message for: $line"
		[ ! -s out ] || fail "output of: $line"
	done <<-'END'

		a.mdr b.mdr
		a.mdr --large 7
		--db history a.mdr
		--db history --diff a b
		--db history --pid 5 --unit a
		--db history --pid 0
		--db history --since soon
		--db history --folded f
		--pid 5
		a.mdr --since 7d
		--diff a
		--diff a b c
		--diff a b --top 0
		--diff a b --weight mmap_bytes
		--diff a b --no-such-option
	END
	expect_exit 1 "$MEMDRIFT" report --diff other.json other.json 2>err
	expect_match err 'other.json: schema: expected "memdrift.trace/1"' "another schema"
	expect_exit 1 "$MEMDRIFT" report --diff missing.json other.json 2>err
	expect_match err 'cannot read missing.json' "no file"
	"$MEMDRIFT" report --help >out
	expect_match out 'memdrift report --diff a.json b.json' "the help has an example"
}

test_case "two runs differ by their ledgers" diff_runs ""
test_case "two runs differ by their ledgers, with stacks" diff_runs "-i 1s"
test_case "a report does not differ from itself" diff_itself
test_case "a process is matched with itself" diff_same_process
test_case "families are matched in the order of their start" diff_families
test_case "samples differ by an estimate" diff_samples
test_case "reports without outstanding allocations" diff_without_live
test_case "usage and errors of report" usage_errors
