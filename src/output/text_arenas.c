// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdlib.h>

#include "base/units.h"
#include "output/text.h"

#define CREATED_BY_COLUMNS 52

/* An arena's first heap is a large mapping when --large has 64 MiB. */
static const struct large_mapping *find_mapping(const struct process_result *process,
						uint64_t address)
{
	size_t low = 0, high = process->large_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (process->large[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == process->large_count || process->large[low].address != address)
		return NULL;
	return &process->large[low];
}

static const char *source_text(const struct arenas *arenas)
{
	switch (arenas__source(arenas)) {
	case ARENA_FROM_USDT:
		return "glibc's memory_arena_new";
	case ARENA_FROM_SYMBOL:
		return "the results of arena_get2";
	default:
		return "the way that glibc maps them";
	}
}

static void add_event(const struct text_writer *writer, const struct process_result *process,
		      const struct arena_event *event, struct table *table)
{
	const struct large_mapping *mapping = find_mapping(process, event->address);
	char text[UNIT_TEXT_MAX], line[512];

	table__add(table, "0x%llx", (unsigned long long)event->address);
	table__add(table, "%s", units_format_seconds(text, event->t_s));
	if (event->tid)
		table__add(table, "%u", event->tid);
	else
		table__add(table, "unknown");
	if (mapping && mapping->resident_bytes >= 0)
		table__add(table, "%s",
			   units_format_bytes(text, (uint64_t)mapping->resident_bytes));
	else
		table__add(table, "unknown");
	table__add(table, "%s",
		   stack_line(writer->result, process->process, event->stack, line, sizeof(line),
			      CREATED_BY_COLUMNS));
}

void text_arenas__write(struct text_writer *writer, const struct process_result *process)
{
	const struct arenas *arenas = &process->process->arenas;
	size_t shown = text__top(writer, arenas->event_count, TOP_ARENAS);
	uint32_t created = arenas__created(arenas);
	char reused[64] = "", heaps[64] = "";
	struct table table;

	if (!arenas->event_count && !created)
		return;
	fputc('\n', writer->out);
	table__init(&table, "lrrrl");
	table__add(&table, "new malloc arena");
	table__add(&table, "at");
	table__add(&table, "thread");
	table__add(&table, "resident");
	table__add(&table, "created by");
	for (size_t i = 0; i < shown; i++)
		add_event(writer, process, &arenas->events[i], &table);
	text__table(writer, &table);
	text__more(writer, created > arenas->event_count ? created : arenas->event_count, shown);
	if (arenas->symbol_probed)
		snprintf(reused, sizeof(reused), "; %u of %u calls of arena_get2 reused one",
			 arenas->reused, arenas->get_calls);
	if (arenas->heaps)
		snprintf(heaps, sizeof(heaps), "; %u further heap%s", arenas->heaps,
			 arenas->heaps == 1 ? "" : "s");
	text__say(writer, "Known by %s%s%s.", source_text(arenas), reused, heaps);
}
