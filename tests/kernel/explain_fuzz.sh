#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# needs: nothing
# vm: no
# limit: 180
# `memdrift explain` on what lies: stopped processes whose memory is overwritten by a few seeds each
# (tests/acceptance/explain_fuzz.sh has thousands), under sanitizers where that binary was built, and
# programs that are made to be slow to read.

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$(dirname "$0")/../real/common.bash"
# shellcheck source=tests/spoil.sh
. "$(dirname "$0")/../spoil.sh"

SEEDS=5
lib=/usr/lib/x86_64-linux-gnu

heap() {
	start_victim "$@"
	use_asan || true
	spoil_seeds 1 $((SEEDS + 1))
}

python_heap() {
	start_python
	use_asan || true
	spoil_seeds 1 $((SEEDS + 1))
}

# The CPU time, as whoever else runs takes none of that: each takes a second, or minutes when what
# bounds it is missing.
cpu_bounded() {
	need_root
	start_victim "" "$@"
	(
		ulimit -t 5
		"$MEMDRIFT" explain -p "$victim" --json >out.json
	) || fail "exit code $?"
}

# All heaps of a chain lead through those before them.
heaps_in_a_chain() {
	cpu_bounded heap_decoys 20000
	expect_json out.json '.glibc.arenas // 1 | . == 1' "arenas of decoys"
}

debugging_information() {
	cpu_bounded dwarf_trap
	expect_json out.json '.go | .version == "go1.19.8" and (.known | not)' "what it says of Go"
}

test_case "glibc" heap "" heap_mix --threads 5 --mb 4 --keep 40 --mmapped 4
test_case "glibc, static" heap "" heap_mix_static --threads 2 --mb 4 --keep 40 --mmapped 4
test_case "thread stacks" heap "" ledger_stacks --live 20 --ended 6
test_case "jemalloc" heap "" allocator_heap_jemalloc --threads 3 --blocks 4000
test_case "tcmalloc" heap $lib/libtcmalloc_minimal.so.4 allocator_heap --threads 3 --blocks 4000
test_case "mimalloc" heap $lib/libmimalloc.so.2.0 allocator_heap --threads 3 --blocks 4000
test_case "musl" heap "" allocator_heap_musl --threads 3 --blocks 4000
test_case "pymalloc" python_heap
test_case "heaps in a chain" heaps_in_a_chain
test_case "debugging information" debugging_information
