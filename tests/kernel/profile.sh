#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# vm: no
# Files of stacks: go tool pprof reads the same functions and sums as folded stacks have, flame
# graphs are XML with the report's total, and no name breaks either.

# shellcheck disable=SC2119 # arguments are optional
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$(dirname "$0")/../trace.sh"

ROUNDS=2000

# flat_of FOLDED: "WEIGHT FUNCTION" of the leaves, heaviest first.
flat_of() {
	awk '{
		weight = $NF
		sub(/ [0-9]+$/, "")
		n = split($0, frames, ";")
		sum[frames[n]] += weight
	}
	END { for (name in sum) printf "%d %s\n", sum[name], name }' "$1" | sort -k 1,1nr -k 2
}

# cumulative_of FOLDED: the same of all frames but the process, each once a stack.
cumulative_of() {
	awk '{
		weight = $NF
		sub(/ [0-9]+$/, "")
		n = split($0, frames, ";")
		delete seen
		for (i = 2; i <= n; i++)
			if (!seen[frames[i]]++)
				sum[frames[i]] += weight
	}
	END { for (name in sum) printf "%d %s\n", sum[name], name }' "$1" | sort -k 1,1nr -k 2
}

# pprof_top FILE SAMPLE_TYPE OPTION...: "FLAT CUMULATIVE FUNCTION" as go tool pprof has them.
pprof_top() {
	go tool pprof -top -symbolize=none -nodecount=1000000 -nodefraction=0 -edgefraction=0 \
		"${@:3}" -sample_index="$2" "$1" >"pprof.$2" 2>pprof.err || fail "pprof: $(cat pprof.err)"
	sed -n '/ flat%/,$p' "pprof.$2" | tail -n +2 | awk '{
		flat = $1; cum = $4; name = $6
		sub(/B$/, "", flat); sub(/B$/, "", cum)
		for (i = 7; i <= NF; i++)
			name = name "_" $i
		gsub(/;/, ":", name)
		print flat, cum, name
	}'
}

# expect_same_top FOLDED SAMPLE_TYPE
expect_same_top() {
	pprof_top profile.pb.gz "$2" -unit=bytes >"top.$2"
	[ -s "top.$2" ] || fail "pprof shows no function of $2"
	flat_of "$1" >want.flat
	awk '$1 > 0 { print $1, $3 }' "top.$2" | sort -k 1,1nr -k 2 | diff want.flat - >flat.diff ||
		fail "flat sums of $2: $(head -n 5 flat.diff)"
	cumulative_of "$1" >want.cum
	awk '{ print $2, $3 }' "top.$2" | sort -k 1,1nr -k 2 | diff want.cum - >cum.diff ||
		fail "cumulative sums of $2: $(head -n 5 cum.diff)"
}

# expect_sum SAMPLE_TYPE REPORT_EXPRESSION
expect_sum() {
	local sum

	sum=$(go tool pprof -raw -symbolize=none profile.pb.gz 2>/dev/null | awk -v type="$1" '
		/^Samples:/ { getline; for (i = 1; i <= NF; i++) if ($i ~ "^" type "/") at = i; on = 1; next }
		/^Locations/ { on = 0 }
		on && /^ *-?[0-9]+.*: [0-9]/ { sum += $at }
		END { if (!at) print "none"; else printf "%d", sum }')
	expect_equal "$sum" "$(jq "[.processes[]$2] | add // 0" report.json)" "sum of $1"
}

pprof_equals_the_report() {
	need_bpf
	need_command go
	expect_exit 0 "$MEMDRIFT" trace --live --json -o report.json --pprof profile.pb.gz \
		--folded folded --weight "$1" -- "$TARGETS/alloc_mix" --rounds "$ROUNDS" --threads 2 --forks 2
	expect_no_call_losses report.json "$COMMAND_LOSSES"
	expect_same_top folded "$2"
	expect_sum alloc_space .allocator.requested_bytes
	expect_sum alloc_objects .allocator.requests
	expect_sum inuse_space .live.bytes
	expect_sum inuse_objects .live.count
	expect_sum mmap_space .mapping.mmap_bytes
	expect_sum mmap_objects .mapping.mmap_calls
	expect_sum unreleased_space .mapping.unreleased_bytes
	expect_sum unreleased_objects .mapping.unreleased_count
	expect_sum arenas .arenas.created
	go tool pprof -tags profile.pb.gz 2>/dev/null >tags
	expect_match tags '^ *process:' "the process is a label"
	expect_match tags "$(jq -r '.processes[0].pid' report.json)" "the PID is a label"
}

# Without probes nothing is known of allocator calls: they are left out.
pprof_leaves_out_what_is_unknown() {
	need_bpf
	need_command go
	start_target map_storm --wait --rounds 200
	expect_exit 0 "$MEMDRIFT" trace --json -o report.json --pprof profile.pb.gz -d 0.2
	go tool pprof -raw -symbolize=none profile.pb.gz >raw 2>/dev/null
	expect_match raw '^mmap_objects/count mmap_space/bytes\[dflt\] unreleased_objects/count' \
		"sample types of the whole host"
	! grep -E '(alloc|inuse|fault)_space' raw || fail "a sample type that was not measured"
}

# What --older leaves out of the groups is in the sum, by a name of its own.
filtered() {
	need_bpf
	start_target leaky
	start_trace -p "$TARGET" --live --older 1h --budget none --folded folded --weight live_bytes
	tell_target
	wait_for 60 test "$(cpu_ticks)" -ge 0
	end_trace
	expect_equal "$(awk '{ sum += $NF } END { printf "%d", sum }' folded)" \
		"$(jq '[.processes[].live.bytes] | add' report.json)" "sum"
	! grep -v ';\[not-listed\] ' folded || fail "what is younger is listed"
}

# A program whose name, and with it those of its frames, is made to break every format.
hostile() {
	local name=$'p]]>\n"\'<svg onload=x>&amp;;a b\x01\xff'

	need_bpf
	need_command xmllint go
	cp "$TARGETS/alloc_mix" "$name"
	strip "$name" 2>/dev/null || true
	expect_exit 0 "$MEMDRIFT" trace --json -o report.json --folded folded --pprof profile.pb.gz \
		--svg graph.svg --weight alloc_bytes -- "./$name" --rounds 200
	xmllint --noout --nonet graph.svg || fail "the flame graph is not XML"
	expect_equal "$(grep -c '<script' graph.svg)" 1 "scripts"
	expect_equal "$(xmllint --xpath 'count(//@onload)' graph.svg)" 0 "attributes of the program's"
	expect_equal "$(grep -vcE '^[^ ]+ [0-9]+$' folded)" 0 "malformed folded lines"
	expect_same_top folded alloc_space
	expect_sum alloc_space .allocator.requested_bytes
}

# The root's weight is the report's, and it has the blocks of the folded stacks.
flame_graph() {
	need_bpf
	need_command xmllint
	expect_exit 0 "$MEMDRIFT" trace --json -o report.json --folded folded --svg graph.svg \
		--weight mmap_bytes -- "$TARGETS/map_storm" --rounds 500
	xmllint --noout --nonet graph.svg || fail "the flame graph is not XML"
	expect_equal "$(xmllint --xpath 'string(//*[@data-d="0"]/@data-v)' graph.svg)" \
		"$(jq '[.processes[].mapping.mmap_bytes] | add' report.json)" "the root's weight"
	expect_equal "$(xmllint --xpath 'count(//*[@data-d="1"])' graph.svg)" \
		"$(jq '.processes | length' report.json)" "processes"
	expect_equal "$(xmllint --xpath "sum(//*[@data-d='2']/@data-v) = $(
		awk '{ sum += $NF } END { printf "%d", sum }' folded
	)" graph.svg)" true "the weight of roots is that of the folded stacks"
}

wrong_use() {
	expect_exit 2 "$MEMDRIFT" trace --svg x --weight alloc_bytes 2>err
	expect_match err 'weight alloc_\.\.\. needs allocator probes' "--svg of the host's allocations"
	expect_exit 2 "$MEMDRIFT" trace --svg x --weight live_count -p 1 2>err
	expect_match err 'add --live' "--svg of live allocations without them"
	expect_exit 2 "$MEMDRIFT" trace --weight bytes 2>err
	expect_match err 'mmap_bytes, mmap_count, .*arena_count' "names of weights"
	need_bpf
	expect_exit 1 "$MEMDRIFT" trace --pprof /nowhere/p -d 0.1 2>err
	expect_match err '^memdrift: cannot write /nowhere/p: No such file' "a file that cannot be"
	expect_exit 1 "$MEMDRIFT" trace --svg /dev/full -d 0.1 -o /dev/null 2>err
	expect_match err '^memdrift: cannot write /dev/full: ' "a full disk"
	expect_exit 1 "$MEMDRIFT" trace --pprof /dev/full -d 0.1 -o /dev/null 2>err
	expect_match err '^memdrift: cannot write /dev/full: ' "a full disk"
}

test_case "pprof has what folded alloc_bytes and the report have" pprof_equals_the_report \
	alloc_bytes alloc_space
test_case "pprof has what folded live_bytes and the report have" pprof_equals_the_report \
	live_bytes inuse_space
test_case "pprof leaves out what was not measured" pprof_leaves_out_what_is_unknown
test_case "what --older hides is in the sum" filtered
test_case "a flame graph of what was mapped" flame_graph
test_case "names that would break a format" hostile
test_case "wrong use" wrong_use
