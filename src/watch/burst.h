/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_WATCH_BURST_H
#define MEMDRIFT_WATCH_BURST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A burst of tracing for evidence: `memdrift trace --live --faults` of one process for some
 * seconds, as a process of its own, then `memdrift report` of its recording for each weight of its
 * stacks. Nothing waits for it. It dies with us, and trace's own keeper takes its probes off
 * whichever way it ends (src/probe/keeper.h).
 *
 * What it may cost the process: 5 % of its CPU time, or 1 % of a CPU where that is more; an idle
 * program's every allocation is a great share of what it does.
 */
#define BURST_BUDGET_SHARE     0.05
#define BURST_BUDGET_CPUS      0.01
#define BURST_CPUS_MIN         0.0025 /* no less is told by clock ticks: budgets end at 400 % */
#define BURST_OLDER_SHARE      0.5    /* of the burst that an allocation must have lived for */
#define BURST_MEASURE_NS       2000000000ull  /* its CPU time is measured for so long */
#define BURST_BEGIN_NS_MAX     60000000000ull /* loading programs and tables, naming stacks */
#define BURST_REPORT_NS_MAX    30000000000ull
#define BURST_FILE_BYTES_MAX   (256ull << 20) /* of any file that is written meanwhile */
#define BURST_RESULT_BYTES_MAX (4ull << 20)   /* of a file that is kept; a larger one is not */

/* X(NAME, file) */
#define BURST_RESULTS(X)                         \
	X(REPORT, "report.txt")                  \
	X(PPROF, "profile.pb.gz")                \
	X(LIVE, "live_bytes.folded")             \
	X(UNRELEASED, "unreleased_bytes.folded") \
	X(FAULTS, "fault_bytes.folded")
#define BURST_RESULT_ENUM(name, file) BURST_##name,
enum burst_result { BURST_RESULTS(BURST_RESULT_ENUM) BURST_RESULT_MAX };
#undef BURST_RESULT_ENUM

struct burst {
	/* Private. */
	char *directory; /* owned; its files are those of the last burst */
	enum { BURST_IDLE, BURST_MEASURING, BURST_TRACING, BURST_REPORTING } stage;
	uint32_t pid;
	uint64_t start_time; /* ticks */
	double seconds;
	double budget; /* percent */
	uint64_t first_ticks, began_ns, deadline_ns;
	enum burst_result reporting;
	pid_t child; /* 0: none */
	int pidfd;   /* -1 */
	uint64_t cpu_ns;
};

/* Makes the directory (0700), and removes from it what a burst that was killed has left. 0 or a
 * negative errno. */
int burst__init(struct burst *burst, const char *directory);
/* Ends what runs and removes the directory. */
void burst__free(struct burst *burst);

static inline bool burst__runs(const struct burst *burst)
{
	return burst->stage != BURST_IDLE;
}

/* 0; -EBUSY; -ESRCH: the process has ended. */
int burst__start(struct burst *burst, uint32_t pid, uint64_t start_time, double seconds);

/* Readable when burst__work has something to do, -1: nothing to poll; changes from stage to stage.
 */
static inline int burst__fd(const struct burst *burst)
{
	return burst->pidfd;
}
/* monotonic_ns at which burst__work is to be called at the latest; UINT64_MAX: no burst. */
uint64_t burst__deadline_ns(const struct burst *burst);

/*
 * -EAGAIN: it is still at work. 0: it is over and has results; another errno: over, without
 * (-ETIMEDOUT, -ESRCH, -EIO). *cpu_ns is then what it has used.
 */
int burst__work(struct burst *burst, uint64_t now_ns, uint64_t *cpu_ns);

/* A result's bytes, which the caller frees. 0, -ENOENT: there is none, or it is empty; -EFBIG. */
int burst__read(const struct burst *burst, enum burst_result result, void **bytes, size_t *size);
const char *burst_result__name(enum burst_result result);

#endif
