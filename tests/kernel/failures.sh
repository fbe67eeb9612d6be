#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# vm: no
# limit: 300
# What can go wrong around a trace: targets that are none, files that cannot be written, ends that
# come too early. A clear sentence or a whole report, and no probe that stays.
# shellcheck disable=SC2016,SC2119 # $ in single quotes is for jq; arguments are optional
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$(dirname "$0")/../trace.sh"

ROUNDS=$([ "$MEMDRIFT_VM" = 1 ] && echo 200 || echo 2000)

# expect_refused CODE REGEX COMMAND...: that exit code, one matching sentence, nothing on stdout.
expect_refused() {
	local code=$1 regex=$2

	shift 2
	expect_exit "$code" "$@" >out 2>err
	expect_match err "^memdrift: .*$regex" "message of $*"
	expect_equal "$(wc -l <err)" 1 "one sentence of $*"
	expect_equal "$(cat out)" "" "stdout of $*"
}

# ---- targets that are none ---------------------------------------------------------------------

no_such_process() {
	need_bpf
	expect_refused 1 'no process 4194304' "$MEMDRIFT" trace -p 4194304 -d 1
	# One wrong among right ones is refused as well: half a trace would look like a whole one.
	expect_refused 1 'no process 4194304' "$MEMDRIFT" trace -p "$$,4194304" -d 1
}

is_zombie() {
	zombie=$(pgrep -P "$1" | head -n 1) && grep -q '^State:.*Z' "/proc/$zombie/status"
}

a_zombie() {
	need_bpf
	sh -c 'sh -c : & exec sleep 1000' &
	wait_for 20 is_zombie $!
	is_zombie $!
	expect_refused 1 "no process $zombie;.*has it ended" "$MEMDRIFT" trace -p "$zombie" -d 1
}

itself() {
	need_bpf
	expect_refused 1 'is memdrift itself' sh -c 'exec "$0" trace -p $$ -d 1' "$MEMDRIFT"
}

a_kernel_thread() {
	need_bpf
	[ "$(cat /proc/2/comm 2>/dev/null)" = kthreadd ] || skip "process 2 is not kthreadd here"
	expect_refused 1 'process 2 is a kernel thread' "$MEMDRIFT" trace -p 2 -d 1
}

# ---- targets that are told in another way ------------------------------------------------------

a_thread_means_its_process() {
	local tid

	need_bpf
	start_target arena_threads --wait --threads 2 --mb 1
	tid=$(find "/proc/$TARGET/task" -mindepth 1 -maxdepth 1 ! -name "$TARGET" | head -n 1)
	tid=${tid##*/}
	start_trace -p "$tid" --budget none
	tell_target
	wait_for 60 grep -q '^peak' target.out
	end_trace
	expect_json report.json '[.processes[].pid] == [$p]' "the process of the thread" \
		--argjson p "$TARGET"
	expect_json report.json '.processes[0].allocator.calls.malloc >= $t[0].peak.mallocs' \
		"all its threads are counted" --slurpfile t truth.json
	tell_target
}

# Another root folder, in which libc is a file that no path of this host leads to.
start_contained() {
	local file

	need_command chroot unshare ldd
	unshare --mount --pid --fork true || skip "namespaces are not allowed here"
	mkdir -p root
	{
		ldd "$TARGETS/alloc_mix" | grep -oE '/[^ ]+'
		echo "$TARGETS/alloc_mix"
	} >files
	cat >contain <<-'END'
		mount --make-rprivate / 2>/dev/null
		mount -t tmpfs none root || exit 1
		while read -r file; do
			mkdir -p "root${file%/*}" && cp -L "$file" "root$file"
		done <files
		mkdir root/out
		exec chroot root "$@"
	END
	mkfifo target.in
	exec 8<>target.in
	TRUTH=/out/truth.json unshare --mount --pid --fork sh contain "$TARGETS/alloc_mix" "$@" \
		<target.in >target.out 8>&- &
	wait_for 60 grep -q '^ready' target.out
	TARGET=$(pgrep -P $!)
}

another_namespace() {
	need_bpf
	need_target alloc_mix
	start_contained --wait --threads 2 --rounds "$ROUNDS"
	start_trace -p "$TARGET" --budget none
	tell_target
	wait_done
	end_trace
	cp "/proc/$TARGET/root/out/truth.json" .
	expect_no_losses
	expect_json report.json '.processes | length == 1' "one process"
	expect_json report.json '(.processes[0].allocator.calls | with_entries(select((.value // 0) != 0))) ==
		($t[0].processes[0].calls | with_entries(select((.value // 0) != 0)))' \
		"every call of the process" --slurpfile t truth.json
	expect_json report.json '.processes[0].pid == $p and ($t[0].processes[0].pid != $p)' \
		"the number that it has here" --argjson p "$TARGET" --slurpfile t truth.json
	tell_target
}

# ---- wrong usage -------------------------------------------------------------------------------

usage_errors() {
	expect_refused 2 '-p "12x".*--help' "$MEMDRIFT" trace -p 12x
	expect_refused 2 '-p "0".*--help' "$MEMDRIFT" trace -p 0
	expect_refused 2 '-p "-1".*--help' "$MEMDRIFT" trace -p -1
	expect_refused 2 '-p "".*--help' "$MEMDRIFT" trace -p ''
	expect_refused 2 '-p "99999999999999999999".*--help' \
		"$MEMDRIFT" trace -p 99999999999999999999
	expect_refused 2 '-d "soon".*--help' "$MEMDRIFT" trace -d soon
	expect_refused 2 '-d "-1".*--help' "$MEMDRIFT" trace -d -1
	expect_refused 2 '-i "0".*--help' "$MEMDRIFT" trace -i 0
	expect_refused 2 '--budget "-3".*--help' "$MEMDRIFT" trace --budget -3
	expect_refused 2 '--ring-size "3M".*--help' "$MEMDRIFT" trace --ring-size 3M
	expect_refused 2 '--large "100".*--help' "$MEMDRIFT" trace --large 100
	expect_refused 2 '--large "".*--help' "$MEMDRIFT" trace --large ''
	expect_refused 2 '--weight "heavy".*--help' "$MEMDRIFT" trace --weight heavy
	expect_refused 2 '--comm "sixteen-bytes-ab".*--help' \
		"$MEMDRIFT" trace --comm sixteen-bytes-ab
	expect_refused 2 '"ls".*comes after --' "$MEMDRIFT" trace ls
	expect_refused 2 'exclude each other' "$MEMDRIFT" trace -p 1 --comm sh
	expect_refused 2 'exclude each other' "$MEMDRIFT" trace -p 1 -- true
	expect_refused 2 '--json with a command needs -o' "$MEMDRIFT" trace --json -- true
	expect_refused 2 '--weight alloc.*--malloc' \
		"$MEMDRIFT" trace --folded folded --weight alloc_bytes
}

unknown_options() {
	expect_exit 2 "$MEMDRIFT" trace --frobnicate >out 2>err
	expect_match err 'frobnicate' "names the option"
	expect_match err 'memdrift trace --help' "a hint"
	expect_equal "$(cat out)" "" "stdout"
	expect_exit 2 "$MEMDRIFT" trace -d >out 2>err
	expect_match err "option requires an argument -- 'd'" "names the option"
	expect_exit 2 "$MEMDRIFT" frobnicate >out 2>err
	expect_match err 'no command "frobnicate"' "names the command"
	expect_equal "$(cat out)" "" "stdout"
	expect_exit 2 "$MEMDRIFT" >out 2>err
	expect_match err '^Usage: ' "usage"
}

help_needs_nothing() {
	for arguments in --help "trace --help" --version "doctor --help"; do
		# shellcheck disable=SC2086
		expect_exit 0 "$MEMDRIFT" $arguments >out 2>err
		expect_equal "$(cat err)" "" "stderr of $arguments"
		[ -s out ] || fail "nothing on stdout of $arguments"
	done
}

# ---- commands ----------------------------------------------------------------------------------

no_such_command() {
	need_bpf
	expect_refused 1 'cannot run /nowhere/nothing: No such file' \
		"$MEMDRIFT" trace -- /nowhere/nothing
	echo text >plain
	expect_refused 1 'cannot run ./plain: Permission denied' "$MEMDRIFT" trace -- ./plain
}

# Without what memdrift says where other processes of the host call the same libc often enough.
own_stderr() {
	grep -v '^memdrift: warning: other processes pay for the probes too' err || true
}

command_keeps_its_output() {
	need_bpf
	expect_exit 0 "$MEMDRIFT" trace --json -o report.json -- \
		sh -c 'echo words; echo more >&2; exit 7' >out 2>err
	expect_equal "$(cat out)" "words" "stdout of the command"
	expect_equal "$(own_stderr)" "more" "stderr of the command"
	expect_json report.json '.command.exit_code == 7' "its exit code"
	expect_json report.json '.processes[0].ended | .reason == "exit" and .status == 7' "its end"
	expect_exit 0 "$MEMDRIFT" trace --json -o report.json -- sh -c 'kill -KILL $$'
	expect_json report.json '.command | .exit_code == null and .signal == 9' "its signal"
}

# As text, the report comes after all that the command wrote.
report_comes_after_output() {
	need_bpf
	expect_exit 0 "$MEMDRIFT" trace -- sh -c 'echo first' >out 2>err
	expect_equal "$(head -n 1 out)" "first" "first line"
	expect_match out '^sh \(pid [0-9]+\)' "the report"
	expect_equal "$(own_stderr)" "" "stderr"
}

# ---- outputs -----------------------------------------------------------------------------------

trace_shortly() {
	"$MEMDRIFT" trace -p "$$" -d 100ms "$@"
}

unwritable_files() {
	need_bpf
	expect_refused 1 'cannot write /nowhere/report: No such file' trace_shortly -o /nowhere/report
	expect_exit 1 trace_shortly --folded /nowhere/folded >out 2>err
	expect_match err '^memdrift: cannot write /nowhere/folded: No such file' "folded"
}

full_devices() {
	need_bpf
	[ -c /dev/full ] || skip "there is no /dev/full"
	expect_refused 1 'cannot write /dev/full: No space left' trace_shortly -o /dev/full
	expect_refused 1 'cannot write /dev/full: No space left' trace_shortly --json -o /dev/full
	expect_exit 1 trace_shortly >/dev/full 2>err
	expect_match err '^memdrift: cannot write .*stdout: No space left' "message"
	expect_exit 1 trace_shortly --json >/dev/full 2>err
	expect_match err '^memdrift: cannot write .*stdout: No space left' "message"
}

closed_stdout() {
	need_bpf
	expect_exit 1 sh -c 'exec "$0" "$@" >&-' "$MEMDRIFT" trace -p "$$" -d 100ms 2>err
	expect_match err '^memdrift: cannot write' "message"
	expect_equal "$(wc -l <err)" 1 "one sentence"
	# Nothing of the report went into another file that took the free descriptor.
	expect_exit 0 sh -c 'exec "$0" "$@" >&-' "$MEMDRIFT" trace -p "$$" -d 100ms --json -o report.json
	expect_json report.json '.schema == "memdrift.trace/1"' "the report in its file"
}

# A reader that goes away before the report is written.
broken_pipe() {
	need_bpf
	mkfifo pipe
	# shellcheck disable=SC2094 # a reader must be there while the writer opens it
	exec 7<>pipe 6>pipe 7>&-
	expect_exit 1 trace_shortly >&6 2>err
	expect_match err '^memdrift: cannot write .*stdout: Broken pipe' "message"
}

# ---- privilege ---------------------------------------------------------------------------------

without_privilege() {
	need_root
	setpriv --reuid 65534 true 2>/dev/null || skip "there is no setpriv of util-linux"
	cp "$MEMDRIFT" program
	chmod o+rx . .. program
	for target in "-p $$" "-- touch $PWD/ran" "--comm sh" ""; do
		# shellcheck disable=SC2086
		expect_refused 1 'cannot trace: .*run it as root' \
			setpriv --reuid 65534 --regid 65534 --clear-groups ./program trace -d 1 $target
	done
	[ ! -e ran ] || fail "the command ran without a trace"
}

# ---- probes that must not stay -----------------------------------------------------------------

# Its code is as it was, and it still calls it.
expect_unprobed() {
	wait_for 30 no_breakpoint
	tell_target
	wait_done
	expect_json truth.json '.processes[0].calls.malloc > 0' "it works on"
	tell_target
}

probes_go_after() {
	local end=$1 got=0

	need_bpf
	start_target alloc_mix --wait --threads 2 --rounds "$ROUNDS"
	expect_equal "$(breakpoints)" 0 "breakpoints before the trace"
	start_trace -p "$TARGET" --budget none
	expect_probed
	kill -s "$end" "$TRACE"
	wait "$TRACE" || got=$?
	case $end in
	KILL) expect_equal "$got" 137 "exit code" ;;
	*) expect_equal "$got" 0 "exit code" ;;
	esac
	expect_unprobed
}

# Killed while the target is inside its probed functions all the time.
killed_in_mid_storm() {
	local ticks

	need_bpf
	start_target alloc_mix --wait --threads 2 --rounds 100000000
	tell_target
	start_trace -p "$TARGET" --budget none
	expect_probed
	kill -KILL "$TRACE"
	wait "$TRACE" || true
	wait_for 30 no_breakpoint
	ticks=$(cpu_ticks)
	wait_for 30 has_worked "$((ticks + 20))"
	grep -q '^State:.*[RS]' "/proc/$TARGET/status" || fail "the target is $(cat "/proc/$TARGET/status")"
	kill "$TARGET"
}

# A command whose tracer is killed runs on; one that waits to be let go ends.
command_outlives_memdrift() {
	local pid

	need_bpf
	mkfifo in
	exec 8<>in
	TRUTH=truth.json "$MEMDRIFT" trace -o report -- "$TARGETS/alloc_mix" --wait --rounds "$ROUNDS" \
		<in >target.out 8>&- &
	pid=$!
	wait_for 60 grep -q '^ready' target.out
	TARGET=$(sed -n 's/^ready //p' target.out)
	expect_probed
	kill -KILL "$pid"
	wait "$pid" || true
	expect_unprobed
}

no_int_handler() {
	local caught

	caught=$(sed -n 's/^SigCgt:\t//p' "/proc/$TRACE/status")
	[ $((0x$caught & 2)) = 0 ]
}

# The first one has memdrift write, here into a pipe that nobody reads.
second_interrupt() {
	local got=0

	need_bpf
	mkfifo nobody-reads
	start_target alloc_mix --wait --rounds "$ROUNDS"
	start_trace -p "$TARGET" --budget none --dump-spaces nobody-reads
	expect_probed
	kill -INT "$TRACE"
	wait_for 20 no_int_handler
	kill -INT "$TRACE"
	wait "$TRACE" || got=$?
	expect_equal "$got" 130 "exit code"
	expect_unprobed
}

# ---- targets that end --------------------------------------------------------------------------

exits_in_mid_trace() {
	need_bpf
	start_target alloc_mix --wait --threads 4 --rounds "$ROUNDS"
	start_trace -p "$TARGET" --budget none
	tell_target
	wait_done
	tell_target
	join_trace
	expect_no_losses
	expect_json report.json '.ended_by == "every target ended"' "why the trace ended"
	expect_json report.json '.processes[0].ended | .reason == "exit" and .status == 0 and .t_s > 0' \
		"how the target ended"
	expect_json report.json '(.processes[0].allocator.calls | with_entries(select((.value // 0) != 0))) ==
		($t[0].processes[0].calls | with_entries(select((.value // 0) != 0)))' \
		"its calls up to the end" --slurpfile t truth.json
}

killed_in_mid_trace() {
	need_bpf
	start_target alloc_mix --wait --threads 4 --rounds 100000000
	start_trace -p "$TARGET" --budget none
	tell_target
	kill -s "$1" "$TARGET"
	join_trace
	expect_no_losses
	expect_json report.json '.processes[0].ended | .reason == "signal" and .signal == $signal' \
		"how the target ended" --argjson signal "$2"
	expect_json report.json '.processes[0].rss.end_bytes > 0' "its last resident size"
	expect_json report.json '.processes[0].mapping.mapped_bytes > 0' "its last mappings"
}

# Of two targets, the one that stays is traced on.
one_of_two_ends() {
	local other

	need_bpf
	start_target alloc_mix --wait --rounds "$ROUNDS"
	sleep 1000 &
	other=$!
	start_trace -p "$TARGET,$other" --budget none
	kill "$other"
	tell_target
	wait_done
	end_trace
	expect_json report.json '[.processes[] | select(.ended != null).pid] == [$p]' \
		"the one that ended" --argjson p "$other"
	expect_json report.json '.processes[] | select(.pid == $t[0].processes[0].pid) |
		.allocator.calls.malloc == $t[0].processes[0].calls.malloc' \
		"the one that stayed" --slurpfile t truth.json
	tell_target
}

test_case "refuses a process that is not there" no_such_process
test_case "refuses a process that has ended" a_zombie
test_case "refuses to trace itself" itself
test_case "refuses a kernel thread" a_kernel_thread
test_case "takes a thread's id for its process" a_thread_means_its_process
test_case "counts a process of other PID and mount namespaces" another_namespace
test_case "wrong usage exits with 2, a sentence and a hint" usage_errors
test_case "unknown options and commands exit with 2" unknown_options
test_case "help and version work" help_needs_nothing
test_case "says that a command cannot be run" no_such_command
test_case "leaves a command its output and its exit code" command_keeps_its_output
test_case "writes the report after the command's output" report_comes_after_output
test_case "says that a file cannot be written" unwritable_files
test_case "says that a device is full" full_devices
test_case "says that stdout is closed" closed_stdout
test_case "says that the reader has gone" broken_pipe
test_case "says that it needs privilege, and runs nothing" without_privilege
test_case "takes its probes along on SIGINT" probes_go_after INT
test_case "takes its probes along on SIGTERM" probes_go_after TERM
test_case "leaves no probe after SIGKILL" probes_go_after KILL
test_case "leaves no probe after SIGKILL in mid-storm" killed_in_mid_storm
test_case "leaves a command alive and unprobed after SIGKILL" command_outlives_memdrift
test_case "ends at once on a second SIGINT" second_interrupt
test_case "reports a target that exits" exits_in_mid_trace
test_case "reports a target that is terminated" killed_in_mid_trace TERM 15
test_case "reports a target that is killed" killed_in_mid_trace KILL 9
test_case "traces on when one of two targets ends" one_of_two_ends
