# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# shellcheck shell=bash
#
# Sourced by the tests of stacks from Go to C and back, after tests/lib.sh and
# tests/real/common.bash.

# program_chains FOLDED: the chains that end in c_take, without the runtime's and cgo's own frames.
program_chains() {
	grep ';c_take;malloc ' "$1" |
		awk '{
			count = split($1, frames, ";")
			chain = ""
			for (i = 2; i < count; i++)
				if (frames[i] !~ /^(runtime\.|_cgo|crosscall2$|main\._Cfunc_|back_in_go$|clone|start_thread$)/)
					chain = chain (chain ? ";" : "") frames[i]
			sums[chain] += $2
		}
		END { for (chain in sums) print chain, sums[chain] }' | sort
}

# expect_chains PROGRAM: a build of cgo_chains; its stacks are whole, with all of their bytes.
expect_chains() {
	start_stepped "$1"
	reached ready
	start_trace out.json -p "$(pid_at ready)" --folded "$PWD/folded" --weight alloc_bytes
	step
	reached 'done' 120
	end_trace
	step
	sort truth >expected
	program_chains folded >got
	diff expected got || fail "chains of calls through Go and C, and their bytes"
	grep ';c_take;malloc ' folded >whole
	expect_equal "$(grep -c -e '-[0-9]*;runtime.goexit' -e '-[0-9]*;clone3*;' -e '-[0-9]*;__clone3*;' whole)" \
		"$(wc -l <whole)" "stacks that begin where a goroutine or a thread begins"
}
