/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OOM_H
#define MEMDRIFT_OOM_H

#include "memdrift/types.h"

/* What bpf/oom.bpf.c says of a process that the kernel chose to kill for memory. */
struct oom_record {
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	uint32_t tid;     /* of the victim's thread through which the kernel saw its memory */
	uint32_t pid; /* 0: the kernel did not tell, and it was not the one that asked for memory */
	/* Resident; -1: this kernel's tracepoint does not tell, and nobody else could. */
	int64_t anon_bytes, file_bytes, shmem_bytes;
	char comm[16]; /* raw; "" unknown */
};

MEMDRIFT_ASSERT_SIZE(struct oom_record, 56);

/* Room for 50 victims that nobody has read of yet; the loop reads them at once. */
#define OOM_RING_BYTES 4096
/* All of watch's BPF maps: the ring, its positions and one page of variables, with what the kernel
 * adds to each (6.18 accounts 25 kB). tests/acceptance/watch_soak.sh holds it to this. */
#define OOM_MAP_BYTES_MAX (64 << 10)

#endif
