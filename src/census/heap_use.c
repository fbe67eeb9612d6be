// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/heap_use.h"

#include <errno.h>

#include "census/subject.h"
#include "heap/glibc_census.h"

static bool is_complete(const struct glibc_census *census)
{
	bool agrees = !census->unwalked_bytes;

	for (size_t i = 0; agrees && i < census->arena_count; i++)
		agrees = census->arenas[i].walked.done && census->arenas[i].walked.ok;
	return agrees;
}

int heap_use__read(uint32_t pid, uint64_t start_ticks, uint64_t time_ns, struct heap_use *out)
{
	const struct glibc_bounds bounds = {.time_ns = time_ns};
	struct glibc_census census;
	struct claims claims = {0};
	struct subject subject;
	const char *reason;
	int err = subject__open(pid, &subject);

	if (err)
		return err;
	err = start_ticks && subject.stat.start_ticks != start_ticks
		      ? -ESRCH
		      : glibc_census__read(&subject, &bounds, &claims, &census, &reason);
	if (!err) {
		*out = (struct heap_use){
			.known = true,
			.complete = is_complete(&census),
			.in_use_bytes = census.in_use_bytes,
			.in_use_error_bytes = census.in_use_error_bytes,
			.free_bytes = census.free_bytes,
			.trimmable_bytes = census.trimmable_bytes,
			.mmapped_bytes = census.mmapped_bytes,
		};
		glibc_census__free(&census);
	}
	claims__free(&claims);
	subject__close(&subject);
	return err;
}
