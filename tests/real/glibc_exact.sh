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

# The targets of this system need symbols that 2.31 has not: theirs are built against its headers.
build_for() {
	local name

	need_command gcc
	mkdir root
	cp -a "$BUILD_DIR/pkg/libc6-$1/." root
	for name in libc6-dev linux-libc-dev; do
		"$TESTS/../tools/fetch-package" "$1" "$name" "$BUILD_DIR/pkg/$name-$1" >fetch.log 2>&1 ||
			skip "$name of $1 cannot be had: $(tail -n 1 fetch.log)"
		cp -a "$BUILD_DIR/pkg/$name-$1/." root
	done
	# Its links are absolute, and would lead to the system's own.
	ln -sf ../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 root/lib64/
	for name in alloc_families alloc_mix; do
		gcc --sysroot="$PWD/root" -O2 -fno-builtin -std=gnu11 -rdynamic -o "$name" \
			"$TESTS/targets/$name.c" -Lroot/lib/x86_64-linux-gnu -Lroot/usr/lib/x86_64-linux-gnu \
			-Wl,--allow-shlib-undefined -l:libpthread.so.0 -l:libdl.so.2 >build.log 2>&1 ||
			skip "cannot build for $1: $(head -n 1 build.log)"
	done
	programs=$PWD
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

test_case "glibc of bullseye: exact counts" on_glibc bullseye build_for reallocarray
test_case "glibc of trixie: exact counts" on_glibc trixie - reallocarray
test_case "glibc of sid: exact counts" on_glibc sid - reallocarray pvalloc
