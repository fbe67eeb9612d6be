// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "golang/go_layout.h"

/*
 * Bounds on what a file makes us look at. Units: a package of Go's is one; Kubernetes' programs
 * have 3,000. Types, of all units: all named types of a program can be in the runtime's unit,
 * 100,000 of them in the largest; those that are wanted are there once. Members: mheap has 50.
 */
#define UNITS_MAX   65536
#define TYPES_MAX   (4u << 20)
#define TAKEN_MAX   64
#define MEMBERS_MAX 1024
#define DEPTH_MAX   8

/*
 * Bounds on libdw, which has none of its own: sections that are compressed 1000:1 are unpacked, and
 * one step over entries with many attributes may take hours. The largest of Go's programs take a
 * second and 200 MB.
 */
#define CPU_SECONDS_MAX 3
#define WALL_NS_MAX     6000000000ull
#define MEMORY_MAX      (384ull << 20)

#define PREFIX "runtime."

struct wanted {
	const char *structure;
	const char *member;
	bool needed;
};

#define GO_FIELD_WANTED(name, structure, member, needed) {structure, member, needed},
static const struct wanted wanted[GO_FIELD_COUNT] = {GO_FIELDS(GO_FIELD_WANTED)};
#undef GO_FIELD_WANTED

bool go_layout__is_usable(const struct go_layout *layout)
{
	for (int i = 0; i < GO_FIELD_COUNT; i++) {
		if (wanted[i].needed && layout->at[i] == GO_ABSENT)
			return false;
	}
	return true;
}

/* The type of a member, behind the names that Go gives to it. */
static bool member_type(Dwarf_Die *member, Dwarf_Die *type)
{
	Dwarf_Attribute attr;
	Dwarf_Die next;

	if (!dwarf_formref_die(dwarf_attr(member, DW_AT_type, &attr), type))
		return false;
	for (int i = 0; i < DEPTH_MAX && dwarf_tag(type) == DW_TAG_typedef; i++) {
		if (!dwarf_formref_die(dwarf_attr(type, DW_AT_type, &attr), &next))
			return false;
		*type = next;
	}
	return true;
}

static bool find_member(Dwarf_Die *structure, const char *name, size_t length, Dwarf_Die *member)
{
	int left = MEMBERS_MAX;

	if (dwarf_tag(structure) != DW_TAG_structure_type || dwarf_child(structure, member))
		return false;
	do {
		const char *found = dwarf_diename(member);

		if (dwarf_tag(member) == DW_TAG_member && found && strlen(found) == length &&
		    !memcmp(found, name, length))
			return true;
	} while (left-- && !dwarf_siblingof(member, member));
	return false;
}

static bool member_offset(Dwarf_Die *member, uint32_t *offset)
{
	Dwarf_Attribute attr;
	Dwarf_Word value;

	if (dwarf_formudata(dwarf_attr(member, DW_AT_data_member_location, &attr), &value) ||
	    value > GO_OFFSET_MAX)
		return false;
	*offset += (uint32_t)value;
	return true;
}

/* "pages.summary": members of members. */
static uint32_t find_offset(const Dwarf_Die *structure, const char *path)
{
	Dwarf_Die at = *structure, member;
	uint32_t offset = 0;

	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		size_t length = strcspn(path, ".");

		if (!find_member(&at, path, length, &member) || !member_offset(&member, &offset))
			return GO_ABSENT;
		if (!path[length])
			return offset;
		if (!member_type(&member, &at))
			return GO_ABSENT;
		path += length + 1;
	}
	return GO_ABSENT;
}

/* Whether it is one of those that are wanted. */
static bool take_structure(Dwarf_Die *structure, const char *name, struct go_layout *layout)
{
	bool found = false;

	for (int i = 0; i < GO_FIELD_COUNT; i++) {
		int size;

		if (strcmp(wanted[i].structure, name))
			continue;
		found = true;
		if (wanted[i].member[0]) {
			layout->at[i] = find_offset(structure, wanted[i].member);
			continue;
		}
		size = dwarf_bytesize(structure);
		if (size > 0 && size <= (int)GO_OFFSET_MAX)
			layout->at[i] = (uint32_t)size;
	}
	return found;
}

/* What is left to look at in this file. */
struct budget {
	unsigned int types, taken;
};

static void read_unit(Dwarf_Die *unit, struct budget *left, struct go_layout *layout)
{
	Dwarf_Die die;

	if (dwarf_child(unit, &die))
		return;
	do {
		const char *name;

		if (dwarf_tag(&die) != DW_TAG_structure_type)
			continue;
		name = dwarf_diename(&die);
		if (left->taken && name && !strncmp(name, PREFIX, strlen(PREFIX)) &&
		    take_structure(&die, name + strlen(PREFIX), layout))
			left->taken--;
	} while (left->types && left->types-- && !dwarf_siblingof(&die, &die));
}

/* libdw's own would write to stderr. */
static void __attribute__((noreturn)) out_of_memory(void)
{
	_exit(1);
}

static int read_dwarf(int fd, struct go_layout *layout)
{
	Dwarf *dwarf = dwarf_begin(fd, DWARF_C_READ);
	struct budget left = {TYPES_MAX, TAKEN_MAX};
	Dwarf_CU *unit = NULL;
	Dwarf_Die die;

	for (int i = 0; i < GO_FIELD_COUNT; i++)
		layout->at[i] = GO_ABSENT;
	if (!dwarf)
		return -ENOENT;
	dwarf_new_oom_handler(dwarf, out_of_memory);
	for (int i = 0; i < UNITS_MAX; i++) {
		const char *name;

		if (dwarf_get_units(dwarf, unit, &unit, NULL, NULL, &die, NULL))
			break;
		name = dwarf_tag(&die) == DW_TAG_compile_unit ? dwarf_diename(&die) : NULL;
		/* What is written in assembly has a unit of the same name. */
		if (name && !strcmp(name, "runtime"))
			read_unit(&die, &left, layout);
		if (go_layout__is_usable(layout))
			break;
	}
	dwarf_end(dwarf);
	return go_layout__is_usable(layout) ? 0 : -ENOENT;
}

struct reading {
	int fd;
};

static void answer(void *ctx, int to)
{
	const struct reading *reading = ctx;
	struct go_layout layout;

	if (!read_dwarf(reading->fd, &layout))
		child__send(to, &layout, sizeof(layout));
}

/* In a process of its own, whose time and memory the kernel bounds. */
int go_layout__read_dwarf(int fd, struct go_layout *layout)
{
	static const struct child_limits limits = {CPU_SECONDS_MAX, MEMORY_MAX};
	struct reading reading = {fd};
	struct child child;
	int err = child__start(&child, &limits, &fd, 1, answer, &reading);

	if (err)
		return err;
	err = child__receive(child.fd, layout, sizeof(*layout), monotonic_ns() + WALL_NS_MAX);
	child__stop(&child);
	return err ? -ENOENT : 0;
}
