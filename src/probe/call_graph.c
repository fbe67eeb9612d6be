// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/call_graph.h"

#include <errno.h>
#include <stdlib.h>

#include <capstone/capstone.h>

#include "probe/insn.h"
#include "probe/site.h"

/*
 * jemalloc's entry points and the functions that they call are some 300 stretches of 200 kB. A
 * million bytes take a quarter of a second to decode.
 */
#define PARTS_MAX 1024
#define BYTES_MAX (1u << 20)

/* From the full symbol table, for objects without a search table of frames: static programs. */
struct extent {
	uint64_t start, end;
};

struct call_graph {
	const struct allocator_object *object;
	struct elf_object *elf;
	const struct plt *plt;
	csh decoder;
	cs_insn *insn;
	struct call_part *parts[PARTS_MAX];
	size_t count;
	uint64_t bytes;
	struct extent *extents; /* by start */
	size_t extent_count;
	bool extents_read;
};

struct call_graph *call_graph__new(const struct allocator_object *object, struct elf_object *elf,
				   const struct plt *plt)
{
	struct call_graph *graph = calloc(1, sizeof(*graph));

	if (!graph)
		return NULL;
	graph->object = object;
	graph->elf = elf;
	graph->plt = plt;
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &graph->decoder) != CS_ERR_OK) {
		free(graph);
		return NULL;
	}
	graph->insn = cs_malloc(graph->decoder);
	if (!graph->insn) {
		call_graph__free(graph);
		return NULL;
	}
	return graph;
}

void call_graph__free(struct call_graph *graph)
{
	if (!graph)
		return;
	for (size_t i = 0; i < graph->count; i++) {
		free(graph->parts[i]->edges);
		free(graph->parts[i]);
	}
	if (graph->insn)
		cs_free(graph->insn, 1);
	cs_close(&graph->decoder);
	free(graph->extents);
	free(graph);
}

static int add_extent(void *ctx, const struct elf_function *function)
{
	struct call_graph *graph = ctx;

	if (!function->size)
		return 0;
	if (graph->extent_count % 256 == 0) {
		struct extent *bigger =
			reallocarray(graph->extents, graph->extent_count + 256, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		graph->extents = bigger;
	}
	graph->extents[graph->extent_count++] =
		(struct extent){function->vaddr, function->vaddr + function->size};
	return 0;
}

static int compare_extents(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static int find_inside(const void *vaddr, const void *extent)
{
	const uint64_t *at = vaddr;
	const struct extent *e = extent;

	return *at < e->start ? -1 : *at >= e->end;
}

/* The function that has code at vaddr. */
static int find_extent(struct call_graph *graph, uint64_t vaddr, struct extent *extent)
{
	const struct extent *found = NULL;

	if (!elf_object__function_at(graph->elf, vaddr, &extent->start, &extent->end))
		return 0;
	if (!graph->extents_read)
		elf_object__each_function(graph->elf, ELF_SYMTAB, add_extent, graph);
	if (!graph->extents_read && graph->extent_count)
		qsort(graph->extents, graph->extent_count, sizeof(graph->extents[0]),
		      compare_extents);
	graph->extents_read = true;
	if (graph->extent_count)
		found = bsearch(&vaddr, graph->extents, graph->extent_count,
				sizeof(graph->extents[0]), find_inside);
	if (!found)
		return -ENOENT;
	*extent = *found;
	return 0;
}

static const struct allocator_function *entry_named(const struct allocator_object *object, int name)
{
	for (size_t i = 0; name >= 0 && i < object->function_count; i++)
		if (family_set__has(&object->functions[i].names, (size_t)name))
			return &object->functions[i];
	return NULL;
}

static const struct allocator_function *entry_at(const struct allocator_object *object,
						 uint64_t vaddr)
{
	for (size_t i = 0; i < object->function_count; i++)
		if (object->functions[i].vaddr == vaddr)
			return &object->functions[i];
	return NULL;
}

/* A name is taken for the object's own function of that name, as it mostly is. */
static void follow_name(const struct call_graph *graph, const struct plt_target *target,
			struct call_edge *edge)
{
	edge->entry = entry_named(graph->object, target->name);
	if (!edge->entry)
		edge->entry = entry_at(graph->object, target->vaddr);
	edge->target = target->vaddr;
	edge->is_foreign = !edge->entry && !target->vaddr;
}

static bool add_edge(struct call_part *part, const struct call_edge *edge)
{
	/* In steps of 16: most functions have fewer. */
	if (part->count % 16 == 0) {
		struct call_edge *bigger =
			reallocarray(part->edges, part->count + 16, sizeof(*bigger));

		if (!bigger)
			return false;
		part->edges = bigger;
	}
	part->edges[part->count++] = *edge;
	return true;
}

/* What the instruction reaches outside of the part. False: nothing that is told here. */
static bool read_edge(const struct call_graph *graph, const struct call_part *part,
		      const uint8_t *code, size_t len, uint64_t next, struct call_edge *edge)
{
	struct plt_target target;
	int64_t displacement;
	uint64_t slot;

	*edge = (struct call_edge){.next = next};
	if (insn__branch_slot(code, len, next, &slot, &edge->is_call)) {
		target = plt__slot(graph->plt, slot);
		follow_name(graph, &target, edge);
		return !edge->is_foreign;
	}
	if (!insn__branch_displacement(code, len, &displacement))
		return false;
	edge->target = next + (uint64_t)displacement;
	edge->is_call = insn__classify(code, len) == INSN_CALL;
	if (!edge->is_call && edge->target >= part->start && edge->target < part->end)
		return false;
	edge->entry = entry_at(graph->object, edge->target);
	if (!edge->entry && plt__entry_at(graph->plt, edge->target, &target))
		follow_name(graph, &target, edge);
	return true;
}

/* From the first byte to the last: compilers put no data between instructions here. */
static void decode_part(struct call_graph *graph, struct call_part *part, const uint8_t *code,
			size_t len)
{
	uint64_t vaddr = part->start;
	size_t left = len;

	while (left) {
		const uint8_t *from = code;
		struct call_edge edge;

		if (insn__is_endbr64(code, left)) {
			/* Capstone 4 does not know it. */
			code += 4;
			left -= 4;
			vaddr += 4;
			continue;
		}
		if (!cs_disasm_iter(graph->decoder, &code, &left, &vaddr, graph->insn))
			return;
		if (read_edge(graph, part, from, graph->insn->size, vaddr, &edge) &&
		    !add_edge(part, &edge))
			return;
	}
}

static struct call_part *add_part(struct call_graph *graph, uint64_t start, uint64_t end)
{
	struct call_part *part;
	uint64_t offset;
	uint8_t *code;
	long got;

	if (graph->count == PARTS_MAX || end <= start || end - start > SITE_CODE_MAX ||
	    graph->bytes + (end - start) > BYTES_MAX ||
	    elf_object__file_offset(graph->elf, start, &offset))
		return NULL;
	part = calloc(1, sizeof(*part));
	code = malloc(end - start);
	got = code ? elf_object__read_code(graph->elf, offset, code, end - start) : -1;
	if (!part || got <= 0) {
		free(code);
		free(part);
		return NULL;
	}
	part->start = start;
	part->end = end;
	graph->bytes += end - start;
	graph->parts[graph->count++] = part;
	decode_part(graph, part, code, (size_t)got);
	free(code);
	return part;
}

const struct call_part *call_graph__part(struct call_graph *graph, uint64_t vaddr, uint64_t size)
{
	struct extent extent = {vaddr, vaddr + size};

	for (size_t i = 0; i < graph->count; i++)
		if (vaddr >= graph->parts[i]->start && vaddr < graph->parts[i]->end)
			return graph->parts[i];
	if (!size && find_extent(graph, vaddr, &extent))
		return NULL;
	return add_part(graph, extent.start, extent.end);
}
