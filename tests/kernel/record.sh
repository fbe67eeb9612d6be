#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# vm: no
# limit: 240
# Recordings: what `memdrift report` writes of one is what the trace wrote, byte for byte, when the
# target is gone and the reader is nobody in particular.
# shellcheck disable=SC2016,SC2119 # $ in single quotes is for jq; arguments are optional
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$(dirname "$0")/../trace.sh"

ROUNDS=$([ "$MEMDRIFT_VM" = 1 ] && echo 300 || echo 5000)

# report_as_nobody OPTION...: of r.mdr, in an empty root: no /proc, no file of the target.
report_as_nobody() {
	local path

	if [ ! -d jail ]; then
		mkdir -p jail
		while read -r path; do
			mkdir -p "jail/$(dirname "$path")"
			cp -L "$path" "jail/$path"
		done < <(ldd "$MEMDRIFT" | grep -oE '/[^ )]+')
		cp "$MEMDRIFT" jail/memdrift
		mkdir -m 777 jail/out jail/tmp
		# Its messages and its bars, for text that is UTF-8.
		mkdir -p jail/usr/lib/locale
		cp -r /usr/lib/locale/C.utf8 jail/usr/lib/locale/ 2>/dev/null || true
		chmod -R o+rX jail
	fi
	cp r.mdr jail/r.mdr
	chroot --userspec=65534:65534 --groups= jail /memdrift report r.mdr "$@"
}

# expect_again FILE OPTION...: what the trace wrote to FILE with these options.
expect_again() {
	local file=$1

	shift
	report_as_nobody "$@" ||
		fail "report failed: $*"
	cmp "$file" "jail/out/$file" || fail "$file differs: report r.mdr $*"
	[ -s "$file" ] || fail "$file is empty"
}

# expect_all WEIGHT: JSON and the files of stacks that the trace wrote beside it.
expect_all() {
	expect_again report.json --json -o out/report.json "${@:2}"
	expect_again folded --json -o out/x --folded out/folded --weight "$1"
	expect_again pprof --json -o out/x --pprof out/pprof
	expect_again svg --json -o out/x --svg out/svg --weight "$1"
}

# record_running TARGET ARGUMENTS -- OPTIONS: between its words, then it is killed.
record_running() {
	local target=$1 weight=$2

	need_bpf
	need_setpriv
	shift 2
	# shellcheck disable=SC2086
	start_target "$target" --wait --seed 3 ${TARGET_OPTIONS:-}
	start_trace -p "$TARGET" --budget none --record r.mdr --folded folded --pprof pprof --svg svg \
		--weight "$weight" "$@"
	tell_target
	if [ "$target" = arena_threads ]; then
		wait_for 120 grep -q '^peak' target.out
	else
		wait_done
	fi
	end_trace
	kill -9 "$TARGET"
	wait "$TARGET" || true
}

# Others than the trace listed are known as well.
mappings_again() {
	record_running large_maps unreleased_bytes --large 128M
	expect_all unreleased_bytes
	report_as_nobody --json --large 64M >other.json
	jq "[.maps[] | select(.large and (.released | not)) |
		{address, reserved_bytes, committed_bytes, resident_bytes, before_attach: .before_ready}] |
		sort_by(.address)" truth.json >want.json
	jq '[.processes[0].large_mappings[] |
		{address, reserved_bytes, committed_bytes, resident_bytes, before_attach}] |
		sort_by(.address)' other.json >got.json
	[ "$(jq length want.json)" -gt "$(jq '.processes[0].large_mappings | length' report.json)" ] ||
		fail "the trace had listed all of them"
	diff want.json got.json || fail "large mappings differ from the program's own"
}

arenas_again() {
	TARGET_OPTIONS="--threads 3 --mb 1" record_running arena_threads alloc_bytes
	expect_all alloc_bytes
	expect_json report.json '.processes[0].arenas.events | length == 3' "arenas were made"
}

# arena_threads touches what it takes.
faults_again() {
	TARGET_OPTIONS="--threads 3 --mb 1" record_running arena_threads fault_bytes --fault-period 7
	expect_all fault_bytes
	expect_json report.json '.processes[0].faults | .sampled > 0 and .bytes > 0' "faults were sampled"
	report_as_nobody -o out/text
	grep -q 'Page faults brought in' jail/out/text || fail "the text does not tell of page faults"
}

live_again() {
	TARGET_OPTIONS="--rounds $ROUNDS --forks 1" record_running live_mix live_bytes --live --temporary --lines
	expect_all live_bytes
	expect_json report.json '.processes[0].live.groups | length > 3' "groups were listed"
	grep -q '(live_mix.c:[0-9]*)' folded || fail "source lines are not in it"
}

# Sizes that cut no bucket leave out groups and change none.
filters_again() {
	TARGET_OPTIONS="--rounds $ROUNDS" record_running live_mix live_bytes --live
	report_as_nobody --json --min-size 256 --max-size 4095 >filtered.json
	expect_json filtered.json '.processes[0].live.groups | length > 1' "groups are left"
	expect_json filtered.json '. as $f | $r[0] | .processes[0].live.groups |=
		map(select(.min_bytes >= 256 and .max_bytes < 4096)) |
		.processes[0].live.peak.groups |= map(select(.min_bytes >= 256 and .max_bytes < 4096)) |
		. == $f' "the groups of these sizes" --slurpfile r report.json
	report_as_nobody --json --older 0.2s >filtered.json
	expect_json filtered.json '.processes[0].live | all(.groups[]; .oldest_s >= 0.2 and
		.growth.bytes_per_s == null and .peak_bytes == null) and .peak.groups == null and
		.bytes == $r[0].processes[0].live.bytes' "the old ones" --slurpfile r report.json
}

# The text, with its options, of a command that has ended.
text_again() {
	need_bpf
	need_setpriv
	need_target class_mix
	TRUTH=truth.json "$MEMDRIFT" trace -o text --buckets glibc --record r.mdr --live --all --top 3 -- \
		"$TARGETS/class_mix" --forks 2 --threads 1 --rounds 300 >out 2>trace.err ||
		fail "memdrift failed: $(cat trace.err)"
	expect_again text -o out/text --all --top 3
	grep -q 'The command exited with status 0' text || fail "the command's end is not told"
	grep -q 'size class (glibc)' text || fail "no size classes"
	# Other options make another text of the same recording.
	report_as_nobody -o out/short --top 1
	! cmp -s text jail/out/short || fail "--all and --top change nothing"
}

whole_host_again() {
	need_bpf
	need_setpriv
	# Somebody maps memory in every trace.
	while ls / >/dev/null; do :; done &
	"$MEMDRIFT" trace -d 0.3s --json -o report.json --record r.mdr --folded folded --pprof pprof \
		--svg svg 2>trace.err || fail "memdrift failed: $(cat trace.err)"
	kill $!
	expect_all mmap_bytes
	report_as_nobody --folded out/x --weight alloc_bytes 2>err && fail "there are no calls"
	expect_match err "has no alloc_bytes by stack: trace with a target, or --malloc" "what lacks"
}

# Two recordings are compared as their JSON is.
compares_recordings() {
	local name

	need_bpf
	need_target live_mix
	for name in a b; do
		TRUTH=$name.truth "$MEMDRIFT" trace --live --json -o "$name.json" --record "$name.mdr" -- \
			"$TARGETS/live_mix" --rounds "$ROUNDS" --seed "$([ $name = a ] && echo 1 || echo 2)" \
			>out 2>trace.err || fail "memdrift failed: $(cat trace.err)"
	done
	"$MEMDRIFT" report --diff a.json b.json --json --folded json.folded >json.diff
	"$MEMDRIFT" report --diff a.mdr b.mdr --json --folded mdr.folded >mdr.diff
	"$MEMDRIFT" report --diff a.json b.mdr --json >both.diff
	cmp json.folded mdr.folded || fail "folded stacks differ"
	diff <(sed 's/\.mdr"/.json"/g' mdr.diff) json.diff || fail "the comparison differs"
	diff <(sed 's/\.mdr"/.json"/g' both.diff) json.diff || fail "the comparison differs"
	expect_json json.diff '.totals.live_bytes.delta != 0' "something differs at all"
}

# A recording takes its place when it is whole; what cannot be one is refused before the trace.
takes_its_place_when_whole() {
	need_bpf
	echo before >r.mdr
	ln -s r.mdr link.mdr
	"$MEMDRIFT" trace --record link.mdr -o text -- sh -c 'cat r.mdr; ls r.mdr.* >&2' >said 2>beside
	expect_equal "$(cat said)" before "while the trace runs"
	[ "$(grep -c '^r\.mdr\.' beside)" = 1 ] || fail "no file beside it: $(cat beside)"
	[ -L link.mdr ] || fail "the link is gone"
	"$MEMDRIFT" report r.mdr >again
	cmp text again || fail "the text differs"
	expect_equal "$(find . -name 'r.mdr.*')" "" "left behind"
	expect_equal "$(stat -c %a r.mdr)" "$(stat -c %a text)" "mode"
	# Into a pipe as it is.
	"$MEMDRIFT" trace --record /dev/stdout -o text -- true 2>trace.err | cat >piped.mdr
	"$MEMDRIFT" report piped.mdr >again
	cmp text again || fail "the text differs"
	expect_exit 1 "$MEMDRIFT" trace --record none/r.mdr -- touch ran 2>err
	expect_match err 'cannot write none/r.mdr: No such file' "why"
	[ ! -e ran ] || fail "the command ran"
	# A full disk costs only the recording.
	expect_exit 1 "$MEMDRIFT" trace --record /dev/full -o text -- true 2>err
	expect_match err 'cannot write /dev/full: No space left' "why"
	[ -s text ] || fail "there is no report"
	# A trace that fails leaves nothing.
	expect_exit 1 "$MEMDRIFT" trace --record x.mdr -- ./nothing 2>err
	expect_equal "$(find . -name 'x.mdr*')" "" "left behind"
}

# What is refused, by a reader who has only the file.
refuses_what_is_not_whole() {
	need_bpf
	"$MEMDRIFT" trace --record r.mdr -o text -- true 2>trace.err
	head -c 200 r.mdr >cut.mdr
	expect_exit 1 "$MEMDRIFT" report cut.mdr 2>err
	expect_match err 'cannot read cut.mdr: byte 200, section .*: it is cut short; get another copy' \
		"why it is refused"
	{ cat r.mdr && echo; } >long.mdr
	expect_exit 1 "$MEMDRIFT" report long.mdr 2>err
	expect_match err 'cannot read long.mdr: .*more follows after the end' "why it is refused"
	expect_exit 1 "$MEMDRIFT" report text 2>err
	expect_match err 'cannot read text: it is no recording' "why it is refused"
	expect_exit 1 "$MEMDRIFT" report . 2>err
	expect_match err 'cannot read .: Is a directory' "why it is refused"
	expect_exit 1 "$MEMDRIFT" report --diff r.mdr cut.mdr 2>err
	expect_match err 'cannot read cut.mdr: .*cut short' "why it is refused"
	expect_exit 2 "$MEMDRIFT" report r.mdr r.mdr 2>err
	expect_exit 2 "$MEMDRIFT" report --diff r.mdr r.mdr --large 1M 2>err
	expect_exit 2 "$MEMDRIFT" report r.mdr --weight weight 2>err
	expect_exit 2 "$MEMDRIFT" report r.mdr --large 1 2>err
	# The file that is read may be the one that is written.
	"$MEMDRIFT" report r.mdr -o r.mdr
	cmp r.mdr text || fail "the text differs"
}

test_case "mappings come out of a recording as the trace wrote them" mappings_again
test_case "arenas come out of a recording as the trace wrote them" arenas_again
test_case "page faults come out of a recording as the trace wrote them" faults_again
test_case "outstanding allocations come out of a recording as the trace wrote them" live_again
test_case "outstanding allocations are filtered" filters_again
test_case "the text comes out of a recording as the trace wrote it" text_again
test_case "a whole host comes out of a recording as the trace wrote it" whole_host_again
test_case "recordings are compared as their JSON is" compares_recordings
test_case "a recording takes its place when it is whole" takes_its_place_when_whole
test_case "what is no whole recording is refused" refuses_what_is_not_whole
