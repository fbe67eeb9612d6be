/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_CGROUP_NAMES_H
#define MEMDRIFT_CENSUS_CGROUP_NAMES_H

#include "census/cgroup_facts.h"

/*
 * What a group's name says: container_id, runtime, pod_uid and unit of *out are set, "" where it
 * says nothing. Of nested containers it is the innermost one. A container's monitor (conmon,
 * lxc.monitor) is beside the container, not in it.
 */
void cgroup_names__parse(const char *path, struct cgroup_facts *out);

#endif
