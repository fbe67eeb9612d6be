// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/cgroup_memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "census/cgroup_file.h"
#include "census/cgroup_place.h"
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

/* The group's name, from a directory or a name; NULL when memory is out. */
static char *find_name(const char *path, const struct cgroup_mounts *mounts)
{
	char *real = path[0] == '/' ? realpath(path, NULL) : NULL;
	char *name = real ? cgroup_place__name_of(real, mounts) : NULL;

	free(real);
	if (name)
		return name;
	path += strspn(path, "/");
	if (asprintf(&name, "/%s", path) < 0)
		return NULL;
	for (size_t len = strlen(name); len > 1 && name[len - 1] == '/'; len--)
		name[len - 1] = '\0';
	return name;
}

static void explain_failure(const char *path, const struct cgroup_place *memory, int err)
{
	char *printable = text_printable_dup(path);
	const char *name = printable ? printable : "";

	if (err == -ENOENT)
		log_error("no memory control group %s: neither a folder of a cgroup file system "
			  "nor a group of that name in %s; see /proc/PID/cgroup for names",
			  name,
			  memory->version == 1 ? "the memory hierarchy of version 1" : "version 2");
	else if (err == -ENODEV && !memory->version)
		log_error("cannot explain the control group %s: no memory controller is mounted",
			  name);
	else if (err == -ENODEV)
		log_error("cannot explain the control group %s: the memory controller is not "
			  "enabled for it; try the group above it",
			  name);
	else
		log_error("cannot explain the control group %s: %s", name, strerror(-err));
	free(printable);
}

/* Where the group's memory is accounted. */
static int find_group(const char *path, struct cgroup_place *place, struct cgroup_facts *facts)
{
	struct cgroup_mounts mounts;
	int err = cgroup_mounts__read(&mounts);
	char *name;

	if (err)
		return err;
	name = find_name(path, &mounts);
	err = name ? cgroup_place__named(name, &mounts, "memory", place) : -ENOMEM;
	if (!err)
		err = !place->version ? -ENODEV : !place->dir ? -ENOENT : 0;
	if (!err)
		err = cgroup_facts__named(name, &mounts, facts);
	if (!err && !facts->version)
		err = -ENODEV;
	cgroup_mounts__free(&mounts);
	free(name);
	return err;
}

static void free_reading(struct cgroup_memory *memory)
{
	free(memory->processes);
	memory->processes = NULL;
}

/* The kernel's own root, not that of a container's namespace. */
static bool is_kernels_root(const struct cgroup_place *place)
{
	const ino_t initial = 0xEFFFFFFB; /* PROC_CGROUP_INIT_INO, include/linux/proc_ns.h */
	struct stat st;

	return strcmp(place->path, "/") == 0 && stat("/proc/self/ns/cgroup", &st) == 0 &&
	       st.st_ino == initial;
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

/* Takes over what a reading has; facts and dir stay. */
static void take_reading(struct cgroup_memory *out, struct cgroup_memory *reading)
{
	reading->facts = out->facts;
	reading->dir = out->dir;
	free_reading(out);
	*out = *reading;
}

static int read_steadily(int version, struct cgroup_memory *out)
{
	uint64_t start_ns = monotonic_ns();
	uint32_t readings = 0;
	int err = 0;

	/* The first reading is always made; more only when they are quick. */
	while (!err && readings < READINGS_MAX &&
	       !(readings &&
		 (out->steady || monotonic_ns() - start_ns > CGROUP_MEMORY_NS_MAX / 4))) {
		struct cgroup_memory reading = {.is_root = out->is_root};

		err = read_once(out->dir, version, &reading);
		if (!err && (!readings || reading.changed_bytes < out->changed_bytes))
			take_reading(out, &reading);
		else
			free_reading(&reading);
		readings++;
	}
	out->readings = readings;
	/* The same instant for both, as far as that goes. */
	if (!err)
		out->facts.usage_bytes = out->stat.usage;
	return err;
}

int cgroup_memory__read(const char *path, struct cgroup_memory *out)
{
	struct cgroup_place place = {0};
	int err;

	*out = (struct cgroup_memory){0};
	err = find_group(path, &place, &out->facts);
	/* The kernel's root group of version 2 has counters, but no usage. */
	if (!err) {
		cgroup_stat__read(place.dir, place.version, &out->stat);
		if (out->stat.usage < 0 && out->stat.anon < 0)
			err = -ENODEV;
	}
	if (err) {
		explain_failure(path, &place, err);
	} else {
		out->dir = place.dir;
		out->is_root = is_kernels_root(&place);
		place.dir = NULL;
		err = read_steadily(place.version, out);
	}
	cgroup_place__free(&place);
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
