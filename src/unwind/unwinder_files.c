// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Files that the kernel's side knows: code in them is found when it is mapped. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ingest/programs.h"
#include "unwind/unwinder_impl.h"

static int open_regular(const char *path)
{
	struct stat st;

	/* Opening anything else may have effects. */
	if (stat(path, &st) || !S_ISREG(st.st_mode))
		return -1;
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/* The file as the kernel sees it when somebody maps it. */
static int find_inode(struct unwinder *unwinder, int fd, struct unwind_inode *inode)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct unwind_find_inode find = {0};
	void *at = mmap(NULL, page, PROT_READ, MAP_PRIVATE, fd, 0);
	int err;

	if (at == MAP_FAILED)
		return -errno;
	find.address = (uint64_t)(uintptr_t)at;
	err = unwinder__run(unwinder->skel->progs.unwind_find_inode, &find, sizeof(find));
	munmap(at, page);
	*inode = find.inode;
	return err ? err : inode->ino ? 0 : -ENOENT;
}

/* From now on the kernel's side finds the file's object by itself when somebody maps it. */
static void announce(struct unwinder *unwinder, int fd, uint32_t object)
{
	const struct bpf_map *map = unwinder->skel->maps.unwind_inodes;
	struct unwind_inode inode;

	if (find_inode(unwinder, fd, &inode))
		return;
	/* For good: images get it without anybody here knowing. */
	unwind_pool__hold(unwinder->pool, object);
	if (bpf_map__update_elem(map, &inode, sizeof(inode), &object, sizeof(object), BPF_ANY))
		unwind_pool__release(unwinder->pool, object);
}

void unwinder__announce(void *ctx, int fd, uint32_t object)
{
	struct unwinder *unwinder = ctx;
	struct unwind_pool_stats stats;

	if (unwinder->announced[object])
		return;
	unwind_pool__stats(unwinder->pool, &stats);
	if (stats.blocks_used > stats.blocks_total / 2)
		return;
	unwinder->announced[object] = true;
	announce(unwinder, fd, object);
}

void unwinder__prepare(struct unwinder *unwinder, const char *path)
{
	uint32_t object;
	int fd = unwinder ? open_regular(path) : -1;

	if (fd < 0)
		return;
	if (!unwind_pool__object(unwinder->pool, fd, path, -1, &object) &&
	    object > UNWIND_OBJECT_UNREAD) {
		unwinder__announce(unwinder, fd, object);
		unwinder__load_if_full(unwinder, object);
	}
	close(fd);
}
