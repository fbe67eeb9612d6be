// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "stack/mapped_file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether it is that inode is asked of the descriptor; what it is, before it is opened. */
static int open_checked(const char *path, uint64_t inode)
{
	struct stat st;
	int fd;

	if (stat(path, &st) || !S_ISREG(st.st_mode))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -1;
	/* The device is not compared: btrfs and overlayfs show another one in maps. */
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_ino != inode) {
		close(fd);
		return -1;
	}
	return fd;
}

/* map_files leads to the very file, whatever happened to its name since. */
int mapped_file__open(uint32_t pid, uint64_t start, uint64_t end, uint64_t inode,
		      const char *mapped_path)
{
	char path[PATH_MAX + 32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/map_files/%" PRIx64 "-%" PRIx64, pid, start, end);
	fd = open_checked(path, inode);
	if (fd >= 0 || mapped_path[0] != '/')
		return fd;
	if ((size_t)snprintf(path, sizeof(path), "/proc/%u/root%s", pid, mapped_path) >=
	    sizeof(path))
		return -1;
	fd = open_checked(path, inode);
	/* Gone meanwhile: mostly it saw the files that memdrift sees, and the inode tells. */
	return fd >= 0 ? fd : open_checked(mapped_path, inode);
}
