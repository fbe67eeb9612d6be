/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_EXPLAIN_PROGRESS_H
#define MEMDRIFT_CMD_EXPLAIN_PROGRESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A line on a terminal's stderr while a reading takes longer than a second. It is drawn by a thread
 * of its own: the reading is one call, and knows nothing of terminals.
 */
struct explain_progress {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop; /* under lock */
	bool runs; /* false: no thread, and no line */
	uint32_t pid;
};

/* Without a thread there is no line; that is no error. Must be stopped. */
void explain_progress__start(struct explain_progress *progress, uint32_t pid);
void explain_progress__stop(struct explain_progress *progress);

#endif
