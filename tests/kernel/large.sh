#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# vm: no
# limit: 180
# Large mappings that are not released: each with its address, sizes, resident bytes and kind, as
# the program that made them says.
# shellcheck disable=SC2016,SC2119 # $ in single quotes is for jq; arguments are optional
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$(dirname "$0")/../trace.sh"

# run_maps OPTION...: the target makes its mappings while it is traced.
run_maps() {
	start_target large_maps --wait --seed 3
	start_trace -p "$TARGET" --budget none "$@"
	tell_target
	wait_done
	end_trace
	expect_no_losses
}

# expect_mappings FILTER: those of the truth that are "large" by the filter are in the report, each
# once, and no other. What /proc/PID/maps merges is told apart as the program made it.
expect_mappings() {
	jq "[.maps[] | select($1) |
		{address, reserved_bytes, committed_bytes, resident_bytes, before_attach: .before_ready}] |
		sort_by(.address)" truth.json >want.json
	jq '[.processes[0].large_mappings[] |
		{address, reserved_bytes, committed_bytes, resident_bytes, before_attach}] |
		sort_by(.address)' report.json >got.json
	[ "$(jq length want.json)" -gt 0 ] || fail "nothing was to be found"
	diff want.json got.json || fail "large mappings differ from the program's own"
}

# A hole makes a mapping smaller, not released: it was created with 64 MiB.
all_mappings() {
	need_bpf
	run_maps
	expect_mappings '.large and (.released | not)'
}

# expect_each HOW COUNT EXPRESSION: the entries that the truth calls HOW all satisfy it.
expect_each() {
	expect_json report.json "[.processes[0].large_mappings[] | select(.address as \$a |
		any(\$t[0].maps[]; .address == \$a and .how == \$how))] | length == \$n and all($3)" \
		"$1 mappings: $3" --slurpfile t truth.json --arg how "$1" --argjson n "$2"
}

ways_to_make_them() {
	need_bpf
	run_maps
	expect_each trimmed 4 '.reserved_bytes == 67108864 and .committed_bytes < 67108864'
	expect_each overlaid 2 '.reserved_bytes == 67108864 and .committed_bytes == 67108864'
	expect_each overlaid-in-part 1 '.reserved_bytes == 67108864 and .committed_bytes == 8388608'
	expect_each islands 1 '.reserved_bytes == 134217728 and .committed_bytes == 3145728'
	expect_each halved 1 '.reserved_bytes == 67108864'
	expect_each holed 1 '.reserved_bytes == 66060288'
	expect_json report.json '[.processes[0].large_mappings[].address] as $got |
		[$t[0].maps[] | select(.released).address] as $gone |
		[$t[0].maps[] | select(.released | not).address] as $there |
		($gone - $there) | all(. as $a | $got | index($a) | not)' \
		"what was released is not listed" --slurpfile t truth.json
}

# The trimmed ones are made exactly as glibc makes its heaps: by the mapping calls they are arenas.
# Where arena_get2 is probed it denies that, and the report says that the two disagree.
kinds() {
	need_bpf
	run_maps
	expect_each file 1 '.kind == "file"'
	expect_each direct 6 '.kind | IN("anonymous", "fastcache")'
	expect_each islands 1 '.kind == "anonymous"'
	expect_each trimmed 4 '.kind == "glibc-arena"'
	expect_json report.json '[.processes[0].large_mappings[] | select(.kind == "glibc-arena")] |
		length == 4' "no other is taken for an arena"
	expect_json report.json '[.processes[0].large_mappings[] |
		select(.kind | IN("go-arena", "jemalloc", "tcmalloc", "mimalloc"))] == []' \
		"nothing is taken for another allocator's"
	expect_json report.json '.processes[0].arenas | if .source == "mapping" then .created == 4 else
		.created == 0 and .sources_agree == false end' "sources of arenas"
}

# Who made it and when: this program has one thread.
makers() {
	need_bpf
	run_maps
	expect_json report.json '. as $r | .processes[0] | .pid as $pid | [.large_mappings[] |
		.tid == $pid and .age_s > 0 and .age_s < $r.duration_s and
		(.stack | length > 0)] | length > 10 and all' "thread, age and stack"
}

# Four of 64 MiB, made before the trace: the kernel may show them as one, so their sums are what
# can be known.
before_the_trace() {
	need_bpf
	start_target large_maps --wait --early --count 4
	start_trace -p "$TARGET" --budget none
	tell_target
	wait_done
	end_trace
	expect_json report.json '[.processes[0].large_mappings[] | select(.before_attach) |
		.tid == null and .stack == null] | length > 0 and all' "unknown is null"
	jq '[.maps[] | select(.before_ready)]' truth.json >want.json
	for name in reserved_bytes committed_bytes resident_bytes; do
		expect_json report.json '([.processes[0].large_mappings[] | select(.before_attach)[$name]] |
			add) == ([$w[0][][$name]] | add)' "sum of $name" \
			--arg name "$name" --slurpfile w want.json
	done
	expect_json report.json '[.processes[0].large_mappings[] | select(.before_attach | not).address] |
		sort == ([$t[0].maps[] | select(.large and (.released or .before_ready | not)).address] |
		sort)' "later ones are not marked so" --slurpfile t truth.json
}

# --large: other sizes, and only multiples of them.
other_sizes() {
	need_bpf
	run_maps --large "$1"
	expect_mappings "$2"
}

command_at_its_exit() {
	need_bpf
	need_target large_maps
	TRUTH=truth.json expect_exit 0 "$MEMDRIFT" trace --json -o report.json -- "$TARGETS/large_maps"
	# Its end is no release. What was resident is the last sample's, if there was one.
	expect_json report.json '([.processes[0].large_mappings[] | [.address, .reserved_bytes, .committed_bytes]] | sort) ==
		([$t[0].maps[] | select(.large and (.released | not)) |
		  [.address, .reserved_bytes, .committed_bytes]] | sort)' \
		"as they stood at the exit" --slurpfile t truth.json
	expect_json report.json '[.processes[0].large_mappings[] | .resident_bytes == null or
		.resident_age_s >= 0] | all' "resident, or unknown"
}

# In the text: 64/128 MiB mappings with their sums.
text_has_them() {
	need_bpf
	start_target large_maps --wait --count 2
	start_text_trace --all -p "$TARGET"
	tell_target
	wait_done
	end_trace
	jq -r '.maps[] | select(.large and (.released | not)).address' truth.json | while read -r address; do
		expect_match report.txt "^  $address +[a-z]" "a line of each"
	done
	expect_match report.txt "$(jq '[.maps[] | select(.large and (.released | not))] | length' \
		truth.json) large mappings were not released" "how many"
}

test_case "address, reserved, committed and resident bytes of each" all_mappings
test_case "trimmed, overlaid, cut and released ones" ways_to_make_them
test_case "kinds" kinds
test_case "thread, age and stack" makers
test_case "mappings from before the trace" before_the_trace
test_case "--large 128M" other_sizes 128M \
	'(.how | IN("islands", "halved", "trimmed")) or .reserved_bytes == 128 * 1048576'
test_case "--large 65M" other_sizes 65M '.reserved_bytes == 65 * 1048576'
test_case "--large 192M,65M" other_sizes 192M,65M '.reserved_bytes | IN(192 * 1048576, 65 * 1048576)'
test_case "of a command, at its exit" command_at_its_exit
test_case "the text lists them" text_has_them
