/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_TESTS_CGROUP_TREE_H
#define MEMDRIFT_TESTS_CGROUP_TREE_H

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A directory with what the kernel's files of a control group say, for tests of their reading. */

/* dir has PATH_MAX bytes. */
static inline void tree__make(char *dir)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, PATH_MAX, "%s/memdrift-cgroup.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		abort();
}

/* Writes dir/name, with the directories on the way. */
static inline void tree__put(const char *dir, const char *name, const char *text)
{
	char path[PATH_MAX + 256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (char *slash = path + strlen(dir) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	file = fopen(path, "w");
	if (!file || fputs(text, file) < 0 || fclose(file))
		abort();
}

static inline int tree__remove_entry(const char *path, const struct stat *st, int type,
				     struct FTW *walk)
{
	return remove(path);
}

static inline void tree__remove(const char *dir)
{
	nftw(dir, tree__remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
