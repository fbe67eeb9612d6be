// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "ingest/mapped.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

int mapped_array__open(struct mapped_array *array, const struct bpf_map *map)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	/* As the kernel lays them out: kernel/bpf/arraymap.c, array_map_alloc(). */
	size_t each = (bpf_map__value_size(map) + 7ul) & ~7ul;

	array->bytes = ((size_t)bpf_map__max_entries(map) * each + page - 1) & ~(page - 1);
	array->at =
		mmap(NULL, array->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	if (array->at != MAP_FAILED)
		return 0;
	array->at = NULL;
	return -errno;
}

void mapped_array__close(struct mapped_array *array)
{
	if (array->at)
		munmap(array->at, array->bytes);
	array->at = NULL;
}
