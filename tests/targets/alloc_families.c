// flags: -O2 -g -fno-builtin -rdynamic
// link: -lpthread -ldl
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Calls at random every entry point that the allocator of this process has under one of the names
 * below, C++'s operators and the allocators' own ones among them, counts its calls by name and
 * writes the counts to $TRUTH. Between "ready" and "done" nothing else happens.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include "truth.h"

#define USAGE       "usage: alloc_families [--threads N] [--rounds N] [--seed N] [--wait]\n"
#define SLOTS       128
#define MAX_THREADS 8
#define BUCKETS     64
#define SMALL_MAX   1024 /* MI_SMALL_SIZE_MAX is 128 words */
#define IMPOSSIBLE  ((size_t)PTRDIFF_MAX + 1)

/*
 * Arguments: s size, m and z count and size of one, a alignment, o offset 0, x jemalloc's flags,
 * n a std::nothrow_t, p a pointer, h mimalloc's heap, r where the result goes.
 */
enum kind { ALLOC, REALLOC, FREE };

struct entry {
	const char *name; /* as memdrift shows it */
	const char *symbol;
	enum kind kind;
	const char *args;
	void *address;
};

#define MI_ALIGNED(name, kind, args, heap_args)                                               \
	{"mi_" name "_aligned", "mi_" name "_aligned", kind, args "a", NULL},                 \
		{"mi_" name "_aligned_at", "mi_" name "_aligned_at", kind, args "ao", NULL},  \
		{"mi_heap_" name "_aligned", "mi_heap_" name "_aligned", kind, heap_args "a", \
		 NULL},                                                                       \
	{                                                                                     \
		"mi_heap_" name "_aligned_at", "mi_heap_" name "_aligned_at", kind,           \
			heap_args "ao", NULL                                                  \
	}
#define OWN(name, kind, args)                \
	{                                    \
		name, name, kind, args, NULL \
	}

static struct entry entries[] = {
	OWN("malloc", ALLOC, "s"),
	OWN("calloc", ALLOC, "mz"),
	OWN("realloc", REALLOC, "ps"),
	OWN("posix_memalign", ALLOC, "ras"),
	OWN("aligned_alloc", ALLOC, "as"),
	OWN("memalign", ALLOC, "as"),
	OWN("free", FREE, "p"),
	OWN("cfree", FREE, "p"),
	OWN("free_sized", FREE, "ps"),
	OWN("free_aligned_sized", FREE, "pas"),
	{"operator new", "_Znwm", ALLOC, "s", NULL},
	{"operator new[]", "_Znam", ALLOC, "s", NULL},
	{"operator new(nothrow)", "_ZnwmRKSt9nothrow_t", ALLOC, "sn", NULL},
	{"operator new[](nothrow)", "_ZnamRKSt9nothrow_t", ALLOC, "sn", NULL},
	{"operator new(align)", "_ZnwmSt11align_val_t", ALLOC, "sa", NULL},
	{"operator new[](align)", "_ZnamSt11align_val_t", ALLOC, "sa", NULL},
	{"operator new(align,nothrow)", "_ZnwmSt11align_val_tRKSt9nothrow_t", ALLOC, "san", NULL},
	{"operator new[](align,nothrow)", "_ZnamSt11align_val_tRKSt9nothrow_t", ALLOC, "san", NULL},
	{"operator delete", "_ZdlPv", FREE, "p", NULL},
	{"operator delete[]", "_ZdaPv", FREE, "p", NULL},
	{"operator delete(nothrow)", "_ZdlPvRKSt9nothrow_t", FREE, "pn", NULL},
	{"operator delete[](nothrow)", "_ZdaPvRKSt9nothrow_t", FREE, "pn", NULL},
	{"operator delete(align)", "_ZdlPvSt11align_val_t", FREE, "pa", NULL},
	{"operator delete[](align)", "_ZdaPvSt11align_val_t", FREE, "pa", NULL},
	{"operator delete(align,nothrow)", "_ZdlPvSt11align_val_tRKSt9nothrow_t", FREE, "pan",
	 NULL},
	{"operator delete[](align,nothrow)", "_ZdaPvSt11align_val_tRKSt9nothrow_t", FREE, "pan",
	 NULL},
	{"operator delete(sized)", "_ZdlPvm", FREE, "ps", NULL},
	{"operator delete[](sized)", "_ZdaPvm", FREE, "ps", NULL},
	{"operator delete(sized,align)", "_ZdlPvmSt11align_val_t", FREE, "psa", NULL},
	{"operator delete[](sized,align)", "_ZdaPvmSt11align_val_t", FREE, "psa", NULL},
	OWN("mallocx", ALLOC, "sx"),
	OWN("rallocx", REALLOC, "psx"),
	OWN("dallocx", FREE, "px"),
	OWN("sdallocx", FREE, "psx"),
	OWN("tc_malloc", ALLOC, "s"),
	OWN("tc_malloc_skip_new_handler", ALLOC, "s"),
	OWN("tc_new", ALLOC, "s"),
	OWN("tc_newarray", ALLOC, "s"),
	OWN("tc_new_nothrow", ALLOC, "sn"),
	OWN("tc_new_aligned", ALLOC, "sa"),
	OWN("tc_newarray_aligned_nothrow", ALLOC, "san"),
	OWN("tc_free", FREE, "p"),
	OWN("tc_free_sized", FREE, "ps"),
	OWN("tc_delete", FREE, "p"),
	OWN("tc_delete_sized", FREE, "ps"),
	OWN("tc_deletearray_sized_aligned", FREE, "psa"),
	OWN("mi_malloc", ALLOC, "s"),
	OWN("mi_malloc_small", ALLOC, "s"),
	OWN("mi_zalloc_small", ALLOC, "s"),
	OWN("mi_zalloc", ALLOC, "s"),
	OWN("mi_calloc", ALLOC, "mz"),
	OWN("mi_mallocn", ALLOC, "mz"),
	OWN("mi_realloc", REALLOC, "ps"),
	OWN("mi_reallocn", REALLOC, "pmz"),
	OWN("mi_reallocf", REALLOC, "ps"),
	OWN("mi_rezalloc", REALLOC, "ps"),
	OWN("mi_recalloc", REALLOC, "pmz"),
	MI_ALIGNED("malloc", ALLOC, "s", "hs"),
	MI_ALIGNED("zalloc", ALLOC, "s", "hs"),
	MI_ALIGNED("calloc", ALLOC, "mz", "hmz"),
	MI_ALIGNED("realloc", REALLOC, "ps", "hps"),
	MI_ALIGNED("rezalloc", REALLOC, "ps", "hps"),
	OWN("mi_recalloc_aligned", REALLOC, "pmza"),
	OWN("mi_recalloc_aligned_at", REALLOC, "pmzao"),
	OWN("mi_free", FREE, "p"),
	OWN("mi_free_size", FREE, "ps"),
	OWN("mi_free_aligned", FREE, "pa"),
	OWN("mi_free_size_aligned", FREE, "psa"),
	OWN("mi_new", ALLOC, "s"),
	OWN("mi_new_nothrow", ALLOC, "s"),
	OWN("mi_new_n", ALLOC, "mz"),
	OWN("mi_new_aligned", ALLOC, "sa"),
	OWN("mi_new_aligned_nothrow", ALLOC, "sa"),
	OWN("mi_new_realloc", REALLOC, "ps"),
	OWN("mi_new_reallocn", REALLOC, "pmz"),
	OWN("mi_heap_malloc", ALLOC, "hs"),
	OWN("mi_heap_malloc_small", ALLOC, "hs"),
	OWN("mi_heap_zalloc", ALLOC, "hs"),
	OWN("mi_heap_calloc", ALLOC, "hmz"),
	OWN("mi_heap_mallocn", ALLOC, "hmz"),
	OWN("mi_heap_realloc", REALLOC, "hps"),
	OWN("mi_heap_reallocf", REALLOC, "hps"),
	OWN("mi_heap_rezalloc", REALLOC, "hps"),
	OWN("mi_heap_alloc_new", ALLOC, "hs"),
	OWN("mi_heap_alloc_new_n", ALLOC, "hmz"),
};

#define ENTRIES (sizeof(entries) / sizeof(entries[0]))

struct counts {
	uint64_t calls[ENTRIES];
	uint64_t requested_bytes, impossible;
	uint64_t bucket_count[BUCKETS], bucket_bytes[BUCKETS];
};

struct block {
	void *p;
	size_t size, alignment; /* 0: the allocator's own alignment */
};

struct worker {
	struct counts counts;
	struct block slots[SLOTS];
	uint64_t random, rounds;
	uintptr_t heap;
	struct sync *sync;
};

struct sync {
	uint32_t warm, started, finished;
};

typedef uintptr_t (*any_fn)(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t);

static void *(*get_heap)(void);

static bool takes(const struct entry *entry, char what)
{
	return strchr(entry->args, what);
}

static uintptr_t argument(const struct worker *w, char what, const struct block *block,
			  uintptr_t pointer, void **result)
{
	static const char nothrow;

	switch (what) {
	case 's':
		return block->size;
	case 'm':
		return 1;
	case 'z':
		return block->size;
	case 'a':
		return block->alignment;
	case 'x': /* MALLOCX_LG_ALIGN */
		return block->alignment ? (uintptr_t)__builtin_ctzl(block->alignment) : 0;
	case 'n':
		return (uintptr_t)&nothrow;
	case 'p':
		return pointer;
	case 'h':
		return w->heap;
	case 'r':
		return (uintptr_t)result;
	default:
		return 0;
	}
}

static void *make_call(struct worker *w, struct entry *entry, const struct block *block, void *p)
{
	uintptr_t args[5] = {0}, returned;
	void *volatile address = entry->address;
	void *result = NULL;

	for (size_t i = 0; entry->args[i]; i++)
		args[i] = argument(w, entry->args[i], block, (uintptr_t)p, &result);
	w->counts.calls[entry - entries]++;
	returned = ((any_fn)address)(args[0], args[1], args[2], args[3], args[4]);
	return takes(entry, 'r') ? *(void *volatile *)&result : (void *)returned;
}

static void count_request(struct counts *c, size_t bytes)
{
	unsigned int k = bytes ? 64 - (unsigned int)__builtin_clzl(bytes) : 0;

	if (bytes > PTRDIFF_MAX) {
		c->impossible++;
		return;
	}
	c->requested_bytes += bytes;
	c->bucket_count[k]++;
	c->bucket_bytes[k] += bytes;
}

/* A size or alignment that is said must be the one that was asked for. */
static bool may_free(const struct entry *entry, const struct block *block)
{
	if (entry->kind != FREE || !entry->address)
		return false;
	if (takes(entry, 'a'))
		return block->alignment;
	return !takes(entry, 's') || takes(entry, 'x') || !block->alignment;
}

static void release(struct worker *w, struct block *block)
{
	struct entry *entry;

	do
		entry = &entries[random__below(&w->random, ENTRIES)];
	while (!may_free(entry, block));
	make_call(w, entry, block, block->p);
	block->p = NULL;
}

static void allocate(struct worker *w, struct entry *entry, struct block *slot)
{

	struct block wanted = {NULL, 1 + random__below(&w->random, 9000), 0};
	void *old = slot->p;

	if (takes(entry, 'a') || (takes(entry, 'x') && random__below(&w->random, 2)))
		wanted.alignment = (size_t)32 << random__below(&w->random, 5);
	if (strstr(entry->name, "_small"))
		wanted.size = 1 + wanted.size % SMALL_MAX;
	/* Half of the moves grow far, so that the block has to move. */
	if (entry->kind == REALLOC && random__below(&w->random, 2))
		wanted.size *= 16;
	if (entry->kind == ALLOC && old)
		release(w, slot);
	/* Only these give an answer instead of throwing. */
	if (takes(entry, 'n') && !random__below(&w->random, 32)) {
		wanted.size = IMPOSSIBLE;
		if (entry->kind == REALLOC || make_call(w, entry, &wanted, NULL))
			die("impossible request");
		count_request(&w->counts, IMPOSSIBLE);
		return;
	}
	/* rallocx and mimalloc's with a heap take what is there. */
	if (entry->kind == REALLOC && takes(entry, 'x') && !slot->p)
		return;
	count_request(&w->counts, wanted.size);
	wanted.p = make_call(w, entry, &wanted, entry->kind == REALLOC ? slot->p : NULL);
	if (!wanted.p)
		die(entry->name);
	*(volatile char *)wanted.p = 1;
	*slot = wanted;
}

/* The first call in a process or thread may set the allocator up and start again: two hits. */
static void warm_up(void)
{
	void *volatile p = malloc(1);

	p = realloc(p, 2);
	free(p);
}

static void *run_worker(void *arg)
{
	struct worker *w = arg;

	if (get_heap)
		w->heap = (uintptr_t)get_heap();
	warm_up();
	bump(&w->sync->warm);
	wait_until(&w->sync->started, 1);
	for (uint64_t i = 0; i < w->rounds; i++) {
		/* Each in turn at first, so that a short run has them all. */
		size_t n = i < ENTRIES ? i : random__below(&w->random, ENTRIES);
		struct block *slot = &w->slots[random__below(&w->random, SLOTS)];

		if (!entries[n].address)
			continue;
		if (entries[n].kind != FREE)
			allocate(w, &entries[n], slot);
		else if (slot->p && may_free(&entries[n], slot)) {
			make_call(w, &entries[n], slot, slot->p);
			slot->p = NULL;
		}
	}
	bump(&w->sync->finished);
	for (;;)
		pause();
	return NULL;
}

static void write_truth(const struct worker *workers, uint64_t threads)
{
	static struct counts sums;
	static struct truth t;

	for (uint64_t i = 0; i < threads; i++)
		for (size_t j = 0; j < sizeof(sums) / sizeof(uint64_t); j++)
			((uint64_t *)&sums)[j] += ((const uint64_t *)&workers[i].counts)[j];
	truth__open(&t, NULL, "{");
	truth__number(&t, "pid", (uint64_t)getpid());
	truth__number(&t, "requested_bytes", sums.requested_bytes);
	truth__number(&t, "impossible", sums.impossible);
	truth__open(&t, "calls", "{");
	for (size_t i = 0; i < ENTRIES; i++)
		if (entries[i].address)
			truth__number(&t, entries[i].name, sums.calls[i]);
	truth__close(&t, "}");
	truth__open(&t, "buckets", "[");
	for (int k = 0; k < BUCKETS; k++) {
		if (!sums.bucket_count[k])
			continue;
		truth__open(&t, NULL, "{");
		truth__number(&t, "min_bytes", k ? 1ULL << (k - 1) : 0);
		truth__number(&t, "count", sums.bucket_count[k]);
		truth__number(&t, "bytes", sums.bucket_bytes[k]);
		truth__close(&t, "}");
	}
	truth__close(&t, "]");
	truth__close(&t, "}");
	truth__write(&t);
}

/* Only what the object that has malloc has: another one's functions do not know its memory. */
static void find_entries(void)
{
	Dl_info own, info;

	if (!dladdr(dlsym(RTLD_DEFAULT, "malloc"), &own))
		die("dladdr");
	for (size_t i = 0; i < ENTRIES; i++) {
		void *address = dlsym(RTLD_DEFAULT, entries[i].symbol);

		if (address && dladdr(address, &info) && info.dli_fbase == own.dli_fbase)
			entries[i].address = address;
	}
	*(void **)&get_heap = dlsym(RTLD_DEFAULT, "mi_heap_get_default");
}

int main(int argc, char **argv)
{
	static struct worker workers[MAX_THREADS];
	static struct sync sync;
	uint64_t threads = 1, rounds = 1000, seed = 1;
	bool wait = false;
	const struct target_option options[] = {
		{"threads", .number = &threads},
		{"rounds", .number = &rounds},
		{"seed", .number = &seed},
		{"wait", .flag = &wait},
		{.name = NULL},
	};
	pthread_t id;

	(void)argc;
	if (!parse_options(argv, options) || !threads || threads > MAX_THREADS)
		usage(USAGE);
	find_entries();
	for (uint64_t i = 0; i < threads; i++) {
		workers[i].random = seed * 1000 + i;
		workers[i].rounds = rounds;
		workers[i].sync = &sync;
		errno = pthread_create(&id, NULL, run_worker, &workers[i]);
		if (errno)
			die("pthread_create");
	}
	wait_until(&sync.warm, (uint32_t)threads);
	stop_at("ready", wait);
	raise_to(&sync.started, 1);
	wait_until(&sync.finished, (uint32_t)threads);
	write_truth(workers, threads);
	stop_at("done", wait);
	_exit(0);
}
