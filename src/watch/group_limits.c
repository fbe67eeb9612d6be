// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "watch/group_limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "census/cgroup_facts.h"
#include "census/cgroup_place.h"
#include "census/host.h"
#include "census/proc_file.h"

/* 14 controllers of version 1, each with a path of at most 4,096 bytes. */
#define PROC_CGROUP_MAX 65536

struct entry {
	UT_hash_handle hh;
	uint64_t read_ns;
	struct group_limit limit;
	char *seen_path; /* owned; what limit.path shows; NULL unknown */
	char path[];
};

struct group_limits {
	struct entry *entries; /* the one read longest ago first */
	size_t count;
	uint64_t keep_ns;
};

static double least_cpus(const struct cgroup_facts *facts)
{
	double cpus = host__cpus_online();

	if (facts->cpuset_cpus > 0 && facts->cpuset_cpus < cpus)
		cpus = facts->cpuset_cpus;
	if (facts->cpu_quota > 0 && facts->cpu_quota < cpus)
		cpus = facts->cpu_quota;
	return cpus;
}

static void free_entry(struct entry *entry)
{
	free(entry->seen_path);
	free(entry);
}

static void forget(struct group_limits *limits, struct entry *entry)
{
	HASH_DEL(limits->entries, entry);
	limits->count--;
	free_entry(entry);
}

/* uthash keeps the order of adding: what is read is added anew. Takes the path of facts. */
static struct entry *add_entry(struct group_limits *limits, const char *path,
			       struct cgroup_facts *facts)
{
	size_t len = strlen(path);
	struct entry *entry = calloc(1, sizeof(*entry) + len + 1);

	if (!entry)
		return NULL;
	memcpy(entry->path, path, len + 1);
	HASH_ADD_STR(limits->entries, path, entry);
	if (!entry->hh.tbl) {
		free(entry);
		return NULL;
	}
	limits->count++;
	entry->seen_path = facts->path;
	facts->path = NULL;
	entry->limit = (struct group_limit){
		.limit_bytes = facts->limit_bytes,
		.cpus = least_cpus(facts),
		.path = entry->seen_path ? entry->seen_path : entry->path,
	};
	return entry;
}

static int is_still_in(uint32_t pid, const char *path, bool *still)
{
	const struct cgroup_mounts none = {0};
	struct cgroup_place place;
	char *text = malloc(PROC_CGROUP_MAX);
	ssize_t n = text ? proc_file__read(pid, "cgroup", text, PROC_CGROUP_MAX) : -ENOMEM;
	int err = n < 0 ? (int)n : cgroup_place__find(text, &none, "memory", &place);

	free(text);
	if (err)
		return err;
	*still = place.path && strcmp(place.path, path) == 0;
	cgroup_place__free(&place);
	return 0;
}

static int read_entry(struct group_limits *limits, const char *path, uint32_t pid,
		      struct entry **entry)
{
	struct cgroup_facts facts;
	bool still = false;
	int err = cgroup_facts__read(pid, &facts);

	if (err)
		return err;
	err = is_still_in(pid, path, &still);
	if (!err)
		err = still ? 0 : -EAGAIN;
	if (!err) {
		if (*entry)
			forget(limits, *entry);
		*entry = add_entry(limits, path, &facts);
		err = *entry ? 0 : -ENOMEM;
	}
	cgroup_facts__free(&facts);
	return err;
}

int group_limits__get(struct group_limits *limits, const char *path, uint32_t pid, uint64_t now_ns,
		      struct group_limit *out)
{
	struct entry *entry;

	HASH_FIND_STR(limits->entries, path, entry);
	if (!entry || now_ns - entry->read_ns >= limits->keep_ns) {
		int err = read_entry(limits, path, pid, &entry);

		if (err)
			return err;
		entry->read_ns = now_ns;
	}
	*out = entry->limit;
	/* The oldest: not this one. */
	if (limits->count > GROUP_LIMITS_MAX)
		forget(limits, limits->entries);
	return 0;
}

struct group_limits *group_limits__new(uint64_t keep_ns)
{
	struct group_limits *limits = calloc(1, sizeof(*limits));

	if (limits)
		limits->keep_ns = keep_ns;
	return limits;
}

void group_limits__free(struct group_limits *limits)
{
	struct entry *entry, *next;

	if (!limits)
		return;
	/* Takes the table away and leaves the entries in their order. */
	entry = limits->entries;
	HASH_CLEAR(hh, limits->entries);
	for (; entry; entry = next) {
		next = entry->hh.next;
		free_entry(entry);
	}
	free(limits);
}
