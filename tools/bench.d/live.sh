# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# shellcheck shell=bash disable=SC2154  # what tools/bench sets
# The part of tools/bench on `memdrift trace --live`, sourced by it. Others are measured as they
# are used: bpftrace's program keeps the same live set, heaptrack is preloaded, memleak is bcc's.

# Threads of the process whose scaling is measured.
thread_counts=(1 2)
declare -A skipped

# live_on PID OPTION...: memdrift follows what that process holds.
live_on() {
	local pid=$1

	shift
	"$memdrift" trace -p "$pid" --live "$@" --budget none --json -o "$work/report" 2>"$work/log" &
	tracer=$!
	wait_until_tracing
}

# live_off PID CALLS: else nothing was measured.
live_off() {
	local want=$2 calls

	stop_tracing
	calls=$(field "[.processes[] | select(.pid == $1) | .allocator.calls.malloc] | add")
	[ "$calls" -ge "$want" ] || die "memdrift --live counted $calls of $want calls"
	calls=$(field "[.processes[] | select(.pid == $1) | .live.unknown_frees] | add")
	# A thread that ends frees once more what its tcache holds (glibc 2.36, tcache_thread_shutdown).
	[ "$calls" -le 100 ] || die "memdrift --live did not know $calls of the freed"
	[ "$(field .losses.total)" = 0 ] || die "memdrift --live lost something: $(field -c .losses)"
}

# attach_on KIND PID, attach_off: what attach_live puts on; the answer to "off" goes to $reply.
attach_on() {
	ask attach "$1 $2"
	[ "$reply" -gt 0 ] || die "no probes were placed"
}

attach_off() {
	ask attach off
}

# other_on NAME COMMAND...: another tracer.
other_on() {
	other=$1
	shift
	# Else its predecessor's word could be taken for its own.
	: >"$work/other.out"
	"$@" >"$work/other.out" 2>"$work/other.err" </dev/null &
	tracer=$!
}

# The kernel takes its probes off; asked to end, bpftrace 0.17 now and then waits for ever.
other_off() {
	kill -9 "$tracer" 2>/dev/null || true
	wait "$tracer" 2>/dev/null || true
	tracer=''
}

# The other tracer cannot be used here: its own last words are the reason.
other_skipped() {
	skipped[$other]=$(tail -q -n 1 "$work/other.err" "$work/other.out" 2>/dev/null | tail -n 1)
	: "${skipped[$other]:=it did not begin to trace}"
	other_off
}

# ready_within SECONDS COMMAND...: waits until the command succeeds, as long as the tracer lives.
ready_within() {
	local end=$((SECONDS + $1))

	shift
	while [ "$SECONDS" -lt "$end" ] && kill -0 "$tracer" 2>/dev/null; do
		! "$@" || return 0
		sleep 0.02
	done
	return 1
}

# The size is kept from the entry to the return, by thread, as all such scripts do.
bpftrace_program() {
	cat <<-END
		uprobe:$1:malloc { @size[tid] = arg0; }
		uretprobe:$1:malloc /@size[tid]/ { @live[retval] = @size[tid]; delete(@size[tid]); }
		uprobe:$1:free { delete(@live[arg0]); }
		interval:ms:10 /!@ready/ { @ready = 1; printf("ready\n"); }
	END
}

live_bpftrace() {
	local libc

	[ -z "${skipped[bpftrace]:-}" ] || return 0
	libc=$(awk '$6 ~ /\/libc[.-]/ { print $6; exit }' "/proc/$target/maps")
	other_on bpftrace bpftrace -p "$target" -e "$(bpftrace_program "$libc")"
	if ready_within 30 grep -q ready "$work/other.out"; then
		measure live_bpftrace target "malloc $malloc_probed"
		other_off
	else
		other_skipped
	fi
}

# It sleeps (nanosleep, select, clock_nanosleep, pselect6) between reports: all is attached.
memleak_sleeps() {
	local call

	read -r call _ <"/proc/$tracer/syscall" 2>/dev/null || return 1
	case $call in 35 | 23 | 230 | 270) return 0 ;; esac
	return 1
}

live_memleak() {
	[ -z "${skipped[memleak]:-}" ] || return 0
	other_on memleak "$memleak" -p "$target" 3600
	if ready_within 60 memleak_sleeps; then
		measure live_memleak target "malloc $malloc_probed"
		other_off
	else
		other_skipped
	fi
}

# heaptrack runs its program from the start, which is another process then.
start_heaptrack() {
	local preload=/usr/lib/heaptrack/libheaptrack_preload.so
	local interpret=/usr/lib/heaptrack/libexec/heaptrack_interpret

	if [ ! -e "$preload" ] || [ ! -e "$interpret" ]; then
		skipped[heaptrack]="it is not installed"
		return 0
	fi
	mkfifo "$work/heaptrack.data"
	"$interpret" <"$work/heaptrack.data" >/dev/null 2>&1 &
	interpreter=$!
	start_helper heaptrack env LD_PRELOAD="$preload" \
		DUMP_HEAPTRACK_OUTPUT="$work/heaptrack.data" "$build/targets/bench_loop"
}

# Its interpreter has a CPU for itself until it has caught up.
interpreter_rests() {
	local state

	for _ in 1 2 3 4 5; do
		read -r _ _ state _ <"/proc/$interpreter/stat"
		[ "$state" = S ] || return 1
		sleep 0.01
	done
}

live_heaptrack() {
	local end=$((SECONDS + 30))

	[ -z "${skipped[heaptrack]:-}" ] || return 0
	measure live_heaptrack heaptrack "malloc $((malloc_plain / 10))"
	until interpreter_rests || [ "$SECONDS" -ge "$end" ]; do
		sleep 0.02
	done
}

start_live() {
	start_helper attach "$build/bench/attach_live"
	start_helper threads "$build/targets/bench_loop"
	start_heaptrack
	command -v bpftrace >/dev/null || skipped[bpftrace]="it is not installed"
	memleak=$(command -v memleak-bpfcc || command -v memleak) ||
		skipped[memleak]="it is not installed"
}

live_pairs() {
	local before now want=$((slices * malloc_probed))

	measure live_plain target "malloc $malloc_plain"

	attach_on floor "$target"
	measure live_floor target "malloc $malloc_probed"
	attach_off

	live_on "$target" --no-stacks
	measure live_bare target "malloc $malloc_probed"
	live_off "$target" "$want"

	live_on "$target"
	measure live_stacks target "malloc $malloc_probed"
	live_off "$target" "$want"

	before=${entries_counted:-0}
	attach_on entries "$target"
	measure live_entries target "malloc $malloc_probed"
	attach_off
	entries_counted=$reply
	now=$((reply - before))
	[ "$now" -ge "$want" ] || die "at plain entries $now of $want calls were counted"

	live_bpftrace
	live_memleak
	live_heaptrack
}

live_threads() {
	local pid=${pids[threads]} n want=0

	for n in "${thread_counts[@]}"; do
		measure "plain_$n" threads "threads $n $malloc_plain"
		want=$((want + n * slices * malloc_probed))
	done
	attach_on floor "$pid"
	for n in "${thread_counts[@]}"; do
		measure "floor_$n" threads "threads $n $malloc_probed"
	done
	attach_off
	live_on "$pid" --no-stacks
	for n in "${thread_counts[@]}"; do
		measure "live_$n" threads "threads $n $malloc_probed"
	done
	live_off "$pid" "$want"
}

# other_row NAME TEXT
other_row() {
	if [ -n "${skipped[$1]:-}" ]; then
		printf '  %-46s %10s %s\n' "$2" "left out:" "${skipped[$1]}"
	else
		row "$2" "${least[live_$1]}" "${least[live_plain]}"
	fi
}

# ratio TEXT OF TO TARGET: of what they add to the untraced pair.
ratio() {
	awk -v text="$1" -v of="${least[$2]}" -v to="${least[$3]}" -v plain="${least[live_plain]}" \
		-v target="$4" 'BEGIN {
		printf "  %-46s %10.2f  (target: at most %s)\n", text, (of - plain) / (to - plain), target
	}'
}

print_live() {
	local n name

	printf '  %-46s %10s %10s\n' "what is outstanding, ns per malloc + free" "" "added"
	row "untraced" "${least[live_plain]}"
	row "floor: empty programs, entry + return + free" "${least[live_floor]}" "${least[live_plain]}"
	row "memdrift --live --no-stacks" "${least[live_bare]}" "${least[live_plain]}"
	row "memdrift --live" "${least[live_stacks]}" "${least[live_plain]}"
	row "the first one at plain function entries" "${least[live_entries]}" "${least[live_plain]}"
	other_row bpftrace "bpftrace, map of live pointers"
	other_row heaptrack "heaptrack (LD_PRELOAD, with stacks)"
	other_row memleak "bcc memleak (with stacks)"
	ratio "--live --no-stacks over the floor" live_bare live_floor 1.25
	ratio "--live --no-stacks over plain entries" live_bare live_entries 0.25

	printf '\n  %-46s' "threads at once, ns per pair of each"
	printf ' %10s' "${thread_counts[@]}"
	for name in plain:untraced floor:floor live:"memdrift --live --no-stacks"; do
		printf '\n  %-46s' "${name#*:}"
		for n in "${thread_counts[@]}"; do
			printf ' %10.1f' "${least[${name%%:*}_$n]}"
		done
	done
	echo
}

bench_live() {
	local round

	start_live
	for ((round = 1; round <= rounds; round++)); do
		echo "live, round $round of $rounds" >&2
		live_pairs
		live_threads
	done
}
