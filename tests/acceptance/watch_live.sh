#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 600
# The live corpus: programs whose memory drifts in every way that memdrift watch knows, and some that
# look as if, all under one watch, an hour a second. Ground truth is the program's mode. The short
# one is tests/kernel/watch_live.sh.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/watch.sh
. "$(dirname "$0")/../watch.sh"
# shellcheck source=tests/watch_live.bash
. "$(dirname "$0")/../watch_live.bash"

# Hours, so seconds: ten days.
HOURS=${HOURS:-240}

all_verdicts() {
	need_live
	make_group ""
	start_corpus leak leak-large leak-steps daily-leak arenas fragmentation chunks buffers file \
		shmem threads warm-up steady sawtooth daily step go:heap go:fragmentation go:steady
	start_watch -v --speed 3600 --interval 200ms
	restart_after_days "$HOURS" leak
	end_watch
	expect_verdicts
}

# What maps seldom: a burst of seconds need not see it, the traces of all the time do.
mapper_of_chunks() {
	need_live
	make_group ""
	start_corpus chunks
	# A chunk every 64 s: the second one comes after the incident and its burst.
	kill "${pid_of[chunks]}"
	start_drift chunks chunks 1
	start_watch -v --speed 3600 --interval 200ms --mappings
	wait_for 300 has_mapper
	end_watch
	cat incidents.jsonl
	expect_equal "$(jq -r .verdict incidents.jsonl)" direct-mapping-growth "verdict"
}

# shellcheck disable=SC2317,SC2329 # called through wait_for
has_mapper() {
	has_incident '.evidence | index("mappings.folded")'
}

test_case "a live corpus of 19 programs gets the verdicts that it should" all_verdicts
test_case "with --mappings a mapper that comes seldom is known" mapper_of_chunks
