#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# How many instructions the kernel's verifier has looked at for each program, against the recorded
# list. A program whose paths multiply shows here long before the limit of one million refuses it.
. "$(dirname "$0")/../lib.sh"

# Lines "KERNEL PROGRAM INSTRUCTIONS"; the kernel by its first two numbers. For one that is not in it
# the lines to add are printed: remove a kernel's and run this when a program changes on purpose.
LIST=$TESTS/kernel/verifier.list
# In percent. Another compiler's code differs, and patch releases of a kernel.
TOLERANCE=30
# Of a kernel that is not in the list.
MOST=100000

# verified OPTION...: "PROGRAM INSTRUCTIONS" of all that this trace loads.
verified() {
	"$MEMDRIFT" trace -vv --json -o report.json "$@" -- true 2>trace.err ||
		fail "memdrift trace: $(tail -n 3 trace.err | cut -c 1-300)"
	sed -nE 's/.*program ([a-z_0-9]+): ([0-9]+) instructions verified$/\1 \2/p' trace.err
}

within_tolerance() {
	need_bpf
	local kernel program got want

	kernel=$(uname -r | cut -d . -f 1,2)
	{
		verified --folded folded --weight alloc_bytes
		verified --live
		verified --faults
	} | awk '$2 > most[$1] { most[$1] = $2 } END { for (p in most) print p, most[p] }' |
		sort >counts
	[ -s counts ] || fail "memdrift named no program"
	while read -r program got; do
		want=$(awk -v k="$kernel" -v p="$program" '$1 == k && $2 == p { print $3 }' "$LIST")
		if grep -q "^$kernel " "$LIST"; then
			[ -n "$want" ] || fail "$program is not in the list of $kernel: it has $got"
			# Small ones change by a few.
			[ $((got * 100)) -le $((want * (100 + TOLERANCE) + 10000)) ] ||
				fail "$program: $got instructions, $want are recorded"
		else
			[ "$got" -le "$MOST" ] || fail "$program: $got instructions"
		fi
	done <counts
	grep -q "^$kernel " "$LIST" && return 0
	# Comments are what comes out of a virtual machine as well.
	sed "s/^/# list: $kernel /" counts >&3
	skip "no list for $kernel: below $MOST each"
}

exec 3>&1
test_case "the verifier has no more work than recorded" within_tolerance
