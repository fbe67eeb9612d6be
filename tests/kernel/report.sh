#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# vm: no
# limit: 180
# What reaches the reader: the text, the names of the JSON, folded stacks, --strict.
# shellcheck disable=SC2016,SC2119 # $ in single quotes is for jq; arguments are optional
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$(dirname "$0")/../trace.sh"

ROUNDS=$([ "$MEMDRIFT_VM" = 1 ] && echo 200 || echo 2000)

# ---- JSON --------------------------------------------------------------------------------------

# Name and type of everything that scripts may rely on: n number, s string, b boolean, a array,
# o object; "?" also null. Below processes[] all processes must have it, and so on.
contract() {
	cat <<-'END'
		.schema s
		.version s
		.duration_s n
		.host.kernel s
		.host.cpus_online n
		.host.page_bytes n
		.losses.total n
		.overhead.hit_ns n?
		.overhead.hits n?
		.overhead.stack_ns n?
		.overhead.frame_ns n?
		.overhead.stacks n?
		.overhead.frames n?
		.overhead.covered n?
		.processes a
		.processes[].pid n
		.processes[].start_time_ticks n
		.processes[].comm s
		.processes[].exe s?
		.processes[].rss.start_bytes n?
		.processes[].rss.end_bytes n?
		.processes[].rss.min_bytes n?
		.processes[].rss.max_bytes n?
		.processes[].rss.slope_bytes_per_s n?
		.processes[].mapping.mmap_calls n
		.processes[].mapping.mmap_bytes n
		.processes[].mapping.unreleased_count n
		.processes[].mapping.munmap_calls n
		.processes[].mapping.munmap_bytes n
		.processes[].mapping.mremap_calls n
		.processes[].mapping.brk_calls n
		.processes[].mapping.brk_delta_bytes n
		.processes[].mapping.mapped_bytes n?
		.processes[].mapping.mapped_delta_bytes n?
		.processes[].allocator.calls o
		.processes[].allocator.calls[] n?
		.processes[].allocator.requested_bytes n?
		.processes[].allocator.freed_bytes n?
		.processes[].allocator.live_bytes n?
		.processes[].buckets a?
		.processes[].buckets[]?.min_bytes n
		.processes[].buckets[]?.max_bytes n
		.processes[].buckets[]?.count n
		.processes[].buckets[]?.bytes n
		.processes[].buckets[]?.live_count n?
		.processes[].buckets[]?.live_bytes n?
		.processes[].buckets[]?.series a
		.processes[].arenas.source s
		.processes[].arenas.created n
		.processes[].arenas.reused n?
		.processes[].arenas.present n?
		.processes[].arenas.limit n?
		.processes[].arenas.events a
		.processes[].arenas.events[].t_s n
		.processes[].arenas.events[].tid n?
		.processes[].arenas.events[].address s
		.processes[].arenas.events[].stack a?
		.processes[].large_mappings a
		.processes[].large_mappings[].address s
		.processes[].large_mappings[].reserved_bytes n
		.processes[].large_mappings[].committed_bytes n
		.processes[].large_mappings[].resident_bytes n?
		.processes[].large_mappings[].age_s n
		.processes[].large_mappings[].before_attach b
		.processes[].large_mappings[].kind s
		.processes[].large_mappings[].tid n?
		.processes[].large_mappings[].stack a?
	END
}

# The path must be there, in every element: a missing name is not null.
expect_contract() {
	local path kind parent name types

	contract | while read -r path kind; do
		parent=${path%.*} name=${path##*.}
		case $path in
		.*[].* | .*.*) ;;
		*) parent="" ;;
		esac
		case ${kind%\?} in
		n) types=number ;; s) types=string ;; b) types=boolean ;; a) types=array ;; o) types=object ;;
		esac
		[[ $kind != *\? ]] || types+='|null'
		if [[ $path != *'[]' ]]; then
			expect_json "$1" "[${parent:-.}] | all(has(\$name))" "$path is there" --arg name "$name"
		fi
		expect_json "$1" "[$path | type | test(\"^($types)\$\")] | all" "$path is $types"
		echo "$path" >>checked
	done
	expect_equal "$(wc -l <checked)" "$(contract | wc -l)" "paths looked at"
}

json_has_every_name() {
	need_bpf
	start_target arena_threads --wait --threads 3 --mb 1
	start_trace -p "$TARGET" --budget none
	tell_target
	wait_for 120 grep -q '^peak' target.out
	end_trace
	expect_contract report.json
	expect_json report.json '.processes[0] | (.arenas.events | length) == 3 and
		(.large_mappings | length) >= 3 and (.buckets | length) > 3' "nothing was left out"
	expect_json report.json '.schema == "memdrift.trace/1"' "schema"
	expect_json report.json '.host.kernel == $kernel and .host.page_bytes == ($page | tonumber) and
		.host.cpus_online == ($cpus | tonumber)' "host" --arg kernel "$(uname -r)" \
		--arg page "$(getconf PAGESIZE)" --arg cpus "$(getconf _NPROCESSORS_ONLN)"
	expect_json report.json '[.losses | to_entries[] | .value | type == "number"] | length > 10 and all' \
		"every counter of losses is named"
	expect_json report.json '.processes[0] | .exe == $exe and .comm == "arena_threads" and
		.start_time_ticks == ($ticks | tonumber)' "identity" --arg exe "$TARGETS/arena_threads" \
		--arg ticks "$(sed 's/.*) //' "/proc/$TARGET/stat" | cut -d ' ' -f 20)"
	# What cannot be told yet is null.
	expect_json report.json '.processes[0].allocator | .freed_bytes == null and .live_bytes == null' \
		"not tracked is null"
	expect_json report.json '.processes[0] | (.buckets | map(.count) | add) == .allocator.requests and
		(.buckets | map(.bytes) | add) == .allocator.requested_bytes and
		(.buckets | all((.series | add) == .count))' "buckets, series and totals agree"
}

# One object on stdout and nothing else.
json_on_stdout() {
	need_bpf
	expect_exit 0 "$MEMDRIFT" trace --json -v -p $$ -d 100ms >report.json 2>err
	expect_equal "$(jq -s length report.json)" 1 "objects on stdout"
	expect_contract report.json
	expect_json report.json '.ended_by == "its duration was over" and .duration_s >= 0.1' "its end"
	expect_json report.json '.processes[0] | .rss.end_bytes > 0 and .mapping.mapped_bytes > 0 and
		.ended == null' "a process that does nothing is reported too"
}

# The resident size is the kernel's, to the page, of a target that stands still.
rss_is_right() {
	local kib

	need_bpf
	start_target large_maps --wait --count 2
	start_trace -p "$TARGET"
	tell_target
	wait_done
	end_trace
	kib=$(sed -n 's/^Rss: *\([0-9]*\) kB/\1/p' "/proc/$TARGET/smaps_rollup")
	expect_json report.json '.processes[0].rss | .end_bytes - $kib * 1024 | fabs < 262144' \
		"RSS at the end" --argjson kib "$kib"
	expect_json report.json '.processes[0].rss | .end_bytes == .max_bytes and .start_bytes == .min_bytes' \
		"RSS grew"
}

# ---- text --------------------------------------------------------------------------------------

# text_of TARGET_ARGUMENTS...: report.txt of a running target.
text_of() {
	start_target "$@"
	start_text_trace --folded folded -p "$TARGET" --budget none
	tell_target
	wait_for 120 grep -qE '^(peak|done)' target.out
	end_trace
}

# Lines of more than 100 characters, counted as characters whatever the locale can do.
too_long() {
	jq -Rr 'select(length > 100)' "$1"
}

expect_plain() {
	expect_equal "$(too_long "$1")" "" "lines of more than 100 columns"
	if tr -d '\n' <"$1" | LC_ALL=C grep -q '[[:cntrl:]]'; then
		fail "a control character in $1"
	fi
	! grep -q ' $' "$1" || fail "blanks at the end of a line"
}

text_leads_with_the_answer() {
	need_bpf
	text_of arena_threads --wait --threads 20 --mb 3
	head -n 8 report.txt >top
	expect_match top '^[0-9.]+ s, 1 process, [0-9,.]+ allocator calls/s, [0-9.,]+ mappings/s; nothing lost' \
		"what was traced, and what was lost"
	expect_match top "^arena_threads \\(pid $TARGET\\) +RSS [0-9.,]+ [kMG]?B -> [0-9.,]+ MB" "RSS"
	expect_match top '^  Malloc arenas hold the growth' "who holds it"
	expect_match top '^  [0-9]+ malloc arenas were created; [0-9]+ are present, the limit is [0-9]+' \
		"arenas"
	expect_match report.txt '^  new malloc arena +at +thread +resident +created by' "table of arenas"
	expect_match report.txt '^  mapping activity +calls' "table of mappings"
	expect_match report.txt '^  request size ' "table of sizes"
	expect_match report.txt '^Cost: ' "cost"
	expect_plain report.txt
}

# Wide figures, many rows, long names.
text_stays_narrow() {
	need_bpf
	text_of large_maps --wait --count 20
	expect_plain report.txt
	text_of alloc_mix --wait --threads 4 --rounds "$ROUNDS"
	expect_plain report.txt
	expect_exit 0 "$MEMDRIFT" trace --all -d 200ms -o report.txt
	expect_plain report.txt
	expect_exit 0 "$MEMDRIFT" trace --help >report.txt
	expect_plain report.txt
}

# Without UTF-8 no byte above 0x7f is written.
text_in_ascii() {
	need_bpf
	LC_ALL=C expect_exit 0 "$MEMDRIFT" trace -o report.txt -- "$TARGETS/alloc_mix" --rounds "$ROUNDS"
	! LC_ALL=C grep -q $'[\x80-\xff]' report.txt || fail "a character that is not ASCII"
	expect_plain report.txt
}

# Progress and colours are for terminals.
no_progress_without_terminal() {
	need_bpf
	expect_exit 0 "$MEMDRIFT" trace -i 50ms -d 200ms -p $$ >report.txt 2>err
	expect_equal "$(cat err)" "" "stderr"
	expect_plain report.txt
}

on_a_terminal() {
	need_bpf
	need_command script
	script -qec true /dev/null >/dev/null 2>&1 || skip "script cannot make a terminal here"
	script -qec "'$MEMDRIFT' trace -i 50ms -d 300ms -p $$ -o report.txt" /dev/null >terminal 2>&1
	grep -q $'\r' terminal || fail "no progress line on a terminal"
	# What is left on it at the end is nothing.
	expect_match terminal $'\\\x1b\\[K$' "the progress line is removed"
	expect_plain report.txt
	script -qec "'$MEMDRIFT' trace -d 100ms -p $$" /dev/null >terminal 2>&1
	grep -q $'\x1b\\[' terminal || fail "no colour on a terminal"
	NO_COLOR=1 script -qec "'$MEMDRIFT' trace -d 100ms -p $$ 2>/dev/null" /dev/null >terminal 2>&1
	! grep -q $'\x1b\\[' terminal || fail "colour in spite of NO_COLOR"
}

# ---- folded stacks -----------------------------------------------------------------------------

# expect_folded TOTAL_EXPRESSION: lines are well-formed and sum up to what the report says.
expect_folded() {
	# The one name with a blank is memdrift's own.
	expect_equal "$(sed 's/;\[no stack\] /;[no-stack] /' folded |
		grep -vcE '^[^ ;]+-[0-9]+(;[^ ;]+)+ [1-9][0-9]*$')" 0 "malformed lines"
	expect_equal "$(cut -d ' ' -f 1 folded | sort | uniq -d)" "" "stacks that are there twice"
	jq "[.processes[] | $1] | add" report.json >total
	[ "$(cat total)" -gt 0 ] || fail "the report's total is $(cat total)"
	expect_equal "$(awk '{ sum += $NF } END { printf "%.0f\n", sum }' folded)" "$(cat total)" \
		"sum of the folded weights"
}

folded() {
	need_bpf
	need_target "$3"
	expect_exit 0 "$MEMDRIFT" trace --json -o report.json --folded folded --weight "$1" -- \
		"$TARGETS/$3" "${@:4}" >out 2>err
	# Mappings from before the program's first instruction are not in the sums.
	expect_only_losses report.json "$COMMAND_LOSSES"
	expect_folded "$2"
	# More than "no stack" for everything.
	[ "$(grep -vc '\[no stack\]' folded)" -gt 0 ] || fail "no line has a stack"
}

folded_of_a_running_target() {
	need_bpf
	start_target "$2" --wait "${@:3}"
	start_trace -p "$TARGET" --budget none --folded folded --weight "$1"
	tell_target
	wait_done
	end_trace
	case $1 in
	mmap_bytes) expect_folded .mapping.mmap_bytes ;;
	unreleased_bytes) expect_folded .mapping.unreleased_bytes ;;
	alloc_bytes) expect_folded .allocator.requested_bytes ;;
	alloc_count) expect_folded .allocator.requests ;;
	esac
}

# ---- --strict ----------------------------------------------------------------------------------

strict() {
	need_bpf
	start_target map_storm --wait --rounds 5000 --threads 2
	start_trace -p "$TARGET" --strict --hold-reader --ring-size 64K
	tell_target
	wait_done
	end_trace 3
	expect_json report.json '.losses.ring_full > 0 and .losses.total >= .losses.ring_full' \
		"what was lost is in the report"
	tell_target
}

not_strict() {
	need_bpf
	start_target map_storm --wait --rounds 5000 --threads 2
	start_text_trace --hold-reader --ring-size 64K -p "$TARGET"
	tell_target
	wait_done
	end_trace 0
	expect_match report.txt '^[0-9].*events? lost' "the first line says so"
	expect_match report.txt '^  ring_full +[0-9,]+ +records that found the ring buffer full' "by name"
	expect_plain report.txt
	tell_target
}

strict_without_losses() {
	need_bpf
	expect_exit 0 "$MEMDRIFT" trace --strict -o report.txt -p $$ -d 200ms
}

test_case "JSON has every name of the contract" json_has_every_name
test_case "JSON is one object on stdout" json_on_stdout
test_case "RSS is the kernel's" rss_is_right
test_case "text leads with the answer" text_leads_with_the_answer
test_case "text is at most 100 columns wide" text_stays_narrow
test_case "text is ASCII where the terminal is" text_in_ascii
test_case "no progress and no colour without a terminal" no_progress_without_terminal
test_case "progress and colour on a terminal" on_a_terminal
test_case "folded mmap_bytes add up" folded mmap_bytes .mapping.mmap_bytes map_storm --rounds 500
test_case "folded unreleased_bytes add up" folded unreleased_bytes .mapping.unreleased_bytes large_maps
test_case "folded alloc_bytes add up" folded alloc_bytes .allocator.requested_bytes \
	alloc_mix --rounds "$ROUNDS" --threads 2 --forks 2
test_case "folded alloc_count add up" folded alloc_count .allocator.requests \
	alloc_mix --rounds "$ROUNDS" --threads 2 --forks 2
test_case "folded mmap_bytes of a running target" folded_of_a_running_target mmap_bytes \
	map_storm --rounds 500 --threads 4
test_case "folded unreleased_bytes of a running target" folded_of_a_running_target \
	unreleased_bytes map_storm --rounds 500 --threads 4
test_case "folded alloc_bytes of a running target" folded_of_a_running_target alloc_bytes \
	alloc_mix --rounds "$ROUNDS" --threads 4
test_case "folded alloc_count of a running target" folded_of_a_running_target alloc_count \
	alloc_mix --rounds "$ROUNDS" --threads 4
test_case "--strict exits with 3 when something was lost" strict
test_case "losses are named in the text" not_strict
test_case "--strict exits with 0 when nothing was lost" strict_without_losses
