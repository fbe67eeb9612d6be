/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef TARGETS_AGAIN_H
#define TARGETS_AGAIN_H

/* Counts that survive fork and exec, and the exec of oneself. Needs _GNU_SOURCE. */
#include <sys/mman.h>
#include "truth.h"

/* *fd is 0 at first and then the memfd, which the program passes on to itself as "--fd". */
static inline void *map_again(uint64_t *fd, size_t bytes)
{
	void *p;

	if (!*fd) {
		*fd = (uint64_t)syscall(SYS_memfd_create, "truth", 0);
		if (ftruncate((int)*fd, (off_t)bytes))
			die("memfd");
	}
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, (int)*fd, 0);
	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

/* With the same options but --exec. By its real path: the process keeps its name. */
static inline void exec_again(char **argv, uint64_t fd)
{
	static struct truth number;
	char *args[64], path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	int n = 0;

	if (len < 0)
		die("/proc/self/exe");
	path[len] = '\0';
	for (char **arg = argv; *arg && n < 60; arg++)
		if (strcmp(*arg, "--exec"))
			args[n++] = *arg;
	truth__digits(&number, fd);
	truth__raw(&number, "", 1);
	args[n++] = "--fd";
	args[n++] = number.text;
	args[n] = NULL;
	execv(path, args);
	die("exec");
}

#endif
