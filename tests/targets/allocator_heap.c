// flags: -O2 -g -fno-builtin
// link: -lpthread -ldl
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Threads that fill memory with blocks of many sizes, free and fill again, and then stand still
 * with half of the blocks freed at random. The truth is what the program keeps itself (how many
 * blocks live and how large malloc_usable_size says that they are) and what the allocator says of
 * itself, where it can be asked: jemalloc's mallctl.
 *
 * "ready PID" and TRUTH, line, end. Runs on whatever allocator it is linked with or that is
 * preloaded.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <dlfcn.h>
#include "truth.h"

#define USAGE                                                                                    \
	"usage: allocator_heap [--threads N] [--blocks N] [--max-bytes N] [--rounds N] [--seed " \
	"N]\n"

#define MAX_THREADS 64

struct options {
	uint64_t threads, blocks, max_bytes, rounds, seed;
};

struct thread {
	const struct options *o;
	uint64_t random;
	void **blocks;
	uint64_t live, usable_bytes, requested_bytes;
	uint64_t *requested;
};

static pthread_barrier_t done;

/* Nine in ten are small, one in a hundred as large as they come. */
static size_t choose_bytes(struct thread *t)
{
	uint64_t kind = random__below(&t->random, 100);
	uint64_t max = kind < 90 ? 512 : kind < 99 ? 16384 : t->o->max_bytes;

	return 1 + random__below(&t->random, max);
}

static void fill(struct thread *t, uint64_t i)
{
	size_t bytes = choose_bytes(t);

	t->blocks[i] = malloc(bytes);
	if (!t->blocks[i])
		die("malloc");
	memset(t->blocks[i], 0x5a, bytes);
	t->requested[i] = bytes;
}

static void *work(void *arg)
{
	struct thread *t = arg;

	t->blocks = calloc(t->o->blocks, sizeof(*t->blocks));
	t->requested = calloc(t->o->blocks, sizeof(*t->requested));
	if (!t->blocks || !t->requested)
		die("calloc");
	for (uint64_t i = 0; i < t->o->blocks; i++)
		fill(t, i);
	for (uint64_t i = 0; i < t->o->rounds * t->o->blocks; i++) {
		uint64_t k = random__below(&t->random, t->o->blocks);

		free(t->blocks[k]);
		fill(t, k);
	}
	for (uint64_t i = 0; i < t->o->blocks; i++) {
		if (random__below(&t->random, 2)) {
			free(t->blocks[i]);
			t->blocks[i] = NULL;
			continue;
		}
		t->live++;
		t->usable_bytes += malloc_usable_size(t->blocks[i]);
		t->requested_bytes += t->requested[i];
	}
	t->usable_bytes += malloc_usable_size(t->blocks) + malloc_usable_size(t->requested);
	t->requested_bytes += 2 * t->o->blocks * sizeof(void *);
	pthread_barrier_wait(&done);
	pause();
	return NULL;
}

typedef int (*mallctl_fn)(const char *, void *, size_t *, void *, size_t);
typedef int (*property_fn)(const char *, size_t *);

static mallctl_fn control;
static property_fn get_property;

#ifdef STATIC_JEMALLOC
int mallctl(const char *name, void *old, size_t *old_size, void *new, size_t new_size);
#endif

/* Before all else: dlsym allocates when it finds nothing. */
static void find_own_voices(void)
{
#ifdef STATIC_JEMALLOC
	control = mallctl;
#else
	control = (mallctl_fn)dlsym(RTLD_DEFAULT, "mallctl");
#endif
	get_property = (property_fn)dlsym(RTLD_DEFAULT, "MallocExtension_GetNumericProperty");
}

/* jemalloc's own figures, where it is jemalloc; refreshed by writing to epoch. */
static void tell_jemalloc(struct truth *t)
{
	static const char *const names[] = {"active", "allocated", "retained",
					    "mapped", "resident",  "metadata"};
	size_t size = sizeof(uint64_t);
	uint64_t value = 1;

	if (!control || control("epoch", &value, &size, &value, sizeof(value)))
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char name[64];

		snprintf(name, sizeof(name), "stats.%s", names[i]);
		size = sizeof(value);
		if (!control(name, &value, &size, NULL, 0))
			truth__number(t, names[i], value);
	}
}

/* The same of tcmalloc; its names as they are. */
static void tell_tcmalloc(struct truth *t)
{
	static const char *const names[] = {
		"generic.heap_size",
		"generic.current_allocated_bytes",
		"tcmalloc.pageheap_free_bytes",
		"tcmalloc.pageheap_unmapped_bytes",
		"tcmalloc.transfer_cache_free_bytes",
		"tcmalloc.thread_cache_free_bytes",
		"tcmalloc.central_cache_free_bytes",
	};

	for (size_t i = 0; get_property && i < sizeof(names) / sizeof(names[0]); i++) {
		size_t value;

		if (get_property(names[i], &value))
			truth__number(t, names[i], value);
	}
}

static void tell(const struct thread *threads, const struct options *o)
{
	static struct truth truth;
	uint64_t live = 0, usable_bytes = 0, requested_bytes = 0;

	for (uint64_t i = 0; i < o->threads; i++) {
		live += threads[i].live + 2;
		usable_bytes += threads[i].usable_bytes;
		requested_bytes += threads[i].requested_bytes;
	}
	truth__open(&truth, NULL, "{");
	truth__number(&truth, "blocks", live);
	truth__number(&truth, "usable_bytes", usable_bytes);
	truth__number(&truth, "requested_bytes", requested_bytes);
	tell_jemalloc(&truth);
	tell_tcmalloc(&truth);
	truth__close(&truth, "}");
	truth__write(&truth);
}

int main(int argc, char **argv)
{
	struct options o = {
		.threads = 4, .blocks = 20000, .max_bytes = 400000, .rounds = 1, .seed = 1};
	const struct target_option options[] = {
		{"threads", .number = &o.threads},     {"blocks", .number = &o.blocks},
		{"max-bytes", .number = &o.max_bytes}, {"rounds", .number = &o.rounds},
		{"seed", .number = &o.seed},           {.name = NULL},
	};
	static struct thread threads[MAX_THREADS];

	(void)argc;
	if (!parse_options(argv, options) || !o.threads || o.threads > MAX_THREADS || !o.max_bytes)
		usage(USAGE);
	find_own_voices();
	pthread_barrier_init(&done, NULL, (unsigned int)o.threads + 1);
	for (uint64_t i = 0; i < o.threads; i++) {
		pthread_t id;

		threads[i].o = &o;
		threads[i].random = o.seed * 1000 + i;
		errno = pthread_create(&id, NULL, work, &threads[i]);
		if (errno)
			die("pthread_create");
	}
	pthread_barrier_wait(&done);
	tell(threads, &o);
	say("ready");
	wait_line();
	_exit(0);
}
