// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdlib.h>

#include "base/text.h"
#include "output/explain_text.h"

/* "16 arenas of at most 512 (8 x 64 online CPUs), quota is 4 CPUs" */
static void put_limit(FILE *out, const struct explanation *explanation)
{
	const struct glibc_census *glibc = &explanation->glibc;
	char count[UNIT_TEXT_MAX], limit[UNIT_TEXT_MAX], source[4 * sizeof(glibc->limit_source)];

	fprintf(out, "%s arena%s", units_format_count(count, glibc->arena_count),
		glibc->arena_count == 1 ? "" : "s");
	if (glibc->arena_limit >= 0)
		fprintf(out, ", limit %s (%s)",
			units_format_count(limit, (uint64_t)glibc->arena_limit),
			text_printable(source, sizeof(source), glibc->limit_source));
	else
		fputs(", limit unknown", out);
	if (explanation->cgroup.cpu_quota > 0)
		fprintf(out, ", quota is %.3g CPU%s", explanation->cgroup.cpu_quota,
			explanation->cgroup.cpu_quota == 1 ? "" : "s");
}

static void put_sums(FILE *out, const struct glibc_census *glibc)
{
	char system[UNIT_TEXT_MAX], in_use[UNIT_TEXT_MAX], error[UNIT_TEXT_MAX];
	char unused[UNIT_TEXT_MAX], cached[UNIT_TEXT_MAX], top[UNIT_TEXT_MAX];
	char trim[UNIT_TEXT_MAX], chunks[UNIT_TEXT_MAX], mmapped[UNIT_TEXT_MAX];

	fprintf(out, "%s from the system: %s", units_format_bytes(system, glibc->system_bytes),
		units_format_bytes(in_use, glibc->in_use_bytes));
	if (glibc->in_use_error_bytes)
		fprintf(out, " ± %s", units_format_bytes(error, glibc->in_use_error_bytes));
	fprintf(out, " in use, %s free (caches %s, tops %s). malloc_trim(0) would return %s now",
		units_format_bytes(unused, glibc->free_bytes),
		units_format_bytes(cached, glibc->cached_bytes),
		units_format_bytes(top, glibc->top_bytes),
		units_format_bytes(trim, glibc->trimmable_bytes));
	if (glibc->mmapped_chunks)
		fprintf(out, ". Besides, %s chunk%s of %s%s",
			units_format_count(chunks, glibc->mmapped_chunks),
			glibc->mmapped_chunks == 1 ? "" : "s",
			units_format_bytes(mmapped, glibc->mmapped_bytes),
			glibc->mmapped_chunks == 1 ? " has a mapping of its own"
						   : " in all have mappings of their own");
}

static void write_summary(struct text_writer *writer, const struct explanation *explanation)
{
	const struct glibc_census *glibc = &explanation->glibc;
	char *line = NULL, text[UNIT_TEXT_MAX];
	size_t size;
	FILE *out = open_memstream(&line, &size);

	if (!out) {
		writer->err = -ENOMEM;
		return;
	}
	fputs("glibc malloc: ", out);
	put_limit(out, explanation);
	fputs("; ", out);
	put_sums(out, glibc);
	if (fclose(out))
		writer->err = -ENOMEM;
	else
		text__say(writer, "%s.", line);
	free(line);
	if (!glibc->stood_still)
		text__warn(writer,
			   "It changed while it was read (%u times): its figures are of "
			   "that time, not of one moment.",
			   glibc->walks);
	if (glibc->unwalked_bytes)
		text__warn(writer, "%s of it could not be walked and count as neither.",
			   units_format_bytes(text, glibc->unwalked_bytes));
	if (!glibc->ring_closed)
		text__warn(writer,
			   "The arenas' own list did not confirm their number: there may be "
			   "more.");
}

static int compare_system(const void *left, const void *right)
{
	const struct glibc_arena *a = *(const struct glibc_arena *const *)left;
	const struct glibc_arena *b = *(const struct glibc_arena *const *)right;

	if (a->system_bytes != b->system_bytes)
		return a->system_bytes < b->system_bytes ? 1 : -1;
	return a->address < b->address ? -1 : a->address > b->address;
}

static const char *mark_of(const struct check *walked)
{
	return !walked->done ? "?" : walked->ok ? "" : "!";
}

/* The largest free chunk is what a line of 80 columns has no room for. */
#define COLUMNS_FOR_LARGEST 94

static void add_arena(struct table *table, const struct glibc_arena *arena, bool has_largest)
{
	const uint64_t sizes[] = {arena->system_bytes, arena->in_use_bytes, arena->free_bytes,
				  arena->trimmable_bytes, arena->largest_free_bytes};
	char text[UNIT_TEXT_MAX];

	if (arena->is_main)
		table__add(table, "main");
	else
		table__add(table, "0x%llx", (unsigned long long)arena->address);
	table__add(table, "%u", arena->heaps);
	if (arena->threads >= 0)
		table__add(table, "%s", units_format_count(text, (uint64_t)arena->threads));
	else
		table__add(table, "unknown");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes) - !has_largest; i++)
		table__add(table, "%s", units_format_bytes(text, sizes[i]));
	table__add(table, "%s", mark_of(&arena->walked));
}

static void write_arenas(struct text_writer *writer, const struct glibc_census *glibc)
{
	static const char *const heads[] = {"arena",  "heaps", "threads",    "system",
					    "in use", "free",  "returnable", "largest free"};
	bool has_largest = text_options__columns(writer->options) >= COLUMNS_FOR_LARGEST;
	size_t shown = text__top(writer, glibc->arena_count, TOP_EXPLAIN_ARENAS);
	const struct glibc_arena **order = calloc(glibc->arena_count, sizeof(*order));
	struct table table;

	if (!order) {
		writer->err = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < glibc->arena_count; i++)
		order[i] = &glibc->arenas[i];
	qsort(order, glibc->arena_count, sizeof(*order), compare_system);
	table__init(&table, has_largest ? "lrrrrrrrl" : "lrrrrrrl");
	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads) - !has_largest; i++)
		table__add(&table, "%s", heads[i]);
	table__end_row(&table);
	for (size_t i = 0; i < shown; i++)
		add_arena(&table, order[i], has_largest);
	text__table(writer, &table);
	if (glibc->arena_count > shown)
		fprintf(writer->out, "  … %zu more (--all)\n", glibc->arena_count - shown);
	if (glibc_census__agreeing(glibc) < glibc->arena_count)
		text__say(writer, "! what was walked differs from the arena's own system_mem; ? it "
				  "could not be checked.");
	free(order);
}

void explain_text__glibc(struct text_writer *writer, const struct explanation *explanation)
{
	/* Of a single arena the sums say the same. */
	size_t least = writer->options->all ? 1 : 2;
	char reason[256];

	if (explanation->has_glibc) {
		fputc('\n', writer->out);
		write_summary(writer, explanation);
		if (explanation->glibc.arena_count >= least)
			write_arenas(writer, &explanation->glibc);
	} else if (explanation->no_glibc) {
		fputc('\n', writer->out);
		text__say(writer, "No figures of glibc's malloc: %s.",
			  text_printable(reason, sizeof(reason), explanation->no_glibc));
	}
}
