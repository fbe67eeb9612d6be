// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/handoff.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "probe/call_graph.h"

/* Stretches of code that one entry point is followed through by jumps: glibc's have at most 6. */
#define FOLLOWED_MAX 64

struct function_set {
	bool has[ALLOCATOR_FUNCTIONS_MAX];
};

/* What one entry point leads to. */
struct reach {
	struct function_set called;    /* entry points that it calls */
	struct function_set jumped_to; /* that it jumps to, directly or by way of other code */
};

struct marking {
	struct allocator_object *object;
	struct call_graph *graph;
	struct reach *reach; /* by function */
};

static size_t index_of(const struct marking *m, const struct allocator_function *function)
{
	return (size_t)(function - m->object->functions);
}

/* Those that are called most: see handoff.h. */
static bool is_hot(const struct allocator_function *function)
{
	return function->layout == ARG_SIZE || function->layout == ARG_FREE;
}

static void add_nested(struct allocator_function *function, uint64_t return_vaddr)
{
	for (size_t i = 0; i < function->nested_count; i++)
		if (function->nested[i] == return_vaddr)
			return;
	if (function->nested_count < ALLOCATOR_NESTED_MAX)
		function->nested[function->nested_count++] = return_vaddr;
	else
		log_debug("%s calls other entry points from more than %d places", function->key,
			  ALLOCATOR_NESTED_MAX);
}

/* Stretches reached from one by jumps, each once. */
struct route {
	const struct call_part *parts[FOLLOWED_MAX];
	size_t count;
};

static void follow(struct route *route, const struct call_part *part)
{
	for (size_t i = 0; i < route->count; i++)
		if (route->parts[i] == part)
			return;
	if (part && route->count < FOLLOWED_MAX)
		route->parts[route->count++] = part;
}

static void find_route(const struct marking *m, const struct call_part *from, struct route *route)
{
	route->count = 0;
	follow(route, from);
	for (size_t i = 0; i < route->count; i++) {
		for (size_t j = 0; j < route->parts[i]->count; j++) {
			const struct call_edge *edge = &route->parts[i]->edges[j];

			if (!edge->is_call && !edge->entry && !edge->is_foreign)
				follow(route, call_graph__part(m->graph, edge->target, 0));
		}
	}
}

/*
 * An internal function that the entry point calls: what it calls comes back to it, what it jumps
 * to comes back to where it was called.
 */
static void mark_called_function(struct marking *m, struct allocator_function *function,
				 const struct call_edge *call)
{
	struct reach *reach = &m->reach[index_of(m, function)];
	struct route route;

	find_route(m, call_graph__part(m->graph, call->target, 0), &route);
	for (size_t i = 0; i < route.count; i++) {
		for (size_t j = 0; j < route.parts[i]->count; j++) {
			const struct call_edge *edge = &route.parts[i]->edges[j];

			if (!edge->entry)
				continue;
			reach->called.has[index_of(m, edge->entry)] = true;
			add_nested(function, edge->is_call ? edge->next : call->next);
		}
	}
}

/* realloc and its like with a heap, and so on: a jump between them hands on any call. */
static bool means_the_same(enum arg_layout a, enum arg_layout b)
{
	static const enum arg_layout plain[ARG_LAYOUTS] = {
		[ARG_SIZE] = ARG_SIZE,
		[ARG_NMEMB_SIZE] = ARG_NMEMB_SIZE,
		[ARG_REALLOC] = ARG_REALLOC,
		[ARG_REALLOCARRAY] = ARG_REALLOCARRAY,
		[ARG_ALIGNED] = ARG_ALIGNED,
		[ARG_POSIX_MEMALIGN] = ARG_POSIX_MEMALIGN,
		[ARG_FREE] = ARG_FREE,
		[ARG_HEAP_SIZE] = ARG_SIZE,
		[ARG_HEAP_NMEMB_SIZE] = ARG_NMEMB_SIZE,
		[ARG_HEAP_REALLOC] = ARG_REALLOC,
	};

	return plain[a] == plain[b];
}

static void mark_jump(struct marking *m, struct allocator_function *function,
		      const struct allocator_function *entry, bool direct)
{
	if (entry == function)
		return;
	m->reach[index_of(m, function)].jumped_to.has[index_of(m, entry)] = true;
	/* By way of other code: where malloc's memory has the alignment anyway. */
	if (!direct && function->layout == ARG_ALIGNED) {
		if (!function->handoff)
			function->handoff = HANDOFF_SMALL_ALIGN;
	} else if (means_the_same(entry->layout, function->layout)) {
		function->handoff = HANDOFF_ALIAS;
	} else if (function->handoff != HANDOFF_ALIAS) {
		function->handoff = HANDOFF_JUMP;
	}
}

static void mark_function(struct marking *m, struct allocator_function *function)
{
	const struct call_part *own =
		function->size ? call_graph__part(m->graph, function->vaddr, function->size) : NULL;
	struct route route = {.count = 0};

	if (!own)
		return;
	if (is_hot(function))
		follow(&route, own);
	else
		find_route(m, own, &route);
	for (size_t i = 0; i < route.count; i++) {
		const struct call_part *part = route.parts[i];

		for (size_t j = 0; j < part->count; j++) {
			const struct call_edge *edge = &part->edges[j];

			if (edge->entry && !edge->is_call) {
				mark_jump(m, function, edge->entry, part == own);
			} else if (edge->entry) {
				m->reach[index_of(m, function)]
					.called.has[index_of(m, edge->entry)] = true;
				add_nested(function, edge->next);
			} else if (edge->is_call && !edge->is_foreign && !is_hot(function)) {
				mark_called_function(m, function, edge);
			}
		}
	}
}

/* What the entry points that are called reach is inside of the first call as well. True: more. */
static bool join_called(struct marking *m, struct allocator_function *function)
{
	struct reach *reach = &m->reach[index_of(m, function)];
	size_t before = function->nested_count;
	bool more = false;

	for (size_t i = 0; i < m->object->function_count; i++) {
		const struct allocator_function *inner = &m->object->functions[i];

		if (!reach->called.has[i])
			continue;
		for (size_t j = 0; j < inner->nested_count; j++)
			add_nested(function, inner->nested[j]);
		for (size_t j = 0; j < m->object->function_count; j++) {
			bool reached = m->reach[i].called.has[j] || m->reach[i].jumped_to.has[j];

			more |= reached && !reach->called.has[j];
			reach->called.has[j] |= reached;
		}
	}
	return more || function->nested_count > before;
}

void handoff__mark(struct allocator_object *object, struct elf_object *elf, const struct plt *plt)
{
	struct marking m = {.object = object};
	bool more = true;

	m.graph = call_graph__new(object, elf, plt);
	m.reach = calloc(object->function_count, sizeof(*m.reach));
	if (!m.graph || !m.reach)
		goto out;
	for (size_t i = 0; i < object->function_count; i++)
		mark_function(&m, &object->functions[i]);
	/* Ends: sets only grow. */
	while (more) {
		more = false;
		for (size_t i = 0; i < object->function_count; i++)
			more |= join_called(&m, &object->functions[i]);
	}
out:
	call_graph__free(m.graph);
	free(m.reach);
}
