#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 1200
# What `memdrift explain` says that advice would save, against what following it saves. In the end:
# the truth lies in at least 90 % of the ranges, and 7 of 10 savings are predicted.
# shellcheck disable=SC2016 # jq's variables, not the shell's
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$TESTS/real/common.bash"
# shellcheck source=tests/explain/advice.bash
. "$TESTS/explain/advice.bash"

RESULTS=$test_root/results
heap=$TARGETS/advice_heap
# What it has become when the decay is over, without waiting for it.
jemalloc=("LD_PRELOAD=$JEMALLOC"
	"MALLOC_CONF=background_thread:true,dirty_decay_ms:0,muzzy_decay_ms:0")

# in_place ID KIND WORD NAME=VALUE... COMMAND...: advice that can be followed by a word to the program.
in_place() {
	local id=$1 kind=$2 word=$3

	need_root
	shift 3
	begin "$@"
	ask_advice
	command_program "$word"
	judge "$id" "$kind" "$(rss)"
	end
}

# anew ID KIND WITH... -- WITHOUT... -- COMMAND...: advice that is followed by starting it with
# another environment.
anew() {
	local id=$1 kind=$2 with=() without=()

	need_root
	shift 2
	while [ "$1" != -- ]; do
		with+=("$1")
		shift
	done
	shift
	while [ "$1" != -- ]; do
		without+=("$1")
		shift
	done
	shift
	begin "${without[@]}" "$@"
	ask_advice
	end
	begin "${with[@]}" "$@"
	judge "$id" "$kind" "$(rss)"
	end
}

# A program without a malloc_trim of its own has a thread that calls it: libadvice_trim.
make_trimmer() {
	mkfifo trim trim.ok
	export ADVICE_TRIM=$WORK/trim
}

call_trim() {
	exec 8<>trim.ok
	echo >trim
	read -r -t 60 -n 1 -u 8 _ || fail "no answer of the trimmer"
}

cgo_churn() {
	need_root
	need_target go-calloc_arenas
	make_trimmer
	rm -f steps
	start_stepped env LD_PRELOAD="$TARGETS/libadvice_trim.so" "$TARGETS/go-calloc_arenas" \
		-mb 32 -wait
	reached ready
	step
	reached peak 120
	step
	reached 'done' 120
	pid=$(pid_at 'done')
	ask_advice
	call_trim
	judge malloc-trim predicted "$(rss)"
}

python_lists() {
	need_root
	need_command python3
	make_trimmer
	start_stepped env LD_PRELOAD="$TARGETS/libadvice_trim.so" python3 -c '
import os, random
random.seed(1)
held = [bytes(random.randrange(600, 20000)) for _ in range(15000)]
held = held[::20]
print("done", os.getpid(), flush=True)
input()'
	reached 'done' 60
	pid=$(pid_at 'done')
	ask_advice
	call_trim
	judge malloc-trim predicted "$(rss)"
}

answers() {
	[ "$(redis-cli -s "$WORK/socket" ping)" = PONG ]
}

redis_emptied() {
	need_root
	need_package redis-server
	PATH=$package_dir/usr/bin:$PATH
	redis-server --port 0 --unixsocket "$WORK/socket" --dir "$WORK" --save '' --appendonly no \
		--daemonize no --enable-debug-command local --jemalloc-bg-thread no >redis.log 2>&1 &
	pid=$!
	trap 'kill -KILL "$pid"' EXIT
	wait_for 20 answers
	redis-cli -s "$WORK/socket" debug populate 400000 key 300
	# FLUSHALL would purge by itself.
	redis-cli -s "$WORK/socket" eval \
		'for i = 0, 399999 do redis.call("del", "key:" .. i) end' 0
	ask_advice
	redis-cli -s "$WORK/socket" memory purge
	judge jemalloc-decay predicted "$(rss)"
}

# GOMEMLIMIT as advised, for a container of LIMIT MB and a margin of so many.
limit_in_a_container() {
	local limit

	need_target go-advice_gc
	make_group $(($1 << 20))
	begin GROUP="$group" GOGC=200 "${in_group[@]}" "$TARGETS/go-advice_gc" -live 100 -churn 800
	ask_advice --margin "$2M"
	end
	limit=$(jq '.advice[] | select(.id == "gomemlimit") | .gomemlimit_bytes' advice.json)
	begin GROUP="$group" GOGC=200 GOMEMLIMIT="$limit" "${in_group[@]}" "$TARGETS/go-advice_gc" \
		-live 100 -churn 800
	judge gomemlimit predicted "$(rss)"
	end
}

huge_pages() {
	grep -q '\[never\]' /sys/kernel/mm/transparent_hugepage/enabled && skip "there are none here"
	anew thp unpredicted X=1 -- GLIBC_TUNABLES=glibc.malloc.hugetlb=1 -- \
		"$heap" --shape touch --kb 307200 --max-bytes 8000000
}

fewer_threads() {
	need_root
	begin "$heap" --shape stacks --kb 4096 --threads 30
	ask_advice
	end
	begin "$heap" --shape stacks --kb 4096 --threads 15
	judge thread-stack-size unpredicted "$(rss)"
	end
}

# Rows by workload, and the three counts.
table() {
	jq -rs 'def mb: . / 1048576 * 10 | round / 10;
		.[] | [.name, .id, .kind, if .kind == "predicted" then "\(.low | mb)-\(.high | mb)"
			else "" end, (.truth | mb), (.rss | mb), if .holds then "" else "OUTSIDE" end] | @tsv' \
		"$RESULTS" | sed 's/^/# /'
}

most_hold() {
	expect_json "$RESULTS" 'length >= 10 and
		(map(select(.kind == "predicted")) | length) as $predicted |
		(map(select(.kind == "unpredicted")) | length) as $unpredicted |
		10 * $predicted >= 7 * ($predicted + $unpredicted) and
		10 * (map(select(.holds)) | length) >= 9 * length and
		10 * (map(select(.kind == "predicted" and .holds)) | length) >= 9 * $predicted' \
		"ranges that hold, savings that are predicted" -s
}

# run NAME FUNCTION...: the name goes into the table.
run() {
	workload=$1
	test_case "$@"
}

dust=(--min-bytes 64 --max-bytes 400)
threads=(--threads 16 --kb 32768)

run "trim: large holes" in_place malloc-trim predicted trim "$heap" --shape holes --kb 307200
run "trim: holes between small blocks" in_place malloc-trim predicted trim \
	"$heap" --shape holes --kb 204800 "${dust[@]}"
run "trim: nothing to return" in_place malloc-trim absent trim \
	"$heap" --shape holes --kb 102400 --min-bytes 64 --max-bytes 64 --keep 2
run "trim: 16 threads" in_place malloc-trim predicted trim "$heap" --shape holes "${threads[@]}" --together
run "trim: 8 threads, 2 more at work" in_place malloc-trim predicted trim \
	"$heap" --shape holes --threads 8 --kb 32768 --busy 2
run "trim: cgo calloc churn" cgo_churn
run "trim: python" python_lists
run "arenas: idle threads" anew malloc-arena-max predicted MALLOC_ARENA_MAX=2 -- \
	MALLOC_ARENA_MAX=512 -- "$heap" --shape holes --threads 500 --kb 2 --min-bytes 100 \
	--max-bytes 1000 --keep 1
run "arenas: idle threads, all freed" anew malloc-arena-max predicted MALLOC_ARENA_MAX=2 -- \
	MALLOC_ARENA_MAX=512 -- "$heap" --shape holes --threads 500 --kb 3 --min-bytes 100 \
	--max-bytes 1000 --keep 0
run "arenas: peaks together" anew malloc-arena-max unpredicted MALLOC_ARENA_MAX=2 -- X=1 -- \
	"$heap" --shape holes "${threads[@]}" --together
run "arenas: peaks in turn" anew malloc-arena-max unpredicted MALLOC_ARENA_MAX=2 -- X=1 -- \
	"$heap" --shape holes "${threads[@]}"
run "jemalloc for glibc: large holes" anew other-allocator predicted "${jemalloc[@]}" -- X=1 -- \
	"$heap" --shape holes --kb 307200
run "jemalloc for glibc: 16 threads" anew other-allocator predicted "${jemalloc[@]}" -- X=1 -- \
	"$heap" --shape holes "${threads[@]}"
run "jemalloc for glibc: small blocks" anew other-allocator unpredicted "${jemalloc[@]}" -- X=1 -- \
	"$heap" --shape holes --kb 204800 "${dust[@]}"
run "jemalloc: purge" in_place jemalloc-decay predicted purge LD_PRELOAD="$JEMALLOC" \
	"$heap" --shape holes --kb 307200
run "jemalloc: purge, 16 threads" in_place jemalloc-decay predicted purge LD_PRELOAD="$JEMALLOC" \
	"$heap" --shape holes "${threads[@]}" --together
run "jemalloc: redis emptied" redis_emptied
run "go: GOMEMLIMIT in a container" limit_in_a_container 600 350
run "go: FreeOSMemory after a drop" in_place go-free-os-memory predicted free \
	"$TARGETS/go-advice_gc" -live 200 -drop
run "go: GOGC halved" anew gogc unpredicted GOGC=50 -- X=1 -- "$TARGETS/go-advice_gc" -live 150 -churn 800
run "huge pages" huge_pages
run "stacks: deep once, half the threads" fewer_threads
run "stacks: of ended threads" anew thread-stack-size absent X=1 -- X=1 -- \
	"$heap" --shape stacks --kb 4096 --threads 30 --ended
table
test_case "the truth lies in nine of ten ranges, and seven of ten are predicted" most_hold
