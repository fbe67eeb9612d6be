#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 480
# Every resident byte of real programs: explain's ledger against the kernel's own sum, and how much
# of it is told by elimination only. The limits are what a prototype reached on such programs.

# shellcheck disable=SC2016 # jq's variables, not the shell's
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$TESTS/real/common.bash"
# shellcheck source=tests/real/servers.bash
. "$TESTS/real/servers.bash"
# shellcheck source=tests/real/libc.bash
. "$TESTS/real/libc.bash"
# shellcheck source=tests/explain/ledger.bash
. "$(dirname "$0")/ledger.bash"

# Three Go programs; each is at its end where most is resident.
go_fastcache() {
	need_root
	need_target go-fastcache_chunks
	start_stepped "$TARGETS/go-fastcache_chunks" -wait -first 150 -second 100
	reached ready
	step
	reached 'done'
	expect_ledger "$(pid_at 'done')" 0.5
	expect_share large-anonymous 90
}

go_calloc() {
	need_root
	need_target go-calloc_arenas
	start_stepped "$TARGETS/go-calloc_arenas" -wait -mb 8
	reached ready
	step
	reached peak
	step
	reached 'done'
	expect_ledger "$(pid_at 'done')" 0.05
	expect_share malloc-arenas 50
}

go_sqlite() {
	need_root
	need_target go-sqlite_cgo
	start_stepped "$TARGETS/go-sqlite_cgo" -wait
	reached ready
	step
	reached 'done'
	expect_ledger "$(pid_at 'done')" 0.05
}

# allocator PROGRAM COMPONENT PERCENT LIMIT [PRELOAD]: one C program on each allocator.
allocator() {
	need_root
	need_target "$1"
	[ -z "${5:-}" ] || [ -e "$5" ] || skip "there is no $5"
	start_stepped env LD_PRELOAD="${5:-}" "$TARGETS/$1" --threads 4 --blocks 10000
	reached ready
	expect_ledger "$(pid_at ready)" "$4"
	expect_share "$2" "$3"
	expect_json out.json '.thread_stacks.live == 4' "a stack for each thread"
}

on_redis() {
	need_root
	start_redis
	redis-cli -s "$WORK/socket" debug populate 200000 key 100
	expect_ledger "$server" 1.1
	expect_share jemalloc 70
}

memcached_answers() {
	(exec 3<>"/dev/tcp/127.0.0.1/$port" && echo stats >&3 && head -1 <&3 | grep -q STAT)
}

# Values of a kilobyte through bash's own sockets.
fill_memcached() {
	local i value

	value=$(printf '%01000d' 0)
	exec 3<>"/dev/tcp/127.0.0.1/$port"
	for i in $(seq 5000); do
		printf 'set key%d 0 0 1000 noreply\r\n%s\r\n' "$i" "$value"
	done >&3
	printf 'get key5000\r\n' >&3
	head -1 <&3
	exec 3>&-
}

on_memcached() {
	need_root
	need_package memcached
	port=$((20000 + RANDOM % 10000))
	"$package_dir/usr/bin/memcached" -u nobody -l 127.0.0.1 -p "$port" -m 64 >log 2>&1 &
	server=$!
	trap 'kill -KILL "$server"' EXIT
	wait_for 20 memcached_answers
	fill_memcached
	expect_ledger "$server" 1
}

# The postmaster and the backend of a session that holds a few megabytes.
on_postgres() {
	need_root
	start_postgres
	begin_session "CREATE TABLE t AS SELECT i, repeat('x', 100) AS x
		FROM generate_series(1, 50000) i; SELECT count(*) FROM t;"
	expect_ledger "$backend" 0.05
	expect_share shmem 30
	expect_ledger "$server" 0.05
	exec 8>&-
}

on_mariadb() {
	need_root
	start_mariadb
	expect_ledger "$server" 22.6
}

on_python() {
	need_root
	need_command python3
	start_stepped python3 -c '
import os, sys, threading
kept = [{str(i): [i, float(i), "x" * (i % 300)]} for i in range(60000)]
big = [bytes(200000 + 4096 * i) for i in range(40)]
print("ready", os.getpid(), flush=True)
sys.stdin.readline()'
	reached ready
	expect_ledger "$(pid_at ready)" 0.05
	expect_share pymalloc 30
}

on_node() {
	need_root
	need_command node
	start_stepped node -e '
const kept = [];
for (let i = 0; i < 200000; i++) kept.push({i, text: "x".repeat(i % 100), list: [i]});
const big = Buffer.alloc(20 << 20, 1);
console.log("ready " + process.pid);
process.stdin.on("data", () => process.exit(kept.length + big.length ? 0 : 1));'
	reached ready
	expect_ledger "$(pid_at ready)" 3.7
	expect_share v8 20
}

# stacks SUITE: live and cached stacks by glibc's own lists, whose heads are elsewhere in each
# version; - is the system's. What the program keeps beside them stays apart to the page.
stacks() {
	local programs=$TARGETS command=()

	need_root
	need_target ledger_stacks
	if [ "$1" != - ]; then
		fetch_libc "$1"
		[ "$1" != bullseye ] || build_for "$1" ledger_stacks
		command=("$loader" --library-path "$libc")
	fi
	start_stepped "${command[@]}" "$programs/ledger_stacks" --live 20 --ended 6
	reached ready
	expect_ledger "$(pid_at ready)" 100
	expect_json out.json '$truth[0] as $t | .thread_stacks |
		.live == $t.live and .cached == $t.ended' "threads, and ended ones" \
		--slurpfile truth truth
	expect_json out.json '.ledger[] | select(.component == "thread-stacks") |
		.how == "thread control blocks"' "how they are known"
	expect_json out.json '$truth[0] as $t | .thread_stacks.live_resident_bytes as $live |
		$live >= $t.given_bytes and $live < $t.given_bytes + $t.live * 65536' \
		"what the program gave is resident" --slurpfile truth truth
	expect_json out.json '$truth[0] as $t | [.ledger[] |
		select(.component == "other-anonymous" or .component == "large-anonymous") |
		.resident_bytes] | add >= $t.direct_bytes and add < $t.direct_bytes + 262144' \
		"what lies beside stacks is not theirs" --slurpfile truth truth
}

lib=/usr/lib/x86_64-linux-gnu
test_case "fastcache: Go, chunks of 64 MiB" go_fastcache
test_case "calloc through cgo" go_calloc
test_case "SQLite through cgo" go_sqlite
test_case "C on glibc" allocator allocator_heap malloc-arenas 80 0.05
test_case "C on jemalloc" allocator allocator_heap_jemalloc jemalloc 95 0.8
test_case "C on tcmalloc" allocator allocator_heap tcmalloc 90 0.05 $lib/libtcmalloc_minimal.so.4
test_case "C on mimalloc" allocator allocator_heap mimalloc 90 0.05 $lib/libmimalloc.so.2
test_case "C on musl" allocator allocator_heap_musl musl 95 0.05
test_case "C on musl, static" allocator allocator_heap_musl_static musl 95 0.05
test_case "redis" on_redis
test_case "memcached" on_memcached
test_case "PostgreSQL" on_postgres
test_case "MariaDB" on_mariadb
test_case "python3" on_python
test_case "node" on_node
test_case "thread stacks" stacks -
for suite in bullseye sid; do
	test_case "thread stacks on the glibc of $suite" stacks "$suite"
done
