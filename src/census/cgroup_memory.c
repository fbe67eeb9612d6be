// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/cgroup_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "census/cgroup_find.h"
#include "census/cgroup_process.h"
#include "census/host.h"

/* A group that changes is read so often; the steadiest reading is told. */
#define READINGS_MAX 3

/*
 * What the kernel keeps per CPU: each holds up to 64 pages of charges in advance
 * (MEMCG_CHARGE_BATCH), and memory.stat may lack up to twice that (memcg_rstat_updated and
 * memcg_vmstats_needs_flush in mm/memcontrol.c).
 */
#define PAGES_PER_CPU (3 * 64)

/* What usage may be off from its parts, and by how much it may move while it is read. */
static int64_t allowed(int64_t usage, int cpus)
{
	int64_t in_cpus = (int64_t)PAGES_PER_CPU * cpus * (int64_t)host__page_bytes();

	return usage / 100 > in_cpus ? usage / 100 : in_cpus;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void sum_processes(struct cgroup_memory *memory)
{
	memory->rss_sum = memory->pss_sum = memory->swap_sum = 0;
	memory->pss_anon_sum = memory->pss_shmem_sum = 0;
	for (size_t i = 0; i < memory->process_count; i++) {
		const struct cgroup_process *process = &memory->processes[i];

		if (process->shares_with)
			continue;
		memory->rss_sum += process->rss;
		memory->pss_sum += process->pss;
		memory->swap_sum += process->swap;
		if (process->pss_anon < 0 || process->pss_shmem < 0)
			memory->pss_anon_sum = memory->pss_shmem_sum = -1;
		if (memory->pss_anon_sum < 0)
			continue;
		memory->pss_anon_sum += process->pss_anon;
		memory->pss_shmem_sum += process->pss_shmem;
	}
}

/* File pages and shmem that no process has mapped. */
static void split_cache(struct cgroup_memory *memory)
{
	const struct cgroup_stat *stat = &memory->stat;
	int64_t unmapped, mapped_shmem;

	memory->cache = memory->tmpfs = -1;
	if (stat->file < 0 || stat->shmem < 0 || stat->mapped < 0)
		return;
	unmapped = stat->file + stat->shmem - least(stat->mapped, stat->file + stat->shmem);
	mapped_shmem = memory->pss_shmem_sum > 0 ? least(memory->pss_shmem_sum, stat->mapped) : 0;
	memory->tmpfs = least(stat->shmem - least(mapped_shmem, stat->shmem), unmapped);
	memory->cache = unmapped - memory->tmpfs;
}

static void check_parts(struct cgroup_memory *memory, int cpus)
{
	const struct cgroup_stat *stat = &memory->stat;
	int64_t sum = stat->anon + stat->file + stat->shmem + stat->kernel;

	if (stat->usage < 0 || stat->anon < 0 || memory->cache < 0 || stat->kernel < 0)
		return;
	sum += stat->sockets > 0 ? stat->sockets : 0;
	sum += stat->hugetlb > 0 ? stat->hugetlb : 0;
	memory->rest = stat->usage - sum;
	memory->parts_check = (struct check){
		.done = true,
		.ok = llabs(memory->rest) <= allowed(stat->usage, cpus),
		.found = (uint64_t)sum,
		.expected = (uint64_t)stat->usage,
	};
}

void cgroup_memory__derive(struct cgroup_memory *memory, int cpus)
{
	const struct cgroup_stat *stat = &memory->stat;
	int64_t mapped;

	memory->parts_check = (struct check){0};
	memory->has_difference = false;
	memory->difference = memory->anon_difference = memory->mapped_difference = memory->rest = 0;
	sum_processes(memory);
	split_cache(memory);
	check_parts(memory, cpus);
	if (!memory->parts_check.done || memory->pss_anon_sum < 0 || memory->unread_count)
		return;
	mapped = stat->file + stat->shmem - memory->cache - memory->tmpfs;
	memory->anon_difference = stat->anon - memory->pss_anon_sum;
	memory->mapped_difference = mapped - ((int64_t)memory->pss_sum - memory->pss_anon_sum);
	memory->difference = memory->anon_difference + memory->mapped_difference + memory->rest;
	memory->has_difference = true;
}

static void free_reading(struct cgroup_memory *memory)
{
	free(memory->processes);
	memory->processes = NULL;
}

static void read_stat(const char *dir, int version, bool is_root, struct cgroup_stat *out)
{
	cgroup_stat__read(dir, version, out);
	if (is_root)
		out->usage = -1;
}

/* Processes and counters, between two readings of usage. */
static int read_once(const char *dir, int version, struct cgroup_memory *reading)
{
	struct cgroup_stat before;
	int cpus = host__cpus_online();
	int err;

	read_stat(dir, version, reading->is_root, &before);
	reading->stat = before;
	err = cgroup_processes__read(dir, reading);
	if (err)
		return err;
	read_stat(dir, version, reading->is_root, &reading->stat);
	reading->changed_bytes = llabs(reading->stat.usage - before.usage);
	reading->steady = reading->changed_bytes <= allowed(reading->stat.usage, cpus);
	cgroup_memory__derive(reading, cpus);
	return 0;
}

/* Readings until one is steady, and the steadiest of them in tries[*best]. The first is always
 * made; more only when they are quick. */
static int read_tries(const struct cgroup_memory *memory, struct cgroup_memory *tries, size_t *best,
		      uint32_t *count)
{
	uint64_t start_ns = monotonic_ns();
	int err;

	*best = 0;
	for (*count = 0; *count < READINGS_MAX;) {
		struct cgroup_memory *reading = &tries[(*count)++];

		reading->is_root = memory->is_root;
		err = read_once(memory->dir, memory->facts.version, reading);
		if (err)
			return err;
		if (reading->changed_bytes < tries[*best].changed_bytes)
			*best = *count - 1;
		if (reading->steady || monotonic_ns() - start_ns > CGROUP_MEMORY_NS_MAX / 4)
			break;
	}
	return 0;
}

/* Fills what facts, dir and is_root leave. */
static int read_steadily(struct cgroup_memory *out)
{
	struct cgroup_memory tries[READINGS_MAX] = {0};
	uint32_t count;
	size_t best;
	int err = read_tries(out, tries, &best, &count);

	for (size_t i = 0; i < READINGS_MAX; i++) {
		if (err || i != best)
			free_reading(&tries[i]);
	}
	if (err)
		return err;
	tries[best].facts = out->facts;
	tries[best].dir = out->dir;
	*out = tries[best];
	out->readings = count;
	/* The same instant for both, as far as that goes. */
	out->facts.usage_bytes = out->stat.usage;
	return 0;
}

int cgroup_memory__read(const char *path, struct cgroup_memory *out)
{
	struct cgroup_found found;
	int err;

	*out = (struct cgroup_memory){0};
	err = cgroup_find__group(path, &found);
	if (err)
		return err;
	out->dir = found.memory.dir;
	out->facts = found.facts;
	out->is_root = found.is_root;
	found.memory.dir = NULL;
	found.facts = (struct cgroup_facts){0};
	cgroup_found__free(&found);
	err = read_steadily(out);
	if (err)
		cgroup_memory__free(out);
	return err;
}

void cgroup_memory__free(struct cgroup_memory *memory)
{
	cgroup_facts__free(&memory->facts);
	free_reading(memory);
	free(memory->dir);
	*memory = (struct cgroup_memory){0};
}
