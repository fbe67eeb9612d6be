# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# shellcheck shell=bash
#
# For tests of `memdrift explain` on processes whose memory was overwritten, after tests/lib.sh
# and tests/real/common.bash.

# What a reading may take, in seconds and in KB: the bound of explanation.c and what is read of files.
SPOIL_SECONDS=20
SPOIL_PEAK_KB=$((512 << 10))

# end_victim: it never runs on; what the test runner would end it with makes it run.
end_victim() {
	kill -KILL "$victim" 2>/dev/null || true
}

# use_victim PID: the process to break; it is killed at the end of the test case.
use_victim() {
	victim=$1
	trap end_victim EXIT
}

# What memdrift reads of the process is what is overwritten most. A library cannot be put before a
# sanitizer's; what the ordinary binary reads is the same.
note_reads() {
	need_root
	need_target spoil libspoil_reads.so
	export SPOIL_READS=$WORK/reads
	[ ! -s "$SPOIL_READS" ] || return 0
	LD_PRELOAD=$TARGETS/libspoil_reads.so "$BUILD_DIR/memdrift" explain -p "$victim" >/dev/null
	[ -s "$SPOIL_READS" ] || fail "nothing was read of the process"
}

# start_victim PRELOAD TARGET ARGUMENT...: a target program that says "ready" when it stands still.
start_victim() {
	local preload=$1 target=$2

	shift 2
	need_target "$target"
	[ -z "$preload" ] || [ -e "$preload" ] || skip "there is no $preload"
	start_stepped env LD_PRELOAD="$preload" "$TARGETS/$target" "$@"
	reached ready
	use_victim "$(pid_at ready)"
}

start_python() {
	need_command python3
	start_stepped python3 -c '
import os, sys, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
kept = [{str(i): [i, float(i), "x" * (i % 300)]} for i in range(10000)]
print("ready", os.getpid(), flush=True)
sys.stdin.readline()'
	reached ready
	use_victim "$(pid_at ready)"
}

# use_asan: from here on by the binary under sanitizers; false where that was not built.
use_asan() {
	[ -x "$BUILD_DIR/asan/memdrift" ] || return 1
	MEMDRIFT=$BUILD_DIR/asan/memdrift
	# Where memory is bounded, a sanitizer is to say no as malloc does.
	export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1
	# Seconds are many under sanitizers.
	SPOIL_SECONDS=120
}

# Rss without the vDSO's and all that is mapped, in bytes.
spoil_sizes() {
	awk '/^[0-9a-f]+-[0-9a-f]+ / { vdso = $6 == "[vdso]" }
		/^Rss:/ && !vdso { rss += $2 } /^Size:/ { size += $2 }
		END { printf "%.0f %.0f\n", rss * 1024, size * 1024 }' "/proc/$1/smaps"
}

# Runs under spoil, in a shell of its own: one reading as JSON and what must hold of it. Pages of a
# process that is stopped come and go all the same: huge pages are made of small ones, and where
# anyone on the machine places a uprobe in a library, its page in every process is faulted in or
# dropped (measured: libc's text, 4 KB up and 12 KB down, with nobody looking). A sum that is not
# Rss is therefore read again, and is wrong when it is wrong each time; all else is wrong at once.
spoil_look() {
	local before after

	for _ in 1 2 3 4 5; do
		rm -f spoiled.wrong
		before=$(spoil_sizes "$1")
		spoil_read "$1" || return 1
		after=$(spoil_sizes "$1")
		if spoil_judge "$after"; then
			[ "$before" != "$after" ] || return 0
		elif grep -qv '^the ledger is ' spoiled.wrong; then
			return 1
		fi
	done
	[ ! -e spoiled.wrong ]
}

spoil_read() {
	local got=0

	rm -f spoiled.json
	timeout "$SPOIL_SECONDS" "$MEMDRIFT" explain -p "$1" --json >spoiled.json 2>spoiled.err ||
		got=$?
	if [ "$got" = 1 ]; then
		rm -f spoiled.json
		grep -q '^memdrift: .' spoiled.err && return 0
		echo "no message" >spoiled.wrong
		return 1
	elif [ "$got" != 0 ]; then
		echo "exit code $got: $(head -c 3000 spoiled.err)" >spoiled.wrong
		return 1
	fi
	return 0
}

spoil_judge() {
	local rss=${1% *} mapped=${1#* } wrong

	[ -e spoiled.json ] || return 0
	wrong=$(jq -r -f "$TESTS/spoil.jq" --argjson rss "$rss" --argjson mapped "$mapped" \
		spoiled.json 2>&1)
	[ -s spoiled.json ] || wrong="no JSON"
	[ -n "$wrong" ] || return 0
	echo "$wrong" >spoiled.wrong
	return 1
}

# The text: nothing of the process's bytes may reach a terminal as they are.
spoil_look_text() {
	local got=0

	LC_ALL=C timeout "$SPOIL_SECONDS" "$MEMDRIFT" explain -p "$1" >spoiled.text 2>spoiled.err ||
		got=$?
	if [ "$got" -gt 1 ]; then
		echo "text: exit code $got: $(head -c 3000 spoiled.err)" >spoiled.wrong
	elif [ "$got" = 0 ] && LC_ALL=C grep -q '[^ -~]' spoiled.text; then
		echo "text: bytes that are not ASCII" >spoiled.wrong
	else
		return 0
	fi
	return 1
}
export -f spoil_sizes spoil_look spoil_read spoil_judge spoil_look_text
export SPOIL_SECONDS TESTS

# spoil_seeds FROM TO: each seed once as JSON; every eighth as text as well. A seed that does not
# hold is told with what it did and fails the test case when all were tried.
spoil_seeds() {
	local seed look bad=0 peak max_peak=0 ms max_ms=0

	note_reads
	for ((seed = $1; seed < $2; seed++)); do
		for look in spoil_look spoil_look_text; do
			[ "$look" = spoil_look ] || [ $((seed % 8)) = 0 ] || continue
			rm -f spoiled.wrong
			"$TARGETS/spoil" "$victim" "$seed" bash -c "$look $victim" 3>measured ||
				[ -s spoiled.wrong ] || echo "spoil failed" >spoiled.wrong
			read -r peak ms _ <measured
			max_peak=$((peak > max_peak ? peak : max_peak))
			max_ms=$((ms > max_ms ? ms : max_ms))
			[ -e spoiled.wrong ] || continue
			bad=$((bad + 1))
			echo "seed $seed, process $victim: $(head -n 30 spoiled.wrong)"
		done
	done
	echo "# ${MEMDRIFT#"$BUILD_DIR/"}, $(cat "/proc/$victim/comm"): $(($2 - $1)) seeds, $bad bad; at most" \
		"$max_ms ms, $((max_peak >> 10)) MB" | tee -a "${MEMDRIFT_TALLY:-/dev/null}"
	[ "$bad" = 0 ] || fail "$bad of $(($2 - $1)) seeds"
	# Sanitizers take much more.
	[[ $MEMDRIFT == */asan/* ]] || [ "$max_peak" -le "$SPOIL_PEAK_KB" ] ||
		fail "it took $max_peak KB"
}

# spoil_file_look PID: of a program that does not run on.
spoil_file_look() {
	SPOIL_READS='' spoil_look "$1" && SPOIL_READS='' spoil_look_text "$1"
}
export -f spoil_file_look

# The arguments of the programs that spoil_files runs.
spoil_arguments=()

# start_spoiled PROGRAM ARGUMENT...: false when what was overwritten was needed to run it. It may
# take no more than a usual one.
start_spoiled() {
	rm -f said
	(
		ulimit -v $((4 << 20)) -t 20
		exec "$@" <&7 >said 2>/dev/null
	) &
	victim=$!
	while ! grep -q ready said 2>/dev/null; do
		kill -0 "$victim" 2>/dev/null || return 1
		sleep 0.01
	done
	kill -STOP "$victim"
}

# The shell tells of each child that a signal ended.
end_spoiled() {
	{ wait "$victim" || true; } 2>/dev/null
}

# spoil_files FROM TO PROGRAM SECTION...: a seed overwrites these sections of a copy's file, which is
# run, stopped and looked at. At least half as many copies as there are seeds must run: what was
# overwritten decides how many do, and where these do not, seeds behind TO follow, three times as
# many at most.
spoil_files() {
	local seed bad=0 ran=0 from=$1 to=$2 program=$3 peak ms max_peak=0 max_ms=0
	local wanted=$((($2 - $1 + 1) / 2)) last=$(($1 + 4 * ($2 - $1)))

	shift 3
	trap end_victim EXIT
	exec 7<>steps
	for ((seed = from; seed < to || (ran < wanted && seed < last); seed++)); do
		cp "$program" spoiled
		"$TARGETS/spoil_file" spoiled "$seed" "$@" >spoiled.bytes
		if ! start_spoiled ./spoiled "${spoil_arguments[@]}"; then
			end_spoiled
			continue
		fi
		ran=$((ran + 1))
		rm -f spoiled.wrong
		"$TARGETS/spoil" "$victim" 0 bash -c "spoil_file_look $victim" 3>measured || true
		read -r peak ms _ <measured
		max_peak=$((peak > max_peak ? peak : max_peak))
		max_ms=$((ms > max_ms ? ms : max_ms))
		end_victim
		end_spoiled
		[ -e spoiled.wrong ] || continue
		bad=$((bad + 1))
		echo "seed $seed of $*: $(head -n 30 spoiled.wrong)"
		[ -z "${MEMDRIFT_KEEP:-}" ] || cp spoiled "$MEMDRIFT_KEEP/spoiled.$seed"
	done
	echo "# ${MEMDRIFT#"$BUILD_DIR/"}, $*: $((seed - from)) seeds, $ran ran, $bad bad; at most" \
		"$max_ms ms, $((max_peak >> 10)) MB" | tee -a "${MEMDRIFT_TALLY:-/dev/null}"
	[ "$bad" = 0 ] || fail "$bad of $ran programs"
	[ "$ran" -ge "$wanted" ] || fail "only $ran of $((seed - from)) copies ran, not $wanted"
	[[ $MEMDRIFT == */asan/* ]] || [ "$max_peak" -le "$SPOIL_PEAK_KB" ] ||
		fail "it took $max_peak KB"
}
