/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_MODEL_ARENAS_H
#define MEMDRIFT_MODEL_ARENAS_H

#include <stdbool.h>
#include <stdint.h>

struct space;
struct mapping;

/*
 * glibc malloc arenas of one process: which were created during the trace, by whom, and by
 * which of the three sources that is known.
 */
enum arena_source { ARENA_FROM_MAPPING, ARENA_FROM_SYMBOL, ARENA_FROM_USDT };

struct arena_event {
	double t_s;
	uint32_t tid;
	uint64_t address; /* of the arena's first heap: a multiple of 64 MiB */
	int32_t stack;    /* from the best source that had one */
	bool seen_by_mapping, seen_by_symbol, seen_by_usdt;
	enum arena_source stack_from; /* whose stack it is */
};

/* glibc allows 8 arenas per CPU; 4,096 covers 512 CPUs. More are counted, not kept. */
#define ARENA_EVENTS_MAX 4096

struct arenas {
	bool symbol_probed; /* arena_get2 has its probes on this process */
	bool usdt_probed;
	double symbol_from_s, usdt_from_s; /* since when, of the trace: 0 when from its start */
	struct arena_event *events;
	uint32_t event_count;
	uint32_t created_by_mapping, created_by_symbol,
		created_by_usdt; /* how many each source saw */
	uint32_t get_calls;      /* arena_get2 returned an arena */
	uint32_t reused;         /* of those: one that existed */
	uint32_t unclear;        /* of those: the mapping that holds it was not seen being made */
	uint32_t heaps;          /* further heaps of arenas */
	uint32_t usdt_heaps;     /* heaps that memory_heap_new told of, first ones included */
	/*
	 * glibc makes a new arena and a further heap of an arena with the same calls. A further
	 * heap is only made when one of the process is full up to the size asked for, so while none
	 * is, it is an arena; else it stands here, in neither count, until memory or a probe tells.
	 */
	struct arena_event *undecided;
	uint32_t undecided_count;
	int64_t present;       /* main arena included; -1 unknown; filled by the census */
	int64_t limit;         /* -1 unknown; filled by the census */
	char limit_source[96]; /* "8 x 2 online CPUs", "MALLOC_ARENA_MAX=2", ... */
};

void arenas__init(struct arenas *arenas);
void arenas__free(struct arenas *arenas);
/* A new program: nothing of the old one's arenas is left. */
void arenas__reset(struct arenas *arenas);

/* What a source saw. `address` may lie anywhere in the first 64 MiB of the arena. */
struct arena_note {
	enum arena_source source;
	double t_s;
	uint32_t tid;
	int32_t stack;
	uint64_t address;
	bool undecided; /* by mapping: may be a further heap as well */
};
/* Merges it with what other sources saw of the same arena. 0 or -ENOMEM. */
int arenas__note(struct arenas *arenas, const struct arena_note *note);
/* Found out what an undecided one is. False when there is none at this address. */
bool arenas__decide(struct arenas *arenas, uint64_t address, bool is_arena);

/* The best source that is attached; the others are checked against it. */
enum arena_source arenas__source(const struct arenas *arenas);
/* Creations according to that source. */
uint32_t arenas__created(const struct arenas *arenas);
/* True unless two sources that both covered the process disagree on the arenas created since. */
bool arenas__sources_agree(const struct arenas *arenas);

/* HEAP_MAX_SIZE of glibc on 64-bit (malloc/arena.c: 2 * DEFAULT_MMAP_THRESHOLD_MAX). */
#define ARENA_HEAP_BYTES (64ull << 20)

/*
 * The mapping signature: an mprotect(READ|WRITE) of [addr, addr + len) by `tid` is about to take
 * effect. True when it commits the beginning of a range that the same thread reserved and trimmed
 * as glibc's new_heap does; its origin is then marked. *undecided: see struct arenas.
 */
bool arena_signature(struct space *space, uint64_t addr, uint64_t len, uint32_t prot, uint32_t tid,
		     bool *undecided);

#endif
