// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/glibc_arenas.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "census/arena_limit.h"
#include "census/glibc_ring.h"
#include "census/host.h"
#include "census/malloc_par.h"
#include "census/proc_maps.h"
#include "census/proc_stat.h"
#include "census/subject.h"

/* 8 arenas for each of 8,192 CPUs, each with a first heap, and as many further heaps: what a
 * hostile process fakes beyond that is not looked at. */
#define HEAPS_MAX (2 * 8 * 8192)

/* 16 heaps side by side that the kernel merged; beyond it, looking at each place takes longer than
 * asking which pages there are. */
#define LONG_MAPPING (1ULL << 30)

/* A thread may link a new arena while we follow the ring. */
#define RING_TRIES 3

void glibc_arenas__init(struct glibc_arenas *arenas)
{
	*arenas = (struct glibc_arenas){.arena_count = -1, .limit = -1};
}

void glibc_arenas__free(struct glibc_arenas *arenas)
{
	free(arenas->heaps);
	glibc_arenas__init(arenas);
}

static bool is_anonymous(const struct maps_entry *entry)
{
	return !entry->shared && !entry->inode && (entry->path[0] == '\0' || entry->path[0] == '[');
}

struct heap_search {
	struct pagemap *pm;
	const struct maps_entry *entries;
	size_t n;
	struct glibc_arenas *arenas;
	size_t room;
	int err;
};

static int add_heap(struct heap_search *search, const struct glibc_heap *heap)
{
	struct glibc_arenas *arenas = search->arenas;

	if (arenas->heap_count == HEAPS_MAX)
		return 0;
	if (arenas->heap_count == search->room) {
		size_t room = search->room ? 2 * search->room : 32;
		struct glibc_heap *heaps = reallocarray(arenas->heaps, room, sizeof(*heaps));

		if (!heaps)
			return -ENOMEM;
		arenas->heaps = heaps;
		search->room = room;
	}
	arenas->heaps[arenas->heap_count++] = *heap;
	return 0;
}

/* What it says to use must be mapped: all 64 MiB are, at once, by new_heap. */
static int measure_heap(const struct heap_search *search, struct glibc_heap *heap)
{
	uint64_t end = entries__anonymous_end(search->entries, search->n, heap->base,
					      heap->base + GLIBC_HEAP_BYTES);

	if (end < heap->base + heap->size_bytes)
		return -ENOENT;
	heap->mapped_bytes = end - heap->base;
	return 0;
}

/* Every aligned address in [start, end) whose first words are a heap's. */
static void search_range(void *ctx, uint64_t start, uint64_t end, bool file)
{
	struct heap_search *search = ctx;
	uint64_t base = (start + GLIBC_HEAP_BYTES - 1) & ~(GLIBC_HEAP_BYTES - 1);

	for (; !search->err && base >= start && base < end; base += GLIBC_HEAP_BYTES) {
		struct glibc_heap heap;
		int err = glibc_heap__peek(search->pm, base, &heap);

		if (!err)
			err = measure_heap(search, &heap);
		if (!err)
			err = add_heap(search, &heap);
		if (err == -ESRCH || err == -ENOMEM)
			search->err = err;
	}
}

static int find_heaps(struct pagemap *pm, const struct maps_entry *entries, size_t n,
		      struct glibc_arenas *arenas)
{
	const uint32_t rw = PROT_READ | PROT_WRITE;
	struct heap_search search = {.pm = pm, .entries = entries, .n = n, .arenas = arenas};

	for (size_t i = 0; !search.err && i < n; i++) {
		const struct maps_entry *entry = &entries[i];
		int err = -EOPNOTSUPP;

		if (!is_anonymous(entry) || (entry->prot & rw) != rw)
			continue;
		/* Long mappings are mostly reserved address space: only what is resident counts. */
		if (entry->end - entry->start > LONG_MAPPING)
			err = pagemap__each_run(pm, entry->start, entry->end, search_range,
						&search);
		if (err == -EOPNOTSUPP)
			search_range(&search, entry->start, entry->end, false);
		else if (err)
			return err;
	}
	return search.err;
}

static const struct glibc_heap *heap_at(const struct glibc_arenas *arenas, uint64_t base)
{
	const struct glibc_heap *heap = glibc_arenas__find(arenas, base);

	return heap && heap->base == base ? heap : NULL;
}

enum verdict { VERDICT_NONE, VERDICT_DROP, VERDICT_KEEP };

/*
 * Each further heap must lead to its arena's first heap through heaps of the same arena. What one
 * heap of a chain leads to, all before it do: no chain is followed twice, however long.
 */
static void judge_chain(const struct glibc_arenas *arenas, const struct glibc_heap *from,
			uint8_t *verdicts)
{
	const struct glibc_heap *heap = from;

	while (heap && heap->arena == from->arena) {
		uint8_t *verdict = &verdicts[heap - arenas->heaps];

		if (heap->is_first || *verdict != VERDICT_NONE)
			break;
		/* Until it is known to lead there; a chain that comes back here does not. */
		*verdict = VERDICT_DROP;
		heap = heap_at(arenas, heap->prev);
	}
	if (!heap || heap->arena != from->arena ||
	    (!heap->is_first && verdicts[heap - arenas->heaps] != VERDICT_KEEP))
		return;
	verdicts[heap - arenas->heaps] = VERDICT_KEEP;
	for (; from != heap; from = heap_at(arenas, from->prev))
		verdicts[from - arenas->heaps] = VERDICT_KEEP;
}

static int drop_unlinked_heaps(struct glibc_arenas *arenas)
{
	uint8_t *verdicts = calloc(arenas->heap_count + 1, sizeof(*verdicts));
	size_t kept = 0;

	if (!verdicts)
		return -ENOMEM;
	for (size_t i = 0; i < arenas->heap_count; i++)
		judge_chain(arenas, &arenas->heaps[i], verdicts);
	for (size_t i = 0; i < arenas->heap_count; i++) {
		if (verdicts[i] == VERDICT_KEEP)
			arenas->heaps[kept++] = arenas->heaps[i];
	}
	arenas->heap_count = kept;
	free(verdicts);
	return 0;
}

const struct glibc_heap *glibc_arenas__find(const struct glibc_arenas *arenas, uint64_t addr)
{
	size_t low = 0, high = arenas->heap_count;

	/* Most of what is asked for is no address of a heap, nor near one. */
	if (!high || addr < arenas->heaps[0].base ||
	    addr >= arenas->heaps[high - 1].base + GLIBC_HEAP_BYTES)
		return NULL;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (arenas->heaps[middle].base + GLIBC_HEAP_BYTES <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low < arenas->heap_count && arenas->heaps[low].base <= addr ? &arenas->heaps[low]
									   : NULL;
}

static void count_arenas(struct pagemap *pm, const struct maps_entry *entries, size_t n,
			 struct glibc_arenas *arenas)
{
	size_t thread_arenas = 0;
	int64_t ring = -1;

	for (size_t i = 0; i < arenas->heap_count; i++)
		thread_arenas += arenas->heaps[i].is_first;
	for (int tries = 0; ring < 0 && tries < RING_TRIES && (arenas->has_glibc || !tries);
	     tries++)
		ring = glibc_ring__follow(pm, entries, n, arenas, &arenas->main_arena,
					  &arenas->bins_offset);
	/* The ring may hold arenas that were made since the maps were read, never fewer. */
	arenas->ring_closed = ring >= (int64_t)thread_arenas + 1;
	arenas->arena_count = arenas->ring_closed ? ring : (int64_t)thread_arenas + 1;
}

static void find_limit(uint32_t pid, struct pagemap *pm, const struct maps_entry *entries, size_t n,
		       struct glibc_arenas *arenas)
{
	struct malloc_par par;
	char *malloc_arena_max = NULL, *tunables = NULL;
	bool par_known = malloc_par__read(pm, entries, n, &par) == 0;

	if (proc_environ(pid, "MALLOC_ARENA_MAX", &malloc_arena_max))
		malloc_arena_max = NULL;
	if (proc_environ(pid, "GLIBC_TUNABLES", &tunables))
		tunables = NULL;
	arenas->limit = arena_limit__decide(par_known ? &par : NULL, malloc_arena_max, tunables,
					    host__cpus_online(), arenas->limit_source,
					    sizeof(arenas->limit_source));
	free(tunables);
	free(malloc_arena_max);
}

static int read_arenas(uint32_t pid, const struct maps_entry *entries, size_t n, struct pagemap *pm,
		       struct glibc_arenas *arenas)
{
	int err = find_heaps(pm, entries, n, arenas);

	if (!err)
		err = drop_unlinked_heaps(arenas);
	if (err)
		return err;
	arenas->has_glibc = arenas->heap_count > 0;
	for (size_t i = 0; i < n && !arenas->has_glibc; i++)
		arenas->has_glibc = path_is_glibc(entries[i].path);
	/* A static program has no libc.so.6, and no heap but the main arena's as long as it has no
	 * threads. */
	count_arenas(pm, entries, n, arenas);
	arenas->has_glibc = arenas->has_glibc || arenas->main_arena;
	if (arenas->has_glibc)
		find_limit(pid, pm, entries, n, arenas);
	else
		arenas->arena_count = -1;
	/* Of a process that ended meanwhile only a part was seen. */
	return pagemap__alive(pm) ? 0 : -ESRCH;
}

int glibc_arenas__read(uint32_t pid, const struct maps_entry *entries, size_t n, struct pagemap *pm,
		       struct glibc_arenas *out)
{
	struct glibc_arenas arenas;
	struct pagemap *own = NULL;
	int err = 0;

	if (!pm)
		err = pagemap__open(pid, &own);
	if (err)
		return err;
	glibc_arenas__init(&arenas);
	err = read_arenas(pid, entries, n, pm ? pm : own, &arenas);
	pagemap__close(own);
	if (err) {
		glibc_arenas__free(&arenas);
		return err;
	}
	free(out->heaps);
	*out = arenas;
	return 0;
}

void glibc_arenas__store(const struct glibc_arenas *arenas, struct arenas *model)
{
	model->present = arenas->arena_count;
	model->limit = arenas->limit;
	snprintf(model->limit_source, sizeof(model->limit_source), "%s", arenas->limit_source);
}
