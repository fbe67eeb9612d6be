# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# shellcheck shell=bash
#
# Sourced by the tests of advice, after tests/lib.sh and tests/real/common.bash: what a piece of
# advice says of a program that stands still, and what following it does. The truth is the resident
# memory without the advice less that with it, at the same point of the program's life, as
# smaps_rollup has it.

# shellcheck disable=SC2034 # the tests use it
JEMALLOC=/usr/lib/x86_64-linux-gnu/libjemalloc.so.2

# begin NAME=VALUE... COMMAND...: starts it, waits until it is "done", sets $pid.
begin() {
	rm -f steps
	start_stepped env "$@"
	reached 'done' 120
	pid=$(pid_at 'done')
}

# Ends it; another can begin.
end() {
	exec 7>&-
	wait_for 20 is_gone "$pid"
}

is_gone() {
	[ ! -e "/proc/$1" ]
}

# command_program WORD: a word to the program, and its "ok".
command_program() {
	local before

	before=$(grep -c '^ok' said || :)
	echo "$1" >&7
	wait_for 60 has_said_ok "$((before + 1))"
}

has_said_ok() {
	[ "$(grep -c '^ok' said)" -ge "$1" ]
}

# rss: resident bytes of $pid.
rss() {
	awk '/^Rss:/ { print $2 * 1024 }' "/proc/$pid/smaps_rollup"
}

# ask_advice [OPTION...]: of $pid, into advice.json; $before is what is resident.
ask_advice() {
	"$MEMDRIFT" explain -p "$pid" --json "$@" >advice.json
	before=$(rss)
}

# saving_of ID: "LOW HIGH", "none" when it is not predicted, "" when it is not given.
saving_of() {
	jq -r --arg id "$1" '[.advice[] | select(.id == $id)][0] // empty |
		if .saving_low_bytes then "\(.saving_low_bytes) \(.saving_high_bytes)"
		else "none" end' advice.json
}

# judge ID predicted|unpredicted|absent AFTER: how the advice in advice.json compares with what came
# of it. One line of JSON to $RESULTS, when that is set.
judge() {
	local id=$1 want=$2 after=$3 saving low=0 high=0 truth kind=absent holds=true

	truth=$((before - after))
	saving=$(saving_of "$id")
	case $saving in
	"") ;;
	none) kind=unpredicted ;;
	*)
		kind=predicted
		read -r low high <<<"$saving"
		[ "$truth" -ge "$low" ] && [ "$truth" -le "$high" ] || holds=false
		[ "$high" -le "$((2 * low))" ] || fail "$id: a range of $low to $high"
		;;
	esac
	# One that is not given must not have been missing: 2 % of what is resident, 1 MiB.
	if [ "$kind" = absent ] && [ "$truth" -gt "$((before / 50))" ] && [ "$truth" -gt 1048576 ]; then
		holds=false
	fi
	echo "$id: $kind, $low to $high, was $truth of $before bytes"
	[ -z "${RESULTS:-}" ] || jq -nc --arg name "${workload:-$id}" --arg id "$id" \
		--arg kind "$kind" --argjson low "$low" --argjson high "$high" \
		--argjson truth "$truth" --argjson rss "$before" --argjson holds "$holds" \
		'$ARGS.named' >>"$RESULTS"
	expect_equal "$kind" "$want" "the advice $id"
	[ -n "${RESULTS:-}" ] || [ "$holds" = true ] || fail "$id does not hold"
}

# make_group LIMIT_BYTES: a memory cgroup in $group, and what writes its limit in $group_limit.
make_group() {
	local root=/sys/fs/cgroup limit=memory.max

	need_root
	if [ -d /sys/fs/cgroup/memory ]; then
		root=/sys/fs/cgroup/memory limit=memory.limit_in_bytes
	elif ! grep -qw memory /sys/fs/cgroup/cgroup.subtree_control; then
		skip "there is no memory cgroup here"
	fi
	group=$root/memdrift-advice-$$-$RANDOM
	mkdir "$group" || skip "a memory cgroup cannot be made here"
	trap 'leave_group' EXIT
	group_limit=$group/$limit
	echo "$1" >"$group_limit"
}

leave_group() {
	exec 7>&-
	wait_for 20 rmdir "$group"
}

# In the group: "${in_group[@]}" COMMAND...
# shellcheck disable=SC2016,SC2034 # for the inner shell; used by the tests
in_group=(sh -c 'echo $$ >"$GROUP/cgroup.procs" && exec "$@"' sh)
