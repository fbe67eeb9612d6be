// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "stack/debuginfod.h"

#include <dlfcn.h>
#include <elfutils/debuginfod.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

#define LIBRARY "libdebuginfod.so.1"
#define SERVERS "DEBUGINFOD_URLS"

static struct {
	__typeof__(&debuginfod_begin) begin;
	__typeof__(&debuginfod_find_debuginfo) find;
	debuginfod_client *client;
} library;

static const char *servers(void)
{
	const char *urls = getenv(SERVERS);

	return urls && urls[strspn(urls, " ")] ? urls : NULL;
}

int debuginfod__load(void)
{
	void *handle;

	if (library.client)
		return 0;
	if (!servers()) {
		log_error("--debuginfod: " SERVERS " names no server; set it, for instance to "
			  "https://debuginfod.debian.net (sudo drops it: use sudo "
			  "--preserve-env=" SERVERS ")");
		return -ENOENT;
	}
	handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		log_error("--debuginfod: cannot load " LIBRARY ": %s; install libdebuginfod1",
			  dlerror());
		return -ENOENT;
	}
	library.begin = (__typeof__(library.begin))dlsym(handle, "debuginfod_begin");
	library.find = (__typeof__(library.find))dlsym(handle, "debuginfod_find_debuginfo");
	if (library.begin && library.find)
		library.client = library.begin();
	if (library.client)
		return 0;
	log_error("--debuginfod: " LIBRARY " cannot be used: another version of elfutils?");
	dlclose(handle);
	return -ENOENT;
}

int debuginfod__open(const struct elf_object *object, const char *path)
{
	uint8_t id[ELF_BUILD_ID_MAX];
	size_t bytes = elf_object__build_id(object, id);
	char *printable;
	int fd;

	if (!library.client || !bytes)
		return -ENOENT;
	printable = text_printable_dup(path);
	log_progress("asking debuginfod for %s", printable ? printable : "an object");
	fd = library.find(library.client, id, (int)bytes, NULL);
	log_progress("%s", "");
	if (fd < 0)
		log_info("debuginfod has no debug file for %s: %s (asked: %s)",
			 printable ? printable : "an object", strerror(-fd), servers());
	free(printable);
	if (fd < 0)
		return -ENOENT;
	if (!elf_object__check_debug_file(object, fd, "debuginfod's"))
		return fd;
	close(fd);
	return -ENOENT;
}
