# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# shellcheck shell=bash
#
# For tests of `memdrift watch`, after tests/lib.sh: a control group of the test's own, and one watch
# that follows its processes alone. What else the host does is no part of the test.

find_memory_hierarchy() {
	hierarchy=$(awk '/ - cgroup / && index("," $NF ",", ",memory,") {print $5; exit}' \
		/proc/self/mountinfo)
	version=1
	[ -z "$hierarchy" ] || return 0
	hierarchy=$(awk '/ - cgroup2 / {print $5; exit}' /proc/self/mountinfo)
	version=2
	[ -n "$hierarchy" ] && grep -qw memory "$hierarchy/cgroup.controllers"
}

# make_group LIMIT_BYTES, "" for none: sets $GROUP; goes when the file ends.
make_group() {
	find_memory_hierarchy || skip "no control groups for memory"
	GROUP=$hierarchy/memdrift-watch-$$
	mkdir -p "$GROUP" 2>/dev/null || skip "control groups cannot be made here"
	if [ "$version" = 2 ]; then
		# Best effort: in a subtree that already has processes it cannot be turned on.
		echo +memory >"$hierarchy/cgroup.subtree_control" 2>/dev/null || true
		[ -z "$1" ] || echo "$1" >"$GROUP/memory.max"
	else
		[ -z "$1" ] || echo "$1" >"$GROUP/memory.limit_in_bytes"
	fi
}

# shellcheck disable=SC2317,SC2329 # a trap
end_with_group() {
	local status=$? group

	"$TESTS/reap" "$MEMDRIFT_TEST_ID" $$
	while read -r group; do
		# The kernel takes processes that have ended out of their group a moment later.
		for _ in {1..100}; do
			rmdir "$group" 2>/dev/null && break
			[ -d "$group" ] || break
			sleep 0.05
		done
	done < <(awk '/ - cgroup2? / {print $5}' /proc/self/mountinfo |
		xargs -I{} find {} -maxdepth 1 -depth -type d -name "memdrift-watch-$$")
	(exit "$status")
	end_file
}
trap end_with_group EXIT

# in_group PROGRAM ARGS...: becomes it; for a subshell.
# shellcheck disable=SC2317,SC2329 # called with &
in_group() {
	echo "$BASHPID" >"$GROUP/cgroup.procs"
	exec "$@"
}

# start_drift NAME MODE...: a program of the live corpus, which ends with this file; its words in
# NAME.MODE. Sets pid_of[MODE].
# shellcheck disable=SC2034 # the tests read it
declare -A pid_of
start_drift() {
	local program=$1 out=$1.$2

	shift
	need_target "$program"
	[ -p drift.in ] || mkfifo drift.in
	# Read and write: it never ends by itself.
	exec 7<>drift.in
	in_group "$TARGETS/$program" "$@" <&7 >"$out" 7>&- &
	# shellcheck disable=SC2034 # the tests read it
	pid_of[$1]=$!
	wait_for 30 grep -q '^ready' "$out"
}

# start_watch OPTION...: incidents in incidents.jsonl, words in watch.err. Sets $WATCH.
start_watch() {
	# The words of one before it are not its own.
	rm -f watch.err
	"$MEMDRIFT" watch --db "$PWD/watch.db" ${GROUP:+--cgroup "$GROUP"} "$@" \
		>>incidents.jsonl 2>watch.err &
	WATCH=$!
	wait_for 60 watch_has_begun
}

# shellcheck disable=SC2317,SC2329 # called through wait_for
watch_has_begun() {
	grep -q '^memdrift: watching' watch.err && return 0
	kill -0 "$WATCH" 2>/dev/null || fail "memdrift watch ended: $(head -c 500 watch.err)"
	return 1
}

end_watch() {
	local got=0

	kill -TERM "$WATCH"
	wait "$WATCH" || got=$?
	[ "$got" = 0 ] || fail "memdrift watch exited with $got: $(head -c 1000 watch.err)"
}

# has_incident JQ_CONDITION: a line of which it is true.
has_incident() {
	jq -se "any(.[]; $1)" incidents.jsonl >/dev/null
}

# sql QUERY: on the test's database.
sql() {
	sqlite3 -readonly watch.db "$1"
}
