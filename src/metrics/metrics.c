// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "metrics/metrics.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "metrics/list.h"

int metrics__init(struct metrics *metrics, size_t subjects_max)
{
	struct metrics_list *list = calloc(1, sizeof(*list));

	*metrics = (struct metrics){.last_pass_unix = NAN};
	if (!list)
		return -ENOMEM;
	list->top_max = subjects_max ? subjects_max : METRICS_SUBJECTS_DEFAULT;
	list->entries = calloc(list->top_max + METRICS_DRIFTING_MAX, sizeof(*list->entries));
	if (!list->entries) {
		free(list);
		return -ENOMEM;
	}
	metrics->list = list;
	return 0;
}

void metrics__free(struct metrics *metrics)
{
	struct metrics_list *list = metrics->list;

	if (!list)
		return;
	for (size_t i = 0; i < list->count; i++)
		free(list->entries[i].labels);
	free(list->entries);
	free(list);
	metrics->list = NULL;
}

static uint64_t known(int64_t value)
{
	return value > 0 ? (uint64_t)value : 0;
}

void metrics_list__leave_out(struct metrics_list *list, const struct metrics_subject *subject)
{
	list->unlisted++;
	list->unlisted_rss_bytes += known(subject->value[COMPONENT_RSS]);
	list->unlisted_swap_bytes += known(subject->value[COMPONENT_SWAP]);
}

static uint64_t size_of(const struct metrics_subject *subject)
{
	return known(subject->value[COMPONENT_RSS]) + known(subject->value[COMPONENT_SWAP]);
}

/* The smallest of those that are there for their size. */
static struct metrics_entry *find_smallest(struct metrics_list *list)
{
	struct metrics_entry *smallest = NULL;

	for (size_t i = 0; i < list->count; i++) {
		struct metrics_entry *entry = &list->entries[i];

		if (!entry->by_drift && (!smallest || entry->bytes < smallest->bytes))
			smallest = entry;
	}
	return smallest;
}

void metrics__add_subject(struct metrics *metrics, const struct metrics_subject *subject)
{
	struct metrics_list *list = metrics->list;
	struct metrics_entry entry = {.subject = *subject, .bytes = size_of(subject)};

	list->followed++;
	if (subject->drift && list->drifting < METRICS_DRIFTING_MAX) {
		entry.by_drift = true;
		list->drifting++;
		list->entries[list->count++] = entry;
	} else if (list->top < list->top_max) {
		list->top++;
		list->entries[list->count++] = entry;
	} else {
		if (!list->smallest)
			list->smallest = find_smallest(list);
		if (entry.bytes <= list->smallest->bytes) {
			metrics_list__leave_out(list, subject);
			return;
		}
		metrics_list__leave_out(list, &list->smallest->subject);
		*list->smallest = entry;
		list->smallest = NULL;
	}
}
