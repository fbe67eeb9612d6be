#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# Hundreds of SIGKILLs: none leaves a probe, none harms the target.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../trace.sh"

KILLS=${KILLS:-300}

# At a moment that differs each time: before, while and after probes are placed.
killed_at_any_moment() {
	local i budget=$1

	need_bpf
	start_target alloc_mix --wait --threads 2 --rounds 1000000000
	tell_target
	for ((i = 0; i < KILLS; i++)); do
		timeout -s KILL "0.$(printf %03d $((10 + i * 7 % 600)))" \
			"$MEMDRIFT" trace -p "$TARGET" --budget "$budget" >/dev/null 2>&1 || true
		wait_for 30 nothing_left
		kill -0 "$TARGET" 2>/dev/null || fail "the target ended after $i kills"
	done
	kill "$TARGET"
}

test_case "$KILLS kills leave nothing behind" killed_at_any_moment none
test_case "$KILLS kills among bursts leave nothing behind" killed_at_any_moment 20%
test_case "$KILLS kills while probes come and go leave nothing behind" killed_at_edges "$KILLS" 3000
