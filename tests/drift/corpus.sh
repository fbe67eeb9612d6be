#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 120
# needs: nothing
# vm: no
# Simulated series are what their labels say, and the same for the same seed.

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/drift/common.bash
. "$TESTS/drift/common.bash"

same_seed_same_series() {
	need_python
	cd "$WORK"
	simulate 21 40
	mkdir first
	mv series-21.jsonl.gz labels-21.jsonl first
	simulate 21 40
	cmp series-21.jsonl.gz first/series-21.jsonl.gz
	cmp labels-21.jsonl first/labels-21.jsonl
	simulate 22 40
	! cmp -s labels-22.jsonl labels-21.jsonl || fail "another seed gives the same"
}

labels_are_true() {
	need_python
	cd "$WORK"
	simulate 23 150
	/usr/bin/python3 -B "$TESTS/drift/corpus_check.py" series-23.jsonl.gz labels-23.jsonl
}

test_case "the same seed gives the same series" same_seed_same_series
test_case "series are what their labels say" labels_are_true
