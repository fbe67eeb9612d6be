#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# vm: 6.1 6.12 newest
# limit: 120
# A process that the kernel kills for memory is an incident of `memdrift watch`, with what it was
# last; known by the tracepoint, and without the right to use that by its control group's counter.
# shellcheck disable=SC2016 # $ in single quotes is for jq
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/watch.sh
. "$(dirname "$0")/../watch.sh"

MB=$((1 << 20))
LIMIT=$((96 * MB))

# Followed before it is killed: from its base of 24 MB it takes a while to the limit.
killed_in_its_group() {
	need_command jq
	make_group "$LIMIT"
	start_watch --interval 50ms --no-evidence
	start_drift drift_live chunks 0
	# An emulated machine takes longer to follow it.
	start_drift drift_live leak-large "$([ "$MEMDRIFT_VM" = 1 ] && echo 1 || echo 3)"
	wait_for 60 follows "${pid_of[leak-large]}"
	wait_for 90 has_incident '.state == "oom"'
	kill -KILL "${pid_of[chunks]}"
	end_watch
	cat incidents.jsonl
	jq -s '.[0]' incidents.jsonl >oom.json
	expect_equal "$(jq -s length incidents.jsonl)" 1 "incidents: one was killed, one by hand"
	expect_json oom.json '.pid == $pid' "the killed process" --argjson pid "${pid_of[leak-large]}"
	expect_json oom.json '.kind == "oom" and .process == "drift_live"' "kind and name"
	expect_json oom.json '.limit_bytes == $l' "its limit" --argjson l "$LIMIT"
	expect_json oom.json '.why | test("^killed for memory")' "the cause"
	expect_json oom.json '.evidence == ["last_state.txt"]' "its last state is kept"
}

# It is in the history: there is something to judge by.
follows() {
	"$MEMDRIFT" watch --once --json --db "$PWD/watch.db" --cgroup "$GROUP" >once.json
	jq -e --argjson p "$1" 'any(.processes[]; .pid == $p and .verdict != null)' once.json
}

by_the_tracepoint() {
	need_bpf
	killed_in_its_group
	expect_match watch.err 'killed for memory: tracepoint' "where it is known from"
	# The kernel's own figure: what it had when it was killed fills the group's limit.
	case $(uname -r) in
	6.[1-8].*) ;;
	*) expect_json oom.json '.rss_bytes > $l * 0.6' "its size" --argjson l "$LIMIT" ;;
	esac
}

# CAP_BPF and CAP_SYS_ADMIN are not in the bounding set: no program can be loaded.
without_the_tracepoint() {
	need_setpriv
	MEMDRIFT=$WORK/unprivileged
	cat >"$MEMDRIFT" <<-END
		#!/bin/sh
		exec setpriv --bounding-set -bpf,-sys_admin,-perfmon "$BUILD_DIR/memdrift" "\$@"
	END
	chmod 755 "$MEMDRIFT"
	killed_in_its_group
	expect_match watch.err 'killed for memory: counters of control groups' "where it is known from"
}

test_case "a killed process is an incident, by the tracepoint" by_the_tracepoint
host_case "a killed process is an incident, by its group's counter" without_the_tracepoint
