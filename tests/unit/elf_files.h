/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_TESTS_ELF_FILES_H
#define MEMDRIFT_TESTS_ELF_FILES_H

/* ELF files made by binutils in a directory of the test's own, and what they hold. */

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/elf_object.h"
#include "stack/symbol_load.h"

static char work_dir[64];

/* Runs in the shell; "@" is the work directory. Whether it succeeded. */
static inline bool run(const char *fmt, ...)
{
	char command[4096], expanded[8192];
	size_t at = 0;
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	for (const char *from = command; *from && at < sizeof(expanded) - sizeof(work_dir);
	     from++) {
		if (*from == '@')
			at += (size_t)sprintf(expanded + at, "%s", work_dir);
		else
			expanded[at++] = *from;
	}
	expanded[at] = '\0';
	return !system(expanded);
}

static inline FILE *read_output(const char *fmt, ...)
{
	char command[4096];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	return popen(command, "re");
}

static inline const char *in_work_dir(const char *name)
{
	static char paths[4][128];
	static unsigned int next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", work_dir, name);
	return path;
}

static inline int make_work_dir(void **state)
{
	snprintf(work_dir, sizeof(work_dir), "/tmp/memdrift-elf-XXXXXX");
	return mkdtemp(work_dir) ? 0 : -1;
}

static inline int remove_work_dir(void **state)
{
	return run("rm -rf '@'") ? 0 : -1;
}

static inline struct elf_object *open_elf(const char *path, int *fd)
{
	struct elf_object *elf = NULL;

	*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd >= 0 && elf_object__open(*fd, path, &elf)) {
		close(*fd);
		return NULL;
	}
	return elf;
}

/* NULL when it is no ELF file. */
static inline struct symbol_table *load_names(const char *path, int debug_fd)
{
	struct symbol_table *table = NULL;
	struct elf_object *elf;
	int fd;

	elf = open_elf(path, &fd);
	if (!elf)
		return NULL;
	if (symbol_table__load(elf, path, debug_fd, &table))
		table = NULL;
	elf_object__close(elf);
	close(fd);
	return table;
}

#endif
