// flags: -O2 -g -fcf-protection=full
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A program with an allocator of its own, under names of its own, built for CET: each function
 * starts with endbr64. Counts its calls by name and writes them to $TRUTH. Between "ready" and
 * "done" nothing else is called.
 */
#include "truth.h"

#define USAGE     "usage: own_alloc [--rounds N] [--seed N] [--wait]\n"
#define POOL      (64ul << 20)
#define HEADER    32
#define SIZE_MOST 4096
#define SLOTS     64

enum call { POOL_GET, POOL_GET_CLEAR, POOL_RESIZE, POOL_ALIGN, POOL_PUT, CALLS };

static const char *const call_names[CALLS] = {
	[POOL_GET] = "pool_get",       [POOL_GET_CLEAR] = "pool_get_clear",
	[POOL_RESIZE] = "pool_resize", [POOL_ALIGN] = "pool_align",
	[POOL_PUT] = "pool_put",
};

static struct {
	uint64_t calls[CALLS], requested_bytes;
} counts;

static char pool[POOL] __attribute__((aligned(4096)));
static size_t used;
static uint64_t puts_done;

#define ENTRY_POINT __attribute__((noinline, noclone))

/* noipa would be right and is not everywhere; the addresses are taken, so endbr64 is there. */
ENTRY_POINT void *pool_get(size_t size);
ENTRY_POINT void *pool_get_clear(size_t count, size_t size);
ENTRY_POINT void *pool_resize(void *old, size_t size);
ENTRY_POINT void *pool_align(size_t alignment, size_t size);
ENTRY_POINT void pool_put(void *p);

void *pool_get(size_t size)
{
	char *p;

	/* Wraps around: what is there is the program's own loss. */
	if (used + size + 2 * HEADER > POOL)
		used = 0;
	p = pool + used + HEADER;
	*(size_t *)(void *)(p - HEADER) = size;
	used += (size + 2 * HEADER - 1) & ~(size_t)(HEADER - 1);
	return p;
}

/* By way of pool_get: one call of the program's all the same. */
void *pool_get_clear(size_t count, size_t size)
{
	char *p = pool_get(count * size);

	memset(p, 0, count * size);
	return p;
}

void *pool_resize(void *old, size_t size)
{
	char *p;

	if (!old)
		return pool_get(size);
	p = pool_get(size);
	memmove(p, old, size < 16 ? size : 16);
	pool_put(old);
	return p;
}

void *pool_align(size_t alignment, size_t size)
{
	char *p = pool_get(size + alignment);

	return p + (-(uintptr_t)p & (alignment - 1));
}

void pool_put(void *p)
{
	if (p)
		__atomic_fetch_add(&puts_done, 1, __ATOMIC_RELAXED);
}

static void *make_call(enum call call, void *old, size_t size)
{
	static void *volatile functions[CALLS] = {
		[POOL_GET] = (void *)pool_get,       [POOL_GET_CLEAR] = (void *)pool_get_clear,
		[POOL_RESIZE] = (void *)pool_resize, [POOL_ALIGN] = (void *)pool_align,
		[POOL_PUT] = (void *)pool_put,
	};
	uintptr_t (*fn)(uintptr_t, uintptr_t) = (uintptr_t(*)(uintptr_t, uintptr_t))functions[call];

	counts.calls[call]++;
	if (call != POOL_PUT)
		counts.requested_bytes += size;
	switch (call) {
	case POOL_GET:
		return (void *)fn(size, 0);
	case POOL_GET_CLEAR:
		return (void *)fn(1, size);
	case POOL_RESIZE:
		return (void *)fn((uintptr_t)old, size);
	case POOL_ALIGN:
		return (void *)fn(64, size);
	default:
		fn((uintptr_t)old, 0);
		return NULL;
	}
}

int main(int argc, char **argv)
{
	uint64_t rounds = 1000, seed = 1;
	bool wait = false;
	const struct target_option options[] = {
		{"rounds", .number = &rounds},
		{"seed", .number = &seed},
		{"wait", .flag = &wait},
		{.name = NULL},
	};
	static struct truth t;
	static void *slots[SLOTS];

	(void)argc;
	if (!parse_options(argv, options))
		usage(USAGE);
	stop_at("ready", wait);
	for (uint64_t i = 0; i < rounds; i++) {
		void **slot = &slots[random__below(&seed, SLOTS)];
		enum call call = (enum call)random__below(&seed, CALLS);

		if (*slot && call != POOL_RESIZE)
			make_call(POOL_PUT, *slot, 0);
		else if (!*slot && call == POOL_PUT)
			continue;
		*slot = call == POOL_PUT ? NULL
					 : make_call(call, *slot, random__below(&seed, SIZE_MOST));
	}
	truth__open(&t, NULL, "{");
	truth__number(&t, "requested_bytes", counts.requested_bytes);
	truth__open(&t, "calls", "{");
	for (int i = 0; i < CALLS; i++)
		truth__number(&t, call_names[i], counts.calls[i]);
	truth__close(&t, "}");
	truth__close(&t, "}");
	truth__write(&t);
	stop_at("done", wait);
	return 0;
}
