// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "memdrift/record.h"
#include "output/derive.h"

int folded_weight__parse(const char *name, enum folded_weight *weight)
{
	static const char *const known[] = {
		[FOLDED_MMAP_BYTES] = "mmap_bytes",
		[FOLDED_UNRELEASED_BYTES] = "unreleased_bytes",
		[FOLDED_ALLOC_BYTES] = "alloc_bytes",
		[FOLDED_ALLOC_COUNT] = "alloc_count",
		[FOLDED_LIVE_BYTES] = "live_bytes",
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (!strcmp(name, known[i])) {
			*weight = (enum folded_weight)i;
			return 0;
		}
	}
	return !strcmp(name, "fault_bytes") ? -ENOTSUP : -EINVAL;
}

/* A line and its weight: stacks whose names are equal are one line. */
struct line {
	UT_hash_handle hh;
	char *text;
	uint64_t weight;
};

struct folding {
	const struct trace_result *result;
	enum folded_weight weight;
	struct line *lines; /* in the order in which they came */
	int err;
};

static void add_line(struct folding *folding, char *text, uint64_t weight)
{
	struct line *line;

	HASH_FIND_STR(folding->lines, text, line);
	if (line) {
		line->weight += weight;
		free(text);
		return;
	}
	line = calloc(1, sizeof(*line));
	if (!line) {
		free(text);
		folding->err = -ENOMEM;
		return;
	}
	line->text = text;
	line->weight = weight;
	HASH_ADD_KEYPTR(hh, folding->lines, line->text, strlen(line->text), line);
}

void folded_frame__put(FILE *out, const char *printable)
{
	for (const char *at = printable; *at; at++)
		fputc(*at == ';' ? ':' : *at == ' ' ? '_' : *at, out);
}

static void put_frame(FILE *out, const char *raw, char before)
{
	char *text = text_printable_dup(raw);

	if (before)
		fputc(before, out);
	folded_frame__put(out, text ? text : "?");
	free(text);
}

static void fold_stack(struct folding *folding, const struct process *process, int32_t stack,
		       uint64_t weight)
{
	struct frame_name frames[STACK_ENTRIES_MAX];
	char comm[COMM_TEXT_MAX], *text = NULL;
	size_t size, n;
	FILE *out;

	if (!weight)
		return;
	out = open_memstream(&text, &size);
	if (!out) {
		folding->err = -ENOMEM;
		return;
	}
	put_frame(out, process__comm(process, comm), 0);
	fprintf(out, "-%u", process->pid);
	n = stack_namer__name(&folding->result->namer, process->pid, process->start_ns, stack,
			      frames, STACK_ENTRIES_MAX);
	for (size_t i = n; i; i--)
		put_frame(out, frames[i - 1].text, ';');
	if (!n)
		fputs(";" FOLDED_NO_STACK, out);
	if (fclose(out)) {
		free(text);
		folding->err = -ENOMEM;
		return;
	}
	add_line(folding, text, weight);
}

/* What the report gives as this process's total. */
static uint64_t process_total(const struct folding *folding, const struct process *process)
{
	switch (folding->weight) {
	case FOLDED_MMAP_BYTES:
		return process->mapping.mmap_bytes;
	case FOLDED_UNRELEASED_BYTES:
		return process__unreleased_bytes(process);
	case FOLDED_ALLOC_BYTES:
		return process__requested_bytes(process);
	default:
		return process__requests(process);
	}
}

static int compare_keys(const struct stack_weight_key *a, const struct stack_weight_key *b)
{
	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	if (a->start_ns != b->start_ns)
		return a->start_ns < b->start_ns ? -1 : 1;
	return a->stack < b->stack ? -1 : a->stack > b->stack;
}

static int compare_weights(const void *left, const void *right)
{
	const struct stack_weight *const *a = left, *const *b = right;

	return compare_keys(&(*a)->key, &(*b)->key);
}

/* Weights by process; NULL with *n 0 when there are none. */
static const struct stack_weight **sort_weights(struct folding *folding, size_t *n)
{
	const struct trace_result *result = folding->result;
	const struct stack_weights *weights =
		folding->weight == FOLDED_MMAP_BYTES ? result->mmap_weights : result->alloc_weights;
	const struct stack_weight **sorted, *weight;
	size_t count = 0;

	*n = 0;
	if (folding->weight == FOLDED_UNRELEASED_BYTES || folding->weight == FOLDED_LIVE_BYTES ||
	    !weights || !weights->count)
		return NULL;
	sorted = calloc(weights->count, sizeof(*sorted));
	if (!sorted) {
		folding->err = -ENOMEM;
		return NULL;
	}
	for (weight = weights->table; weight && count < weights->count; weight = weight->hh.next)
		sorted[count++] = weight;
	qsort(sorted, count, sizeof(*sorted), compare_weights);
	*n = count;
	return sorted;
}

static size_t first_of(const struct stack_weight **sorted, size_t n, const struct process *process)
{
	struct stack_weight_key key = {
		.pid = process->pid, .start_ns = process->start_ns, .stack = STACK_NONE};
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_keys(&sorted[middle]->key, &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Sum of what had a stack. */
static uint64_t fold_weights(struct folding *folding, const struct process *process,
			     const struct stack_weight **sorted, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = first_of(sorted, n, process); i < n; i++) {
		const struct stack_weight *weight = sorted[i];
		uint64_t value =
			folding->weight == FOLDED_ALLOC_COUNT ? weight->count : weight->bytes;

		if (weight->key.pid != process->pid || weight->key.start_ns != process->start_ns)
			break;
		if (weight->key.stack < 0)
			continue;
		fold_stack(folding, process, weight->key.stack, value);
		sum += value;
	}
	return sum;
}

static uint64_t fold_mappings(struct folding *folding, const struct process *process)
{
	const struct mapping *piece;
	uint64_t sum = 0;

	if (!process->space)
		return 0;
	space__for_each (piece, process->space) {
		uint64_t bytes = piece->end - piece->start;

		if (piece->origin->before_trace || piece->origin->stack < 0)
			continue;
		fold_stack(folding, process, piece->origin->stack, bytes);
		sum += bytes;
	}
	return sum;
}

/* By groups, those without a stack among them: filters leave some out of groups and report alike.
 */
static void fold_live(struct folding *folding, const struct process *process)
{
	if (!process__live_known(process))
		return;
	for (const struct live_group *group = process->live->groups; group; group = group->hh.next)
		fold_stack(folding, process, group->key.stack, (uint64_t)llround(group->now.bytes));
}

static void fold_process(struct folding *folding, const struct process *process,
			 const struct stack_weight **sorted, size_t n)
{
	uint64_t total = process_total(folding, process), sum;

	if (folding->weight == FOLDED_LIVE_BYTES) {
		fold_live(folding, process);
		return;
	}
	if (folding->weight == FOLDED_UNRELEASED_BYTES)
		sum = fold_mappings(folding, process);
	else
		sum = fold_weights(folding, process, sorted, n);
	/* What had no stack, so that the lines add up to what the report says. */
	if (total > sum)
		fold_stack(folding, process, STACK_NONE, total - sum);
}

int trace_folded__write(FILE *out, const struct trace_result *result, enum folded_weight weight)
{
	struct folding folding = {.result = result, .weight = weight};
	struct line *line, *next;
	size_t n;
	const struct stack_weight **sorted = sort_weights(&folding, &n);

	for (size_t i = 0; i < result->process_count && !folding.err; i++)
		fold_process(&folding, result->processes[i].process, sorted, n);
	HASH_ITER (hh, folding.lines, line, next) {
		if (!folding.err)
			fprintf(out, "%s %" PRIu64 "\n", line->text, line->weight);
		HASH_DEL(folding.lines, line);
		free(line->text);
		free(line);
	}
	free(sorted);
	if (folding.err)
		return folding.err;
	if (fflush(out))
		return -errno;
	return ferror(out) ? -EIO : 0;
}
