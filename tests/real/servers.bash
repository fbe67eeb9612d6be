# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# shellcheck shell=bash
#
# Private servers of the real programs, sourced after tests/lib.sh and tests/real/common.bash. Each
# sets $server and ends it with the test case.

# shellcheck disable=SC2034,SC2154 # the tests read what is set here, common.bash sets what is read

redis_answers() {
	[ "$(redis-cli -s "$socket" ping)" = PONG ]
}

# It writes its title over the environment, by which the runner would find it.
start_redis() {
	need_package redis-server
	PATH=$package_dir/usr/bin:$PATH
	socket=$WORK/socket
	redis-server --port 0 --unixsocket "$socket" --dir "$WORK" --save '' --appendonly no \
		--enable-debug-command local >redis.log 2>&1 &
	server=$!
	trap 'kill -KILL "$server"' EXIT
	wait_for 20 redis_answers
}

postgres_answers() {
	"$bin/pg_isready" -q -h "$dir"
}

# Where nobody can read it: the server finds its files relative to its binary. Sets $bin, $dir, and the
# command in $postgres.
prepare_postgres() {
	local package

	need_command setpriv
	package=$(apt-cache depends postgresql 2>/dev/null |
		sed -n 's/^ *Depends: \(postgresql-[0-9]*\)$/\1/p')
	need_package "${package:-postgresql-15}"
	chmod a+x "$WORK" "$(dirname "$WORK")"
	mkdir -p server/usr/lib server/usr/share
	cp -r "$package_dir/usr/lib/postgresql" "$LD_LIBRARY_PATH" server/usr/lib
	cp -r "$package_dir/usr/share/postgresql" server/usr/share
	export LD_LIBRARY_PATH=$WORK/server/usr/lib/x86_64-linux-gnu
	bin=$(echo "$WORK"/server/usr/lib/postgresql/*/bin)
	dir=$(private_dir postgres)
	"${as_nobody[@]}" "$bin/initdb" -D "$dir/data" -U nobody -A trust --no-sync >initdb.log
	postgres=("${as_nobody[@]}" "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses=
		-c fsync=off -c shared_buffers=64MB -c max_connections=40)
}

# Its processes write their titles over the environment, by which the runner would find them. When the
# first is gone they end by themselves.
start_postgres() {
	prepare_postgres
	"${postgres[@]}" >postgres.log 2>&1 &
	server=$!
	trap 'kill -KILL "$server"' EXIT
	wait_for 40 postgres_answers
}

# begin_session SQL: a session on descriptor 8 that has done so; sets $backend.
begin_session() {
	mkfifo input
	"$bin/psql" -h "$dir" -U nobody -d postgres -AtXq <input >output 2>&1 &
	exec 8>input
	echo "$1 SELECT 'pid ' || pg_backend_pid();" >&8
	wait_for 40 grep -q '^pid ' output
	backend=$(sed -n 's/^pid //p' output)
}

mariadb_answers() {
	"$package_dir/usr/bin/mariadb-admin" --no-defaults -S "$WORK/socket" ping
}

start_mariadb() {
	need_package mariadb-server
	(cd "$package_dir/usr" && bash ./bin/mariadb-install-db --no-defaults --user=root \
		--basedir="$PWD" --datadir="$WORK/data" --skip-test-db \
		--auth-root-authentication-method=normal) >install.log 2>&1 || {
		cat install.log
		fail "mariadb-install-db"
	}
	"$package_dir/usr/sbin/mariadbd" --no-defaults --user=root --basedir="$package_dir/usr" \
		--datadir="$WORK/data" --socket="$WORK/socket" --skip-networking \
		--lc-messages-dir="$package_dir/usr/share/mysql" >mariadb.log 2>&1 &
	server=$!
	trap 'kill -KILL "$server"' EXIT
	wait_for 60 mariadb_answers
}
