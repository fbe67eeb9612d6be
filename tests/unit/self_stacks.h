/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_TESTS_SELF_STACKS_H
#define MEMDRIFT_TESTS_SELF_STACKS_H

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stack/names.h"

/* This very process as the one that was traced. */
struct self {
	uint64_t stack[8];
	int depth;
	bool gone;
	int maps_read;
	int stacks_read;
};

static inline int read_stack(void *ctx, int32_t id, uint64_t *frames, size_t max)
{
	struct self *self = ctx;

	self->stacks_read++;
	if (id == 99)
		return -ENOENT;
	assert_true((size_t)self->depth <= max);
	memcpy(frames, self->stack, (size_t)self->depth * sizeof(*frames));
	return self->depth;
}

static inline int read_maps(void *ctx, uint32_t pid, uint64_t start_ticks,
			    struct maps_entry **entries, size_t *n)
{
	struct self *self = ctx;
	char line[4352], prot[5], path[4096];
	FILE *maps;

	self->maps_read++;
	if (self->gone)
		return -ESRCH;
	*entries = calloc(4096, sizeof(**entries));
	*n = 0;
	maps = fopen("/proc/self/maps", "re");
	assert_non_null(maps);
	while (*n < 4096 && fgets(line, sizeof(line), maps)) {
		struct maps_entry *entry = &(*entries)[*n];

		path[0] = '\0';
		assert_true(sscanf(line,
				   "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %" SCNu64
				   " %4095[^\n]",
				   &entry->start, &entry->end, prot, &entry->offset, &entry->inode,
				   path) >= 5);
		entry->prot = (prot[0] == 'r' ? PROT_READ : 0) | (prot[1] == 'w' ? PROT_WRITE : 0) |
			      (prot[2] == 'x' ? PROT_EXEC : 0);
		entry->path = strdup(path);
		(*n)++;
	}
	fclose(maps);
	return 0;
}

static inline struct process own_process(void)
{
	return (struct process){.pid = (uint32_t)getpid(), .start_ns = 5, .start_ticks = 5};
}

#endif
