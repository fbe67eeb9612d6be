#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# vm: no
# limit: 150
# Programs whose memory drifts, and one that does not, under one watch, an hour in 0.36 s: verdicts and
# evidence. tests/acceptance/watch_live.sh has all of them and longer.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/watch.sh
. "$(dirname "$0")/../watch.sh"
# shellcheck source=tests/watch_live.bash
. "$(dirname "$0")/../watch_live.bash"

has_all_incidents() {
	[ "$(jq -s 'map(select(.state == "raised").exe) | unique | length' incidents.jsonl)" = 4 ]
}

last_ms() {
	sql 'select max(end_ms) from passes'
}

# shellcheck disable=SC2317,SC2329 # called through wait_for
has_come_to() {
	[ "$(last_ms)" -ge "$1" ]
}

# Started again, it knows what it has told: some looks later, one every six hours, nothing is told
# twice.
goes_on_after_a_restart() {
	local told

	told=$(jq -s 'map(select(.state == "raised")) | length' incidents.jsonl)
	start_watch -v --speed 10000 --interval 100ms --no-evidence
	wait_for 60 has_come_to $(($(last_ms) + 18 * 3600000))
	end_watch
	expect_equal "$(jq -s 'map(select(.state == "raised")) | length' incidents.jsonl)" "$told" \
		"incidents told, before and after a restart"
	expect_equal "$(sql 'select count(*) from incidents where end_ms is null')" "$told" \
		"incidents that are open"
}

some_verdicts() {
	need_live
	make_group ""
	export SECONDS_PER_HOUR=0.36
	start_corpus leak chunks threads go:heap steady
	start_watch -v --speed 10000 --interval 100ms
	wait_for 110 has_all_incidents
	end_watch
	expect_verdicts
	goes_on_after_a_restart
}

test_case "four that drift and one that does not get the verdicts that they should" some_verdicts
