// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "golang/go_mappings.h"

#include <errno.h>
#include <string.h>
#include <sys/param.h>

#include "golang/go_heap.h"

/*
 * runtime/malloc.go for linux/amd64: an arena's address is its index times 64 MiB from the lowest
 * canonical address on, and one table of pointers holds all of them.
 */
#define ARENA_BYTES       (64ull << 20)
#define ARENA_BASE        0xffff800000000000ull
#define ARENA_INDEX_COUNT (4ull << 20)

/* Terabytes of heap; lists are no longer, whatever their pointers say. */
#define ARENAS_MAX (64u << 10)
#define CHAIN_MAX  (64u << 10)

#define PERSISTENT_CHUNK_BYTES (256ull << 10)  /* malloc.go, persistentChunkSize */
#define BUCKHASH_BYTES         (179999ull * 8) /* mprof.go, buckhashArray */
#define GC_BITS_BYTES          (64ull << 10)   /* mheap.go, gcBitsChunkBytes */
#define CHUNKS_PER_TABLE       8192            /* mpagealloc.go, pallocChunksL2Bits */
#define CHUNK_TABLES           8192            /* pallocChunksL1Bits */
#define SUMMARY_LEVELS         5               /* mpagealloc_64bit.go */
#define RESERVATION_MAX        (1ull << 30)    /* the largest level has 2^26 words */

struct claimer {
	const struct go_program *program;
	struct subject *subject;
	struct claims *claims;
	uint64_t heap_resident;
	uint32_t arenas;
	int err; /* the first of the claims' own */
};

static bool is_anonymous(const struct maps_entry *entry)
{
	return !entry->shared && !entry->inode &&
	       (!entry->path[0] || !strncmp(entry->path, "[anon:", 6));
}

/* The first entry that ends above addr. */
static size_t first_above(const struct subject *subject, uint64_t addr)
{
	size_t low = 0, high = subject->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (subject->entries[middle].end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Claims what is anonymous of it, in whole pages; resident bytes of that. */
static uint64_t claim(struct claimer *claimer, uint64_t start, uint64_t bytes,
		      enum ledger_component component, const char *how)
{
	const struct subject *subject = claimer->subject;
	uint64_t end = range__end(start, bytes), resident = 0;

	if (!end)
		return 0;
	for (size_t i = first_above(subject, start); i < subject->n; i++) {
		const struct maps_entry *entry = &subject->entries[i];
		uint64_t from = MAX(start, entry->start), to = MIN(end, entry->end);
		int err;

		if (from >= to)
			break;
		if (!is_anonymous(entry))
			continue;
		err = claims__add(claimer->claims, from, to, component, how);
		if (err && !claimer->err)
			claimer->err = err;
		resident += subject__resident(subject, from, to);
	}
	return resident;
}

static bool read_word(struct claimer *claimer, uint64_t addr, uint64_t *word)
{
	return !memory__word(&claimer->subject->memory, addr, word);
}

/* Where a field of mheap_ lies; 0 when that is not known. */
static uint64_t heap_field(const struct claimer *claimer, enum go_field field)
{
	uint32_t at = claimer->program->layout.at[field];
	uint64_t mheap = claimer->program->at[GO_MHEAP];

	return mheap && claimer->program->known && at != GO_ABSENT ? mheap + at : 0;
}

static void claim_arena(struct claimer *claimer, uint64_t index, uint64_t description)
{
	uint32_t bytes = claimer->program->layout.at[GO_ARENA_BYTES];

	if (++claimer->arenas > ARENAS_MAX)
		return;
	claimer->heap_resident += claim(claimer, ARENA_BASE + index * ARENA_BYTES, ARENA_BYTES,
					LEDGER_GO_HEAP, "arenas of Go's mheap");
	if (bytes != GO_ABSENT)
		claim(claimer, description & ~(SPACE_PAGE_BYTES - 1),
		      bytes + description % SPACE_PAGE_BYTES, LEDGER_GO_RUNTIME,
		      "descriptions of heap arenas");
}

/* The table of arenas has room for the whole address space: what is resident of it is read. */
static void claim_arenas(struct claimer *claimer)
{
	uint64_t words[SPACE_PAGE_BYTES / 8], table, field = heap_field(claimer, GO_ARENAS);
	const uint64_t bytes = ARENA_INDEX_COUNT * 8;
	struct memory *memory = &claimer->subject->memory;

	if (!field || !read_word(claimer, field, &table) || table % SPACE_PAGE_BYTES ||
	    !range__end(table, bytes))
		return;
	claim(claimer, table, bytes, LEDGER_GO_RUNTIME, "index of heap arenas");
	for (uint64_t at = 0; at < bytes; at += sizeof(words)) {
		if (!memory__run_end(memory, table + at) ||
		    memory__read(memory, table + at, words, sizeof(words)))
			continue;
		for (uint64_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			if (words[i])
				claim_arena(claimer, at / 8 + i, words[i]);
		}
	}
}

/* Arenas begin at multiples of their size; what follows one without a gap is more of it. */
static bool may_be_heap(const struct claimer *claimer, const struct maps_entry *entry,
			uint64_t heap_end)
{
	enum go_heap rule = go_heap__of_version(claimer->program->version);

	return go_heap__may_hold(rule, entry->start) &&
	       (rule == GO_HEAP_HINTED || entry->start % ARENA_BYTES == 0 ||
		entry->start == heap_end);
}

/* By where the runtime places its heap. */
static void claim_heap_range(struct claimer *claimer)
{
	uint64_t heap_end = 0;

	for (size_t i = 0; i < claimer->subject->n; i++) {
		const struct maps_entry *entry = &claimer->subject->entries[i];

		if (!is_anonymous(entry) || !may_be_heap(claimer, entry, heap_end))
			continue;
		heap_end = entry->end;
		claimer->heap_resident += claim(claimer, entry->start, entry->end - entry->start,
						LEDGER_GO_HEAP, "address range of Go's heap");
	}
}

/* The list of blocks of a size whose word `next` leads on. */
static void claim_chain(struct claimer *claimer, uint64_t at, uint64_t bytes, uint64_t next,
			const char *how)
{
	for (uint32_t i = 0; i < CHAIN_MAX && at && at % SPACE_PAGE_BYTES == 0; i++) {
		claim(claimer, at, bytes, LEDGER_GO_RUNTIME, how);
		if (!read_word(claimer, at + next, &at))
			break;
	}
}

static void claim_lists(struct claimer *claimer)
{
	const uint64_t *at = claimer->program->at;
	uint64_t first;

	if (at[GO_PERSISTENT_CHUNKS] && read_word(claimer, at[GO_PERSISTENT_CHUNKS], &first))
		claim_chain(claimer, first, PERSISTENT_CHUNK_BYTES, 0, "persistent chunks");
	if (at[GO_BUCKHASH] && read_word(claimer, at[GO_BUCKHASH], &first) && first)
		claim(claimer, first, BUCKHASH_BYTES, LEDGER_GO_RUNTIME, "heap profile");
	/* The lock, then: free, next, current, previous. */
	for (uint64_t i = 1; at[GO_GC_BITS] && i <= 4; i++) {
		if (read_word(claimer, at[GO_GC_BITS] + i * 8, &first))
			claim_chain(claimer, first, GC_BITS_BYTES, 8, "bitmaps of spans");
	}
}

/* A slice of the runtime's own, as much as it has room for. */
static void claim_slice(struct claimer *claimer, uint64_t field, uint64_t each, const char *how)
{
	uint64_t slice[3]; /* address, length, capacity */

	if (!field || memory__read(&claimer->subject->memory, field, slice, sizeof(slice)) ||
	    slice[2] > RESERVATION_MAX / each)
		return;
	claim(claimer, slice[0], slice[2] * each, LEDGER_GO_RUNTIME, how);
}

/* The first level of the page allocator's bitmaps is a part of mheap_: what is resident of it. */
static void claim_bitmaps(struct claimer *claimer)
{
	uint64_t tables[SPACE_PAGE_BYTES / 8], at = heap_field(claimer, GO_CHUNKS);
	const uint64_t bytes =
		(uint64_t)claimer->program->layout.at[GO_CHUNK_BYTES] * CHUNKS_PER_TABLE;
	const uint64_t end = at ? at + CHUNK_TABLES * 8 : 0;

	while (at < end) {
		uint64_t size = MIN(SPACE_PAGE_BYTES - at % SPACE_PAGE_BYTES, end - at);

		if (!memory__read(&claimer->subject->memory, at, tables, size)) {
			for (size_t i = 0; i < size / sizeof(tables[0]); i++) {
				if (tables[i])
					claim(claimer, tables[i], bytes, LEDGER_GO_RUNTIME,
					      "bitmaps of free pages");
			}
		}
		at += size;
	}
}

static void claim_page_allocator(struct claimer *claimer)
{
	uint64_t field = heap_field(claimer, GO_SUMMARY);

	for (uint64_t i = 0; field && i < SUMMARY_LEVELS; i++)
		claim_slice(claimer, field + i * 24, 8, "summaries of free pages");
	/* Words of 8 bytes at most; of one byte in 1.19. */
	claim_slice(claimer, heap_field(claimer, GO_SCAVENGE_INDEX),
		    go_version__minor(claimer->program->version) > 20 ? 8 : 1,
		    "index of pages to release");
	claim_slice(claimer, heap_field(claimer, GO_ALL_SPANS), 8, "list of spans");
	claim_bitmaps(claimer);
}

int go_mappings__claim(const struct go_program *program, struct subject *subject,
		       struct claims *claims, uint64_t *heap_resident)
{
	struct claimer claimer = {.program = program, .subject = subject, .claims = claims};

	claim_arenas(&claimer);
	if (!claimer.arenas)
		claim_heap_range(&claimer);
	claim_lists(&claimer);
	claim_page_allocator(&claimer);
	*heap_resident = claimer.heap_resident;
	return claimer.err;
}
