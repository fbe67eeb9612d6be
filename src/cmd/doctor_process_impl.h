/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_DOCTOR_PROCESS_IMPL_H
#define MEMDRIFT_CMD_DOCTOR_PROCESS_IMPL_H

/* Shared by doctor_process.c (reads) and doctor_process_report.c (tells); no one else. */

#include "census/proc_stat.h"
#include "cmd/doctor_process.h"
#include "heap/malloc_owner.h"
#include "probe/allocator.h"

struct doctor_process {
	uint32_t pid;
	char comm[4 * PROC_COMM_MAX]; /* printable */
	char *exe;                    /* printable, NULL when unknown */
	int seccomp;                  /* 0 none, 1 strict, 2 filter; negative: unknown */
	struct insn_costs costs;
	bool measured;
	struct allocator_cache *cache;
	struct allocator_scan scan;
	struct malloc_object *objects; /* their paths are printable */
	size_t object_count;
	const struct malloc_object *malloc_owner; /* whose malloc is called; NULL: unknown */
};

#endif
