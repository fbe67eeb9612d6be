// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Runs in a child (base/child.h), which bounds what a file can make libdw do. Split DWARF (.dwo) is
 * not read: its paths could name anything, a device among them.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stack/source_lines_dwarf.h"

/* Debian's debug files have what several share in one of its own (dwz), known by build-id. */
static void set_shared(Dwarf *dwarf)
{
	char path[sizeof("/usr/lib/debug/.build-id//.debug") + 2 * 64];
	const uint8_t *id;
	const char *name;
	const void *bytes;
	struct stat st;
	Dwarf *shared;
	ssize_t count = dwelf_dwarf_gnu_debugaltlink(dwarf, &name, &bytes);
	size_t at;
	int fd;

	if (count < 2 || count > 64)
		return;
	id = bytes;
	at = (size_t)sprintf(path, "/usr/lib/debug/.build-id/%02x/", id[0]);
	for (ssize_t i = 1; i < count; i++)
		at += (size_t)sprintf(path + at, "%02x", id[i]);
	strcpy(path + at, ".debug");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return;
	shared = dwarf_begin(fd, DWARF_C_READ);
	if (shared)
		dwarf_setalt(dwarf, shared);
}

/* libdw's own would write to stderr. */
static void __attribute__((noreturn)) out_of_memory(void)
{
	_exit(1);
}

static bool read_file(struct lines_reading *reading, int fd)
{
	const struct rlimit none = {0, 0};
	Dwarf_CU *unit = NULL;
	bool any = false;
	Dwarf *dwarf;
	Dwarf_Die die;
	uint8_t type;
	/* Mapped: should it shrink meanwhile, it is only this child that ends. */
	Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);

	dwarf = elf ? dwarf_begin_elf(elf, DWARF_C_READ, NULL) : NULL;
	if (!dwarf)
		return false;
	dwarf_new_oom_handler(dwarf, out_of_memory);
	set_shared(dwarf);
	/* It opens whatever paths a file gives. */
	setrlimit(RLIMIT_NOFILE, &none);
	while (!dwarf_get_units(dwarf, unit, &unit, NULL, &type, &die, NULL)) {
		any = true;
		if (type == DW_UT_compile && !source_lines__read_unit(reading, &die))
			break;
	}
	return any;
}

void source_lines__answer(void *ctx, int fd)
{
	const struct lines_request *request = ctx;
	struct lines_reading reading = {.request = request, .to = fd};

	if (elf_version(EV_CURRENT) == EV_NONE)
		return;
	reading.done = calloc(request->n, sizeof(*reading.done));
	reading.in_cu = calloc(request->n, sizeof(*reading.in_cu));
	for (size_t i = 0; reading.done && reading.in_cu && i < request->fd_count; i++) {
		if (request->fds[i] >= 0 && read_file(&reading, request->fds[i]))
			break;
	}
	free(reading.done);
	free(reading.in_cu);
}
