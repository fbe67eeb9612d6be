#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 280
# Real programs on jemalloc, tcmalloc, mimalloc, musl and jemalloc with a prefix inside a Go program:
# traced without an option, and doctor says which allocator each has.

# shellcheck disable=SC2016 # jq's variables, not the shell's
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$(dirname "$0")/common.bash"

lib=/usr/lib/x86_64-linux-gnu

# expect_malloc PID KIND FILE: what doctor says of the process, in text and in JSON.
expect_malloc() {
	expect_exit 0 "$MEMDRIFT" doctor -p "$1" >doctor.txt
	expect_match doctor.txt "^  Its malloc is $2's: .*$3" "doctor's text"
	expect_match doctor.txt "^  .*$3.*: $2" "the file's line"
	expect_exit 0 "$MEMDRIFT" doctor --json -p "$1" >doctor.json
	expect_json doctor.json '.process.malloc | .allocator == $kind and (.path | test($file))' \
		"doctor's JSON" --arg kind "$2" --arg file "$3"
	awk 'length > 130' doctor.txt >long
	[ ! -s long ] || fail "a line of doctor's is too long: $(head -n 1 long)"
}

# expect_traced PID NAME...: `memdrift trace -p PID` and nothing else; every name has calls.
expect_traced() {
	local pid=$1 name

	shift
	"$MEMDRIFT" trace -p "$pid" -d 2s --json -o out.json
	expect_only_losses out.json
	for name; do
		expect_json out.json '[.processes[] | select(.pid == $pid) | .allocator.calls |
			to_entries[] | select(.key | split("|") | index($name)) | .value] | add > 0' \
			"calls of $name" --argjson pid "$pid" --arg name "$name"
	done
}

# Works on while it is looked at: a line every hundredth of a second makes it do some rounds.
start_worker() {
	need_bpf
	start_stepped "$@"
	reached ready
	worker=$(pid_at ready)
}

redis() {
	need_bpf
	need_package redis-server
	PATH=$package_dir/usr/bin:$PATH
	redis-server --port 0 --unixsocket "$WORK/socket" --dir "$WORK" --save '' --daemonize no \
		>redis.log 2>&1 &
	worker=$!
	trap 'kill -KILL "$worker"' EXIT
	wait_for 20 redis-cli -s "$WORK/socket" ping
	expect_malloc "$worker" jemalloc libjemalloc
	redis-benchmark -s "$WORK/socket" -t set,lpush -d 300 -n 100000000 -q >/dev/null 2>&1 &
	expect_traced "$worker" malloc free
	kill %%
}

# A program that calls at random without end, on a preloaded allocator.
preloaded() {
	need_target alloc_families
	[ -e "$3" ] || skip "there is no $3"
	need_bpf
	LD_PRELOAD=$3 "$TARGETS/alloc_families" --threads 2 --rounds 100000000000 &
	worker=$!
	wait_for 10 grep -q "$2" "/proc/$worker/maps"
	expect_malloc "$worker" "$1" "$2"
	expect_traced "$worker" "${@:4}"
	kill "$worker"
}

musl_static() {
	need_target alloc_mix_musl_static
	need_bpf
	"$TARGETS/alloc_mix_musl_static" --rounds 100000000000 &
	worker=$!
	wait_for 10 grep -q musl "/proc/$worker/maps"
	expect_malloc "$worker" musl alloc_mix_musl_static
	expect_match doctor.txt 'alloc_mix_musl_static: musl, static program' "static"
	expect_traced "$worker" malloc calloc realloc free
	kill "$worker"
}

# As ristretto calls it: Debian's static jemalloc with je_ before each name, by cgo.
go_jemalloc() {
	need_command go objcopy nm
	[ -e "$lib/libjemalloc_pic.a" ] || skip "there is no libjemalloc_pic.a"
	need_bpf
	nm -g --defined-only "$lib/libjemalloc_pic.a" 2>/dev/null |
		awk '$2 == "T" && $3 !~ /^(_|je_)/ { print $3, "je_" $3 }' | sort -u >names
	objcopy --redefine-syms=names "$lib/libjemalloc_pic.a" libje.a
	mkdir prog
	cat >prog/main.go <<-'GO'
		package main

		/*
		#include <stddef.h>
		void *je_calloc(size_t, size_t);
		void *je_rallocx(void *, size_t, int);
		void je_sdallocx(void *, size_t, int);
		void je_free(void *);
		*/
		import "C"
		import (
			"bufio"
			"fmt"
			"os"
			"sync"
		)

		// One call each of calloc, rallocx and sdallocx or free.
		func work(rounds int) {
			for i := 0; i < rounds; i++ {
				p := C.je_calloc(C.size_t(i%500+1), 2)
				p = C.je_rallocx(p, 3000, 0)
				if i%2 == 0 {
					C.je_free(p)
				} else {
					C.je_sdallocx(p, 3000, 0)
				}
			}
		}

		func main() {
			lines := bufio.NewReader(os.Stdin)
			work(10)
			fmt.Println("ready", os.Getpid())
			for n := 1; ; n++ {
				if _, err := lines.ReadString('\n'); err != nil {
					return
				}
				var all sync.WaitGroup
				for i := 0; i < 4; i++ {
					all.Add(1)
					go func() { work(1000); all.Done() }()
				}
				all.Wait()
				fmt.Printf("round%d %d\n", n, os.Getpid())
			}
		}
	GO
	env GO111MODULE=off GOCACHE="$BUILD_DIR/gocache" GOFLAGS= CGO_LDFLAGS="$WORK/libje.a -lpthread -ldl -lm" \
		go build -o gojemalloc ./prog
	start_worker ./gojemalloc
	# Its cgo runtime calls glibc's malloc; jemalloc is told beside it.
	expect_malloc "$worker" glibc libc.so.6
	expect_match doctor.txt 'gojemalloc: jemalloc, Go' "jemalloc inside the Go program"
	expect_json doctor.json '.process.objects[] | select(.path | endswith("gojemalloc")) |
		.allocator == "jemalloc" and .go and ([.functions[].key] | index("je_calloc", "je_sdallocx"))' \
		"its functions"
	start_trace out.json -p "$worker"
	step
	reached round1
	end_trace
	expect_sound out.json
	expect_json out.json '.processes[] | select(.pid == $pid) | .allocator | (.calls |
		.je_calloc == 4000 and .je_rallocx == 4000 and .je_free == 2000 and .je_sdallocx == 2000)
		and .frees >= 4000' "every call of four goroutines" --argjson pid "$worker"
}

test_case "redis, which is built with jemalloc" redis
test_case "a program on tcmalloc" preloaded tcmalloc libtcmalloc_minimal \
	"$lib/libtcmalloc_minimal.so.4" malloc "operator new" "operator delete(sized)" tc_new
test_case "a program on mimalloc" preloaded mimalloc libmimalloc "$lib/libmimalloc.so.2.0" \
	malloc "operator new(align)" mi_zalloc mi_heap_realloc
test_case "a program on jemalloc" preloaded jemalloc libjemalloc "$lib/libjemalloc.so.2" \
	malloc mallocx sdallocx "operator new[](align)"
test_case "a static musl program" musl_static
test_case "a Go program with jemalloc under a prefix" go_jemalloc
