# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# shellcheck shell=bash
#
# SIGKILL of `memdrift watch` at random moments, after tests/watch.sh and tests/trace.sh.

ADDRESS=127.0.0.1:$((20000 + $$ % 10000))

# A database with an open incident that has no evidence yet: watch begins its burst with the first
# pass. Sets $TARGET.
make_base() {
	need_bpf
	need_command jq sqlite3 curl
	make_group ""
	export SECONDS_PER_HOUR=0.36
	start_drift drift_live leak
	# shellcheck disable=SC2154 # tests/watch.sh has it
	TARGET=${pid_of[leak]}
	start_watch --speed 10000 --interval 100ms --no-evidence
	wait_for 100 has_incident '.state == "raised"'
	end_watch
	cp watch.db base.db
}

# shellcheck disable=SC2317,SC2329 # called through wait_for
is_traced() {
	[ "$(breakpoints)" -gt 0 ]
}

passes() {
	sqlite3 watch.db 'select coalesce(sum(count), 0) from passes'
}

# killed_after DELAY_MS [COMMAND]: started, killed so long after COMMAND succeeds, the database looked
# at.
killed_after() {
	local before scraped got=0 after

	before=$(passes)
	start_watch --interval 100ms --listen "$ADDRESS"
	[ -z "${2:-}" ] || wait_for 30 "$2"
	sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))"
	# What has been said to be done is committed; a pass that is under way may be lost.
	scraped=$(curl -s "$ADDRESS/metrics" | awk '$1 == "memdrift_passes_total" {print $2}')
	kill -KILL "$WATCH"
	wait "$WATCH" || got=$?
	expect_equal "$got" 137 "exit code"
	expect_equal "$(sqlite3 watch.db 'pragma integrity_check')" ok "the database's integrity"
	after=$(passes)
	[ $((after - before)) -ge "${scraped:-0}" ] ||
		fail "$scraped passes were made, $((after - before)) are in the database"
	made=$((made + ${scraped:-0}))
}

# kills COUNT: every other time with a burst that has begun.
kills() {
	local i made=0

	make_base
	for ((i = 0; i < $1; i++)); do
		if [ $((i % 2)) = 0 ]; then
			rm -f watch.db-wal watch.db-shm
			cp base.db watch.db
			killed_after $((i * 977 % 1800)) is_traced
		else
			killed_after $((i * 677 % 700))
		fi
		wait_for 30 nothing_left
	done
	[ "$made" -gt 0 ] || fail "no pass was made in $1 starts"
	kill "$TARGET"
}
