#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 3600
# `memdrift explain` on stopped processes whose memory is overwritten by a seed, thousands of times:
# allocators' books that lie, lists in a circle, pointers out of what is mapped. By the ordinary
# binary and by one under AddressSanitizer and UBSan. MEMDRIFT_SEEDS and MEMDRIFT_FIRST_SEED choose.

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$(dirname "$0")/../real/common.bash"
# shellcheck source=tests/real/servers.bash
. "$TESTS/real/servers.bash"
# shellcheck source=tests/explain/go_facts.bash
. "$(dirname "$0")/../explain/go_facts.bash"
# shellcheck source=tests/spoil.sh
. "$(dirname "$0")/../spoil.sh"

FIRST=${MEMDRIFT_FIRST_SEED:-0}
SEEDS=${MEMDRIFT_SEEDS:-200}
lib=/usr/lib/x86_64-linux-gnu

# The same seeds by both binaries, where there is the second.
spoil_long() {
	spoil_seeds "$FIRST" $((FIRST + SEEDS))
	use_asan || return 0
	spoil_seeds "$FIRST" $((FIRST + SEEDS))
}

heap() {
	start_victim "$@"
	spoil_long
}

calloc_peak() {
	need_target go-calloc_arenas
	start_stepped "$TARGETS/go-calloc_arenas" -wait -mb 2
	reached ready
	step
	reached peak
	use_victim "$(pid_at peak)"
	spoil_long
}

# What it says is JSON.
go_heap() {
	need_target go-memstats
	mkfifo steps
	"$TARGETS/go-memstats" "$@" <steps >said &
	use_victim $!
	exec 7>steps
	wait_for 60 grep -q ready said
	spoil_long
}

redis_server() {
	start_redis
	redis-cli -s "$WORK/socket" debug populate 20000 key 100
	use_victim "$server"
	spoil_long
}

python_heap() {
	start_python
	spoil_long
}

node_heap() {
	need_command node
	start_stepped node -e '
const kept = [];
for (let i = 0; i < 50000; i++) kept.push({i, text: "x".repeat(i % 100), list: [i]});
console.log("ready " + process.pid);
process.stdin.on("data", () => process.exit(kept.length ? 0 : 1));'
	reached ready
	use_victim "$(pid_at ready)"
	spoil_long
}

# go_file OPTIONS SECTION...: what `explain` reads of a Go program's file, whose code stays whole.
go_file() {
	local options=$1

	shift
	need_root
	need_target spoil_file
	build_program program -ldflags="$options"
	spoil_arguments=(-mib 4 -goroutines 2)
	mkfifo steps
	spoil_files "$FIRST" $((FIRST + SEEDS)) program "$@"
	use_asan || return 0
	spoil_files "$FIRST" $((FIRST + SEEDS)) program "$@"
}

# A file of a megabyte whose debugging information has a gigabyte, all of it read at once by libdw.
unpacked() {
	need_root
	need_target spoil dwarf_trap
	need_command objcopy
	truncate -s 1000000000 zeros
	objcopy --add-section .debug_loc=zeros "$TARGETS/dwarf_trap" large
	objcopy --compress-debug-sections=zlib-gabi large bomb
	rm zeros large
	[ "$(stat -c %s bomb)" -lt 10000000 ] || fail "objcopy did not compress it"
	start_stepped ./bomb
	reached ready
	use_victim "$(pid_at ready)"
	spoil_seeds 0 1
}

dwarf=(.debug_abbrev .debug_info .debug_line .debug_ranges .debug_loc)

test_case "Go's DWARF" go_file -compressdwarf=false "${dwarf[@]}"
test_case "Go's DWARF, compressed" go_file "" "${dwarf[@]}"
test_case "Go's DWARF, a thousand times as large unpacked" unpacked
test_case "Go's symbols" go_file -w .symtab .strtab
test_case "Go's build information" go_file "" .go.buildinfo .note.go.buildid .data
test_case "Go's section headers" go_file "" headers .shstrtab
test_case "Go's function table" go_file "-s -w" .gopclntab
test_case "glibc" heap "" heap_mix --threads 5 --mb 8 --keep 40 --mmapped 4
test_case "glibc, static" heap "" heap_mix_static --threads 2 --mb 4 --keep 40 --mmapped 4
test_case "thread stacks" heap "" ledger_stacks --live 20 --ended 6
test_case "Go" go_heap
test_case "Go and glibc" calloc_peak
test_case "jemalloc" heap $lib/libjemalloc.so.2 allocator_heap --threads 3 --blocks 4000
test_case "jemalloc inside an executable" heap "" allocator_heap_jemalloc --threads 3 --blocks 4000
test_case "tcmalloc" heap $lib/libtcmalloc_minimal.so.4 allocator_heap --threads 3 --blocks 4000
test_case "mimalloc" heap $lib/libmimalloc.so.2.0 allocator_heap --threads 3 --blocks 4000
test_case "musl" heap "" allocator_heap_musl --threads 3 --blocks 4000
test_case "musl, static" heap "" allocator_heap_musl_static --threads 3 --blocks 4000
test_case "python3" python_heap
test_case "redis" redis_server
test_case "node" node_heap
