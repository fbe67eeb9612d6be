// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>

#include "heap/glibc_census.h"

#include "heap_bounds.h"
#include "heap_child.h"

/*
 * Heaps that are broken on purpose, a little more with each seed: whatever they hold, reading them
 * neither crashes nor goes on without bound. MEMDRIFT_SEEDS=N makes it long.
 */

#define ARENAS      4
#define STATE_BYTES 0x8a0
#define HEAP_BYTES  (64ULL << 20)

/* A place of malloc's own, and how much of it. */
struct place {
	uint64_t start, bytes;
};

static struct place places[64];
static size_t place_count;
static uint64_t chunks[4096]; /* of some blocks */
static size_t chunk_count;
static pthread_barrier_t barrier;
static uint64_t *seed; /* shared with the parent */

static void add_place(uint64_t start, uint64_t bytes)
{
	if (place_count < sizeof(places) / sizeof(*places))
		places[place_count++] = (struct place){start, bytes};
}

static void *make_heap(void *arg)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	uint64_t random = 5 + (uintptr_t)arg;
	static __thread void *blocks[3000];

	for (int i = 0; i < 3000; i++) {
		blocks[i] = __libc_malloc(16 + heap__random(&random) % (i % 50 ? 200 : 9000));
		memset(blocks[i], (int)random, 16);
	}
	for (int i = 0; i < 3000; i++) {
		if (random >> (i % 64) & 1)
			__libc_free(blocks[i]);
	}
	pthread_mutex_lock(&lock);
	for (int i = 0; i < 3000 && chunk_count < 4096; i += 4)
		chunks[chunk_count++] = (uintptr_t)blocks[i] - 16;
	add_place((uintptr_t)blocks[0] & ~(HEAP_BYTES - 1), STATE_BYTES);
	add_place((uintptr_t)blocks[0] - 0x300, 0x600);
	pthread_mutex_unlock(&lock);
	pthread_barrier_wait(&barrier);
	pause();
	return NULL;
}

/* libc's variables: the main arena and malloc_par among them. */
static void add_libc_data(void)
{
	char line[512];
	FILE *f = fopen("/proc/self/maps", "re");

	while (f && fgets(line, sizeof(line), f)) {
		uint64_t start, end;

		if (strstr(line, "libc.so.6") && strstr(line, " rw-p ") &&
		    sscanf(line, "%lx-%lx", &start, &end) == 2)
			add_place(start, end - start);
	}
	if (f)
		fclose(f);
}

/* Values that break things: sizes, addresses of other places, links in a circle. */
static uint64_t bad_value(uint64_t *random, uint64_t old)
{
	uint64_t chunk = chunks[heap__random(random) % chunk_count];

	switch (heap__random(random) % 12) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX - heap__random(random) % 64;
	case 2:
		return old ^ 1ULL << (heap__random(random) % 64);
	case 3:
		return old + 16 * (heap__random(random) % 16) - 128;
	case 4:
		return chunk;
	case 5:
		return chunk ^ (chunk + 16) >> 12;
	case 6:
		return places[heap__random(random) % place_count].start +
		       16 * (heap__random(random) % 8);
	case 7:
		return 0x21;
	case 8:
		return HEAP_BYTES | 5;
	case 9:
		return 0x290 | 5;
	case 10:
		return 1ULL << (heap__random(random) % 64) | 1;
	default:
		return heap__random(random);
	}
}

static __attribute__((noinline, no_sanitize("address"))) void poke(uint64_t *random)
{
	uint64_t *words = (uint64_t *)chunks[heap__random(random) % chunk_count];
	size_t count = 4;

	if (heap__random(random) % 2) {
		const struct place *place = &places[heap__random(random) % place_count];

		words = (uint64_t *)place->start;
		count = place->bytes / 8;
	}
	words += heap__random(random) % count;
	*words = bad_value(random, *words);
}

/* Its heaps are made, and then broken a little more with each step. */
static void break_heaps(struct child *child)
{
	pthread_t thread;

	/* The first thread that allocates has the main arena. */
	memset(__libc_malloc(100), 1, 100);
	pthread_barrier_init(&barrier, NULL, ARENAS + 1);
	for (intptr_t i = 0; i < ARENAS; i++)
		pthread_create(&thread, NULL, make_heap, (void *)i);
	pthread_barrier_wait(&barrier);
	add_libc_data();
	for (;;) {
		uint64_t random;

		child_ready(child);
		random = *seed * 0x9e3779b97f4a7c15ULL + 1;
		for (uint64_t i = 0; i <= *seed % 16; i++)
			poke(&random);
	}
}

/* Three looks, each taken again three times, each with three beginnings: 27 walks of at most 5 MB
 * of heaps, at 4 times their size, and as much for what is read beside them. */
#define BYTES_MAX (2 * 27 * 4 * 5000000ULL)

static void whatever_a_heap_holds_reading_it_ends(void **state)
{
	const char *wish = getenv("MEMDRIFT_SEEDS");
	uint64_t seeds = wish ? strtoull(wish, NULL, 10) : 48, read = 0, left_out = 0;
	const struct glibc_bounds bounds = {.time_ns = 2000000000};
	struct child child = {0};

	for (*seed = 1; *seed <= seeds; ++*seed) {
		struct subject subject;
		struct claims claims = {0};
		struct glibc_census census;
		const char *reason;
		int err;

		/* Broken more and more for some seeds, then from the start again. */
		if (*seed % 12 == 1) {
			if (child.pid)
				child__end(&child);
			child = child__start(break_heaps);
		}
		child__step(&child);
		assert_int_equal(subject__open(child.pid, &subject), 0);
		err = glibc_census__read(&subject, &bounds, &claims, &census, &reason);
		assert_true(err == 0 || err == -ENOENT);
		assert_true(err == 0 || reason);
		assert_true(subject.memory.bytes_read < BYTES_MAX);
		if (!err)
			expect_possible(&census, &subject);
		read += err == 0;
		left_out += err == 0 && census.unwalked_bytes > 0;
		glibc_census__free(&census);
		claims__free(&claims);
		subject__close(&subject);
	}
	child__end(&child);
	/* It must have been broken, and not so much that all was refused at once. */
	assert_true(read > seeds / 4);
	assert_true(left_out > seeds / 16);
	print_message("# %llu seeds, %llu read, %llu of them with something left out\n",
		      (unsigned long long)seeds, (unsigned long long)read,
		      (unsigned long long)left_out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_a_heap_holds_reading_it_ends),
	};

	seed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seed == MAP_FAILED)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
