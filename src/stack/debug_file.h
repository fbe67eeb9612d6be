/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_DEBUG_FILE_H
#define MEMDRIFT_STACK_DEBUG_FILE_H

#include <stdbool.h>

#include "probe/elf_object.h"

/*
 * The separate debug file of an object whose path is `path` below root ("/proc/PID/root", or NULL
 * when that is gone): by build-id below root and below "/", by .gnu_debuglink at the same places,
 * and from the servers of debuginfod when use_servers. A descriptor that the caller closes, or
 * -ENOENT.
 */
int debug_file__open(const struct elf_object *object, const char *path, const char *root,
		     bool use_servers);

#endif
