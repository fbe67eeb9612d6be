// flags: -O2 -g -fno-builtin -fcf-protection=full -Wl,-z,ibtplt -Wl,-z,now
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A malloc to preload, built for CET: every function begins with endbr64, and their calls of each
 * other go through a PLT whose entries do. It hands out a large mapping and takes nothing back.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define POOL   (16ul << 30)
#define HEADER 32

static char *pool;
static size_t used, freed;

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *old, size_t size);
void *memalign(size_t alignment, size_t size);
void *aligned_alloc(size_t alignment, size_t size);
int posix_memalign(void **result, size_t alignment, size_t size);
void free(void *p);

/* Threads that map it at the same time: the first one counts. */
static char *get_pool(void)
{
	char *mine, *none = NULL, *p = __atomic_load_n(&pool, __ATOMIC_SEQ_CST);

	if (p)
		return p;
	mine = mmap(NULL, POOL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	if (mine == MAP_FAILED)
		return NULL;
	if (__atomic_compare_exchange_n(&pool, &none, mine, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return mine;
	munmap(mine, POOL);
	return none;
}

static __attribute__((noinline)) void *carve(size_t alignment, size_t size)
{
	size_t room = size + alignment + 2 * HEADER, at;
	char *base = get_pool(), *p;

	if (!base || room < size || room > POOL)
		return NULL;
	at = __atomic_fetch_add(&used, room, __ATOMIC_SEQ_CST);
	if (at > POOL - room)
		return NULL;
	p = base + at + HEADER;
	p += -(uintptr_t)p & (alignment - 1);
	memcpy(p - sizeof(size), &size, sizeof(size));
	return p;
}

void *malloc(size_t size)
{
	if (size > POOL)
		return NULL;
	return carve(16, size);
}

void *calloc(size_t count, size_t size)
{
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	/* Fresh from the kernel: zero. */
	p = malloc(bytes);
	if (!p)
		errno = ENOMEM;
	return p;
}

void *realloc(void *old, size_t size)
{
	size_t before;
	void *p;

	if (!old)
		return malloc(size);
	p = malloc(size);
	if (!p)
		return NULL;
	memcpy(&before, (char *)old - sizeof(before), sizeof(before));
	memcpy(p, old, before < size ? before : size);
	free(old);
	return p;
}

void *memalign(size_t alignment, size_t size)
{
	if (alignment & (alignment - 1))
		return NULL;
	return carve(alignment < 16 ? 16 : alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size)
{
	*result = aligned_alloc(alignment, size);
	return *result ? 0 : ENOMEM;
}

void free(void *p)
{
	if (p)
		__atomic_fetch_add(&freed, 1, __ATOMIC_RELAXED);
}
