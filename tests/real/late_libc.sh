#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# A program that starts static, without a C library, and gets one later by itself.

# shellcheck disable=SC2016 # jq's variables, not the shell's
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$(dirname "$0")/common.bash"

args=(--threads 3 --seed 11)

# With the command traced from its start.
as_command() {
	need_bpf
	need_target late_libc alloc_mix
	trace_command base.json "$TARGETS/late_libc" "$TARGETS/alloc_mix" "${args[@]}" --rounds 0
	trace_command out.json "$TARGETS/late_libc" "$TARGETS/alloc_mix" "${args[@]}" --rounds 3000
	expect_sound out.json
	expect_exact out.json base.json
}

# A breakpoint makes a private copy of its page of libc's code.
has_probes() {
	awk '$1 ~ /^[0-9a-f]+-[0-9a-f]+$/ { libc = $2 ~ /x/ && $6 ~ /libc/ }
		libc && $1 == "Private_Dirty:" && $2 > 0 { found = 1 }
		END { exit !found }' "/proc/$1/smaps"
}

# one_attached OUT ROUNDS: traced by pid from before the library is there.
one_attached() {
	rm -f steps
	start_stepped "$TARGETS/late_libc" --wait "$TARGETS/alloc_mix" --wait "${args[@]}" \
		--rounds "$2"
	reached static
	start_trace "$1" -p "$(pid_at static)"
	step
	reached ready
	# The library is there; its probes come when memdrift has read of it.
	wait_for 20 has_probes "$(pid_at ready)"
	step
	reached 'done'
	cp truth "$1.truth"
	step
	expect_exit 0 wait "$trace"
	exec 7>&-
}

before_the_library() {
	need_bpf
	need_target late_libc alloc_mix
	one_attached base.json 0
	one_attached out.json 3000
	expect_sound out.json
	expect_exact out.json base.json
}

test_case "a static program that loads libc by hand, as a command" as_command
test_case "a static program traced by pid before it loads libc" before_the_library
