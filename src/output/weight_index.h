/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_WEIGHT_INDEX_H
#define MEMDRIFT_OUTPUT_WEIGHT_INDEX_H

#include <stddef.h>

#include "model/process.h"
#include "stack/weights.h"

/* Stack weights by process and stack id, so that each process's are found without a walk of all. */
struct weight_index {
	const struct stack_weight **sorted; /* of the table, which must stay as it is */
	size_t n;
};

/* NULL weights are none. 0 or -ENOMEM. */
int weight_index__make(struct weight_index *index, const struct stack_weights *weights);
void weight_index__free(struct weight_index *index);
/* Where a process's begin; and the i-th of all, NULL when it is not this process's. */
size_t weight_index__first(const struct weight_index *index, const struct process *process);
const struct stack_weight *weight_index__at(const struct weight_index *index, size_t i,
					    const struct process *process);

#endif
