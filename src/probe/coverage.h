/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_COVERAGE_H
#define MEMDRIFT_PROBE_COVERAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "memdrift/config.h"
#include "memdrift/row_set.h"
#include "probe/allocator.h"
#include "probe/call_cost.h"

struct tracer;

/*
 * Which allocator probes are in place, for whom. A probe for one process is not inherited by its
 * children; a probe for all processes of a file is, but every process that maps the file then
 * pays for its hits. So running targets get probes of their own, and a command (whose children
 * must be covered from their first call) gets probes for all.
 */
enum coverage_scope { COVERAGE_EACH, COVERAGE_ALL };

/* A row of struct alloc_counts, shared by the functions of that key in all objects. */
struct coverage_row {
	char key[ALLOCATOR_KEY_MAX]; /* empty: not in use */
	bool frees;
	double hit_ns; /* of the dearest site in use; see insn_costs__hit_ns */
};

/* What a scan of a process did. */
struct coverage_scan {
	uint32_t attached;    /* allocator probes put in place by this scan */
	uint32_t failed;      /* that could not be: LOSS_attach_failed */
	uint32_t unread;      /* objects that could not be searched: LOSS_objects_unread */
	struct row_set rows;  /* with a probe in this process; empty: no allocator is mapped */
	uint64_t attached_ns; /* CLOCK_MONOTONIC: when the last of these probes was in place */
	uint32_t allocators;  /* bit of each enum allocator_kind that it maps */
	bool symbol_probed;   /* arena_get2 is probed in it, from now or from before */
	bool usdt_probed;
};

struct coverage;

/* cache and tracer must outlive it. call_cost: all of it known, or taken for 0. arenas:
 * also probe arena_get2 and USDT. NULL: out of memory. */
struct coverage *coverage__new(struct tracer *tracer, struct allocator_cache *cache,
			       const struct insn_costs *costs, const struct call_cost *call_cost,
			       enum coverage_scope scope, bool mallocs, bool arenas);
/* Detaches everything. */
void coverage__free(struct coverage *coverage);

/*
 * COVERAGE_ALL: probes the file at path, if it has an allocator, before anybody runs it. How many
 * probes were new, or a negative errno: -ENOENT when there is no allocator. The kinds that it has
 * are added to *allocators, as in struct coverage_scan.
 */
int coverage__prepare(struct coverage *coverage, const char *path, uint32_t *allocators);
/* Probes arena_get2 of the file at path for a process that has not mapped it yet. */
void coverage__prepare_arenas(struct coverage *coverage, pid_t pid, const char *path);

/*
 * Probes what the process has mapped and what is not probed yet. 0, -ESRCH when it is gone, or
 * another negative errno.
 */
struct coverage_want {
	bool mallocs;
	bool arenas; /* arena_get2 and USDT */
};
int coverage__scan(struct coverage *coverage, pid_t pid, const struct coverage_want *want,
		   struct coverage_scan *scan);
/* The process has ended, or its links have lost it: its own probes go. */
void coverage__forget(struct coverage *coverage, pid_t pid);

/*
 * Bursts, for one process or (pid 0, COVERAGE_ALL) for all; from any one other thread. To be asked
 * for before the first probe is placed: what is needed to attach again is then kept, a descriptor a
 * file and process.
 */
void coverage__allow_pauses(struct coverage *coverage);
/*
 * Takes the allocator probes (not those on arenas) off. Returns at once: the breakpoints go within
 * the next millisecond, the links are closed in the background. What else the process maps gets
 * its probes with the next coverage__resume.
 */
void coverage__pause(struct coverage *coverage, pid_t pid);
/*
 * Puts them in place again: 5 to 16 ms with links that hold all sites of a file, 9 ms a site
 * without. 0, or -ESRCH when the process is gone or between two programs, or another negative
 * errno: they are paused as before then.
 */
int coverage__resume(struct coverage *coverage, pid_t pid);
/* Takes all allocator probes off, for good. */
void coverage__drop_all_mallocs(struct coverage *coverage);

enum coverage_scope coverage__scope(const struct coverage *coverage);
const struct coverage_row *coverage__rows(const struct coverage *coverage); /* CALL_ROWS of them */
/* What the counted calls cost, by the rows' sites, with the stacks that they walked. */
double coverage__cost_ns(struct coverage *coverage, const struct alloc_counts *counts);
/* Allocator probes in place, or paused. */
uint32_t coverage__probes(struct coverage *coverage);

#endif
