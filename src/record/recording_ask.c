// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What a recording wants to know that the trace's own report did not ask. */
#include <stdlib.h>

#include "record/recording.h"

int recording__ask(const struct recording_source *source, const struct large_facts *facts)
{
	/* Every size that --large takes is a multiple of it. */
	const uint64_t any = SPACE_PAGE_BYTES;
	const struct trace_result *result = source->result;
	const struct large_options options = {
		.sizes = &any,
		.size_count = 1,
		.now_ns = result->ended_ns,
		.started_ns = result->model->started_ns,
	};
	int err = 0;

	for (size_t i = 0; i < result->process_count && !err; i++) {
		struct large_mapping *mappings;
		size_t n;

		err = large__choose(result->processes[i].process, &options, facts, &result->namer,
				    &mappings, &n);
		if (!err)
			free(mappings);
	}
	return err;
}
