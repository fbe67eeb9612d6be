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

some_verdicts() {
	need_live
	make_group ""
	export SECONDS_PER_HOUR=0.36
	start_corpus leak chunks threads go:heap steady
	start_watch -v --speed 10000 --interval 100ms
	wait_for 110 has_all_incidents
	end_watch
	expect_verdicts
}

test_case "four that drift and one that does not get the verdicts that they should" some_verdicts
