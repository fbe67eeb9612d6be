// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "census/cgroup_mounts.h"
#include "census/cgroup_place.h"

struct pid_list {
	uint32_t *pids;
	size_t count, room;
	bool own; /* without the groups below */
};

static int add_pid(struct pid_list *list, uint32_t pid)
{
	if (list->count == CGROUP_PROCESSES_MAX)
		return -E2BIG;
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 256;
		uint32_t *pids = reallocarray(list->pids, room, sizeof(*pids));

		if (!pids)
			return -ENOMEM;
		list->pids = pids;
		list->room = room;
	}
	list->pids[list->count++] = pid;
	return 0;
}

/* A line is a pid; 0 stands for a process outside our pid namespace. */
static int read_pids(FILE *file, struct pid_list *list)
{
	char line[32];

	while (fgets(line, sizeof(line), file)) {
		uint32_t pid = strtoul(line, NULL, 10);
		int err = pid ? add_pid(list, pid) : 0;

		if (err)
			return err;
	}
	/* The group was removed, or is a threaded one: its processes are listed by its parent. */
	if (ferror(file))
		return errno == ENODEV || errno == EOPNOTSUPP ? 0 : -errno;
	return 0;
}

static int read_group(int dir_fd, struct pid_list *list)
{
	int fd = openat(dir_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *file;
	int err;

	if (fd < 0)
		return errno == ENOENT || errno == ENODEV ? 0 : -errno;
	file = fdopen(fd, "r");
	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	err = read_pids(file, list);
	fclose(file);
	return err;
}

static int read_tree(int dir_fd, unsigned int depth, struct pid_list *list);

/* A group below dir_fd; one that is removed meanwhile has no processes. */
static int read_child(int dir_fd, const char *name, unsigned int depth, struct pid_list *list)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT || errno == ENODEV || errno == ENOTDIR ? 0 : -errno;
	return read_tree(fd, depth, list);
}

/* The group behind dir_fd, which is closed, and those below it. */
static int read_tree(int dir_fd, unsigned int depth, struct pid_list *list)
{
	struct dirent *entry;
	DIR *dir;
	int err = depth > CGROUP_DEPTH_MAX ? -ELOOP : read_group(dir_fd, list);

	dir = err || list->own ? NULL : fdopendir(dir_fd);
	if (!dir) {
		close(dir_fd);
		return err || list->own ? err : -ENOMEM;
	}
	while (!err && (entry = readdir(dir))) {
		if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") &&
		    strcmp(entry->d_name, ".."))
			err = read_child(dir_fd, entry->d_name, depth + 1, list);
	}
	closedir(dir);
	return err;
}

/* A folder of a control-group file system, opened; -ENOENT, -EINVAL when it is something else. */
static int open_group(const char *path)
{
	struct statfs fs;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOTDIR ? -EINVAL : -errno;
	if (fstatfs(fd, &fs) == 0 &&
	    (fs.f_type == CGROUP_SUPER_MAGIC || fs.f_type == CGROUP2_SUPER_MAGIC))
		return fd;
	close(fd);
	return -EINVAL;
}

/* The group of that name in the hierarchies, in their order: the first that has a process. */
static int read_named(const char *name, struct pid_list *list)
{
	struct cgroup_mounts mounts;
	int err = cgroup_mounts__read(&mounts);
	bool exists = false;

	if (err)
		return err;
	for (size_t i = 0; !err && !list->count && i < mounts.count; i++) {
		char path[2 * 4096];
		int fd;

		if (snprintf(path, sizeof(path), "%s/%s", mounts.list[i].path, name) >=
		    (int)sizeof(path)) {
			err = -ENAMETOOLONG;
			break;
		}
		fd = open_group(path);
		if (fd < 0)
			continue;
		exists = true;
		err = read_tree(fd, 0, list);
	}
	if (!err && !mounts.count)
		err = -ENODEV;
	cgroup_mounts__free(&mounts);
	return err ? err : exists ? 0 : -ENOENT;
}

static int read_processes(const char *path, struct pid_list *list)
{
	int fd, err, named_err;

	if (path[0] != '/')
		return read_named(path, list);
	fd = open_group(path);
	if (fd >= 0)
		return read_tree(fd, 0, list);
	/* "/system.slice/x.service" is a name as well; when it is none, the folder is to blame. */
	err = fd;
	named_err = read_named(path + strspn(path, "/"), list);
	return named_err == -ENOENT || named_err == -ENODEV ? err : named_err;
}

static void explain_failure(const char *path, int err)
{
	char *printable = text_printable_dup(path);
	const char *name = printable ? printable : "";

	if (err == -ENOENT)
		log_error("no control group %s: no such folder, and no group of that name in any "
			  "hierarchy; see /proc/PID/cgroup for names",
			  name);
	else if (err == -EINVAL)
		log_error("%s is no control group: it is not a folder of a cgroup file system such "
			  "as /sys/fs/cgroup",
			  name);
	else if (err == -ENODEV)
		log_error("cannot look for the control group %s: no cgroup file system is mounted",
			  name);
	else
		log_error("cannot read the control group %s: %s", name, strerror(-err));
	free(printable);
}

static int compare_pids(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return (a > b) - (a < b);
}

static int each_process(const char *path, bool own, int (*fn)(void *ctx, uint32_t pid), void *ctx)
{
	struct pid_list list = {.own = own};
	int err = read_processes(path, &list);

	if (err) {
		explain_failure(path, err);
		free(list.pids);
		return err;
	}
	/* A process whose threads lie in several groups of version 1 is listed by each. */
	if (list.count)
		qsort(list.pids, list.count, sizeof(*list.pids), compare_pids);
	for (size_t i = 0; !err && i < list.count; i++) {
		if (i == 0 || list.pids[i] != list.pids[i - 1])
			err = fn(ctx, list.pids[i]);
	}
	free(list.pids);
	return err;
}

int cgroup__each_process(const char *path, int (*fn)(void *ctx, uint32_t pid), void *ctx)
{
	return each_process(path, false, fn, ctx);
}

int cgroup__each_own_process(const char *path, int (*fn)(void *ctx, uint32_t pid), void *ctx)
{
	return each_process(path, true, fn, ctx);
}
