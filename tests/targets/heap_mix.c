// flags: -O2 -g -fno-builtin
// link: -lpthread
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Threads that fill heaps with blocks of random size and free some of them at random, then stand
 * still. The truth is what glibc says of itself (mallinfo2, malloc_info, what malloc_trim(0)
 * returned) and what each thread knows of its blocks.
 *
 *   "ready PID", line, malloc_trim(0), "trimmed PID", line, end. The truth is written before both.
 *
 * With --churn the threads go on to malloc and free without a pause, each 16 bytes of every block
 * written; what is in use is kept in the file --counters, one word of 8 bytes for each thread:
 *   "ready PID", line, end.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include "truth.h"

#define USAGE                                                                                   \
	"usage: heap_mix [--threads N] [--mb N] [--keep PERCENT] [--min-bytes N] [--max-bytes " \
	"N]\n"                                                                                  \
	"                [--seed N] [--mmapped N] [--churn] [--counters FILE] [--foreign]\n"

#define MAX_THREADS 128

struct options {
	uint64_t threads, mb, keep, min_bytes, max_bytes, seed, mmapped;
	const char *counters;
	bool churn, foreign;
};

struct block {
	struct block *next;
	uint64_t chunk_bytes; /* 0: a mapping of its own */
};

struct thread {
	const struct options *o;
	uint64_t random;
	uint64_t *live_bytes; /* chunks in use, headers included */
	struct block *blocks;
};

static struct thread threads[MAX_THREADS + 1];
static uint64_t own_counters[MAX_THREADS + 1];
static uint32_t phase, finished;

/* The chunk's header lies in front of the block; bit 1 says that it is a mapping of its own. */
static __attribute__((noinline)) uint64_t chunk_bytes(const void *block)
{
	uint64_t size = ((const uint64_t *)block)[-1];

	return size & 2 ? 0 : size & ~7ULL;
}

static struct block *make_block(struct thread *t)
{
	uint64_t range = t->o->max_bytes - t->o->min_bytes + 1;
	/* Small ones are more frequent, as in most programs. */
	uint64_t below = 1 + random__below(&t->random, range);
	uint64_t bytes = t->o->min_bytes + random__below(&t->random, below);
	struct block *b = malloc(bytes < sizeof(*b) ? sizeof(*b) : bytes);

	if (!b)
		die("malloc");
	if (!t->o->churn)
		memset(b, 0x5a, malloc_usable_size(b));
	b->next = NULL;
	b->chunk_bytes = chunk_bytes(b);
	__atomic_fetch_add(t->live_bytes, b->chunk_bytes, __ATOMIC_RELAXED);
	return b;
}

static void drop_block(struct thread *t, struct block *b)
{
	__atomic_fetch_sub(t->live_bytes, b->chunk_bytes, __ATOMIC_RELAXED);
	free(b);
}

static uint64_t o_bytes(const struct options *o)
{
	return o->mb * 1000000;
}

static void fill(struct thread *t, uint64_t bytes)
{
	while (__atomic_load_n(t->live_bytes, __ATOMIC_RELAXED) < bytes) {
		struct block *b = make_block(t);

		b->next = t->blocks;
		t->blocks = b;
	}
}

static void thin_out(struct thread *t)
{
	struct block **link = &t->blocks;

	while (*link) {
		struct block *b = *link;

		if (random__below(&t->random, 100) < t->o->keep) {
			link = &b->next;
			continue;
		}
		*link = b->next;
		drop_block(t, b);
	}
}

/* As many slots as hold the thread's share when half of them are filled. */
static void churn(struct thread *t)
{
	uint64_t mean = t->o->min_bytes + (t->o->max_bytes - t->o->min_bytes) / 4 + 16;
	uint64_t n = 2 * t->o->mb * 1000000 / mean + 16;
	struct block **slots = mmap(NULL, n * sizeof(*slots), PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (slots == MAP_FAILED)
		die("mmap");
	for (uint64_t round = 0;; round++) {
		struct block **slot = &slots[random__below(&t->random, n)];

		if (*slot) {
			drop_block(t, *slot);
			*slot = NULL;
		} else {
			*slot = make_block(t);
		}
		if (round == 2 * n)
			bump(&finished);
	}
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	if (t->o->churn)
		churn(t);
	fill(t, o_bytes(t->o));
	bump(&finished);
	wait_until(&phase, 1);
	thin_out(t);
	bump(&finished);
	for (;;)
		pause();
	return NULL;
}

/* Without the pages of files, as the text of malloc_trim itself is one that was not there before.
 */
static uint64_t anonymous_bytes(void)
{
	static char text[4096];
	int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	const char *line;

	if (n <= 0)
		die("smaps_rollup");
	close(fd);
	text[n] = '\0';
	line = strstr(text, "\nAnonymous:");
	return line ? strtoull(line + 11, NULL, 10) * 1024 : 0;
}

/* malloc_info's <heap> elements, one for each arena. Its stream allocates, so that it comes after
 * all else. */
static uint64_t count_arenas(void)
{
	static char text[1 << 20];
	FILE *f = fmemopen(text, sizeof(text), "w");
	uint64_t arenas = 0;

	if (!f || malloc_info(0, f) || fclose(f))
		die("malloc_info");
	for (const char *p = text; (p = strstr(p, "<heap nr=")); p++)
		arenas++;
	return arenas;
}

/* glibc before 2.33 has no mallinfo2. */
struct mallinfo2 mallinfo2(void) __attribute__((weak));

static void write_truth(const struct options *o, uint64_t arenas, uint64_t trimmed)
{
	static struct truth t;
	uint64_t live = 0;

	memset(&t, 0, sizeof(t));
	for (uint64_t i = 0; i <= o->threads; i++)
		live += *threads[i].live_bytes;
	truth__open(&t, NULL, "{");
	truth__string(&t, "program", "heap_mix");
	truth__number(&t, "pid", (uint64_t)getpid());
	truth__number(&t, "threads", o->threads);
	truth__number(&t, "arenas", arenas);
	truth__number(&t, "live_bytes", live);
	truth__number(&t, "trimmed_bytes", trimmed);
	if (mallinfo2) {
		struct mallinfo2 m = mallinfo2();

		truth__number(&t, "arena", m.arena);
		truth__number(&t, "uordblks", m.uordblks);
		truth__number(&t, "fordblks", m.fordblks);
		truth__number(&t, "fsmblks", m.fsmblks);
		truth__number(&t, "hblks", m.hblks);
		truth__number(&t, "hblkhd", m.hblkhd);
	} else {
		/* Its members are of 32 bits: right for less than 4 GiB. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
		struct mallinfo m = mallinfo();
#pragma GCC diagnostic pop

		truth__number(&t, "arena", (uint32_t)m.arena);
		truth__number(&t, "uordblks", (uint32_t)m.uordblks);
		truth__number(&t, "fordblks", (uint32_t)m.fordblks);
		truth__number(&t, "fsmblks", (uint32_t)m.fsmblks);
		truth__number(&t, "hblks", (uint32_t)m.hblks);
		truth__number(&t, "hblkhd", (uint32_t)m.hblkhd);
	}
	truth__close(&t, "}");
	truth__write(&t);
}

static void map_counters(const struct options *o)
{
	size_t size = sizeof(own_counters);
	uint64_t *words = own_counters;
	int fd = o->counters ? open(o->counters, O_RDWR | O_CREAT | O_CLOEXEC, 0644) : -1;

	if (o->counters) {
		if (fd < 0 || ftruncate(fd, size))
			die(o->counters);
		words = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (words == MAP_FAILED)
			die("mmap");
		close(fd);
	}
	for (uint64_t i = 0; i <= MAX_THREADS; i++)
		threads[i].live_bytes = &words[i];
}

/* Memory that somebody else took from sbrk, between two of malloc's. */
static void take_foreign(void)
{
	char *p = sbrk(100000);

	if (p == (char *)-1)
		die("sbrk");
	memset(p, 0x21, 100000);
}

static void start(const struct options *o)
{
	pthread_t id;

	map_counters(o);
	for (uint64_t i = 0; i <= o->threads; i++) {
		threads[i].o = o;
		threads[i].random = o->seed * 1000 + i;
	}
	for (uint64_t i = 0; i < o->mmapped; i++)
		memset(malloc(140000 + 4096 * i), 1, 5000);
	for (uint64_t i = 1; i <= o->threads; i++) {
		errno = pthread_create(&id, NULL, thread_main, &threads[i]);
		if (errno)
			die("pthread_create");
	}
}

static void stand_still(const struct options *o)
{
	uint64_t before, arenas;

	fill(&threads[0], o_bytes(o));
	if (o->foreign)
		take_foreign();
	wait_until(&finished, o->threads);
	raise_to(&phase, 1);
	thin_out(&threads[0]);
	if (o->foreign)
		fill(&threads[0], 2 * o_bytes(o));
	wait_until(&finished, 2 * o->threads);
	/* What stdio allocates for it stays in this thread's cache. */
	arenas = count_arenas();
	write_truth(o, arenas, 0);
	stop_at("ready", true);
	anonymous_bytes(); /* what it touches for the first time */
	before = anonymous_bytes();
	malloc_trim(0);
	before -= anonymous_bytes();
	write_truth(o, arenas, before);
	stop_at("trimmed", true);
}

int main(int argc, char **argv)
{
	struct options o = {
		.threads = 4, .mb = 8, .keep = 50, .min_bytes = 1, .max_bytes = 2000, .seed = 1};
	const struct target_option options[] = {
		{"threads", .number = &o.threads},
		{"mb", .number = &o.mb},
		{"keep", .number = &o.keep},
		{"min-bytes", .number = &o.min_bytes},
		{"max-bytes", .number = &o.max_bytes},
		{"seed", .number = &o.seed},
		{"mmapped", .number = &o.mmapped},
		{"counters", .string = &o.counters},
		{"churn", .flag = &o.churn},
		{"foreign", .flag = &o.foreign},
		{.name = NULL},
	};

	(void)argc;
	if (!parse_options(argv, options) || o.threads > MAX_THREADS || o.max_bytes < o.min_bytes)
		usage(USAGE);
	start(&o);
	if (o.churn) {
		wait_until(&finished, o.threads);
		stop_at("ready", true);
	} else {
		stand_still(&o);
	}
	_exit(0);
}
