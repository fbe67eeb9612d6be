# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# shellcheck shell=bash
#
# Sourced by every shell test. A test file is a list of functions and of calls
#
#	test_case "counts every malloc" counts_every_malloc
#
# each of which runs in a subshell under `set -e`, prints one TAP line and, when it fails, its
# output as comments. Given to the tests:
#
#	$MEMDRIFT   the binary                  $TARGETS   the built programs of tests/targets
#	$WORK       an empty directory of the test case, removed after it
#	$MEMDRIFT_VM  1 inside the virtual machine: slow, 1 GB, no network; take smaller counts
#	$MEMDRIFT_NO_BPF  why BPF cannot be had here, when it cannot (see need_bpf)
#
# Everything that a test starts is killed when it ends, whichever way it ends.

TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BUILD_DIR=$(cd "$TESTS/.." && cd "${BUILD:-build}" && pwd) || exit 1
MEMDRIFT=${MEMDRIFT:-$BUILD_DIR/memdrift}
TARGETS=${TARGETS:-$BUILD_DIR/targets}
MEMDRIFT_VM=${MEMDRIFT_VM:-0}
# Marks this file's processes, so that those which left the process tree are found as well.
export MEMDRIFT_TEST_ID=${MEMDRIFT_TEST_ID:-$$.$RANDOM}
export MEMDRIFT TARGETS MEMDRIFT_VM
# Numbers and sort order that do not depend on the user.
export LC_ALL=C.UTF-8

test_root=$(mktemp -d "${TMPDIR:-/tmp}/memdrift-test.XXXXXX") || exit 1
failed_cases=0
running_case=

end_file() {
	local status=$?

	trap '' INT TERM
	if [ -n "$running_case" ]; then
		echo "not ok - $running_case: interrupted, by its time limit or by hand"
		show_log
	fi
	"$TESTS/reap" "$MEMDRIFT_TEST_ID"
	rm -rf "$test_root"
	[ "$status" != 0 ] || [ "$failed_cases" = 0 ] || status=1
	exit "$status"
}
trap end_file EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

show_log() {
	tail -c 6000 "$test_root/log" | sed 's/^/#   /'
}

# ---- inside a test case ------------------------------------------------------------------------

# skip REASON: ends the test case.
skip() {
	echo "$*" >"$test_root/skip"
	exit 0
}

# fail WHY: ends the test case as failed.
fail() {
	echo "$*" >"$test_root/why"
	exit 1
}

# need_root, need_bpf, need_command NAME...: skip the test case where they are missing.
need_root() {
	[ "$(id -u)" = 0 ] || skip "needs root"
}

need_bpf() {
	need_root
	[ -z "${MEMDRIFT_NO_BPF:-}" ] || skip "$MEMDRIFT_NO_BPF"
}

need_command() {
	local name

	for name; do
		command -v "$name" >/dev/null || skip "there is no $name"
	done
}

# need_target NAME...: skip when a target was left out (no Go, no musl-gcc).
need_target() {
	local name

	for name; do
		[ -e "$TARGETS/$name" ] || skip "the target $name was not built here"
	done
}

# busybox has a smaller one of that name.
need_setpriv() {
	need_root
	setpriv --reuid 65534 true 2>/dev/null || skip "there is no setpriv of util-linux"
}

# as_nobody PROGRAM ARGS...: of a copy that another user can reach.
as_nobody() {
	local program=$1

	shift
	cp "$program" "$WORK/program"
	chmod 755 "$WORK/program"
	chmod o+x "$WORK" "$WORK/.."
	setpriv --reuid 65534 --regid 65534 --clear-groups "$WORK/program" "$@"
}

# wait_for SECONDS COMMAND...: polls until COMMAND succeeds; fails the test case when it never does.
wait_for() {
	local seconds=$1 end

	shift
	end=$((SECONDS + seconds + 1))
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || fail "not within $seconds s: $*"
		sleep 0.05
	done
}

# expect_exit CODE COMMAND...: COMMAND's own output stays where it goes.
expect_exit() {
	local want=$1 got=0

	shift
	"$@" || got=$?
	[ "$got" = "$want" ] || fail "exit code $got, not $want: $*"
}

# expect_equal GOT WANT DESCRIPTION
expect_equal() {
	[ "$1" = "$2" ] || fail "$3: got '$1', expected '$2'"
}

# expect_match FILE REGEX DESCRIPTION: extended regular expression on one line of the file.
expect_match() {
	grep -Eq -e "$2" "$1" && return 0
	echo "no line of $1 matches: $2"
	head -c 4000 "$1"
	fail "$3"
}

# expect_json FILE JQ_EXPRESSION DESCRIPTION [JQ_OPTION...]: the expression must yield neither
# false nor null. On failure the values of the paths that it names are shown.
expect_json() {
	local file=$1 expression=$2 description=$3 path

	shift 3
	jq -e "$@" "$expression" "$file" >"$test_root/jq" 2>&1 && return 0
	echo "false: $expression"
	head -c 2000 "$test_root/jq"
	if ! jq -e . "$file" >/dev/null 2>&1; then
		echo "and $file is not JSON:"
		head -c 2000 "$file"
	fi
	while read -r path; do
		echo "  $path = $(jq -c "$@" "$path" "$file" 2>/dev/null | head -c 800)"
	done < <(grep -oE '\.[A-Za-z_][][A-Za-z0-9_."]*' <<<"$expression" | sort -u)
	fail "$description"
}

# expect_only_losses FILE [NAME...]: a report that says of nothing but these that it was lost. What
# else was is named where the test case fails.
expect_only_losses() {
	local file=$1 lost

	shift
	expect_json "$file" '(.losses | to_entries | map(select(.key != "total").value) | add) ==
		.losses.total' "losses by name add up"
	lost=$(jq -r --arg names "$*" '.losses | del(.total) | to_entries |
		map(select(.value != 0 and (.key | IN($names / " " | .[]) | not)) | "\(.key) \(.value)") |
		join(", ")' "$file")
	[ -z "$lost" ] || fail "lost: $lost"
}

# ---- running test cases ------------------------------------------------------------------------

# With -E the trap is inherited by functions: it names the command that ended the test case.
# shellcheck disable=SC2317,SC2329 # called through run_case
note_failure() {
	[ -s "$test_root/why" ] || echo "line $1: $2 (status $3)" >"$test_root/why"
}

run_case() {
	set -eE
	trap 'note_failure "$LINENO" "$BASH_COMMAND" "$?"' ERR
	trap - EXIT
	WORK=$test_root/work
	mkdir "$WORK"
	cd "$WORK"
	"$@"
}

# test_case NAME FUNCTION [ARGUMENT...]
test_case() {
	local name=$1 status why

	rm -rf "$test_root/work" "$test_root/why" "$test_root/skip"
	if [ -n "${TEST_FILTER:-}" ] && [[ $name != *$TEST_FILTER* ]]; then
		return 0
	fi
	shift
	running_case=$name
	(run_case "$@") >"$test_root/log" 2>&1 </dev/null
	status=$?
	running_case=
	"$TESTS/reap" "$MEMDRIFT_TEST_ID" $$
	if [ "$status" != 0 ]; then
		failed_cases=$((failed_cases + 1))
		why=$(head -c 300 "$test_root/why" 2>/dev/null | tr '\n' ' ')
		echo "not ok - $name: ${why:-status $status}"
		show_log
	elif [ -e "$test_root/skip" ]; then
		echo "ok - $name # SKIP $(cat "$test_root/skip")"
	else
		echo "ok - $name"
	fi
}

# The same, but not in the virtual machines: of several cases that ask one thing of the kernel, one
# is enough there, where each takes ten times as long.
host_case() {
	[ "$MEMDRIFT_VM" = 1 ] || test_case "$@"
}
