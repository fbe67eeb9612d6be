/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_NEAR_NAMES_H
#define MEMDRIFT_PROBE_NEAR_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* The names most like one that was not found, for its error message. */
#define NEAR_NAMES_MAX      5
#define NEAR_NAME_MAX       64 /* longer ones are not compared */
#define NEAR_NAMES_TEXT_MAX (NEAR_NAMES_MAX * (4 * NEAR_NAME_MAX + 2) + 1)

struct near_names {
	const char *wanted; /* set by the caller, the rest zero */
	size_t offered;
	struct {
		char name[NEAR_NAME_MAX];
		unsigned int distance;
	} best[NEAR_NAMES_MAX]; /* the nearest first */
	size_t count;
};

void near_names__offer(struct near_names *near, const char *name);
/* "a, b, c", made safe to print; false when none is near. */
bool near_names__print(const struct near_names *near, char *buf, size_t size);

#endif
