#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# Stacks that lead from Go through cgo to C, and from C back to Go, against the chains of calls that
# the program knows.

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$(dirname "$0")/common.bash"
# shellcheck source=tests/real/go_chains.bash
. "$(dirname "$0")/go_chains.bash"

chains() {
	need_bpf
	need_target go-cgo_chains
	expect_chains "$TARGETS/go-cgo_chains"
}

# Names come from .gopclntab then; C's functions have none.
chains_when_stripped() {
	need_bpf
	need_target go-cgo_chains
	strip -o stripped "$TARGETS/go-cgo_chains"
	start_stepped ./stripped
	reached ready
	start_trace out.json -p "$(pid_at ready)" --folded "$PWD/folded" --weight alloc_bytes
	step
	reached 'done' 120
	end_trace
	step
	# The two C functions of each chain are "stripped+0x...".
	sed -E 's/;c_[a-z_]*//g; s/^c_thread;//' truth | sort >expected
	grep -E 'main\.two;' folded | grep -E ';stripped\+0x[0-9a-f]+;malloc ' |
		sed -E 's/;stripped\+0x[0-9a-f]+//g; s/;malloc /;c_take;malloc /' >named
	. "$TESTS/real/go_chains.bash"
	program_chains named | sed 's/;c_take / /' | sort >got
	diff expected got || fail "chains of calls in a stripped program"
}

test_case "stacks from Go to C and back" chains
test_case "Go's functions of a stripped program" chains_when_stripped
