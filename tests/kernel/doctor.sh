#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 240
# What `memdrift doctor` says, with and without privilege, and what `memdrift trace` says without.
# shellcheck disable=SC2016 # $ in single quotes is for jq and sh -c
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

# One reading serves several test cases: in an emulated machine it takes some seconds.
read_features() {
	[ -s "$WORK/../features.json" ] || "$MEMDRIFT" doctor --json >"$WORK/../features.json"
	cp "$WORK/../features.json" doctor.json
}

start_target() {
	sleep 1000 &
	target=$!
	# Only after exec are its mappings those of sleep.
	wait_for 10 grep -q libc "/proc/$target/maps"
	wait_for 10 grep -q sleep "/proc/$target/comm"
}

every_feature_is_told() {
	read_features
	expect_json doctor.json '.schema == "memdrift.doctor/1"' "schema"
	expect_json doctor.json '.features | length > 20' "number of features"
	expect_json doctor.json '[.features[] | select(
		(.name | type != "string") or (.detail | type != "string" or . == "") or
		(.available | type | . != "boolean" and . != "null"))] == []' "each feature is whole"
	expect_json doctor.json '[.features[].name] | length == (unique | length)' "names are unique"
	expect_json doctor.json '.host.kernel == $kernel' "kernel" --arg kernel "$(uname -r)"
	expect_json doctor.json '.process == null' "no process was asked for"
}

tracing_works_as_root() {
	need_bpf
	read_features
	expect_json doctor.json '.trace == {available: true, why: null}' "trace works"
	expect_json doctor.json '[.features[] | select(.required and .available != true)] == []' \
		"all that is required is there"
}

# What newer kernels have is told by trying, never by the version: the two must agree.
known_kernels_are_told_right() {
	local major minor name first wanted

	need_bpf
	IFS=. read -r major minor _ < <(uname -r)
	[ "$major" -ge 6 ] || skip "nothing is known of kernel $major.$minor"
	[ "$major" = 6 ] || minor=1000
	read_features
	while read -r name first; do
		wanted=false
		[ "${minor%%[!0-9]*}" -lt "$first" ] || wanted=true
		expect_json doctor.json '.features[] | select(.name == $name) | .available == $wanted' \
			"$name, which came with 6.$first" --arg name "$name" --argjson wanted "$wanted"
	done <<-END
		uprobe_multi 6
		pagemap_scan 7
		uprobe_multi_threads 10
		uretprobe_syscall 11
		uprobe_session 13
		uprobe_syscall 18
	END
}

text_has_every_feature() {
	local name

	expect_exit 0 "$MEMDRIFT" doctor >doctor.txt
	read_features
	jq -r '.features[].name' doctor.json >names
	while read -r name; do
		expect_match doctor.txt "^  (yes|no |\\?  )  $name " "line of $name"
	done <names
}

sites_of_a_process() {
	local process='.process.objects[] | select(.allocator == "glibc")'

	need_bpf
	start_target
	expect_exit 0 "$MEMDRIFT" doctor -p "$target" --json >doctor.json
	expect_json doctor.json '.process.pid == $pid' "pid" --argjson pid "$target"
	expect_json doctor.json '.process.comm == "sleep" and .process.objects_unread == 0' "process"
	expect_json doctor.json "$process | [.functions[].key] | contains([\"malloc\", \"free\"])" \
		"functions of libc"
	expect_json doctor.json "[$process | .functions[].site | select(. == null or
		(.instruction == \"\") or (.class == \"\") or (.file_offset[:2] != \"0x\"))] == []" \
		"each site is whole"
	expect_json doctor.json "$process | .functions[] | select(.key == \"malloc\") |
		.site.hit_ns > 0" "the cost of a hit was measured"
	expect_json doctor.json "$process | .arenas.source | IN(\"usdt\", \"symbol\", \"mapping\")" \
		"source of arenas"
	kill "$target"
}

# The instruction that it names is the one in the file, as another disassembler reads it.
sites_are_in_the_file() {
	local path offset instruction

	need_bpf
	need_command objdump
	start_target
	"$MEMDRIFT" doctor -p "$target" --json >doctor.json
	path=$(jq -r '.process.objects[0].path' doctor.json)
	jq -r '.process.objects[0].functions[].site | "\(.file_offset) \(.instruction)"' \
		doctor.json >sites
	while read -r offset instruction; do
		objdump -D -b binary -m i386:x86-64 -M intel --start-address="$offset" \
			--stop-address="$((offset + 16))" "$path" >listing
		expect_match listing "^ *${offset#0x}:.*	${instruction%% *} " "$instruction at $offset"
	done <sites
	kill "$target"
}

text_of_a_process() {
	need_bpf
	start_target
	"$MEMDRIFT" doctor -p "$target" >doctor.txt
	expect_match doctor.txt "^sleep \\(pid $target\\)" "head line"
	expect_match doctor.txt '^    malloc\+0x[0-9a-f]+ +[a-z]' "site of malloc"
	expect_match doctor.txt '^    arenas: by (usdt|symbol|mapping) ' "source of arenas"
	kill "$target"
}

# Pages of the target's libc that are no longer the file's, as a breakpoint makes them.
changed_pages() {
	awk '/libc\.so/ { show = 1 } show && /^Anonymous:/ { print; show = 0 }' "/proc/$target/smaps"
}

# The probes that it tries are its own: nothing stays, and the target's code is not touched.
nothing_stays() {
	local before

	need_bpf
	start_target
	# When it sleeps it has come to rest: its loader no longer writes.
	wait_for 10 grep -q "^State:.*S" "/proc/$target/status"
	cat /proc/self/mountinfo >mounts.before
	before=$(changed_pages)
	"$MEMDRIFT" doctor -p "$target" >doctor.txt
	cat /proc/self/mountinfo >mounts.after
	cmp mounts.before mounts.after
	expect_equal "$(changed_pages)" "$before" "changed pages of the target's libc"
	kill "$target"
}

refuses_what_is_no_target() {
	expect_exit 1 "$MEMDRIFT" doctor -p 999999 >out 2>err
	expect_equal "$(wc -l <err)" 1 "one sentence"
	expect_match err 'there is no process 999999' "message"
	expect_equal "$(cat out)" "" "nothing on stdout"
	if [ "$(cat /proc/2/comm)" = kthreadd ]; then
		expect_exit 1 "$MEMDRIFT" doctor --json -p 2 >out 2>err
		expect_match err 'process 2 .*is a kernel thread' "a kernel thread"
	fi
}

usage_errors() {
	expect_exit 2 "$MEMDRIFT" doctor -p 0
	expect_exit 2 "$MEMDRIFT" doctor -p 12x
	expect_exit 2 "$MEMDRIFT" doctor -p -1
	expect_exit 2 "$MEMDRIFT" doctor --unknown
	expect_exit 2 "$MEMDRIFT" doctor extra
	expect_exit 0 "$MEMDRIFT" doctor --help >help
	expect_match help 'sudo memdrift doctor -p' "example"
}

works_unprivileged() {
	need_setpriv
	expect_exit 0 as_nobody "$MEMDRIFT" doctor --json >doctor.json
	expect_json doctor.json '.trace.available == false' "trace cannot work"
	expect_json doctor.json '.features[] | select(.name == "capabilities") |
		.available == false and (.detail | contains("CAP_BPF")) and .advice != null' \
		"capabilities are missing"
	expect_json doctor.json '.features[] | select(.name == "bpf") |
		.available == null and (.detail | startswith("not tried"))' "bpf was not tried"
	expect_exit 1 as_nobody "$MEMDRIFT" doctor -p 1 >out 2>err
	expect_match err 'cannot read what process 1 has mapped.*run it as root' "another's process"
}

trace_says_what_is_missing() {
	need_setpriv
	expect_exit 1 as_nobody "$MEMDRIFT" trace -p 1 -d 1 >out 2>err
	expect_equal "$(wc -l <err)" 1 "one sentence"
	expect_match err 'cannot trace: .*CAP_BPF.* are missing.*run it as root' "message"
	expect_equal "$(cat out)" "" "nothing on stdout"
}

trace_refuses_another_pid_namespace() {
	need_bpf
	need_command unshare
	unshare --mount --pid --fork true || skip "namespaces are not allowed here"
	expect_exit 1 unshare --pid --fork --mount-proc "$MEMDRIFT" trace -d 1 2>err
	expect_equal "$(wc -l <err)" 1 "one sentence"
	expect_match err 'cannot trace: .*PID namespace.*--pid=host' "message"
}

trace_refuses_a_user_namespace() {
	need_bpf
	need_command unshare
	unshare --user --map-root-user true || skip "user namespaces are not allowed here"
	expect_exit 1 unshare --user --map-root-user "$MEMDRIFT" trace -d 1 2>err
	expect_match err 'cannot trace: .*user namespace' "message"
}

trace_misses_btf() {
	need_bpf
	need_command unshare
	unshare --mount true || skip "mount namespaces are not allowed here"
	# An empty folder over it, seen by this one process alone.
	expect_exit 1 unshare --mount sh -c 'mount -t tmpfs none /sys/kernel/btf && exec "$0" trace -d 1' \
		"$MEMDRIFT" 2>err
	expect_equal "$(wc -l <err)" 1 "one sentence"
	expect_match err 'cannot trace: cannot read /sys/kernel/btf/vmlinux.*CONFIG_DEBUG_INFO_BTF' "message"
}

trace_misses_uprobes() {
	need_bpf
	need_command unshare
	unshare --mount true || skip "mount namespaces are not allowed here"
	expect_exit 1 unshare --mount sh -c \
		'mount -t tmpfs none /sys/bus/event_source && exec "$0" trace -d 1' "$MEMDRIFT" 2>err
	expect_match err 'cannot trace: .*uprobe.*CONFIG_UPROBE_EVENTS' "message"
}

trace_misses_one_capability() {
	need_bpf
	need_setpriv
	expect_exit 1 setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace \
		"$MEMDRIFT" trace -p 1 -d 1 2>err
	expect_match err 'cannot trace: CAP_SYS_PTRACE is missing' "message"
}

test_case "doctor --json tells every feature" every_feature_is_told
test_case "doctor says that trace works as root" tracing_works_as_root
test_case "doctor agrees with what is known of the kernel's version" known_kernels_are_told_right
test_case "doctor's text has every feature" text_has_every_feature
test_case "doctor -p shows the sites of a process and their cost" sites_of_a_process
test_case "doctor -p names the instructions that are in the file" sites_are_in_the_file
test_case "doctor -p as text" text_of_a_process
test_case "doctor leaves neither mounts nor changed pages" nothing_stays
test_case "doctor -p of nothing and of a kernel thread is refused" refuses_what_is_no_target
test_case "doctor's usage errors exit with 2, its help with 0" usage_errors
test_case "doctor works without privilege" works_unprivileged
test_case "trace without privilege says so in one sentence" trace_says_what_is_missing
test_case "trace in another PID namespace says so" trace_refuses_another_pid_namespace
test_case "trace in a user namespace says so" trace_refuses_a_user_namespace
test_case "trace without BTF says so" trace_misses_btf
test_case "trace without uprobes says so" trace_misses_uprobes
test_case "trace names the one capability that is missing" trace_misses_one_capability
