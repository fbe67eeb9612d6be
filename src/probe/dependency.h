/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_DEPENDENCY_H
#define MEMDRIFT_PROBE_DEPENDENCY_H

#include <stddef.h>

/*
 * Which files a command is going to map that may hold its allocator, told from files alone:
 * nothing of the command is run. For probes that must be in place before its first instruction.
 */

/* Enough for any real program (a desktop browser loads some 200 libraries). */
#define DEPENDENCY_MAX 1024

struct dependency_list {
	char **paths; /* each file once, the program first */
	size_t count;
	size_t mapped; /* the first ones: those that the loader maps */
};

/*
 * The closure of program (an absolute path, or one with a slash; a #! script leads to its
 * interpreter), as the dynamic loader searches: LD_PRELOAD, /etc/ld.so.preload, DT_RPATH,
 * LD_LIBRARY_PATH, DT_RUNPATH, ld.so.cache, the default directories; $ORIGIN, $LIB and $PLATFORM
 * are filled in. To it are added, because a program may dlopen them: the host's libc.so.6 and the
 * allocator libraries of ld.so.cache (jemalloc, tcmalloc, mimalloc, musl).
 *
 * preload and library_path are the values of LD_PRELOAD and LD_LIBRARY_PATH that it will see, or
 * NULL. 0, -ENOENT, -EACCES, -ENOEXEC (neither ELF nor script), -ELOOP (scripts of scripts),
 * -ENOMEM. What cannot be found or read among the libraries is skipped: the loader would report it.
 */
int dependency__of_command(const char *program, const char *preload, const char *library_path,
			   struct dependency_list *out);
void dependency_list__free(struct dependency_list *list);

#endif
