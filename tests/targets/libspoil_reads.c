// link: -ldl
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Preloaded into memdrift: writes which ranges of another process's memory it read to the file
 * SPOIL_READS, as pairs of words (address, bytes), so that spoil can overwrite what matters.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static void note(uint64_t addr, uint64_t bytes)
{
	static int fd = -1;
	const char *path = getenv("SPOIL_READS");
	uint64_t range[2] = {addr, bytes};

	if (fd < 0 && path)
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd >= 0 && write(fd, range, sizeof(range)) != sizeof(range))
		_exit(3);
}

ssize_t process_vm_readv(pid_t pid, const struct iovec *local, unsigned long locals,
			 const struct iovec *remote, unsigned long remotes, unsigned long flags)
{
	ssize_t (*next)(pid_t, const struct iovec *, unsigned long, const struct iovec *,
			unsigned long, unsigned long);

	*(void **)&next = dlsym(RTLD_NEXT, "process_vm_readv");
	for (unsigned long i = 0; i < remotes; i++)
		note((uint64_t)remote[i].iov_base, remote[i].iov_len);
	return next(pid, local, locals, remote, remotes, flags);
}

/* Some of it is read through /proc/PID/mem. */
ssize_t pread(int fd, void *buf, size_t size, off_t offset)
{
	ssize_t (*next)(int, void *, size_t, off_t);
	char name[32], path[64];
	ssize_t n;

	*(void **)&next = dlsym(RTLD_NEXT, "pread");
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	n = readlink(name, path, sizeof(path));
	if (n > 4 && !memcmp(path + n - 4, "/mem", 4))
		note((uint64_t)offset, size);
	return next(fd, buf, size, offset);
}
