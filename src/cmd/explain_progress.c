// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/explain_progress.h"

#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

static void *draw(void *arg)
{
	struct explain_progress *progress = arg;
	uint64_t started_ns = monotonic_ns();
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	pthread_mutex_lock(&progress->lock);
	while (!progress->stop) {
		at.tv_sec++;
		while (!progress->stop &&
		       !pthread_cond_timedwait(&progress->wake, &progress->lock, &at))
			;
		if (!progress->stop)
			log_progress("reading process %u: %.0f s", progress->pid,
				     (double)(monotonic_ns() - started_ns) / 1e9);
	}
	pthread_mutex_unlock(&progress->lock);
	return NULL;
}

void explain_progress__start(struct explain_progress *progress, uint32_t pid)
{
	pthread_condattr_t clock;

	*progress = (struct explain_progress){.pid = pid};
	if (!isatty(STDERR_FILENO))
		return;
	pthread_mutex_init(&progress->lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&progress->wake, &clock);
	pthread_condattr_destroy(&clock);
	progress->runs = !pthread_create(&progress->thread, NULL, draw, progress);
}

void explain_progress__stop(struct explain_progress *progress)
{
	if (!progress->runs)
		return;
	pthread_mutex_lock(&progress->lock);
	progress->stop = true;
	pthread_cond_signal(&progress->wake);
	pthread_mutex_unlock(&progress->lock);
	pthread_join(progress->thread, NULL);
	pthread_cond_destroy(&progress->wake);
	pthread_mutex_destroy(&progress->lock);
	log_progress("%s", "");
}
