/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_CGROUP_FACTS_H
#define MEMDRIFT_CENSUS_CGROUP_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "census/cgroup_mounts.h"
#include "census/check.h"

/*
 * The control group of a process and what bounds it there, of version 1 or 2 or both (hybrid: each
 * controller where it is). -1: unknown or without a limit, as said.
 *
 * In a container that sees the host's processes names and limits are those of the host. In one that
 * does not, groups above its own cannot be looked at: their limits are not known in version 2;
 * version 1 tells the least of them.
 */
struct cgroup_facts {
	char *path;          /* as in /proc/PID/cgroup, raw; owned; NULL unknown */
	int version;         /* of the memory controller: 1 or 2; 0 none */
	int64_t limit_bytes; /* the nearest enclosing limit; -1 none */
	char *limit_path;    /* whose limit that is; owned; NULL: none, or above what is visible */
	int64_t usage_bytes; /* of the group itself; -1 unknown */
	int64_t high_bytes;  /* memory.high, the lowest up the tree; -1 none */
	double cpu_quota;    /* CPUs, the least up the tree; 0 none */
	int cpuset_cpus;     /* CPUs of cpuset.cpus.effective; 0 unknown */
	char container_id[80]; /* 64 hex digits from the path; a name for LXC and nspawn; "" none */
	/* "docker", "containerd", "cri-o", "podman", "kubernetes" (one of them), "lxc",
	 * "systemd-nspawn"; "" none or not known */
	char runtime[24];
	char pod_uid[48];         /* "" none */
	char unit[128];           /* systemd unit, raw; "" none */
	struct check limit_check; /* walked up the tree against hierarchical_memory_limit of version
				   * 1; when they differ limit_bytes is the kernel's */
	bool visible;             /* the group's directory was found */
};

/* 0, -ESRCH, -ENOMEM; without any memory controller all is unknown, which is no error. */
int cgroup_facts__read(uint32_t pid, struct cgroup_facts *out);
/* The same from the text of a /proc/PID/cgroup and given mounts. 0, -ENOMEM. */
int cgroup_facts__parse(const char *proc_cgroup, const struct cgroup_mounts *mounts,
			struct cgroup_facts *out);
/* Of the group of that name. 0, -ENOMEM. */
int cgroup_facts__named(const char *name, const struct cgroup_mounts *mounts,
			struct cgroup_facts *out);
void cgroup_facts__free(struct cgroup_facts *facts);

#endif
