#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# needs: nothing
# vm: 6.12
# limit: 120
# `explain --cgroup`: the parts of a group's memory against what the programs in it know. On a host
# with the memory controller in version 1 these are groups of version 1; the virtual machines have
# version 2.
# shellcheck disable=SC2016 # $ in single quotes is for jq
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

MB=$((1 << 20))
# A quarter of it in a virtual machine, which is slow and has 1 GB.
SCALE=$([ "$MEMDRIFT_VM" = 1 ] && echo 1 || echo 4)
ANON=$((16 * SCALE)) CACHE=$((12 * SCALE)) MAPPED=$((8 * SCALE)) TMPFS=$((8 * SCALE))
SHARED=$((8 * SCALE))
# The bound of each part. What else is in it: the programs' own pages and libraries, some 2 MB, and
# what the kernel's counters may lag behind, 192 pages a CPU.
SLACK=$((4 * MB + $(nproc) * 192 * 4096))

# ---- groups ------------------------------------------------------------------------------------

# Where groups of the memory controller (or another) are made; version= 1 or 2.
find_hierarchy() {
	hierarchy=$(awk -v c="$1" '/ - cgroup / && index("," $NF ",", "," c ",") {print $5; exit}' \
		/proc/self/mountinfo)
	version=1
	[ -z "$hierarchy" ] || return 0
	hierarchy=$(awk '/ - cgroup2 / {print $5; exit}' /proc/self/mountinfo)
	version=2
	[ -n "$hierarchy" ] && grep -qw "$1" "$hierarchy/cgroup.controllers"
}

# Every group of this file, the lower ones first. Its processes have ended by then, and the kernel
# takes them out of their group a moment later.
remove_groups() {
	local group

	while read -r group; do
		for _ in {1..100}; do
			rmdir "$group" 2>/dev/null && break
			[ -d "$group" ] || break
			sleep 0.05
		done
	done < <(awk '/ - cgroup2? / {print $5}' /proc/self/mountinfo |
		xargs -I{} find {} -maxdepth 3 -depth -type d -path "*/memdrift-explain-$$*")
}

# However the file ends: lib.sh ends the processes, so that the groups can go.
# shellcheck disable=SC2317,SC2329 # a trap
end_with_groups() {
	local status=$?

	"$TESTS/reap" "$MEMDRIFT_TEST_ID" $$
	remove_groups
	(exit "$status")
	end_file
}
trap end_with_groups EXIT

# make_groups: outer, and inner in it.
make_groups() {
	local file

	need_root
	find_hierarchy memory || skip "there is no memory controller for control groups here"
	outer=$hierarchy/memdrift-explain-$$
	inner=$outer/inner
	if [ "$version" = 2 ]; then
		echo +memory >"$hierarchy/cgroup.subtree_control" ||
			skip "the memory controller of version 2 cannot be enabled for a group here"
	fi
	mkdir "$outer" || skip "no control group can be made in $hierarchy"
	[ "$version" = 1 ] || echo +memory >"$outer/cgroup.subtree_control"
	mkdir "$inner"
	file=$([ "$version" = 1 ] && echo memory.limit_in_bytes || echo memory.max)
	[ -w "$inner/$file" ] || skip "limits of memory cannot be set in $hierarchy"
	limit_file=$file
}

# fill OPTION...: the program that fills inner; its pid in $filler.
fill() {
	mkdir files
	mkfifo steps
	TRUTH=$PWD/truth "$TARGETS/cgroup_parts" --group "$inner" --dir "$PWD/files" --anon "$ANON" \
		--cache "$CACHE" --mapped "$MAPPED" --tmpfs "$TMPFS" --shared "$SHARED" "$@" \
		<steps >said &
	exec 7>steps
	wait_for 60 grep -q '^ready ' said
	read -r _ filler helper <said
}

explain() {
	"$MEMDRIFT" explain --cgroup "$1" --json >"$2"
}

# What holds of every group that stands still.
expect_sound() {
	jq -c 'del(.processes)' "$1"
	expect_json "$1" '.schema == "memdrift.explain-cgroup/1"' "schema"
	expect_json "$1" '.processes_unread == 0' "all processes are read"
	expect_json "$1" '.steady' "the group stood still"
	expect_json "$1" '.checks.usage.ok' "the kernel's own counters agree"
	expect_json "$1" '([.parts[].bytes] | add) == .usage_bytes' "the parts are usage"
}

# expect_part FILE COMPONENT BYTES
expect_part() {
	expect_json "$1" '.parts[] | select(.component == $c) | .bytes |
		. >= $want - $slack and . <= $want + $slack' "$2 of $3 bytes" \
		--arg c "$2" --argjson want "$3" --argjson slack "$SLACK"
}

# ---- tests -------------------------------------------------------------------------------------

parts_are_what_programs_know() {
	local anon

	make_groups
	fill
	explain "$inner" out.json
	expect_sound out.json
	anon=$(jq .anon truth)
	expect_equal "$anon" "$((ANON * MB))" "what the program touched"
	expect_part out.json processes "$(jq '.anon + .mapped + .shared' truth)"
	expect_part out.json page-cache "$(jq .cache truth)"
	expect_part out.json tmpfs "$(jq .tmpfs truth)"
	expect_json out.json '.parts[] | select(.component == "kernel") | .bytes > 0' "kernel memory"
	expect_part out.json difference 0
	# Parent and child have the anonymous memory both: summed RSS has it twice.
	expect_json out.json '.rss_bytes >= .pss_bytes + $anon' "RSS counts shared pages twice" \
		--argjson anon "$anon"
	expect_json out.json '.process_count == 2 and
		([.processes[].pid] | sort) == ([$a, $b] | sort) and
		all(.processes[]; .comm == "cgroup_parts" and .pss_bytes <= .rss_bytes)' \
		"both processes" --argjson a "$filler" --argjson b "$helper"
	# The group above has the same processes and memory; by name as by directory.
	explain "$outer" outer.json
	expect_sound outer.json
	expect_json outer.json '.process_count == 2' "processes of groups below"
	explain "${inner#"$hierarchy"}" name.json
	expect_json name.json '.cgroup.directory == $dir' "a group is found by its name" \
		--arg dir "$inner"
	"$MEMDRIFT" explain --cgroup "$inner" >text
	cat text
	expect_match text '^  page cache .* MB ' "the text has the parts"
}

# A child of vfork has its parent's memory and all its figures: counted once.
memory_is_counted_once() {
	make_groups
	fill --same-memory
	explain "$inner" out.json
	expect_sound out.json
	expect_part out.json processes "$(jq '.anon + .mapped + .shared' truth)"
	expect_json out.json '[.processes[] | select(.shares_memory_with)] | length == 1' \
		"one runs in the memory of the other"
	expect_part out.json difference 0
}

nearest_limit_counts() {
	make_groups
	echo "$((300 * MB))" >"$outer/$limit_file"
	echo "$((500 * MB))" >"$inner/$limit_file"
	explain "$inner" out.json
	jq -c .cgroup out.json
	expect_json out.json '.cgroup | .limit_bytes == $want and .limit_path == $path and
		.version == $version' "the limit of the group above" --argjson want "$((300 * MB))" \
		--arg path "${outer#"$hierarchy"}" --argjson version "$version"
	echo "$((100 * MB))" >"$inner/$limit_file"
	explain "$inner" out.json
	expect_json out.json '.cgroup | .limit_bytes == $want and .limit_path == .path' \
		"its own limit" --argjson want "$((100 * MB))"
	[ "$version" = 2 ] || expect_json out.json '.checks.limit.ok' "the kernel says so as well"
}

# In a cgroup namespace, which a container has, names are relative to its own group and lead up from
# there. The mounts are still the host's, so that all is visible.
names_follow_the_namespace() {
	make_groups
	echo "$((300 * MB))" >"$outer/$limit_file"
	bash -c 'echo 0 >"$1/cgroup.procs" && exec unshare --cgroup "$2" explain --cgroup "$1" --json' \
		- "$inner" "$MEMDRIFT" >out.json
	jq -c .cgroup out.json
	expect_json out.json '.cgroup | .limit_bytes == $want and .limit_path == $path and
		.directory == $dir' "the limit of the group above" --argjson want "$((300 * MB))" \
		--arg path "/../../${outer##*/}" --arg dir "$inner"
	expect_json out.json '.root | not' "the root of a namespace is not the kernel's"
}

# A container's own mounts show nothing outside; where it sees the host's processes it finds the
# groups by process 1's mounts, under their whole names. Process 1 is one of the test's own.
hosts_groups_from_a_container() {
	make_groups
	echo "$((300 * MB))" >"$outer/$limit_file"
	[ "$version" = 1 ] || echo +memory >"$inner/cgroup.subtree_control"
	mkdir "$inner/deep"
	cat >container <<-'END'
		(echo 0 >"$1/deep/cgroup.procs" || exit 1
		exec unshare --cgroup --mount bash -c '
			mount -t tmpfs none /sys/fs/cgroup && mkdir /sys/fs/cgroup/own || exit 1
			if [ "$3" = 1 ]; then
				mount -t cgroup -o memory none /sys/fs/cgroup/own
			else
				mount -t cgroup2 none /sys/fs/cgroup/own
			fi || exit 1
			exec "$2" explain --cgroup "$4" --json
		' - "$@")
	END
	unshare --pid --fork --mount-proc bash container "$inner" "$MEMDRIFT" "$version" \
		"${outer#"$hierarchy"}" >out.json
	jq -c .cgroup out.json
	expect_json out.json '.cgroup | .limit_bytes == $want and .path == $path and
		.directory == "/proc/1/root" + $dir' "the group above the container" \
		--argjson want "$((300 * MB))" --arg path "${outer#"$hierarchy"}" --arg dir "$outer"
	unshare --pid --fork --mount-proc bash container "$inner" "$MEMDRIFT" "$version" / >own.json
	jq -c .cgroup own.json
	expect_json own.json '.cgroup.directory == "/sys/fs/cgroup/own" and (.root | not)' \
		"its own root stays its own"
}

# More than the limit allows: it is hit, and the OOM killer comes.
kills_are_counted() {
	make_groups
	echo "$((8 * MB))" >"$inner/$limit_file"
	mkdir files
	[ ! -e "$inner/memory.swap.max" ] || echo 0 >"$inner/memory.swap.max"
	expect_exit 137 "$TARGETS/cgroup_parts" --group "$inner" --dir "$PWD/files" --anon 64
	explain "$inner" out.json
	jq -c 'del(.processes)' out.json
	expect_json out.json '.oom_kills >= 1 and .limit_hits >= 1' "kills and hits"
	"$MEMDRIFT" explain --cgroup "$inner" >text
	expect_match text '^The OOM killer ended [0-9]+ process' "the text says so"
}

# The quota of a group above bounds it too, in whichever hierarchy it is.
quotas_count_up_the_tree() {
	make_groups
	find_hierarchy cpu || skip "there is no CPU controller for control groups here"
	outer=$hierarchy/memdrift-explain-$$
	if [ "$version" = 2 ]; then
		echo +cpu >"$hierarchy/cgroup.subtree_control" || skip "no CPU controller"
		echo +cpu >"$outer/cgroup.subtree_control"
		echo "50000 100000" >"$outer/cpu.max" || skip "no quotas"
		echo "200000 100000" >"$outer/inner/cpu.max"
	else
		mkdir -p "$outer/inner" || skip "no control group can be made in $hierarchy"
		echo 50000 >"$outer/cpu.cfs_quota_us" || skip "no quotas"
	fi
	explain "$inner" out.json
	jq -c .cgroup out.json
	expect_json out.json '.cgroup.cpu_quota == 0.5' "half a CPU"
}

no_group_is_refused() {
	expect_exit 1 "$MEMDRIFT" explain --cgroup /no/such/group >out 2>err
	expect_match err '^memdrift: .*/no/such/group' "a message that names it"
	expect_equal "$(cat out)" "" "stdout"
}

run() {
	test_case "$@"
	remove_groups
}

run "parts are what the programs know" parts_are_what_programs_know
run "memory that two processes run in is counted once" memory_is_counted_once
run "the nearest limit up the tree counts" nearest_limit_counts
run "names follow the reader's cgroup namespace" names_follow_the_namespace
run "groups of the host are found from a container" hosts_groups_from_a_container
run "hits of the limit and OOM kills are counted" kills_are_counted
run "the CPU quota counts up the tree" quotas_count_up_the_tree
run "what is no control group is refused" no_group_is_refused
