#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# vm: no
# limit: 240
# Arenas of glibc: how many were made, by whom, how many there are and may be, and what of them is
# resident, against malloc_info and smaps.
# shellcheck disable=SC2016,SC2119 # $ in single quotes is for jq; arguments are optional
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$(dirname "$0")/../trace.sh"

MB=$([ "$MEMDRIFT_VM" = 1 ] && echo 1 || echo 3)
CPUS=$(getconf _NPROCESSORS_ONLN)

to_peak() {
	tell_target
	wait_for 120 grep -q '^peak' target.out
}

# Puts an empty folder over the debug files, seen by memdrift and the target alone: arena_get2 is
# not found, neither here nor by way of the target's root.
without_debug_files() {
	need_command unshare
	[ -d /usr/lib/debug ] || return 0
	unshare --mount true || skip "mount namespaces are not allowed here"
	cat >hide <<-'END'
		mount -t tmpfs none /usr/lib/debug && exec "$@"
	END
	mkdir hidden
	printf '#!/bin/sh\nexec unshare --mount sh "%s" "%s" "$@"\n' \
		"$PWD/hide" "$MEMDRIFT" >hidden/memdrift
	printf '#!/bin/sh\nexec unshare --mount sh "%s" "%s" "$@"\n' \
		"$PWD/hide" "$TARGETS/arena_threads" >hidden/arena_threads
	chmod +x hidden/*
	MEMDRIFT=$PWD/hidden/memdrift
	TARGETS=$PWD/hidden
}

# The truth is malloc_info's, with the main arena.
expect_arenas() {
	expect_json report.json '.processes[0].arenas.created == $t[0].peak.arenas - 1' \
		"arenas created" --slurpfile t truth.json
	expect_json report.json '.processes[0].arenas.present == $t[0].peak.arenas' \
		"arenas present" --slurpfile t truth.json
	expect_json report.json '.processes[0].arenas.sources_agree' "the sources agree"
}

expect_limit() {
	expect_json report.json '.processes[0].arenas.limit == $limit' "limit of arenas" \
		--argjson limit "$1"
	expect_json report.json '.processes[0].arenas.limit_source | contains($source)' \
		"where the limit comes from" --arg source "$2"
}

# One event each: who made it, when, where, which is where its first heap is.
expect_events() {
	expect_json report.json '.processes[0].arenas | .events | length == $a' "one event each" \
		--argjson a "$(jq '.processes[0].arenas.created' report.json)"
	expect_json report.json '.processes[0] | ([.arenas.events[].address] | sort) ==
		([.large_mappings[] | select(.kind == "glibc-arena").address] | sort)' \
		"each is a mapping of 64 MiB"
	expect_json report.json '.processes[0] | [.large_mappings[] | select(.kind == "glibc-arena") |
		.reserved_bytes == 67108864 and .committed_bytes >= .resident_bytes and
		.before_attach == false] | length > 0 and all' "of which less is committed"
	expect_json report.json '. as $r | .processes[0].arenas.events |
		([.[].tid] | length == (unique | length) and all(. != $r.processes[0].pid)) and
		([.[].t_s] | . == sort and .[0] >= 0 and .[-1] <= $r.duration_s)' \
		"each by a thread of its own, in order"
}

# expect_source mapping: that one. expect_source best: a better one where libc's symbols are there.
expect_source() {
	expect_json report.json '.processes[0].arenas.source | if $s == "mapping" then . == $s else
		IN("usdt", "symbol", "mapping") end' "source of arenas" --arg s "$1"
	[ "$1" = mapping ] || ! libc_has_debug_file ||
		expect_json report.json '.processes[0].arenas.source == "symbol"' "source of arenas"
}

libc_has_debug_file() {
	local libc id

	command -v readelf >/dev/null || return 1
	libc=$(ldd "$TARGETS/arena_threads" | sed -n 's/.* => \(.*libc\.so[^ ]*\) .*/\1/p')
	id=$(readelf -n "$libc" | sed -n 's/^ *Build ID: //p')
	[ -e "/usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug" ]
}

counts_arenas() {
	need_bpf
	[ "$1" = best ] || without_debug_files
	start_target arena_threads --wait --threads 20 --mb "$MB"
	start_trace -p "$TARGET" --budget none
	to_peak
	end_trace
	expect_no_losses
	expect_source "$1"
	expect_arenas
	expect_limit "$((8 * CPUS))" "$CPUS online CPUs"
	expect_events
	# Each thread asked once: for a new one, or one that there was.
	expect_json report.json '.processes[0].arenas | if .source == "symbol" then
		.created + .reused == 20 else .reused == null end' "reuse"
}

# A command's, until its end: the report shows what stood at its exit.
counts_arenas_of_a_command() {
	need_bpf
	need_target arena_threads
	TRUTH=truth.json expect_exit 0 "$MEMDRIFT" trace --json -o report.json -- \
		"$TARGETS/arena_threads" --threads 12 --mb 1
	expect_only_losses report.json "$COMMAND_LOSSES"
	expect_json report.json '.processes[0].arenas.created == $t[0].peak.arenas - 1' \
		"arenas created" --slurpfile t truth.json
	expect_events
}

follows_the_environment() {
	local source=$1 limit=$2 setting=$3

	need_bpf
	need_target arena_threads
	export "${setting?}"
	start_target arena_threads --wait --threads 8 --mb 1
	start_trace -p "$TARGET" --budget none
	to_peak
	end_trace
	expect_limit "$limit" "$source"
	expect_arenas
	expect_json report.json '.processes[0].arenas.present == $limit' "all that may be are there" \
		--argjson limit "$limit"
}

# Made before the trace: present, not created.
knows_older_arenas() {
	need_bpf
	[ "$1" = best ] || without_debug_files
	start_target arena_threads --wait --threads 20 --mb 1
	to_peak
	start_trace -p "$TARGET" --budget none
	end_trace
	expect_source "$1"
	expect_json report.json '.processes[0].arenas | .created == 0 and .events == []' "none created"
	expect_json report.json '.processes[0].arenas.present == $t[0].peak.arenas' \
		"all present" --slurpfile t truth.json
	expect_json report.json '[.processes[0].large_mappings[] | select(.kind == "glibc-arena") |
		.before_attach] | length == $t[0].peak.arenas - 1 and all' \
		"each marked as older" --slurpfile t truth.json
	expect_limit "$((8 * CPUS))" "$CPUS online CPUs"
}

# Attached while threads make them: what was before and what came after add up.
attached_in_the_middle() {
	need_bpf
	start_target arena_threads --wait --threads 20 --mb "$((10 * MB))"
	tell_target
	start_trace -p "$TARGET" --budget none
	wait_for 120 grep -q '^peak' target.out
	end_trace
	expect_json report.json '.processes[0].arenas.present == $t[0].peak.arenas' \
		"arenas present" --slurpfile t truth.json
	# Of what was being made at the moment of the attach, on each CPU one, half was seen.
	expect_json report.json '.host.cpus_online as $cpus | .processes[0] |
		(.arenas.created + .arenas.further_heaps -
		([.large_mappings[] | select(.kind == "glibc-arena" and .before_attach == false)] |
		 length) | fabs) <= $cpus' "what was created is not what was there"
	expect_json report.json '.host.cpus_online as $cpus |
		[.processes[0].large_mappings[] | select(.kind == "glibc-arena")] |
		length >= $t[0].peak.arenas - 1 - $cpus' "every arena is a mapping" --slurpfile t truth.json
}

# An arena that outgrows its first heap gets another: no new arena.
further_heaps() {
	need_bpf
	[ "$1" = best ] || without_debug_files
	start_target arena_threads --wait --threads 2 --mb 70 --max-bytes 65536
	start_trace -p "$TARGET" --budget none
	to_peak
	end_trace
	expect_source "$1"
	expect_arenas
	expect_json report.json '.processes[0].arenas | .created == 2 and .further_heaps == 2' \
		"two arenas of two heaps"
	expect_json report.json '[.processes[0].large_mappings[] | select(.kind == "glibc-arena")] |
		length == 4' "all four are arenas' memory"
}

# Resident bytes in [$1, $2), from smaps.
smaps_resident() {
	local start=0 key value kind sum=0

	while read -r key value kind; do
		if [[ $key =~ ^([0-9a-f]+)-[0-9a-f]+$ ]]; then
			start=$((0x${BASH_REMATCH[1]}))
		elif [ "$key" = Rss: ] && [ "$start" -ge "$1" ] && [ "$start" -lt "$2" ]; then
			[ "$kind" = kB ] && sum=$((sum + value * 1024))
		fi
	done <smaps
	echo "$sum"
}

# The target stands still: what is said of each arena is what smaps says, within 1 %.
resident_as_smaps() {
	local address resident want total=0

	need_bpf
	start_target arena_threads --wait --threads 6 --mb "$((4 * MB))"
	start_trace -p "$TARGET" --budget none
	to_peak
	end_trace
	cat "/proc/$TARGET/smaps" >smaps
	jq -r '.processes[0].large_mappings[] | select(.kind == "glibc-arena") |
		"\(.address) \(.resident_bytes)"' report.json >arenas
	expect_equal "$(wc -l <arenas)" 6 "arenas"
	while read -r address resident; do
		want=$(smaps_resident "$((address))" "$((address + 67108864))")
		[ "$want" -ge "$((4 * MB << 20))" ] || fail "smaps says only $want bytes at $address"
		[ $((resident > want ? resident - want : want - resident)) -le $((want / 100)) ] ||
			fail "arena $address: $resident bytes are said to be resident, smaps says $want"
		total=$((total + resident))
	done <arenas
	# The growth is theirs, and told to be.
	expect_json report.json '.processes[0].growth.arenas_bytes | . > 0.95 * $n and . < 1.05 * $n' \
		"arenas hold the growth" --argjson n "$total"
	expect_json report.json '.processes[0] | .growth.arenas_bytes > 0.8 * (.rss.end_bytes - .rss.start_bytes)' \
		"nearly all of it"
}

# One thread has the main arena alone; a libc without arenas has none to speak of.
without_thread_arenas() {
	need_bpf
	start_target "$1" --wait --rounds 100
	start_trace -p "$TARGET" --budget none
	tell_target
	wait_done
	end_trace
	expect_json report.json '.processes[0].arenas | .created == 0 and .events == []' "none created"
	expect_json report.json '.processes[0].arenas | .present == $present' "the main arena" \
		--argjson present "$2"
	[ "$2" != null ] || expect_json report.json '.processes[0].arenas | .limit == null and
		.limit_source == null' "no limit"
	expect_json report.json '[.processes[].large_mappings[] | select(.kind == "glibc-arena")] == []' \
		"no arena's mapping"
}

test_case "counts arenas by the best source there is" counts_arenas best
test_case "counts arenas by their mappings alone" counts_arenas mapping
test_case "counts arenas of a command" counts_arenas_of_a_command
test_case "MALLOC_ARENA_MAX is the limit" follows_the_environment MALLOC_ARENA_MAX=3 3 MALLOC_ARENA_MAX=3
test_case "GLIBC_TUNABLES is the limit" follows_the_environment arena_max=4 4 \
	GLIBC_TUNABLES=glibc.malloc.arena_max=4
test_case "knows arenas from before the trace" knows_older_arenas best
test_case "knows arenas from before the trace, without symbols" knows_older_arenas mapping
test_case "attached while arenas are made" attached_in_the_middle
test_case "further heaps are no arenas" further_heaps best
test_case "further heaps are no arenas, without symbols" further_heaps mapping
test_case "resident bytes of arenas are those of smaps" resident_as_smaps
test_case "a program with the main arena alone" without_thread_arenas alloc_mix 1
test_case "musl has no arenas" without_thread_arenas alloc_mix_musl null
test_case "jemalloc's arenas are not glibc's" without_thread_arenas alloc_mix_jemalloc 1
