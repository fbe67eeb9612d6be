/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_GO_MALLOC_H
#define MEMDRIFT_PROBE_GO_MALLOC_H

#include <stdbool.h>
#include <stdint.h>

#include "probe/elf_object.h"
#include "probe/site.h"

/*
 * Where a Go program's own allocations can be counted: runtime.mallocgc (size, type, needzero),
 * through which all of them go. Since Go 1.26 the compiler calls functions of their own for small
 * sizes, and mallocgc hands sizes up to handed_max on to them: they are probed as well, and what
 * mallocgc hands on is not counted there.
 */
#define GO_MALLOC_KEY "runtime.mallocgc"

/* mallocgc; for each of 26 classes one with and one without pointers; 15 of less than 16 bytes. */
#define GO_FUNCTIONS_MAX 72

struct go_malloc_function {
	char name[48]; /* "runtime.mallocgcSmallNoScanSC7" */
	uint64_t vaddr;
	uint64_t file_offset;
	uint64_t size;
	bool ready; /* false: site is not usable */
	struct site site;
};

struct go_malloc {
	char version[32]; /* "go1.19.8", empty when it is not known */
	bool headers;     /* some objects carry one: GO_HEADER_BYTES */
	bool stack_args;  /* built by Go before 1.17: sizes are on the stack, no probe is possible,
			     and before 1.16 its functions are not even searched */
	uint32_t handed_max;
	struct go_malloc_function *functions; /* by file_offset */
	size_t count;
};

/*
 * Searches a Go object. NULL when it has no mallocgc, or memory is out; to be freed by
 * go_malloc__free.
 */
struct go_malloc *go_malloc__search(struct elf_object *elf, const char *display_name,
				    const struct insn_costs *costs);
void go_malloc__free(struct go_malloc *go);

#endif
