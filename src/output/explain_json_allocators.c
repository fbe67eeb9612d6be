// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/explain_json.h"

static json_t *json_arena(const struct glibc_arena *arena)
{
	return json_pack("{s:o, s:b, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:o}}",
			 "address", json_address(arena->address), "is_main", arena->is_main,
			 "heaps", (json_int_t)arena->heaps, "threads", json_signed(arena->threads),
			 "system_bytes", json_count(arena->system_bytes), "in_use_bytes",
			 json_count(arena->in_use_bytes), "free_bytes",
			 json_count(arena->free_bytes), "cached_bytes",
			 json_count(arena->cached_bytes), "top_bytes", json_count(arena->top_bytes),
			 "trimmable_bytes", json_count(arena->trimmable_bytes),
			 "largest_free_bytes", json_count(arena->largest_free_bytes), "checks",
			 "walked", json_check(&arena->walked));
}

static json_t *json_arenas(const struct glibc_census *glibc)
{
	json_t *array = json_array();

	for (size_t i = 0; i < glibc->arena_count; i++) {
		json_t *arena = json_arena(&glibc->arenas[i]);

		json_object_set_new(arena, "unwalked_bytes",
				    json_count(glibc->arenas[i].unwalked_bytes));
		json_array_append_new(array, arena);
	}
	return array;
}

static json_t *json_glibc_checks(const struct glibc_census *glibc)
{
	return json_pack("{s:o, s:o, s:b, s:b}", "arenas_agreeing",
			 json_count(glibc_census__agreeing(glibc)), "mmapped",
			 json_check(&glibc->mmapped), "ring_closed", glibc->ring_closed,
			 "stood_still", glibc->stood_still);
}

static json_t *json_glibc(const struct glibc_census *glibc)
{
	const struct {
		const char *name;
		json_t *value;
	} sums[] = {
		{"system_bytes", json_count(glibc->system_bytes)},
		{"in_use_bytes", json_count(glibc->in_use_bytes)},
		{"in_use_error_bytes", json_count(glibc->in_use_error_bytes)},
		{"free_bytes", json_count(glibc->free_bytes)},
		{"cached_bytes", json_count(glibc->cached_bytes)},
		{"top_bytes", json_count(glibc->top_bytes)},
		{"trimmable_bytes", json_count(glibc->trimmable_bytes)},
		{"unwalked_bytes", json_count(glibc->unwalked_bytes)},
		{"mmapped_chunks", json_count(glibc->mmapped_chunks)},
		{"mmapped_bytes", json_count(glibc->mmapped_bytes)},
		{"mmap_threshold_bytes",
		 json_count_if(glibc->mmap_threshold_bytes > 0, glibc->mmap_threshold_bytes)},
		{"trim_threshold_bytes",
		 json_count_if(glibc->trim_threshold_bytes > 0, glibc->trim_threshold_bytes)},
		{"thread_caches", json_count(glibc->tcaches)},
		{"walks", json_count(glibc->walks)},
		{"checks", json_glibc_checks(glibc)},
		{"per_arena", json_arenas(glibc)},
	};
	json_t *object = json_pack("{s:o, s:o, s:o, s:o}", "layout", json_word(glibc->layout),
				   "arenas", json_count(glibc->arena_count), "arena_limit",
				   json_signed(glibc->arena_limit), "limit_source",
				   json_word(glibc->limit_source));
	bool failed = !object;

	for (size_t i = 0; i < sizeof(sums) / sizeof(*sums); i++)
		failed = json_object_set_new(object, sums[i].name, sums[i].value) || failed;
	if (!failed)
		return object;
	json_decref(object);
	return NULL;
}

json_t *explain_json__glibc(const struct explanation *explanation)
{
	return explanation->has_glibc ? json_glibc(&explanation->glibc) : json_null();
}

static json_t *json_classes(const struct go_facts *go)
{
	json_t *array;

	if (!go->class_count)
		return json_null();
	array = json_array();
	for (uint32_t i = 0; i < go->class_count && i < GO_CLASSES_MAX; i++) {
		const struct go_class *size_class = &go->classes[i];

		json_array_append_new(
			array,
			json_pack("{s:o, s:o, s:o, s:o, s:o}", "size_bytes",
				  json_count_if(size_class->size_bytes > 0, size_class->size_bytes),
				  "spans", json_count(size_class->spans), "span_bytes",
				  json_count(size_class->span_bytes), "objects",
				  json_count(size_class->objects), "object_bytes",
				  json_count(size_class->object_bytes)));
	}
	return array;
}

/* The whole set is unknown unless it passed the runtime's own invariants. */
static json_t *json_go_figures(const struct go_facts *go)
{
	const struct {
		const char *name;
		int64_t value;
	} figures[] = {
		{"heap_inuse_bytes", go->heap_inuse_bytes},
		{"heap_idle_bytes", go->heap_idle_bytes},
		{"heap_released_bytes", go->heap_released_bytes},
		{"heap_alloc_bytes", go->heap_alloc_bytes},
		{"heap_live_bytes", go->heap_live_bytes},
		{"heap_goal_bytes", go->heap_goal_bytes},
		{"fragmentation_bytes", go_facts__fragmentation_bytes(go)},
		{"stacks_inuse_bytes", go->stacks_inuse_bytes},
		{"sys_bytes", go->sys_bytes},
		{"gomemlimit_bytes", go->gomemlimit_bytes},
		{"num_gc", go->num_gc},
		{"span_objects_resident_bytes", go->span_objects_resident_bytes},
		{"span_stacks_resident_bytes", go->span_stacks_resident_bytes},
		{"span_idle_resident_bytes", go->span_idle_resident_bytes},
	};
	json_t *object = json_object();

	for (size_t i = 0; i < sizeof(figures) / sizeof(*figures); i++)
		json_object_set_new(object, figures[i].name,
				    json_signed(go->known ? figures[i].value : GO_UNKNOWN));
	return object;
}

json_t *explain_json__go(const struct explanation *explanation)
{
	const struct go_facts *go = &explanation->go;
	bool gogc_known = go->known && (go->gogc_off || go->gogc_percent >= 0);
	json_t *object;

	if (!explanation->has_go)
		return json_null();
	object = json_pack(
		"{s:o, s:o, s:b, s:o, s:b, s:o, s:o, s:o, s:o, s:{s:o}}", "version",
		json_word(go->version), "source", json_text(go->known ? go->source : NULL), "known",
		go->known, "why_unknown", json_text(go->known ? NULL : go->why_unknown), "has_cgo",
		go->has_cgo, "gogc_percent",
		gogc_known ? json_integer(go->gogc_off ? -1 : go->gogc_percent) : json_null(),
		"gogc_off", gogc_known ? json_boolean(go->gogc_off) : json_null(), "gomemlimit_set",
		go->known && go->gomemlimit_bytes >= 0
			? json_boolean(go->gomemlimit_bytes != INT64_MAX)
			: json_null(),
		"classes", json_classes(go), "checks", "invariants", json_check(&go->invariants));
	if (json_object_update_new(object, json_go_figures(go))) {
		json_decref(object);
		return NULL;
	}
	return object;
}

json_t *explain_json__jemalloc(const struct explanation *explanation)
{
	const struct jemalloc_facts *facts = &explanation->allocators.jemalloc;

	if (!explanation->allocators.has_jemalloc)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:o}}", "layout",
			 json_word(facts->layout), "active_bytes", json_count(facts->active_bytes),
			 "allocated_bytes", json_count(facts->allocated_bytes), "dirty_bytes",
			 json_count(facts->dirty_bytes), "muzzy_bytes",
			 json_count(facts->muzzy_bytes), "retained_bytes",
			 json_count(facts->retained_bytes), "metadata_bytes",
			 json_count_if(facts->metadata_bytes > 0, facts->metadata_bytes), "extents",
			 json_count(facts->extents), "checks", "extents_in_mappings",
			 json_check(&facts->extents_in_mappings));
}
