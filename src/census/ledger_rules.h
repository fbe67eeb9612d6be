/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_LEDGER_RULES_H
#define MEMDRIFT_CENSUS_LEDGER_RULES_H

#include <stddef.h>
#include <stdint.h>

#include "census/claims.h"
#include "census/ledger_images.h"

/*
 * What memory is by its mapping alone, for all that nobody claims. One set of rules for `explain`
 * and for the readings of `trace`.
 */
enum mapping_kind {
	MAPPING_KERNEL,     /* the kernel's own data: in no counter of the process */
	MAPPING_VDSO,       /* counted in Rss, but of no process */
	MAPPING_MAIN_STACK, /* [stack] */
	MAPPING_BINARY,     /* a program's or library's file, private copies of its pages */
	MAPPING_BSS,        /* zero-initialised data of one */
	MAPPING_LOADER,     /* small, beside one: the loader's and the main thread's local data */
	MAPPING_PROBES,     /* [uprobes], where the kernel executes probed instructions */
	MAPPING_FILE,       /* other files, private copies of their pages */
	MAPPING_SHMEM,      /* shared anonymous, memfd, System V, tmpfs; buffers of the kernel */
	MAPPING_BRK,        /* the brk area */
	MAPPING_LARGE,      /* private anonymous, multiples of 64 MiB */
	MAPPING_ANONYMOUS,  /* other private anonymous memory */
	MAPPING_UNKNOWN,
	MAPPING_KINDS,
};

/* MAPPING_KERNEL and MAPPING_VDSO are no component's: LEDGER_COMPONENTS. */
enum ledger_component mapping_kind__component(enum mapping_kind kind);

struct mapping_rules {
	const struct maps_entry *entries; /* by address; not owned */
	size_t n;
	struct images images;
	uint64_t start_brk;   /* 0: unknown */
	uint32_t shmem_minor; /* device of the kernel's own tmpfs, 0:minor; 0 unknown */
	uint64_t *tmpfs;      /* devices of mounted ones, major << 32 | minor; sorted */
	size_t tmpfs_count;
};

/* entries must outlive the rules. pid: whose mounts tell what is tmpfs; 0: not looked at. 0 or
 * -ENOMEM. */
int mapping_rules__open(struct mapping_rules *rules, uint32_t pid, const struct maps_entry *entries,
			size_t n, uint64_t start_brk, struct memory *memory);
void mapping_rules__close(struct mapping_rules *rules);

/*
 * The kind of what begins at start in entries[index] and is nobody's up to *end; *end is lowered to
 * where another kind begins.
 */
enum mapping_kind mapping_rules__kind(const struct mapping_rules *rules, size_t index,
				      uint64_t start, uint64_t *end);

/* The kernel's own data or vDSO. */
bool mapping_is_kernels(const struct maps_entry *entry);

/* Pages of the entry that are in no page cache are a device's, which Rss does not count. */
bool mapping_is_device(const struct maps_entry *entry);

/* Of mappings of 64 MiB this much may be other memory that the kernel merged with them. */
#define LARGE_STRAY(bytes) ((bytes) / 64)
#define LARGE_UNIT_BYTES   (64ULL << 20)

/* Loaders and thread-local data of the main thread take less, those that were measured 8 to 124
 * KiB. */
#define LOADER_BYTES_MAX (256ULL << 10)

#endif
