// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/weight_index.h"

#include <errno.h>
#include <stdlib.h>

#include "memdrift/record.h"

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

int weight_index__make(struct weight_index *index, const struct stack_weights *weights)
{
	const struct stack_weight *weight;

	*index = (struct weight_index){0};
	if (!weights || !weights->count)
		return 0;
	index->sorted = calloc(weights->count, sizeof(*index->sorted));
	if (!index->sorted)
		return -ENOMEM;
	for (weight = weights->table; weight && index->n < weights->count; weight = weight->hh.next)
		index->sorted[index->n++] = weight;
	qsort(index->sorted, index->n, sizeof(*index->sorted), compare_weights);
	return 0;
}

void weight_index__free(struct weight_index *index)
{
	free(index->sorted);
	*index = (struct weight_index){0};
}

size_t weight_index__first(const struct weight_index *index, const struct process *process)
{
	/* STACK_NONE is below all stacks. */
	struct stack_weight_key key = {
		.pid = process->pid, .start_ns = process->start_ns, .stack = STACK_NONE};
	size_t low = 0, high = index->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_keys(&index->sorted[middle]->key, &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct stack_weight *weight_index__at(const struct weight_index *index, size_t i,
					    const struct process *process)
{
	const struct stack_weight *weight = i < index->n ? index->sorted[i] : NULL;

	return weight && weight->key.pid == process->pid &&
			       weight->key.start_ns == process->start_ns
		       ? weight
		       : NULL;
}
