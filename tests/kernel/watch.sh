#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# vm: no
# limit: 120
# memdrift watch as a program: its options, one pass, a second watch, signals, what it leaves.
# shellcheck disable=SC2016 # $ in single quotes is for jq
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/watch.sh
. "$(dirname "$0")/../watch.sh"

wrong_use() {
	local words

	while read -r words; do
		# shellcheck disable=SC2086 # words
		expect_exit 2 "$MEMDRIFT" watch $words 2>err
		expect_match err '^memdrift: ' "the message for $words"
		expect_equal "$(wc -l <err)" 1 "lines of the message for $words"
	done <<-END
		--interval 0
		--interval 1d
		--max-db 1
		--speed 0.5
		--speed nan
		--json
		--mappings --no-evidence
		something
	END
	expect_exit 0 "$MEMDRIFT" watch --help >out
	expect_match out '^Usage: memdrift watch' "help"
}

# One that has only just begun is no subject yet.
# shellcheck disable=SC2317,SC2329 # called through wait_for
is_shown() {
	"$MEMDRIFT" watch --once --json --db "$PWD/none.db" >once.json
	jq -e --argjson p "$1" 'any(.processes[]; .pid == $p)' once.json
}

one_pass() {
	need_command jq
	sleep 1000 &
	wait_for 20 grep -qx sleep "/proc/$!/comm"
	wait_for 20 is_shown $!
	expect_json once.json '.schema == "memdrift.watch/1"' "schema"
	expect_json once.json '[.processes[] | select(.pid == $p)] | length == 1' "one of them" \
		--argjson p $!
	expect_json once.json '.processes[] | select(.pid == $p) | .comm == "sleep" and .threads == 1
		and .rss_bytes > 0 and .verdict == null' "what is known of it" --argjson p $!
	"$MEMDRIFT" watch --once --db "$PWD/none.db" >once
	expect_match once 'there is no history' "text"
	[ ! -e none.db ] || fail "a database was made"
}

# Somebody else's watch of the same database is refused, and does it no harm.
second_is_refused() {
	need_command sqlite3
	start_watch --interval 100ms --no-evidence
	expect_exit 1 "$MEMDRIFT" watch --db "$PWD/watch.db" 2>second.err
	cat second.err
	expect_match second.err "watch.db" "the message"
	end_watch
	expect_equal "$(sqlite3 watch.db 'pragma integrity_check')" ok "the database's integrity"
}

has_passes() {
	[ "$(sql 'select coalesce(sum(count), 0) from passes')" -gt "$1" ]
}

# Somebody has moved the database away, as logrotate would: HUP makes a new one.
reload_and_stop() {
	need_command sqlite3
	start_watch --interval 100ms
	wait_for 30 has_passes 2
	mkdir away
	mv watch.db* away
	kill -HUP "$WATCH"
	wait_for 30 has_passes 2
	expect_equal "$(sqlite3 watch.db 'select count(*) > 0 from subjects')" 1 "subjects"
	end_watch
	[ ! -e watch.db-burst ] || fail "the directory of bursts is left"
	expect_equal "$(cat incidents.jsonl)" "" "incidents"
}

test_case "wrong options are told, and do nothing" wrong_use
test_case "one pass is printed, and nothing written" one_pass
test_case "a second watch of a database is refused" second_is_refused
test_case "HUP opens the database again, TERM leaves nothing" reload_and_stop
