#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# vm: no
# Allocators that the user names: --object FILE --symbols LIST.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$(dirname "$0")/../trace.sh"

ROUNDS=$([ "$MEMDRIFT_VM" = 1 ] && echo 400 || echo 5000)

SYMBOLS=malloc=pool_get,calloc=pool_get_clear,realloc=pool_resize,aligned_alloc=pool_align,free=pool_put

# addresses FILE ROLE=SYMBOL,...: the same list with the symbols' addresses.
addresses() {
	local pair

	for pair in ${2//,/ }; do
		printf '%s=0x%s,' "${pair%%=*}" \
			"$(nm "$1" | awk -v name="${pair#*=}" '$3 == name { print $1; exit }' | sed 's/^0*//')"
	done | sed 's/,$//'
}

# expect_named KEY_FORM: the report has what the truth says, under keys of this form, jq's.
expect_named() {
	jq -c '.processes[0].allocator | {calls: (.calls | with_entries(select(.value))), requested_bytes}' \
		report.json
	jq -c . truth.json
	expect_json report.json "[\$t[0].calls | to_entries[] |
		{($1): .value}] | add | . as \$want | \$in[0].processes[0].allocator.calls |
		with_entries(select(.key | endswith(\")\"))) == \$want" \
		"calls of each function" --slurpfile t truth.json --slurpfile in report.json --slurpfile roles roles.json \
		--slurpfile places places.json
	expect_json report.json '.processes[0].allocator.requested_bytes == $t[0].requested_bytes' \
		"requested bytes" --slurpfile t truth.json
}

# roles.json: {"pool_get": "malloc", ...}; places.json: {"pool_get": "0x1240", ...}.
write_roles() {
	jq -n --arg list "$SYMBOLS" '$list | split(",") | map(split("=") | {(.[1]): .[0]}) | add' >roles.json
	jq -n --arg list "$SYMBOLS" --arg places "$(addresses "$TARGETS/own_alloc" "$SYMBOLS")" \
		'[($list | split(",") | map(split("=")[1])), ($places | split(",") | map(split("=")[1]))] |
		transpose | map({(.[0]): .[1]}) | add' >places.json
}

by_symbol() {
	need_bpf
	start_target own_alloc --wait --rounds "$ROUNDS"
	write_roles
	start_trace -p "$TARGET" --budget none --object "$TARGETS/own_alloc" --symbols "$SYMBOLS"
	tell_target
	wait_done
	end_trace
	expect_no_losses
	expect_named '"\(.key) (\($roles[0][.key]))"'
	tell_target
}

# A stripped copy, in two lists, run by memdrift: its first call is seen.
by_address() {
	local list

	need_bpf
	need_command nm strip
	need_target own_alloc
	cp "$TARGETS/own_alloc" stripped
	strip stripped
	write_roles
	list=$(addresses "$TARGETS/own_alloc" "$SYMBOLS")
	TRUTH=truth.json "$MEMDRIFT" trace --json -o report.json --object stripped \
		--symbols "${list%%,*}" --symbols "${list#*,}" -- ./stripped --rounds "$ROUNDS"
	expect_no_losses report.json "$COMMAND_LOSSES"
	expect_named '"\($places[0][.key]) (\($roles[0][.key]))"'
}

# glibc's functions in a static program that was stripped.
stripped_static() {
	local symbols=malloc=malloc,calloc=calloc,realloc=realloc,free=free,posix_memalign=posix_memalign
	local list

	symbols+=,memalign=memalign,valloc=valloc,pvalloc=pvalloc,reallocarray=reallocarray
	need_bpf
	need_command nm strip
	need_target alloc_mix_static
	cp "$TARGETS/alloc_mix_static" stripped
	strip stripped
	list=$(addresses "$TARGETS/alloc_mix_static" "$symbols")
	mkfifo target.in
	exec 8<>target.in
	TRUTH=truth.json ./stripped --wait --threads 2 --rounds "$ROUNDS" <target.in >target.out 8>&- &
	TARGET=$!
	wait_for 60 grep -q '^ready' target.out
	"$MEMDRIFT" doctor -p "$TARGET" --json >none.json
	expect_json none.json '.process.objects == []' "without names there is none"
	start_trace -p "$TARGET" --budget none --object stripped --symbols "$list"
	tell_target
	wait_done
	end_trace
	expect_no_losses
	jq -c '.processes[0].allocator.calls' report.json
	jq -c '.processes[0].calls' truth.json
	# The same address has several roles: aligned_alloc is memalign.
	expect_json report.json '.processes[0] | [.allocator.calls | to_entries[] |
		{(.key | capture("\\((?<role>.*)\\)").role): .value}] | add as $got |
		($t[0].processes[0].calls | with_entries(.key |= (split("|") | last))) as $want |
		$got == $want' "calls by role" --slurpfile t truth.json
	expect_json report.json '.processes[0].allocator.requested_bytes ==
		$t[0].processes[0].requested_bytes' "requested bytes" --slurpfile t truth.json
	tell_target
}

doctor_has_them() {
	need_bpf
	start_target own_alloc --wait
	"$MEMDRIFT" doctor -p "$TARGET" --object "$TARGETS/own_alloc" --symbols "$SYMBOLS" >doctor.txt
	expect_match doctor.txt 'own_alloc: unknown, named by --symbols$' "the file"
	expect_match doctor.txt '^    pool_get \(malloc\)\+0x[0-9a-f]+ ' "a function"
	"$MEMDRIFT" doctor -p "$TARGET" --json --object "$TARGETS/own_alloc" --symbols "$SYMBOLS" >doctor.json
	expect_json doctor.json '.process.objects[] | select(.named) | .functions | length == 5' "five functions"
	# endbr64 is single-stepped where the kernel does not know it: a probe lies behind it, where
	# there is an instruction that the kernel emulates.
	expect_json doctor.json '[.process.objects[] | select(.named) | .functions[] |
		select(.key | test("pool_(get|put|resize) ")) | .site |
		.emulated and (.class == "endbr64" or .insn_offset >= 4)] | length == 3 and all' \
		"sites behind endbr64"
	tell_target
}

# refuses CODE REGEX ARGS...: of trace, told before anything is done.
refuses() {
	local code=$1 regex=$2

	shift 2
	expect_exit "$code" "$MEMDRIFT" trace "$@" -d 1 -- true 2>err
	cat err
	expect_match err "$regex" "message of $*"
}

errors_are_clear() {
	local file=$TARGETS/own_alloc

	need_target own_alloc
	refuses 2 'pool_get" does not say what the function does: write role=symbol' \
		--object "$file" --symbols pool_get
	refuses 2 'no role "malloca".*malloc, calloc' --object "$file" --symbols malloca=pool_get
	refuses 2 'has no function pool_gat; near it are pool_get' --object "$file" --symbols malloc=pool_gat
	refuses 2 'has no function xyzzy42, nor any' --object "$file" --symbols malloc=xyzzy42
	refuses 2 '0xffffffffff lies in no executable segment' --object "$file" --symbols malloc=0xffffffffff
	refuses 2 '"0x" is no address' --object "$file" --symbols malloc=0x
	refuses 2 'names no function' --object "$file" --symbols ,
	refuses 1 'no ELF file' --object /etc/passwd --symbols malloc=a
	refuses 1 'No such file' --object /nowhere --symbols malloc=a
	refuses 2 'needs --symbols LIST' --object "$file"
	refuses 2 'needs --symbols LIST' --object "$file" --object "$file" --symbols malloc=pool_get
	refuses 2 'needs --object FILE before' --symbols malloc=pool_get
	expect_exit 2 "$MEMDRIFT" doctor --object "$file" --symbols malloc=pool_get 2>err
	expect_match err 'needs -p PID' "doctor without a process"
}

# A breakpoint inside of an instruction would change what the program does.
wrong_addresses_are_refused() {
	local file=$TARGETS/own_alloc inside outside

	need_target own_alloc
	need_command nm
	inside=$(addresses "$file" malloc=pool_get)
	inside=$(printf '0x%x' $((${inside#*=} + 5)))
	refuses 2 "lies inside of the function" --object "$file" --symbols "malloc=$inside"
	outside=$(addresses "$file" malloc=pool)
	refuses 2 "lies in no executable segment" --object "$file" --symbols "$outside"
}

not_mapped_is_said() {
	need_bpf
	need_target own_alloc
	"$MEMDRIFT" trace -o report.txt --object "$TARGETS/own_alloc" --symbols malloc=pool_get -- true 2>err
	expect_match err 'own_alloc: no process that was looked at has mapped it' "message"
}

test_case "functions named by symbol are counted under them" by_symbol
test_case "functions named by address, in a stripped program" by_address
test_case "a static program's allocator, stripped, by address" stripped_static
test_case "doctor shows named functions and their sites" doctor_has_them
test_case "what is wrong with --object and --symbols is said" errors_are_clear
test_case "addresses that are no start of a function are refused" wrong_addresses_are_refused
test_case "a named file that nobody mapped is said" not_mapped_is_said
