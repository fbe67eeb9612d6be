/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_ELF_OBJECT_H
#define MEMDRIFT_PROBE_ELF_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A program or library as a file, read only as far as a question needs it. Any process can map
 * any file, so nothing in it is trusted: what does not add up is -EINVAL with one warning that
 * names the file. The file is read, never mapped: one that shrinks meanwhile is an error here
 * and not a SIGBUS.
 */
struct elf_object;

/* SHA-1 is 20 bytes and the longest that linkers make by themselves; --build-id=0x… may be longer.
 */
#define ELF_BUILD_ID_MAX 64

enum elf_type {
	ELF_TYPE_EXECUTABLE, /* fixed addresses (ET_EXEC) */
	ELF_TYPE_SHARED,     /* library or position-independent executable (ET_DYN) */
	ELF_TYPE_OTHER,      /* object files, cores, separate debug files of neither kind */
};

enum elf_symbol_table {
	ELF_DYNSYM, /* what other objects can link with */
	ELF_SYMTAB, /* everything; usually stripped from installed files */
};

struct elf_function {
	const char *name;     /* never empty; the object's, valid until it is closed */
	const char *version;  /* "GLIBC_2.2.5", or NULL when it has none or cannot be told */
	bool default_version; /* name@@version: what a new program links with */
	bool is_label;        /* no type, often no size: of assembler (each_code_symbol only) */
	bool local;           /* binding STB_LOCAL: not visible to other objects */
	uint64_t vaddr;
	uint64_t file_offset; /* of the first byte; lies in an executable segment */
	uint64_t size;        /* bytes, 0 when the table does not say; never past its segment */
};

struct elf_code_segment {
	uint64_t vaddr;
	uint64_t offset; /* in the file */
	uint64_t bytes;
};

/* Return 0 to go on, anything else to stop; that value is then returned to the caller. */
typedef int (*elf_function_fn)(void *ctx, const struct elf_function *function);

/*
 * Opens the ELF file behind fd, which stays the caller's and must stay open as long as the object.
 * display_name is for messages and is copied. 0, -EINVAL (not ELF, or damaged), -ENOTSUP (not
 * x86-64), -ENOMEM or what reading gave.
 */
int elf_object__open(int fd, const char *display_name, struct elf_object **out);
void elf_object__close(struct elf_object *obj);

enum elf_type elf_object__type(const struct elf_object *obj);
/* DT_SONAME, cut at 255 bytes, or NULL. */
const char *elf_object__soname(const struct elf_object *obj);
/* PT_INTERP, or NULL: static programs, most libraries. */
const char *elf_object__interpreter(const struct elf_object *obj);
/* Bytes of the build-id put into id, at most ELF_BUILD_ID_MAX; 0 when there is none. */
size_t elf_object__build_id(const struct elf_object *obj, uint8_t id[ELF_BUILD_ID_MAX]);
/* DT_NEEDED names in their order, DT_RPATH and DT_RUNPATH: NULL past the last or when absent. */
const char *elf_object__needed(struct elf_object *obj, size_t index);
const char *elf_object__rpath(struct elf_object *obj);
const char *elf_object__runpath(struct elf_object *obj);
/* A program, position-independent ones included (libc.so.6, which can be run, is not one). */
bool elf_object__is_program(const struct elf_object *obj);
/* It has a dynamic section: the loader resolves symbols of it by name. */
bool elf_object__is_dynamic(const struct elf_object *obj);
/* Linked by Go's own linker. Return probes must not be put on Go functions. */
bool elf_object__is_go(const struct elf_object *obj);
/* The version of Go that it was built by, "go1.19.8"; false when it cannot be told. */
bool elf_object__go_version(const struct elf_object *obj, char *version, size_t size);
/*
 * Calls fn for each function of a Go program, by the table that the runtime itself needs: stripped
 * ones have it as well. 0 also when there is no such table, -EPROTOTYPE for one of
 * before Go 1.16, -ENOTSUP for one of an unknown version, -EINVAL for a damaged one, or what fn
 * returned. Names are valid during the call.
 */
int elf_object__each_go_function(const struct elf_object *obj, elf_function_fn fn, void *ctx);
/* The same for names alone: tables since Go 1.2 are read. */
int elf_object__each_go_name(const struct elf_object *obj, elf_function_fn fn, void *ctx);
/* An SDT note provider:name exists, such as libc:memory_arena_new. */
bool elf_object__has_sdt(const struct elf_object *obj, const char *provider, const char *name);

/*
 * Whether one of the names may be exported, by the loader's own hash table when there is one: a
 * few reads. false is certain, true is not. Without a hash table: true.
 */
bool elf_object__may_export(const struct elf_object *obj, const char *const names[], size_t count);

/*
 * Calls fn for each function defined in the table (STT_FUNC; indirect functions are only
 * resolvers and are skipped). Symbols that make no sense are skipped; a table that makes no sense
 * is -EINVAL. 0 also when there is no such table, -ENOMEM, or what fn returned.
 */
int elf_object__each_function(struct elf_object *obj, enum elf_symbol_table table,
			      elf_function_fn fn, void *ctx);

/*
 * The same for all that names code: resolvers of indirect functions and labels of assembler, whose
 * type is none, as well.
 */
int elf_object__each_code_symbol(struct elf_object *obj, enum elf_symbol_table table,
				 elf_function_fn fn, void *ctx);
/*
 * Calls fn for each entry of the PLT, by the name that its slot of the GOT is bound to. The name
 * is valid during the call. 0, -ENOMEM, or what fn returned.
 */
int elf_object__each_plt(const struct elf_object *obj, elf_function_fn fn, void *ctx);

bool elf_object__has_symtab(const struct elf_object *obj);

/*
 * Where the variables (STT_OBJECT) of these names lie by .symtab, to vaddrs: 0 for one that is not
 * there. How many were found (0 as well without such a table), or -EINVAL for a damaged one.
 */
int elf_object__find_variables(const struct elf_object *obj, const char *const names[],
			       size_t count, uint64_t vaddrs[]);
/* Whether [vaddr, vaddr + size) lies in what the program may write: its data and zeroed data. */
bool elf_object__is_data(const struct elf_object *obj, uint64_t vaddr, uint64_t size);
/* Where the program begins to run, as the file has it. */
uint64_t elf_object__entry(const struct elf_object *obj);

/* Where in the file the code at vaddr lies. 0, or -ERANGE when in no executable segment. */
int elf_object__file_offset(const struct elf_object *obj, uint64_t vaddr, uint64_t *file_offset);

/* The index-th executable segment; false past the last. Nothing of it is checked. */
bool elf_object__code_segment(const struct elf_object *obj, size_t index,
			      struct elf_code_segment *code);

/*
 * Calls fn for each word (slots of the GOT among them) that the loader binds to a name, by the
 * object's relocations. own_vaddr is where the object itself defines the name, 0 when it does not.
 * The name is valid until the object is closed.
 */
typedef void (*elf_slot_fn)(void *ctx, uint64_t vaddr, const char *name, uint64_t own_vaddr);
void elf_object__each_slot(const struct elf_object *obj, elf_slot_fn fn, void *ctx);

/*
 * Where the function lies that has code at vaddr, by .eh_frame, which stripped files have as well;
 * parts that the compiler moved away from a function are functions there. 0, or -ENOENT when there
 * is no .eh_frame or no function of it at vaddr.
 */
int elf_object__function_at(const struct elf_object *obj, uint64_t vaddr, uint64_t *start,
			    uint64_t *end);

/*
 * Up to size bytes of code at file_offset, never past its segment. Bytes read, or -ERANGE when
 * that lies in no executable segment, or what reading gave.
 */
long elf_object__read_code(const struct elf_object *obj, uint64_t file_offset, void *buf,
			   size_t size);

/*
 * The separate debug file of this object, by build-id, under root ("/" or "/proc/PID/root"; links
 * in there stay in there). A descriptor that the caller closes, or -ENOENT, or why it cannot be
 * opened. The file's own build-id is compared. Its symbols are at the object's addresses, but
 * file offsets must be asked of the object itself.
 */
int elf_object__open_debug_file(const struct elf_object *obj, const char *root);

/* Whether the file behind fd has the object's build-id: 0, or -ENOENT or why it cannot be read. */
int elf_object__check_debug_file(const struct elf_object *obj, int fd, const char *path);

/*
 * The same by .gnu_debuglink, for files without a build-id or whose debug file lies beside them:
 * `path` is where the object itself lies below root. Its checksum is compared, which reads all of
 * it.
 */
int elf_object__open_debug_link(const struct elf_object *obj, const char *path, const char *root);

/*
 * The symbols that .gnu_debugdata holds, packed by xz ("MiniDebugInfo"): a descriptor of an ELF
 * file in memory, like one of elf_object__open_debug_file. -ENOENT when there is none, -EINVAL for
 * a damaged one, -EFBIG for one that unpacks to too much, or -ENOMEM.
 */
int elf_object__open_mini_debug(const struct elf_object *obj);

#endif
