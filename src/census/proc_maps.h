/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_PROC_MAPS_H
#define MEMDRIFT_CENSUS_PROC_MAPS_H

#include <stddef.h>
#include <stdint.h>

#include "model/space.h"

/*
 * A process has at most vm.max_map_count mappings; hosts that raise it stay far below this, which
 * bounds what a hostile one can make us keep to some 400 MB.
 */
#define MAPS_ENTRIES_MAX (4u << 20)

/*
 * Reads /proc/PID/maps: entries by address, freed by the caller with maps_entries__free of
 * model/model.h. Paths are raw: the line breaks that the kernel escapes are line breaks again, a
 * " (deleted)" stays. A kernel thread or zombie has none (0, *n == 0, *entries NULL).
 *
 * 0, -ESRCH, -EACCES, -ENOMEM, -E2BIG (more than MAPS_ENTRIES_MAX), -EINVAL (a line that is none).
 * The kernel gives out page-sized pieces: mappings that change meanwhile may be seen before or
 * after, never torn.
 */
int proc_maps__read(uint32_t pid, struct maps_entry **entries, size_t *n);

/* The same for one text of `size` bytes. */
int proc_maps__parse(const char *text, size_t size, struct maps_entry **entries, size_t *n);

/* The entry that holds addr, or NULL. */
const struct maps_entry *proc_maps__find(const struct maps_entry *entries, size_t n, uint64_t addr);

#endif
