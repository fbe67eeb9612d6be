// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/feature.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "probe/feature_internal.h"

struct feature_info {
	const char *name;
	const char *since;
	void (*probe)(struct feature *feature);
	void (*check)(struct feature *feature); /* for feature__require; NULL: the same */
};

static const struct feature_info infos[FEATURES] = {
	/* 6.1 is the oldest kernel that the tests run on. */
	[FEATURE_KERNEL_VERSION] = {.name = "kernel_version",
				    .since = "6.1",
				    .probe = probe_kernel_version},
	/* "capabilities: introduce CAP_BPF and CAP_PERFMON" */
	[FEATURE_CAPABILITIES] = {.name = "capabilities",
				  .since = "5.8",
				  .probe = probe_capabilities},
	[FEATURE_PID_NAMESPACE] = {.name = "initial_pid_namespace", .probe = probe_pid_namespace},
	[FEATURE_PROC] = {.name = "proc", .probe = probe_proc},
	/* "security: Add a static lockdown policy LSM"; BPF reads: "bpf: Restrict bpf when kernel
	   lockdown is in confidentiality mode" */
	[FEATURE_LOCKDOWN] = {.name = "lockdown_permits", .probe = probe_lockdown},
	/* "btf: expose BTF info through sysfs" */
	[FEATURE_BTF] = {.name = "btf", .since = "5.4", .probe = probe_btf},
	[FEATURE_BPF] = {.name = "bpf", .probe = probe_bpf},
	/* "bpf: Implement BPF ring buffer and verifier support for it" */
	[FEATURE_RING_BUFFER] = {.name = "ring_buffer", .since = "5.8", .probe = probe_ring_buffer},
	/* "bpf: introduce BPF_RAW_TRACEPOINT" */
	[FEATURE_RAW_TRACEPOINTS] = {.name = "raw_tracepoints",
				     .since = "4.17",
				     .probe = probe_raw_tracepoints},
	/* fsopen: "vfs: syscall: Add fsopen() to prepare for superblock creation" */
	[FEATURE_TRACEFS] = {.name = "tracefs", .since = "5.2", .probe = probe_tracefs},
	[FEATURE_SYSCALL_TRACEPOINTS] = {.name = "syscall_tracepoints",
					 .probe = probe_syscall_tracepoints,
					 .check = check_syscall_tracepoints},
	/* "perf/core: Implement the 'perf_uprobe' PMU" */
	[FEATURE_UPROBES] = {.name = "uprobes",
			     .since = "4.17",
			     .probe = probe_uprobes,
			     .check = check_uprobes},
	/* "bpf: Add multi uprobe link" */
	[FEATURE_UPROBE_MULTI] = {.name = "uprobe_multi",
				  .since = "6.6",
				  .probe = probe_uprobe_multi},
	/* "bpf: fix multi-uprobe PID filtering logic": 6.6 to 6.9 compare the thread, from then on
	   the memory and from 6.12, "bpf: Fix uprobe multi pid filter check", the process. */
	[FEATURE_UPROBE_MULTI_THREADS] = {.name = "uprobe_multi_threads",
					  .since = "6.10",
					  .probe = probe_uprobe_multi_threads},
	/* "bpf: Add support for uprobe multi session attach" */
	[FEATURE_UPROBE_SESSION] = {.name = "uprobe_session",
				    .since = "6.13",
				    .probe = probe_uprobe_session},
	/* ff474a78cef5 "uprobe: Add uretprobe syscall to speed up return probe" */
	[FEATURE_URETPROBE_SYSCALL] = {.name = "uretprobe_syscall",
				       .since = "6.11",
				       .probe = probe_uretprobe_syscall},
	/* "uprobes/x86: Add uprobe syscall to speed up uprobe": five-byte nops only */
	[FEATURE_UPROBE_SYSCALL] = {.name = "uprobe_syscall",
				    .since = "6.18",
				    .probe = probe_uprobe_syscall},
	/* "bpf: Enable task local storage for tracing programs" */
	[FEATURE_TASK_STORAGE] = {.name = "task_storage",
				  .since = "5.12",
				  .probe = probe_task_storage},
	[FEATURE_BPF_JIT] = {.name = "bpf_jit", .probe = probe_bpf_jit},
	[FEATURE_PERF_EVENTS] = {.name = "perf_events", .probe = probe_perf_events},
	/* "fs/proc/task_mmu: implement IOCTL to get and optionally clear info about PTEs" */
	[FEATURE_PAGEMAP_SCAN] = {.name = "pagemap_scan",
				  .since = "6.7",
				  .probe = probe_pagemap_scan},
	[FEATURE_MAP_FILES] = {.name = "map_files", .probe = probe_map_files},
	[FEATURE_PROCESS_MEMORY] = {.name = "process_memory", .probe = probe_process_memory},
	[FEATURE_MEMORY_CGROUP] = {.name = "memory_cgroup", .probe = probe_memory_cgroup},
};

static void set_state(struct feature *feature, enum feature_state state, const char *advice,
		      const char *detail, va_list args)
{
	feature->state = state;
	vsnprintf(feature->detail, sizeof(feature->detail), detail, args);
	snprintf(feature->advice, sizeof(feature->advice), "%s", advice);
}

void feature__set_yes(struct feature *feature, const char *detail, ...)
{
	va_list args;

	va_start(args, detail);
	set_state(feature, FEATURE_YES, "", detail, args);
	va_end(args);
}

void feature__set_no(struct feature *feature, const char *advice, const char *detail, ...)
{
	va_list args;

	va_start(args, detail);
	set_state(feature, FEATURE_NO, advice, detail, args);
	va_end(args);
}

void feature__set_unknown(struct feature *feature, const char *detail, ...)
{
	va_list args;

	va_start(args, detail);
	set_state(feature, FEATURE_UNKNOWN, "", detail, args);
	va_end(args);
}

static void prepare(enum feature_id id, struct feature *feature)
{
	memset(feature, 0, sizeof(*feature));
	feature->name = infos[id].name;
	feature->since = infos[id].since;
	feature->required = id <= FEATURE_UPROBES;
}

void feature__probe(enum feature_id id, struct feature *feature)
{
	prepare(id, feature);
	infos[id].probe(feature);
}

void feature__probe_all(struct feature features[FEATURES])
{
	for (int id = 0; id < FEATURES; id++)
		feature__probe(id, &features[id]);
}

int feature__require(char *message, size_t size)
{
	struct feature feature;

	for (int id = 0; id <= FEATURE_UPROBES; id++) {
		prepare(id, &feature);
		if (infos[id].check)
			infos[id].check(&feature);
		else
			infos[id].probe(&feature);
		/* What could not be told is tried: the attempt itself has the last word. */
		if (feature.state != FEATURE_NO)
			continue;
		snprintf(message, size, "cannot trace: %s%s%s", feature.detail,
			 feature.advice[0] ? "; " : "", feature.advice);
		return id == FEATURE_CAPABILITIES ? -EPERM : -ENOTSUP;
	}
	return 0;
}
