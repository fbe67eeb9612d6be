// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/cgroup_find.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/text.h"
#include "census/cgroup_host.h"
#include "census/cgroup_memory.h"

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

/* The root of the namespace of the thread that asks is the kernel's own. */
static bool is_initial_namespace(void)
{
	const ino_t initial = 0xEFFFFFFB; /* PROC_CGROUP_INIT_INO, include/linux/proc_ns.h */
	struct stat st;

	return stat("/proc/thread-self/ns/cgroup", &st) == 0 && st.st_ino == initial;
}

/* The controller has to be enabled for the group itself. The kernel's root of version 2 has
 * counters, but no usage. */
static bool has_counters(const struct cgroup_place *place)
{
	struct cgroup_stat stat;

	cgroup_stat__read(place->dir, place->version, &stat);
	return stat.usage >= 0 || stat.anon >= 0;
}

static int find_named(const char *name, const struct cgroup_mounts *mounts,
		      struct cgroup_found *out)
{
	int err = cgroup_place__named(name, mounts, "memory", &out->memory);

	if (err)
		return err;
	if (!out->memory.version)
		return -ENODEV;
	if (!out->memory.dir)
		return -ENOENT;
	err = cgroup_facts__named(name, mounts, &out->facts);
	if (err)
		return err;
	out->is_root = strcmp(name, "/") == 0 && is_initial_namespace();
	return out->facts.version && has_counters(&out->memory) ? 0 : -ENODEV;
}

struct search {
	const char *path;
	int (*read_mounts)(struct cgroup_mounts *mounts);
	struct cgroup_found *out;
};

static int find_in_mounts(void *ctx)
{
	const struct search *search = ctx;
	struct cgroup_mounts mounts;
	int err = search->read_mounts(&mounts);
	char *name;

	*search->out = (struct cgroup_found){0};
	if (err)
		return err;
	name = find_name(search->path, &mounts);
	err = name ? find_named(name, &mounts, search->out) : -ENOMEM;
	cgroup_mounts__free(&mounts);
	free(name);
	return err;
}

static void explain_failure(const char *path, int version, int err)
{
	char *printable = text_printable_dup(path);
	const char *name = printable ? printable : "";

	if (err == -ENOENT)
		log_error("no memory control group %s: neither a folder of a cgroup file system "
			  "nor a group of that name in %s; see /proc/PID/cgroup for names",
			  name, version == 1 ? "the memory hierarchy of version 1" : "version 2");
	else if (err == -ENODEV && !version)
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

int cgroup_find__group(const char *path, struct cgroup_found *out)
{
	struct cgroup_found hosts;
	struct search own = {path, cgroup_mounts__read, out};
	struct search host = {path, cgroup_mounts__read_init, &hosts};
	int err = find_in_mounts(&own);

	if (!err)
		return 0;
	hosts = (struct cgroup_found){0};
	/* One that is here, if without the controller, is meant; and so is our own root. */
	if (!out->memory.dir && path[strspn(path, "/")] &&
	    cgroup_host__run(find_in_mounts, &host) == 0) {
		cgroup_found__free(out);
		*out = hosts;
		return 0;
	}
	cgroup_found__free(&hosts);
	explain_failure(path, out->memory.version, err);
	cgroup_found__free(out);
	return err;
}

void cgroup_found__free(struct cgroup_found *found)
{
	cgroup_place__free(&found->memory);
	cgroup_facts__free(&found->facts);
}
