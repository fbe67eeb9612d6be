#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 1200
# A hundred SIGKILLs of memdrift watch: the database is whole, no more than the pass under way is
# lost, no probe stays.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$(dirname "$0")/../trace.sh"
# shellcheck source=tests/watch.sh
. "$(dirname "$0")/../watch.sh"
# shellcheck source=tests/watch_kills.bash
. "$(dirname "$0")/../watch_kills.bash"

KILLS=${KILLS:-100}

test_case "$KILLS kills leave the database whole and nothing behind" kills "$KILLS"
