// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/proc_stat.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "census/proc_file.h"

/* Calls fn for each entry of a folder of /proc that is a number. */
static int each_number(const char *path, int (*fn)(void *ctx, uint32_t id), void *ctx)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int err = 0;

	if (!dir)
		return errno == ENOENT ? -ESRCH : -errno;
	while (!err) {
		char *end;
		unsigned long id;

		errno = 0;
		entry = readdir(dir);
		if (!entry) {
			/* A process that ends while its threads are listed is no failure. */
			err = errno == ENOENT || errno == ESRCH ? 0 : -errno;
			break;
		}
		id = strtoul(entry->d_name, &end, 10);
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && *end == '\0')
			err = fn(ctx, id);
	}
	closedir(dir);
	return err;
}

int proc_each(int (*fn)(void *ctx, uint32_t pid), void *ctx)
{
	return each_number("/proc", fn, ctx);
}

int proc_each_thread(uint32_t pid, int (*fn)(void *ctx, uint32_t tid), void *ctx)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/task", pid);
	return each_number(path, fn, ctx);
}

int proc_stat__exe(uint32_t pid, char **path)
{
	char name[64], target[4096 + 16]; /* PATH_MAX and " (deleted)" */
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/%u/exe", pid);
	n = readlink(name, target, sizeof(target) - 1);
	if (n < 0) {
		struct proc_stat stat;
		int err = -errno;

		/* A kernel thread has no program; a process that is gone has no folder. */
		return err == -ENOENT && proc_stat__read(pid, &stat) ? -ESRCH : err;
	}
	target[n] = '\0';
	*path = strdup(target);
	return *path ? 0 : -ENOMEM;
}

/* By lines: a list of groups can make the file long. */
static int read_seccomp(uint32_t pid, uint32_t tid)
{
	char name[64];
	char *line = NULL;
	size_t room = 0;
	int mode = 0, fd;
	FILE *file;

	snprintf(name, sizeof(name), "task/%u/status", tid);
	fd = proc_file__open(pid, name, O_RDONLY);
	if (fd < 0)
		return fd;
	file = fdopen(fd, "r");
	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	while (getline(&line, &room, file) > 0) {
		if (sscanf(line, "Seccomp: %d", &mode) == 1)
			break;
	}
	free(line);
	fclose(file);
	return mode;
}

struct seccomp_search {
	uint32_t pid;
	int strictest;
};

static int note_seccomp(void *ctx, uint32_t tid)
{
	struct seccomp_search *search = ctx;
	int mode = read_seccomp(search->pid, tid);

	if (mode > search->strictest) /* an error: the thread has ended */
		search->strictest = mode;
	return search->strictest >= 2; /* there is nothing stricter */
}

int proc_seccomp(uint32_t pid)
{
	struct seccomp_search search = {.pid = pid};
	int err = proc_each_thread(pid, note_seccomp, &search);

	return err < 0 ? err : search.strictest;
}

int proc_environ(uint32_t pid, const char *name, char **value)
{
	FILE *file = NULL;
	char *entry = NULL;
	size_t room = 0, name_len = strlen(name);
	ssize_t len;
	int err = -ENOENT;
	int fd = proc_file__open(pid, "environ", O_RDONLY);

	if (fd < 0)
		return fd;
	file = fdopen(fd, "r");
	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	/* The kernel limits one string to 128 KiB (MAX_ARG_STRLEN) and all to a part of the stack;
	 * the loader takes the first of several equal names. */
	while ((len = getdelim(&entry, &room, '\0', file)) > 0) {
		if ((size_t)len > name_len && entry[name_len] == '=' &&
		    memcmp(entry, name, name_len) == 0) {
			*value = strdup(entry + name_len + 1);
			err = *value ? 0 : -ENOMEM;
			break;
		}
	}
	if (len < 0 && ferror(file))
		err = -EIO;
	free(entry);
	fclose(file);
	return err;
}
