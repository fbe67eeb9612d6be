#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 280
# Exact counts, and cheap sites, on the glibc of other Debian releases: each compiler and version
# has other prologues, and other entry points that jump to or call each other.

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$(dirname "$0")/common.bash"
# shellcheck source=tests/real/libc.bash
. "$(dirname "$0")/libc.bash"

# Both programs against the headers of a release whose libc lacks symbols that this system's have.
build_both() {
	build_for "$1" alloc_families alloc_mix
}

# on_glibc SUITE BUILD SINGLE_STEPPED...: both programs under the release's own loader.
on_glibc() {
	local programs=$TARGETS

	need_bpf
	need_target alloc_families alloc_mix
	fetch_libc "$1"
	[ "$2" = - ] || "$2" "$1"
	run_families "$loader" --library-path "$libc" "$programs/alloc_families"
	expect_families glibc 7
	expect_emulated glibc "${@:3}"
	expect_json doctor.json '.process.malloc.allocator == "glibc"' "whose malloc"
	# Threads, chains of realloc, requests that fail, small alignments.
	rm steps
	start_stepped "$loader" --library-path "$libc" "$programs/alloc_mix" --threads 3 --seed 7 \
		--rounds 3000 --wait
	reached ready
	start_trace mix.json -p "$(pid_at ready)"
	step
	reached 'done'
	end_trace
	cp truth mix.json.truth
	expect_sound mix.json
	expect_exact mix.json
}

test_case "glibc of bullseye: exact counts" on_glibc bullseye build_both reallocarray
test_case "glibc of trixie: exact counts" on_glibc trixie - reallocarray
test_case "glibc of sid: exact counts" on_glibc sid - reallocarray pvalloc
