# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# Whether the size_classes of a report, $got[0], are those of the ledger $want[0], a list of
# {size, count, class}: each row with the same counts, and nothing besides.
$got[0] as $g | $want[0] as $w |
def sums(s): reduce s as $x ({count: 0, requested: 0, waste: 0};
	.count += $x.count | .requested += $x.count * $x.size |
	.waste += $x.count * ($x.class - $x.size));
def in_row($r): $w[] | select(.class >= $r.class_bytes and .class <= $r.max_class_bytes);
($g.classes | all(. as $r | sums(in_row($r)) as $s | $s.count == $r.count and
	$s.requested == $r.requested_bytes and $s.waste == $r.waste_bytes)) and
(sums($w[]) as $s | $s.count == $g.count and $s.requested == $g.requested_bytes and
	$s.waste == $g.waste_bytes and $s.requested + $s.waste == $g.class_bytes)
