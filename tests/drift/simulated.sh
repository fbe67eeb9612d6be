#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 300
# needs: nothing
# vm: no
# `memdrift analyze` on a small simulated corpus. With 50 series that drift one more error is 2 %:
# the limits are those of tests/acceptance/drift_corpus.sh less a few errors.

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/drift/common.bash
. "$TESTS/drift/common.bash"

small_corpus() {
	need_python
	cd "$WORK"
	simulate 31 250
	judge 31
	"$SIMULATE/score" labels-31.jsonl own/memdrift.jsonl --list-errors \
		--require 'memdrift:precision>=0.94' --require 'memdrift:recall>=0.90' \
		--require 'memdrift:verdict_right>=0.90' \
		--require 'memdrift:false_alarms_per_1000_days<=3' \
		--require 'memdrift:median_delay_h<=96' --require 'memdrift:slope_within_25>=0.8'
}

test_case "a small simulated corpus" small_corpus
