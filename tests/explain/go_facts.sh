#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 600
# What `memdrift explain` tells of Go programs against what they read by runtime.ReadMemStats right
# before and after: with symbols, without DWARF, stripped, position-independent, with cgo, by the
# system's Go and by those of other Debian releases.

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/explain/go_facts.bash
. "$(dirname "$0")/go_facts.bash"

no_dwarf() {
	figures "$offsets" -ldflags=-w
}

stripped() {
	figures "$code" -ldflags='-s -w'
}

stripped_pie() {
	figures "$code" -buildmode=pie -ldflags='-s -w'
}

with_cgo() {
	local cgo=1

	need_command gcc
	sed 's/^import (/import "C"\n&/' "$TESTS/targets/go/memstats/main.go" >main.go
	need_command go
	env GO111MODULE=off GOFLAGS='' CGO_ENABLED=1 GOCACHE="$BUILD_DIR/gocache" \
		go build -ldflags="$1" -o program main.go >build.log 2>&1 ||
		fail "cgo: $(cat build.log)"
	explain_program ./program
	expect_figures "$2"
	expect_json out.json '.go.has_cgo' "cgo is seen"
}

# Set at run time, so that no variable of its environment tells it.
limits() {
	need_root
	need_target go-memstats
	explain_program "$TARGETS/go-memstats" -gogc 50 -limit 3221225472
	expect_figures "$symbols"
	expect_json out.json '.go.gogc_percent == 50 and .go.gomemlimit_bytes == 3221225472' \
		"GOGC and GOMEMLIMIT"
	explain_program "$TARGETS/go-memstats" -gogc -1
	expect_json out.json '.go.gogc_off and .go.gomemlimit_bytes == 9223372036854775807' \
		"neither is set"
}

# The ledger's leftovers: all is the heap's or the runtime's, but for what the program maps itself.
ledger() {
	need_root
	need_target go-memstats
	explain_program "$TARGETS/go-memstats" -goroutines 5000
	expect_json out.json '([.ledger[] | select(.component == "other-anonymous" or
		.component == "unknown") | .resident_bytes] | add // 0) <= 64 * 1024' "leftovers"
	expect_json out.json '.go.span_stacks_resident_bytes > 40 * 1048576' "goroutines' stacks"
}

# other_go SUITE: the same of another Go.
other_go() {
	local go goroot

	fetch_go "$1"
	figures "$symbols"
	figures "$offsets" -ldflags=-w
	figures "$code" -ldflags='-s -w'
}

# From 1.26 on the heap begins at a random address: trace knows its arenas all the same.
traced() {
	local go goroot

	need_bpf
	fetch_go sid
	build_program program
	mkfifo in
	exec 8<>in
	./program -mib 200 <in >said 2>said.err 8>&- &
	target=$!
	wait_for 60 grep -q ready said
	"$MEMDRIFT" trace -d 1 -p "$target" --json -o out.json
	expect_json out.json '[.processes[0].large_mappings[] | select(.kind == "go-arena") |
		.resident_bytes] | add >= 200 * 1048576' "the arenas of its heap"
}

# While it allocates: what is told holds the runtime's invariants, or nothing is told.
moving() {
	need_root
	need_target go-memstats
	explain_program "$TARGETS/go-memstats" -churn 4
	expect_json out.json '.go | if .known then .checks.invariants.ok and
		.heap_alloc_bytes <= .heap_inuse_bytes else .heap_inuse_bytes == null end' \
		"consistent, or unknown"
}

test_case "Go: symbols and DWARF" figures "$symbols"
test_case "Go: without DWARF" no_dwarf
test_case "Go: stripped" stripped
test_case "Go: stripped and position-independent" stripped_pie
test_case "Go with cgo" with_cgo '' "$symbols"
test_case "Go with cgo, stripped" with_cgo '-s -w' "$code"
test_case "GOGC and GOMEMLIMIT" limits
test_case "what is left of a Go program's memory" ledger
test_case "a Go program at work" moving
test_case "the Go of trixie" other_go trixie
test_case "the Go of sid" other_go sid
test_case "the arenas of sid's Go, traced" traced
