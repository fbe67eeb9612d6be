// flags: -O2 -g -fno-builtin
// link: -lpthread
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Allocates, resizes and frees at random and keeps its own ledger: what it holds, by size bucket,
 * goes to $TRUTH. The ledger is a table of pointers and sizes that no allocator knows of.
 *
 *	--threads N     each with slots of its own; they hand memory to each other to be freed
 *	--rounds N      operations of each thread
 *	--slots N       allocations that a thread holds at most
 *	--before N      allocations made before "ready"; half of them are freed by the first rounds
 *	--forks N       children, forked one after another by the first process between rounds: each
 *	                frees part of what it inherited and goes on by itself; --grandchildren: they
 *	                fork once more
 *	--wait          stops at "ready" and at "done"
 * Threads never end before the process does: at a thread's end glibc frees what its cache holds.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "truth.h"

#define MAX_THREADS   16
#define MAX_SLOTS     65536
#define MAX_PROCESSES 64
#define BUCKETS       64
#define SHARED_SLOTS  64

struct slot {
	void *pointer;
	size_t size;
	bool before;
};

struct held {
	uint64_t pid, count, bytes, usable_bytes, failed, failed_bytes, before_frees;
	uint64_t bucket_count[BUCKETS], bucket_bytes[BUCKETS];
};

struct shared {
	uint32_t processes, started, finished;
	struct held held[MAX_PROCESSES];
};

struct worker {
	struct slot *slots;
	uint64_t random, rounds;
	uint64_t failed, failed_bytes, before_frees;
};

static uint64_t threads = 1, rounds = 1000, slot_count = 1024, before, forks, seed = 1;
static bool grandchildren, wait_lines;
static struct shared *shared;
static struct worker workers[MAX_THREADS];
static struct slot exchange[SHARED_SLOTS];
static pthread_mutex_t exchange_lock = PTHREAD_MUTEX_INITIALIZER;

static void *map_pages(size_t bytes, int sharing)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static size_t random_size(uint64_t *random)
{
	unsigned int k = (unsigned int)random__below(random, 15);

	if (!random__below(random, 500))
		return (1 << 18) + random__below(random, 1 << 19);
	return k ? ((size_t)1 << (k - 1)) + random__below(random, (size_t)1 << (k - 1)) : 0;
}

static void *allocate(struct worker *w, size_t size)
{
	void *p = NULL;

	switch (random__below(&w->random, 8)) {
	case 0:
		return calloc(1, size);
	case 1:
		return posix_memalign(&p, (size_t)8 << random__below(&w->random, 8), size) ? NULL
											   : p;
	case 2:
		return aligned_alloc((size_t)16 << random__below(&w->random, 6), size);
	case 3:
		return memalign((size_t)8 << random__below(&w->random, 8), size);
	case 4:
		return realloc(NULL, size);
	case 5:
		return reallocarray(NULL, 1, size);
	default:
		return malloc(size);
	}
}

/* More than the address space has: fails, and is nothing that is held. */
static void fail_to_allocate(struct worker *w, struct slot *slot)
{
	size_t size = random__below(&w->random, 2) ? (size_t)1 << 46 : (size_t)1 << 38;
	void *p = NULL;

	/* 256 GiB could be had with overcommit. */
	if (size == (size_t)1 << 38)
		size = ((size_t)1 << 47) - 4096;
	switch (random__below(&w->random, 3)) {
	case 0:
		p = malloc(size);
		break;
	case 1:
		if (posix_memalign(&p, 64, size))
			p = NULL;
		break;
	default:
		if (!slot->pointer)
			return;
		/* It keeps what it had. */
		p = realloc(slot->pointer, size);
	}
	if (p)
		die("an impossible allocation");
	w->failed++;
	w->failed_bytes += size;
}

static void release(struct worker *w, struct slot *slot)
{
	struct slot old = *slot;

	slot->pointer = NULL;
	slot->before = false;
	if (threads > 1 && random__below(&w->random, 4) == 0) {
		struct slot *other = &exchange[random__below(&w->random, SHARED_SLOTS)], taken;

		pthread_mutex_lock(&exchange_lock);
		taken = *other;
		*other = old;
		pthread_mutex_unlock(&exchange_lock);
		old = taken;
	}
	if (old.pointer)
		w->before_frees += old.before;
	free(old.pointer);
}

static void resize(struct worker *w, struct slot *slot)
{
	size_t size = random_size(&w->random);
	void *p;

	/* Size 0 is a free that a program should not write: glibc's gives NULL. */
	p = realloc(slot->pointer, size);
	if (!p && size)
		die("realloc");
	w->before_frees += slot->before;
	slot->before = false;
	slot->pointer = p;
	slot->size = size;
}

static void run(struct worker *w, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		struct slot *slot = &w->slots[random__below(&w->random, slot_count)];
		uint64_t what = random__below(&w->random, 16);

		if (!random__below(&w->random, 1024)) {
			fail_to_allocate(w, slot);
		} else if (slot->pointer && what < 4) {
			resize(w, slot);
		} else if (slot->pointer) {
			release(w, slot);
		} else {
			slot->size = random_size(&w->random);
			slot->pointer = allocate(w, slot->size);
			slot->before = false;
			if (!slot->pointer)
				die("allocation");
			/* Touched now and then: that it is resident is not what is counted. */
			if (slot->size)
				*(volatile char *)slot->pointer = 1;
		}
	}
}

static void add_slot(struct held *held, const struct slot *slot)
{
	unsigned int bucket = slot->size ? 64 - (unsigned int)__builtin_clzl(slot->size) : 0;

	if (!slot->pointer || slot->before)
		return;
	held->count++;
	held->bytes += slot->size;
	held->usable_bytes += malloc_usable_size(slot->pointer);
	held->bucket_count[bucket]++;
	held->bucket_bytes[bucket] += slot->size;
}

static void keep_ledger(void)
{
	struct held *held =
		&shared->held[__atomic_fetch_add(&shared->processes, 1, __ATOMIC_SEQ_CST)];

	held->pid = (uint64_t)getpid();
	for (uint64_t t = 0; t < threads; t++) {
		for (uint64_t i = 0; i < slot_count; i++)
			add_slot(held, &workers[t].slots[i]);
		held->failed += workers[t].failed;
		held->failed_bytes += workers[t].failed_bytes;
		held->before_frees += workers[t].before_frees;
	}
	for (int i = 0; i < SHARED_SLOTS; i++)
		add_slot(held, &exchange[i]);
}

static void *run_thread(void *arg)
{
	struct worker *w = arg;

	wait_until(&shared->started, 1);
	run(w, w->rounds);
	bump(&shared->finished);
	for (;;)
		pause();
	return NULL;
}

/* A child goes on with its copy of the first thread's slots. */
static void fork_child(int depth)
{
	struct worker *w = &workers[0];
	pid_t pid = fork();
	int status;

	if (pid < 0)
		die("fork");
	if (pid) {
		/* What the parent frees meanwhile is still the child's. */
		run(w, rounds / 4);
		if (waitpid(pid, &status, 0) < 0 || status)
			die("child");
		return;
	}
	w->failed = w->failed_bytes = w->before_frees = 0;
	w->random = seed + (uint64_t)getpid();
	run(w, rounds / 4);
	if (grandchildren && depth == 0)
		fork_child(depth + 1);
	run(w, rounds / 4);
	keep_ledger();
	_exit(0);
}

static void write_held(struct truth *t, const struct held *held)
{
	truth__open(t, NULL, "{");
	truth__number(t, "pid", held->pid);
	truth__number(t, "count", held->count);
	truth__number(t, "bytes", held->bytes);
	truth__number(t, "usable_bytes", held->usable_bytes);
	truth__number(t, "failed", held->failed);
	truth__number(t, "failed_bytes", held->failed_bytes);
	truth__number(t, "before_frees", held->before_frees);
	truth__open(t, "buckets", "[");
	for (int i = 0; i < BUCKETS; i++) {
		if (!held->bucket_count[i])
			continue;
		truth__open(t, NULL, "{");
		truth__number(t, "min_bytes", i ? (uint64_t)1 << (i - 1) : 0);
		truth__number(t, "live_count", held->bucket_count[i]);
		truth__number(t, "live_bytes", held->bucket_bytes[i]);
		truth__close(t, "}");
	}
	truth__close(t, "]");
	truth__close(t, "}");
}

static void write_truth(void)
{
	static struct truth t;

	truth__open(&t, NULL, "{");
	truth__open(&t, "processes", "[");
	for (uint32_t i = 0; i < shared->processes; i++)
		write_held(&t, &shared->held[i]);
	truth__close(&t, "]");
	truth__close(&t, "}");
	truth__write(&t);
}

int main(int argc, char **argv)
{
	const struct target_option options[] = {{"threads", .number = &threads},
						{"rounds", .number = &rounds},
						{"slots", .number = &slot_count},
						{"before", .number = &before},
						{"forks", .number = &forks},
						{"seed", .number = &seed},
						{"grandchildren", .flag = &grandchildren},
						{"wait", .flag = &wait_lines},
						{0}};
	pthread_t thread;

	(void)argc;
	if (!parse_options(argv, options) || !threads || threads > MAX_THREADS || !slot_count ||
	    slot_count > MAX_SLOTS || forks * 2 >= MAX_PROCESSES || (forks && threads > 1) ||
	    before > slot_count)
		usage("usage: live_mix [--threads N] [--rounds N] [--slots N] [--before N]\n"
		      "                [--forks N] [--grandchildren] [--seed N] [--wait]\n");
	shared = map_pages(sizeof(*shared), MAP_SHARED);
	for (uint64_t t = 0; t < threads; t++) {
		workers[t] = (struct worker){
			.slots = map_pages(slot_count * sizeof(struct slot), MAP_PRIVATE),
			.random = seed * 1000 + t,
			.rounds = rounds};
		if (t && pthread_create(&thread, NULL, run_thread, &workers[t]))
			die("pthread_create");
	}
	for (uint64_t i = 0; i < before; i++)
		workers[0].slots[i] = (struct slot){malloc(100), 100, true};
	stop_at("ready", wait_lines);
	raise_to(&shared->started, 1);
	run(&workers[0], rounds);
	for (uint64_t i = 0; i < forks; i++)
		fork_child(0);
	wait_until(&shared->finished, (uint32_t)threads - 1);
	keep_ledger();
	write_truth();
	stop_at("done", wait_lines);
	_exit(0);
}
