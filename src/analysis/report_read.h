/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_ANALYSIS_REPORT_READ_H
#define MEMDRIFT_ANALYSIS_REPORT_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * A report that `memdrift trace --json` wrote (schema memdrift.trace/1), as far as two of them are
 * compared. The file is anyone's: all of it is checked, every text is made printable, and all
 * bytes, counts and RSS of one report add up to at most INT64_MAX, so that sums and differences of
 * what is here cannot overflow.
 */

/* Outstanding allocations of one stack and size bucket; a report names each pair once. */
struct report_group {
	char *stack; /* frames, leaf first, '\n' between them; NULL: not known */
	int64_t min_bytes, max_bytes;
	int64_t bytes, count;
	double bytes_error; /* 95 %: 0 exact, NAN not known */
};

struct report_live {
	bool known; /* else nothing below has a meaning */
	bool sampled;
	int64_t bytes, count;
	double bytes_error, count_error; /* 95 %: 0 exact, NAN not known */
	struct report_group *groups;     /* by stack, then size */
	size_t group_count;
	/* Of bytes and count: in no group, as when the trace listed only some (--older). */
	int64_t unlisted_bytes, unlisted_count;
};

struct report_process {
	int64_t pid;
	int64_t start_ticks; /* since boot; -1: not known */
	char *comm, *exe;    /* NULL: not known */
	int64_t rss_bytes;   /* at the end; -1: not known */
	struct report_live live;
};

struct report {
	char *file;             /* its path */
	char *version, *kernel; /* NULL: not known */
	double duration_s;      /* NAN: not known */
	int64_t losses;         /* -1: not known */
	struct report_process *processes;
	size_t process_count;
};

/* A host of tens of thousands of processes writes some hundred MB; the tree takes ten times that.
 */
#define REPORT_BYTES_MAX (1ull << 30)

#define REPORT_ERROR_MAX 512

/*
 * 0; or -EINVAL (no such report), -EFBIG, -ENOMEM or what reading failed with: `error` then says
 * which file, where in it, and what was expected, and *report is empty. Free it with
 * report__free().
 */
int report__read(struct report *report, const char *path, char error[REPORT_ERROR_MAX]);
/* The same of an open stream, which `name` stands for. */
int report__parse(struct report *report, FILE *in, const char *name, char error[REPORT_ERROR_MAX]);
void report__free(struct report *report);

/* The order of report_live.groups: 0 when stack and sizes are the same. */
int report_group__compare(const struct report_group *a, const struct report_group *b);

/* Sorts by that order and makes one of those alike; frees the stacks of the rest. */
void report_groups__merge(struct report_group *groups, size_t *count);

/* Whether a process's outstanding allocations are in it. */
bool report__has_live(const struct report *report);

#endif
