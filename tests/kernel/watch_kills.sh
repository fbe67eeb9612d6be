#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# vm: no
# limit: 120
# memdrift watch is killed: the database is whole, no more than the pass under way is lost, no probe
# stays. tests/acceptance/watch_kills.sh does this a hundred times.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$(dirname "$0")/../trace.sh"
# shellcheck source=tests/watch.sh
. "$(dirname "$0")/../watch.sh"
# shellcheck source=tests/watch_kills.bash
. "$(dirname "$0")/../watch_kills.bash"

# Somebody else's watch of the same database is refused, and does it no harm.
second_is_refused() {
	make_group ""
	start_watch --interval 100ms --no-evidence
	expect_exit 1 "$MEMDRIFT" watch --db "$PWD/watch.db" 2>second.err
	cat second.err
	expect_match second.err "watch.db" "the message"
	end_watch
	expect_equal "$(sqlite3 watch.db 'pragma integrity_check')" ok "the database's integrity"
}

test_case "3 kills leave the database whole and nothing behind" kills 3
test_case "a second watch of a database is refused" second_is_refused
