// flags: -O1 -g -fno-builtin -fno-omit-frame-pointer
// link: -lpthread -lm
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The live corpus of `watch`: drift_live MODE [MIB_PER_HOUR]. The mode is the truth. An hour lasts
 * a second (SECONDS_PER_HOUR in the environment changes that), as under `watch --speed 3600`. Says
 * "ready PID" and runs until its input ends.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <malloc.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "truth.h"

#define MIB        (1ull << 20)
#define PAGE       4096ull
#define NOINLINE   __attribute__((noinline))
#define STEPS      10 /* an hour */
#define BASE_BYTES (24 * MIB)

static double rate = 0.5; /* MiB an hour */
static double hours;      /* since the start */
static void *volatile last;

static NOINLINE void touch(void *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += PAGE)
		((volatile char *)at)[i] = 1;
}

/* So many bytes were due by now; what has been taken is counted in *taken. */
static uint64_t due(uint64_t *taken)
{
	uint64_t all = (uint64_t)(rate * hours * MIB), more = all > *taken ? all - *taken : 0;

	*taken += more;
	return more;
}

static NOINLINE void *anonymous(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		die("mmap");
	return at;
}

/* ---- leaks ------------------------------------------------------------------------------- */

static NOINLINE void leak_session(size_t bytes)
{
	last = malloc(bytes);
	touch(last, bytes);
}

static NOINLINE void serve_request(void)
{
	void *volatile temporary = malloc(3000);

	free(temporary);
}

static NOINLINE void run_leak(void)
{
	static uint64_t taken, owed;

	for (owed += due(&taken); owed >= 1016; owed -= 1016) {
		leak_session(1000);
		serve_request();
	}
}

/* A block at a time is seldom: what a short look may not see. */
static NOINLINE void run_leak_large(void)
{
	static uint64_t taken, owed;

	for (owed += due(&taken); owed >= 300000; owed -= 300000)
		leak_session(300000);
}

static NOINLINE void run_leak_in_steps(void)
{
	static uint64_t taken, owed;

	owed += due(&taken);
	if (owed < 8 * rate * MIB)
		return;
	for (; owed >= 1016; owed -= 1016)
		leak_session(1000);
}

/* ---- allocators -------------------------------------------------------------------------- */

/* Each worker fills an arena of its own and frees it again, but for what holds its end. */
#define WORKERS_MAX 64
static pthread_mutex_t turn_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;
static int turn;

static NOINLINE void fill_arena(void)
{
	enum { BLOCKS = 15000, BLOCK_BYTES = 2032 };
	static __thread void *blocks[BLOCKS];

	for (int i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(BLOCK_BYTES);
		touch(blocks[i], BLOCK_BYTES);
	}
	last = malloc(64);
	for (int i = 0; i < BLOCKS; i++)
		free(blocks[i]);
}

static void *work_in_turn(void *number)
{
	pthread_mutex_lock(&turn_lock);
	while (turn <= (int)(intptr_t)number)
		pthread_cond_wait(&turn_changed, &turn_lock);
	pthread_mutex_unlock(&turn_lock);
	fill_arena();
	pause();
	return NULL;
}

static NOINLINE void run_arenas(void)
{
	static pthread_t threads[WORKERS_MAX];
	static bool started;
	pthread_attr_t attr;

	if (!started) {
		pthread_attr_init(&attr);
		pthread_attr_setstacksize(&attr, 256 * 1024);
		for (int i = 0; i < WORKERS_MAX; i++)
			if (pthread_create(&threads[i], &attr, work_in_turn, (void *)(intptr_t)i))
				die("pthread_create");
		started = true;
	}
	/* An arena's worth, 29 MiB, at a time. */
	pthread_mutex_lock(&turn_lock);
	turn = (int)(hours * rate / 7.25);
	pthread_cond_broadcast(&turn_changed);
	pthread_mutex_unlock(&turn_lock);
}

/* Each block shrinks to a few bytes: what is cut off is too small for those of the next time. */
static NOINLINE void fragment_heap(size_t block_bytes, size_t bytes)
{
	enum { HELD = 2048 };
	static void *held[HELD];
	size_t n = bytes / block_bytes + 1;

	for (size_t i = 0; i < n && i < HELD; i++) {
		held[i] = malloc(block_bytes);
		touch(held[i], block_bytes);
	}
	for (size_t i = 0; i < n && i < HELD; i++)
		last = realloc(held[i], 24);
}

static NOINLINE void run_fragmentation(void)
{
	static uint64_t taken, owed;
	static size_t block_bytes = 4000;

	owed += due(&taken);
	if (owed < MIB / 2)
		return;
	fragment_heap(block_bytes, owed);
	block_bytes += 64;
	owed = 0;
}

/* ---- mappings ---------------------------------------------------------------------------- */

static NOINLINE void fill_chunk(void)
{
	static uint64_t taken, owed, at;
	static char *chunk;

	for (owed += due(&taken); owed >= PAGE; owed -= PAGE) {
		if (!chunk || at == 64 * MIB) {
			chunk = anonymous(64 * MIB);
			at = 0;
		}
		touch(chunk + at, PAGE);
		at += PAGE;
	}
}

/* Many small mappings instead: their mapper is seen at work. */
static NOINLINE void map_buffer(size_t bytes)
{
	touch(anonymous(bytes), bytes);
}

static NOINLINE void run_buffers(void)
{
	static uint64_t taken, owed;

	for (owed += due(&taken); owed >= 64 * 1024; owed -= 64 * 1024)
		map_buffer(64 * 1024);
}

static void fill_file(int fd, uint64_t *taken, uint64_t *owed, uint64_t *at, char **map)
{
	const uint64_t most = 4096 * MIB;

	if (!*map) {
		if (fd < 0 || ftruncate(fd, (off_t)most))
			die("file");
		*map = mmap(NULL, most, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (*map == MAP_FAILED)
			die("mmap");
	}
	for (*owed += due(taken); *owed >= PAGE && *at < most; *owed -= PAGE, *at += PAGE)
		touch(*map + *at, PAGE);
}

static NOINLINE void run_file(void)
{
	static uint64_t taken, owed, at;
	static char *map;

	fill_file(map ? -1 : open(".", O_TMPFILE | O_RDWR, 0600), &taken, &owed, &at, &map);
}

static NOINLINE void run_shmem(void)
{
	static uint64_t taken, owed, at;
	static char *map;

	fill_file(map ? -1 : memfd_create("drift", 0), &taken, &owed, &at, &map);
}

static NOINLINE void *hold_stack(void *unused)
{
	char stack[120 * 1024];

	touch(stack, sizeof(stack));
	pause();
	return unused;
}

static NOINLINE void start_worker(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	if (pthread_create(&thread, &attr, hold_stack, NULL))
		die("pthread_create");
}

static NOINLINE void run_threads(void)
{
	static uint64_t taken, owed;

	for (owed += due(&taken); owed >= 128 * 1024; owed -= 128 * 1024)
		start_worker();
}

/* ---- none of these drifts ---------------------------------------------------------------- */

/* Resident memory of this size, by malloc in blocks that go back to the kernel when freed. */
static NOINLINE void hold(uint64_t bytes)
{
	enum { BLOCK_BYTES = 256 * 1024, BLOCKS_MAX = 4096 };
	static void *blocks[BLOCKS_MAX];
	static size_t count;
	size_t want = bytes / BLOCK_BYTES;

	for (; count < want && count < BLOCKS_MAX; count++) {
		blocks[count] = malloc(BLOCK_BYTES - 64);
		touch(blocks[count], BLOCK_BYTES - 64);
	}
	while (count > want)
		free(blocks[--count]);
}

static void run_warm_up(void)
{
	hold((uint64_t)(MIB * 80 * (1 - exp(-hours / 15))));
}

static void run_steady(void)
{
	hold(40 * MIB + (uint64_t)(random() % 8) * MIB / 4);
}

static void run_sawtooth(void)
{
	hold(20 * MIB + (uint64_t)(MIB * 2 * fmod(hours, 20)));
}

static double day(void)
{
	return 20 * (1 - cos(hours * 2 * M_PI / 24));
}

static void run_daily(void)
{
	hold((uint64_t)(MIB * (20 + day())));
}

static void run_daily_leak(void)
{
	run_daily();
	run_leak();
}

static void run_step(void)
{
	hold(hours < 80 ? 20 * MIB : 70 * MIB);
}

static const struct {
	const char *name;
	void (*run)(void); /* every tenth of an hour */
} modes[] = {
	{"leak", run_leak},
	{"leak-large", run_leak_large},
	{"leak-steps", run_leak_in_steps},
	{"daily-leak", run_daily_leak},
	{"arenas", run_arenas},
	{"fragmentation", run_fragmentation},
	{"chunks", fill_chunk},
	{"buffers", run_buffers},
	{"file", run_file},
	{"shmem", run_shmem},
	{"threads", run_threads},
	{"warm-up", run_warm_up},
	{"steady", run_steady},
	{"sawtooth", run_sawtooth},
	{"daily", run_daily},
	{"step", run_step},
};

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void run(void (*mode)(void))
{
	const char *text = getenv("SECONDS_PER_HOUR");
	double second = text ? atof(text) : 1, start = now_s();
	struct pollfd input = {.fd = 0, .events = POLLIN};
	char byte;

	for (;;) {
		hours = (now_s() - start) / second;
		mode();
		if (poll(&input, 1, (int)(1000 * second / STEPS)) > 0 && read(0, &byte, 1) <= 0)
			return;
	}
}

int main(int argc, char **argv)
{
	/* Or the thresholds move with what is freed. */
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	mallopt(M_TRIM_THRESHOLD, 128 * 1024);
	if (argc > 2)
		rate = atof(argv[2]);
	for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(*modes); i++)
		if (!strcmp(modes[i].name, argv[1])) {
			touch(anonymous(BASE_BYTES), BASE_BYTES);
			printf("ready %d\n", (int)getpid());
			fflush(stdout);
			run(modes[i].run);
			return 0;
		}
	fputs("drift_live MODE [MIB_PER_HOUR]\n", stderr);
	return 2;
}
