# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# Prints a line for each count that is not what the program counted itself. Its first process also
# starts up, makes threads and loads objects: what the run without rounds (base) had there is
# taken off. Forked children do nothing else.
#
# A report's row may have more names than the program knows ("malloc|tc_malloc"), and a process
# rows of several objects: all rows that share a name with one of the program's are added up.

def process($doc; $pid): first($doc.processes[] | select(.pid == $pid)) // null;

def calls_of($names):
	[.allocator.calls // {} | to_entries[] |
		select(.key | split("|") | any(IN($names[]))) | .value // 0] | add // 0;

def sizes(bytes; impossible):
	{"requested bytes": bytes, "impossible requests": impossible} +
	(.buckets // [] | map({"key": "bucket of \(.min_bytes) count", "value": .count},
		{"key": "bucket of \(.min_bytes) bytes", "value": .bytes}) | from_entries);

def reported($keys):
	. as $process |
	([$keys[] | {"key": "calls of \(.)", "value": (. as $k | $process | calls_of($k | split("|")))}] |
		from_entries) +
	sizes(.allocator.requested_bytes; .allocator.impossible_requests);

def own:
	(.calls | with_entries(.key |= "calls of \(.)")) + sizes(.requested_bytes; .impossible);

$out[0] as $o | $truth[0] as $t | $base[0] as $b |
$t.processes | to_entries[] | .key as $i | .value as $own |
($own.calls | keys) as $keys |
(process($b; $base_truth[0].processes[0].pid) | if . and $i == 0 then reported($keys) else {} end)
	as $start |
process($o; $own.pid) as $seen |
if $seen == null then
	"process \($i) (pid \($own.pid)) is not in the report"
else
	($own | own) as $want | ($seen | reported($keys)) as $got |
	([$want + $got + $start | keys[]] | sort_by(startswith("bucket")))[] as $k |
	((($got[$k] // 0) - ($start[$k] // 0)) as $n | select($n != ($want[$k] // 0)) |
		"process \($i) \($k): \($n), counted by itself: \($want[$k] // 0)")
end
