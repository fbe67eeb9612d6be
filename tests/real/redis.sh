#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# Redis on jemalloc, a private server on a socket of its own, under redis-benchmark and commands
# whose number it counts itself.

# shellcheck disable=SC2016 # jq's variables, not the shell's
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$(dirname "$0")/common.bash"
# shellcheck source=tests/real/servers.bash
. "$(dirname "$0")/servers.bash"

info() {
	redis-cli -s "$socket" info "$1" | tr -d '\r' | sed -n "s/^$2://p"
}

under_load() {
	local before after

	need_bpf
	start_redis
	start_trace out.json -p "$server"
	before=$(info stats total_commands_processed)
	redis-benchmark -s "$socket" -t set,lpush,hset -d 500 -r 20000 -n 40000 -P 16 -q
	redis-cli -s "$socket" flushall
	after=$(info stats total_commands_processed)
	end_trace
	expect_sound out.json
	expect_json out.json ".processes[] | select(.pid == $server) | .allocator.calls.malloc > 0" \
		"malloc calls are counted"
	# A value of 500 bytes is copied at least once for each command that stores one.
	expect_json out.json "[.processes[] | select(.pid == $server) | .buckets[] |
		select(.max_bytes >= 500) | .count] | add >= 3 * 40000 * 0.9" \
		"a request for each value of $before to $after commands"
	expect_json out.json ".processes[] | select(.pid == $server) | .rss |
		.max_bytes >= .start_bytes and .max_bytes > 0" "resident bytes"
	expect_json out.json "[.processes[] | select(.pid == $server) | .large_mappings[] |
		select(.kind == \"glibc-arena\")] | length == 0" "jemalloc has no glibc arenas"
}

# Redis tracks its mallocs itself: used_memory. What it asked for is at least what it gained.
grows() {
	local before after

	need_bpf
	start_redis
	before=$(info memory used_memory)
	start_trace out.json -p "$server"
	redis-cli -s "$socket" debug populate 100000 key 300
	after=$(info memory used_memory)
	end_trace
	expect_sound out.json
	expect_json out.json ".processes[] | select(.pid == $server) | .allocator.requested_bytes >=
		0.95 * ($after - $before)" "requested bytes against used_memory"
	expect_json out.json ".processes[] | select(.pid == $server) |
		.allocator.calls.malloc + .allocator.calls.calloc >= 2 * 100000" "keys and values"
	expect_json out.json ".processes[] | select(.pid == $server) | .rss |
		.end_bytes - .start_bytes >= 0.5 * ($after - $before)" "resident growth"
}

# Forks: the child that saves is followed, and serves its own books.
saves() {
	local child

	need_bpf
	start_redis
	redis-cli -s "$socket" debug populate 20000 key 300
	start_trace out.json -p "$server"
	redis-cli -s "$socket" bgsave
	wait_for 20 saved
	end_trace
	child=$(jq "[.processes[] | select(.parent_pid == $server)] | length" out.json)
	expect_equal "$child" 1 "children that saved"
	expect_json out.json ".processes[] | select(.parent_pid == $server) | .ended.status == 0" \
		"how it ended"
}

saved() {
	[ "$(info persistence rdb_bgsave_in_progress)" = 0 ] &&
		[ "$(info stats total_forks)" = 1 ]
}

test_case "redis under redis-benchmark" under_load
test_case "redis growing by what it says itself" grows
test_case "redis saving in a child" saves
