// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Runs in a child (base/child.h), which bounds what a file can make libdw do. Split DWARF (.dwo) is
 * not read: its paths could name anything, a device among them.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/child.h"
#include "stack/source_lines_internal.h"

/* Blocks in blocks of generated code; what is deeper is left out. */
#define DEPTH_MAX 256

/* The functions around one place, outermost first. */
struct place {
	size_t at;
	unsigned int count;
	Dwarf_Die functions[SOURCE_LINES_MAX];
};

struct reading {
	const struct lines_request *request;
	bool *done;           /* by place */
	bool *in_cu;          /* by place: the unit at hand claims it */
	struct place *places; /* of the unit at hand, by address */
	size_t count;
	int to;
};

/* The first place at or above the address. */
static size_t first_at(const struct lines_request *request, uint64_t vaddr)
{
	size_t low = 0, high = request->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (request->vaddrs[middle] < vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Marks what the unit's ranges hold; how many. */
static size_t mark_unit(struct reading *reading, Dwarf_Die *unit)
{
	const struct lines_request *request = reading->request;
	Dwarf_Addr base, start, end;
	ptrdiff_t at = 0;
	size_t marked = 0;

	while ((at = dwarf_ranges(unit, at, &base, &start, &end)) > 0) {
		/* Code that the linker threw away is left with an address of 0. */
		if (!start)
			continue;
		for (size_t i = first_at(request, start);
		     i < request->n && request->vaddrs[i] < end; i++) {
			if (reading->done[i] || reading->in_cu[i])
				continue;
			reading->in_cu[i] = true;
			marked++;
		}
	}
	return marked;
}

static bool collect_places(struct reading *reading, size_t marked)
{
	reading->count = 0;
	reading->places = calloc(marked, sizeof(*reading->places));
	if (!reading->places)
		return false;
	for (size_t i = 0; i < reading->request->n && reading->count < marked; i++) {
		if (!reading->in_cu[i])
			continue;
		reading->in_cu[i] = false;
		reading->places[reading->count++].at = i;
	}
	return true;
}

static uint64_t vaddr_of(const struct reading *reading, const struct place *place)
{
	return reading->request->vaddrs[place->at];
}

static size_t first_place(const struct reading *reading, uint64_t vaddr)
{
	size_t low = 0, high = reading->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (vaddr_of(reading, &reading->places[middle]) < vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Whether the entry's code holds places; they get it as their next function inwards. */
static bool note_entry(struct reading *reading, Dwarf_Die *die, bool is_function)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t at = 0;
	bool holds = false;

	while ((at = dwarf_ranges(die, at, &base, &start, &end)) > 0) {
		for (size_t i = first_place(reading, start);
		     i < reading->count && vaddr_of(reading, &reading->places[i]) < end; i++) {
			struct place *place = &reading->places[i];

			holds = true;
			if (is_function && place->count < SOURCE_LINES_MAX)
				place->functions[place->count++] = *die;
		}
	}
	return holds;
}

/* What can hold functions without having code of its own. */
static bool is_scope(int tag)
{
	return tag == DW_TAG_namespace || tag == DW_TAG_module || tag == DW_TAG_class_type ||
	       tag == DW_TAG_structure_type || tag == DW_TAG_union_type;
}

static void walk(struct reading *reading, Dwarf_Die *parent, unsigned int depth)
{
	Dwarf_Die die;

	if (depth == DEPTH_MAX || dwarf_child(parent, &die))
		return;
	do {
		int tag = dwarf_tag(&die);

		if (is_scope(tag)) {
			walk(reading, &die, depth + 1);
			continue;
		}
		if (tag != DW_TAG_subprogram && tag != DW_TAG_inlined_subroutine &&
		    tag != DW_TAG_lexical_block && tag != DW_TAG_try_block &&
		    tag != DW_TAG_catch_block && tag != DW_TAG_with_stmt)
			continue;
		if (note_entry(reading, &die,
			       tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine))
			walk(reading, &die, depth + 1);
	} while (!dwarf_siblingof(&die, &die));
}

static const char *function_name(Dwarf_Die *die)
{
	Dwarf_Attribute attr;
	const char *name = NULL;

	if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attr) ||
	    dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attr))
		name = dwarf_formstring(&attr);
	return name ? name : dwarf_diename(die);
}

static uint32_t number(Dwarf_Die *die, unsigned int what)
{
	Dwarf_Attribute attr;
	Dwarf_Word value;

	if (dwarf_formudata(dwarf_attr(die, what, &attr), &value) || value > UINT32_MAX)
		return 0;
	return (uint32_t)value;
}

static bool send_entry(int to, const char *function, const char *source, uint32_t line)
{
	struct lines_entry entry = {.line = line};

	if (!function)
		function = "";
	if (!source)
		source = "";
	entry.function_bytes = (uint32_t)strnlen(function, LINES_TEXT_MAX);
	entry.source_bytes = (uint32_t)strnlen(source, LINES_TEXT_MAX);
	return !child__send(to, &entry, sizeof(entry)) &&
	       !child__send(to, function, entry.function_bytes) &&
	       !child__send(to, source, entry.source_bytes);
}

/* Innermost first: its line is the place's own, that of the others is where the inner is called. */
static bool send_place(struct reading *reading, Dwarf_Die *unit, Dwarf_Files *files,
		       struct place *place)
{
	Dwarf_Line *found = dwarf_getsrc_die(unit, vaddr_of(reading, place));
	const char *source = found ? dwarf_linesrc(found, NULL, NULL) : NULL;
	struct lines_head head = {(uint32_t)place->at, place->count ? place->count : 1};
	int line = 0;

	if (!place->count && !source)
		return true;
	if (!source || dwarf_lineno(found, &line) || line < 0)
		line = 0;
	reading->done[place->at] = true;
	if (child__send(reading->to, &head, sizeof(head)))
		return false;
	if (!place->count)
		return send_entry(reading->to, NULL, source, (uint32_t)line);
	for (unsigned int i = place->count; i; i--) {
		Dwarf_Die *die = &place->functions[i - 1];

		if (!send_entry(reading->to, function_name(die), source, (uint32_t)line))
			return false;
		line = (int)number(die, DW_AT_call_line);
		source = files ? dwarf_filesrc(files, number(die, DW_AT_call_file), NULL, NULL)
			       : NULL;
	}
	return true;
}

static bool read_unit(struct reading *reading, Dwarf_Die *unit)
{
	size_t marked = mark_unit(reading, unit), count;
	Dwarf_Files *files;
	bool sent = true;

	if (!marked)
		return true;
	if (!collect_places(reading, marked))
		return false;
	walk(reading, unit, 0);
	if (dwarf_getsrcfiles(unit, &files, &count))
		files = NULL;
	for (size_t i = 0; i < reading->count && sent; i++)
		sent = send_place(reading, unit, files, &reading->places[i]);
	free(reading->places);
	return sent;
}

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

static bool read_file(struct reading *reading, int fd)
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
		if (type == DW_UT_compile && !read_unit(reading, &die))
			break;
	}
	return any;
}

void source_lines__answer(void *ctx, int fd)
{
	const struct lines_request *request = ctx;
	struct reading reading = {.request = request, .to = fd};

	if (elf_version(EV_CURRENT) == EV_NONE)
		return;
	reading.done = calloc(request->n, sizeof(*reading.done));
	reading.in_cu = calloc(request->n, sizeof(*reading.in_cu));
	if (!reading.done || !reading.in_cu)
		return;
	for (size_t i = 0; i < request->fd_count; i++) {
		if (request->fds[i] >= 0 && read_file(&reading, request->fds[i]))
			return;
	}
}
