/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef TARGETS_ALLOC_OPS_H
#define TARGETS_ALLOC_OPS_H

/*
 * Random allocator calls that are counted as they are made. Also compiled into a shared object
 * (liballoc_plugin.c), whose calls then go through its own PLT.
 */
#include <malloc.h>
#include "truth.h"

enum alloc_op {
	OP_ALIGNED_ALLOC, /* in the order of the names, so that joined keys come out sorted */
	OP_CALLOC,
	OP_FREE,
	OP_MALLOC,
	OP_MEMALIGN,
	OP_POSIX_MEMALIGN,
	OP_PVALLOC,
	OP_REALLOC,
	OP_REALLOCARRAY,
	OP_VALLOC,
	OPS
};

#define BUCKETS      64
#define SLOTS        256
#define SHARED_SLOTS 64
#define IMPOSSIBLE   ((size_t)PTRDIFF_MAX + 1)

struct counts {
	uint64_t calls[OPS];
	uint64_t requested_bytes;
	uint64_t impossible;
	uint64_t bucket_count[BUCKETS];
	uint64_t bucket_bytes[BUCKETS];
};

/*
 * Calls that an allocator's functions make of each other (glibc's realloc(p, 0) calls free, musl's
 * calloc malloc, tcmalloc's posix_memalign memalign, mimalloc's realloc free) are no calls of the
 * program's and in no count. In all but glibc the requests that glibc's functions treat apart are
 * not made.
 */
enum allocator {
	ALLOCATOR_GLIBC,
	ALLOCATOR_MUSL,
	ALLOCATOR_TCMALLOC,
	ALLOCATOR_MIMALLOC,
	ALLOCATOR_OTHER
};

struct alloc_config {
	enum allocator allocator;
	bool enabled[OPS];
};

struct alloc_worker {
	struct counts counts;
	uint64_t random;
	const struct alloc_config *config;
	void **shared; /* SHARED_SLOTS pointers that threads hand to each other */
	void *slots[SLOTS];
};

/* Not in every libc; where it is missing it has no address. */
extern void *pvalloc(size_t) __attribute__((weak));

/* One type for all entry points: in the x86-64 ABI unused argument registers do no harm. */
typedef uintptr_t (*any_fn)(uintptr_t, uintptr_t, uintptr_t);

static inline void *op_address(enum alloc_op op)
{
	/* volatile: the address comes from the GOT and is not folded into a known function. */
	static void *volatile addresses[OPS] = {
		[OP_ALIGNED_ALLOC] = (void *)aligned_alloc,
		[OP_CALLOC] = (void *)calloc,
		[OP_FREE] = (void *)free,
		[OP_MALLOC] = (void *)malloc,
		[OP_MEMALIGN] = (void *)memalign,
		[OP_POSIX_MEMALIGN] = (void *)posix_memalign,
		[OP_PVALLOC] = (void *)pvalloc,
		[OP_REALLOC] = (void *)realloc,
		[OP_REALLOCARRAY] = (void *)reallocarray,
		[OP_VALLOC] = (void *)valloc,
	};
	return addresses[op];
}

static inline void count_request(struct counts *c, enum alloc_op op, size_t bytes)
{
	unsigned int k = bytes ? 64 - __builtin_clzl(bytes) : 0;

	c->calls[op]++;
	if (bytes > PTRDIFF_MAX) {
		c->impossible++;
		return;
	}
	c->requested_bytes += bytes;
	c->bucket_count[k]++;
	c->bucket_bytes[k] += bytes;
}

/*
 * All functions through one call instruction: same stack pointer, same return address whatever
 * is called. noinline keeps it one.
 */
static __attribute__((noinline, unused)) uintptr_t call_any(any_fn fn, uintptr_t a, uintptr_t b,
							    uintptr_t c)
{
	uintptr_t r = fn(a, b, c);

	/* Not a tail call: the frame must still be needed. */
	__asm__ volatile("" : "+r"(r));
	return r;
}

/* Bytes of the next request: spread evenly over the powers of two, with their edges. */
static inline size_t random_size(uint64_t *random)
{
	unsigned int k = random__below(random, 18);
	size_t low = k ? (size_t)1 << (k - 1) : 0;

	switch (random__below(random, 8)) {
	case 0:
		return low;
	case 1:
		return k ? 2 * low - 1 : 0;
	case 2: /* now and then one that goes to mmap in glibc */
		if (!random__below(random, 64))
			return (1 << 20) + random__below(random, 3 << 20);
		break;
	}
	return k ? low + random__below(random, low) : 0;
}

static inline void *call_by_pointer(enum alloc_op op, void *old, size_t n, size_t m,
				    size_t alignment)
{
	any_fn fn = (any_fn)op_address(op);
	uintptr_t p = (uintptr_t)old;
	void *result = NULL;

	switch (op) {
	case OP_FREE:
		return (void *)(call_any(fn, p, 0, 0) & 0);
	case OP_CALLOC:
		return (void *)call_any(fn, n, m, 0);
	case OP_REALLOC:
		return (void *)call_any(fn, p, n, 0);
	case OP_REALLOCARRAY:
		return (void *)call_any(fn, p, n, m);
	case OP_POSIX_MEMALIGN:
		if ((int)call_any(fn, (uintptr_t)&result, alignment, n))
			return NULL;
		return *(void *volatile *)&result;
	case OP_ALIGNED_ALLOC:
	case OP_MEMALIGN:
		return (void *)call_any(fn, alignment, n, 0);
	default:
		return (void *)call_any(fn, n, 0, 0);
	}
}

static inline void *call_by_name(enum alloc_op op, void *old, size_t n, size_t m, size_t alignment)
{
	void *result = NULL;

	switch (op) {
	case OP_MALLOC:
		return malloc(n);
	case OP_CALLOC:
		return calloc(n, m);
	case OP_REALLOC:
		return realloc(old, n);
	case OP_REALLOCARRAY:
		return reallocarray(old, n, m);
	case OP_POSIX_MEMALIGN:
		return posix_memalign(&result, alignment, n) ? NULL : result;
	case OP_ALIGNED_ALLOC:
		return aligned_alloc(alignment, n);
	case OP_MEMALIGN:
		return memalign(alignment, n);
	case OP_VALLOC:
		return valloc(n);
	case OP_PVALLOC:
		return pvalloc(n);
	default:
		free(old);
		return NULL;
	}
}

static inline void *make_call(struct alloc_worker *w, enum alloc_op op, void *old, size_t n,
			      size_t m, size_t alignment)
{
	size_t bytes = n;
	void *p;

	if (op == OP_FREE) {
		w->counts.calls[OP_FREE]++;
	} else {
		if ((op == OP_CALLOC || op == OP_REALLOCARRAY) &&
		    __builtin_mul_overflow(n, m, &bytes))
			bytes = SIZE_MAX;
		count_request(&w->counts, op, bytes);
	}
	/* Else the compiler says of some sizes that they are too large. */
	__asm__ volatile("" : "+r"(n));
	if (random__below(&w->random, 2))
		p = call_by_pointer(op, old, n, m, alignment);
	else
		p = call_by_name(op, old, n, m, alignment);
	return p;
}

/* Requests that no allocator can serve, and the edges where functions call each other. */
static inline void make_edge_call(struct alloc_worker *w, enum alloc_op op)
{
	const struct alloc_config *config = w->config;
	void *p;

	switch (op) {
	case OP_FREE:
		make_call(w, OP_FREE, NULL, 0, 0, 0);
		return;
	case OP_CALLOC:
	case OP_REALLOCARRAY:
		/* The product overflows, or fits and is too large. */
		if (random__below(&w->random, 2))
			p = make_call(w, op, NULL, SIZE_MAX / 2, 3, 0);
		else
			p = make_call(w, op, NULL, IMPOSSIBLE / 2, 2, 0);
		break;
	case OP_REALLOC:
		if (config->allocator != ALLOCATOR_GLIBC || !config->enabled[OP_MALLOC])
			return;
		p = make_call(w, OP_MALLOC, NULL, 100, 0, 0);
		if (make_call(w, OP_REALLOC, p, IMPOSSIBLE, 0, 0))
			die("impossible realloc");
		/* glibc: frees p and gives NULL */
		p = make_call(w, OP_REALLOC, p, 0, 0, 0);
		break;
	case OP_POSIX_MEMALIGN:
		p = make_call(w, op, NULL, IMPOSSIBLE, 0, 64);
		if (!p && config->allocator == ALLOCATOR_GLIBC) {
			p = make_call(w, op, NULL, 24, 0, 16);
			make_call(w, OP_FREE, p, 0, 0, 0);
			p = NULL;
		}
		break;
	default:
		p = make_call(w, op, NULL, IMPOSSIBLE, 0, 64);
	}
	if (p)
		die("impossible request");
}

static inline void release_slot(struct alloc_worker *w, void **slot)
{
	void *p = *slot;

	*slot = NULL;
	/* Half of what is freed is another thread's. */
	if (w->shared && random__below(&w->random, 2))
		p = __atomic_exchange_n(&w->shared[random__below(&w->random, SHARED_SLOTS)], p,
					__ATOMIC_SEQ_CST);
	make_call(w, OP_FREE, p, 0, 0, 0);
}

static inline void fill_slot(struct alloc_worker *w, void **slot, enum alloc_op op)
{
	size_t n = random_size(&w->random), m = 1 + random__below(&w->random, 9);
	size_t alignment = (size_t)32 << random__below(&w->random, 9);
	bool resizes = op == OP_REALLOC || op == OP_REALLOCARRAY;
	void *p;

	if (op == OP_CALLOC || op == OP_REALLOCARRAY)
		n = n / m + 1;
	else if (resizes || w->config->allocator != ALLOCATOR_GLIBC)
		n += !n;
	if (*slot && !resizes)
		release_slot(w, slot);
	/* memalign to what malloc gives anyway is a jump to malloc in glibc */
	if (op == OP_MEMALIGN && !random__below(&w->random, 4))
		alignment = 16;
	p = make_call(w, op, *slot, n, m, alignment);
	if (!p && n)
		die("allocation");
	if (p && n)
		*(volatile char *)p = 1;
	*slot = p;
}

/*
 * The first call in a process or thread may set the allocator up and start again from its entry:
 * one call, two hits (glibc's realloc before 2.34 by its hook, its free from 2.42 on).
 */
static inline void warm_up(void)
{
	void *volatile p = malloc(1);

	p = realloc(p, 2);
	free(p);
}

/* The first rounds take each function in turn, so that a short run has them all. */
static inline void alloc_worker__run(struct alloc_worker *w, uint64_t rounds)
{
	for (uint64_t i = 0; i < rounds; i++) {
		enum alloc_op op = i < OPS ? (enum alloc_op)i : random__below(&w->random, OPS);
		void **slot = &w->slots[random__below(&w->random, SLOTS)];

		if (!w->config->enabled[op])
			op = OP_MALLOC;
		if (!random__below(&w->random, 16))
			make_edge_call(w, op);
		else if (op == OP_FREE)
			release_slot(w, slot);
		else
			fill_slot(w, slot, op);
	}
}

#endif
