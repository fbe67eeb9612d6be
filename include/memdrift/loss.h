/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_LOSS_H
#define MEMDRIFT_LOSS_H

/*
 * Every way in which something can be missed, each with its counter. X(name, what was lost).
 * The name is the JSON key. All are counts of events unless the text says otherwise; the ones
 * up to LOSS_KERNEL_MAX are counted by BPF programs, the rest by user space.
 */
#define LOSS_COUNTERS_KERNEL(X)                                                               \
	X(ring_full, "records that found the ring buffer full")                               \
	X(inflight_full, "system calls not followed: too many threads inside one at once")    \
	X(targets_full, "processes not followed: the target table was full")                  \
	X(counters_full, "processes whose allocator calls were not counted: table full")      \
	X(pid_reused, "processes whose counts were lost: their pid was taken again too soon") \
	X(tail_notes_full, "calls that an entry point handed on and that were counted twice") \
	X(stacks_lost, "stacks not kept: the stack table was full")                           \
	X(stacks_stale, "stacks not kept: their code changed while they were walked")         \
	X(stacks_busy, "stacks not walked: too many walks at once")                           \
	X(unwind_images_full, "programs without unwind tables: too many at once")             \
	X(stack_counts_full, "allocator calls without a stack weight: table full")            \
	X(live_full, "allocations not kept in the live set: it was full")                     \
	X(live_spaces_full, "processes whose live memory was not tracked: too many at once")  \
	X(live_too_large, "allocations above 512 GiB: not kept in the live set")              \
	X(live_calls_full, "allocations not kept: too many threads inside the allocator")     \
	X(temporary_full, "temporary allocations not counted: table full")                    \
	X(fault_counts_full, "sampled page faults not counted: table full")

#define LOSS_COUNTERS_USER(X)                                                                      \
	X(missed_recursion, "probe hits that the kernel skipped inside another BPF program")       \
	X(seeds_missed,                                                                            \
	  "processes whose mappings of before could not be read (gone, or protected)")             \
	X(bad_records, "records of an unknown kind or a wrong length")                             \
	X(processes_dropped, "processes not reported: more than the model may hold")               \
	X(mappings_dropped, "mappings not modelled: more than the model may hold")                 \
	X(programs_unscanned, "programs that ended before their code was searched for allocators") \
	X(attach_failed, "allocator probes that could not be attached")                            \
	X(objects_unread, "mapped objects that could not be searched for allocators")              \
	X(live_copies_dropped, "forked children whose memory from before their fork is not known") \
	X(unwind_tables_full, "unwind tables that found no room: stacks are cut in their code")    \
	X(fault_cpus_missed, "CPUs that came online later: their page faults were not sampled")

#define LOSS_ENUM(name, text) LOSS_##name,
enum loss {
	LOSS_COUNTERS_KERNEL(LOSS_ENUM) LOSS_KERNEL_MAX,
	LOSS_KERNEL_LAST = LOSS_KERNEL_MAX - 1,
	LOSS_COUNTERS_USER(LOSS_ENUM) LOSS_MAX
};
#undef LOSS_ENUM

#endif
