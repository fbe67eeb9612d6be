# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# shellcheck shell=bash
#
# For tests of `memdrift trace`, after tests/lib.sh: targets that wait for a word, traces that run
# beside them. A test case has one target and one trace at a time.

# start_target NAME [ARGUMENT...]: runs it with its truth in truth.json and its words in target.out,
# until it says "ready". Sets $TARGET.
start_target() {
	local name=$1

	shift
	need_target "$name"
	# Words of a target before it must not be taken for its own.
	rm -f target.in target.out
	mkfifo target.in
	# Read and write: neither side waits for the other to open.
	exec 8<>target.in
	TRUTH=truth.json "$TARGETS/$name" "$@" <target.in >target.out 8>&- &
	# shellcheck disable=SC2034 # the tests read it
	TARGET=$!
	wait_for 60 grep -q '^ready' target.out
}

# tell_target: one line; it goes on to its next stop.
tell_target() {
	echo >&8
}

wait_done() {
	wait_for 240 grep -q '^done' target.out
}

# start_trace OPTION...: in the background, with JSON in report.json. Sets $TRACE.
start_trace() {
	begin_trace --json -o report.json "$@"
}

# start_text_trace OPTION...: the same with text in report.txt.
start_text_trace() {
	begin_trace -o report.txt "$@"
}

begin_trace() {
	# The words of a trace before it are not its own: it would be told to end before it listens.
	rm -f trace.err report.json report.txt
	"$MEMDRIFT" trace -v "$@" 2>trace.err 8>&- &
	TRACE=$!
	wait_for 120 trace_has_begun
}

trace_has_begun() {
	grep -q 'the trace has begun' trace.err && return 0
	kill -0 "$TRACE" 2>/dev/null && return 1
	# It has failed, or was short.
	grep -q 'the trace has begun' trace.err || fail "memdrift trace ended: $(head -c 500 trace.err)"
}

# trace_held OPTION... -- PROGRAM ARGUMENT...: traces a command from its first call on. At its "done"
# it stands until it is told: what ends a millisecond after its exec may be gone before memdrift has
# looked at it. $TELL lines, 1 when not set, lead it there.
trace_held() {
	local i got=0

	rm -f target.in target.out trace.err report.json
	mkfifo target.in
	exec 8<>target.in
	TRUTH=truth.json "$MEMDRIFT" trace -v --json -o report.json "$@" <target.in >target.out \
		2>trace.err 8>&- &
	TRACE=$!
	for ((i = 0; i < ${TELL:-1}; i++)); do
		tell_target
	done
	wait_done
	tell_target
	wait "$TRACE" || got=$?
	[ "$got" = 0 ] || fail "memdrift exited with $got: $(head -c 1000 trace.err)"
}

# end_trace: as ^C does; its exit code must be the argument (0).
end_trace() {
	local want=${1:-0} got=0

	kill -INT "$TRACE"
	wait "$TRACE" || got=$?
	[ "$got" = "$want" ] || fail "memdrift exited with $got: $(head -c 1000 trace.err)"
}

# join_trace: waits until it ends by itself.
join_trace() {
	local want=${1:-0} got=0

	wait "$TRACE" || got=$?
	[ "$got" = "$want" ] || fail "memdrift exited with $got: $(head -c 1000 trace.err)"
}

# How many breakpoints are in the target's libc: its code in memory against that of the file.
breakpoints() {
	local range offset path start pages

	read -r range _ offset _ _ path < <(grep 'r-xp.*/libc\.so' "/proc/$TARGET/maps")
	start=$((0x${range%-*} / 4096))
	pages=$((0x${range#*-} / 4096 - start))
	dd if="/proc/$TARGET/mem" of=in-memory bs=4096 skip="$start" count="$pages" 2>/dev/null
	dd if="$path" of=in-file bs=4096 skip=$((0x$offset / 4096)) count="$pages" 2>/dev/null
	[ "$(wc -c <in-memory)" = $((pages * 4096)) ] || fail "the target's code could not be read"
	{ cmp -l in-file in-memory || true; } | wc -l
}

no_breakpoint() {
	[ "$(breakpoints)" = 0 ]
}

# Processes of memdrift's own that this test file left behind.
keepers() {
	local path

	grep -lsxz -e "MEMDRIFT_TEST_ID=$MEMDRIFT_TEST_ID" /proc/[0-9]*/environ |
		while read -r path; do
			grep -lsx drift-keeper "${path%environ}comm"
		done
}

nothing_left() {
	no_breakpoint && [ -z "$(keepers)" ]
}

# killed_at_edges COUNT DELAY_US TRACE_OPTION...: SIGKILL while the probes of a program that does
# nothing but malloc come, and while they go, up to DELAY_US after the first one did.
killed_at_edges() {
	local count=$1 delay_us=$2 i edge got

	shift 2
	need_bpf
	need_target edge_kill
	start_target alloc_pace
	echo "run 6000000 0 0" >&8
	for ((i = 0; i < count; i++)); do
		[ $((i % 3)) = 0 ] && edge=come || edge=go
		start_trace -p "$TARGET" "$@"
		"$TARGETS/edge_kill" "$TRACE" "$TARGET" "$edge" $((i * 977 % (delay_us + 1)))
		got=0
		wait "$TRACE" || got=$?
		expect_equal "$got" 137 "exit code"
		wait_for 30 nothing_left
	done
	i=$(cpu_ticks)
	wait_for 30 has_worked $((i + 20))
	kill "$TARGET"
}

expect_probed() {
	[ "$(breakpoints)" -ge 5 ] || fail "libc has $(breakpoints) breakpoints while it is traced"
}

# CPU time that the target has used, in ticks of 10 ms; and whether it has used more than that.
cpu_ticks() {
	local stat

	stat=$(cat "/proc/$TARGET/stat") || return 1
	# shellcheck disable=SC2086
	set -- ${stat##*) }
	echo $((${12} + ${13}))
}

has_worked() {
	[ "$(cpu_ticks)" -gt "$1" ]
}

# From 7.x on the kernel runs programs of system call tracepoints with preemption on, and skips one
# whose like was preempted on the same CPU (trace_call_bpf_faultable): counted, and healed.
unavoidable_losses() {
	local major

	major=$(uname -r)
	[ "${major%%.*}" -lt 7 ] || echo missed_recursion
}

# What a program had mapped when it began is read from /proc after its exec: of one that has ended
# before memdrift's turn on a CPU it stays unknown, and is counted. No test of a command can rule
# that out; calls, stacks and page faults are counted in the kernel and need no such reading.
# shellcheck disable=SC2034 # the tests read it
COMMAND_LOSSES=seeds_missed

# expect_no_losses [FILE [NAME...]]: a test case in which the kernel skipped programs proves nothing.
# With names, these may be lost.
expect_no_losses() {
	local file=${1:-report.json} unavoidable skipped=0

	tail -n 5 trace.err 2>/dev/null || true
	unavoidable=$(unavoidable_losses)
	[ -z "$unavoidable" ] || skipped=$(jq ".losses.$unavoidable" "$file")
	[ "$skipped" = 0 ] || skip "the kernel skipped $skipped programs of preempted system calls (7.x)"
	expect_only_losses "$file" "${@:2}"
}

# The same for what comes from uprobes, which the kernel skips nowhere.
expect_no_call_losses() {
	tail -n 5 trace.err 2>/dev/null || true
	expect_only_losses "${1:-report.json}" "$(unavoidable_losses)" "${@:2}"
}

# merged_maps: reads "START-END PERMISSIONS" lines, hexadecimal, sorted; prints them with adjacent
# ranges of the same permissions as one, as the kernel shows those that it merges.
merged_maps() {
	awk '{
		split($1, range, "-")
		permissions = substr($2, 1, 3)
		if (range[1] == end && permissions == last) {
			end = range[2]
			next
		}
		if (last != "")
			print start "-" end, last
		start = range[1]; end = range[2]; last = permissions
	}
	END { if (last != "") print start "-" end, last }'
}

# kernel_maps PID: what the kernel says, less what is its own or grows by itself.
kernel_maps() {
	grep -vE '\[(vdso|vvar|vvar_vclock|vsyscall|uprobes|stack)\]$' "/proc/$1/maps" | merged_maps
}

# model_maps FILE PID STACK_END: what memdrift believes, from --dump-spaces; the main stack is told
# by its end, which does not move.
model_maps() {
	awk -v pid="$2" -v stack_end="$3" '$1 == pid {
		split($2, range, "-")
		if (range[2] != stack_end)
			print $2, $3
	}' "$1" | merged_maps
}

stack_end() {
	sed -n 's/^[0-9a-f]*-\([0-9a-f]*\) .*\[stack\]$/\1/p' "/proc/$1/maps"
}

# expect_same_maps DUMP PID
expect_same_maps() {
	local vdso

	kernel_maps "$2" >kernel.maps
	# The vdso, its data and [uprobes] have no name in the dump: they are left out by their place.
	vdso=$(sed -n 's/^\([0-9a-f-]*\) .*\[\(vdso\|vvar\|vvar_vclock\|vsyscall\|uprobes\)\]$/\1/p' \
		"/proc/$2/maps")
	grep -vF -e "${vdso:-none}" "$1" >model.dump || true
	model_maps model.dump "$2" "$(stack_end "$2")" >model.maps
	[ -s kernel.maps ] || fail "/proc/$2/maps could not be read"
	diff kernel.maps model.maps >maps.diff && return 0
	head -n 40 maps.diff
	fail "the model of process $2 differs from /proc/$2/maps"
}
