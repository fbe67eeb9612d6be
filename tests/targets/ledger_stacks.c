// flags: -O2 -g
// link: -lpthread
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Threads with stacks of four kinds: default, without a guard, small, and in memory that the
 * program gave and that holds other things on both sides. Others have ended: their stacks are
 * glibc's to use again. And memory that is no stack's. The truth is how many of each and how many
 * bytes.
 *
 * "ready PID" and TRUTH, line, end.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include "truth.h"

#define USAGE "usage: ledger_stacks [--live N] [--ended N] [--direct-kb N]\n"

#define MAX_THREADS 1000
#define SMALL_BYTES (256u << 10)
#define OWN_BYTES   (1u << 20)

static pthread_barrier_t started, ending;

static void *stay(void *arg)
{
	volatile char used[16384];

	for (size_t i = 0; i < sizeof(used); i += 4096)
		used[i] = 1;
	pthread_barrier_wait(&started);
	/* One thread in ten runs: the kernel then tells no stack pointer of it. */
	while ((uintptr_t)arg % 10 == 9)
		sched_yield();
	pause();
	return NULL;
}

static void *leave(void *arg)
{
	pthread_barrier_wait(&ending);
	return arg;
}

static void fill(char *at, size_t bytes)
{
	if (at == MAP_FAILED)
		die("mmap");
	memset(at, 1, bytes);
}

static void start(uint64_t index)
{
	pthread_attr_t attr;
	pthread_t id;

	pthread_attr_init(&attr);
	if (index % 4 == 1)
		pthread_attr_setguardsize(&attr, 0);
	if (index % 4 == 2)
		pthread_attr_setstacksize(&attr, SMALL_BYTES);
	if (index % 4 == 3) {
		char *own = mmap(NULL, 3 * OWN_BYTES, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		fill(own, 3 * OWN_BYTES);
		pthread_attr_setstack(&attr, own + OWN_BYTES, OWN_BYTES);
	}
	errno = pthread_create(&id, &attr, stay, (void *)(uintptr_t)index);
	if (errno)
		die("pthread_create");
	pthread_attr_destroy(&attr);
}

/* Small ones: glibc keeps 40 MB of stacks and no more. All live at once, so that none takes
 * another's. */
static void end(uint64_t count)
{
	static pthread_t ids[MAX_THREADS];
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, SMALL_BYTES / 2);
	pthread_barrier_init(&ending, NULL, (unsigned int)count + 1);
	for (uint64_t i = 0; i < count; i++) {
		errno = pthread_create(&ids[i], &attr, leave, NULL);
		if (errno)
			die("pthread_create");
	}
	pthread_barrier_wait(&ending);
	for (uint64_t i = 0; i < count; i++)
		pthread_join(ids[i], NULL);
	pthread_attr_destroy(&attr);
}

int main(int argc, char **argv)
{
	uint64_t live = 20, ended = 1, direct_kb = 5120;
	const struct target_option options[] = {
		{"live", .number = &live},
		{"ended", .number = &ended},
		{"direct-kb", .number = &direct_kb},
		{.name = NULL},
	};
	static struct truth truth;

	(void)argc;
	if (!parse_options(argv, options) || live > MAX_THREADS || ended > MAX_THREADS)
		usage(USAGE);
	pthread_barrier_init(&started, NULL, (unsigned int)live + 1);
	for (uint64_t i = 0; i < live; i++)
		start(i);
	pthread_barrier_wait(&started);
	end(ended);
	fill(mmap(NULL, direct_kb << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		  0),
	     direct_kb << 10);
	truth__open(&truth, NULL, "{");
	truth__number(&truth, "live", live);
	truth__number(&truth, "ended", ended);
	/* Of what the program gave for a stack a third is one. */
	truth__number(&truth, "direct_bytes", (direct_kb << 10) + live / 4 * 2 * OWN_BYTES);
	truth__number(&truth, "given_bytes", live / 4 * OWN_BYTES);
	truth__close(&truth, "}");
	truth__write(&truth);
	say("ready");
	wait_line();
	_exit(0);
}
