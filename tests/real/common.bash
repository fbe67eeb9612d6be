# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# shellcheck shell=bash
#
# Sourced by the tests on real software, after tests/lib.sh.

REAL=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# trace_command OUT COMMAND...: exact counts of a whole run. The truth goes to OUT.truth. At its
# "done" the command stands until it is told: what ends a millisecond after its exec may be gone
# before memdrift has looked at it.
trace_command() {
	local out=$1 pid

	shift
	rm -f "$WORK/steps"
	start_stepped "$MEMDRIFT" trace --json --budget none -o "$out" -- "$@" --wait
	pid=$!
	reached ready
	step
	reached 'done'
	cp truth "$out.truth"
	step
	expect_exit 0 wait "$pid"
	exec 7>&-
	expect_only_losses "$out" objects_unread
}

# The program behind the two pipes of start_stepped has said WORD.
has_said() {
	grep -q "^$1 " "$WORK/said"
}

# start_stepped COMMAND...: a program that stops at words of its own and waits for a line.
start_stepped() {
	mkfifo "$WORK/steps"
	: >"$WORK/said"
	TRUTH=$WORK/truth "$@" <"$WORK/steps" >"$WORK/said" 2>"$WORK/errors" &
	exec 7>"$WORK/steps"
}

# reached WORD [SECONDS]: waits for the word.
reached() {
	wait_for "${2:-60}" has_said "$1"
}

# pid_at WORD: the pid that was said with it.
pid_at() {
	sed -n "s/^$1 \([0-9]*\).*/\1/p" "$WORK/said"
}

step() {
	echo >&7
}

# start_trace OUT ARGS...: memdrift in the background, in $trace; returns when it has attached.
start_trace() {
	local out=$1

	shift
	"$MEMDRIFT" trace -v --json --budget none -o "$out" "$@" 2>"$out.messages" &
	trace=$!
	wait_for 60 is_tracing "$out.messages"
}

is_tracing() {
	grep -q 'the trace has begun' "$1"
}

# end_trace: fails the test case when memdrift fails.
end_trace() {
	kill -TERM "$trace"
	expect_exit 0 wait "$trace"
}

# expect_exact OUT [BASE]: the traced run OUT has what its truth says beyond what the same program
# does in a run of no rounds, BASE; without BASE exactly what its truth says.
expect_exact() {
	[ -n "${2:-}" ] || {
		echo '{"processes": []}' >none
		echo '{"processes": [{"pid": -1}]}' >none.truth
		set -- "$1" none
	}
	jq -n -r --slurpfile out "$1" --slurpfile truth "$1.truth" \
		--slurpfile base "$2" --slurpfile base_truth "$2.truth" \
		-f "$REAL/exact.jq" >"$WORK/differences"
	[ -s "$WORK/differences" ] || return 0
	head -12 "$WORK/differences"
	fail "counts differ from the program's own: $(head -1 "$WORK/differences")"
}

# run_families COMMAND...: alloc_families, from "ready" to "done" under a trace; what doctor says of
# it is in doctor.json.
run_families() {
	start_stepped "$@" --threads 3 --seed 7 --rounds 20000 --wait
	reached ready
	"$MEMDRIFT" doctor --json -p "$(pid_at ready)" >doctor.json
	start_trace out.json -p "$(pid_at ready)"
	step
	reached 'done'
	end_trace
	expect_sound out.json
}

# expect_families KIND ENTRY_POINTS: the report has what the program counted by name; which names a
# row stands for is doctor's to say. At least so many were called.
expect_families() {
	jq -n -r --slurpfile out out.json --slurpfile truth truth --slurpfile doctor doctor.json \
		--arg kind "$1" '
		$truth[0] as $t | $out[0].processes[0] as $p |
		[$doctor[0].process.objects[] | select(.allocator == $kind) | .functions[]] as $rows |
		($rows[] | . as $row | ([$t.calls[$row.names[]] // 0] | add) as $want |
			select(($p.allocator.calls[$row.key] // 0) != $want) |
			"calls of \($row.key): \($p.allocator.calls[$row.key]), by itself: \($want)"),
		(($t.calls | keys) - [$rows[].names[]] | .[] | "\(.) is in no row"),
		(select($p.allocator.requested_bytes != $t.requested_bytes) |
			"bytes: \($p.allocator.requested_bytes), by itself: \($t.requested_bytes)"),
		(select($p.allocator.impossible_requests != $t.impossible) | "impossible requests"),
		(select([$p.buckets[] | {min_bytes, count, bytes}] != $t.buckets) | "buckets")
		' >differences
	[ ! -s differences ] || {
		cat differences
		fail "counts differ from the own: $(head -n 1 differences)"
	}
	[ "$(jq '[.calls[]] | map(select(. > 0)) | length' truth)" -ge "$2" ] ||
		fail "fewer than $2 entry points were called"
}

# expect_emulated KIND [KEY...]: every site is on an instruction that the kernel emulates, but for
# these functions, which have none before their arguments are gone.
expect_emulated() {
	local kind=$1

	shift
	expect_json doctor.json '[.process.objects[] | select(.allocator == $kind) | .functions[] |
		select(.site.emulated | not) | .key] - ($keys | split(" ")) == []' \
		"functions that are single-stepped" --arg kind "$kind" --arg keys "$*"
}

# expect_sound OUT: what must hold in every trace without losses that counted allocator calls.
expect_sound() {
	expect_json "$1" '.schema == "memdrift.trace/1"' "another schema"
	expect_only_losses "$1"
	expect_json "$1" '[.processes[] | select(.buckets)] | length > 0' "no calls were counted"
	expect_json "$1" '
		[.processes[] | select(.buckets) |
			([.allocator.calls[] // 0] | add // 0) - .allocator.frees
			!= ([.buckets[].count] | add // 0) + .allocator.impossible_requests] | any | not' \
		"the buckets do not add up to the allocating calls"
	expect_json "$1" '
		[.processes[] | select(.buckets) |
			([.buckets[].bytes] | add // 0) != .allocator.requested_bytes] | any | not' \
		"the buckets do not add up to the requested bytes"
	expect_json "$1" '
		[.processes[].buckets // [] | .[] |
			.bytes < .min_bytes * .count or .bytes > .max_bytes * .count] | any | not' \
		"a bucket holds bytes that its limits do not allow"
}

# range_rss PID START BYTES: the resident bytes of a range (START as 0x…).
range_rss() {
	"$REAL/range-rss" "$@"
}

# need_package NAME: sets $package_dir to where the package is unpacked, and lets its libraries be
# found.
need_package() {
	package_dir=$("$TESTS/../tools/unpack" "$1" 2>"$WORK/unpack.log") ||
		skip "cannot get the package $1: $(tail -n 1 "$WORK/unpack.log")"
	export LD_LIBRARY_PATH=$package_dir/usr/lib/x86_64-linux-gnu
}

# Servers refuse root: "${as_nobody[@]}" COMMAND... The test's directories must be passable.
# shellcheck disable=SC2034 # used by the tests
as_nobody=(setpriv --reuid=nobody --regid=nogroup --clear-groups --no-new-privs)

# private_dir NAME: a directory of nobody's own inside $WORK; prints its path.
private_dir() {
	chmod a+x "$WORK" "$(dirname "$WORK")"
	install -d -o nobody -g nogroup -m 700 "$WORK/$1"
	echo "$WORK/$1"
}
