// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/thread_stacks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#include "census/proc_file.h"
#include "census/proc_maps.h"
#include "census/proc_stat.h"
#include "census/subject.h"

/* How far above a stack pointer, and below the mapping's end, a struct pthread is looked for. Most
 * threads wait within a few KiB of their stack's upper end. */
#define SEARCH_BYTES (256u << 10)

#define PAGE_BYTES 4096u

/* struct pthread is 64-byte aligned and 0x900 bytes in glibc 2.36; its stack bounds lie within. */
#define PTHREAD_ALIGN 64
#define PTHREAD_BYTES 0xa00

/* Up to where musl's struct pthread has its bounds. It may begin near the end of a page, but the
 * thread's own data of 1 KiB (__pthread_tsd_size) follows it. */
#define MUSL_WORDS 14

/* A stack without bounds of its own is taken for its whole mapping up to this length. */
#define WHOLE_MAPPING_MAX (256ULL << 20)

struct stack_search {
	uint32_t pid;
	const struct maps_entry *entries;
	size_t n;
	struct pagemap *pm;
	enum go_heap go_heap;
	struct stack_ranges found;
};

uint64_t stack_pointer_of(const char *text)
{
	const char *last = strrchr(text, ' ');
	const char *before;

	if (!last)
		return 0; /* "running" */
	before = memrchr(text, ' ', last - text);
	return before ? strtoull(before + 1, NULL, 16) : 0;
}

bool stack_bounds__find(const uint64_t *words, size_t count, uint64_t tcb,
			struct stack_range *range)
{
	for (size_t i = 0; i + 3 <= count; i++) {
		uint64_t block = words[i], size = words[i + 1], guard = words[i + 2];

		if (block && block <= range->sp && block < tcb && size <= 1ULL << 40 &&
		    block + size > tcb && block + size - tcb <= 2 * PAGE_BYTES && guard < size &&
		    guard % PAGE_BYTES == 0) {
			range->start = block;
			range->end = block + size;
			range->exact = true;
			return true;
		}
	}
	return false;
}

/* The stack of the struct pthread at tcb, as far as its pages are resident: one that ends before
 * PTHREAD_BYTES may be followed by a page that was never touched. */
static bool read_bounds(struct pagemap *pm, uint64_t tcb, struct stack_range *range)
{
	uint64_t body[PTHREAD_BYTES / 8];
	size_t size = PTHREAD_BYTES, in_page = PAGE_BYTES - tcb % PAGE_BYTES;

	if (pagemap__peek(pm, tcb, body, size)) {
		size = MIN(size, in_page);
		if (pagemap__peek(pm, tcb, body, size))
			return false;
	}
	return stack_bounds__find(body, size / 8, tcb, range);
}

/*
 * musl's struct pthread (src/internal/pthread_impl.h), all versions since 1.1.20: self at 0, then
 * at word 9 map_base, map_size, stack (its upper end), stack_size, guard_size. A stack that the
 * program gave has no map_base.
 */
static bool find_musl_bounds(const uint64_t *words, uint64_t self, struct stack_range *range)
{
	uint64_t base = words[9], size = words[10], top = words[11];

	if (words[0] != self || !base || base % PAGE_BYTES || size % PAGE_BYTES ||
	    size > 1ULL << 40 || base > range->sp || range->sp >= self || self - base >= size ||
	    top <= range->sp || top > base + size || words[12] > size || words[13] > size)
		return false;
	range->start = base;
	range->end = base + size;
	range->exact = true;
	return true;
}

/* Looks for struct pthreads that begin in the page: in glibc's the first word (header.tcb) and the
 * third (header.self) are the struct's own address. */
static bool search_page(struct pagemap *pm, uint64_t page, struct stack_range *range)
{
	uint64_t words[PAGE_BYTES / 8];

	if (pagemap__peek(pm, page, words, sizeof(words)))
		return false;
	for (size_t i = 0; i + MUSL_WORDS <= PAGE_BYTES / 8; i++) {
		uint64_t tcb = page + i * 8;

		if (words[i] != tcb)
			continue;
		if (find_musl_bounds(words + i, tcb, range))
			return true;
		if (tcb % PTHREAD_ALIGN == 0 && words[i + 2] == tcb && read_bounds(pm, tcb, range))
			return true;
	}
	return false;
}

static bool search_pages(struct pagemap *pm, uint64_t start, uint64_t end,
			 struct stack_range *range)
{
	for (uint64_t page = start & ~(PAGE_BYTES - 1ULL); page < end; page += PAGE_BYTES) {
		if (search_page(pm, page, range))
			return true;
	}
	return false;
}

/* The bounds around range->sp in its mapping. */
static bool find_stack(const struct stack_search *search, const struct maps_entry *entry,
		       struct stack_range *range)
{
	uint64_t near_end = MIN(entry->end, range->sp + SEARCH_BYTES);
	uint64_t far_start = MAX(near_end, entry->end - MIN(entry->end, SEARCH_BYTES));

	if (search_pages(search->pm, range->sp, near_end, range) ||
	    search_pages(search->pm, far_start, entry->end, range))
		return true;
	if (entry->end - entry->start > WHOLE_MAPPING_MAX)
		return false;
	range->start = entry->start;
	range->end = entry->end;
	return true;
}

int stack_ranges__add(struct stack_ranges *ranges, const struct stack_range *range)
{
	if (ranges->count == ranges->room) {
		size_t room = ranges->room ? 2 * ranges->room : 64;
		struct stack_range *items = reallocarray(ranges->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		ranges->items = items;
		ranges->room = room;
	}
	ranges->items[ranges->count++] = *range;
	return 0;
}

static int look_at_thread(void *ctx, uint32_t tid)
{
	struct stack_search *search = ctx;
	struct stack_range range = {.tid = tid};
	const struct maps_entry *entry;
	char name[64], text[256];

	snprintf(name, sizeof(name), "task/%u/syscall", tid);
	if (search->found.count >= STACK_RANGES_MAX ||
	    proc_file__read(search->pid, name, text, sizeof(text)) <= 0)
		return 0; /* the thread has ended, or the kernel does not tell */
	range.sp = stack_pointer_of(text);
	entry = proc_maps__find(search->entries, search->n, range.sp);
	if (!entry || entry->inode || entry->shared || strcmp(entry->path, "[stack]") == 0 ||
	    strcmp(entry->path, "[heap]") == 0)
		return 0;
	/* A goroutine's stack is the Go heap's; upwards from it lies nothing to find. */
	if (go_heap__may_hold(search->go_heap, range.sp))
		return 0;
	return find_stack(search, entry, &range) ? stack_ranges__add(&search->found, &range) : 0;
}

static int compare_ranges(const void *left, const void *right)
{
	const struct stack_range *a = left, *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return (int)b->exact - (int)a->exact;
}

/* Two threads in one mapping without bounds are one range; what overlaps an earlier one is cut. */
static size_t drop_overlaps(struct stack_range *ranges, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		struct stack_range *last = kept ? &ranges[kept - 1] : NULL;

		/* Exact bounds within a whole mapping: the mapping ends there. */
		if (last && !last->exact && ranges[i].exact && ranges[i].start < last->end)
			last->end = ranges[i].start;
		if (last && ranges[i].start < last->end)
			ranges[i].start = last->end;
		if (ranges[i].start < ranges[i].end)
			ranges[kept++] = ranges[i];
	}
	return kept;
}

size_t stack_ranges__sort(struct stack_range *ranges, size_t count)
{
	if (count)
		qsort(ranges, count, sizeof(*ranges), compare_ranges);
	return drop_overlaps(ranges, count);
}

int thread_stacks__read(uint32_t pid, const struct maps_entry *entries, size_t n,
			struct pagemap *pm, enum go_heap go_heap, struct stack_range **ranges,
			size_t *count)
{
	struct stack_search search = {
		.pid = pid, .entries = entries, .n = n, .pm = pm, .go_heap = go_heap};
	int err = proc_each_thread(pid, look_at_thread, &search);

	if (err) {
		free(search.found.items);
		return err;
	}
	*count = stack_ranges__sort(search.found.items, search.found.count);
	*ranges = search.found.items;
	return 0;
}

const struct stack_range *thread_stacks__find(const struct stack_range *ranges, size_t count,
					      uint64_t addr, uint64_t *next)
{
	size_t low = 0, high = count;
	bool inside;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ranges[middle].end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	inside = low < count && ranges[low].start <= addr;
	if (next)
		*next = low == count ? UINT64_MAX : inside ? ranges[low].end : ranges[low].start;
	return inside ? &ranges[low] : NULL;
}
