/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_MAPPED_FILE_H
#define MEMDRIFT_STACK_MAPPED_FILE_H

#include <stdint.h>

/*
 * The file that a process has mapped at [start, end), as /proc/PID/maps told: through map_files,
 * or by its path in the process's root or in our own when the inode is the same. Only regular
 * files: opening others may have effects. A descriptor, or -1.
 */
int mapped_file__open(uint32_t pid, uint64_t start, uint64_t end, uint64_t inode, const char *path);

#endif
