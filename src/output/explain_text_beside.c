// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdlib.h>

#include "base/text.h"
#include "output/explain_text.h"

static void write_jemalloc(struct text_writer *writer, const struct jemalloc_facts *facts)
{
	char active[UNIT_TEXT_MAX], allocated[UNIT_TEXT_MAX], dirty[UNIT_TEXT_MAX];
	char muzzy[UNIT_TEXT_MAX], retained[UNIT_TEXT_MAX], metadata[UNIT_TEXT_MAX];
	char extents[UNIT_TEXT_MAX], unused[UNIT_TEXT_MAX];
	bool is_sane = facts->allocated_bytes <= facts->active_bytes;

	text__say(writer,
		  "jemalloc %s: active %s, of it allocated %s%s%s; dirty %s, muzzy %s, retained %s "
		  "(address space only); metadata %s; %s extents.",
		  facts->layout, units_format_bytes(active, facts->active_bytes),
		  units_format_bytes(allocated, facts->allocated_bytes),
		  is_sane ? " and unused " : "",
		  is_sane ? units_format_bytes(unused, facts->active_bytes - facts->allocated_bytes)
			  : "",
		  units_format_bytes(dirty, facts->dirty_bytes),
		  units_format_bytes(muzzy, facts->muzzy_bytes),
		  units_format_bytes(retained, facts->retained_bytes),
		  facts->metadata_bytes ? units_format_bytes(metadata, facts->metadata_bytes)
					: "unknown",
		  units_format_count(extents, facts->extents));
}

static void write_other(struct text_writer *writer, const struct allocator_facts *facts)
{
	char bytes[UNIT_TEXT_MAX], in_use[UNIT_TEXT_MAX], name[64];

	text_printable(name, sizeof(name), facts->name);
	text__say(writer, "%s: %s of address space, in use %s; told by %s.", name,
		  units_format_bytes(bytes, facts->bytes),
		  facts->has_in_use ? units_format_bytes(in_use, facts->in_use_bytes) : "unknown",
		  facts->how ? facts->how : "where it lies");
}

void explain_text__allocators(struct text_writer *writer, const struct explanation *explanation)
{
	const struct allocators *allocators = &explanation->allocators;

	if (!allocators->has_jemalloc && !allocators->other_count)
		return;
	fputc('\n', writer->out);
	if (allocators->has_jemalloc)
		write_jemalloc(writer, &allocators->jemalloc);
	for (size_t i = 0; i < allocators->other_count && i < ALLOCATORS_MAX; i++)
		write_other(writer, &allocators->others[i]);
}

static void write_threads(struct text_writer *writer, const struct explanation *explanation)
{
	char count[UNIT_TEXT_MAX], live[UNIT_TEXT_MAX], cached[UNIT_TEXT_MAX];
	char each[UNIT_TEXT_MAX], stacks[UNIT_TEXT_MAX], ended[UNIT_TEXT_MAX], kept[96] = "";
	uint64_t known = explanation->thread_stacks_live + explanation->thread_stacks_cached;

	units_format_count(count, explanation->threads);
	if (!known) {
		text__say(writer, "Threads: %s; no stack of a thread but the main one was found.",
			  count);
		return;
	}
	if (explanation->thread_stacks_cached)
		snprintf(kept, sizeof(kept), ", %s kept of ended threads %s",
			 units_format_count(ended, explanation->thread_stacks_cached),
			 units_format_bytes(cached,
					    explanation->thread_stacks_cached_resident_bytes));
	text__say(writer,
		  "Threads: %s; stacks of %s hold %s resident%s; most have %s of address space.",
		  count, units_format_count(stacks, explanation->thread_stacks_live),
		  units_format_bytes(live, explanation->thread_stacks_live_resident_bytes), kept,
		  explanation->thread_stack_bytes >= 0
			  ? units_format_bytes(each, (uint64_t)explanation->thread_stack_bytes)
			  : "unknown");
}

static const char *bytes_if(bool known, char buf[UNIT_TEXT_MAX], uint64_t bytes)
{
	return known ? units_format_bytes(buf, bytes) : "unknown";
}

static void write_kernel(struct text_writer *writer, const struct explanation *explanation)
{
	char swap[UNIT_TEXT_MAX], huge[UNIT_TEXT_MAX], tables[UNIT_TEXT_MAX];
	char pss[UNIT_TEXT_MAX], peak[UNIT_TEXT_MAX];

	text__say(writer, "Swap %s; huge pages %s (THP %s); page tables %s; PSS %s; peak RSS %s.",
		  bytes_if(explanation->has_rollup, swap, explanation->swap_bytes),
		  bytes_if(explanation->has_rollup, huge, explanation->huge_bytes),
		  explanation->thp_mode[0] ? explanation->thp_mode : "unknown",
		  bytes_if(explanation->has_status, tables, explanation->page_table_bytes),
		  bytes_if(explanation->has_rollup, pss, explanation->pss_bytes),
		  bytes_if(explanation->has_status, peak, explanation->rss_peak_bytes));
}

static void put_limits(FILE *out, const struct cgroup_facts *cgroup)
{
	char usage[UNIT_TEXT_MAX], limit[UNIT_TEXT_MAX], path[SHORT_PATH_MAX];

	fprintf(out, "usage %s",
		cgroup->usage_bytes >= 0 ? units_format_bytes(usage, (uint64_t)cgroup->usage_bytes)
					 : "unknown");
	if (cgroup->limit_bytes < 0)
		fputs(", no limit", out);
	else
		fprintf(out, ", limit %s%s%s",
			units_format_bytes(limit, (uint64_t)cgroup->limit_bytes),
			cgroup->limit_path ? " of " : "",
			cgroup->limit_path ? explain_text__path(path, cgroup->limit_path) : "");
	if (cgroup->high_bytes >= 0)
		fprintf(out, ", memory.high %s",
			units_format_bytes(limit, (uint64_t)cgroup->high_bytes));
	if (cgroup->cpu_quota > 0)
		fprintf(out, "; quota %.3g CPUs", cgroup->cpu_quota);
	if (cgroup->cpuset_cpus > 0)
		fprintf(out, ", cpuset of %d", cgroup->cpuset_cpus);
}

static void put_container(FILE *out, const struct cgroup_facts *cgroup)
{
	char text[SHORT_PATH_MAX];

	/* Twelve digits are what container tools show. */
	if (cgroup->container_id[0])
		fprintf(out, "; container %.12s",
			text_printable(text, sizeof(text), cgroup->container_id));
	if (cgroup->runtime[0])
		fprintf(out, " (%s)", text_printable(text, sizeof(text), cgroup->runtime));
	if (cgroup->pod_uid[0])
		fprintf(out, "; pod %s", text_printable(text, sizeof(text), cgroup->pod_uid));
	if (cgroup->unit[0])
		fprintf(out, "; unit %s", explain_text__path(text, cgroup->unit));
}

static void write_cgroup(struct text_writer *writer, const struct cgroup_facts *cgroup)
{
	char *line = NULL, path[SHORT_PATH_MAX];
	size_t size;
	FILE *out;

	if (!cgroup->path) {
		text__say(writer, "Control group: unknown.");
		return;
	}
	out = open_memstream(&line, &size);
	if (!out) {
		writer->err = -ENOMEM;
		return;
	}
	if (cgroup->version)
		put_limits(out, cgroup);
	else
		fputs("usage and limit unknown: no memory controller", out);
	put_container(out, cgroup);
	if (fclose(out))
		writer->err = -ENOMEM;
	else if (cgroup->version)
		text__say(writer, "Control group %s (v%d): %s.",
			  explain_text__path(path, cgroup->path), cgroup->version, line);
	else
		text__say(writer, "Control group %s: %s.", explain_text__path(path, cgroup->path),
			  line);
	free(line);
}

void explain_text__beside(struct text_writer *writer, const struct explanation *explanation)
{
	write_threads(writer, explanation);
	write_kernel(writer, explanation);
	write_cgroup(writer, &explanation->cgroup);
}

void explain_text__cost(struct text_writer *writer, const struct explanation *explanation)
{
	char read[UNIT_TEXT_MAX], cpu[UNIT_TEXT_MAX], wall[UNIT_TEXT_MAX];

	if (explanation->unplaced)
		text__warn(
			writer,
			"%s ranges of allocators are beyond what is kept on record: they count as "
			"anonymous memory.",
			units_format_count(read, explanation->unplaced));
	if (explanation->changed && explanation->readings > 1)
		text__warn(writer,
			   "It changed in each of %u readings: this is the one nearest to the "
			   "kernel's sum.",
			   explanation->readings);
	else if (explanation->changed)
		text__warn(writer,
			   "It changed while it was read, which took too long for another try.");
	text__say(writer,
		  "This read %s of its memory, which marks those pages as accessed, in %s of CPU "
		  "time and %s in all%s.",
		  units_format_bytes(read, explanation->bytes_read),
		  units_format_seconds(cpu, (double)explanation->cpu_ns / 1e9),
		  units_format_seconds(wall, (double)explanation->wall_ns / 1e9),
		  explanation->readings > 1 && !explanation->changed
			  ? ", more than once because it changed"
			  : "");
}
