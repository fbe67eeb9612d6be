// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "stack/image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void image__clear(struct image *image)
{
	for (size_t i = 0; i < image->count; i++)
		free(image->ranges[i].path);
	free(image->ranges);
	image->ranges = NULL;
	image->count = 0;
}

int image__fill(struct image *image, const struct maps_entry *entries, size_t n, size_t max)
{
	size_t wanted = 0;

	image__clear(image);
	for (size_t i = 0; i < n; i++)
		wanted += !!(entries[i].prot & PROT_EXEC);
	if (wanted > max)
		wanted = max;
	if (!wanted)
		return 0;
	image->ranges = calloc(wanted, sizeof(*image->ranges));
	if (!image->ranges)
		return -ENOMEM;
	for (size_t i = 0; i < n && image->count < wanted; i++) {
		struct image_range *range = &image->ranges[image->count];

		if (!(entries[i].prot & PROT_EXEC))
			continue;
		range->start = entries[i].start;
		range->end = entries[i].end;
		range->offset = entries[i].offset;
		range->inode = entries[i].inode;
		range->path = strdup(entries[i].path);
		if (!range->path) {
			image__clear(image);
			return -ENOMEM;
		}
		image->count++;
	}
	return 0;
}

static struct image_range *find_range(const struct image *image, uint64_t address)
{
	size_t low = 0, high = image->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (image->ranges[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == image->count || address < image->ranges[low].start)
		return NULL;
	return &image->ranges[low];
}

const struct image_range *image__find(const struct image *image, uint64_t address)
{
	return find_range(image, address);
}

bool image__is_generated(const struct image *image, uint64_t address)
{
	/* .NET maps what it generates twice, through a memfd; Java's can be in shared memory. */
	static const char *const made[] = {"/memfd:", "/dev/zero", "/SYSV", "/anon_hugepage",
					   "//anon"};
	const struct image_range *range = find_range(image, address);

	if (!range)
		return false;
	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
		if (!strncmp(range->path, made[i], strlen(made[i])))
			return true;
	}
	return !range->inode && strcmp(range->path, "[vdso]") && strcmp(range->path, "[vsyscall]");
}

/* A descriptor of the mapped file, or -1. Only regular files: opening others may have effects. */
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
static int open_range(const struct image_range *range, uint32_t pid)
{
	char path[PATH_MAX + 32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/map_files/%" PRIx64 "-%" PRIx64, pid, range->start,
		 range->end);
	fd = open_checked(path, range->inode);
	if (fd >= 0 || range->path[0] != '/')
		return fd;
	if ((size_t)snprintf(path, sizeof(path), "/proc/%u/root%s", pid, range->path) >=
	    sizeof(path))
		return -1;
	fd = open_checked(path, range->inode);
	/* Gone meanwhile: mostly it saw the files that memdrift sees, and the inode tells. */
	return fd >= 0 ? fd : open_checked(range->path, range->inode);
}

static uint32_t resolve_range(const struct image_range *range, struct object_cache *objects,
			      uint32_t pid)
{
	static const char deleted[] = " (deleted)";
	size_t len = strlen(range->path), tail = sizeof(deleted) - 1;
	uint32_t object;
	char *path;
	int fd;

	if (!range->inode)
		return object_cache__add_name(objects, len ? range->path : "[anon]");
	path = strdup(range->path);
	if (!path)
		return OBJECT_NONE;
	if (len > tail && !strcmp(path + len - tail, deleted))
		path[len - tail] = '\0';
	fd = open_range(range, pid);
	if (fd >= 0)
		object = object_cache__add(objects, fd, path, pid);
	else
		object = object_cache__add_name(objects, path);
	free(path);
	return object;
}

bool image__locate(struct image *image, struct object_cache *objects, uint64_t address,
		   bool is_return, struct stack_frame *frame)
{
	struct image_range *range;

	frame->is_return = is_return;
	if (!address)
		return false;
	range = find_range(image, address - is_return);
	if (!range)
		return false;
	if (!range->resolved) {
		range->object = resolve_range(range, objects, (uint32_t)image->key.pid);
		range->resolved = true;
	}
	frame->object = range->object;
	frame->offset = range->object == OBJECT_NONE ? address : address - range->start;
	if (range->inode && range->object != OBJECT_NONE)
		frame->offset += range->offset;
	return true;
}
