// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/cgroup_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "census/host.h"
#include "census/proc_file.h"

ssize_t cgroup_file__read(const char *dir, const char *name, char *buf, size_t size)
{
	char *path = NULL;
	struct stat st;
	ssize_t n;
	int fd;

	buf[0] = '\0';
	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return -ENOMEM;
	/* Someone else's directory may hold a FIFO of that name: nobody may make us wait. */
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	n = fd < 0 ? -errno : 0;
	free(path);
	if (fd < 0)
		return n < 0 ? n : -EIO;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		n = -EINVAL;
	else
		n = read_fully(fd, buf, size - 1);
	close(fd);
	buf[n < 0 ? 0 : n] = '\0';
	/* Of a longer file the last line is cut, and so would be its number. */
	if (n == (ssize_t)size - 1) {
		const char *last = strrchr(buf, '\n');

		n = last ? last + 1 - buf : 0;
		buf[n] = '\0';
	}
	return n;
}

/* A decimal number and what ends it: a line break, the end, or one of `ends`. */
static int64_t parse_number(const char *text, const char *ends, const char **rest)
{
	unsigned long long value;
	char *end;

	if (strncmp(text, "max", 3) == 0) {
		value = CGROUP_NO_LIMIT;
		end = (char *)text + 3;
	} else {
		if (*text < '0' || *text > '9')
			return -1;
		errno = 0;
		value = strtoull(text, &end, 10);
		if (errno)
			return -1;
	}
	if (*end && *end != '\n' && !strchr(ends, *end))
		return -1;
	*rest = end;
	return value >= 1ull << 62 ? CGROUP_NO_LIMIT : (int64_t)value;
}

int64_t cgroup_file__bytes(const char *dir, const char *name)
{
	char text[64];
	const char *rest;

	if (cgroup_file__read(dir, name, text, sizeof(text)) <= 0)
		return -1;
	return parse_number(text, "", &rest);
}

int64_t cgroup_text__value(const char *text, const char *key)
{
	size_t len = strlen(key);
	const char *rest;

	for (const char *line = text; *line; line += strspn(line, "\n")) {
		if (strncmp(line, key, len) == 0 && line[len] == ' ')
			return parse_number(line + len + 1, "", &rest);
		line += strcspn(line, "\n");
	}
	return -1;
}

static double share(int64_t quota, int64_t period)
{
	if (quota <= 0 || quota == CGROUP_NO_LIMIT || period <= 0 || period == CGROUP_NO_LIMIT)
		return 0;
	return (double)quota / (double)period;
}

double cgroup_file__cpu_quota(const char *dir, int version)
{
	char text[64];
	const char *rest;
	int64_t quota;

	if (version == 1)
		/* Its "-1" for none is no number here. */
		return share(cgroup_file__bytes(dir, "cpu.cfs_quota_us"),
			     cgroup_file__bytes(dir, "cpu.cfs_period_us"));
	if (cgroup_file__read(dir, "cpu.max", text, sizeof(text)) <= 0)
		return 0;
	quota = parse_number(text, " ", &rest);
	if (quota < 0 || *rest != ' ')
		return 0;
	return share(quota, parse_number(rest + 1, "", &rest));
}

int cgroup_file__cpus(const char *dir, const char *name)
{
	char text[CGROUP_TEXT_MAX];
	int cpus;

	if (cgroup_file__read(dir, name, text, sizeof(text)) <= 0)
		return 0;
	cpus = cpu_list__count(text);
	return cpus > 0 ? cpus : 0;
}
