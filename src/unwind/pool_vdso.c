// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unwind/pool_internal.h"

/* arch/x86/entry/vdso: two to four pages. What is mapped behind it may be read too: no harm. */
#define VDSO_MAX_BYTES 65536

/* Copies our vDSO into a file of its own, for those who read files. The descriptor, or -errno. */
static int copy_vdso(uint64_t address)
{
	int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC), fd = -1, err = -ENOMEM;
	char *bytes = malloc(VDSO_MAX_BYTES);
	ssize_t got;

	if (memory < 0 || !bytes)
		goto out;
	/* Up to the end of what is mapped. */
	got = pread(memory, bytes, VDSO_MAX_BYTES, (off_t)address);
	err = -ENOENT;
	if (got <= 0)
		goto out;
	fd = memfd_create("memdrift-vdso", MFD_CLOEXEC);
	err = fd < 0 ? -errno : 0;
	if (!err && write(fd, bytes, (size_t)got) != got) {
		err = -EIO;
		close(fd);
	}
out:
	free(bytes);
	if (memory >= 0)
		close(memory);
	return err ? err : fd;
}

int unwind_pool__vdso(struct unwind_pool *pool, uint32_t *index)
{
	uint64_t address = getauxval(AT_SYSINFO_EHDR);
	int fd, err;

	*index = pool->vdso;
	if (pool->vdso)
		return 0;
	*index = UNWIND_OBJECT_UNREAD;
	if (!address)
		return -ENOENT;
	fd = copy_vdso(address);
	if (fd < 0)
		return fd;
	err = unwind_pool__object(pool, fd, "[vdso]", -1, index);
	close(fd);
	if (err)
		return err;
	pool->objects[*index]->keeps_fd = true;
	unwind_pool__hold(pool, *index);
	pool->vdso = *index;
	return 0;
}
