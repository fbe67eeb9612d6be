#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# vm: no
# Names of frames in what a trace writes.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$(dirname "$0")/../trace.sh"

# line_of WORD: where the source of the target says it.
line_of() {
	grep -n "/\* $1 \*/" "$TESTS/targets/inlined.c" | cut -d: -f1
}

# folded_of OPTION...: traces $TARGET while it maps; stacks in ./folded.
folded_of() {
	start_trace -p "$TARGET" --folded folded "$@"
	tell_target
	wait_done
	end_trace 0
	tell_target
	cat folded
}

lines_and_inlined_functions() {
	need_bpf
	start_target inlined
	folded_of --lines
	grep -q ";outer_get_(inlined.c:$(line_of call));inlined_get_(inlined.c:$(line_of get)) 10485760$" \
		folded || fail "the inlined function is not where its source has it"
}

# Without --lines there are no lines, and a stripped program has no names of its own.
stripped_without_lines() {
	need_bpf
	need_command strip
	need_target inlined
	strip -o stripped "$TARGETS/inlined"
	TARGETS=. start_target stripped
	folded_of
	grep -q ';stripped+0x[0-9a-f]* 10485760$' folded || fail "no frame is object+0xoffset"
	! grep -q '(\|<null>' folded || fail "a line, or a frame without any name"
}

stripped_go() {
	need_bpf
	need_command strip
	need_target go-memstats
	strip -o stripped "$TARGETS/go-memstats"
	"$MEMDRIFT" trace --folded folded -o report.txt -- ./stripped </dev/null >said
	head -c 3000 folded
	grep -q ';runtime\.main;main\.main;.*runtime\.sysMmap' folded || fail "no function of the runtime's"
	! grep -q ';stripped+0x' folded || fail "a function of Go's has no name"
}

servers_are_asked_for() {
	local got=0

	need_bpf
	env -u DEBUGINFOD_URLS "$MEMDRIFT" trace --debuginfod -o report.txt -- true 2>err || got=$?
	cat err
	expect_equal "$got" 1 "exit code"
	grep -q DEBUGINFOD_URLS err || fail "it does not say what is missing"
}

test_case "names: source lines and inlined functions with --lines" lines_and_inlined_functions
test_case "names: what has no name is object+0xoffset" stripped_without_lines
test_case "names: stripped Go has its functions' names" stripped_go
test_case "names: --debuginfod without servers is refused" servers_are_asked_for
