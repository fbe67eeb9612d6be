#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# needs: nothing
# vm: 6.1
# limit: 120
# `memdrift explain -p`: against what the kernel and the program itself know, side by side with an
# earlier reading, and what it says of what it cannot explain.
# shellcheck disable=SC2016 # $ in single quotes is for jq and awk
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$TESTS/trace.sh"

MB=$([ "$MEMDRIFT_VM" = 1 ] && echo 16 || echo 64)

# A heap whose threads have stopped: what it is does not change. explain() writes $1.json of it.
start_heap() {
	start_target heap_mix --threads 3 --mb "$MB" --keep 40 --mmapped 4
}

explain() {
	local name=$1

	shift
	"$MEMDRIFT" explain -p "$TARGET" --json "$@" >"$name.json" 2>explain.err ||
		fail "memdrift failed: $(cat explain.err)"
}

# kernel_bytes FIELD FILE: of a file of the target in /proc.
kernel_bytes() {
	awk -v field="$1:" '$1 == field {print $2 * 1024; exit}' "/proc/$TARGET/$2"
}

vdso_bytes() {
	awk '/\[vdso\]$/ {seen = 1} seen && $1 == "Rss:" {print $2 * 1024; exit}' "/proc/$TARGET/smaps"
}

# Rows add up to what the kernel counts, of a process that stands still: while nobody else takes a
# page of a file, or places probes in its libc.
rows_add_up() {
	local rss

	start_heap
	for _ in 1 2 3 4 5; do
		rss=$(kernel_bytes Rss smaps_rollup)
		explain now
		[ "$(kernel_bytes Rss smaps_rollup)" != "$rss" ] || break
	done
	expect_json now.json '([.ledger[].resident_bytes] | add) == $rss - $vdso and
		.rss_bytes == $rss - $vdso and .checks.rss.ok' "rows add up to Rss less the vDSO" \
		--argjson rss "$rss" --argjson vdso "$(vdso_bytes)"
	expect_json now.json '.swap_bytes == $swap and .page_table_bytes == $tables and
		.rss_peak_bytes == $peak and .threads == 4' "the kernel's own figures" \
		--argjson swap "$(kernel_bytes Swap smaps_rollup)" \
		--argjson tables "$(kernel_bytes VmPTE status)" \
		--argjson peak "$(kernel_bytes VmHWM status)"
	expect_json now.json '[.ledger[].component] | length == 20 and (unique | length) == 20' "rows"
	expect_json now.json '(.ledger[] | select(.component == "unknown") | .resident_bytes) == 0' \
		"nothing is unknown"
}

# What glibc says of itself: mallinfo2 counts chunks in thread caches as in use, those in fastbins as
# free. Within 0.1 %, as the thread caches themselves are chunks.
glibc_agrees_with_itself() {
	start_heap
	explain now
	expect_json now.json '.glibc | .arenas == $t[0].arenas and (.per_arena | length) == .arenas and
		((.in_use_bytes + .cached_bytes - $t[0].fsmblks) / $t[0].uordblks - 1 | fabs) < 0.001 and
		((.free_bytes - .cached_bytes + $t[0].fsmblks) / $t[0].fordblks - 1 | fabs) < 0.001 and
		.mmapped_bytes == $t[0].hblkhd and .mmapped_chunks == $t[0].hblks and
		.in_use_error_bytes == 0 and .unwalked_bytes == 0 and .checks.stood_still' \
		"sums against mallinfo2" --slurpfile t truth.json
	expect_json now.json '[.checks[].ok] | all' "checks"
	expect_json now.json '.glibc as $g | all("system_bytes", "in_use_bytes", "free_bytes",
		"trimmable_bytes"; . as $key | ([$g.per_arena[][$key]] | add) == $g[$key])' \
		"sums over the arenas"
	tell_target
	wait_for 60 grep -q '^trimmed' target.out
	expect_json now.json '(.glibc.trimmable_bytes / $t[0].trimmed_bytes - 1 | fabs) < 0.005' \
		"what malloc_trim(0) then returned" --slurpfile t truth.json
}

# What it does to the process: nothing but marks of pages that were read.
leaves_it_alone() {
	local before after

	start_heap
	before=$(grep -E '^(VmRSS|VmPTE|VmSwap|Threads|State|TracerPid)' "/proc/$TARGET/status")
	explain now
	after=$(grep -E '^(VmRSS|VmPTE|VmSwap|Threads|State|TracerPid)' "/proc/$TARGET/status")
	expect_equal "$after" "$before" "the process's state"
	tell_target
	wait_for 60 grep -q '^trimmed' target.out
}

text_is_for_a_screen() {
	local line

	start_heap
	"$MEMDRIFT" explain -p "$TARGET" >text
	cat text
	expect_match text '^heap_mix \(pid [0-9]+, .*malloc.*\) +RSS [0-9,.]+ MB$' "first line"
	expect_match text '^  where .*resident .*reserved' "the table"
	expect_match text '^  This read .* of its memory, which marks those pages as accessed' "its cost"
	while IFS= read -r line; do
		[ "${#line}" -le 100 ] || fail "wider than 100 columns: $line"
	done <text
	! grep -q $'\033' text || fail "colours where there is no terminal"
	# Without UTF-8 no byte above 0x7f, which could be a control code there.
	LC_ALL=C "$MEMDRIFT" explain -p "$TARGET" >plain
	! LC_ALL=C grep -q '[^ -~]' plain || fail "bytes that are not ASCII"
}

# The kernel may take a page of a file between two readings: its own figures are asked for around.
side_by_side() {
	local before after

	start_heap
	for _ in 1 2 3 4 5; do
		before=$(kernel_bytes Rss smaps_rollup)
		explain earlier
		"$MEMDRIFT" explain -p "$TARGET" --diff earlier.json >same
		[ "$(kernel_bytes Rss smaps_rollup)" != "$before" ] || break
	done
	expect_match same '^  RSS is the same\.$' "a reading and itself"
	tell_target
	wait_for 60 grep -q '^trimmed' target.out
	before=$(($(kernel_bytes Rss smaps_rollup) - $(vdso_bytes)))
	explain diff --diff earlier.json
	after=$(($(kernel_bytes Rss smaps_rollup) - $(vdso_bytes)))
	echo "Rss before $before, after $after"
	expect_json diff.json '.schema == "memdrift.explain-diff/1" and .same_process and
		.rss_bytes.then == $earlier[0].rss_bytes and
		.rss_bytes.now >= ([$before, $after] | min) and
		.rss_bytes.now <= ([$before, $after] | max) and
		.rss_bytes.change == .rss_bytes.now - .rss_bytes.then and .rss_bytes.change < 0' \
		"differences" --slurpfile earlier earlier.json \
		--argjson before "$before" --argjson after "$after"
	expect_json diff.json '([.ledger[].resident_bytes.change] | add) == .rss_bytes.change' "rows"
	"$MEMDRIFT" explain -p "$TARGET" --diff earlier.json >text
	expect_match text '^then  heap_mix \(pid .* in earlier\.json' "then"
	expect_match text '^  RSS is .* less: ' "the answer"
	# Another process: both are named.
	"$MEMDRIFT" explain -p $$ --diff earlier.json >other
	expect_match other 'These are two processes' "two processes"
}

# expect_refused FILE MESSAGE: of an earlier reading; nothing is written to stdout.
expect_refused() {
	expect_exit 1 "$MEMDRIFT" explain -p $$ --diff "$1" >out 2>err
	expect_match err "$2" "the message of $1"
	[ ! -s out ] || fail "a report in spite of $1"
}

earlier_readings_are_checked() {
	TARGET=$$
	explain good
	head -c 2000 good.json >cut.json
	expect_refused cut.json 'cut.json: line .*: expected a report in JSON'
	: >empty.json
	expect_refused empty.json 'empty.json: the file is empty; expected .*explain --json'
	jq '.schema = "memdrift.trace/1"' good.json >schema.json
	expect_refused schema.json 'schema.json: schema: expected "memdrift.explain/1"'
	jq '.ledger[0].resident_bytes = -1' good.json >absurd.json
	expect_refused absurd.json 'ledger\[0\].resident_bytes: expected'
	expect_refused /nonexistent 'cannot read /nonexistent: No such file'
	expect_refused /etc 'cannot read /etc: Is a directory'
}

wrong_usage() {
	expect_exit 2 "$MEMDRIFT" explain 2>err
	expect_match err 'name a process with -p PID' "nothing to explain"
	expect_exit 2 "$MEMDRIFT" explain -p 0 2>err
	expect_exit 2 "$MEMDRIFT" explain -p 1,2 2>err
	expect_match err '"1,2": a PID is a number' "a list"
	expect_exit 2 "$MEMDRIFT" explain -p 1 --cgroup / 2>err
	expect_match err 'exclude each other' "both"
	expect_exit 2 "$MEMDRIFT" explain --cgroup / --diff x 2>err
	expect_exit 2 "$MEMDRIFT" explain --cgroup "" 2>err
	expect_exit 2 "$MEMDRIFT" explain -p 1 --margin lots 2>err
	expect_match err '"lots": a size' "a margin"
	expect_exit 2 "$MEMDRIFT" explain --nonsense 2>err
	expect_exit 2 "$MEMDRIFT" explain -p 1 2 2>err
	expect_exit 0 "$MEMDRIFT" explain --help >help
	expect_match help '^  sudo memdrift explain -p 1$' "an example"
	"$MEMDRIFT" --help | grep -q '^  explain ' || fail "not in the list of commands"
}

no_such_process() {
	local gone

	sleep 0 &
	gone=$!
	wait "$gone"
	expect_exit 1 "$MEMDRIFT" explain -p "$gone" 2>err
	expect_match err "process $gone: there is no process or thread of this PID" "an ended one"
}

# The parent does not wait before its end: the child stays as a zombie. It ends no earlier than the
# parent is no shell any more, which would reap it.
a_zombie() {
	local parent child

	mkfifo end
	bash -c 'cat end >/dev/null & echo $! >child; exec sleep 100' &
	parent=$!
	wait_for 20 grep -q . child
	wait_for 20 grep -q '^sleep' "/proc/$parent/comm"
	child=$(cat child)
	: >end
	wait_for 20 grep -q '^State:.*Z' "/proc/$child/status"
	expect_exit 1 "$MEMDRIFT" explain -p "$child" 2>err
	expect_match err "has ended and waits for its parent \(process $parent\)" "a zombie"
}

kernel_thread() {
	[ "$(cat /proc/2/comm 2>/dev/null)" = kthreadd ] || skip "kernel threads are not visible here"
	expect_exit 1 "$MEMDRIFT" explain -p 2 2>err
	expect_match err 'process 2: it is a kernel thread' "kthreadd"
}

a_thread_stands_for_its_process() {
	local tid

	start_heap
	# shellcheck disable=SC2012 # numbers
	tid=$(ls "/proc/$TARGET/task" | sort -n | tail -1)
	[ "$tid" != "$TARGET" ] || fail "it has no other thread"
	"$MEMDRIFT" explain -p "$tid" --json >thread.json 2>err
	expect_match err "$tid is a thread of process $TARGET" "the message"
	expect_json thread.json '.pid == $pid' "its process" --argjson pid "$TARGET"
}

# An ELF file of 32 bits that calls pause().
program_of_32_bits() {
	need_command as ld
	printf '.globl _start\n_start: mov $29, %%eax\nint $0x80\njmp _start\n' >pause.s
	if ! as --32 pause.s -o pause.o || ! ld -m elf_i386 pause.o -o pause; then
		skip "binutils make no 32-bit programs here"
	fi
	./pause &
	TARGET=$!
	wait_for 20 grep -q pause "/proc/$TARGET/comm"
	kill -0 "$TARGET" 2>/dev/null || skip "the kernel runs no 32-bit programs"
	expect_exit 1 "$MEMDRIFT" explain -p "$TARGET" 2>err
	expect_match err "process $TARGET \(pause\): it is a 32-bit program" "the message"
}

an_ordinary_user() {
	need_setpriv
	expect_exit 1 as_nobody "$MEMDRIFT" explain -p $$ 2>err
	expect_match err "memory of process $$: Permission denied, it belongs to another user" "refused"
	# A process of its own that it may look into: where nothing hinders it.
	expect_exit 0 as_nobody "$MEMDRIFT" --help >/dev/null
}

# Names are anyone's bytes.
hostile_names() {
	local name=$'x\033[2J\ny'

	cp "$(command -v sleep)" "$name"
	"./$name" 100 &
	TARGET=$!
	wait_for 20 grep -q 2J "/proc/$TARGET/comm"
	"$MEMDRIFT" explain -p "$TARGET" >text
	! grep -q $'\033' text || fail "an escape sequence of its name"
	expect_match text '^x\\x1b\[2J\\x0ay \(pid ' "its name"
	explain now
	expect_json now.json '.comm == "x\\x1b[2J\\x0ay" and (.exe | endswith("x\\x1b[2J\\x0ay"))' "names"
}

a_full_disk() {
	[ -w /dev/full ] || skip "there is no /dev/full"
	expect_exit 1 "$MEMDRIFT" explain -p $$ 2>err >/dev/full
	expect_match err 'cannot write the explanation: No space left' "text"
	expect_exit 1 "$MEMDRIFT" explain -p $$ --json 2>err >/dev/full
	expect_match err 'cannot write the explanation: No space left' "JSON"
}

test_case "rows add up to what the kernel counts" rows_add_up
test_case "glibc's heaps against mallinfo2 and malloc_trim" glibc_agrees_with_itself
test_case "the process is left as it was" leaves_it_alone
test_case "text: first line, width, bytes" text_is_for_a_screen
test_case "--diff: an earlier reading, another process" side_by_side
test_case "--diff: an earlier reading is checked" earlier_readings_are_checked
test_case "wrong usage" wrong_usage
test_case "no such process" no_such_process
test_case "a zombie" a_zombie
test_case "a kernel thread" kernel_thread
test_case "a thread's id" a_thread_stands_for_its_process
test_case "a 32-bit program" program_of_32_bits
test_case "an ordinary user" an_ordinary_user
test_case "names of any bytes" hostile_names
test_case "output that cannot be written" a_full_disk
