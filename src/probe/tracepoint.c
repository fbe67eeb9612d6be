// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/tracepoint.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_detached(void)
{
	int context, mount = -1, err = 0;

	context = fsopen("tracefs", FSOPEN_CLOEXEC);
	if (context < 0)
		return -errno;
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		err = -errno;
	if (!err) {
		mount = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
		if (mount < 0)
			err = -errno;
	}
	close(context);
	return err ? err : mount;
}

int tracefs__open(void)
{
	int fd = open_detached(), mounted;
	struct stat st;

	if (fd >= 0)
		return fd;
	mounted = open("/sys/kernel/tracing", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Not access(), which asks as the real user and so without capabilities. */
	if (mounted >= 0 && !fstatat(mounted, "events", &st, 0))
		return mounted;
	if (mounted >= 0)
		close(mounted);
	return fd;
}

static int read_id(int tracefs, const char *name)
{
	char path[256], text[32] = "";
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "events/%s/id", name);
	fd = openat(tracefs, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	return len > 0 ? atoi(text) : -EIO;
}

int tracepoint__attach(int tracefs, const char *name, const struct bpf_program *prog,
		       struct bpf_link **link)
{
	/* Programs of a tracepoint run on every CPU, whichever one its event was opened on. */
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.sample_period = 1,
		.wakeup_events = 1,
	};
	int id = read_id(tracefs, name);
	int fd;

	if (id < 0)
		return id;
	attr.config = (unsigned int)id;
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	*link = bpf_program__attach_perf_event(prog, fd);
	if (!*link) {
		int err = -errno;

		close(fd);
		return err;
	}
	return 0;
}
