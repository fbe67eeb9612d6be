/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_WATCH_MAPPINGS_H
#define MEMDRIFT_WATCH_MAPPINGS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * --mappings: `memdrift trace` of the whole host's mapping calls, one run of an hour after the
 * other, so that a mapper which comes once in hours is still known by its stack when its process
 * drifts. What each run leaves are its stacks by what they mapped and had not unmapped when it
 * ended, as folded files of the last day. As long as it runs, every system call of the host pays
 * for the tracepoints: how much is measured.
 */
#define MAPPINGS_RUN_S       3600.0
#define MAPPINGS_RUN_S_MIN   15.0 /* under --speed */
#define MAPPINGS_FILES       24
#define MAPPINGS_RETRY_NS    60000000000ull
#define MAPPINGS_BEGIN_NS    3000000000ull /* then it has begun, and the tax is measured */
#define MAPPINGS_OVER_NS_MAX 120000000000ull
/* Of a process's stacks that are handed out, whatever the files have. */
#define MAPPINGS_BYTES_MAX (1u << 20)

struct mappings {
	/* Private. */
	char *directory;  /* the caller's */
	uint64_t *failed; /* the caller's; counts runs that left nothing */
	double run_s;
	enum { MAPPINGS_WAITING, MAPPINGS_BEGINNING, MAPPINGS_TRACING, MAPPINGS_FOLDING } stage;
	unsigned int next; /* file */
	pid_t child;
	int pidfd;
	uint64_t deadline_ns;
	double untaxed_ns;
	/* Read by the caller. */
	double tax_ns;   /* of a system call, while it runs; 0 else */
	uint64_t cpu_ns; /* of runs that have ended */
	uint64_t runs;   /* that left their stacks */
};

/* directory: exists and is private. */
void mappings__start(struct mappings *mappings, char *directory, double speed, uint64_t *failed);
/* Ends it; its files stay no longer. */
void mappings__stop(struct mappings *mappings);

/* As of struct burst: a descriptor to poll or -1, and the time for mappings__work. */
static inline int mappings__fd(const struct mappings *mappings)
{
	return mappings->pidfd;
}
static inline uint64_t mappings__deadline_ns(const struct mappings *mappings)
{
	return mappings->deadline_ns;
}
void mappings__work(struct mappings *mappings, uint64_t now_ns);

/*
 * The folded lines of a process from the runs since it started (Unix time), in memory that the
 * caller frees. 0, -ENOENT: there are none, -ENOMEM.
 */
int mappings__of(const struct mappings *mappings, uint32_t pid, double started_unix, char **folded,
		 size_t *size);

#endif
