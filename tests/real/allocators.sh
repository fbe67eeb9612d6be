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
# by name. families KIND LIBRARY ENTRY_POINTS SINGLE_STEPPED...
families() {
	need_target alloc_families
	[ -e "$2" ] || skip "there is no $2"
	need_bpf
	run_families env LD_PRELOAD="$2" "$TARGETS/alloc_families"
	expect_families "$1" "$3"
	expect_emulated "$1" "${@:4}"
}

# Every function of this one begins with endbr64, and its calls go through a PLT of such.
cet() {
	need_target alloc_families libcet_malloc.so
	need_command objdump
	objdump -d --no-show-raw-insn "$TARGETS/libcet_malloc.so" >listing
	expect_equal "$(grep -A1 -E '<(malloc|calloc|realloc|free|memalign|aligned_alloc)>:' listing |
		grep -c endbr64)" 6 "entries that begin with endbr64"
	expect_match listing 'section .plt.sec' "the second PLT of CET"
	families unknown "$TARGETS/libcet_malloc.so" 7
	# A site at an entry is on endbr64: only where the kernel emulates it.
	expect_json doctor.json '[.process.objects[] | select(.allocator == "unknown") |
		.functions[].site | (.insn_offset == 0) == (.class == "endbr64")] | all' "sites"
	expect_json doctor.json '[.process.objects[] | select(.allocator == "unknown") |
		.functions[] | select(.calls_others) | .key] | contains(["calloc", "posix_memalign"])' \
		"calls through the PLT"
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
		$n.je_malloc - ($b.je_malloc // 0) == 5000 and $n.je_free - ($b.je_free // 0) == 5000 and
		$n.je_calloc - ($b.je_calloc // 0) == 5000' "the prefixed calls" --slurpfile base base.json
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
test_case "glibc: the plain family" families glibc "$lib/libm.so.6" 7 reallocarray
test_case "jemalloc: C++'s operators and mallocx" families jemalloc "$lib/libjemalloc.so.2" 31
test_case "tcmalloc: C++'s operators and tc_new" families tcmalloc \
	"$lib/libtcmalloc_minimal.so.4" 40
test_case "mimalloc: C++'s operators and mi_malloc" families mimalloc "$lib/libmimalloc.so.2.0" 70 \
	mi_reallocn mi_recalloc mi_recalloc_aligned mi_recalloc_aligned_at mi_new_reallocn \
	mi_memalign mi_aligned_alloc
test_case "an allocator built for CET" cet
test_case "a command that preloads jemalloc" preloaded_command "$lib/libjemalloc.so.2"
test_case "jemalloc with a prefix, inside the executable" prefixed_jemalloc
