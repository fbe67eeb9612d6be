// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What a report of a recording takes, which the size of the file does not tell. */
#include <sys/mman.h>
#include <uthash.h>

#include "analysis/large_kind.h"
#include "record/recording_impl.h"

/* Pieces, and multiples of 64 MiB in older memory, where large__choose looks for heaps. */
struct shared_space shared_space__of(struct space *space)
{
	const uint32_t plain = MAP_ANONYMOUS | MAP_PRIVATE;
	struct shared_space shared = {.space = space};
	const struct mapping *piece;

	space__for_each (piece, space) {
		shared.pieces++;
		if (piece->origin->before_trace && (piece->origin->map_flags & plain) == plain)
			shared.heaps += (piece->end - piece->start) / HEAP_BYTES;
	}
	return shared;
}

bool recording__count(struct recording *recording, struct codec *codec,
		      const struct process *process, const struct process_place *place)
{
	const struct shared_space *shared = &recording->spaces[place->space - 1];
	const struct live_view *view = place->view ? recording->views[place->view - 1] : NULL;
	struct large_facts facts = recording__facts(recording);

	/* A space has at most 2^18 pieces and 2^30 heaps: no overflow before it is looked at. */
	recording->looks += 1 + shared->pieces + shared->heaps;
	if (view) {
		recording->looks += HASH_COUNT(view->groups) + view->peak_group_count;
		recording->live_count++;
	}
	if (recording->looks > RECORD_LOOKS_MAX) {
		codec__refuse(codec, "process", "more to look through than a recording may have");
		return false;
	}
	/* Of Go's heap each 64 MiB can be a mapping in the report; others are told by their facts.
	 */
	return facts.go_heap(facts.ctx, process) <= GO_HEAP_NONE ||
	       codec__charge(codec, "process", shared->heaps * sizeof(struct large_mapping));
}

bool recording__is_bounded(const struct recording *recording)
{
	uint64_t temporary = recording->weights[RECORD_WEIGHTS_TEMPORARY].count;

	/* All of them are looked through for each process: at most 2^24 of either. */
	return recording->looks + temporary * recording->live_count <= RECORD_LOOKS_MAX;
}
