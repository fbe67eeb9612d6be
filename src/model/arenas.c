// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/arenas.h"
#include "memdrift/record.h"

void arenas__init(struct arenas *arenas)
{
	*arenas = (struct arenas){.present = -1, .limit = -1};
}

void arenas__free(struct arenas *arenas)
{
	free(arenas->events);
	free(arenas->undecided);
	arenas__init(arenas);
}

void arenas__reset(struct arenas *arenas)
{
	arenas__free(arenas);
}

static uint64_t base_of(uint64_t address)
{
	return address & ~(ARENA_HEAP_BYTES - 1);
}

static bool *seen_by(struct arena_event *event, enum arena_source source)
{
	switch (source) {
	case ARENA_FROM_USDT:
		return &event->seen_by_usdt;
	case ARENA_FROM_SYMBOL:
		return &event->seen_by_symbol;
	default:
		return &event->seen_by_mapping;
	}
}

static uint32_t *created_by(struct arenas *arenas, enum arena_source source)
{
	switch (source) {
	case ARENA_FROM_USDT:
		return &arenas->created_by_usdt;
	case ARENA_FROM_SYMBOL:
		return &arenas->created_by_symbol;
	default:
		return &arenas->created_by_mapping;
	}
}

/*
 * The event of the same arena that this source has not told of yet. An address can come back after
 * a heap was given up, so the newest counts.
 */
static struct arena_event *find_event(struct arena_event *events, uint32_t count, uint64_t base,
				      enum arena_source source)
{
	for (uint32_t i = count; i-- > 0;) {
		if (events[i].address == base)
			return *seen_by(&events[i], source) ? NULL : &events[i];
	}
	return NULL;
}

/* Room for one more: the arrays double from 16 on. */
static struct arena_event *append(struct arena_event **events, uint32_t *count)
{
	if (!*count || (*count >= 16 && !(*count & (*count - 1)))) {
		size_t room = *count ? 2 * (size_t)*count : 16;
		struct arena_event *grown = reallocarray(*events, room, sizeof(*grown));

		if (!grown)
			return NULL;
		*events = grown;
	}
	return &(*events)[(*count)++];
}

static void merge(struct arena_event *event, const struct arena_note *note)
{
	*seen_by(event, note->source) = true;
	/* The later sources are the better ones: their stack begins nearer to the caller. */
	if (note->stack != STACK_NONE &&
	    (event->stack == STACK_NONE || note->source > event->stack_from)) {
		event->stack = note->stack;
		event->stack_from = note->source;
	}
}

static void drop_undecided(struct arenas *arenas, struct arena_event *event)
{
	size_t after = arenas->undecided + arenas->undecided_count - (event + 1);

	memmove(event, event + 1, after * sizeof(*event));
	if (!--arenas->undecided_count) {
		free(arenas->undecided);
		arenas->undecided = NULL;
	}
}

static int keep_event(struct arenas *arenas, const struct arena_event *event)
{
	struct arena_event *kept;

	if (arenas->event_count >= ARENA_EVENTS_MAX)
		return 0;
	kept = append(&arenas->events, &arenas->event_count);
	if (!kept)
		return -ENOMEM;
	/* By time: two CPUs' come in any order, and what was decided later is older. */
	for (; kept > arenas->events && kept[-1].t_s > event->t_s; kept--)
		*kept = kept[-1];
	*kept = *event;
	return 0;
}

int arenas__note(struct arenas *arenas, const struct arena_note *note)
{
	uint64_t base = base_of(note->address);
	struct arena_event *known, event = {
					   .t_s = note->t_s,
					   .tid = note->tid,
					   .address = base,
					   .stack = STACK_NONE,
				   };

	if (note->undecided) {
		if (arenas->undecided_count >= ARENA_EVENTS_MAX)
			return 0;
		known = append(&arenas->undecided, &arenas->undecided_count);
		if (!known)
			return -ENOMEM;
		*known = event;
		merge(known, note);
		return 0;
	}
	known = find_event(arenas->undecided, arenas->undecided_count, base, note->source);
	if (known)
		arenas__decide(arenas, base, true);
	(*created_by(arenas, note->source))++;
	known = find_event(arenas->events, arenas->event_count, base, note->source);
	if (known) {
		merge(known, note);
		return 0;
	}
	merge(&event, note);
	return keep_event(arenas, &event);
}

bool arenas__decide(struct arenas *arenas, uint64_t address, bool is_arena)
{
	uint64_t base = base_of(address);

	for (uint32_t i = arenas->undecided_count; i-- > 0;) {
		struct arena_event event = arenas->undecided[i];

		if (event.address != base)
			continue;
		drop_undecided(arenas, &arenas->undecided[i]);
		if (!is_arena) {
			arenas->heaps++;
			return true;
		}
		arenas->created_by_mapping++;
		keep_event(arenas, &event);
		return true;
	}
	return false;
}

enum arena_source arenas__source(const struct arenas *arenas)
{
	if (arenas->usdt_probed)
		return ARENA_FROM_USDT;
	return arenas->symbol_probed ? ARENA_FROM_SYMBOL : ARENA_FROM_MAPPING;
}

uint32_t arenas__created(const struct arenas *arenas)
{
	switch (arenas__source(arenas)) {
	case ARENA_FROM_USDT:
		return arenas->created_by_usdt;
	case ARENA_FROM_SYMBOL:
		return arenas->created_by_symbol;
	default:
		return arenas->created_by_mapping;
	}
}

/* The mapping signature is complete some microseconds before the probes fire: ask at rest. */
bool arenas__sources_agree(const struct arenas *arenas)
{
	for (uint32_t i = 0; i < arenas->event_count; i++) {
		const struct arena_event *event = &arenas->events[i];
		bool symbol = arenas->symbol_probed && event->t_s >= arenas->symbol_from_s;
		bool usdt = arenas->usdt_probed && event->t_s >= arenas->usdt_from_s;

		if ((symbol || usdt) && !event->seen_by_mapping)
			return false;
		if ((symbol && !event->seen_by_symbol) || (usdt && !event->seen_by_usdt))
			return false;
	}
	return true;
}
