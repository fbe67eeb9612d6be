#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 280
# Exact counts on every allocator that Debian has: preloaded, static, with a prefix, musl.

# shellcheck disable=SC2016 # jq's variables, not the shell's
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$(dirname "$0")/common.bash"

lib=/usr/lib/x86_64-linux-gnu

# A run of no rounds, then one of many: in threads, children, after exec.
exact_run() {
	local args=(--threads 3 --forks 2 --exec --seed 7)

	need_bpf
	trace_command base.json "$@" "${args[@]}" --rounds 0
	trace_command out.json "$@" "${args[@]}" --rounds 3000
	expect_sound out.json
	expect_exact out.json base.json
}

variant() {
	need_target "$1"
	exact_run "$TARGETS/$1"
}

# Attached while it stands: between its words nothing but the counted calls happens.
exact_attached() {
	need_bpf
	start_stepped "$@" --threads 3 --seed 7 --rounds 3000 --wait
	reached ready
	start_trace out.json -p "$(pid_at ready)"
	step
	reached 'done'
	end_trace
	cp truth out.json.truth
	expect_sound out.json
	expect_exact out.json
}

attached() {
	need_target "$1"
	exact_attached "$TARGETS/$1"
}

preloaded() {
	need_target alloc_mix
	[ -e "$1" ] || skip "there is no $1"
	exact_attached env LD_PRELOAD="$1" "$TARGETS/alloc_mix"
}

# Every entry point of an allocator's own, C++'s operators among them, against the program's ledger
# by name; which names a row stands for is doctor's to say. families KIND LIBRARY ENTRY_POINTS
families() {
	need_target alloc_families
	need_bpf
	[ -e "$2" ] || skip "there is no $2"
	start_stepped env LD_PRELOAD="$2" "$TARGETS/alloc_families" --threads 3 --seed 7 \
		--rounds 20000 --wait
	reached ready
	"$MEMDRIFT" doctor --json -p "$(pid_at ready)" >doctor.json
	start_trace out.json -p "$(pid_at ready)"
	step
	reached 'done'
	end_trace
	expect_sound out.json
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
	[ "$(jq '[.calls[]] | map(select(. > 0)) | length' truth)" -ge "$3" ] ||
		fail "fewer than $3 entry points were called"
}

# What env starts is known only when it runs: the allocator is found when it has been mapped.
preloaded_command() {
	need_target alloc_mix
	[ -e "$1" ] || skip "there is no $1"
	exact_run env LD_PRELOAD="$1" "$TARGETS/alloc_mix"
}

# Debian's static jemalloc with all of its names prefixed, as others link it into their programs.
prefixed_jemalloc() {
	need_command objcopy nm
	need_target alloc_mix
	[ -e "$lib/libjemalloc.a" ] || skip "there is no libjemalloc.a"
	nm -g --defined-only "$lib/libjemalloc.a" 2>/dev/null |
		awk '$2 == "T" && $3 !~ /^(_|je_)/ { print $3, "je_" $3 }' | sort -u >names
	objcopy --redefine-syms=names "$lib/libjemalloc.a" libje.a
	for name in malloc calloc realloc free posix_memalign aligned_alloc memalign valloc; do
		echo "#define $name je_$name"
	done >prefix.h
	cat >main.c <<-'C'
		#include <stddef.h>
		#include <stdio.h>
		#include <stdlib.h>
		void *je_malloc(size_t);
		void *je_calloc(size_t, size_t);
		void je_free(void *);
		int main(int argc, char **argv)
		{
			int rounds = atoi(argv[argc - 1]);

			for (int i = 0; i < rounds; i++) {
				je_free(je_malloc(100));
				je_calloc(3, 50);
			}
			return 0;
		}
	C
	cc -O2 -fno-builtin -o prefixed main.c libje.a -lpthread -ldl -lm
	need_bpf
	"$MEMDRIFT" trace --json --budget none -o base.json -- ./prefixed 0
	"$MEMDRIFT" trace --json --budget none --strict -o out.json -- ./prefixed 5000
	expect_sound out.json
	expect_json out.json '
		first(.processes[] | select(.comm == "prefixed") | .allocator.calls) as $n |
		($base[0].processes[] | select(.comm == "prefixed") | .allocator.calls) as $b |
		$n.je_malloc - $b.je_malloc == 5000 and $n.je_free - $b.je_free == 5000 and
		$n.je_calloc - $b.je_calloc == 5000' "the prefixed calls" --slurpfile base base.json
}

# dlopen of another object that calls the allocator.
plugin() {
	need_target alloc_mix liballoc_plugin.so
	exact_run "$TARGETS/alloc_mix" --dlopen "$TARGETS/liballoc_plugin.so"
}

test_case "glibc: every call of threads, children and after exec" variant alloc_mix
test_case "glibc: calls from an object loaded by dlopen" plugin
test_case "glibc inside a static executable" variant alloc_mix_static
test_case "musl, shared" variant alloc_mix_musl
test_case "musl inside a static executable" variant alloc_mix_musl_static
test_case "jemalloc inside the executable" variant alloc_mix_jemalloc
for name in alloc_mix alloc_mix_static alloc_mix_musl alloc_mix_musl_static alloc_mix_jemalloc; do
	test_case "$name, attached while it runs" attached "$name"
done
test_case "jemalloc preloaded" preloaded "$lib/libjemalloc.so.2"
test_case "tcmalloc preloaded" preloaded "$lib/libtcmalloc_minimal.so.4"
test_case "mimalloc preloaded" preloaded "$lib/libmimalloc.so.2.0"
test_case "glibc: the plain family" families glibc "$lib/libm.so.6" 7
test_case "jemalloc: C++'s operators and mallocx" families jemalloc "$lib/libjemalloc.so.2" 31
test_case "tcmalloc: C++'s operators and tc_new" families tcmalloc "$lib/libtcmalloc_minimal.so.4" 40
test_case "mimalloc: C++'s operators and mi_malloc" families mimalloc "$lib/libmimalloc.so.2.0" 70
test_case "a command that preloads jemalloc" preloaded_command "$lib/libjemalloc.so.2"
test_case "jemalloc with a prefix, inside the executable" prefixed_jemalloc
