#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 3000
# memdrift watch beside 1,000 processes for half an hour: what it costs at its interval of 10 s, and
# whether its own memory stays, there and at compressed intervals.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/watch.sh
. "$(dirname "$0")/../watch.sh"

MINUTES=${MINUTES:-30}
PROCESSES=${PROCESSES:-1000}
MOVERS=40
# include/memdrift/oom.h: the stated bound, and what the kernel adds to each map.
MAP_BYTES_MAX=$((64 << 10))
PORT=$((20000 + $$ % 10000))

# Most sleep; some have heaps that come and go, and some grow.
start_processes() {
	local i mode

	make_group ""
	for ((i = 0; i < PROCESSES - MOVERS; i++)); do
		in_group sleep 100000 &
	done
	mkfifo in
	exec 7<>in
	for ((i = 0; i < MOVERS; i++)); do
		mode=$([ $((i % 4)) = 0 ] && echo leak || echo sawtooth)
		# Its hours are hours' tenths: half a MB in six minutes.
		SECONDS_PER_HOUR=$((60 + i)) in_group "$TARGETS/drift_live" "$mode" <&7 >/dev/null 7>&- &
	done
}

# metric PORT NAME
metric() {
	curl -s "127.0.0.1:$1/metrics" | awk -v name="$2" '$1 == name {print $2}'
}

# Whole numbers of MB, ms and pages make bash's arithmetic enough.
cpu_ms() {
	awk -v a="$(metric "$1" process_cpu_seconds_total)" \
		-v b="$(metric "$1" memdrift_children_cpu_seconds_total)" \
		'BEGIN {printf "%d", 1000 * (a + b)}'
}

rss_kb() {
	awk '/^VmRSS/ {print $2}' "/proc/$1/status"
}

# shellcheck disable=SC2317,SC2329 # called through wait_for
follows_all() {
	[ "$(metric "$1" memdrift_followed_processes)" -ge "$PROCESSES" ]
}

watch_at() {
	"$MEMDRIFT" watch --db "$PWD/$1.db" --cgroup "$GROUP" --listen "127.0.0.1:$2" "${@:3}" \
		>"$1.jsonl" 2>"$1.err" &
	pid=$!
}

# Growth from the first third of the run to its end, which is noise of a megabyte when there is none.
expect_flat() {
	awk -v name="$1" '{kb[NR] = $1; if ($1 > most) most = $1}
		END {
			early = 0
			for (i = int(NR / 3); i <= int(NR / 3) + 2; i++)
				if (kb[i] > early) early = kb[i]
			printf "# %s: RSS %.1f MB after a third, %.1f MB at the end, %.1f MB at most\n",
				name, early / 1024, kb[NR] / 1024, most / 1024
			exit !(most <= 40 * 1024 && kb[NR] <= early + 1024)
		}' "$1.kb" >&3 || fail "$1: RSS is above 40 MB, or grows: $(tr '\n' ' ' <"$1.kb")"
}

soak() {
	local real fast pid begin_ms cpu_begin cpu_end i

	need_bpf
	need_command curl jq
	need_target drift_live
	start_processes
	watch_at real "$PORT"
	real=$pid
	# Its first third holds two days: looks and incidents, which take their memory once.
	watch_at fast $((PORT + 1)) --speed 300 --interval 100ms --no-evidence
	fast=$pid
	wait_for 200 follows_all "$PORT"
	wait_for 200 follows_all $((PORT + 1))
	cpu_begin=$(cpu_ms "$PORT")
	begin_ms=$(date +%s%3N)
	for ((i = 0; i < MINUTES * 2; i++)); do
		rss_kb "$real" >>real.kb
		rss_kb "$fast" >>fast.kb
		sleep 30
	done
	for i in 0 1; do
		curl -s "127.0.0.1:$((PORT + i))/metrics" | grep -E '^(memdrift_(losses|pass|look|census|child|bursts|database_bytes|bpf)|process_cpu)' |
			sed 's/^/# /' >&3
	done
	cpu_end=$(cpu_ms "$PORT")
	awk -v ms=$((cpu_end - cpu_begin)) -v wall=$(($(date +%s%3N) - begin_ms)) \
		'BEGIN {printf "# real: %.3f %% of a CPU, children included\n", 100 * ms / wall
			exit !(ms / wall <= 0.01)}' >&3 ||
		fail "$((cpu_end - cpu_begin)) ms of CPU time in $MINUTES minutes are more than 1 %"
	expect_flat real
	expect_flat fast
	[ "$(metric "$PORT" memdrift_bpf_map_bytes)" -le "$MAP_BYTES_MAX" ] || fail "BPF maps are too large"
	# What was lost has a name, and of these there must be none.
	for i in store_errors oom_records subjects_dropped; do
		expect_equal "$(metric "$PORT" "memdrift_losses_total{reason=\"$i\"}")" 0 "$i"
		expect_equal "$(metric $((PORT + 1)) "memdrift_losses_total{reason=\"$i\"}")" 0 "$i"
	done
	kill -TERM "$real" "$fast"
	wait "$real"
	wait "$fast"
}

exec 3>&1
test_case "watch beside $PROCESSES processes stays small and constant" soak
