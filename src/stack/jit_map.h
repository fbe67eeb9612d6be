/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_JIT_MAP_H
#define MEMDRIFT_STACK_JIT_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text_pool.h"

struct jit_entry {
	uint64_t start;
	uint64_t end;
	const char *name; /* of the pool */
	uint64_t number;  /* of the line: the highest is the newest */
};

/* One perf-PID.map as far as it was read. Zeroed but for max: nothing yet. */
struct jit_map {
	struct jit_entry *entries; /* `sorted` of them by address, the rest as they came */
	size_t count, sorted, room;
	size_t max; /* entries: the caller's bound */
	uint64_t lines;
	uint64_t read_bytes; /* of the file: whole lines */
};

void jit_map__clear(struct jit_map *map);

/*
 * Reads what the file has more than last time; all of it when it is shorter than then. True when
 * there was something new. Lines that make no sense are skipped.
 */
bool jit_map__read(struct jit_map *map, int fd, struct text_pool *names);

/* The newest code that holds the address, or NULL. Valid until the map is read again. */
const struct jit_entry *jit_map__find(const struct jit_map *map, uint64_t address);

#endif
