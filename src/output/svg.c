// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * A flame graph as a page of its own: the root on top, blocks as wide as their share of the weight.
 * Places are percentages, so that it fills any window; the script only moves and hides blocks.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/units.h"
#include "output/flame_colours.h"
#include "output/xml.h"

static const char style[] =
#include "output/flame.css.inc"
	;
static const char script[] =
#include "output/flame.js.inc"
	;

/* Where a viewer has no window, and what labels are cut for where the script does not run. */
#define PAGE_COLUMNS 1200
/* Blocks under a tenth of a pixel of that are not drawn: they could not be seen or hit. */
#define BLOCKS_MAX_ACROSS (10 * PAGE_COLUMNS)
/* Of a monospaced character of 12 pixels. */
#define CHARACTER_COLUMNS 7.3

enum { HEAD_ROWS = 98, ROW = 18, NOTE_ROW = 17 };

struct svg_writer {
	FILE *out;
	const struct flame_graph *graph;
	const struct weight_info *info;
	struct flame_colours colours;
	uint64_t drawn;
};

static const char *format_weight(const struct svg_writer *writer, char buf[UNIT_TEXT_MAX],
				 uint64_t value)
{
	return writer->info->is_bytes ? units_format_bytes(buf, value)
				      : units_format_count(buf, value);
}

/* ---- blocks ---- */

/* Neighbours in one file differ by a shade, which a name keeps. */
static unsigned int shade_of(const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619u;
	return (hash >> 7) % 3;
}

static void put_class(const struct svg_writer *writer, const struct flame_block *block)
{
	const struct flame_graph *graph = writer->graph;

	if (block->object != STRING_NONE)
		fprintf(writer->out, "f c%u s%u", writer->colours.by_object[block->object],
			shade_of(graph->names.list[block->name]));
	else if (block->depth > 1)
		fputs("f cn", writer->out);
	else
		fputs("f cp", writer->out);
}

/* In millionths of the whole, so that blocks that touch have the same edge. */
static uint64_t edge(const struct flame_graph *graph, uint64_t value)
{
	return graph->total ? (uint64_t)((double)value / (double)graph->total * 1e6) : 0;
}

/* As many characters as fit; whoever has the script gets them by the real width. */
static void put_label(FILE *out, const char *name, double columns)
{
	double room = (columns - 6) / CHARACTER_COLUMNS;
	size_t end = 0, wide = 0;
	char *cut;

	if (room < 3)
		return;
	for (; name[end] && (double)wide < room; end++)
		wide += (name[end] & 0xc0) != 0x80;
	/* Not within a character. */
	while ((name[end] & 0xc0) == 0x80)
		end++;
	cut = strndup(name, end);
	fputs("<text x=\"3\" y=\"13\">", out);
	xml__put(out, cut ? cut : "");
	fputs("</text>", out);
	free(cut);
}

static void put_title(const struct svg_writer *writer, const struct flame_block *block,
		      const char *name)
{
	const struct flame_graph *graph = writer->graph;
	char value[UNIT_TEXT_MAX];

	fputs("<title>", writer->out);
	xml__put(writer->out, name);
	fputc('\n', writer->out);
	if (block->object != STRING_NONE) {
		xml__put(writer->out, graph->objects.list[block->object]);
		fputc('\n', writer->out);
	}
	fprintf(writer->out, "%s, %.2f %%</title>", format_weight(writer, value, block->value),
		graph->total ? 100 * (double)block->value / (double)graph->total : 0);
}

static void put_block(void *ctx, const struct flame_block *block)
{
	struct svg_writer *writer = ctx;
	const struct flame_graph *graph = writer->graph;
	const char *name = block->name == FLAME_ROOT ? "all" : graph->names.list[block->name];
	uint64_t left = edge(graph, block->start);
	uint64_t right =
		block->name == FLAME_ROOT ? 1000000 : edge(graph, block->start + block->value);

	writer->drawn++;
	fputs("<svg class=\"", writer->out);
	put_class(writer, block);
	fprintf(writer->out,
		"\" x=\"%.4f%%\" width=\"%.4f%%\" y=\"%u\" height=\"%d\" data-d=\"%u\" "
		"data-v=\"%" PRIu64 "\">",
		(double)left / 1e4, (double)(right - left) / 1e4, HEAD_ROWS + ROW * block->depth,
		ROW - 1, block->depth, block->value);
	put_title(writer, block, name);
	fputs("<rect width=\"100%\" height=\"100%\"/>", writer->out);
	put_label(writer->out, name, (double)(right - left) / 1e6 * PAGE_COLUMNS);
	fputs("</svg>\n", writer->out);
}

static void pass(void *ctx, const struct flame_block *block)
{
}

/* ---- what is around them ---- */

/* "redis-server (pid 812)" of one process, else how many. */
static void put_whose(const struct svg_writer *writer)
{
	const struct flame_graph *graph = writer->graph;
	uint32_t first = STRING_NONE, processes = 0;

	/* Samples are by process. */
	for (size_t i = 0; i < graph->count; i++) {
		if (first == graph->samples[i].sample->process)
			continue;
		first = graph->samples[i].sample->process;
		processes++;
	}
	if (processes == 1) {
		xml__put(writer->out, graph->profile->processes[first].comm);
		fprintf(writer->out, " (pid %u)", graph->profile->processes[first].pid);
	} else {
		fprintf(writer->out, "%u processes", processes);
	}
}

static void put_heading(const struct svg_writer *writer)
{
	const struct profile *profile = writer->graph->profile;
	char value[UNIT_TEXT_MAX], after[UNIT_TEXT_MAX], date[64];
	time_t start = (time_t)(profile->started_unix_ns / 1000000000);
	struct tm utc;

	fputs("<text class=\"heading\" x=\"10\" y=\"26\">", writer->out);
	put_whose(writer);
	fprintf(writer->out, ": %s</text>\n<text class=\"sub\" x=\"10\" y=\"46\">%s in all, in %s",
		writer->info->title, format_weight(writer, value, writer->graph->total),
		units_format_seconds(after, profile->duration_s));
	if (profile->started_unix_ns && gmtime_r(&start, &utc) &&
	    strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", &utc))
		fprintf(writer->out, " from %s", date);
	fputs("</text>\n", writer->out);
}

static void put_legend(const struct svg_writer *writer)
{
	const struct flame_graph *graph = writer->graph;
	double x = 10;

	for (uint32_t i = 0; i < writer->colours.count; i++) {
		const char *name = graph->objects.list[writer->colours.objects[i]];
		double columns = 30 + CHARACTER_COLUMNS * (double)strlen(name);

		if (x + columns > PAGE_COLUMNS)
			break;
		fprintf(writer->out,
			"<rect class=\"key c%u\" x=\"%.0f\" y=\"76\" width=\"12\" height=\"12\"/>"
			"<text class=\"legend\" x=\"%.0f\" y=\"86\">",
			i, x, x + 17);
		xml__put(writer->out, name);
		fputs("</text>\n", writer->out);
		x += columns;
	}
}

static const char tools[] =
	"<foreignObject id=\"tools\" x=\"100%\" y=\"10\" width=\"460\" height=\"34\" "
	"transform=\"translate(-470 0)\" style=\"display:none\">"
	"<div xmlns=\"http://www.w3.org/1999/xhtml\" class=\"tools\">"
	"<span id=\"found\" aria-live=\"polite\"></span>"
	"<input id=\"search\" type=\"search\" placeholder=\"Search ( / )\" "
	"aria-label=\"Search functions\"/>"
	"<button id=\"reset\" type=\"button\">Reset</button></div></foreignObject>\n";

static void put_notes(const struct svg_writer *writer, const struct flame_walk *walk, uint32_t y)
{
	const struct profile *profile = writer->graph->profile;
	char count[UNIT_TEXT_MAX], value[UNIT_TEXT_MAX];

	if (walk->left_out) {
		fprintf(writer->out,
			"<text class=\"note\" id=\"left-out\" x=\"10\" y=\"%u\">%s blocks narrower "
			"than 0.1 "
			"pixels (of 1,200) are left out, %s in all.</text>\n",
			y, units_format_count(count, walk->left_out),
			format_weight(writer, value, walk->left_out_value));
		y += NOTE_ROW;
	}
	for (size_t i = 0; i < profile->note_count; i++, y += NOTE_ROW) {
		fprintf(writer->out, "<text class=\"note\" x=\"10\" y=\"%u\">", y);
		xml__put(writer->out, profile->notes[i]);
		fputs("</text>\n", writer->out);
	}
}

static int put_page(struct svg_writer *writer)
{
	const struct flame_graph *graph = writer->graph;
	struct flame_walk walk = {.least = graph->total / BLOCKS_MAX_ACROSS +
					   (graph->total % BLOCKS_MAX_ACROSS != 0),
				  .block = pass};
	size_t notes = graph->profile->note_count;
	int err = flame_graph__walk(graph, &walk);
	uint32_t end;

	if (err)
		return err;
	notes += walk.left_out != 0;
	end = HEAD_ROWS + ROW * (walk.deepest + 1);
	fprintf(writer->out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%zu\" "
		"data-unit=\"%s\">\n<style>%s</style>\n"
		"<rect class=\"bg\" width=\"100%%\" height=\"100%%\"/>\n",
		PAGE_COLUMNS, end + 12 + NOTE_ROW * notes, writer->info->pprof_unit, style);
	put_heading(writer);
	fputs("<text id=\"details\" x=\"10\" y=\"68\">As wide as its share; a click or Enter zooms "
	      "in, Esc resets, arrow keys move.</text>\n",
	      writer->out);
	put_legend(writer);
	fputs(tools, writer->out);
	walk.block = put_block;
	walk.ctx = writer;
	err = flame_graph__walk(graph, &walk);
	put_notes(writer, &walk, end + 16);
	fprintf(writer->out, "<script><![CDATA[\n%s]]></script>\n</svg>\n", script);
	return err;
}

int profile_svg__write(FILE *out, const struct profile *profile, enum profile_weight weight)
{
	struct flame_graph graph;
	struct svg_writer writer = {
		.out = out, .graph = &graph, .info = profile_weight__info(weight)};
	int err = flame_graph__make(&graph, profile, weight);

	if (!err)
		err = flame_colours__choose(&writer.colours, &graph);
	if (!err)
		err = put_page(&writer);
	free(writer.colours.by_object);
	flame_graph__free(&graph);
	if (err)
		return err;
	if (fflush(out))
		return -errno;
	return ferror(out) ? -EIO : 0;
}
