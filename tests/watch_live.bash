# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# shellcheck shell=bash
#
# The live corpus of `memdrift watch`, after tests/watch.sh: which verdict each program must get, and
# the function that its evidence must name.

need_live() {
	need_bpf
	need_command jq sqlite3
	need_target drift_live
}

# MODE VERDICT FUNCTION; "none": no incident at all. "-": a burst need not see it, as an arena is
# filled within milliseconds of many hours, and one fault of a file brings many pages.
truths() {
	cat <<-END
		leak leak leak_session
		leak-large leak leak_session
		leak-steps leak leak_session
		daily-leak leak leak_session
		arenas arena-growth -
		fragmentation fragmentation fragment_heap
		chunks direct-mapping-growth fill_chunk
		buffers direct-mapping-growth map_buffer
		file file-growth -
		shmem shmem-growth fill_file
		threads thread-growth start_worker
		warm-up none -
		steady none -
		sawtooth none -
		daily none -
		step none -
		go:heap go-heap-growth keepSession
		go:fragmentation go-heap-fragmentation fragmentHeap
		go:steady none -
	END
}

# Each in a copy of its own name, so that it is a subject of its own.
start_corpus() {
	local mode name

	mkdir -p programs
	TARGETS_BUILT=$TARGETS
	TARGETS=$PWD/programs
	corpus=("$@")
	for mode; do
		name=$(program_of "$mode")
		cp "$TARGETS_BUILT/$name" "programs/${mode/:/-}"
		start_drift "${mode/:/-}" "${mode#go:}"
		pid_of["$mode"]=$!
	done
}

# shellcheck disable=SC2317,SC2329 # called through start_corpus
program_of() {
	case $1 in
	go:*) echo go-drift_live ;;
	*) echo drift_live ;;
	esac
}

# restart_after_days HOURS MODE: in the middle the program is started again, and is the same subject.
restart_after_days() {
	sleep $(($1 / 2))
	kill "${pid_of[$2]}"
	wait "${pid_of[$2]}" 2>/dev/null || true
	start_drift "$2" "$2"
	sleep $(($1 - $1 / 2))
}

# Of the incident's files, deflated as zlib does.
evidence_of() {
	python3 - "$1" <<-'END'
		import sqlite3, sys, zlib
		db = sqlite3.connect("file:watch.db?mode=ro", uri=True)
		for name, data in db.execute(
		    "select name, bytes from evidence where incident = ? and name like '%.folded'", (sys.argv[1],)):
		    sys.stdout.write(zlib.decompress(data).decode())
	END
}

expect_verdicts() {
	local mode verdict function got id wrong=0

	cat watch.err
	jq -c '{process, state, verdict, since, why}' incidents.jsonl
	while read -r mode verdict function; do
		[[ " ${corpus[*]} " == *" $mode "* ]] || continue
		got=$(jq -r --arg exe "$PWD/programs/${mode/:/-}" \
			'select(.exe == $exe and .state == "raised") | .verdict' incidents.jsonl |
			sort -u | paste -sd,)
		if [ "${got:-none}" != "$verdict" ]; then
			echo "WRONG: $mode is $verdict, called ${got:-none}"
			wrong=$((wrong + 1))
			continue
		fi
		[ "$function" != - ] || continue
		id=$(jq -r --arg exe "$PWD/programs/${mode/:/-}" \
			'select(.exe == $exe and .state == "raised") | .id' incidents.jsonl | head -n 1)
		if ! evidence_of "$id" | grep "$function" >/dev/null; then
			echo "WRONG: the evidence for $mode does not name $function:"
			evidence_of "$id" | cut -c 1-300
			wrong=$((wrong + 1))
		fi
	done < <(truths)
	[ "$wrong" = 0 ] || [ -z "${KEEP_DB:-}" ] || cp watch.db "$KEEP_DB"
	expect_equal "$wrong" 0 "wrong verdicts or evidence"
	# It is bounded by the configuration, and is said to be.
	if [[ " ${corpus[*]} " == *" arenas "* ]]; then
		jq -s 'map(select(.verdict == "arena-growth")) | .[0]' incidents.jsonl >arena.json
		expect_json arena.json '.ends.at_bytes > 0 and .ends.by != null' "where arena growth ends"
		expect_json arena.json '.why | test("arenas [0-9]+ -> [0-9]+ of [0-9]+.*bounded at [0-9]+ x 64 MiB")' \
			"how many arenas of how many"
	fi
	# The same subject before and after its restart.
	expect_equal "$(sql "select count(*) from subjects where exe = '$PWD/programs/leak'")" 1 \
		"subjects of the program that was started again"
}
