// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
// link: -pthread
/*
 * Measures itself for tools/bench: reads one command a line, answers one line, so that probes can
 * be put on and taken off between two measurements of one process.
 *
 *	malloc N        20 times N pairs of malloc and free     -> ns a pair
 *	mmap N          20 times N pairs of mmap and munmap     -> ns a pair
 *	getppid N       20 times N calls of getppid()           -> ns a call
 *	threads T N     the first in each of T threads at once  -> ns a pair of each
 * (of the fastest of the 20: what else the machine does only ever adds)
 *	storm P N       N pairs of mmap and munmap in each of P children at once
 *	                                                -> seconds, pairs
 *	ticks           a pair of mmap and munmap and one of malloc and free every 20 us, until the
 *	                next line comes, which is eaten -> number of ticks
 *	tick I          when tick I began               -> ns, CLOCK_REALTIME
 */
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLICES      20
#define THREADS_MAX 64
#define TICK_NS     20000
#define TICKS_MAX   1000000 /* 20 s and more */

static uint64_t ticks[TICKS_MAX];
static unsigned long tick_count;

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void run_malloc(unsigned long n)
{
	void *volatile p;

	for (unsigned long i = 0; i < n; i++) {
		p = malloc((size_t)16 << (i & 7));
		free(p);
	}
}

static void run_mmap(unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		void *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);

		if (p == MAP_FAILED || munmap(p, 65536))
			abort();
	}
}

static void run_getppid(unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		syscall(SYS_getppid);
}

static void measure(void (*run)(unsigned long n), unsigned long n)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < SLICES; i++) {
		uint64_t start = now_ns(CLOCK_MONOTONIC), spent;

		run(n);
		spent = now_ns(CLOCK_MONOTONIC) - start;
		if (spent < least)
			least = spent;
	}
	printf("%.1f\n", (double)least / (double)n);
}

struct crowd {
	pthread_barrier_t barrier;
	unsigned long n;
};

static uint64_t run_slice(struct crowd *crowd)
{
	uint64_t start;

	pthread_barrier_wait(&crowd->barrier);
	start = now_ns(CLOCK_MONOTONIC);
	run_malloc(crowd->n);
	pthread_barrier_wait(&crowd->barrier);
	return now_ns(CLOCK_MONOTONIC) - start;
}

static void *run_along(void *arg)
{
	for (int i = 0; i < SLICES; i++)
		run_slice(arg);
	return NULL;
}

static void measure_threads(unsigned long threads, unsigned long n)
{
	pthread_t others[THREADS_MAX];
	struct crowd crowd = {.n = n};
	uint64_t least = UINT64_MAX;

	pthread_barrier_init(&crowd.barrier, NULL, (unsigned int)threads);
	for (unsigned long i = 1; i < threads; i++)
		if (pthread_create(&others[i], NULL, run_along, &crowd))
			abort();
	for (int i = 0; i < SLICES; i++) {
		uint64_t spent = run_slice(&crowd);

		if (spent < least)
			least = spent;
	}
	for (unsigned long i = 1; i < threads; i++)
		pthread_join(others[i], NULL);
	pthread_barrier_destroy(&crowd.barrier);
	printf("%.1f\n", (double)least / (double)n);
}

static void storm(unsigned long processes, unsigned long n)
{
	uint64_t start = now_ns(CLOCK_MONOTONIC);
	unsigned long failed = 0;
	int status;

	for (unsigned long i = 0; i < processes; i++) {
		pid_t pid = fork();

		if (pid < 0)
			abort();
		if (!pid) {
			run_mmap(n);
			_exit(0);
		}
	}
	while (wait(&status) > 0)
		failed += status != 0;
	if (failed)
		abort();
	printf("%.3f %lu\n", (double)(now_ns(CLOCK_MONOTONIC) - start) / 1e9, processes * n);
}

static void tick_along(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	char line[64];

	tick_count = 0;
	while (tick_count < TICKS_MAX && !poll(&input, 1, 0)) {
		uint64_t start = now_ns(CLOCK_REALTIME);

		ticks[tick_count++] = start;
		run_mmap(1);
		run_malloc(1);
		while (now_ns(CLOCK_REALTIME) - start < TICK_NS)
			;
	}
	if (fgets(line, sizeof(line), stdin))
		printf("%lu\n", tick_count);
}

static int run_command(const char *line)
{
	unsigned long a = 0, b = 0;
	char name[16] = "";
	int n = sscanf(line, "%15s %lu %lu", name, &a, &b);

	if (n == 2 && !strcmp(name, "malloc") && a)
		measure(run_malloc, a);
	else if (n == 2 && !strcmp(name, "mmap") && a)
		measure(run_mmap, a);
	else if (n == 2 && !strcmp(name, "getppid") && a)
		measure(run_getppid, a);
	else if (n == 3 && !strcmp(name, "threads") && a && a <= THREADS_MAX && b)
		measure_threads(a, b);
	else if (n == 3 && !strcmp(name, "storm"))
		storm(a, b);
	else if (n == 1 && !strcmp(name, "ticks"))
		tick_along();
	else if (n == 2 && !strcmp(name, "tick") && a < tick_count)
		printf("%llu\n", (unsigned long long)ticks[a]);
	else
		return -1;
	fflush(stdout);
	return 0;
}

int main(void)
{
	char line[64];

	/* poll() in tick_along sees only what stdio has not read ahead. */
	setvbuf(stdin, NULL, _IONBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		if (run_command(line)) {
			fprintf(stderr, "bench_loop: no such command: %s", line);
			return 2;
		}
	}
	return 0;
}
