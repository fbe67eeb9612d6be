# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# shellcheck shell=bash
#
# What `memdrift explain` tells of a Go program against what that reads by runtime.ReadMemStats.
# After tests/lib.sh.

# shellcheck source=tests/real/go.bash
. "$TESTS/real/go.bash"

# build_program OUT OPTION...: tests/targets/go/memstats, by fetch_go's Go or the system's.
build_program() {
	local out=$1

	shift
	need_command "${go:-go}"
	env ${goroot:+GOROOT="$goroot"} GO111MODULE=off GOTOOLCHAIN=local GOFLAGS='' \
		CGO_ENABLED="${cgo:-0}" GOCACHE="$BUILD_DIR/gocache" \
		"${go:-go}" build "$@" -o "$out" "$TESTS/targets/go/memstats/main.go" >build.log 2>&1 ||
		fail "it cannot be built: $(tail -n 3 build.log)"
}

# explain_program PROGRAM OPTION...: out.json, and what the program says, said.json: an array of
# what it read before and after.
explain_program() {
	rm -f said # of the program before
	mkfifo in
	exec 8<>in
	"$@" <in >said 2>said.err 8>&- &
	target=$!
	wait_for 60 grep -q ready said
	"$MEMDRIFT" explain -p "$target" --json >out.json
	echo >&8
	wait_for 60 grep -q after said
	head -n 3 said | jq -s 'map(select(.when != "ready"))' >said.json
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

# The sources that `explain` names.
# shellcheck disable=SC2034 # the tests use them
symbols='symbols and DWARF'
# shellcheck disable=SC2034
offsets='symbols, offsets of this version'
# shellcheck disable=SC2034
code='references in the code, offsets of this version'
