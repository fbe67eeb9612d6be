// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "watch/burst.h"

/* The number after a line's last space, which ends at `end`. */
static const char *weight_of(const char *line, const char *end, uint64_t *weight)
{
	const char *space = memrchr(line, ' ', (size_t)(end - line));
	uint64_t value = 0;

	if (!space || space + 1 == end)
		return NULL;
	for (const char *at = space + 1; at < end; at++) {
		if (*at < '0' || *at > '9' || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, *at - '0', &value))
			return NULL;
	}
	*weight = value;
	return space;
}

int folded__heaviest(const char *text, size_t size, char **stack, uint64_t *weight)
{
	const char *end = text + size, *best = NULL, *best_end = NULL;

	*weight = 0;
	for (const char *line = text; line < end;) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		const char *frames = memchr(line, ';', (size_t)((stop ? stop : end) - line));
		const char *space;
		uint64_t value;

		if (!stop)
			stop = end;
		space = frames ? weight_of(frames, stop, &value) : NULL;
		if (space && value > *weight) {
			*weight = value;
			best = frames + 1;
			best_end = space;
		}
		line = stop + 1;
	}
	if (!best)
		return -ENOENT;
	*stack = strndup(best, (size_t)(best_end - best));
	return *stack ? 0 : -ENOMEM;
}
