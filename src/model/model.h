/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_MODEL_MODEL_H
#define MEMDRIFT_MODEL_MODEL_H

#include "memdrift/loss.h"
#include "model/process.h"

/*
 * Everything that the trace knows. Fed with records in ring order and with readings of /proc;
 * knows nothing of BPF and of output.
 */

/* What the model needs from the outside when it has to read again. All return 0 or a negative
 * errno. */
struct model_reader {
	void *ctx;
	/*
	 * The maps of a process, sorted; freed by the caller with maps_entries__free. -ESRCH when
	 * it is gone or another process has its pid by now (start_ticks differ).
	 */
	int (*read_maps)(void *ctx, uint32_t pid, uint64_t start_ticks, struct maps_entry **entries,
			 size_t *n);
	/* Ranges that running system calls of the process may still remove; at most `max`. Returns
	 * the number. */
	int (*read_inflight)(void *ctx, uint32_t pid, struct address_range *ranges, size_t max);
	/* Where the brk area of a process begins (field 47, start_brk, of /proc/PID/stat); 0 when
	 * unknown. It is the break itself when the maps show no [heap]. May be NULL. */
	uint64_t (*read_brk)(void *ctx, uint32_t pid);
	/*
	 * Whether the glibc heap at this multiple of 64 MiB is the first of an arena
	 * (heap_info.prev is NULL): 1; a further one of an arena: 0; unknown as yet: a negative
	 * errno. May be NULL.
	 */
	int (*read_heap)(void *ctx, uint32_t pid, uint64_t base);
	/* Asked of a process without maps. May be NULL: then it counts as one that has ended. */
	bool (*is_kernel_thread)(void *ctx, uint32_t pid);
	/* CLOCK_MONOTONIC; NULL: clock_gettime. */
	uint64_t (*now_ns)(void *ctx);
};

/* Ranges of system calls under way in one process that a reading asks for; with more threads than
 * that inside a call at once it is read again at the next interval. */
#define MODEL_INFLIGHT_MAX 512

/* A host runs some thousands of processes at once. When this is passed, the ended ones with the
 * least memory go, targets last, and are counted in LOSS_processes_dropped. */
#define MODEL_PROCESSES_MAX 65536

/* Of an ended process that is no target only origins from this size on are kept: thousands of short
 * processes pass through a trace of a host, with some 60 mappings each. */
#define MODEL_ENDED_ORIGIN_MIN (1ull << 20)

struct model {
	struct process *running; /* uthash by pid */
	struct process *ended;   /* newest first */
	struct process *recent; /* whose record came last: mostly the next one's too; may be NULL */
	uint32_t process_count; /* running and ended */
	uint32_t processes_max; /* MODEL_PROCESSES_MAX */
	uint64_t started_ns;    /* CLOCK_MONOTONIC at the start of the trace */
	uint32_t intervals;     /* kept per ring */
	double interval_s;
	struct model_reader reader;
	uint64_t losses[LOSS_MAX];
};

int model__init(struct model *model, const struct model_reader *reader, uint64_t started_ns,
		double interval_s, uint32_t intervals);
void model__free(struct model *model);

/* The running process, or NULL. */
struct process *model__find(struct model *model, uint32_t pid);
/*
 * A process that is seen for the first time: reads its maps. Returns the existing one when known;
 * a process of the same pid with another start is ended first. NULL when memory or room is out
 * (counted).
 */
struct process *model__add(struct model *model, uint32_t pid, uint64_t start_ns, const char *comm,
			   uint64_t time_ns);

/*
 * One record of the ring, `size` bytes of untrusted length, aligned to 8. Never fails: what is
 * wrong is counted.
 */
void model__handle(struct model *model, const struct rec_header *record, size_t size);

/*
 * To be told to users of the records: after REC_EXEC the arenas start anew and their symbol_probed
 * and usdt_probed are false, so whoever finds the probes in the new program sets them after
 * model__handle. Of an ended process the last interval is still open: process__end_interval closes
 * it.
 */

/* Reads those processes again that need it (or all that run, when `all`). Returns ranges that
 * differed. */
uint32_t model__heal(struct model *model, bool all);
/* A ring overflow may have hidden anything: every running process is read again at the next heal.
 */
void model__distrust_all(struct model *model);

/* A running process is known to have ended, though no record said so: as if it ended now, with an
 * unknown exit status. */
void model__end(struct model *model, struct process *process, uint64_t time_ns);

/* Allocator sums of a process, cumulative, as drained from the kernel. */
void process__set_alloc(struct process *process, const struct alloc_counts *sums);
/* The same by size class. When memory is out they stay unknown. */
void process__set_classes(struct process *process, const struct class_counts *sums);
/* RSS as sampled. */
void process__sample_rss(struct process *process, double t_s, uint64_t rss_bytes);
/* Closes the current interval: pushes what came since the last into the rings. */
void process__end_interval(struct process *process, double t_s);
/* Bytes per second by least squares over all samples; NAN with fewer than three. */
double process__rss_slope(const struct process *process);
/* Sums over calls rows of allocation functions need the row's kind: see src/probe. */
uint64_t process__requested_bytes(const struct process *process);

void maps_entries__free(struct maps_entry *entries, size_t n);

#endif
