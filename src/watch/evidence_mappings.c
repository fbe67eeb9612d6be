// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What the traces of mapping calls (--mappings) add to an incident. */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "watch/stack_text.h"
#include "watch/watch_impl.h"

static double started_unix(uint64_t start_ticks)
{
	struct timespec boot, wall;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &wall);
	return (double)(wall.tv_sec - boot.tv_sec) +
	       (double)start_ticks / (double)sysconf(_SC_CLK_TCK);
}

char *evidence_mappings__keep(struct watch *watch, int64_t incident, uint32_t pid,
			      uint64_t start_time)
{
	char *folded, *heaviest = NULL;
	uint64_t weight = 0;
	size_t size;

	if (!watch->has_mappings ||
	    mappings__of(&watch->mappings, pid, started_unix(start_time), &folded, &size))
		return NULL;
	evidence__keep_file(watch, incident, "mappings.folded", folded, size);
	folded__heaviest(folded, size, &heaviest, &weight);
	free(folded);
	return heaviest;
}

bool evidence_mappings__awaited(const struct watch *watch, const struct followed *followed)
{
	return watch->has_mappings && followed->state.incident && !followed->state.told &&
	       followed->state.verdict == DRIFT_DIRECT_MAPPING_GROWTH;
}

static void look_again(void *ctx, struct watched *watched)
{
	struct followed *followed = watched->user;
	struct watch *watch = ctx;
	char *stack;

	if (!followed || !evidence_mappings__awaited(watch, followed) ||
	    evidence__burst_comes(watch, followed))
		return;
	stack = evidence_mappings__keep(watch, followed->state.incident, watched->pid,
					watched->start_time);
	if (!stack)
		return;
	incidents__add_stack(watch, followed->subject, followed->state.incident, stack);
	incidents__tell_of(watch, followed);
	free(stack);
}

void evidence_mappings__work(struct watch *watch)
{
	if (!watch->has_mappings || watch->mappings.runs == watch->mappings_seen)
		return;
	watch->mappings_seen = watch->mappings.runs;
	sampler__each(watch->sampler, look_again, watch);
}
