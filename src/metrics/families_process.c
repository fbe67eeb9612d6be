// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "metrics/families.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/exposition.h"
#include "metrics/list.h"

#define SECONDS_PER_HOUR 3600.0

/* The value of one family for one process; NAN leaves it out. */
typedef double (*value_fn)(const struct metrics_subject *subject);

static double of_component(const struct metrics_subject *subject, enum component component)
{
	int64_t value = subject->value[component];

	return value == SERIES_UNKNOWN ? NAN : (double)value;
}

static double resident(const struct metrics_subject *subject)
{
	return of_component(subject, COMPONENT_RSS);
}

static double swapped(const struct metrics_subject *subject)
{
	return of_component(subject, COMPONENT_SWAP);
}

static double threads(const struct metrics_subject *subject)
{
	return of_component(subject, COMPONENT_THREADS);
}

static double arenas(const struct metrics_subject *subject)
{
	return of_component(subject, COMPONENT_ARENAS);
}

static double limit(const struct metrics_subject *subject)
{
	return subject->limit_bytes == SERIES_UNKNOWN ? NAN : (double)subject->limit_bytes;
}

static double slope(const struct metrics_subject *subject)
{
	return subject->slope_bytes_per_h / SECONDS_PER_HOUR;
}

static double onset(const struct metrics_subject *subject)
{
	return subject->onset_unix;
}

static double reaches_limit(const struct metrics_subject *subject)
{
	return subject->reaches_limit_unix;
}

static const struct {
	const char *name, *help;
	value_fn value;
} families[] = {
	{"memdrift_process_resident_bytes", "Resident memory.", resident},
	{"memdrift_process_swap_bytes", "Swapped-out memory.", swapped},
	{"memdrift_process_threads", "Threads.", threads},
	{"memdrift_process_malloc_arenas", "Malloc arenas, the main one included.", arenas},
	{"memdrift_process_memory_limit_bytes",
	 "Memory limit of the control group that the process is in.", limit},
	{"memdrift_process_slope_bytes_per_second",
	 "Growth of resident and swapped-out memory at the last look, cycles taken out.", slope},
	{"memdrift_process_drift_onset_timestamp_seconds", "When the drift began.", onset},
	{"memdrift_process_limit_reached_timestamp_seconds",
	 "When the memory limit is reached if the growth goes on.", reaches_limit},
};

static void write_family(const struct metrics_list *list, FILE *out, const char *name,
			 value_fn value)
{
	for (size_t i = 0; i < list->count; i++) {
		double number = value(&list->entries[i].subject);

		if (isfinite(number))
			exposition__number(out, name, list->entries[i].labels, number);
	}
}

/* "labels,key="value"": value is a constant of ours and needs no escape. */
static void write_with(FILE *out, const char *name, const char *labels, const char *key, int length,
		       const char *value, double number)
{
	char *more;

	if (asprintf(&more, "%s,%s=\"%.*s\"", labels, key, length, value) < 0)
		return;
	exposition__number(out, name, more, number);
	free(more);
}

/* The components that are memory and have no family of their own. */
static void write_components(const struct metrics_list *list, FILE *out)
{
	static const char suffix[] = "_bytes";
	const char *name = "memdrift_process_component_bytes";

	exposition__begin(out, name, "gauge",
			  "Parts of a process's memory, those that are known. They overlap: "
			  "do not add them up.");
	for (size_t i = 0; i < list->count; i++) {
		for (enum component c = 0; c < COMPONENT_MAX; c++) {
			const char *key = component__key(c);
			size_t length = strlen(key);
			double value = of_component(&list->entries[i].subject, c);

			if (c == COMPONENT_RSS || c == COMPONENT_SWAP || isnan(value) ||
			    length < sizeof(suffix) ||
			    strcmp(key + length - (sizeof(suffix) - 1), suffix) != 0)
				continue;
			write_with(out, name, list->entries[i].labels, "component",
				   (int)(length - (sizeof(suffix) - 1)), key, value);
		}
	}
}

static void write_drift(const struct metrics_list *list, FILE *out)
{
	const char *name = "memdrift_process_drift";

	exposition__begin(
		out, name, "gauge",
		"1 while an incident of the process is open, with its verdict; else the last "
		"look's.");
	for (size_t i = 0; i < list->count; i++) {
		const struct metrics_entry *entry = &list->entries[i];
		const char *verdict = drift_verdict__text(entry->subject.verdict);

		write_with(out, name, entry->labels, "verdict", (int)strlen(verdict), verdict,
			   entry->subject.drift);
	}
}

void metrics__write_processes(const struct metrics *metrics, FILE *out)
{
	const struct metrics_list *list = metrics->list;

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		exposition__begin(out, families[i].name, "gauge", families[i].help);
		write_family(list, out, families[i].name, families[i].value);
	}
	write_components(list, out);
	write_drift(list, out);
	exposition__begin(out, "memdrift_followed_processes", "gauge",
			  "Processes that are followed.");
	exposition__count(out, "memdrift_followed_processes", NULL, list->followed);
	exposition__begin(out, "memdrift_unlisted_processes", "gauge",
			  "Processes that are followed and not shown here one by one.");
	exposition__count(out, "memdrift_unlisted_processes", NULL, list->unlisted);
	exposition__begin(out, "memdrift_unlisted_resident_bytes", "gauge",
			  "Resident memory of the processes not shown one by one.");
	exposition__count(out, "memdrift_unlisted_resident_bytes", NULL, list->unlisted_rss_bytes);
	exposition__begin(out, "memdrift_unlisted_swap_bytes", "gauge",
			  "Swapped-out memory of the processes not shown one by one.");
	exposition__count(out, "memdrift_unlisted_swap_bytes", NULL, list->unlisted_swap_bytes);
}
