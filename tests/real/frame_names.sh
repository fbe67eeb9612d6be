#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# How many frames of real stacks have a function's name, in objects that have symbols at all: a
# .symtab, or a separate debug file. Objects without are left out: what they have are offsets.

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$TESTS/trace.sh"
# shellcheck source=tests/real/common.bash
. "$(dirname "$0")/common.bash"

# has_symbols FILE
has_symbols() {
	local id

	readelf -SW "$1" 2>/dev/null | grep -q ' \.symtab ' && return 0
	id=$(readelf -nW "$1" 2>/dev/null | sed -n 's/.*Build ID: //p' | head -1)
	[ -n "$id" ] && [ -e "/usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug" ]
}

# Of all programs: "NAMED UNNAMED OTHERS" a line.
sums=$test_root/sums

# count_names MAPS FOLDED: adds to the sums.
count_names() {
	local path

	awk '$2 ~ /x/ && $6 ~ /^\// { print $6 }' "$1" | sort -u |
		while read -r path; do
			! has_symbols "$path" || basename "$path"
		done >objects
	cat objects
	# A frame without a name is OBJECT+0xOFFSET; which object a named one is in, the text does not say.
	awk -v objects="$(paste -sd' ' objects)" 'BEGIN {
			count = split(objects, list, " ")
			for (i = 1; i <= count; i++)
				known[list[i]] = 1
		}
		{
			sub(/ [0-9]+$/, "")
			frames = split($0, frame, ";")
			for (i = 2; i <= frames; i++) {
				object = frame[i]
				if (sub(/\+0x[0-9a-f]+$/, "", object))
					(object in known) ? unnamed[frame[i]]++ : other++
				else
					named++
			}
		}
		END {
			for (name in unnamed) {
				sum += unnamed[name]
				print unnamed[name], name > "unnamed"
			}
			print named + 0, sum + 0, other + 0
		}' "$2" >counts
	echo "named, unnamed though their object has symbols, in objects without: $(cat counts)"
	[ ! -e unnamed ] || sort -rn unnamed | head -20
	cat counts >>"$sums"
	[ ! -e unnamed ] || cat unnamed >>"$test_root/all-unnamed"
}

# What runs in its own time: SECONDS are for enough stacks, not for anything to have happened.
names_of() {
	local seconds=$1 pid=$2

	cat "/proc/$pid/maps" >maps
	"$MEMDRIFT" trace -p "$pid" -d "$seconds" --folded folded --weight alloc_bytes --budget none \
		-o report.txt || fail "memdrift trace"
	cat "/proc/$pid/maps" >>maps
	count_names maps folded
}

in_go_with_cgo() {
	need_bpf
	need_target go-cgo_chains
	start_stepped "$TARGETS/go-cgo_chains"
	reached ready
	cat "/proc/$(pid_at ready)/maps" >maps
	start_trace out.json -p "$(pid_at ready)" --folded "$PWD/folded" --weight alloc_count
	step
	reached 'done' 120
	end_trace "$@"
	step
	count_names maps folded
}

in_node() {
	need_bpf
	need_command node
	node -e 'for (;;) JSON.parse(JSON.stringify(Array.from({length: 500}, (_, i) => ({i}))))' &
	names_of 3 $!
}

in_perl() {
	need_bpf
	need_command perl
	perl -e 'while (1) { my %lists = map { $_ => [1 .. 9] } 1 .. 200; join ",", sort keys %lists }' &
	names_of 3 $!
}

in_torture() {
	need_bpf
	start_target unwind_torture
	cat "/proc/$TARGET/maps" >maps
	start_trace out.json -p "$TARGET" --folded "$PWD/folded" --weight alloc_count
	tell_target
	tell_target
	wait_done
	end_trace "$@"
	tell_target
	count_names maps folded
}

in_all() {
	[ -s "$sums" ] || skip "no program was traced"
	cat "$test_root/all-unnamed" 2>/dev/null || true
	awk '{ named += $1; unnamed += $2 } END {
		print named " frames have names, " unnamed " have none"
		exit !(named >= 1000 && unnamed * 1000 <= named + unnamed)
	}' "$sums" || fail "frames without a name though their object has symbols"
}

test_case "names in a Go program with cgo" in_go_with_cgo
test_case "names in node" in_node
test_case "names in perl" in_perl
test_case "names in a C program that is hard to walk" in_torture
test_case "names in all" in_all
