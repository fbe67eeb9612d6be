# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# shellcheck shell=bash disable=SC2154  # what tools/bench sets
# The part of tools/bench on `memdrift watch`, sourced by it: what a pass over /proc costs with a
# thousand processes that sleep, and when all of them have moved since the last one.

watch_processes=1000
watch_followed=0
watch_rss_kb=0

# start_ready NAME COMMAND...: a helper that says "ready".
start_ready() {
	start_helper "$@"
	read -r -t 60 reply <&"${out[$1]}" || die "$1 does not get ready"
}

# measure_pass FIGURE PASSES
measure_pass() {
	ask passes "$2"
	read -r reply watch_followed watch_rss_kb <<<"$reply"
	keep "$1"
}

bench_watch() {
	local round

	echo "watch, $watch_processes processes" >&2
	start_ready idle "$build/targets/many_idle" "$watch_processes" 400
	start_ready passes "$build/bench/pass_cost"
	for ((round = 1; round <= rounds; round++)); do
		measure_pass watch_idle 60
		ask idle "move $watch_processes"
		measure_pass watch_moved 1
	done
	kill "${pids[passes]}" "${pids[idle]}"
	wait "${pids[passes]}" "${pids[idle]}" 2>/dev/null || true
	unset 'pids[passes]' 'pids[idle]'
}

# pass_row NAME FIGURE
pass_row() {
	awk -v name="$1" -v us="${least[$2]}" -v followed="$watch_followed" 'BEGIN {
		printf "  %-46s %8.2f ms %8.1f us %9.3f %%\n", name, us / 1000, us / followed,
			us / 10e6 * 100
	}'
}

print_watch() {
	printf '  memdrift watch: a pass over %s processes\n' "$watch_followed"
	printf '  %-46s %11s %11s %11s\n' "" "CPU" "each" "of a CPU"
	pass_row "that sleep" watch_idle
	pass_row "that all have moved" watch_moved
	printf '  (at the default interval of 10 s; target: 0.3 %%). A process that only samples: %s kB\n\n' \
		"$watch_rss_kb"
}
