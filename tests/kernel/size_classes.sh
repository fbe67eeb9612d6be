#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# vm: no
# limit: 300
# Requests by size class, against a program that keeps its own ledger.

# shellcheck disable=SC2016 # jq's variables, not the shell's
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$(dirname "$0")/../trace.sh"

ROUNDS=20000
[ "$MEMDRIFT_VM" = 0 ] || ROUNDS=300

# malloc/malloc.c, request2size: the size and 8 bytes, rounded up to 16, 32 at least.
glibc_class='([32, ((.size + 23) / 16 | floor) * 16] | max)'

# expect_classes PID REPORT: the process's classes are those of the ledger truth.json.
expect_classes() {
	jq -c --argjson p "$1" '.processes[] | select(.pid == $p) | .size_classes' "$2" >got.json
	jq -c --argjson p "$1" "[.processes[] | select(.pid == \$p) | .sizes[] | select(.count > 0) |
		. + {class: $glibc_class}]" truth.json >want.json
	jq -c 'del(.classes)' got.json
	expect_json got.json '.rules == "glibc" and .matches_allocator == "yes" and
		.allocators == ["glibc"]' "the rules are those of the allocator"
	jq -e -n --slurpfile got got.json --slurpfile want want.json -f "$TESTS/kernel/size_classes.jq" ||
		fail "the classes differ from the program's own counts"
}

# A running process, between two words of its own.
counts_running() {
	need_bpf
	start_target class_mix --wait --threads "$1" --rounds "$ROUNDS"
	start_trace -p "$TARGET" --budget none --buckets glibc
	tell_target
	wait_done
	end_trace
	expect_no_losses
	expect_classes "$TARGET" report.json
	# The powers of two are counted as ever, and hold the same requests.
	expect_json report.json '.processes[0] | ([.buckets[].count] | add) == .size_classes.count and
		.allocator.requested_bytes == .size_classes.requested_bytes' \
		"buckets and classes hold the same requests"
	expect_json report.json '.processes[0].size_classes.count == $t[0].processes[0].calls' \
		"every request is counted" --slurpfile t truth.json
	tell_target
}

# A command: its children do nothing but count, and are gone before anybody could look.
counts_children() {
	need_bpf
	[ -z "$(unavoidable_losses)" ] || skip "7.x: one call in some hundred differs, see README, limits"
	need_target class_mix
	TRUTH=truth.json "$MEMDRIFT" trace --json -o report.json --buckets glibc -- \
		"$TARGETS/class_mix" --forks 5 --threads 1 --rounds 500 >out 2>trace.err ||
		fail "memdrift failed: $(cat trace.err)"
	expect_no_losses report.json "$COMMAND_LOSSES"
	for pid in $(jq '.processes[1:][].pid' truth.json); do
		expect_classes "$pid" report.json
	done
	# The first process has what start-up asks for as well.
	expect_json report.json '.processes[] | select(.pid == $t[0].processes[0].pid) |
		.size_classes.count - $t[0].processes[0].calls | . > 0 and . < 100' \
		"so has the first process" --slurpfile t truth.json
}

# 100 bytes are a chunk of 112: the case that this is for.
says_waste() {
	[ "$MEMDRIFT_VM" = 0 ] || skip "does not depend on the kernel"
	need_bpf
	start_target class_mix --wait --threads 1 --rounds "$ROUNDS"
	start_text_trace -p "$TARGET" --budget none --buckets glibc --all
	tell_target
	wait_done
	end_trace
	expect_match report.txt '^  size class \(glibc\) +calls +requested +set aside +waste +of set aside$' \
		"the table's head"
	expect_match report.txt '^  112 B +[0-9,]+ ' "the class of 100 bytes"
	expect_match report.txt '^  all +[0-9,]+ ' "the sums"
	expect_match report.txt "By glibc's rules" "the rules are named"
	sed -n '/size class/,/By glibc/p' report.txt | awk 'length > 100' >long
	[ ! -s long ] || fail "a line is longer than 100 columns: $(head -1 long)"
	tell_target
}

# By other rules than its allocator's: counted, and said.
warns_of_other_rules() {
	[ "$MEMDRIFT_VM" = 0 ] || skip "does not depend on the kernel"
	need_bpf
	start_target alloc_mix_musl --wait --threads 1 --rounds 100
	start_trace -p "$TARGET" --budget none --buckets jemalloc
	tell_target
	wait_done
	end_trace
	expect_json report.json '.processes[0].size_classes | .rules == "jemalloc" and
		.matches_allocator == "no" and .allocators == ["musl"] and .count > 0' \
		"the report says that the rules are another allocator's"
	tell_target
}

# The probe of Go's allocator loads on this kernel, and C's requests stay where they were.
go_is_apart() {
	need_bpf
	start_target class_mix --wait --threads 1 --rounds "$ROUNDS"
	start_trace -p "$TARGET" --budget none --buckets go
	tell_target
	wait_done
	end_trace
	expect_no_losses
	expect_json report.json '.processes[0].size_classes | .rules == "go" and
		.matches_allocator == "no" and .count == 0 and .classes == []' "no request is Go's"
	expect_json report.json '.processes[0] | ([.buckets[].count] | add) == $t[0].processes[0].calls' \
		"C's requests are in the buckets" --slurpfile t truth.json
	tell_target
}

# Without the option nothing changes; the option is checked.
default_is_log2() {
	[ "$MEMDRIFT_VM" = 0 ] || skip "does not depend on the kernel"
	need_bpf
	start_target class_mix --wait --threads 1 --rounds 10
	start_trace -p "$TARGET" --budget none
	tell_target
	wait_done
	end_trace
	expect_json report.json '.processes[0] | has("size_classes") and .size_classes == null' \
		"no classes without the option"
	tell_target
	expect_exit 2 "$MEMDRIFT" trace --buckets musl -p "$TARGET" 2>err
	expect_match err 'one of log2, glibc, jemalloc, go' "an unknown name is told"
	expect_exit 2 "$MEMDRIFT" trace --buckets glibc -d 1 2>err
	expect_match err 'needs allocator probes' "the whole host needs --malloc"
}

test_case "counts a thread's requests by glibc's classes" counts_running 1
test_case "counts the requests of eight threads by class" counts_running 8
test_case "counts the requests of short-lived children by class" counts_children
test_case "keeps C's requests out of Go's classes" go_is_apart
test_case "prints the waste by class" says_waste
test_case "says when the rules are another allocator's" warns_of_other_rules
test_case "counts by powers of two unless it is asked" default_is_log2
