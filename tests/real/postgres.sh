#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# PostgreSQL with a private data directory, on a socket of its own, under pgbench.

# shellcheck disable=SC2016 # jq's variables, not the shell's
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$(dirname "$0")/common.bash"
# shellcheck source=tests/real/servers.bash
. "$(dirname "$0")/servers.bash"

# pgbench's own count of its transactions; with -C each has a connection of its own.
load() {
	"$bin/pgbench" -h "$dir" -U nobody -n "$@" postgres >pgbench.out
	sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' pgbench.out
}

fill() {
	"$bin/pgbench" -h "$dir" -U nobody -i -s 1 -q postgres 2>fill.log
}

# Every backend that pgbench made the server fork. They live shorter than it takes to look into
# them: what was not counted is said to be unknown, and where counting began is said.
backends() {
	local children

	need_bpf
	start_postgres
	fill
	start_trace out.json -p "$server"
	expect_equal "$(load -c 4 -t 200 -C)" 800 "transactions, each with a connection of its own"
	expect_equal "$(load -c 4 -t 500)" 2000 "transactions of four connections"
	end_trace
	expect_only_losses out.json
	children=$(jq "[.processes[] | select(.parent_pid == $server)] | length" out.json)
	[ "$children" -ge 804 ] || fail "804 backends served, but $children are in the report"
	expect_json out.json "[.processes[] | select(.parent_pid == $server) | .allocator |
		(.requested_bytes == null) != (.covered_from_s == null)] | any | not" \
		"counts are known exactly where coverage is"
	expect_json out.json "[.processes[] | select(.parent_pid == $server) | .allocator |
		select(.requested_bytes and .requested_bytes > 100000)] | length >= 4" \
		"calls of those that lived on"
	expect_sound out.json
}

# As a command every child is covered from its first call.
every_call() {
	need_bpf
	prepare_postgres
	"$MEMDRIFT" trace -v --json --budget none -o out.json -- "${postgres[@]}" >postgres.log 2>&1 &
	trace=$!
	wait_for 40 postgres_answers
	server=$(head -1 "$dir/data/postmaster.pid")
	trap 'kill -KILL "$server"' EXIT
	fill
	expect_equal "$(load -c 4 -t 50 -C)" 200 "transactions, each with a connection of its own"
	# Its fast shutdown; memdrift ends with it.
	kill -INT "$server"
	expect_exit 0 wait "$trace"
	trap - EXIT
	expect_sound out.json
	expect_json out.json '[.processes[] | select(.comm == "postgres") | .allocator |
		select(.requested_bytes and .requested_bytes > 100000)] | length > 200' \
		"each backend asked for memory"
	expect_json out.json '[.processes[] | select(.comm == "postgres" and .buckets == null)] |
		length == 0' "each process was counted"
}

# A backend's own memory contexts: all of their blocks come from malloc.
contexts() {
	local backend before after

	need_bpf
	start_postgres
	mkfifo input
	"$bin/psql" -h "$dir" -U nobody -d postgres -AtXq <input >output 2>&1 &
	exec 8>input
	echo "SELECT 'pid ' || pg_backend_pid();" >&8
	wait_for 20 grep -q '^pid ' output
	backend=$(sed -n 's/^pid //p' output)
	echo "SELECT 'before ' || sum(total_bytes) FROM pg_backend_memory_contexts;" >&8
	wait_for 20 grep -q '^before ' output
	before=$(sed -n 's/^before //p' output)
	start_trace out.json -p "$backend"
	# Prepared statements stay in the backend's memory.
	for i in $(seq 300); do
		echo "PREPARE p$i AS SELECT $i, * FROM pg_class c JOIN pg_attribute a
			ON a.attrelid = c.oid WHERE c.oid = \$1; EXECUTE p$i(0);"
	done >&8
	echo "SELECT 'after ' || sum(total_bytes) FROM pg_backend_memory_contexts;" >&8
	wait_for 40 grep -q '^after ' output
	after=$(sed -n 's/^after //p' output)
	end_trace
	exec 8>&-
	expect_sound out.json
	[ "$after" -gt $((before + 1000000)) ] || fail "the contexts grew only from $before to $after"
	expect_json out.json ".processes[] | select(.pid == $backend) | .allocator.requested_bytes >=
		$after - $before" "requested bytes against the growth of the contexts"
}

test_case "postgres: every backend of 800 connections" backends
test_case "postgres as a command: every call of every backend" every_call
test_case "postgres: a backend's memory contexts" contexts
