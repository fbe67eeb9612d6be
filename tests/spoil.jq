# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#
# What does not hold of `memdrift explain --json`, whatever the process's memory says; nothing when
# all does: the ledger is the kernel's sum ($rss), no figure is negative or larger than all that is
# mapped ($mapped). What the program has set as a limit may be.
def figures: .. | objects | to_entries[] |
	select(.key | test("bytes$|^(arenas|heaps|threads|mmapped_chunks|spans|objects|" +
		"extents|regions|live|cached|thread_caches)$")) |
	select(.key | IN("gomemlimit_bytes", "heap_goal_bytes", "mmap_threshold_bytes",
		"trim_threshold_bytes", "expected_bytes", "found_bytes", "bytes_read") | not) |
	select(.value | type == "number");
(if ([.ledger[].resident_bytes] | add) != $rss or .rss_bytes != $rss
	then "the ledger is \([.ledger[].resident_bytes] | add), Rss \(.rss_bytes), not \($rss)"
	else empty end),
([.glibc, .go, .jemalloc, .allocators, .ledger, .thread_stacks, (.advice | map(del(.terms)))] |
	[figures] | map(select(.value < 0 or .value > $mapped)) | .[] |
	"\(.key) is \(.value), more than \($mapped)")
