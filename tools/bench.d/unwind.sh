# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# shellcheck shell=bash disable=SC2154  # what tools/bench sets
# The part of tools/bench on call stacks, sourced by it: one probed function below a known number of
# calls; an empty BPF program, memdrift's walk of code without frame pointers, and bpf_get_stack on
# the same code with them, in turn.

stack_depths=(2 12 52 112)
stack_calls=$((100 * scale))
declare -A stack_frames

# measure_stack FIGURE PROGRAM HELPER DEPTH
measure_stack() {
	ask stack "$2 ${pids[$3]}"
	measure "$1" "$3" "$4 $stack_calls"
	ask stack off
	stack_frames[$1]=$reply
}

bench_unwind() {
	local round depth

	start_helper stack "$build/bench/attach_stack"
	start_helper no_pointers "$build/targets/stack_depth"
	start_helper pointers "$build/targets/stack_depth_fp"
	for ((round = 1; round <= rounds; round++)); do
		echo "stacks: round $round of $rounds" >&2
		for depth in "${stack_depths[@]}"; do
			measure_stack "empty_$depth" empty no_pointers "$depth"
			measure_stack "walk_$depth" walk no_pointers "$depth"
			measure_stack "empty_fp_$depth" empty pointers "$depth"
			measure_stack "kernel_$depth" kernel pointers "$depth"
		done
	done
	for depth in "${stack_depths[@]}"; do
		[ "${stack_frames[walk_$depth]}" -ge "$((depth + 5))" ] ||
			die "of $depth calls memdrift walked ${stack_frames[walk_$depth]} frames"
	done
}

# stack_row DEPTH
stack_row() {
	awk -v walk="${least[walk_$1]}" -v empty="${least[empty_$1]}" -v frames="${stack_frames[walk_$1]}" \
		-v kernel="${least[kernel_$1]}" -v empty_fp="${least[empty_fp_$1]}" \
		-v kernel_frames="${stack_frames[kernel_$1]}" 'BEGIN {
		printf "  %6d %10.0f %10.0f %10d %10.0f %10.2f\n", frames, empty, walk - empty,
			kernel_frames, kernel - empty_fp, (walk - empty) / (kernel - empty_fp)
	}'
}

print_unwind() {
	local depth first=${stack_depths[0]} last=${stack_depths[-1]}

	echo "  ns per call stack, over an empty BPF program: memdrift's walk of code without frame"
	echo "  pointers, and bpf_get_stack on the same code with them"
	printf '  %6s %10s %10s %10s %10s %10s\n' frames empty walk 'its frames' get_stack ratio
	for depth in "${stack_depths[@]}"; do
		stack_row "$depth"
	done
	awk -v few="${stack_frames[walk_$first]}" -v many="${stack_frames[walk_$last]}" \
		-v least="${least[walk_$first]}" -v most="${least[walk_$last]}" 'BEGIN {
		printf "  each frame more: %.1f ns\n\n", (most - least) / (many - few)
	}'
}
