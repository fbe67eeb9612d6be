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

test_case "3 kills leave the database whole and nothing behind" kills 3
