// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/wording.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "drift/design.h"

static void append(char *text, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void append(char *text, size_t size, const char *format, ...)
{
	size_t length = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + length, size - length, format, arguments);
	va_end(arguments);
}

static const char *mib_text(char *buffer, double mib)
{
	return units_format_bytes(buffer, units_whole(fmax(mib, 0) * MIB));
}

/* "malloc in use 61.0 MB -> 148.2 MB"; nothing for what is not known. */
static void append_part(struct judgement *out, const struct attribution *attribution,
			enum component component, const char *name, double limit)
{
	const struct part *part = &attribution->part[component];
	char then[UNIT_TEXT_MAX], now[UNIT_TEXT_MAX];

	if (!part->known || isnan(part->then))
		return;
	if (component == COMPONENT_ARENAS || component == COMPONENT_THREADS) {
		append(out->why, sizeof(out->why), "; %s %.0f -> %.0f", name, part->then,
		       part->now);
		if (!isnan(limit))
			append(out->why, sizeof(out->why), " of %.0f", limit);
		return;
	}
	if (fabs(part->now - part->then) < 0.05 * fmax(part->then, 1))
		append(out->why, sizeof(out->why), "; %s flat at %s", name,
		       mib_text(now, part->now));
	else
		append(out->why, sizeof(out->why), "; %s %s -> %s", name,
		       mib_text(then, part->then), mib_text(now, part->now));
}

static void append_parts(struct judgement *out, const struct series *series,
			 const struct attribution *attribution)
{
	double limit = series__arena_limit(series);

	append_part(out, attribution, COMPONENT_ARENAS, "arenas", limit);
	append_part(out, attribution, COMPONENT_MALLOC_IN_USE, "malloc in use", NAN);
	append_part(out, attribution, COMPONENT_MALLOC_FREE, "malloc free", NAN);
	append_part(out, attribution, COMPONENT_GO_ALLOC, "Go allocated", NAN);
	append_part(out, attribution, COMPONENT_GO_HEAP, "Go heap", NAN);
	if (out->verdict == DRIFT_THREAD_GROWTH)
		append_part(out, attribution, COMPONENT_THREADS, "threads", NAN);
	if (out->component == COMPONENT_DIRECT_MAPPING)
		append_part(out, attribution, COMPONENT_DIRECT_MAPPING, "direct mappings", NAN);
	if (out->component == COMPONENT_FILE)
		append_part(out, attribution, COMPONENT_FILE, "file pages", NAN);
	if (out->component == COMPONENT_SHMEM)
		append_part(out, attribution, COMPONENT_SHMEM, "shared memory", NAN);
	if (out->component == COMPONENT_ANON)
		append_part(out, attribution, COMPONENT_ANON, "anonymous", NAN);
}

/* What grows, and the heap's parts have not been read or are none of what grows. */
static bool is_unattributed(const struct attribution *attribution)
{
	return attribution->verdict == DRIFT_LEAK && attribution->share <= 0;
}

static void append_unattributed(struct judgement *out, const struct attribution *attribution)
{
	bool read = attribution->part[COMPONENT_MALLOC_IN_USE].known ||
		    attribution->part[COMPONENT_GO_ALLOC].known;

	append(out->why, sizeof(out->why),
	       read ? "; no known part of it grows as much"
		    : "; its heaps were not read: a leak, or memory that they keep");
	append(out->todo, sizeof(out->todo),
	       "what holds it: memdrift explain -p PID; who asks for it: "
	       "memdrift trace --live -p PID");
}

static const char *const todos[DRIFT_VERDICT_MAX] = {
	[DRIFT_LEAK] = "find who allocates what stays: memdrift trace --live -p PID",
	[DRIFT_FRAGMENTATION] = "malloc_trim, or an allocator that returns memory "
				"(MALLOC_TRIM_THRESHOLD_, jemalloc)",
	[DRIFT_ARENA_GROWTH] = "it ends at the arena limit; MALLOC_ARENA_MAX lowers it",
	[DRIFT_DIRECT_MAPPING_GROWTH] = "find who maps: memdrift trace --large 64M -p PID",
	[DRIFT_GO_HEAP_GROWTH] = "take a heap profile (pprof -inuse_space) now and in a day",
	[DRIFT_GO_HEAP_FRAGMENTATION] = "set GOMEMLIMIT, or lower GOGC; look for large objects of "
					"uneven life",
	[DRIFT_THREAD_GROWTH] = "find who starts threads that do not end",
	[DRIFT_FILE_GROWTH] =
		"pages of files are given back under pressure; see which files it maps",
	[DRIFT_SHMEM_GROWTH] = "find the segment: ipcs -m, /dev/shm, memfd in /proc/PID/maps",
};

void wording__drift(struct judgement *out, const struct series *series,
		    const struct attribution *attribution, const struct outlook *outlook)
{
	char slope[UNIT_TEXT_MAX], level[UNIT_TEXT_MAX];

	append(out->why, sizeof(out->why), "grows %s a day, now %s",
	       mib_text(slope, outlook->slope * 24), mib_text(level, outlook->level));
	append_parts(out, series, attribution);
	if (!isnan(out->ends_at_bytes) && out->verdict == DRIFT_ARENA_GROWTH)
		append(out->why, sizeof(out->why),
		       "; bounded at %.0f x 64 MiB of arenas: ends at %s",
		       series__arena_limit(series), mib_text(level, out->ends_at_bytes / MIB));
	if (is_unattributed(attribution))
		append_unattributed(out, attribution);
	else if (todos[out->verdict])
		append(out->todo, sizeof(out->todo), "%s", todos[out->verdict]);
}

void wording__none(struct judgement *out, const struct outlook *outlook)
{
	char growth[UNIT_TEXT_MAX], line[UNIT_TEXT_MAX];
	double expected = outlook->any_slope * OUTLOOK_H;

	if (out->plateau)
		append(out->why, sizeof(out->why), "it has grown and settles (warm-up); ");
	append(out->why, sizeof(out->why),
	       "%s expected in two weeks, %s would be drift; chance of it %.0f %%",
	       mib_text(growth, expected), mib_text(line, outlook->threshold),
	       100 * outlook->drifts);
}

void wording__still(struct judgement *out, double range_mib)
{
	char range[UNIT_TEXT_MAX];

	append(out->why, sizeof(out->why), "still: all within %s", mib_text(range, range_mib));
}

void wording__insufficient(struct judgement *out, double span_h)
{
	char span[UNIT_TEXT_MAX];

	append(out->why, sizeof(out->why), "%s of data do not tell",
	       units_format_seconds(span, span_h * HOUR_S));
}

void wording__withdrawn(struct judgement *out)
{
	char why[JUDGEMENT_WHY_MAX];

	snprintf(why, sizeof(why), "only since the latest looks, too early to tell: %.400s",
		 out->why);
	memcpy(out->why, why, sizeof(why));
	*out->todo = 0;
}
