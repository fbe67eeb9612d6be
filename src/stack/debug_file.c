// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "stack/debug_file.h"

#include <errno.h>
#include <string.h>

#include "stack/debuginfod.h"

int debug_file__open(const struct elf_object *object, const char *path, const char *root,
		     bool use_servers)
{
	const char *const roots[] = {root, "/"};
	int fd;

	if (root && !strcmp(root, "/"))
		root = NULL;
	for (size_t i = root ? 0 : 1; i < 2; i++) {
		fd = elf_object__open_debug_file(object, roots[i]);
		if (fd >= 0)
			return fd;
	}
	for (size_t i = root ? 0 : 1; i < 2; i++) {
		fd = elf_object__open_debug_link(object, path, roots[i]);
		if (fd >= 0)
			return fd;
	}
	return use_servers ? debuginfod__open(object, path) : -ENOENT;
}
