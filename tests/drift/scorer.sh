#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 60
# needs: nothing
# vm: no
# The scorer itself, on results whose scores are known by hand.

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/drift/common.bash
. "$TESTS/drift/common.bash"

scores_known_results() {
	need_python
	/usr/bin/python3 -B "$TESTS/drift/score_check.py"
}

test_case "scores of known results" scores_known_results
