// flags: -O2 -g -fno-builtin
// link: -lpthread
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Allocations that are freed at once, and others: threads that allocate by themselves, and memory
 * that another thread frees. Its own count of what was freed before the next allocation of the
 * thread that allocated it goes to $TRUTH.
 */
#define _GNU_SOURCE
#include <pthread.h>

#include "truth.h"

#define ROUNDS  3000
#define THREADS 3

static uint64_t temporary, temporary_bytes;
static uint32_t started, finished;
/* From one thread to be freed by another: never a temporary one. */
static void *handed_over[THREADS];

static void *run(void *arg)
{
	size_t thread = (size_t)(uintptr_t)arg;
	uint64_t random = thread + 1, count = 0, bytes = 0;
	void *kept = NULL;

	wait_until(&started, 1);
	for (int i = 0; i < ROUNDS; i++) {
		size_t size = 1 + random__below(&random, 2000);
		void *p = malloc(size), *other;

		switch (random__below(&random, 3)) {
		case 0: /* at once */
			free(p);
			count++;
			bytes += size;
			break;
		case 1: /* after another one */
			free(kept);
			kept = p;
			p = calloc(1, size);
			free(p);
			count++;
			bytes += size;
			break;
		default: /* by whoever comes next */
			other = __atomic_exchange_n(&handed_over[(thread + 1) % THREADS], p,
						    __ATOMIC_SEQ_CST);
			free(other);
		}
	}
	add(&temporary, count);
	add(&temporary_bytes, bytes);
	bump(&finished);
	for (;;)
		pause();
	return NULL;
}

int main(void)
{
	static struct truth t;
	pthread_t thread;

	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&thread, NULL, run, (void *)i))
			die("pthread_create");
	stop_at("ready", true);
	raise_to(&started, 1);
	wait_until(&finished, THREADS);
	truth__open(&t, NULL, "{");
	truth__number(&t, "temporary", temporary);
	truth__number(&t, "temporary_bytes", temporary_bytes);
	truth__close(&t, "}");
	truth__write(&t);
	stop_at("done", true);
	_exit(0);
}
