#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 480
# Allocators other than glibc's in processes that run on: what explain says of them against what
# they say themselves, and whose the resident bytes are.

# shellcheck disable=SC2016 # jq's variables, not the shell's
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$TESTS/real/common.bash"
# shellcheck source=tests/real/libc.bash
. "$TESTS/real/libc.bash"

lib=/usr/lib/x86_64-linux-gnu

# A component's resident bytes, and all that allocators could hold: everything but files, programs
# and stacks.
# shellcheck disable=SC2034 # used in jq programs
ledger='
	def resident($c): [.ledger[] | select(.component == $c) | .resident_bytes] | add // 0;
	def anonymous: [.ledger[] | select(.component | IN("main-stack", "thread-stacks", "binary",
		"file", "shmem") | not) | .resident_bytes] | add;
	def near($told; $part): . >= $told * (1 - $part) and . <= $told * (1 + $part);'

explain() {
	"$MEMDRIFT" explain --json -p "$1" >out.json
}

# expect_owner COMPONENT: nearly all of the anonymous memory is that allocator's.
expect_owner() {
	expect_json out.json "$ledger"' resident($name) >= 0.985 * anonymous' \
		"memory of $1" --arg name "$1"
}

# start_heap TARGET [PRELOAD]: a program that stands still with half of its blocks freed.
start_heap() {
	need_target "$1"
	[ -z "${2:-}" ] || [ -e "$2" ] || skip "there is no $2"
	if [ -n "${2:-}" ]; then
		start_stepped env LD_PRELOAD="$2" "$TARGETS/$1" --threads 4 --blocks 10000
	else
		start_stepped "$TARGETS/$1" --threads 4 --blocks 10000
	fi
	reached ready
	explain "$(pid_at ready)"
}

expect_jemalloc() {
	expect_json out.json "$ledger"' .jemalloc |
		(.active_bytes | near($told.active; 0.001)) and
		(.allocated_bytes | near($told.allocated; 0.005)) and
		(.retained_bytes | near($told.retained; 0.001))' \
		"what mallctl says" --argjson told "$(cat truth)"
	expect_owner jemalloc
}

jemalloc() {
	start_heap allocator_heap "$lib/libjemalloc.so.2"
	expect_json out.json '.malloc_owner == "jemalloc"' "whose malloc it is"
	expect_jemalloc
}

jemalloc_static() {
	start_heap allocator_heap_jemalloc
	expect_jemalloc
}

# jemalloc_of SUITE: the library of another release of Debian's.
jemalloc_of() {
	local out=$BUILD_DIR/pkg/jemalloc-$1

	"$TESTS/../tools/fetch-package" "$1" libjemalloc2 "$out" 2>fetch.log ||
		skip "cannot get libjemalloc2 of $1: $(tail -n 1 fetch.log)"
	start_heap allocator_heap "$out/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"
	expect_jemalloc
}

# Its large sizes are any number of pages; it needs the glibc of its own release.
jemalloc_sid() {
	local out=$BUILD_DIR/pkg/jemalloc-sid

	need_target allocator_heap
	fetch_libc sid
	"$TESTS/../tools/fetch-package" sid libjemalloc2 "$out" 2>fetch.log ||
		skip "cannot get libjemalloc2 of sid: $(tail -n 1 fetch.log)"
	start_stepped "$loader" --library-path "$libc:$lib" \
		--preload "$out/usr/lib/x86_64-linux-gnu/libjemalloc.so.2" \
		"$TARGETS/allocator_heap" --threads 4 --blocks 10000
	reached ready
	explain "$(pid_at ready)"
	expect_jemalloc
}

# expect_in_use NAME TOLD PART: bytes in use, within a part of what was told.
expect_in_use() {
	expect_json out.json "$ledger"' .allocators[] | select(.name == $name) |
		.in_use_bytes | near($told; $part)' "bytes in use of $1" --arg name "$1" \
		--argjson told "$2" --argjson part "$3"
}

tcmalloc() {
	start_heap allocator_heap "$lib/libtcmalloc_minimal.so.4"
	expect_in_use tcmalloc "$(jq '.["generic.current_allocated_bytes"] +
		.["tcmalloc.thread_cache_free_bytes"] + .["tcmalloc.transfer_cache_free_bytes"]' \
		truth)" 0.001
	expect_owner tcmalloc
}

mimalloc() {
	start_heap allocator_heap "$lib/libmimalloc.so.2.0"
	expect_in_use mimalloc "$(jq .usable_bytes truth)" 0.001
	expect_owner mimalloc
}

mimalloc3() {
	local out=$BUILD_DIR/pkg/mimalloc-trixie

	"$TESTS/../tools/fetch-package" trixie libmimalloc3 "$out" 2>fetch.log ||
		skip "cannot get libmimalloc3: $(tail -n 1 fetch.log)"
	start_heap allocator_heap "$(echo "$out/usr/lib/x86_64-linux-gnu"/libmimalloc.so.3.*)"
	expect_in_use mimalloc "$(jq .usable_bytes truth)" 0.001
	expect_owner mimalloc
}

# Its slots are up to a tenth larger than what was asked for, on average.
musl() {
	start_heap "$1"
	expect_json out.json '.malloc_owner == "musl"' "whose malloc it is"
	expect_in_use musl "$(jq .usable_bytes truth)" 0.12
	expect_owner musl
}

# allocator_allocated and allocator_active, once ten looks in a row have told nearly the same: redis
# refreshes jemalloc's figures ten times a second only.
idle_info() {
	redis-cli -s "$WORK/socket" info memory | tr -d '\r' >>"$WORK/info"
	awk -F: '/^allocator_(active|allocated):/ {
			same[$1] = $2 > 0.999 * last[$1] && $2 < 1.001 * last[$1] ? same[$1] + 1 : 0
			last[$1] = $2
		}
		END {
			for (name in last)
				if (same[name] < 10)
					exit 1
		}' "$WORK/info"
}

redis_server() {
	need_package redis-server
	PATH=$package_dir/usr/bin:$PATH
	redis-server --port 0 --unixsocket "$WORK/socket" --dir "$WORK" --save '' --daemonize no \
		--enable-debug-command local >redis.log 2>&1 &
	redis=$!
	# It writes its title over the environment, by which the runner would find it.
	trap 'kill -KILL "$redis"' EXIT
	wait_for 20 redis-cli -s "$WORK/socket" ping
	redis-cli -s "$WORK/socket" debug populate 200000 key 200 >/dev/null
	redis-cli -s "$WORK/socket" eval \
		"for i = 0, 99999 do redis.call('del', 'key:' .. i) end return 1" 0 >/dev/null
	wait_for 30 idle_info
	explain "$redis"
	expect_json out.json "$ledger"'
		(.jemalloc.active_bytes | near($active; 0.005)) and
		(.jemalloc.allocated_bytes | near($allocated; 0.005))' "what INFO memory says" \
		--argjson active "$(sed -n 's/^allocator_active://p' info | tail -n 1)" \
		--argjson allocated "$(sed -n 's/^allocator_allocated://p' info | tail -n 1)"
	expect_json out.json '.malloc_owner == "jemalloc"' "whose malloc it is"
	expect_owner jemalloc
}

# Nothing of a program on glibc is anyone else's.
glibc() {
	start_heap allocator_heap
	expect_json out.json '.malloc_owner == "glibc" and .allocators == [] and
		(.jemalloc == null or (has("jemalloc") | not))' "allocators in a program on glibc"
}

python_heap() {
	need_command python3
	start_stepped python3 -c '
import os, sys
keep = [(i, str(i), [i]) for i in range(200000)]
print("ready", os.getpid(), flush=True)
sys.stdin.readline()
sys._debugmallocstats()
print("told", os.getpid(), flush=True)
sys.stdin.readline()'
	reached ready
	explain "$(pid_at ready)"
	step
	reached told
	expect_in_use pymalloc "$(sed -n 's/^# bytes in allocated blocks *= *//p' errors |
		tr -d ,)" 0.001
	expect_json out.json '[.allocators[] | select(.name == "pymalloc") | .bytes] == [$told]' \
		"arenas" --argjson told "$(sed -n 's/.* arenas \* .* = *//p' errors | tr -d ,)"
}

node_heap() {
	need_command node
	start_stepped node --expose-gc -e '
		const keep = [];
		for (let i = 0; i < 200000; i++) keep.push({i: i, s: "x" + i, a: [i, i + 1]});
		gc(); gc();
		const heap = require("v8").getHeapStatistics().total_heap_size;
		console.log("ready", process.pid, heap, parseInt(process.versions.v8));
		setInterval(() => keep.length, 1 << 30);'
	reached ready
	[ "$(awk '/^ready/ { print $4 }' said)" -lt 12 ] ||
		skip "V8 12 and later keep their chunks' books elsewhere"
	explain "$(pid_at ready)"
	expect_json out.json "$ledger"' [.allocators[] | select(.name == "v8") | .bytes] | add |
		near($told; 0.03)' "V8's heap" --argjson told "$(awk '/^ready/ { print $3 }' said)"
}

test_case "jemalloc" jemalloc
test_case "jemalloc inside an executable without symbols" jemalloc_static
test_case "jemalloc 5.2, as in Debian 11" jemalloc_of bullseye
test_case "jemalloc 5.3 for 57 bits of address, as in Debian 13" jemalloc_of trixie
test_case "jemalloc 5.3.1, as in Debian sid" jemalloc_sid
test_case "tcmalloc" tcmalloc
test_case "mimalloc 2" mimalloc
test_case "mimalloc 3, as in Debian 13" mimalloc3
test_case "musl" musl allocator_heap_musl
test_case "musl inside a static program" musl allocator_heap_musl_static
test_case "redis" redis_server
test_case "a program on glibc" glibc
test_case "pymalloc of python3" python_heap
test_case "V8 of node" node_heap
