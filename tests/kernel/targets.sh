#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# vm: no
# limit: 180
# Every way to name a target: who is in the report, who is not, and from when.
# shellcheck disable=SC2016,SC2119 # $ in single quotes is for jq; arguments are optional
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$(dirname "$0")/../trace.sh"

ROUNDS=$([ "$MEMDRIFT_VM" = 1 ] && echo 100 || echo 1000)
ALLOC="--threads 2 --rounds $ROUNDS"

# start_more NAME PROGRAM ARGS...: one more target, in a folder of its own. Sets $pid.
start_more() {
	local name=$1 program=$2

	shift 2
	need_target "$program"
	mkdir "$name"
	mkfifo "$name/in"
	# Held open by a process of its own, so that the word can be sent from anywhere.
	sleep 1000 <>"$name/in" &
	TRUTH=$PWD/$name/truth.json "$TARGETS/$program" --wait "$@" <"$name/in" >"$name/out" 8>&- &
	pid=$!
	wait_for 60 grep -q '^ready' "$name/out"
}

# run_more NAME: its work, until it is done.
run_more() {
	echo >"$1/in"
	wait_for 120 grep -q '^done' "$1/out"
}

# expect_counted NAME: every call of that target is in the report.
expect_counted() {
	expect_json report.json '$t[0].processes[0] as $want | .processes[] |
		select(.pid == $want.pid).allocator.calls | with_entries(select((.value // 0) != 0)) ==
		($want.calls | with_entries(select((.value // 0) != 0)))' \
		"every call of target $1" --slurpfile t "$1/truth.json"
}

# expect_pids PID...: these are the processes of the report, and no other.
expect_pids() {
	expect_json report.json '([.processes[].pid] | sort) == ($ARGS.positional | map(tonumber) | sort)' \
		"processes of the report" --args "$@"
}

# ---- by number ---------------------------------------------------------------------------------

# shellcheck disable=SC2086 # $ALLOC is several words
several_pids() {
	local a b

	need_bpf
	start_more a alloc_mix $ALLOC
	a=$pid
	start_more b alloc_mix $ALLOC --seed 2
	b=$pid
	start_more bystander alloc_mix $ALLOC --seed 3
	start_trace -p "$a,$b" --budget none
	run_more a
	run_more b
	run_more bystander
	end_trace
	expect_no_losses
	expect_pids "$a" "$b"
	expect_counted a
	expect_counted b
	expect_json report.json '.overhead.bystander_hits == 0' "the bystander paid nothing"
	expect_json report.json '[.processes[].target] | all' "both are targets"
}

# The same number twice, or given in two options, is one target.
# shellcheck disable=SC2086
repeated_pids() {
	need_bpf
	start_more a alloc_mix $ALLOC
	start_trace -p "$pid,$pid" -p "$pid" --budget none
	run_more a
	end_trace
	expect_pids "$pid"
	expect_counted a
}

# Children of a target are followed; they are no targets themselves, and neither are its siblings.
children() {
	local a

	need_bpf
	start_more a alloc_mix --rounds "$ROUNDS" --forks 3
	a=$pid
	start_more bystander alloc_mix --rounds "$ROUNDS" --forks 3
	start_trace -p "$a" --budget none
	run_more a
	run_more bystander
	end_trace
	expect_counted a
	expect_json report.json '([.processes[].pid] | sort) == ([$t[0].processes[].pid] | sort)' \
		"the target and its children" --slurpfile t a/truth.json
	expect_json report.json '[.processes[] | select(.pid != $a) | .parent_pid == $a and
		(.target | not) and .ended.reason == "exit"] | length == 3 and all' "its children" \
		--argjson a "$a"
	expect_json report.json '[.processes[] | select(.pid != $a).allocator |
		if .covered_from_s == null then .calls.malloc == null else .covered_from_s > 0 end] | all' \
		"from when each was covered, if it was" --argjson a "$a"
	# What they did before their probes came is not known: never more than the truth.
	expect_json report.json '[.processes[] | . as $p | $t[0].processes[] | select(.pid == $p.pid) |
		($p.allocator.calls.malloc // 0) <= .calls.malloc] | all' "no call is invented" \
		--slurpfile t a/truth.json
}

# ---- by name -----------------------------------------------------------------------------------

# A name of its own, so that nothing else on this host has it.
# shellcheck disable=SC2086
by_name() {
	local a b name=md-$RANDOM

	need_bpf
	cp "$TARGETS/alloc_mix" "$name"
	start_more bystander alloc_mix $ALLOC
	TARGETS=$PWD start_more a "$name" $ALLOC
	a=$pid
	start_trace --comm "$name" --budget none
	# One more, which starts during the trace.
	TARGETS=$PWD start_more b "$name" $ALLOC --seed 2
	b=$pid
	wait_for 30 is_probed "$b"
	run_more a
	run_more b
	run_more bystander
	end_trace
	expect_pids "$a" "$b"
	expect_counted a
	expect_json report.json '.processes[] | select(.pid == $b) | .mapping.mmap_calls > 0' \
		"mappings of the one that came later" --argjson b "$b"
	expect_json report.json '.processes[] | select(.pid == $b) |
		.allocator.covered_from_s > 0' "from when it is covered" --argjson b "$b"
}

nobody_of_that_name() {
	need_bpf
	expect_exit 0 "$MEMDRIFT" trace --comm "no-$RANDOM" -d 200ms --json >report.json
	expect_json report.json '.processes == []' "no process"
	expect_exit 0 "$MEMDRIFT" trace --comm "no-$RANDOM" -d 200ms >report.txt
	expect_match report.txt ' 0 processes' "the text says so"
}

# ---- by control group --------------------------------------------------------------------------

# make_group: a group in the unified hierarchy ($1 = 2) or in that of memory ($1 = 1). Sets $group
# to its folder, $group_name to its name in /proc/PID/cgroup.
make_group() {
	local root

	root=$(awk -v type="$1" '
		type == 2 && $3 == "cgroup2" { print $2; exit }
		type == 1 && $3 == "cgroup" && $4 ~ /(^|,)memory(,|$)/ { print $2; exit }' /proc/mounts)
	[ -n "$root" ] || skip "version $1 of control groups is not mounted here"
	group_name=/memdrift-test-$$-$RANDOM
	group=$root$group_name
	mkdir "$group" 2>/dev/null || skip "a control group cannot be made in $root"
	# shellcheck disable=SC2064 # the group of now
	trap "empty_group '$group' '$root'" EXIT
}

empty_group() {
	local member try

	for try in 1 2 3 4 5 6 7 8 9 10; do
		# shellcheck disable=SC2013
		for member in $(cat "$1"/cgroup.procs "$1"/*/cgroup.procs 2>/dev/null); do
			echo "$member" >"$2/cgroup.procs"
		done
		rmdir "$1"/*/ "$1" 2>/dev/null
		[ -d "$1" ] || return 0
		sleep 0.1
	done
	echo "$1 could not be removed ($try tries)"
}

# shellcheck disable=SC2086
by_group() {
	local a b c

	need_bpf
	make_group "$1"
	mkdir "$group/below"
	start_more a alloc_mix $ALLOC
	a=$pid
	echo "$a" >"$group/cgroup.procs"
	start_more c alloc_mix $ALLOC --seed 4
	c=$pid
	echo "$c" >"$group/below/cgroup.procs"
	start_more b alloc_mix $ALLOC --seed 2
	b=$pid
	start_more bystander alloc_mix $ALLOC --seed 3
	start_trace --cgroup "$([ "$2" = folder ] && echo "$group" || echo "$group_name")" -i 100ms --budget none
	run_more a
	run_more c
	run_more bystander
	# Moved in while the trace runs: met at the next interval.
	echo "$b" >"$group/cgroup.procs"
	wait_for 30 is_probed "$b"
	run_more b
	end_trace
	expect_no_losses
	expect_pids "$a" "$b" "$c"
	expect_counted a
	expect_counted b
	expect_counted c
	expect_json report.json '.processes[] | select(.pid == $b).allocator.covered_from_s > 0' \
		"the later one says from when" --argjson b "$b"
}

# Whether each of the nine entry points of its libc has its breakpoint: the code in memory against
# that of the file.
is_probed() {
	local range offset path start pages

	read -r range _ offset _ _ path < <(grep 'r-xp.*/libc\.so' "/proc/$1/maps")
	start=$((0x${range%-*} / 4096))
	pages=$((0x${range#*-} / 4096 - start))
	dd if="/proc/$1/mem" of=in-memory bs=4096 skip="$start" count="$pages" 2>/dev/null
	dd if="$path" of=in-file bs=4096 skip=$((0x$offset / 4096)) count="$pages" 2>/dev/null
	[ "$({ cmp -l in-file in-memory || true; } | wc -l)" -ge 9 ]
}

a_group_that_is_not_there() {
	need_bpf
	expect_exit 1 "$MEMDRIFT" trace --cgroup "/no-such-group-$RANDOM" -d 1 >out 2>err
	expect_match err '^memdrift: no control group /no-such-group' "message"
	expect_equal "$(wc -l <err)" 1 "one sentence"
}

# ---- the whole host ----------------------------------------------------------------------------

whole_host() {
	local storm

	need_bpf
	start_more storm map_storm --rounds 500 --threads 2
	storm=$pid
	start_more old alloc_mix --rounds 10
	start_trace
	run_more storm
	end_trace
	expect_json report.json '.losses | .ring_full == 0 and .inflight_full == 0' "no record was lost"
	expect_json report.json '[.processes[].pid] | contains([$a, $b])' "all are there" \
		--argjson a "$storm" --argjson b "$pid"
	expect_json report.json '.processes[] | select(.pid == $a).mapping |
		.mmap_calls == $t[0].processes[0].mmap.calls and
		.munmap_calls == $t[0].processes[0].munmap.calls' "its mappings" \
		--argjson a "$storm" --slurpfile t storm/truth.json
	expect_json report.json '[.processes[] | .allocator.calls == {} and
		.allocator.requested_bytes == null and .buckets == null] | all' "no allocator probe"
	expect_json report.json '.overhead | .hits == null and .covered == null' "nor its cost"
	expect_json report.json '[.processes[].pid] | index($p) == null' "not memdrift itself" \
		--argjson p "$TRACE"
}

# shellcheck disable=SC2086
whole_host_with_malloc() {
	local a b

	need_bpf
	start_more a alloc_mix $ALLOC
	a=$pid
	start_more b alloc_mix $ALLOC --seed 2
	b=$pid
	start_trace --malloc --budget none
	# One process after the other is searched when the trace has begun.
	wait_for 60 is_probed "$a"
	run_more a
	run_more b
	end_trace
	expect_counted a
	expect_counted b
	expect_json report.json '[.processes[].pid] | contains([$a, $b])' "both are there" \
		--argjson a "$a" --argjson b "$b"
}

test_case "-p with several processes, and a bystander" several_pids
test_case "-p with the same process twice" repeated_pids
test_case "-p follows children" children
test_case "--comm: running ones and later ones" by_name
test_case "--comm of nobody" nobody_of_that_name
test_case "--cgroup, version 1, by its folder" by_group 1 folder
test_case "--cgroup, version 2, by its name" by_group 2 name
test_case "--cgroup of nothing" a_group_that_is_not_there
test_case "the whole host: mappings" whole_host
test_case "the whole host: allocator calls with --malloc" whole_host_with_malloc
