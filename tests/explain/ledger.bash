# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# shellcheck shell=bash
#
# Sourced by the tests of explain's ledger on real software, after tests/lib.sh.

# shellcheck disable=SC2016 # jq's variables, not the shell's

# kernel_rss PID: Rss of smaps_rollup without that of the vDSO, in bytes.
kernel_rss() {
	local vdso

	vdso=$(awk '/^[0-9a-f]+-[0-9a-f]+ / { in_vdso = $6 == "[vdso]" }
		in_vdso && /^Rss:/ { print $2 }' "/proc/$1/smaps")
	awk -v vdso="${vdso:-0}" '/^Rss:/ { print ($2 - vdso) * 1024 }' "/proc/$1/smaps_rollup"
}

# explain_still PID OUT: a reading during which Rss was the same before and after.
explain_still() {
	local before after tries

	for tries in $(seq 100); do
		before=$(kernel_rss "$1")
		"$MEMDRIFT" explain --json -p "$1" >"$2"
		after=$(kernel_rss "$1")
		[ "$before" != "$after" ] || break
	done
	[ "$before" = "$after" ] || fail "$1 did not stand still in $tries readings"
	echo "$after" >"$2.rss"
}

# expect_ledger PID PERCENT: the ledger's sum is the kernel's, at most half a per cent is unknown,
# and at most so much is unknown or told by elimination alone. Leaves out.json.
expect_ledger() {
	explain_still "$1" out.json
	jq -r '.rss_bytes as $rss | .ledger[] | select(.resident_bytes > 0) |
		"\(.component) \(.resident_bytes) \(.resident_bytes * 1000 / $rss | round / 10) %"' \
		out.json
	jq -c '.cost' out.json
	expect_json out.json '([.ledger[].resident_bytes] | add) == $rss' \
		"the ledger's sum against smaps_rollup without the vDSO" \
		--argjson rss "$(cat out.json.rss)"
	expect_json out.json '.rss_bytes == $rss' "Rss" --argjson rss "$(cat out.json.rss)"
	expect_json out.json '.rss_bytes * 0.005 >= (.ledger[] | select(.component == "unknown") |
		.resident_bytes)' "unknown memory"
	expect_json out.json '.rss_bytes * $percent / 100 >= ([.ledger[] |
		select(.component == "unknown" or .component == "other-anonymous") |
		.resident_bytes] | add)' "memory that only elimination tells" --argjson percent "$2"
}

# expect_share COMPONENT PERCENT: at least so much of Rss is this one's, in out.json.
expect_share() {
	expect_json out.json '.rss_bytes * $percent / 100 <=
		(.ledger[] | select(.component == $component) | .resident_bytes)' \
		"less than $2 % is $1" --arg component "$1" --argjson percent "$2"
}
