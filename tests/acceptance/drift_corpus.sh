#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 1800
# needs: nothing
# Drift found in simulated series of 2 to 4 weeks, a fifth of which drift, beside what memory is
# customarily watched with. The two seeds are for this test alone: nothing is ever tuned on them,
# nor on what is found wrong with them. To look into errors take other seeds.

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/drift/common.bash
. "$TESTS/drift/common.bash"

SEEDS=(9003 9004)
SERIES=1000

# A test's own output is shown only when it fails; comments on the file's are shown always.
exec 3>&1

unseen_corpora() {
	local seed status=0

	need_python
	for seed in "${SEEDS[@]}"; do
		simulate "$seed" "$SERIES"
		"$SIMULATE/plain" "series-$seed.jsonl.gz" --out "plain-$seed"
	done
	judge "${SEEDS[@]}"
	"$SIMULATE/score" "$(printf 'labels-%s.jsonl,' "${SEEDS[@]}" | sed 's/,$//')" \
		own/memdrift.jsonl plain-*/*.jsonl --families --column memdrift \
		--require 'memdrift:precision>=0.98' --require 'memdrift:recall>=0.95' \
		--require 'memdrift:recall_few_errors>=0.88' \
		--require 'memdrift:verdict_right>=0.95' \
		--require 'memdrift:false_alarms_per_1000_days<=1.5' \
		--require 'memdrift:median_delay_h<=72' --require 'memdrift:median_grown_mib<=60' \
		--require 'memdrift:slope_within_25>=0.88' \
		--require 'ols:f1<=0.80' --require 'mann-kendall:f1<=0.83' \
		--require 'hamed-rao:f1<=0.86' --require 'theil-sen:f1<=0.82' >table || status=$?
	sed 's/^/# /' table >&3
	return "$status"
}

test_case "series that nothing was tuned on" unseen_corpora
