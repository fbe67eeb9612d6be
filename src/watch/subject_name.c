// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <bsd/string.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "census/cgroup_names.h"
#include "census/cgroup_place.h"
#include "watch/subjects.h"

static void name_unit(struct subject_name *name, const struct cgroup_facts *facts)
{
	if (facts->pod_uid[0])
		snprintf(name->unit, sizeof(name->unit), "pod:%s", facts->pod_uid);
	else if (facts->container_id[0])
		strlcpy(name->unit, facts->container_id, sizeof(name->unit));
	else if (facts->unit[0])
		strlcpy(name->unit, facts->unit, sizeof(name->unit));
	else if (strcmp(name->cgroup, "/") != 0)
		strlcpy(name->unit, name->cgroup, sizeof(name->unit));
}

static bool says_something(const struct cgroup_facts *facts)
{
	return facts->pod_uid[0] || facts->container_id[0] || facts->unit[0];
}

int subject_name__place(struct subject_name *name, const char *proc_cgroup)
{
	const struct cgroup_mounts none = {0};
	struct cgroup_place place, systemd = {0};
	struct cgroup_facts facts = {0};
	int err = cgroup_place__find(proc_cgroup, &none, "memory", &place);

	name->unit[0] = name->cgroup[0] = '\0';
	if (err)
		return err;
	if (place.path) {
		strlcpy(name->cgroup, place.path, sizeof(name->cgroup));
		cgroup_names__parse(place.path, &facts);
	}
	/* Of version 1 the memory hierarchy need not have groups for units: systemd's own has. */
	if (!says_something(&facts)) {
		err = cgroup_place__find(proc_cgroup, &none, "name=systemd", &systemd);
		if (!err && systemd.path)
			cgroup_names__parse(systemd.path, &facts);
		cgroup_place__free(&systemd);
	}
	name_unit(name, &facts);
	cgroup_place__free(&place);
	return err;
}

void subject_name__program(struct subject_name *name, const char *exe)
{
	static const char deleted[] = " (deleted)";
	const size_t suffix = sizeof(deleted) - 1;
	size_t len;

	if (!exe || !*exe) {
		snprintf(name->exe, sizeof(name->exe), "[%s]", name->comm);
		return;
	}
	len = strlen(exe);
	if (len > suffix && !memcmp(exe + len - suffix, deleted, suffix))
		len -= suffix;
	if (len >= sizeof(name->exe))
		len = sizeof(name->exe) - 1;
	memcpy(name->exe, exe, len);
	name->exe[len] = '\0';
}
