/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_FEATURE_H
#define MEMDRIFT_PROBE_FEATURE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What this kernel, these capabilities and this environment allow. Each is tried for real and
 * undone at once; probes are only ever placed on memdrift itself, and nothing on the host changes.
 */
enum feature_id {
	FEATURE_KERNEL_VERSION,
	FEATURE_CAPABILITIES,
	FEATURE_PID_NAMESPACE,
	FEATURE_PROC,
	FEATURE_LOCKDOWN,
	FEATURE_BTF,
	FEATURE_BPF,
	FEATURE_RING_BUFFER,
	FEATURE_RAW_TRACEPOINTS,
	FEATURE_TRACEFS,
	FEATURE_SYSCALL_TRACEPOINTS,
	FEATURE_UPROBES,
	/* The ones above are what `memdrift trace` cannot do without, in the order in which they
	 * are asked for; those below make it better. */
	FEATURE_UPROBE_MULTI,
	FEATURE_UPROBE_MULTI_THREADS,
	FEATURE_UPROBE_SESSION,
	FEATURE_URETPROBE_SYSCALL,
	FEATURE_UPROBE_SYSCALL,
	FEATURE_TASK_STORAGE,
	FEATURE_BPF_JIT,
	FEATURE_PERF_EVENTS,
	FEATURE_PAGEMAP_SCAN,
	FEATURE_MAP_FILES,
	FEATURE_PROCESS_MEMORY,
	FEATURE_MEMORY_CGROUP,
	FEATURES
};

/* Unknown: it could not be tried, most often for want of privilege. */
enum feature_state { FEATURE_UNKNOWN, FEATURE_NO, FEATURE_YES };

struct feature {
	const char *name; /* lower_case, a constant; the JSON name */
	/* The first kernel that has it ("6.6"), NULL when that is not the question. */
	const char *since;
	bool required; /* `memdrift trace` cannot run without */
	enum feature_state state;
	char detail[200]; /* what was found, or why not; never empty */
	char advice[160]; /* what to do about it; empty when there is nothing to do */
};

/*
 * Fills in one, in up to 150 ms, most of them spent waiting until all CPUs have let go of a probe.
 * FEATURE_URETPROBE_SYSCALL and FEATURE_UPROBE_SYSCALL fork: call it before threads start.
 */
void feature__probe(enum feature_id id, struct feature *feature);
void feature__probe_all(struct feature features[FEATURES]);

/*
 * Whether `memdrift trace` can run here. 0, or a negative errno and in message one sentence for
 * the user: what is missing, and what to do. Takes less than 2 ms, because probes are not tried:
 * the trace itself does that next. size: FEATURE_MESSAGE_MAX holds any of them.
 */
#define FEATURE_MESSAGE_MAX 400
int feature__require(char *message, size_t size);

#endif
