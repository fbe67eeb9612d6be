# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# shellcheck shell=bash
#
# Sourced by tools/bench: what redis-benchmark and pgbench lose while their servers are traced with
# the default budget, against the same servers untraced, in turn. The servers are private ones from
# unpacked packages, on sockets of their own; nothing is installed.

# Seconds that each load lasts; untraced and traced in turn, so often.
load_s=${BENCH_LOAD_S:-5}
load_rounds=${BENCH_LOAD_ROUNDS:-4}
server=''
declare -A loads
load_names=()

# unpack_server PACKAGE: its programs and libraries are found from then on; 1 when it cannot be had.
unpack_server() {
	local dir

	# shellcheck disable=SC2154 # tools/bench sets it
	dir=$(tools/unpack "$1" 2>"$work/unpack.log") || {
		echo "there is no $1: $(tail -n 1 "$work/unpack.log")" >&2
		return 1
	}
	unpacked=$(cd "$dir" && pwd)
}

stop_server() {
	[ -z "$server" ] || kill "$1" "$server" 2>/dev/null || true
	[ -z "$server" ] || wait "$server" 2>/dev/null || true
	server=''
}

# wait_until COMMAND...: for at most 40 s.
wait_until() {
	local end=$((SECONDS + 40))

	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || die "not within 40 s: $*"
		sleep 0.1
	done
}

# in_turn NAME COMMAND...: COMMAND prints a rate, with probes on $server and without. Sums go to
# loads[NAME.plain] and loads[NAME.traced], what memdrift says that it cost to loads[NAME.said].
in_turn() {
	local name=$1 i plain traced

	shift
	load_names+=("$name")
	for ((i = 0; i < load_rounds; i++)); do
		plain=$("$@")
		target=$server start_tracing 5%
		wait_until_tracing
		traced=$("$@")
		stop_tracing
		loads[$name.plain]=$(awk "BEGIN { print ${loads[$name.plain]:-0} + $plain }")
		loads[$name.traced]=$(awk "BEGIN { print ${loads[$name.traced]:-0} + $traced }")
		loads[$name.said]=$(field .overhead.cost_share)
		loads[$name.covered]=$(field .overhead.covered)
	done
}

redis() {
	LD_LIBRARY_PATH=$unpacked/usr/lib/x86_64-linux-gnu "$unpacked/usr/bin/$1" "${@:2}"
}

# load_redis TEST PIPELINE: requests a second, as redis-benchmark says them last.
load_redis() {
	local requests=$((load_s * ($2 > 1 ? 400000 : 60000)))

	redis redis-benchmark -s "$work/redis.socket" -t "$1" -d 100 -r 100000 -n "$requests" -P "$2" -q |
		tr '\r' '\n' | sed -n 's/.*: \([0-9.]*\) requests per second.*/\1/p' | tail -n 1
}

bench_redis() {
	unpack_server redis-server || return 0
	LD_LIBRARY_PATH=$unpacked/usr/lib/x86_64-linux-gnu "$unpacked/usr/bin/redis-server" --port 0 --unixsocket "$work/redis.socket" --dir "$work" --save '' \
		--appendonly no >"$work/redis.log" 2>&1 &
	server=$!
	wait_until redis redis-cli -s "$work/redis.socket" ping
	in_turn "redis-benchmark SET" load_redis set 1
	in_turn "redis-benchmark SET, 16 at a time" load_redis set 16
	stop_server -KILL
}

pg() {
	LD_LIBRARY_PATH=$pg_dir/usr/lib/x86_64-linux-gnu "$pg_bin/$1" "${@:2}"
}

# load_postgres MODE: transactions a second of four clients.
load_postgres() {
	pg pgbench -h "$pg_dir" -U nobody -n -c 4 -T "$load_s" $1 postgres 2>"$work/pgbench.log" |
		sed -n 's/^tps = \([0-9.]*\) .*/\1/p'
}

# The server refuses root, and finds its files beside its binary: a copy where nobody can read it.
prepare_postgres() {
	local as_nobody=(setpriv --reuid=nobody --regid=nogroup --clear-groups --no-new-privs)

	pg_dir=$work/postgres
	chmod a+x "$work"
	mkdir -p "$pg_dir/usr/lib" "$pg_dir/usr/share"
	cp -r "$unpacked"/usr/lib/{postgresql,x86_64-linux-gnu} "$pg_dir/usr/lib"
	cp -r "$unpacked/usr/share/postgresql" "$pg_dir/usr/share"
	install -d -o nobody -g nogroup -m 700 "$pg_dir/data"
	chown nobody "$pg_dir"
	pg_bin=$(echo "$pg_dir"/usr/lib/postgresql/*/bin)
	export LD_LIBRARY_PATH=$pg_dir/usr/lib/x86_64-linux-gnu
	"${as_nobody[@]}" "$pg_bin/initdb" -D "$pg_dir/data" -U nobody -A trust --no-sync \
		>"$work/initdb.log"
	"${as_nobody[@]}" "$pg_bin/postgres" -D "$pg_dir/data" -k "$pg_dir" -c listen_addresses= \
		-c fsync=off -c shared_buffers=64MB >"$work/postgres.log" 2>&1 &
	server=$!
	unset LD_LIBRARY_PATH
}

bench_postgres() {
	local package

	command -v setpriv >/dev/null || return 0
	package=$(apt-cache depends postgresql 2>/dev/null |
		sed -n 's/^ *Depends: \(postgresql-[0-9]*\)$/\1/p')
	unpack_server "${package:-postgresql-15}" || return 0
	prepare_postgres
	wait_until pg pg_isready -q -h "$pg_dir"
	pg pgbench -h "$pg_dir" -U nobody -i -s 10 -q postgres >"$work/fill.log" 2>&1
	in_turn "pgbench, select only" load_postgres -S
	in_turn "pgbench, simple protocol" load_postgres -N
	stop_server -INT
}

print_servers() {
	local name

	[ "${#load_names[@]}" != 0 ] || return 0
	printf '\n  %-38s %10s %10s %9s %8s %8s\n' "with --budget 5%, a second" untraced traced \
		slowdown "as told" covered
	for name in "${load_names[@]}"; do
		awk -v name="$name" -v plain="${loads[$name.plain]}" -v traced="${loads[$name.traced]}" \
			-v said="${loads[$name.said]}" -v covered="${loads[$name.covered]}" \
			-v n="$load_rounds" 'BEGIN {
			printf "  %-38s %10.0f %10.0f %7.3f x %6.1f %% %6.1f %%\n", name, plain / n,
				traced / n, plain / traced, 100 * said, 100 * covered
		}'
	done
}
