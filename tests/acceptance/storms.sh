#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# Many storms of mapping calls, each with another seed, each compared with /proc/PID/maps.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../trace.sh"

SEEDS=${SEEDS:-100}

storm() {
	need_bpf
	start_target map_storm --wait --rounds 50000 "$@"
	start_trace -p "$TARGET" --dump-spaces "$PWD/spaces"
	tell_target
	wait_done
	end_trace
	expect_no_losses
	# shellcheck disable=SC2013
	for pid in $(sed -n 's/^done //p' target.out); do
		expect_same_maps spaces "$pid"
	done
	tell_target
}

for ((seed = 1; seed <= SEEDS; seed++)); do
	test_case "storm $seed, one thread" storm --seed "$seed"
	test_case "storm $seed, eight threads" storm --seed "$seed" --threads 8
	test_case "storm $seed, eight threads on one region" storm --seed "$seed" --threads 8 --shared-region
	test_case "storm $seed, children" storm --seed "$seed" --threads 4 --forks 4 --late-forks
done
