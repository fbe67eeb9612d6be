// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/cgroup_host.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

struct host_call {
	int (*fn)(void *ctx);
	void *ctx;
	int ns_fd;
	int result;
};

/* A cgroup namespace is a thread's own: the others do not move with it. */
static void *run_there(void *arg)
{
	struct host_call *call = arg;

	if (setns(call->ns_fd, CLONE_NEWCGROUP))
		call->result = -errno;
	else
		call->result = call->fn(call->ctx);
	return NULL;
}

static bool is_ours(int ns_fd)
{
	struct stat theirs, ours;

	return fstat(ns_fd, &theirs) || stat("/proc/self/ns/cgroup", &ours) ||
	       (theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev);
}

int cgroup_host__run(int (*fn)(void *ctx), void *ctx)
{
	struct host_call call = {.fn = fn, .ctx = ctx};
	pthread_t thread;
	int err;

	call.ns_fd = open("/proc/1/ns/cgroup", O_RDONLY | O_CLOEXEC);
	if (call.ns_fd < 0)
		return -errno;
	if (is_ours(call.ns_fd)) {
		close(call.ns_fd);
		return -ENOENT;
	}
	err = pthread_create(&thread, NULL, run_there, &call);
	if (!err)
		pthread_join(thread, NULL);
	close(call.ns_fd);
	return err ? -err : call.result;
}
