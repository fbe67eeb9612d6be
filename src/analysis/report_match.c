// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Which process of one report is which of the other. */
#include "analysis/report_match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A process and where it stands in its report. */
struct candidate {
	const struct report_process *process;
	enum diff_match by; /* what it is compared by in this round */
	size_t index;
};

static int compare_numbers(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

/* By what this round goes by: 0 is a match. */
static int compare_identity(enum diff_match by, const struct report_process *a,
			    const struct report_process *b)
{
	int order = 0;

	if (by == DIFF_SAME_PROCESS) {
		order = compare_numbers(a->pid, b->pid);
		return order ? order : compare_numbers(a->start_ticks, b->start_ticks);
	}
	if (by == DIFF_COMM_AND_EXE || by == DIFF_EXE)
		order = strcmp(a->exe, b->exe);
	if (!order && by != DIFF_EXE)
		order = strcmp(a->comm, b->comm);
	return order;
}

static bool has_identity(enum diff_match by, const struct report_process *process)
{
	if (by == DIFF_SAME_PROCESS)
		return process->start_ticks >= 0;
	return (by == DIFF_COMM || process->exe) && (by == DIFF_EXE || process->comm);
}

/* Those alike in the order of their start, unknown ones first, then of the report. */
static int compare_candidates(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;
	int order = compare_identity(a->by, a->process, b->process);

	if (!order)
		order = compare_numbers(a->process->start_ticks, b->process->start_ticks);
	return order ? order : compare_numbers((int64_t)a->index, (int64_t)b->index);
}

static size_t list_candidates(const struct report *report, const bool *taken, enum diff_match by,
			      struct candidate *list)
{
	size_t n = 0;

	for (size_t i = 0; i < report->process_count; i++)
		if (!taken[i] && has_identity(by, &report->processes[i]))
			list[n++] = (struct candidate){&report->processes[i], by, i};
	qsort(list, n, sizeof(*list), compare_candidates);
	return n;
}

/* How many from `list` on are alike. */
static size_t count_alike(const struct candidate *list, size_t n)
{
	size_t alike = 1;

	while (alike < n && !compare_identity(list->by, list->process, list[alike].process))
		alike++;
	return alike;
}

struct matching {
	struct candidate *a, *b;
	bool *a_taken, *b_taken;
	struct report_diff *diff;
};

static void pair_alike(struct matching *matching, const struct candidate *a, size_t a_alike,
		       const struct candidate *b, size_t b_alike)
{
	for (size_t i = 0; i < a_alike && i < b_alike; i++) {
		matching->diff->pairs[matching->diff->pair_count++] =
			(struct diff_pair){.a = a[i].process,
					   .b = b[i].process,
					   .match = a->by,
					   .a_alike = a_alike,
					   .b_alike = b_alike};
		matching->a_taken[a[i].index] = true;
		matching->b_taken[b[i].index] = true;
	}
}

static void match_by(struct matching *matching, enum diff_match by)
{
	size_t a_count = list_candidates(matching->diff->a, matching->a_taken, by, matching->a);
	size_t b_count = list_candidates(matching->diff->b, matching->b_taken, by, matching->b);
	size_t i = 0, j = 0;

	while (i < a_count && j < b_count) {
		const struct candidate *a = &matching->a[i], *b = &matching->b[j];
		int order = compare_identity(by, a->process, b->process);
		size_t a_alike = count_alike(a, a_count - i);
		size_t b_alike = count_alike(b, b_count - j);

		if (!order)
			pair_alike(matching, a, a_alike, b, b_alike);
		i += order <= 0 ? a_alike : 0;
		j += order >= 0 ? b_alike : 0;
	}
}

static void add_unmatched(struct report_diff *diff, const bool *a_taken, const bool *b_taken)
{
	for (size_t i = 0; i < diff->a->process_count; i++)
		if (!a_taken[i])
			diff->pairs[diff->pair_count++] =
				(struct diff_pair){.a = &diff->a->processes[i]};
	for (size_t i = 0; i < diff->b->process_count; i++)
		if (!b_taken[i])
			diff->pairs[diff->pair_count++] =
				(struct diff_pair){.b = &diff->b->processes[i]};
}

int report_diff__match(struct report_diff *diff)
{
	size_t a_count = diff->a->process_count, b_count = diff->b->process_count;
	struct matching matching = {.diff = diff};
	int err = -ENOMEM;

	diff->pairs = calloc(a_count + b_count + 1, sizeof(*diff->pairs));
	matching.a = calloc(a_count + 1, sizeof(*matching.a));
	matching.b = calloc(b_count + 1, sizeof(*matching.b));
	matching.a_taken = calloc(a_count + 1, sizeof(bool));
	matching.b_taken = calloc(b_count + 1, sizeof(bool));
	if (diff->pairs && matching.a && matching.b && matching.a_taken && matching.b_taken) {
		for (int by = DIFF_SAME_PROCESS; by < DIFF_MATCHES; by++)
			match_by(&matching, (enum diff_match)by);
		add_unmatched(diff, matching.a_taken, matching.b_taken);
		err = 0;
	}
	free(matching.a);
	free(matching.b);
	free(matching.a_taken);
	free(matching.b_taken);
	return err;
}
