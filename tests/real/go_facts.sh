#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 300
# What `memdrift explain` tells of Go programs against what they read by runtime.ReadMemStats right
# before and after: with symbols, without DWARF, stripped, position-independent, with cgo, by the
# system's Go and by those of other Debian releases.

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

# fetch_go SUITE PACKAGE: sets $goroot to a Go of Debian's, beside the system's.
fetch_go() {
	local part unpacked=$BUILD_DIR/pkg

	need_command apt-get dpkg-deb
	for part in go src; do
		"$TESTS/../tools/fetch-package" "$1" "$2-$part" "$unpacked/$2-$part-$1" \
			"golang-[0-9.]+-$part" >fetch.log 2>&1 ||
			skip "$2-$part of $1 cannot be had: $(tail -n 1 fetch.log)"
	done
	# Its parts are links to where the packages would be installed.
	goroot=$PWD/goroot
	for part in bin pkg/tool go.env VERSION; do
		mkdir -p "$goroot/$(dirname "$part")"
		[ ! -e "$(echo "$unpacked/$2-go-$1"/usr/lib/go-*/"$part")" ] ||
			cp -a "$unpacked/$2-go-$1"/usr/lib/go-*/"$part" "$goroot/$part"
	done
	cp -a "$unpacked/$2-go-$1"/usr/share/go-*/pkg/include "$goroot/pkg/"
	for part in src lib; do
		ln -s "$unpacked/$2-src-$1"/usr/share/go-*/"$part" "$goroot/$part"
	done
}

# build_program OUT OPTION...: tests/targets/go/memstats, by $goroot's Go or the system's.
build_program() {
	local out=$1 go=go

	shift
	[ -z "${goroot:-}" ] || go=$goroot/bin/go
	need_command "$go"
	env ${goroot:+GOROOT="$goroot"} GO111MODULE=off GOTOOLCHAIN=local GOFLAGS='' \
		CGO_ENABLED="${cgo:-0}" GOCACHE="$BUILD_DIR/gocache" \
		"$go" build "$@" -o "$out" "$TESTS/targets/go/memstats/main.go" >build.log 2>&1 ||
		skip "it cannot be built: $(tail -n 1 build.log)"
}

# explain_program PROGRAM OPTION...: out.json, and what the program says, said.json: an array of
# what it read before and after.
explain_program() {
	mkfifo in
	exec 8<>in
	"$@" <in >said 2>said.err 8>&- &
	target=$!
	wait_for 60 grep -q before said
	"$MEMDRIFT" explain -p "$target" --json >out.json
	echo >&8
	wait_for 60 grep -q after said
	head -n 2 said | jq -s . >said.json
	kill "$target"
	exec 8>&-
	rm in
}

# expect_figures SOURCE: each within 1 % of what the program read before or after.
expect_figures() {
	expect_json out.json '.go.known and .go.source == $s' "figures, by $1" --arg s "$1"
	expect_json out.json '.go as $go | $t[0] as [$a, $b] | [
		["heap_inuse_bytes", "heap_inuse"], ["heap_idle_bytes", "heap_idle"],
		["heap_released_bytes", "heap_released"], ["heap_alloc_bytes", "heap_alloc"],
		["stacks_inuse_bytes", "stacks_inuse"], ["sys_bytes", "sys"],
		["heap_goal_bytes", "next_gc"], ["num_gc", "num_gc"]] | all(
			$go[.[0]] >= ([$a[.[1]], $b[.[1]]] | min * 0.99) and
			$go[.[0]] <= ([$a[.[1]], $b[.[1]]] | max * 1.01))' \
		"as runtime.ReadMemStats has them: $(cat said)" --slurpfile t said.json
	expect_json out.json '.go.checks.invariants.ok' "the runtime's invariants hold"
	expect_json out.json '.go | ([.classes[].span_bytes] | add) == .heap_inuse_bytes and
		([.classes[].object_bytes] | add) == .heap_alloc_bytes' "classes add up"
}

# figures SOURCE OPTION_OF_BUILD...
figures() {
	local source=$1

	shift
	need_root
	build_program program "$@"
	explain_program ./program
	expect_figures "$source"
}

symbols='symbols and DWARF'
offsets='symbols, offsets of this version'
code='references in the code, offsets of this version'

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

# other_go SUITE PACKAGE: the same of another Go, stripped as well.
other_go() {
	local goroot

	fetch_go "$1" "$2"
	figures "$symbols"
	figures "$offsets" -ldflags=-w
	stripped
	stripped_pie
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
test_case "the Go of trixie" other_go trixie golang
test_case "the Go of sid" other_go sid golang
