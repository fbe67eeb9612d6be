/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_ELF_OBJECT_INTERNAL_H
#define MEMDRIFT_PROBE_ELF_OBJECT_INTERNAL_H

/* Shared by elf_object.c (headers, segments), elf_symbol.c (tables) and elf_note.c; no one else. */

#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/elf_object.h"

/*
 * Largest tables read. Symbols: 24 bytes each, so 5.6 million (Chromium unstripped has 1.5).
 * Strings: C++ names take most of it, about 100 MB in the largest unstripped programs.
 */
#define ELF_SYMBOLS_MAX_BYTES (128ull << 20)
#define ELF_STRINGS_MAX_BYTES (256ull << 20)

/* .plt, .plt.sec, .plt.got */
#define ELF_PLTS_MAX 3

struct elf_object {
	int fd;     /* the caller's */
	char *name; /* printable */
	Elf *elf;
	uint64_t file_bytes;
	bool is_debug_file; /* content of loaded segments is not in this file */

	const Elf64_Phdr *segments; /* libelf's */
	size_t segment_count;

	Elf64_Dyn *dynamic; /* up to DT_NULL */
	size_t dynamic_count;
	char *dynamic_strings; /* NULL until asked for; a NUL of ours behind the end */
	uint64_t dynamic_strings_offset;
	uint64_t dynamic_strings_bytes;
	char soname[256]; /* empty: none */
	char *interpreter;

	/* Sections found by type and name, NULL when there are none. libelf's. */
	Elf_Scn *dynsym;
	Elf_Scn *symtab;
	Elf_Scn *versym;
	Elf_Scn *verdef;
	Elf_Scn *gnu_hash;
	Elf_Scn *stapsdt;
	Elf_Scn *build_id;
	/* Of Go: version, table of functions (or where it may lie), description of the module. */
	Elf_Scn *go_buildinfo;
	Elf_Scn *go_functab;
	Elf_Scn *relro;
	Elf_Scn *go_module;
	Elf_Scn *eh_frame;
	/* Where more names are: symbols packed by xz, and the name of a separate debug file. */
	Elf_Scn *mini_debug;
	Elf_Scn *debug_link;
	Elf_Scn *plts[ELF_PLTS_MAX]; /* stubs that jump through the GOT */
};

/* Warns with the file's name and gives -EINVAL. */
int elf_object__damaged(const struct elf_object *obj, const char *what);
bool elf_object__in_file(const struct elf_object *obj, uint64_t offset, uint64_t size);
/* All of it or an error. */
long elf_object__read(const struct elf_object *obj, uint64_t offset, void *buf, size_t size);
/*
 * Where in the file is what is loaded at vaddr, in a segment with these flags (PF_X, …), and how
 * many bytes are left from there; false when there is not one.
 */
bool elf_object__loaded_offset(const struct elf_object *obj, uint64_t vaddr, unsigned int flags,
			       uint64_t *offset, uint64_t *left);
/* Bytes of executable segment from vaddr to its end, 0 when it lies in none. */
uint64_t elf_object__code_left(const struct elf_object *obj, uint64_t vaddr);

/* A file below root as a process with that root would open it; or a negative errno. */
int elf_object__open_below(const char *root, const char *path);

int elf_object__index_sections(struct elf_object *obj, size_t max);
/*
 * The content of a section of at most max bytes, in the file as a whole number of entries of
 * entry_bytes. NULL when it is not; an empty section gives NULL as well.
 */
Elf_Data *elf_object__section_data(const struct elf_object *obj, Elf_Scn *section, uint64_t max,
				   size_t entry_bytes);

#endif
