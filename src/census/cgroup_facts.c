// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/cgroup_facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "census/cgroup_file.h"
#include "census/cgroup_host.h"
#include "census/cgroup_names.h"
#include "census/cgroup_place.h"
#include "census/proc_file.h"

/* 14 controllers of version 1, each with a path of at most 4,096 bytes. */
#define PROC_CGROUP_MAX 65536

enum controller { MEMORY, CPU, CPUSET, CONTROLLERS };

struct places {
	struct cgroup_place of[CONTROLLERS];
};

static void free_places(struct places *places)
{
	for (int i = 0; i < CONTROLLERS; i++)
		cgroup_place__free(&places->of[i]);
}

/* By the text of /proc/PID/cgroup when there is one, else by name. */
static int find_places(const char *proc_cgroup, const char *name,
		       const struct cgroup_mounts *mounts, struct places *places)
{
	static const char *const controllers[] = {"memory", "cpu", "cpuset"};
	int err = 0;

	*places = (struct places){0};
	for (int i = 0; !err && i < CONTROLLERS; i++)
		err = proc_cgroup
			      ? cgroup_place__find(proc_cgroup, mounts, controllers[i],
						   &places->of[i])
			      : cgroup_place__named(name, mounts, controllers[i], &places->of[i]);
	if (err)
		free_places(places);
	return err;
}

/* Calls fn for the group and those above it, as far as they are visible. */
static int each_level(const struct cgroup_place *place,
		      int (*fn)(const struct cgroup_place *place, const char *dir,
				struct cgroup_facts *out),
		      struct cgroup_facts *out)
{
	char *dir;
	int err = 0;

	if (!place->dir)
		return 0;
	dir = strdup(place->dir);
	if (!dir)
		return -ENOMEM;
	for (int depth = 0; !err && depth < CGROUP_DEPTH_MAX; depth++) {
		err = fn(place, dir, out);
		if (!cgroup_place__up(place, dir))
			break;
	}
	free(dir);
	return err;
}

static int take_limit(const struct cgroup_place *place, const char *dir, struct cgroup_facts *out)
{
	int64_t limit, high;

	limit = cgroup_file__bytes(dir,
				   place->version == 1 ? "memory.limit_in_bytes" : "memory.max");
	high = place->version == 1 ? -1 : cgroup_file__bytes(dir, "memory.high");
	if (high >= 0 && high != CGROUP_NO_LIMIT && (out->high_bytes < 0 || high < out->high_bytes))
		out->high_bytes = high;
	if (limit < 0 || limit == CGROUP_NO_LIMIT ||
	    (out->limit_bytes >= 0 && limit >= out->limit_bytes))
		return 0;
	out->limit_bytes = limit;
	free(out->limit_path);
	out->limit_path = cgroup_place__name_at(place, dir);
	return out->limit_path ? 0 : -ENOMEM;
}

static int take_quota(const struct cgroup_place *place, const char *dir, struct cgroup_facts *out)
{
	double quota = cgroup_file__cpu_quota(dir, place->version);

	if (quota > 0 && (out->cpu_quota == 0 || quota < out->cpu_quota))
		out->cpu_quota = quota;
	return 0;
}

/* The nearest group that has the file: version 2 has it where the controller is enabled. */
static int take_cpus(const struct cgroup_place *place, const char *dir, struct cgroup_facts *out)
{
	if (!out->cpuset_cpus)
		out->cpuset_cpus =
			cgroup_file__cpus(dir, place->version == 1 ? "cpuset.effective_cpus"
								   : "cpuset.cpus.effective");
	if (!out->cpuset_cpus && place->version == 1)
		out->cpuset_cpus = cgroup_file__cpus(dir, "cpuset.cpus");
	return 0;
}

/*
 * Version 1 tells the least limit itself, also of groups that are mounted nowhere here, and
 * knows where use_hierarchy (before 5.11) keeps a limit from those below.
 */
static void check_limit(const struct cgroup_place *place, struct cgroup_facts *out)
{
	char text[CGROUP_TEXT_MAX];
	int64_t kernels, ours = out->limit_bytes < 0 ? CGROUP_NO_LIMIT : out->limit_bytes;

	if (place->version != 1 || !place->dir ||
	    cgroup_file__read(place->dir, "memory.stat", text, sizeof(text)) <= 0)
		return;
	kernels = cgroup_text__value(text, "hierarchical_memory_limit");
	if (kernels < 0)
		return;
	out->limit_check = (struct check){.done = true,
					  .ok = ours == kernels,
					  .found = (uint64_t)ours,
					  .expected = (uint64_t)kernels};
	if (ours == kernels)
		return;
	out->limit_bytes = kernels == CGROUP_NO_LIMIT ? -1 : kernels;
	free(out->limit_path);
	out->limit_path = NULL;
}

/* Version 2 may be mounted without the memory controller; the topmost group lists what it has. */
static bool has_memory(const struct cgroup_place *place)
{
	char text[CGROUP_TEXT_MAX];
	char *top, *save, *word = NULL;

	if (place->version == 1 || !place->dir)
		return place->version == 1;
	top = strndup(place->dir, place->top);
	if (top && cgroup_file__read(top, "cgroup.controllers", text, sizeof(text)) > 0) {
		word = strtok_r(text, " \n", &save);
		while (word && strcmp(word, "memory"))
			word = strtok_r(NULL, " \n", &save);
	}
	free(top);
	return word;
}

static int read_memory(const struct cgroup_place *place, struct cgroup_facts *out)
{
	int err = each_level(place, take_limit, out);

	if (err)
		return err;
	out->visible = place->dir;
	out->version = has_memory(place) ? place->version : 0;
	if (place->dir)
		out->usage_bytes =
			cgroup_file__bytes(place->dir, place->version == 1 ? "memory.usage_in_bytes"
									   : "memory.current");
	check_limit(place, out);
	return 0;
}

/* The memory hierarchy of version 1 need not have groups for units: systemd's own has. */
static int parse_systemds_name(const char *proc_cgroup, struct cgroup_facts *out)
{
	struct cgroup_mounts none = {0};
	struct cgroup_place systemd;
	int err = cgroup_place__find(proc_cgroup, &none, "name=systemd", &systemd);

	if (!err && systemd.path)
		cgroup_names__parse(systemd.path, out);
	cgroup_place__free(&systemd);
	return err;
}

static int read_names(const struct places *places, const char *proc_cgroup,
		      struct cgroup_facts *out)
{
	const char *path = places->of[MEMORY].path;
	int err = 0;

	if (path)
		cgroup_names__parse(path, out);
	if (proc_cgroup && !out->container_id[0] && !out->unit[0])
		err = parse_systemds_name(proc_cgroup, out);
	if (err || !path)
		return err;
	out->path = strdup(path);
	return out->path ? 0 : -ENOMEM;
}

static int read_places(const struct places *places, const char *proc_cgroup,
		       struct cgroup_facts *out)
{
	int err = read_names(places, proc_cgroup, out);

	if (!err)
		err = read_memory(&places->of[MEMORY], out);
	if (!err)
		err = each_level(&places->of[CPU], take_quota, out);
	if (!err)
		err = each_level(&places->of[CPUSET], take_cpus, out);
	return err;
}

static int read_facts(const char *proc_cgroup, const char *name, const struct cgroup_mounts *mounts,
		      struct cgroup_facts *out)
{
	struct places places;
	int err;

	*out = (struct cgroup_facts){.limit_bytes = -1, .usage_bytes = -1, .high_bytes = -1};
	err = find_places(proc_cgroup, name, mounts, &places);
	if (err)
		return err;
	err = read_places(&places, proc_cgroup, out);
	free_places(&places);
	if (err)
		cgroup_facts__free(out);
	return err;
}

int cgroup_facts__parse(const char *proc_cgroup, const struct cgroup_mounts *mounts,
			struct cgroup_facts *out)
{
	return read_facts(proc_cgroup, NULL, mounts, out);
}

int cgroup_facts__named(const char *name, const struct cgroup_mounts *mounts,
			struct cgroup_facts *out)
{
	return read_facts(NULL, name, mounts, out);
}

struct reading {
	uint32_t pid;
	int (*read_mounts)(struct cgroup_mounts *mounts);
	struct cgroup_facts *out;
};

/* As seen from the cgroup namespace of the thread that runs it. */
static int read_process(void *ctx)
{
	const struct reading *reading = ctx;
	struct cgroup_mounts mounts = {0};
	char *text = malloc(PROC_CGROUP_MAX);
	ssize_t n;
	int err = text ? 0 : -ENOMEM;

	*reading->out =
		(struct cgroup_facts){.limit_bytes = -1, .usage_bytes = -1, .high_bytes = -1};
	if (!err) {
		n = proc_file__read(reading->pid, "cgroup", text, PROC_CGROUP_MAX);
		/* A kernel without control groups has no such file, in no process. */
		if (n < 0)
			err = n == -ESRCH && access("/proc/self/cgroup", F_OK) ? -ENOTSUP : (int)n;
	}
	/* Without mounts all is unknown but the names. */
	if (!err && reading->read_mounts(&mounts) == -ENOMEM)
		err = -ENOMEM;
	if (!err)
		err = cgroup_facts__parse(text, &mounts, reading->out);
	cgroup_mounts__free(&mounts);
	free(text);
	return err;
}

int cgroup_facts__read(uint32_t pid, struct cgroup_facts *out)
{
	struct reading own = {pid, cgroup_mounts__read, out};
	struct reading host = {pid, cgroup_mounts__read_init, out};
	int err = cgroup_host__run(read_process, &host);

	if (!err && out->visible)
		return 0;
	if (!err)
		cgroup_facts__free(out);
	err = read_process(&own);
	return err == -ESRCH || err == -ENOMEM ? err : 0;
}

void cgroup_facts__free(struct cgroup_facts *facts)
{
	free(facts->path);
	free(facts->limit_path);
	facts->path = NULL;
	facts->limit_path = NULL;
}
