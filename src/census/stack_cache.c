// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/stack_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/param.h>

#include "census/proc_maps.h"

/* struct pthread of nptl/descr.h on x86-64, all versions since 2.4: behind the tcbhead_t, padded to
 * 704 bytes, come `list` and `tid`. It is 64-byte aligned, and so is then each list node. */
#define LIST_OFFSET 704
#define TID_OFFSET  720
#define NODE_ALIGN  64

/* What of a struct pthread is read: to behind its stack bounds (offset 0x690 in 2.36). */
#define PTHREAD_BYTES 0xa00
#define PAGE_BYTES    4096u

/* The data of a loader takes some 12 KiB, with libpthread's 24; in a static program's the library
 * comes behind all that is the program's own. */
#define DATA_BYTES_MAX   (1u << 20)
#define STATIC_BYTES_MAX (16u << 20)
#define WINDOW_BYTES     (64u << 10)

struct list_search {
	const struct maps_entry *entries;
	size_t n;
	struct memory *memory;
	struct stack_ranges found;
	size_t threads;
	size_t nodes; /* followed in all lists */
	int err;
};

/* The words of the struct pthread whose list node this is, as far as they are resident; their
 * number, 0 when there is none. */
static size_t read_pthread(struct list_search *search, uint64_t node, uint64_t *words)
{
	uint64_t tcb = node - LIST_OFFSET;
	size_t size = PTHREAD_BYTES;

	if (node % NODE_ALIGN || node < LIST_OFFSET)
		return 0;
	if (memory__read(search->memory, tcb, words, size)) {
		size = MIN(size, PAGE_BYTES - tcb % PAGE_BYTES);
		if (size <= TID_OFFSET || memory__read(search->memory, tcb, words, size))
			return 0;
	}
	/* header.tcb and header.self */
	return words[0] == tcb && words[2] == tcb ? size / 8 : 0;
}

static int add_pthread(struct list_search *search, uint64_t node, const uint64_t *words,
		       size_t count)
{
	uint64_t tcb = node - LIST_OFFSET;
	struct stack_range range = {.sp = tcb, .tid = words[TID_OFFSET / 8]};
	int32_t tid = (int32_t)range.tid;

	/* The kernel clears it when the thread ends; the cache marks some with a negative one. */
	if (tid <= 0)
		range.tid = 0;
	else
		search->threads++;
	/* The main thread's has no stack of glibc's. */
	if (!stack_bounds__find(words, count, tcb, &range))
		return 0;
	range.sp = 0;
	return stack_ranges__add(&search->found, &range);
}

/* Follows the list whose head is at `head` and whose first node is given. Each node must lead back
 * to the one before: so no way through them can be a circle without the head. */
static void follow_list(struct list_search *search, uint64_t head, uint64_t node)
{
	uint64_t words[PTHREAD_BYTES / 8], before = head;

	while (!search->err && node != head && search->nodes < STACK_RANGES_MAX) {
		size_t count = read_pthread(search, node, words);

		if (!count || words[LIST_OFFSET / 8 + 1] != before)
			return;
		search->nodes++;
		search->err = add_pthread(search, node, words, count);
		before = node;
		node = words[LIST_OFFSET / 8];
	}
}

/* Whether the two words at addr can be a list head: next and prev are nodes of struct pthreads. */
static bool may_be_head(const struct list_search *search, const uint64_t *words, uint64_t addr)
{
	return words[0] && words[1] && words[0] % NODE_ALIGN == 0 && words[1] % NODE_ALIGN == 0 &&
	       words[0] != addr && proc_maps__find(search->entries, search->n, words[0]);
}

static void search_data(struct list_search *search, uint64_t start, uint64_t end)
{
	uint64_t *words = malloc(WINDOW_BYTES);

	if (!words) {
		search->err = -ENOMEM;
		return;
	}
	while (!search->err && start < end) {
		ssize_t got = memory__read_some(search->memory, start, words,
						MIN(WINDOW_BYTES, end - start));
		size_t count = got > 0 ? got / 8 : 0;

		if (count < 2) {
			start = (start | (PAGE_BYTES - 1)) + 1;
			continue;
		}
		for (size_t i = 0; !search->err && i + 1 < count; i++) {
			if (may_be_head(search, words + i, start + i * 8))
				follow_list(search, start + i * 8, words[i]);
		}
		start += (count - 1) * 8; /* a head may lie across the border */
		if (end - start < 16)
			break;
	}
	free(words);
}

static bool is_loader(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	return !strncmp(name, "ld-", 3) || !strncmp(name, "ld.so", 5) ||
	       !strncmp(name, "ld64.so", 7);
}

static bool is_home(const char *path, const char *exe, bool is_static)
{
	const char *slash = strrchr(path, '/');

	if (is_static)
		return exe && !strcmp(path, exe);
	return slash && (is_loader(path) || !strncmp(slash + 1, "libpthread", 10));
}

static int compare_ranges(const void *left, const void *right)
{
	const struct stack_range *a = left, *b = right;

	return (a->start > b->start) - (a->start < b->start);
}

/* Looks through the writable data of the files that may hold the heads, and what lies right behind
 * them: their zero-initialised data. */
static void search_homes(struct list_search *search, const char *exe)
{
	const uint32_t rw = PROT_READ | PROT_WRITE;
	bool is_static = true;
	uint64_t room;

	for (size_t i = 0; i < search->n; i++)
		is_static &= !is_loader(search->entries[i].path);
	room = is_static ? STATIC_BYTES_MAX : DATA_BYTES_MAX;
	for (size_t i = 0; !search->err && i < search->n; i++) {
		const struct maps_entry *entry = &search->entries[i];
		const struct maps_entry *next = i + 1 < search->n ? entry + 1 : NULL;
		uint64_t end = entry->end;

		if (entry->shared || !entry->inode || (entry->prot & rw) != rw ||
		    !is_home(entry->path, exe, is_static))
			continue;
		if (next && next->start == end && !next->inode && !next->shared &&
		    (next->prot & rw) == rw)
			end = next->end;
		search_data(search, entry->start, MIN(end, entry->start + room));
	}
}

int stack_cache__read(const struct maps_entry *entries, size_t n, struct memory *memory,
		      const char *exe, struct stack_range **ranges, size_t *count, size_t *threads)
{
	struct list_search search = {.entries = entries, .n = n, .memory = memory};

	search_homes(&search, exe);
	if (search.err) {
		free(search.found.items);
		return search.err;
	}
	if (search.found.count)
		qsort(search.found.items, search.found.count, sizeof(*search.found.items),
		      compare_ranges);
	*ranges = search.found.items;
	*count = search.found.count;
	*threads = search.threads;
	return 0;
}
