#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# A Go program whose memory is glibc's: 16 threads, an arena for each but one, and nearly all of
# it free again at the end. Go knows nothing of it.

# shellcheck disable=SC2016 # jq's variables, not the shell's
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$(dirname "$0")/common.bash"

program=go-calloc_arenas
# Enough to tell arenas from noise where memory is short.
mb=64
[ "$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)" -ge 2500 ] || mb=16

root_process='first(.processes[] | select(.pid == $t.pid))'

# expect_arenas MOMENT: arenas by the program's own malloc_info at that moment, which counts the
# main arena and those that threads of the runtime had before the trace.
expect_arenas() {
	expect_json out.json "\$truth[0] as \$t | $root_process |
		([.large_mappings[] | select(.kind == \"glibc-arena\" and .before_attach)] | length)
			as \$before | .arenas.created == \$t.$1.arenas - 1 - \$before and
			\$before < 8" "arenas created" --slurpfile truth truth
	expect_json out.json "\$truth[0] as \$t | $root_process | .arenas |
		.present == \$t.$1.arenas" "arenas present" --slurpfile truth truth
	expect_json out.json "\$truth[0] as \$t | .host.cpus_online as \$cpus |
		$root_process | .arenas | .limit == 8 * \$cpus and
		.present - 1 == ([16, .limit - 1] | min)" "arenas against the limit of 8 x CPUs" \
		--slurpfile truth truth
	expect_json out.json "\$truth[0] as \$t | $root_process | .arenas |
		(.events | length) == .created and
		([.events[].tid] | unique | length) == .created" "one thread for each new arena" \
		--slurpfile truth truth
}

# Each call is calloc's; the Go runtime adds a few for the threads that it starts.
expect_calls() {
	local moment=$1

	expect_json out.json "\$truth[0] as \$t | $root_process |
		.allocator.calls.calloc - \$t.$moment.callocs | . >= 0 and . <= 200" \
		"callocs" --slurpfile truth truth
	expect_json out.json "\$truth[0] as \$t | $root_process |
		.allocator.requested_bytes - \$t.$moment.requested_bytes |
			. >= 0 and . <= 1000000" "requested bytes" --slurpfile truth truth
}

# Within one hundredth.
near() {
	[ $(($1 * 100)) -ge $(($2 * 99)) ] && [ $(($1 * 99)) -le $(($2 * 100)) ]
}

# It stands at its peak while memdrift reports and while smaps is read.
at_the_peak() {
	local pid count=0 address reserved resident real

	need_bpf
	need_target "$program"
	start_stepped "$TARGETS/$program" -wait -mb "$mb"
	reached ready
	pid=$(pid_at ready)
	start_trace out.json -p "$pid"
	step
	reached peak 120
	end_trace
	expect_sound out.json
	expect_arenas peak
	expect_calls peak
	jq -r --argjson pid "$pid" '.processes[] | select(.pid == $pid) | .large_mappings[] |
		select(.kind == "glibc-arena") |
		"\(.address) \(.reserved_bytes) \(.resident_bytes)"' out.json >arenas
	while read -r address reserved resident; do
		expect_equal "$reserved" $((64 << 20)) "reserved bytes of the heap at $address"
		real=$("$REAL/range-rss" "$pid" "$address" "$reserved")
		near "$resident" "$real" ||
			fail "heap at $address: $resident bytes resident, smaps has $real"
		count=$((count + 1))
	done <arenas
	[ "$count" -ge "$(jq '.peak.arenas - 1' truth)" ] || fail "only $count heaps in the report"
	expect_json out.json "\$truth[0] as \$t | $root_process | .growth |
		.arenas_bytes >= 0.8 * \$t.peak.requested_bytes and
		.go_heap_bytes <= 0.02 * \$t.peak.requested_bytes" \
		"the arenas hold the growth, the Go heap does not" --slurpfile truth truth
	step
	reached 'done'
	step
}

# As a user would: the whole life of a command.
as_command() {
	need_bpf
	need_target "$program"
	TRUTH=truth "$MEMDRIFT" trace -i 100ms --json --budget none --strict -o out.json -- \
		"$TARGETS/$program" -mb "$mb"
	expect_sound out.json
	expect_arenas end
	expect_json out.json "\$truth[0] as \$t | $root_process |
		.arenas.created == \$t.end.arenas - 1" "every arena but the main one" \
		--slurpfile truth truth
	expect_calls end
	expect_json out.json "\$truth[0] as \$t | $root_process | .allocator.calls.free >= \$t.end.frees" \
		"frees" --slurpfile truth truth
	expect_json out.json "\$truth[0] as \$t | $root_process | .arenas.limit_source != null" \
		"where the limit comes from" --slurpfile truth truth
}

# limited SETTING ARENAS: the limit is the environment's.
limited() {
	need_bpf
	need_target "$program"
	TRUTH=truth env "$1" "$MEMDRIFT" trace -i 100ms --json --budget none --strict -o out.json \
		-- "$TARGETS/$program" -mb 32
	expect_sound out.json
	expect_json truth ".end.arenas == $2" "the program's own count"
	expect_json out.json "\$truth[0] as \$t | $root_process |
		.arenas.created == $2 - 1 and .arenas.present == $2 and .arenas.limit == $2" \
		"arenas under $1" --slurpfile truth truth
}

test_case "Go with cgo at its peak: arenas, resident bytes, calls" at_the_peak
test_case "Go with cgo as a command" as_command
test_case "MALLOC_ARENA_MAX" limited MALLOC_ARENA_MAX=3 3
test_case "GLIBC_TUNABLES" limited GLIBC_TUNABLES=glibc.malloc.arena_max=5 5
