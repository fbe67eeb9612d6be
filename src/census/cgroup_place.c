// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/cgroup_place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A component of the path is "..". */
static bool climbs(const char *path)
{
	for (const char *p = path; (p = strstr(p, "..")); p += 2) {
		if ((p == path || p[-1] == '/') && (p[2] == '/' || !p[2]))
			return true;
	}
	return false;
}

/*
 * What of a group's name lies below the mounted group: "/docker/x" in a mount of "/docker" is "/x".
 * Both are named from the reader's cgroup namespace, so "/../a" in a mount of "/.." is "/a".
 * NULL when the group is outside.
 */
static const char *below(const char *path, const char *root)
{
	size_t len = strcmp(root, "/") ? strlen(root) : 0;

	if (strncmp(path, root, len) || (path[len] && path[len] != '/'))
		return NULL;
	path += len;
	/* What is left has to lead down: a root of "/.." and a path of "/../.." do not. */
	return climbs(path) ? NULL : path;
}

static bool is_group(const char *dir)
{
	char *procs = NULL;
	bool found;

	if (asprintf(&procs, "%s/cgroup.procs", dir) < 0)
		return false;
	found = access(procs, F_OK) == 0;
	free(procs);
	return found;
}

/* The first mount of that hierarchy in which the directory is there: others may be covered. */
static int find_dir(const struct cgroup_mounts *mounts, const char *controller,
		    struct cgroup_place *place)
{
	for (size_t i = 0; i < mounts->count; i++) {
		const struct cgroup_mount *mount = &mounts->list[i];
		const char *rest = below(place->path, mount->root);
		char *dir = NULL;

		if (!rest || mount->version != place->version ||
		    (place->version == 1 && !cgroup_mount__controls(mount, controller)))
			continue;
		if (asprintf(&dir, "%s%s", mount->path, strcmp(rest, "/") ? rest : "") < 0)
			return -ENOMEM;
		if (!is_group(dir)) {
			free(dir);
			continue;
		}
		place->dir = dir;
		place->top = strlen(mount->path);
		place->root = strdup(strcmp(mount->root, "/") ? mount->root : "");
		return place->root ? 0 : -ENOMEM;
	}
	return 0;
}

static int fill(const char *path, size_t len, int version, const struct cgroup_mounts *mounts,
		const char *controller, struct cgroup_place *out)
{
	int err;

	*out = (struct cgroup_place){.version = version, .path = strndup(path, len)};
	err = out->path ? find_dir(mounts, controller, out) : -ENOMEM;
	if (err)
		cgroup_place__free(out);
	return err;
}

int cgroup_place__find(const char *proc_cgroup, const struct cgroup_mounts *mounts,
		       const char *controller, struct cgroup_place *out)
{
	const char *unified = NULL;

	*out = (struct cgroup_place){0};
	/* "4:memory:/a", "1:name=systemd:/b", "0::/c"; a group's name has no line break. */
	for (const char *line = proc_cgroup; *line; line += strspn(line, "\n")) {
		const char *end = line + strcspn(line, "\n");
		const char *list = memchr(line, ':', end - line);
		const char *path = list ? memchr(list + 1, ':', end - list - 1) : NULL;

		if (path && path[1] == '/') {
			if (cgroup_list__has(list + 1, controller))
				return fill(path + 1, end - path - 1, 1, mounts, controller, out);
			if (path == list + 1)
				unified = path + 1;
		}
		line = end;
	}
	if (!unified)
		return 0;
	return fill(unified, strcspn(unified, "\n"), 2, mounts, controller, out);
}

int cgroup_place__named(const char *name, const struct cgroup_mounts *mounts,
			const char *controller, struct cgroup_place *out)
{
	int version = 0;

	/* A controller is in one hierarchy: in version 2 when version 1 does not have it. */
	for (size_t i = 0; i < mounts->count && version != 1; i++) {
		if (mounts->list[i].version == 2 ||
		    cgroup_mount__controls(&mounts->list[i], controller))
			version = mounts->list[i].version;
	}
	*out = (struct cgroup_place){0};
	return version ? fill(name, strlen(name), version, mounts, controller, out) : 0;
}

char *cgroup_place__name_of(const char *dir, const struct cgroup_mounts *mounts)
{
	const struct cgroup_mount *best = NULL;
	const char *rest = NULL;
	size_t best_len = 0;
	char *name = NULL;

	for (size_t i = 0; i < mounts->count; i++) {
		size_t len = strlen(mounts->list[i].path);

		if (strncmp(dir, mounts->list[i].path, len) || (dir[len] && dir[len] != '/') ||
		    (best && len <= best_len))
			continue;
		best = &mounts->list[i];
		best_len = len;
		rest = dir + len;
	}
	if (!best || asprintf(&name, "%s%s", strcmp(best->root, "/") ? best->root : "", rest) < 0)
		return NULL;
	if (name[0])
		return name;
	free(name);
	return strdup("/");
}

bool cgroup_place__up(const struct cgroup_place *place, char *dir)
{
	char *slash = strrchr(dir + place->top, '/');

	if (!slash)
		return false;
	*slash = '\0';
	return true;
}

char *cgroup_place__name_at(const struct cgroup_place *place, const char *dir)
{
	char *name = NULL;

	if (asprintf(&name, "%s%s", place->root, dir + place->top) < 0)
		return NULL;
	if (name[0])
		return name;
	free(name);
	return strdup("/");
}

void cgroup_place__free(struct cgroup_place *place)
{
	free(place->path);
	free(place->dir);
	free(place->root);
	*place = (struct cgroup_place){0};
}
