# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# shellcheck shell=bash disable=SC2154  # what tools/bench sets
# The part of tools/bench on `memdrift explain`, sourced by it: glibc heaps of blocks of different
# size, half of them freed at random, read by memdrift and, page after page, by a program that only
# copies them (read_resident), in turn; the least of all rounds.

# "average block:smallest:largest:MB". heap_mix's blocks average smallest + (largest - smallest) / 4;
# a chunk is 8 bytes more, rounded up to 16.
heap_mb=${BENCH_HEAP_MB:-1000}
heaps=("42 kB:20000:108000:$heap_mb" "3 kB:16:12000:$heap_mb" "300 B:16:1100:$heap_mb"
	"60 B:16:120:$heap_mb" "60 B:16:120:$((4 * heap_mb))")
heap_threads=4
declare -A heap_facts
heap=''

# has_memory MB: what the target needs, its books and memdrift's, and half a GB for the host.
has_memory() {
	local kb

	kb=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
	[ "$kb" -gt $((1200 * $1 + 500000)) ]
}

# start_heap SMALLEST LARGEST MB: its threads, the first one included, share the megabytes.
start_heap() {
	heap=heap_$1_$2_$3
	start_helper "$heap" "$build/targets/heap_mix" --threads "$heap_threads" \
		--mb $(($3 / (heap_threads + 1))) --min-bytes "$1" --max-bytes "$2" --keep 50
	read -r -t 300 reply <&"${out[$heap]}" || die "heap_mix does not get ready"
}

stop_heap() {
	kill -KILL "${pids[$heap]}"
	wait "${pids[$heap]}" 2>/dev/null || true
	unset "pids[$heap]"
}

# What must not change: resident memory and page tables. VmRSS of status is a sum of the CPUs'
# counters that is up to some pages off, and moves while nothing happens; smaps_rollup counts pages.
heap_state() {
	awk '$1 == "Rss:" || $1 == "Swap:" || $1 == "VmPTE:" { printf " %s %s", $1, $2 }' \
		"/proc/${pids[$heap]}/smaps_rollup" "/proc/${pids[$heap]}/status"
}

# One reading of each; memdrift's must be whole, else nothing was measured.
read_heap() {
	local pid=${pids[$heap]} before after rest

	before=$(heap_state)
	"$build/bench/run_cost" "$work/cost" "$memdrift" explain -p "$pid" --json >"$work/report" ||
		die "memdrift explain failed"
	after=$(heap_state)
	[ "$before" = "$after" ] || heap_facts[state_$heap]="$before, then $after kB"
	[ "$(field '.glibc.checks.stood_still and .glibc.unwalked_bytes == 0')" = true ] ||
		die "memdrift did not walk all of the heap: $(field -c .glibc.checks)"
	read -r reply rest <"$work/cost"
	keep "explain_$heap"
	heap_facts[peak_$heap]=$rest
	heap_facts[bytes_$heap]=$(field .glibc.system_bytes)
	heap_facts[read_$heap]=$(field .cost.bytes_read)
	"$build/bench/read_resident" "$pid" >"$work/floor" || die "read_resident failed"
	# shellcheck disable=SC2034  # keep() reads it
	read -r reply rest <"$work/floor"
	keep "copy_$heap"
	heap_facts[copied_$heap]=$rest
}

bench_explain() {
	local one name least_bytes largest_bytes mb round

	for one in "${heaps[@]}"; do
		IFS=: read -r name least_bytes largest_bytes mb <<<"$one"
		echo "explain, $name, $mb MB" >&2
		has_memory "$mb" || continue
		start_heap "$least_bytes" "$largest_bytes" "$mb"
		for ((round = 1; round <= rounds; round++)); do
			read_heap
		done
		stop_heap
	done
}

# heap_row NAME
heap_row() {
	awk -v name="$1" -v cpu="${least[explain_$heap]}" -v copy="${least[copy_$heap]}" \
		-v bytes="${heap_facts[bytes_$heap]}" -v read="${heap_facts[read_$heap]}" \
		-v copied="${heap_facts[copied_$heap]}" -v peak="${heap_facts[peak_$heap]}" \
		-v state="${heap_facts[state_$heap]:-the same}" 'BEGIN {
		printf "  %-6s %5.2f GB %9.3f %9.3f %8.1f MB %8.2f GB %9.3f %9.2f x  %s\n", name,
			bytes / 1e9, cpu, cpu / bytes * 1e9, peak * 1.024 / 1000, read / 1e9, copy,
			cpu / copy * copied / bytes, state
	}'
}

print_explain() {
	local one name least_bytes largest_bytes mb

	printf '  memdrift explain: glibc heap in %s arenas, half of its blocks freed\n' \
		$((heap_threads + 1))
	printf '  %-6s %8s %9s %9s %11s %11s %9s %11s  %s\n' block heap "CPU s" "per GB" memory \
		"read" "copying" "CPU" "RSS, page tables"
	printf '  %-6s %8s %9s %9s %11s %11s %9s %11s  %s\n' "" "" "" "" "" "" "all, s" \
		"over that" "before and after"
	for one in "${heaps[@]}"; do
		IFS=: read -r name least_bytes largest_bytes mb <<<"$one"
		heap=heap_${least_bytes}_${largest_bytes}_$mb
		if [ -n "${least[explain_$heap]:-}" ]; then
			heap_row "$name"
		else
			printf '  %-6s %5.2f GB left out: not enough memory available\n' "$name" \
				"$(awk "BEGIN { print $mb / 1000 }")"
		fi
	done
	printf '  (target: 4 GB in at most 1.5 s and 64 MB)\n\n'
}
