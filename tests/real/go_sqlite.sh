#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# A Go program that works with SQLite through cgo. SQLite counts its own memory.

# shellcheck disable=SC2016 # jq's variables, not the shell's
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$(dirname "$0")/common.bash"

root_process='first(.processes[] | select(.pid == $t.pid))'

bounds() {
	need_bpf
	need_target go-sqlite_cgo
	TRUTH=truth "$MEMDRIFT" trace --json --budget none --strict -o out.json -- \
		"$TARGETS/go-sqlite_cgo"
	expect_sound out.json
	expect_json out.json "\$truth[0] as \$t | $root_process | .allocator |
		.requested_bytes >= \$t.sqlite_peak_bytes" \
		"more was asked for than SQLite held at its peak" --slurpfile truth truth
	expect_json out.json "\$truth[0] as \$t | $root_process | .allocator.calls |
		(.malloc + .calloc) - .free >= \$t.sqlite_outstanding_allocations and
		(.malloc + .calloc) - .free <= \$t.sqlite_outstanding_allocations + 2000" \
		"what was not freed is what SQLite holds" --slurpfile truth truth
	expect_json out.json "\$truth[0] as \$t | $root_process | .buckets |
		map(select(.count > 0)) | max_by(.min_bytes) |
		.min_bytes <= \$t.sqlite_largest_request_bytes + 8 and
		.max_bytes >= \$t.sqlite_largest_request_bytes" \
		"the largest request is SQLite's" --slurpfile truth truth
	expect_json out.json "\$truth[0] as \$t | $root_process |
		.growth.go_heap_bytes < .rss.max_bytes / 2" "most is not the Go heap's" \
		--slurpfile truth truth
}

test_case "SQLite through cgo: calls and bytes against SQLite's own statistics" bounds
