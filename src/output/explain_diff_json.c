// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/explain_json.h"

/* {then, now, change}; what is unknown is null. */
static json_t *json_pair(int64_t then, int64_t now)
{
	return json_pack("{s:o, s:o, s:o}", "then", json_signed(then), "now", json_signed(now),
			 "change", then < 0 || now < 0 ? json_null() : json_integer(now - then));
}

static json_t *json_side(const struct explain_side *side)
{
	return json_pack("{s:s?, s:I, s:o, s:s?, s:s?, s:s?, s:s?, s:I}", "file", side->file, "pid",
			 (json_int_t)side->pid, "start_time_ticks", json_signed(side->start_ticks),
			 "comm", side->comm, "exe", side->exe, "go_version", side->go_version,
			 "malloc_owner", side->malloc_owner, "rss_bytes",
			 (json_int_t)side->rss_bytes);
}

static json_t *json_rows(const struct explain_side *then, const struct explain_side *now)
{
	json_t *rows = json_array();

	for (int i = 0; i < LEDGER_COMPONENTS; i++)
		json_array_append_new(
			rows,
			json_pack("{s:s, s:o, s:o}", "component",
				  ledger_component__name((enum ledger_component)i),
				  "resident_bytes",
				  json_pair(then->resident_bytes[i], now->resident_bytes[i]),
				  "reserved_bytes",
				  json_pair(then->reserved_bytes[i], now->reserved_bytes[i])));
	return rows;
}

/* The sections are as in a reading; what is of no section is in "process". */
static json_t *json_figures(const struct explain_side *then, const struct explain_side *now)
{
	json_t *sections = json_object();

	for (size_t i = 0; i < EXPLAIN_FIGURES; i++) {
		const struct explain_figure *figure = &explain_figures[i];
		const char *name = figure->section ? figure->section : "process";

		if (!json_object_get(sections, name))
			json_object_set_new(sections, name, json_object());
		json_object_set_new(json_object_get(sections, name), figure->key,
				    json_pair(then->figures[i], now->figures[i]));
	}
	return sections;
}

int explain_diff_json__write(FILE *out, const struct explain_side *then,
			     const struct explain_side *now)
{
	return explain_json__dump(
		out, json_pack("{s:s, s:s, s:o, s:o, s:b, s:o, s:o, s:o}", "schema",
			       "memdrift.explain-diff/1", "version", MEMDRIFT_VERSION, "then",
			       json_side(then), "now", json_side(now), "same_process",
			       explain_side__same_process(then, now), "rss_bytes",
			       json_pair(then->rss_bytes, now->rss_bytes), "ledger",
			       json_rows(then, now), "figures", json_figures(then, now)));
}
