// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/text_cgroup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "output/bar.h"
#include "output/explain_text.h"

#define NAME_TEXT_MAX (4 * 4096 + 1) /* of a path (PATH_MAX), printable */

static void say(const struct cgroup_writer *writer, bool warn, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void say(const struct cgroup_writer *writer, bool warn, const char *fmt, ...)
{
	bool colour = warn && writer->options->colour;
	char *text = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	if (!text)
		return;
	fputs(colour ? COLOUR_YELLOW : "", writer->out);
	text_paragraph(writer->out, text_options__columns(writer->options), 0, text);
	fputs(colour ? COLOUR_RESET : "", writer->out);
	free(text);
}

double cgroup_writer__share(const struct cgroup_writer *writer, int64_t bytes)
{
	return writer->whole > 0 ? 100.0 * (double)bytes / (double)writer->whole : 0;
}

/* A printable path in so many columns: of a longer one the end, which tells most. */
static const char *short_path(char buf[NAME_TEXT_MAX], const char *raw, size_t columns)
{
	char text[NAME_TEXT_MAX];
	const char *end = text;
	size_t left;

	text_printable(text, sizeof(text), raw);
	left = text_columns(text);
	if (left <= columns)
		return strcpy(buf, text);
	/* One more goes for the ellipsis. */
	for (; left >= columns; left--) {
		do
			end++;
		while ((*end & 0xc0) == 0x80);
	}
	snprintf(buf, NAME_TEXT_MAX, "…%s", end);
	return buf;
}

static void write_heading(const struct cgroup_writer *writer)
{
	const struct cgroup_memory *memory = writer->memory;
	const struct cgroup_facts *facts = &memory->facts;
	char usage[UNIT_TEXT_MAX], limit[UNIT_TEXT_MAX], name[NAME_TEXT_MAX], right[128];
	int64_t bytes = memory->stat.usage;
	size_t used, columns = text_options__columns(writer->options);

	if (memory->is_root)
		snprintf(right, sizeof(right), "the root group: the kernel keeps no usage for it");
	else if (bytes < 0)
		snprintf(right, sizeof(right), "usage unknown");
	else if (facts->limit_bytes > 0)
		snprintf(right, sizeof(right), "%s of %s (%.1f %%)",
			 units_format_bytes(usage, (uint64_t)bytes),
			 units_format_bytes(limit, (uint64_t)facts->limit_bytes),
			 100.0 * (double)bytes / (double)facts->limit_bytes);
	else
		snprintf(right, sizeof(right), "%s, no limit",
			 units_format_bytes(usage, (uint64_t)bytes));
	used = text_columns("control group ") + text_columns(right) + 2;
	short_path(name, facts->path, columns - used);
	used = text_columns("control group ") + text_columns(name) + text_columns(right);
	fprintf(writer->out, "%scontrol group %s%s%*s%s\n",
		writer->options->colour ? COLOUR_BOLD : "", name,
		writer->options->colour ? COLOUR_RESET : "",
		used + 2 < columns ? (int)(columns - used) : 2, "", right);
}

/* The greatest part, in words. */
static void write_answer(const struct cgroup_writer *writer)
{
	const struct cgroup_memory *memory = writer->memory;
	const struct cgroup_stat *stat = &memory->stat;
	int64_t processes = (int64_t)memory->pss_sum;
	char text[UNIT_TEXT_MAX], comm[4 * PROC_COMM_MAX];

	if (memory->cache > processes && memory->cache > memory->tmpfs &&
	    memory->cache > stat->kernel) {
		say(writer, false,
		    "%.1f %% is page cache that no process has mapped: the kernel gives it back "
		    "when the group needs the memory, and a full cache is not a leak.",
		    cgroup_writer__share(writer, memory->cache));
	} else if (memory->tmpfs > processes && memory->tmpfs > stat->kernel) {
		say(writer, false,
		    "%.1f %% is in tmpfs and shared memory that no process has mapped: it stays "
		    "until its files are removed, whichever process ends.",
		    cgroup_writer__share(writer, memory->tmpfs));
	} else if (stat->kernel > processes) {
		say(writer, false, "%.1f %% is the kernel's own memory for this group.",
		    cgroup_writer__share(writer, stat->kernel));
	} else if (memory->process_count) {
		const struct cgroup_process *first = &memory->processes[0];

		say(writer, false,
		    "%.1f %% is in its %zu process%s, %s of it in %s (pid %u): "
		    "`memdrift explain -p %u` tells more.",
		    cgroup_writer__share(writer, processes), memory->process_count,
		    memory->process_count == 1 ? "" : "es", units_format_bytes(text, first->pss),
		    text_printable(comm, sizeof(comm), first->comm), first->pid, first->pid);
	}
}

static void write_names(const struct cgroup_writer *writer)
{
	const struct cgroup_facts *facts = &writer->memory->facts;
	char id[4 * sizeof(facts->container_id)], unit[4 * sizeof(facts->unit)];

	if (facts->container_id[0])
		say(writer, false, "Container %s%s%s%s%s.",
		    text_printable(id, sizeof(id), facts->container_id),
		    facts->runtime[0] ? " of " : "", facts->runtime,
		    facts->pod_uid[0] ? ", pod " : "", facts->pod_uid);
	else if (facts->unit[0])
		say(writer, false, "systemd unit %s.",
		    text_printable(unit, sizeof(unit), facts->unit));
}

static void write_limits(const struct cgroup_writer *writer)
{
	const struct cgroup_memory *memory = writer->memory;
	const struct cgroup_facts *facts = &memory->facts;
	char limit[UNIT_TEXT_MAX], high[UNIT_TEXT_MAX], path[NAME_TEXT_MAX];

	if (facts->limit_bytes >= 0 && !facts->limit_path)
		say(writer, false,
		    "The limit of %s is one of the groups above what is mounted "
		    "here.",
		    units_format_bytes(limit, (uint64_t)facts->limit_bytes));
	else if (facts->limit_bytes >= 0 && strcmp(facts->limit_path, facts->path))
		say(writer, false, "The limit of %s is that of %s, above it.",
		    units_format_bytes(limit, (uint64_t)facts->limit_bytes),
		    short_path(path, facts->limit_path, 80));
	if (facts->high_bytes >= 0)
		say(writer, false, "It is slowed down from %s on (memory.high).",
		    units_format_bytes(high, (uint64_t)facts->high_bytes));
	if (facts->cpu_quota > 0)
		say(writer, false, "Its CPU quota is %.4g CPU%s.", facts->cpu_quota,
		    facts->cpu_quota == 1 ? "" : "s");
}

static void write_events(const struct cgroup_writer *writer)
{
	const struct cgroup_stat *stat = &writer->memory->stat;
	char text[UNIT_TEXT_MAX];

	if (stat->limit_hits > 0)
		say(writer, false, "%s was hit %s time%s.",
		    writer->memory->facts.version == 1 ? "This group's own limit"
						       : "A limit of this group or one below",
		    units_format_count(text, (uint64_t)stat->limit_hits),
		    stat->limit_hits == 1 ? "" : "s");
	if (stat->oom_kills > 0)
		say(writer, true, "The OOM killer ended %s process%s here.",
		    units_format_count(text, (uint64_t)stat->oom_kills),
		    stat->oom_kills == 1 ? "" : "es");
}

/* What the difference is made of: parts of a hundredth, or more. */
static void write_difference(const struct cgroup_writer *writer)
{
	const struct cgroup_memory *memory = writer->memory;
	char text[UNIT_TEXT_MAX];
	int64_t least = writer->whole / 100;

	if (!memory->has_difference)
		return;
	if (llabs(memory->mapped_difference) > least)
		say(writer, false,
		    memory->mapped_difference < 0
			    ? "Difference: %s of mapped files and shared memory is in its "
			      "processes, but charged to other groups, which read it first: "
			      "libraries as a rule."
			    : "Difference: %s of files and shared memory is charged here and "
			      "mapped by processes outside.",
		    units_format_bytes(text, (uint64_t)llabs(memory->mapped_difference)));
	if (llabs(memory->anon_difference) > least)
		say(writer, false,
		    memory->anon_difference < 0
			    ? "Difference: %s of anonymous memory is in its processes, but "
			      "charged to others: they moved here with it, or share it."
			    : "Difference: %s of anonymous memory is charged here beyond what its "
			      "processes hold: processes that moved away have it, or share it.",
		    units_format_bytes(text, (uint64_t)llabs(memory->anon_difference)));
	if (llabs(memory->rest) > least)
		say(writer, false,
		    "Difference: %s between usage and the kernel's own counters: charges that "
		    "CPUs hold in advance, and counters on their way.",
		    units_format_delta(text, memory->rest));
}

static void write_doubts(const struct cgroup_writer *writer)
{
	const struct cgroup_memory *memory = writer->memory;
	char text[UNIT_TEXT_MAX];

	if (memory->unread_count)
		say(writer, true,
		    "%zu process%s could not be read (%s): what %s is missing from \"processes\", "
		    "and the difference cannot be told.",
		    memory->unread_count, memory->unread_count == 1 ? "" : "es",
		    memory->unread_err == -ETIME ? "there are too many to read within 10 s"
						 : strerror(-memory->unread_err),
		    memory->unread_count == 1 ? "it has" : "they have");
	if (!memory->steady && memory->changed_bytes > 0)
		say(writer, true,
		    "Usage moved by %s while it was read, in the steadiest of %u "
		    "readings: the parts are not of one instant.",
		    units_format_bytes(text, (uint64_t)memory->changed_bytes), memory->readings);
	if (memory->parts_check.done && !memory->parts_check.ok)
		say(writer, true, "Not consistent: the kernel's counters add up to %s.",
		    units_format_bytes(text, memory->parts_check.found));
	if (memory->stat.flat)
		say(writer, true, "Groups below do not count here (memory.use_hierarchy is 0).");
}

static void write_group(struct text_writer *text, const void *what)
{
	const struct cgroup_memory *memory = what;
	struct cgroup_writer writer = {
		.out = text->out, .memory = memory, .options = text->options};
	const struct cgroup_stat *stat = &memory->stat;

	writer.whole = stat->usage;
	/* The root group has no usage: shares are then of what is known. */
	if (writer.whole < 0)
		writer.whole = (int64_t)memory->pss_sum +
			       (memory->cache > 0 ? memory->cache + memory->tmpfs : 0) +
			       (stat->kernel > 0 ? stat->kernel : 0);
	write_heading(&writer);
	write_answer(&writer);
	write_names(&writer);
	write_limits(&writer);
	write_events(&writer);
	write_doubts(&writer);
	cgroup_writer__parts(&writer);
	write_difference(&writer);
	cgroup_writer__processes(&writer);
	text->err = writer.err;
}

int cgroup_text__write(FILE *out, const struct cgroup_memory *memory,
		       const struct text_options *options)
{
	return explain_text__emit(out, options, write_group, memory);
}
