# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# shellcheck shell=bash
# Simulated series, and what is made of them.

SIMULATE=$TESTS/../tools/simulate

# numpy and scipy are those of the system's own Python.
need_python() {
	/usr/bin/python3 -c 'import numpy, scipy' 2>/dev/null ||
		skip "/usr/bin/python3 has no numpy and scipy"
}

# simulate SEED COUNT: series-SEED.jsonl.gz and labels-SEED.jsonl
simulate() {
	"$SIMULATE/corpus" --seed "$1" --series "$2" --out "series-$1.jsonl.gz" \
		--labels "labels-$1.jsonl"
}

# judge SEED...: what memdrift says of these, as the column memdrift.
judge() {
	local seed

	mkdir -p own
	for seed; do
		"$MEMDRIFT" analyze --json "series-$seed.jsonl.gz"
	done >own/memdrift.jsonl
}
