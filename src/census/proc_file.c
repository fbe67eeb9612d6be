// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/proc_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "census/proc_stat.h"

/* The kernel hands over some 20 entries. */
#define AUXV_MAX 64

int proc_file__open(uint32_t pid, const char *name, int flags)
{
	char path[96];
	int fd;

	if (snprintf(path, sizeof(path), "/proc/%u/%s", pid, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, flags | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	return errno == ENOENT ? -ESRCH : -errno;
}

ssize_t read_fully(int fd, void *buf, size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(fd, (char *)buf + got, size - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += n;
	}
	return got;
}

ssize_t pread_fully(int fd, void *buf, size_t size, off_t offset)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = pread(fd, (char *)buf + got, size - got, offset + got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return got ? (ssize_t)got : -errno;
		if (n == 0)
			break;
		got += n;
	}
	return got;
}

ssize_t proc_file__read(uint32_t pid, const char *name, char *buf, size_t size)
{
	int fd = proc_file__open(pid, name, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read_fully(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return n;
	buf[n] = '\0';
	return n;
}

int proc_auxv(uint32_t pid, const uint64_t *types, size_t n, uint64_t *values)
{
	Elf64_auxv_t auxv[AUXV_MAX];
	int fd = proc_file__open(pid, "auxv", O_RDONLY);
	ssize_t got;

	if (fd < 0)
		return fd;
	got = read_fully(fd, auxv, sizeof(auxv));
	close(fd);
	if (got < 0)
		return (int)got;
	memset(values, 0, n * sizeof(*values));
	for (size_t i = 0; i < (size_t)got / sizeof(auxv[0]); i++)
		for (size_t k = 0; k < n; k++)
			if (auxv[i].a_type == types[k])
				values[k] = auxv[i].a_un.a_val;
	return 0;
}

struct memory_search {
	uint32_t pid;
	uint32_t found;
};

static int find_thread_with_memory(void *ctx, uint32_t tid)
{
	struct memory_search *search = ctx;
	char name[64], text[64];

	snprintf(name, sizeof(name), "task/%u/statm", tid);
	if (proc_file__read(search->pid, name, text, sizeof(text)) <= 0 || text[0] == '0')
		return 0;
	search->found = tid;
	return 1;
}

int proc_memory_tid(uint32_t pid, uint32_t *tid)
{
	struct memory_search search = {.pid = pid};
	struct proc_stat stat;
	int err = proc_stat__read(pid, &stat);

	if (err)
		return err;
	if (stat.is_kernel_thread || stat.is_zombie)
		return -ENOENT;
	if (stat.state != 'Z' && stat.state != 'X') {
		*tid = pid;
		return 0;
	}
	err = proc_each_thread(pid, find_thread_with_memory, &search);
	if (err < 0)
		return err;
	if (!search.found)
		return -ENOENT;
	*tid = search.found;
	return 0;
}
