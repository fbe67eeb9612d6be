// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/closer.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

/* Grace periods of several threads are one: this many links are closed in the time of one. */
#define CLOSER_THREADS 16

struct job {
	struct job *next;
	void (*close_fn)(void *thing);
	void *thing;
};

struct closer {
	pthread_t threads[CLOSER_THREADS];
	int thread_count;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct job *jobs;
	bool done;
};

static void *work(void *arg)
{
	struct closer *closer = arg;
	struct job *job;

	pthread_mutex_lock(&closer->lock);
	while (closer->jobs || !closer->done) {
		job = closer->jobs;
		if (!job) {
			pthread_cond_wait(&closer->changed, &closer->lock);
			continue;
		}
		closer->jobs = job->next;
		pthread_mutex_unlock(&closer->lock);
		job->close_fn(job->thing);
		free(job);
		pthread_mutex_lock(&closer->lock);
	}
	pthread_mutex_unlock(&closer->lock);
	return NULL;
}

struct closer *closer__new(void)
{
	struct closer *closer = calloc(1, sizeof(*closer));

	if (!closer)
		return NULL;
	pthread_mutex_init(&closer->lock, NULL);
	pthread_cond_init(&closer->changed, NULL);
	while (closer->thread_count < CLOSER_THREADS &&
	       !pthread_create(&closer->threads[closer->thread_count], NULL, work, closer))
		closer->thread_count++;
	if (closer->thread_count)
		return closer;
	free(closer);
	return NULL;
}

void closer__free(struct closer *closer)
{
	if (!closer)
		return;
	pthread_mutex_lock(&closer->lock);
	closer->done = true;
	pthread_cond_broadcast(&closer->changed);
	pthread_mutex_unlock(&closer->lock);
	for (int i = 0; i < closer->thread_count; i++)
		pthread_join(closer->threads[i], NULL);
	free(closer);
}

void closer__add(struct closer *closer, void (*close_fn)(void *thing), void *thing)
{
	struct job *job;

	if (!thing)
		return;
	job = closer ? malloc(sizeof(*job)) : NULL;
	if (!job) {
		close_fn(thing);
		return;
	}
	job->close_fn = close_fn;
	job->thing = thing;
	pthread_mutex_lock(&closer->lock);
	job->next = closer->jobs;
	closer->jobs = job;
	pthread_cond_signal(&closer->changed);
	pthread_mutex_unlock(&closer->lock);
}
