// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/arena_limit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NARENAS_FROM_NCORES of malloc/malloc.c, for 64 bits. */
#define ARENAS_PER_CPU 8

/* A tunable's number as glibc reads it (elf/dl-tunables.c): any C base, all of it, at least 1
 * (elf/dl-tunables.list). 0: ignored. */
static int64_t read_arena_max(const char *text, size_t len)
{
	char digits[32], *end;
	unsigned long long value;

	if (!len || len >= sizeof(digits) || text[0] < '0' || text[0] > '9')
		return 0;
	memcpy(digits, text, len);
	digits[len] = '\0';
	errno = 0;
	value = strtoull(digits, &end, 0);
	return errno || *end || value > INT64_MAX ? 0 : (int64_t)value;
}

/* "name=value:name=value": the last valid one counts. 0: none. */
static int64_t find_tunable(const char *tunables, const char *name)
{
	size_t name_len = strlen(name);
	int64_t value = 0;

	while (tunables && *tunables) {
		size_t len = strcspn(tunables, ":");

		if (len > name_len + 1 && tunables[name_len] == '=' &&
		    strncmp(tunables, name, name_len) == 0) {
			int64_t found = read_arena_max(tunables + name_len + 1, len - name_len - 1);

			value = found ? found : value;
		}
		tunables += len;
		tunables += *tunables == ':';
	}
	return value;
}

struct wish {
	int64_t arenas; /* 0: none */
	const char *name;
};

/* What the environment asked for when the program started. GLIBC_TUNABLES comes before the old
 * variable. */
static struct wish environment_wish(const char *malloc_arena_max, const char *tunables)
{
	struct wish wish = {
		.arenas = find_tunable(tunables, "glibc.malloc.arena_max"),
		.name = "glibc.malloc.arena_max",
	};

	if (wish.arenas || !malloc_arena_max)
		return wish;
	wish.arenas = read_arena_max(malloc_arena_max, strlen(malloc_arena_max));
	wish.name = "MALLOC_ARENA_MAX";
	return wish;
}

int64_t arena_limit__decide(const struct malloc_par *par, const char *malloc_arena_max,
			    const char *tunables, int cpus_online, char *source, size_t size)
{
	struct wish wish = environment_wish(malloc_arena_max, tunables);
	int64_t by_cpus = (int64_t)ARENAS_PER_CPU * cpus_online;
	int64_t by_process = par ? (int64_t)par->arena_max : 0;

	/* What the process really uses comes first: the environment can be ignored (programs with
	 * raised privileges) and mallopt overrides it. */
	if (wish.arenas && (!par || by_process == wish.arenas)) {
		snprintf(source, size, "%s=%lld (environment)", wish.name, (long long)wish.arenas);
		return wish.arenas;
	}
	if (by_process) {
		snprintf(source, size, "arena_max=%lld (read from the process)",
			 (long long)by_process);
		return by_process;
	}
	/* The CPUs are counted once there are more arenas than arena_test: so many may exist. */
	if (par && (int64_t)par->arena_test + 1 > by_cpus) {
		snprintf(source, size, "arena_test=%lld (read from the process) + 1",
			 (long long)par->arena_test);
		return (int64_t)par->arena_test + 1;
	}
	snprintf(source, size, "%d x %d online CPU%s", ARENAS_PER_CPU, cpus_online,
		 cpus_online == 1 ? "" : "s");
	return by_cpus;
}
