/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_PROC_FILE_H
#define MEMDRIFT_CENSUS_PROC_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Files of one process in /proc. What the kernel says of a process that is gone differs by file
 * (ENOENT, ESRCH, nothing at all): here it is -ESRCH.
 */

/* Opens /proc/PID/name (name may have a slash). A descriptor or a negative errno. */
int proc_file__open(uint32_t pid, const char *name, int flags);

/* Reads at most size - 1 bytes and a NUL. Their number or a negative errno. */
ssize_t proc_file__read(uint32_t pid, const char *name, char *buf, size_t size);

/* Reads until the buffer is full or the file ends, through interruptions. */
ssize_t read_fully(int fd, void *buf, size_t size);
ssize_t pread_fully(int fd, void *buf, size_t size, off_t offset);

/* The values of entries of /proc/PID/auxv (elf.h, AT_*), in the order of their types; 0 for those
 * that are not there. 0 or a negative errno. */
int proc_auxv(uint32_t pid, const uint64_t *types, size_t n, uint64_t *values);

/*
 * The thread through whose files the memory of a process is seen: its leader as a rule, another
 * when the leader has ended before the rest (pthread_exit in main) and its own files are empty.
 * 0, -ESRCH, -ENOENT for kernel threads and zombies.
 */
int proc_memory_tid(uint32_t pid, uint32_t *tid);

#endif
