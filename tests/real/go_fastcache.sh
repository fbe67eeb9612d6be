#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# A Go program without cgo whose caches map chunks of 64 MiB directly and never unmap them.

# shellcheck disable=SC2016 # jq's variables, not the shell's
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$(dirname "$0")/common.bash"

program=go-fastcache_chunks
sizes=(-first 600 -second 400)
[ "$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)" -ge 2500 ] ||
	sizes=(-first 150 -second 100)

# The mappings of the program's process that are not Go's own heap.
chunks='first(.processes[] | select(.pid == $t.pid)) | .large_mappings |
	map(select(.kind == "fastcache" or .kind == "anonymous"))'

expect_chunks() {
	expect_json out.json "\$truth[0] as \$t | $chunks | length == \$t.chunks" \
		"as many chunks as fastcache's rule gives" --slurpfile truth truth
	expect_json out.json "\$truth[0] as \$t | $chunks |
		([.[].reserved_bytes] | add) == \$t.reserved_bytes and
		all(.reserved_bytes == 64 * 1048576 and .committed_bytes == .reserved_bytes)" \
		"chunks of 64 MiB each, all committed" --slurpfile truth truth
	expect_json out.json "\$truth[0] as \$t | $chunks |
		([.[].address] | unique | length) == \$t.chunks" "each at an address of its own" \
		--slurpfile truth truth
	expect_json out.json '$truth[0] as $t | first(.processes[] | select(.pid == $t.pid)) |
		.large_mappings | map(select(.kind == "glibc-arena")) | length == 0' \
		"none is taken for an arena of glibc" --slurpfile truth truth
	expect_json out.json '$truth[0] as $t | first(.processes[] | select(.pid == $t.pid)) |
		[.large_mappings[] | select(.kind == "go-arena") | .reserved_bytes] |
			add <= $t.go_heap_sys_bytes + 64 * 1048576' "no more Go arenas than Go has" \
		--slurpfile truth truth
}

# Within one hundredth of what its own smaps said.
expect_resident() {
	expect_json out.json "\$truth[0] as \$t | $chunks | ([.[].resident_bytes] | add) as \$r |
		\$r >= 0.99 * \$t.resident_bytes and \$r <= 1.01 * \$t.resident_bytes" \
		"resident within 1 % of smaps" --slurpfile truth truth
}

as_command() {
	need_bpf
	need_target "$program"
	TRUTH=truth "$MEMDRIFT" trace --json --strict -o out.json -- "$TARGETS/$program" "${sizes[@]}"
	expect_only_losses out.json
	expect_chunks
}

from_before() {
	need_bpf
	need_target "$program"
	start_stepped "$TARGETS/$program" -wait "${sizes[@]}"
	reached ready
	start_trace out.json -p "$(pid_at ready)"
	step
	reached 'done' 120
	end_trace
	expect_chunks
	expect_resident
	expect_json out.json "\$truth[0] as \$t | $chunks | all(.before_attach | not)" \
		"all seen as they were mapped" --slurpfile truth truth
	expect_json out.json "\$truth[0] as \$t | $chunks | all(.tid != null)" \
		"the thread that mapped each" --slurpfile truth truth
}

# Adjacent chunks are one mapping in /proc/PID/maps by then: only their bytes can be told.
afterwards() {
	need_bpf
	need_target "$program"
	start_stepped "$TARGETS/$program" -wait "${sizes[@]}"
	reached ready
	step
	reached 'done' 120
	"$MEMDRIFT" trace --json -d 1 -p "$(pid_at ready)" -o out.json
	expect_json out.json "\$truth[0] as \$t | $chunks |
		([.[].reserved_bytes] | add) >= \$t.reserved_bytes and all(.before_attach)" \
		"the chunks from before the trace" --slurpfile truth truth
	expect_resident
}

test_case "fastcache as a command: every chunk, none released" as_command
test_case "fastcache by pid: every chunk, thread and resident bytes" from_before
test_case "fastcache when it has all of its memory already" afterwards
