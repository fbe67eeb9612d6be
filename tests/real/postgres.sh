#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# PostgreSQL with a private data directory, on a socket of its own, under pgbench.

# shellcheck disable=SC2016 # jq's variables, not the shell's
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$(dirname "$0")/common.bash"

answers() {
	"$bin/pg_isready" -q -h "$dir"
}

# Where nobody can read it: the server finds its files relative to its binary.
copy_server() {
	local package

	package=$(apt-cache depends postgresql 2>/dev/null |
		sed -n 's/^ *Depends: \(postgresql-[0-9]*\)$/\1/p')
	need_package "${package:-postgresql-15}"
	chmod a+x "$WORK" "$(dirname "$WORK")"
	mkdir -p server/usr/lib server/usr/share
	cp -r "$package_dir/usr/lib/postgresql" "$LD_LIBRARY_PATH" server/usr/lib
	cp -r "$package_dir/usr/share/postgresql" server/usr/share
	export LD_LIBRARY_PATH=$WORK/server/usr/lib/x86_64-linux-gnu
	bin=$(echo "$WORK"/server/usr/lib/postgresql/*/bin)
}

start_postgres() {
	need_command setpriv
	copy_server
	dir=$(private_dir postgres)
	"${as_nobody[@]}" "$bin/initdb" -D "$dir/data" -U nobody -A trust --no-sync >/dev/null
	"${as_nobody[@]}" "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c fsync=off \
		-c shared_buffers=64MB -c max_connections=40 >postgres.log 2>&1 &
	postgres=$!
	wait_for 40 answers
}

# Every backend that pgbench made the server fork, and each one's calls.
under_load() {
	local sessions children

	need_bpf
	start_postgres
	"$bin/pgbench" -h "$dir" -U nobody -i -s 1 -q postgres
	start_trace out.json -p "$postgres"
	"$bin/pgbench" -h "$dir" -U nobody -c 4 -t 200 -C -n postgres >pgbench.out
	end_trace
	sessions=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' pgbench.out)
	expect_equal "$sessions" 800 "transactions, each with a connection of its own"
	expect_json out.json '.losses.total == 0' "something was lost"
	children=$(jq "[.processes[] | select(.parent_pid == $postgres)] | length" out.json)
	[ "$children" -ge "$sessions" ] ||
		fail "$sessions backends served, but $children children are in the report"
	echo "$children children"
	expect_json out.json "[.processes[] | select(.parent_pid == $postgres and .buckets) |
		(.allocator.requested_bytes > 100000)] | (map(select(.)) | length) >= $sessions" \
		"each backend asked for memory"
	expect_sound out.json
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

test_case "postgres: a connection for each of 800 transactions" under_load
test_case "postgres: a backend's memory contexts" contexts
