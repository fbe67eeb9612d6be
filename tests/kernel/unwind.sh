#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# Stacks of programs without frame pointers, against the chains of calls that the programs know.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../trace.sh"

CROWD_ROUNDS=$([ "$MEMDRIFT_VM" = 1 ] && echo 3000 || echo 20000)

# own_chains FOLDED: from main or the thread's function on, sums of equal ones, without the chains
# that the program does not count.
own_chains() {
	grep -v warm_up "$1" | sed -nE 's/^[^;]*;(.*;)?(main|in_thread);(.*;take);malloc ([0-9]+)$/\2;\3 \4/p
		s/^[^;]*;(.*;)?(in_thread;take);malloc ([0-9]+)$/\2 \3/p
		s/^[^;]*;(\[truncated\].*;take);malloc ([0-9]+)$/\1 \2/p' |
		# What libc's functions are called depends on its debug symbols.
		sed -E 's/;(callback|signalled|spin);.*;(compare|on_[a-z]*);take /;\1;*;\2;take /' |
		awk '{ sums[$1] += $2 } END { for (chain in sums) print chain, sums[chain] }' | sort
}

full_tables_are_there() {
	grep -q 'full unwind tables of a program are there' trace.err
}

hard_chains() {
	need_bpf
	start_target unwind_torture
	start_trace -p "$TARGET" --folded "$PWD/folded" --weight alloc_bytes --budget none "$@"
	tell_target
	wait_for 60 full_tables_are_there
	tell_target
	wait_done
	end_trace
	expect_no_call_losses
	sort truth.json >expected
	own_chains folded >got
	diff expected got || fail "chains of calls and their bytes"
	tell_target
}

# Walks that are interrupted by others on the same CPU, most of all where the kernel is fully
# preemptible (tests/acceptance/preempt.sh).
crowd_keeps_apart() {
	need_bpf
	start_target unwind_torture "$CROWD_ROUNDS"
	start_trace -p "$TARGET" --folded "$PWD/folded" --weight alloc_bytes --budget none "$@"
	tell_target
	wait_done
	end_trace
	expect_no_call_losses
	sort truth.json >expected
	sed -nE 's/^[^;]*;(.*;)?(in_crowd;.*);malloc ([0-9]+)$/\2 \3/p' folded | sort >got
	diff expected got || fail "chains of calls and their bytes"
	tell_target
}

# 16 hashes for some dozens of stacks: those that find no key are lost and counted, and no stack has
# another one's weight.
same_hashes() {
	need_bpf
	start_target unwind_torture
	start_trace -p "$TARGET" --folded "$PWD/folded" --weight alloc_bytes --budget none \
		--stack-hash-bits 4
	tell_target
	wait_for 60 full_tables_are_there
	tell_target
	wait_done
	end_trace
	# Through libc, and where a timer interrupts, one chain has several stacks.
	own_chains folded | grep -vF '*' >got
	grep -vF '*' truth.json | sort >expected
	awk 'NR == FNR { known[$0] = 1; next } !($0 in known)' expected got >wrong
	[ ! -s wrong ] || fail "chains with another one's weight: $(head -c 500 wrong)"
	[ "$(wc -l <got)" -ge 3 ] || fail "only $(wc -l <got) chains were kept"
	# How many find no key depends on how many there are: four keys are tried.
	expect_no_call_losses report.json stacks_lost
	tell_target
}

# From its first instruction on, the loader's and libc's own among them.
whole_from_the_start() {
	need_bpf
	need_target unwind_torture
	TELL=2 trace_held --folded folded --weight alloc_bytes --budget none -- \
		"$TARGETS/unwind_torture"
	expect_no_call_losses
	[ -s folded ] || fail "there are no stacks"
	# Signals are interrupted positions, which need tables that are built when the first came.
	grep -F '[truncated]' folded | grep -vE '\[truncated\](;recurse){125};take;malloc|on_[a-z_]*;' >short ||
		return 0
	cat short
	fail "stacks of a new program that do not reach its root"
}

# A library that nobody foresaw: its first calls may come before memdrift has read it, and say so.
later_library() {
	need_bpf
	need_target liballoc_plugin.so
	start_target alloc_mix --wait --threads 1 --rounds 20000 --dlopen "$TARGETS/liballoc_plugin.so"
	start_trace -p "$TARGET" --folded "$PWD/folded" --weight alloc_count --budget none
	tell_target
	wait_done
	end_trace
	expect_no_call_losses
	awk '/;plugin_run;/ { all += $NF; if (!/;main;/) short += $NF }
		END { print all + 0, short + 0; exit !(all > 1000 && short * 10 < all) }' folded ||
		fail "calls below plugin_run: all, and those without main"
	! grep ';plugin_run;' folded | grep -v ';main;' | grep -vF '[truncated]' || fail "stacks without main and mark"
	tell_target
}

test_case "walks chains of calls that are hard to walk" hard_chains
test_case "the same with allocations followed to their return" hard_chains --live
test_case "eight threads' stacks stay apart" crowd_keeps_apart
test_case "two stacks of one hash stay two" same_hashes
test_case "a library that is loaded later is walked through" later_library
test_case "a command's stacks are whole from its first call on" whole_from_the_start
