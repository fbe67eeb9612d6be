/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_DEBUGINFOD_H
#define MEMDRIFT_STACK_DEBUGINFOD_H

#include "probe/elf_object.h"

/*
 * Debug files from servers, through elfutils' own library, which is loaded when it is asked for: it
 * brings 30 others with it. Servers (DEBUGINFOD_URLS), time limits and the cache are its own
 * matter, see debuginfod_find_debuginfo(3). Not for use by several threads.
 */

/* 0, or a negative errno after a message that says what is missing. */
int debuginfod__load(void);

/*
 * The debug file of an object by its build-id, which is sent to the servers. `path` is for
 * messages. A descriptor that the caller closes, or -ENOENT.
 */
int debuginfod__open(const struct elf_object *object, const char *path);

#endif
