// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "analysis/explain_side.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/report_json.h"
#include "base/text.h"

#define SCHEMA "memdrift.explain/1"
/* The kernel's PID_MAX_LIMIT on 64 bits. */
#define PID_MAX 4194304
/* 65,536 arenas take some 16 MB. */
#define FILE_BYTES_MAX (256ull << 20)

const struct explain_figure explain_figures[EXPLAIN_FIGURES] = {
	{NULL, "pss_bytes", "PSS", false},
	{NULL, "swap_bytes", "swap", false},
	{NULL, "huge_bytes", "huge pages", false},
	{NULL, "page_table_bytes", "page tables", false},
	{NULL, "threads", "threads", true},
	{"glibc", "arenas", "arenas", true},
	{"glibc", "arena_limit", "arena limit", true},
	{"glibc", "system_bytes", "from the system", false},
	{"glibc", "in_use_bytes", "in use", false},
	{"glibc", "free_bytes", "free", false},
	{"glibc", "trimmable_bytes", "returnable", false},
	{"glibc", "mmapped_chunks", "own mappings", true},
	{"glibc", "mmapped_bytes", "in own mappings", false},
	{"go", "heap_inuse_bytes", "heap in use", false},
	{"go", "heap_alloc_bytes", "allocated", false},
	{"go", "heap_live_bytes", "live", false},
	{"go", "fragmentation_bytes", "fragmentation", false},
	{"go", "heap_idle_bytes", "idle", false},
	{"go", "heap_released_bytes", "released", false},
	{"go", "stacks_inuse_bytes", "goroutine stacks", false},
	{"go", "sys_bytes", "from the system", false},
	{"go", "gomemlimit_bytes", "GOMEMLIMIT", false},
	{"go", "num_gc", "collections", true},
	{"jemalloc", "active_bytes", "active", false},
	{"jemalloc", "allocated_bytes", "allocated", false},
	{"jemalloc", "dirty_bytes", "dirty", false},
	{"jemalloc", "muzzy_bytes", "muzzy", false},
	{"jemalloc", "retained_bytes", "retained", false},
	{"jemalloc", "metadata_bytes", "metadata", false},
	{"jemalloc", "extents", "extents", true},
};

static int read_bytes(struct json_reader *reader, const json_t *object, const char *key,
		      enum json_need need, int64_t *value)
{
	int err = json_reader__whole(reader, object, key, need, value);

	if (!err && *value > EXPLAIN_BYTES_MAX)
		err = json_reader__refuse(reader, key,
					  "at most 2^56, the size of an address space; it is %lld",
					  (long long)*value);
	return err;
}

static int find_component(const char *name)
{
	for (int i = 0; name && i < LEDGER_COMPONENTS; i++)
		if (!strcmp(name, ledger_component__name((enum ledger_component)i)))
			return i;
	return -1;
}

static int read_row(struct json_reader *reader, const json_t *row, struct explain_side *side,
		    bool seen[LEDGER_COMPONENTS])
{
	const json_t *name = json_object_get(row, "component");
	int component = find_component(json_string_value(name)), err;

	if (!json_is_object(row))
		return json_reader__found(reader, NULL, "an object", row);
	if (component < 0)
		return json_reader__found(reader, "component", "a component that is known here",
					  name);
	if (seen[component])
		return json_reader__refuse(
			reader, "component", "each component once; %s is twice",
			ledger_component__name((enum ledger_component)component));
	seen[component] = true;
	err = read_bytes(reader, row, "resident_bytes", JSON_REQUIRED,
			 &side->resident_bytes[component]);
	if (!err)
		err = read_bytes(reader, row, "reserved_bytes", JSON_REQUIRED,
				 &side->reserved_bytes[component]);
	return err;
}

static int read_ledger(struct json_reader *reader, const json_t *root, struct explain_side *side)
{
	const json_t *ledger = json_object_get(root, "ledger");
	bool seen[LEDGER_COMPONENTS] = {false};
	int err = 0;

	if (!json_is_array(ledger))
		return json_reader__found(reader, "ledger", "a list", ledger);
	for (size_t i = 0; i < json_array_size(ledger) && !err; i++) {
		size_t mark = json_reader__enter(reader, "ledger", i);

		err = read_row(reader, json_array_get(ledger, i), side, seen);
		json_reader__leave(reader, mark);
	}
	return err;
}

/* What the Go runtime and JSON have in place of a number: no limit is no figure to compare. */
static bool is_no_figure(const json_t *value, const struct explain_figure *figure)
{
	return json_is_integer(value) &&
	       (json_integer_value(value) == INT64_MAX && !strcmp(figure->key, "gomemlimit_bytes"));
}

static int read_figure(struct json_reader *reader, const json_t *root,
		       const struct explain_figure *figure, int64_t *value)
{
	const json_t *object = root;
	size_t mark;
	int err;

	*value = -1;
	if (figure->section) {
		object = json_object_get(root, figure->section);
		if (json_is_null(object))
			*value = EXPLAIN_NONE;
		if (!object || json_is_null(object))
			return 0;
		err = json_reader__object(reader, figure->section, object);
		if (err)
			return err;
	}
	if (is_no_figure(json_object_get(object, figure->key), figure))
		return 0;
	if (!figure->section)
		return read_bytes(reader, object, figure->key, JSON_OPTIONAL, value);
	mark = json_reader__enter(reader, figure->section, JSON_NO_INDEX);
	err = read_bytes(reader, object, figure->key, JSON_OPTIONAL, value);
	json_reader__leave(reader, mark);
	return err;
}

static int read_names(struct json_reader *reader, const json_t *root, struct explain_side *side)
{
	int err = json_reader__whole(reader, root, "pid", JSON_REQUIRED, &side->pid);

	if (!err && (side->pid < 1 || side->pid > PID_MAX))
		err = json_reader__refuse(reader, "pid", "a PID from 1 to %d", PID_MAX);
	if (!err)
		err = json_reader__whole(reader, root, "start_time_ticks", JSON_OPTIONAL,
					 &side->start_ticks);
	if (!err)
		err = json_reader__text(reader, root, "comm", &side->comm);
	if (!err)
		err = json_reader__text(reader, root, "exe", &side->exe);
	if (!err)
		err = json_reader__text(reader, root, "malloc_owner", &side->malloc_owner);
	if (!err && json_is_object(json_object_get(root, "go")))
		err = json_reader__text(reader, json_object_get(root, "go"), "version",
					&side->go_version);
	if (!err)
		err = read_bytes(reader, root, "rss_bytes", JSON_REQUIRED, &side->rss_bytes);
	return err;
}

static int read_all(struct json_reader *reader, const json_t *root, struct explain_side *side)
{
	const json_t *schema = json_object_get(root, "schema");
	int err;

	if (!json_is_object(root))
		return json_reader__refuse(reader, "the file",
					   "an object as `memdrift explain --json` writes it");
	if (!json_is_string(schema) || strcmp(json_string_value(schema), SCHEMA)) {
		char name[64] = "missing";

		if (json_is_string(schema))
			text_printable(name, sizeof(name), json_string_value(schema));
		return json_reader__refuse(reader, "schema",
					   "\"" SCHEMA "\", a report of `memdrift explain --json`; "
					   "it is %s",
					   name);
	}
	err = read_names(reader, root, side);
	if (!err)
		err = read_ledger(reader, root, side);
	for (size_t i = 0; i < EXPLAIN_FIGURES && !err; i++)
		err = read_figure(reader, root, &explain_figures[i], &side->figures[i]);
	if (err)
		explain_side__free(side);
	return err;
}

int explain_side__take(struct explain_side *side, const json_t *root, char error[EXPLAIN_ERROR_MAX])
{
	struct json_reader reader;

	*side = (struct explain_side){0};
	json_reader__init(&reader, "the reading", error, EXPLAIN_ERROR_MAX);
	return read_all(&reader, root, side);
}

int explain_side__parse(struct explain_side *side, FILE *in, const char *name,
			char error[EXPLAIN_ERROR_MAX])
{
	struct json_reader reader;
	json_t *root;
	int err;

	*side = (struct explain_side){0};
	json_reader__init(&reader, name, error, EXPLAIN_ERROR_MAX);
	reader.command = "explain";
	root = json_reader__load(&reader, in, FILE_BYTES_MAX, &err);
	if (!root)
		return err;
	err = read_all(&reader, root, side);
	json_decref(root);
	if (err)
		return err;
	side->file = text_printable_dup(name);
	if (side->file)
		return 0;
	explain_side__free(side);
	return json_reader__no_memory(&reader);
}

int explain_side__read(struct explain_side *side, const char *path, char error[EXPLAIN_ERROR_MAX])
{
	FILE *in = fopen(path, "re");
	int err;

	*side = (struct explain_side){0};
	if (!in) {
		err = -errno;
		snprintf(error, EXPLAIN_ERROR_MAX, "cannot read %s: %s", path, strerror(-err));
		return err;
	}
	err = explain_side__parse(side, in, path, error);
	fclose(in);
	return err;
}

void explain_side__free(struct explain_side *side)
{
	free(side->file);
	free(side->comm);
	free(side->exe);
	free(side->go_version);
	free(side->malloc_owner);
	*side = (struct explain_side){0};
}

bool explain_side__same_process(const struct explain_side *a, const struct explain_side *b)
{
	return a->pid == b->pid && a->start_ticks >= 0 && a->start_ticks == b->start_ticks;
}
