/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_INGEST_MAPPED_H
#define MEMDRIFT_INGEST_MAPPED_H

#include <stddef.h>

struct bpf_map;

/* A loaded BPF_F_MMAPABLE array in our memory, to read and write. */
struct mapped_array {
	void *at;
	size_t bytes;
};

/* 0 or a negative errno. */
int mapped_array__open(struct mapped_array *array, const struct bpf_map *map);
/* Fine for one that was never opened. */
void mapped_array__close(struct mapped_array *array);

#endif
