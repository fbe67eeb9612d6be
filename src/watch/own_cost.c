// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "watch/own_cost.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "census/proc_file.h"
#include "census/proc_stat.h"

/* A map can be open more than once. memdrift has some forty; beyond this one would count twice. */
#define MAPS_MAX 512

static uint64_t usage_ns(const struct rusage *usage)
{
	return ((uint64_t)usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000000ull +
	       ((uint64_t)usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * 1000ull;
}

void own_cost__read(struct own_cost *cost)
{
	struct rusage usage;
	uint64_t rss_bytes;

	if (!getrusage(RUSAGE_SELF, &usage))
		cost->cpu_ns = usage_ns(&usage);
	if (!getrusage(RUSAGE_CHILDREN, &usage))
		cost->children_cpu_ns = usage_ns(&usage);
	if (!proc_stat__rss(getpid(), &rss_bytes))
		cost->rss_bytes = rss_bytes;
}

/* bpf_map_show_fdinfo (kernel/bpf/syscall.c) has memlock, and so have programs, which are told by
 * their tag. */
static uint64_t map_bytes(const char *text)
{
	const char *found = strstr(text, "\nmemlock:");

	if (!found || !strstr(text, "\nmap_type:"))
		return 0;
	return strtoull(found + strlen("\nmemlock:"), NULL, 10);
}

static uint64_t map_id(const char *text)
{
	const char *found = strstr(text, "\nmap_id:");

	return found ? strtoull(found + strlen("\nmap_id:"), NULL, 10) : 0;
}

static bool is_new_id(uint64_t id, uint64_t *ids, size_t *count)
{
	for (size_t i = 0; i < *count; i++) {
		if (ids[i] == id)
			return false;
	}
	if (*count < MAPS_MAX)
		ids[(*count)++] = id;
	return true;
}

uint64_t own_cost__bpf_map_bytes(void)
{
	uint64_t ids[MAPS_MAX], sum = 0;
	DIR *dir = opendir("/proc/self/fdinfo");
	size_t count = 0;
	struct dirent *entry;
	char name[300], text[2048];

	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		uint64_t bytes;

		snprintf(name, sizeof(name), "fdinfo/%s", entry->d_name);
		if (entry->d_name[0] == '.' ||
		    proc_file__read(getpid(), name, text, sizeof(text)) <= 0)
			continue;
		bytes = map_bytes(text);
		if (bytes && is_new_id(map_id(text), ids, &count))
			sum += bytes;
	}
	closedir(dir);
	return sum;
}
