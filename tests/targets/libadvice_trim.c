// link: -lpthread
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Preloaded into a program that has no malloc_trim of its own to call: a thread that reads the
 * fifo $ADVICE_TRIM and calls malloc_trim(0) for each byte, answered with a byte in
 * $ADVICE_TRIM.ok.
 */
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include "truth.h"

static void *serve(void *arg)
{
	const char *path = arg;
	char answer[PATH_MAX], c;
	int in, out;

	snprintf(answer, sizeof(answer), "%s.ok", path);
	in = open(path, O_RDONLY | O_CLOEXEC);
	out = open(answer, O_WRONLY | O_CLOEXEC);
	if (in < 0 || out < 0)
		die(path);
	while (read(in, &c, 1) == 1) {
		malloc_trim(0);
		if (write(out, &c, 1) != 1)
			break;
	}
	return NULL;
}

__attribute__((constructor)) static void start(void)
{
	char *path = getenv("ADVICE_TRIM");
	pthread_t thread;

	if (path && pthread_create(&thread, NULL, serve, path))
		die("pthread_create");
}
