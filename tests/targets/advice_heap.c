// flags: -O2 -g -fno-builtin
// link: -lpthread -ldl
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Heaps of a known life, for which advice has a known outcome: each shape ends in a state that
 * stays, and the same state is reached again with the advice applied (another environment, another
 * allocator).
 *
 *   --shape holes   threads in turn or together (--together) fill up to --kb and free all but one
 *                   block in --keep, at random; 0 keeps none
 *   --shape touch   blocks of --max-bytes of which the first 4 KiB of each 64 KiB is written
 *   --busy N        besides, N threads that go on allocating and freeing up to 1 MiB each
 *   --shape stacks  threads that have been --kb deep in their stacks; --ended: have ended since
 *
 * It says "done PID" and reads lines: "trim" is malloc_trim(0), "purge" jemalloc's purge of all
 * arenas, each answered with "ok"; anything else, and the end of file, ends it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include "truth.h"

#define USAGE                                                                               \
	"usage: advice_heap --shape holes|touch|stacks [--threads N] [--kb N] [--keep N]\n" \
	"                   [--min-bytes N] [--max-bytes N] [--together] [--ended]\n"       \
	"                   [--busy N]\n"

#define MAX_THREADS 1024

static struct {
	uint64_t threads, kb, keep, min_bytes, max_bytes, busy;
	bool together, ended;
	const char *shape;
} o = {.threads = 1, .kb = 65536, .keep = 16, .min_bytes = 1, .max_bytes = 85000};

struct block {
	struct block *next;
};

static pthread_barrier_t filled;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static uint32_t working;
static pthread_cond_t all_done = PTHREAD_COND_INITIALIZER;

static struct block *fill(uint64_t *random)
{
	struct block *blocks = NULL;
	uint64_t live = 0;

	while (live < o.kb << 10) {
		size_t bytes = sizeof(struct block) + o.min_bytes +
			       random__below(random, o.max_bytes - o.min_bytes + 1);
		struct block *b = malloc(bytes);

		if (!b)
			die("malloc");
		memset(b, 0x5a, bytes);
		b->next = blocks;
		blocks = b;
		live += bytes;
	}
	return blocks;
}

/* Newest first, as a list gives them. */
static void thin_out(struct block *b, uint64_t *random)
{
	while (b) {
		struct block *next = b->next;

		if (!o.keep || random__below(random, o.keep))
			free(b);
		b = next;
	}
}

static void work_holes(uint64_t seed)
{
	uint64_t random = seed;
	struct block *blocks;

	if (!o.together)
		pthread_mutex_lock(&turn);
	blocks = fill(&random);
	if (o.together)
		pthread_barrier_wait(&filled);
	thin_out(blocks, &random);
	if (!o.together)
		pthread_mutex_unlock(&turn);
}

static void work_touch(void)
{
	for (uint64_t done = 0; done < o.kb << 10; done += o.max_bytes) {
		char *p = malloc(o.max_bytes);

		if (!p)
			die("malloc");
		for (uint64_t at = 0; at < o.max_bytes; at += 65536)
			memset(p + at, 0x5a, o.max_bytes - at < 4096 ? o.max_bytes - at : 4096);
	}
}

static __attribute__((noinline)) void go_deep(uint64_t bytes)
{
	volatile char *frame = __builtin_alloca(bytes);

	for (uint64_t at = 0; at < bytes; at += 4096)
		frame[at] = 1;
}

static void work(uint64_t i)
{
	if (strcmp(o.shape, "holes") == 0)
		work_holes(i);
	else if (strcmp(o.shape, "touch") == 0)
		work_touch();
	else
		go_deep(o.kb << 10);
}

static void *thread_main(void *arg)
{
	work((uint64_t)arg);
	pthread_mutex_lock(&turn);
	if (--working == 0)
		pthread_cond_signal(&all_done);
	pthread_mutex_unlock(&turn);
	if (!o.ended)
		for (;;)
			pause();
	return NULL;
}

static void run_threads(void)
{
	static pthread_t threads[MAX_THREADS];

	working = o.threads;
	pthread_barrier_init(&filled, NULL, o.threads);
	for (uint64_t i = 0; i < o.threads; i++) {
		errno = pthread_create(&threads[i], NULL, thread_main, (void *)i);
		if (errno)
			die("pthread_create");
	}
	pthread_mutex_lock(&turn);
	while (working)
		pthread_cond_wait(&all_done, &turn);
	pthread_mutex_unlock(&turn);
	for (uint64_t i = 0; o.ended && i < o.threads; i++)
		pthread_join(threads[i], NULL);
}

#define BUSY_BLOCKS 256
#define BUSY_BYTES  8192

static _Noreturn void *stay_busy(void *arg)
{
	uint64_t random = (uint64_t)arg;
	void *blocks[BUSY_BLOCKS] = {0};

	for (;;) {
		void **b = &blocks[random__below(&random, BUSY_BLOCKS)];

		free(*b);
		*b = malloc(1 + random__below(&random, BUSY_BYTES));
		if (!*b)
			die("malloc");
		memset(*b, 0x5a, 1);
	}
}

static void start_busy_threads(void)
{
	for (uint64_t i = 0; i < o.busy; i++) {
		pthread_t thread;

		errno = pthread_create(&thread, NULL, stay_busy, (void *)(i + MAX_THREADS));
		if (errno)
			die("pthread_create");
	}
}

/* MALLCTL_ARENAS_ALL of jemalloc 5. */
static void purge(void)
{
	int (*mallctl)(const char *, void *, size_t *, void *, size_t) =
		(int (*)(const char *, void *, size_t *, void *, size_t))dlsym(RTLD_DEFAULT,
									       "mallctl");

	if (!mallctl || mallctl("arena.4096.purge", NULL, NULL, NULL, 0))
		die("purge");
}

static const struct target_option options[] = {
	{"shape", .string = &o.shape},
	{"threads", .number = &o.threads},
	{"kb", .number = &o.kb},
	{"keep", .number = &o.keep},
	{"min-bytes", .number = &o.min_bytes},
	{"max-bytes", .number = &o.max_bytes},
	{"busy", .number = &o.busy},
	{"together", .flag = &o.together},
	{"ended", .flag = &o.ended},
	{0},
};

int main(int argc __attribute__((unused)), char **argv)
{
	char line[64];

	if (!parse_options(argv, options) || !o.shape || !o.threads || o.threads > MAX_THREADS ||
	    !o.max_bytes || o.max_bytes < o.min_bytes || o.busy > MAX_THREADS)
		usage(USAGE);
	setvbuf(stdout, NULL, _IOLBF, 256);
	if (o.threads == 1 && strcmp(o.shape, "stacks") != 0)
		work(0);
	else
		run_threads();
	start_busy_threads();
	printf("done %d\n", getpid());
	while (fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "trim\n") == 0)
			malloc_trim(0);
		else if (strcmp(line, "purge\n") == 0)
			purge();
		else
			break;
		puts("ok");
	}
	return 0;
}
