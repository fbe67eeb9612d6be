#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# vm: no
# alone: yes
# limit: 300
# Processes that begin and end in every way: each one is in the report with what it did, or in a
# loss by name. Names and files that are made to confuse do not.
# shellcheck disable=SC2016,SC2119 # $ in single quotes is for jq; arguments are optional
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$(dirname "$0")/../trace.sh"

SHORT=$([ "$MEMDRIFT_VM" = 1 ] && echo 300 || echo 3000)
FEW=$([ "$MEMDRIFT_VM" = 1 ] && echo 5 || echo 20)
ROUNDS=$([ "$MEMDRIFT_VM" = 1 ] && echo 200 || echo 2000)

# trace_command PROGRAM ARGS...: from start to end, with JSON in report.json.
trace_command() {
	TRUTH=truth.json expect_exit 0 "$MEMDRIFT" trace --json -o report.json -- "$@" >out 2>err
}

# expect_children COUNT: that many in the report beside the command, all ended, each with its
# CHILD_MALLOCS calls.
expect_children() {
	expect_json report.json '.processes | length == $n + 1' "every process is there" \
		--argjson n "$1"
	expect_json report.json '[.processes[] | select(.ended == null)] == []' "all have ended"
	expect_json report.json '[.processes[].pid] | length == (unique | length)' "each once"
	expect_json report.json '.command.exit_code == 0' "the command"
}

expect_child_work() {
	expect_json report.json '[.processes[] | select(.pid != $t[0].pid) |
		.allocator.calls.malloc == $t[0].mallocs_per_child] | all' \
		"calls of every child" --slurpfile t truth.json
	# Where a thread was made there is one calloc more.
	expect_json report.json '[.processes[] | select(.pid != $t[0].pid).allocator |
		select(.calls.calloc == 0).requested_bytes ==
		$t[0].mallocs_per_child * $t[0].malloc_bytes] | all' \
		"bytes of every child" --slurpfile t truth.json
}

# ---- many --------------------------------------------------------------------------------------

short_lives() {
	need_bpf
	need_target lifecycle
	trace_command "$TARGETS/lifecycle" --short "$SHORT"
	expect_only_losses report.json
	expect_children "$SHORT"
	expect_child_work
	expect_json report.json '[.processes[] | select(.pid != $t[0].pid) |
		.mapping.mmap_calls == 1 and .mapping.mmap_bytes == 12288 and
		.ended.reason == "exit" and .ended.status == 0 and .parent_pid == $t[0].pid] | all' \
		"mapping and end of every child" --slurpfile t truth.json
}

# The children of a running target are followed too; their allocator calls from a moment that the
# report tells.
short_lives_of_a_running_target() {
	need_bpf
	start_target lifecycle --short "$SHORT" --wait
	start_trace -p "$TARGET" --budget none
	tell_target
	wait_done
	end_trace
	expect_only_losses report.json programs_unscanned seeds_missed objects_unread
	expect_json report.json '[.processes[] | select(.ended != null)] | length == $n' \
		"every child is there" --argjson n "$SHORT"
	expect_json report.json '[.processes[] | select(.pid != $p) |
		.mapping.mmap_calls == 1 and .mapping.mmap_bytes == 12288] | all' \
		"mapping of every child" --argjson p "$TARGET"
	tell_target
}

# Whatever they were doing: a call that began is counted, and so is its release.
killed_at_work() {
	need_bpf
	need_target lifecycle
	trace_command "$TARGETS/lifecycle" --killed "$FEW"
	expect_only_losses report.json
	expect_children "$FEW"
	expect_json report.json '[.processes[] | select(.pid != $t[0].pid) |
		.ended.reason == "signal" and .ended.signal == 9 and
		(.mapping | .mmap_calls - .munmap_calls | . == 1 or . == 2) and
		(.allocator.calls | .malloc - .free | . == 5 or . == 6)] | all' \
		"what each did until it was killed" --slurpfile t truth.json
}

ended_by_signals() {
	need_bpf
	need_target lifecycle
	trace_command "$TARGETS/lifecycle" --signalled 10
	expect_only_losses report.json
	expect_children 10
	expect_child_work
	expect_json report.json '[.processes[] | select(.pid != $t[0].pid).ended.signal] | sort ==
		[6, 6, 7, 7, 9, 9, 11, 11, 15, 15]' "their signals" --slurpfile t truth.json
}

# ---- one address space, several owners ---------------------------------------------------------

# What a vfork's child maps before its exec is the parent's.
shares_by_vfork() {
	need_bpf
	start_target lifecycle --vfork "$FEW" --wait
	start_trace -p "$TARGET" --budget none --dump-spaces "$PWD/spaces"
	tell_target
	wait_done
	end_trace
	expect_only_losses report.json programs_unscanned seeds_missed objects_unread
	expect_same_maps spaces "$TARGET"
	expect_json report.json '[.processes[] | select(.pid != $p)] | length == $n' \
		"every child is there" --argjson p "$TARGET" --argjson n "$FEW"
	tell_target
}

shares_by_clone() {
	need_bpf
	start_target lifecycle --clone-vm 4 --wait
	start_trace -p "$TARGET" --budget none --dump-spaces "$PWD/spaces"
	tell_target
	wait_done
	end_trace
	expect_no_losses
	expect_same_maps spaces "$TARGET"
	expect_json report.json '.processes[] | select(.pid == $p) |
		([.large_mappings[].address] | sort) == ($t[0].clone_vm_maps | sort)' \
		"what the others mapped in it" --argjson p "$TARGET" --slurpfile t truth.json
	tell_target
}

execs() {
	need_bpf
	need_target lifecycle
	trace_command "$TARGETS/lifecycle" "--$1" "$FEW"
	expect_only_losses report.json programs_unscanned seeds_missed
	expect_children "$FEW"
	expect_child_work
}

# A failed exec changes nothing: the mappings from before are still known.
failed_execs_keep_mappings() {
	execs exec-fail
	expect_json report.json '[.processes[] | select(.pid != $t[0].pid) |
		.mapping.mapped_bytes > 1000000] | all' "mappings" --slurpfile t truth.json
}

threads_that_end() {
	need_bpf
	need_target lifecycle
	trace_command "$TARGETS/lifecycle" --threads "$SHORT"
	expect_only_losses report.json
	expect_children 0
	expect_json report.json '.processes[0].allocator.calls.malloc ==
		$t[0].threads * $t[0].mallocs_per_child' "calls of all threads" --slurpfile t truth.json
}

# ---- identity ----------------------------------------------------------------------------------

# Generation i of one process id maps 2 pages, unmaps them, and maps i.
reused_id() {
	need_bpf
	need_target lifecycle
	TRUTH=truth.json "$TARGETS/lifecycle" --reuse 2 || skip "a process id cannot be chosen here"
	trace_command "$TARGETS/lifecycle" --reuse "$FEW"
	expect_only_losses report.json pid_reused programs_unscanned seeds_missed
	expect_json report.json '[.processes[] | select(.pid == $t[0].reused_pid)] | length == $n' \
		"every generation is a process of its own" --slurpfile t truth.json --argjson n "$FEW"
	expect_json report.json '[.processes[] | select(.pid == $t[0].reused_pid).mapping.mmap_bytes] |
		sort == [range(1; $n + 1) | (. + 2) * 4096]' \
		"none has another's mappings" --slurpfile t truth.json --argjson n "$FEW"
	expect_json report.json '[.processes[] | select(.pid == $t[0].reused_pid) |
		.mapping.munmap_bytes == 8192] | all' "nor its releases" --slurpfile t truth.json
}

# ---- hostile names -----------------------------------------------------------------------------

# expect_harmless FILE: printable UTF-8 in lines.
expect_harmless() {
	if tr -d '\n' <"$1" | LC_ALL=C grep -q '[[:cntrl:]]'; then
		LC_ALL=C grep -a '[[:cntrl:]]' "$1" | od -c | head -n 20
		fail "a control character in $1"
	fi
	# jq replaces what is not UTF-8.
	jq -Rrsj . "$1" | cmp - "$1" || fail "$1 is not UTF-8"
	# The override that turns writing around.
	! grep -q $'\xe2\x80\xae' "$1" || fail "text direction changes in $1"
}

expect_harmless_strings() {
	expect_json "$1" '[.. | strings | select(test("[\u0000-\u001f\u007f-\u009f\u202e\ufffd]"))] == []' \
		"no control character in a string of $1"
}

hostile_outputs() {
	TRUTH=truth.json expect_exit 0 "$MEMDRIFT" trace -vv --all -o report.txt --folded folded -- \
		"$TARGETS/lifecycle" "$@" >out 2>err
	trace_command "$TARGETS/lifecycle" "$@"
	expect_harmless report.txt
	expect_harmless folded
	expect_harmless err
	expect_harmless report.json
	expect_harmless_strings report.json
	expect_equal "$(grep -vcE '^[^ ]+ [0-9]+$' folded)" 0 "malformed folded lines"
	expect_equal "$(cat out)" "" "stdout"
}

hostile_names() {
	need_bpf
	need_target lifecycle
	hostile_outputs --names
	expect_only_losses report.json
	expect_children 10
	expect_child_work
	expect_json report.json '[.processes[].comm] | contains(["\\x1b[31mred\\x1b[0m", "line\\x0abreak",
		"\\xff\\xfe\\x80", "\\xe2\\x80\\xae|rtl", ") R 1 1 1 ("])' "names, made printable"
}

# The file is deleted while it runs; its name ends like the kernel's own mark of that.
hostile_file() {
	need_bpf
	need_target lifecycle
	mkdir files
	hostile_outputs --hostile-dir files
	expect_children 1
	expect_child_work
	expect_json report.json '[.processes[] | select(.pid != $t[0].pid) |
		.exe == null or (.exe | contains("/files/\\x1b]0;title\\x07 (deleted)\\x0a7f-8f"))] | all' \
		"file name, made printable" --slurpfile t truth.json
}

# A running target whose name was always hostile.
hostile_target() {
	local name

	need_bpf
	name=$'\e]0;x\a\n\xff'
	cp "$TARGETS/alloc_mix" "$name"
	TARGETS=$PWD start_target "$name" --wait --threads 1 --rounds "$ROUNDS"
	expect_exit 0 "$MEMDRIFT" trace -vv -p "$TARGET" -d 100ms >report.txt 2>err
	expect_harmless report.txt
	expect_harmless err
	expect_exit 0 "$MEMDRIFT" trace -vv --comm "$name" -d 100ms --json -o report.json >out 2>err
	expect_harmless_strings report.json
	expect_harmless err
	expect_json report.json '[.processes[].pid] == [$p]' "found by its name" --argjson p "$TARGET"
	tell_target
}

# ---- binaries ----------------------------------------------------------------------------------

# Static, so that the probes are in the file itself.
start_copy() {
	need_target alloc_mix_static
	cp "$TARGETS/alloc_mix_static" program
	TARGETS=$PWD start_target program --wait --threads 2 --rounds "$ROUNDS"
}

expect_all_calls() {
	start_trace -p "$TARGET" --budget none
	tell_target
	wait_done
	end_trace
	expect_no_losses
	expect_json report.json '.processes[0].allocator.calls | with_entries(select((.value // 0) != 0)) ==
		($t[0].processes[0].calls | with_entries(select((.value // 0) != 0)))' \
		"every call" --slurpfile t truth.json
	tell_target
}

deleted_binary() {
	need_bpf
	start_copy
	rm program
	expect_all_calls
}

# The name now leads to another file: that one must not be probed, nor taken for the target's.
replaced_binary() {
	need_bpf
	need_target alloc_mix_musl_static
	start_copy
	rm program
	cp "$TARGETS/alloc_mix_musl_static" program
	expect_all_calls
}

unreadable_binary() {
	need_bpf
	start_copy
	chmod 000 program
	expect_all_calls
}

# overwrite FILE OFFSET BYTES: with bytes of all ones.
overwrite() {
	tr '\0' '\377' </dev/zero | dd of="$1" bs=1 seek="$2" count="$3" conv=notrunc 2>/dev/null
}

# Libraries that were well when they were loaded, mapped executable, and are garbage now.
malformed_libraries() {
	local i preload="" size

	need_bpf
	need_target liballoc_plugin.so
	size=$(wc -c <"$TARGETS/liballoc_plugin.so")
	for i in 1 2 3 4 5 6; do
		cp "$TARGETS/liballoc_plugin.so" "bad$i.so"
		preload+=" $PWD/bad$i.so"
	done
	# All that the loader will need of them is read before.
	LD_BIND_NOW=1 LD_PRELOAD=$preload start_target alloc_mix --wait --threads 1 --rounds "$ROUNDS"
	overwrite bad1.so 0 64              # the header
	overwrite bad2.so 32 32             # where its tables are, and how long
	overwrite bad3.so 64 448            # the program headers
	overwrite bad4.so 512 2048          # notes, hash table, dynamic symbols
	overwrite bad5.so 4 $((size - 4))   # all but the magic number
	overwrite bad6.so $((size - 1500)) 1500 # the section headers
	start_trace -p "$TARGET" --budget none
	tell_target
	wait_done
	end_trace
	expect_only_losses report.json objects_unread
	expect_json report.json '.processes[0].allocator.calls | with_entries(select((.value // 0) != 0)) ==
		($t[0].processes[0].calls | with_entries(select((.value // 0) != 0)))' \
		"the calls to libc" --slurpfile t truth.json
	tell_target
}

# A program that runs although its symbols are garbage: unknown is null, not 0.
malformed_program() {
	need_bpf
	need_target alloc_mix_static
	cp "$TARGETS/alloc_mix_static" program
	overwrite program 40 8 # where its section headers are
	overwrite program 58 6 # how many
	trace_command ./program --threads 1 --rounds "$ROUNDS"
	expect_only_losses report.json objects_unread
	expect_json report.json '.processes[0] | (.allocator.calls.malloc == null) and
		(.allocator.requested_bytes == null) and (.buckets == null)' "unknown is null"
	expect_json report.json '.processes[0].mapping.mmap_calls > 0' "mappings are counted"
}

# ---- out of memory -----------------------------------------------------------------------------

# make_group LIMIT_BYTES: a memory cgroup without swap in $group, or a skip.
make_group() {
	local root=/sys/fs/cgroup limit=memory.max

	if [ -d /sys/fs/cgroup/memory ]; then
		root=/sys/fs/cgroup/memory limit=memory.limit_in_bytes
	elif ! echo +memory >/sys/fs/cgroup/cgroup.subtree_control; then
		skip "there is no memory cgroup here"
	fi
	group=$root/memdrift-test-$$-$RANDOM
	mkdir "$group" || skip "a memory cgroup cannot be made here"
	# shellcheck disable=SC2064 # the group of now
	trap "for try in 1 2 3 4 5 6 7 8 9 10; do rmdir '$group' && break; sleep 0.1; done" EXIT
	echo "$1" >"$group/$limit" || skip "its limit cannot be set"
	echo 0 >"$group/memory.swappiness" 2>/dev/null || true
	echo 0 >"$group/memory.swap.max" 2>/dev/null || true
}

out_of_memory() {
	need_bpf
	need_target arena_threads
	make_group $((48 << 20))
	for form in --json --all; do
		expect_exit 0 "$MEMDRIFT" trace -i 50ms "$form" -o "report$form" -- sh -c \
			'echo $$ >"$1/cgroup.procs" && exec "$0" --threads 2 --mb 200' \
			"$TARGETS/arena_threads" "$group" >out 2>err
	done
	mv report--json report.json
	expect_json report.json '.command.signal == 9' "the command was killed"
	expect_json report.json '.processes[0].ended | .reason == "oom"' "by whom"
	expect_json report.json '.processes[0] | .arenas.created == 2 and
		([.large_mappings[] | select(.kind == "glibc-arena")] | length == 2)' "its last state"
	expect_match report--all 'was killed by the OOM killer' "the text says so"
}

test_case "every one of many short processes is counted" short_lives
test_case "every child of a running target is counted" short_lives_of_a_running_target
test_case "processes killed at work" killed_at_work
test_case "processes that end by signals" ended_by_signals
test_case "vfork: what the child maps is the parent's" shares_by_vfork
test_case "CLONE_VM: two processes, one address space" shares_by_clone
test_case "exec after vfork" execs vfork
test_case "exec that fails" failed_execs_keep_mappings
test_case "exec by a thread" execs thread-exec
test_case "a first thread that ends first" execs leader-exits
test_case "many short threads" threads_that_end
test_case "one process id, many processes" reused_id
test_case "hostile process names stay harmless" hostile_names
test_case "a hostile file name stays harmless" hostile_file
test_case "a hostile target stays harmless" hostile_target
test_case "a binary that was deleted" deleted_binary
test_case "a binary that was replaced by another" replaced_binary
test_case "a binary that nobody may read" unreadable_binary
test_case "mapped libraries that are garbage" malformed_libraries
test_case "a program without usable symbols" malformed_program
test_case "the OOM killer is named" out_of_memory
