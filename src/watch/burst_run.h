/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_WATCH_BURST_RUN_H
#define MEMDRIFT_WATCH_BURST_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Ourselves once more with these arguments (the first is the program's name): output goes nowhere,
 * messages into the file. It has no descriptor of ours, no signal mask, a limit on the files that
 * it writes, a lower priority, and dies with us. 0 or a negative errno.
 */
int burst_run__start(char *const *args, const char *messages, pid_t *child, int *pidfd);
/* Without waiting. */
bool burst_run__ended(int pidfd);
/* Waits for it, and closes the descriptor: its CPU time in ns, that of its children included; 0
 * when there is none. status may be NULL. */
uint64_t burst_run__reap(pid_t *child, int *pidfd, int *status);

/*
 * Removes the files whose names begin with this, or, of NULL, the others than those of
 * MAPPINGS_PREFIX: a tracer that was killed leaves its recording under a name of its own.
 */
#define MAPPINGS_PREFIX "mappings."
void burst_run__remove_files(const char *directory, const char *prefix);

#endif
