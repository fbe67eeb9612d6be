// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/elf_object.h"
#include "probe/elf_object_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

/*
 * Bounds on what a file may claim, each far above any real one. Program headers: 14 in a large
 * program, 65,535 by the format. Sections: gcc's -ffunction-sections objects reach thousands,
 * linked files about 50. DT_NEEDED: about 200 in desktop programs.
 */
#define SEGMENTS_MAX    256
#define SECTIONS_MAX    65536
#define INTERPRETER_MAX 4096
#define DYNAMIC_MAX     (16 * 1024 * sizeof(Elf64_Dyn))

int elf_object__damaged(const struct elf_object *obj, const char *what)
{
	log_warning("cannot use %s: damaged ELF file: %s", obj->name, what);
	return -EINVAL;
}

static int check_header(const struct elf_object *obj)
{
	const Elf64_Ehdr *header = elf64_getehdr(obj->elf);
	const char *ident = elf_getident(obj->elf, NULL);

	if (!ident || elf_kind(obj->elf) != ELF_K_ELF)
		return -EINVAL;
	if (ident[EI_CLASS] != ELFCLASS64 || ident[EI_DATA] != ELFDATA2LSB)
		return -ENOTSUP;
	if (!header)
		return elf_object__damaged(obj, "no file header");
	return header->e_machine == EM_X86_64 ? 0 : -ENOTSUP;
}

static int read_segments(struct elf_object *obj)
{
	const Elf64_Phdr *table;
	size_t count;

	if (elf_getphdrnum(obj->elf, &count))
		return elf_object__damaged(obj, "program header count");
	if (!count)
		return 0;
	if (count > SEGMENTS_MAX)
		return elf_object__damaged(obj, "too many program headers");
	table = elf64_getphdr(obj->elf);
	if (!table)
		return elf_object__damaged(obj, "program headers lie outside the file");
	obj->segments = table;
	obj->segment_count = count;
	return 0;
}

/* Whether [offset, offset + size) lies in the file as it was when opened. */
bool elf_object__in_file(const struct elf_object *obj, uint64_t offset, uint64_t size)
{
	return offset <= obj->file_bytes && size <= obj->file_bytes - offset;
}

long elf_object__read(const struct elf_object *obj, uint64_t offset, void *buf, size_t size)
{
	size_t done = 0;

	if (!elf_object__in_file(obj, offset, size))
		return -ERANGE;
	while (done < size) {
		ssize_t got =
			pread(obj->fd, (char *)buf + done, size - done, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			return -EIO; /* it shrank since */
		done += (size_t)got;
	}
	return (long)done;
}

/* A copy of part of the file with a NUL behind it, for the caller to free. */
static int read_blob(const struct elf_object *obj, uint64_t offset, uint64_t size, uint64_t limit,
		     char **out)
{
	char *blob;
	long got;

	*out = NULL;
	if (size > limit || !elf_object__in_file(obj, offset, size))
		return -EINVAL;
	blob = malloc(size + 1);
	if (!blob)
		return -ENOMEM;
	got = elf_object__read(obj, offset, blob, size);
	if (got < 0) {
		free(blob);
		return (int)got;
	}
	blob[size] = '\0';
	*out = blob;
	return 0;
}

static int read_interpreter(struct elf_object *obj)
{
	for (size_t i = 0; i < obj->segment_count; i++) {
		const Elf64_Phdr *segment = &obj->segments[i];
		int err;

		if (segment->p_type != PT_INTERP)
			continue;
		/* A separate debug file keeps the header without the content. */
		if (!segment->p_filesz || obj->is_debug_file)
			return 0;
		err = read_blob(obj, segment->p_offset, segment->p_filesz, INTERPRETER_MAX,
				&obj->interpreter);
		return err == -EINVAL ? elf_object__damaged(obj, "interpreter name") : err;
	}
	return 0;
}

bool elf_object__loaded_offset(const struct elf_object *obj, uint64_t vaddr, unsigned int flags,
			       uint64_t *offset, uint64_t *left)
{
	for (size_t i = 0; i < obj->segment_count; i++) {
		const Elf64_Phdr *segment = &obj->segments[i];

		if (segment->p_type != PT_LOAD || (segment->p_flags & flags) != flags)
			continue;
		if (vaddr < segment->p_vaddr || vaddr - segment->p_vaddr >= segment->p_filesz)
			continue;
		if (!elf_object__in_file(obj, segment->p_offset, segment->p_filesz))
			continue;
		*offset = segment->p_offset + (vaddr - segment->p_vaddr);
		*left = segment->p_filesz - (vaddr - segment->p_vaddr);
		return true;
	}
	return false;
}

bool elf_object__is_data(const struct elf_object *obj, uint64_t vaddr, uint64_t size)
{
	for (size_t i = 0; i < obj->segment_count; i++) {
		const Elf64_Phdr *segment = &obj->segments[i];

		if (segment->p_type == PT_LOAD && segment->p_flags & PF_W &&
		    vaddr >= segment->p_vaddr && vaddr - segment->p_vaddr <= segment->p_memsz &&
		    size <= segment->p_memsz - (vaddr - segment->p_vaddr))
			return true;
	}
	return false;
}

uint64_t elf_object__entry(const struct elf_object *obj)
{
	return elf64_getehdr(obj->elf)->e_entry;
}

static const Elf64_Dyn *find_dynamic(const struct elf_object *obj, int64_t tag)
{
	for (size_t i = 0; i < obj->dynamic_count; i++) {
		if (obj->dynamic[i].d_tag == tag)
			return &obj->dynamic[i];
	}
	return NULL;
}

static int read_soname(struct elf_object *obj)
{
	const Elf64_Dyn *entry = find_dynamic(obj, DT_SONAME);
	uint64_t left;
	long got;

	if (!entry)
		return 0;
	if (entry->d_un.d_val >= obj->dynamic_strings_bytes)
		return elf_object__damaged(obj, "its own name lies outside the file");
	left = obj->dynamic_strings_bytes - entry->d_un.d_val;
	if (left > sizeof(obj->soname) - 1)
		left = sizeof(obj->soname) - 1;
	got = elf_object__read(obj, obj->dynamic_strings_offset + entry->d_un.d_val, obj->soname,
			       left);
	obj->soname[left] = '\0';
	return got < 0 ? (int)got : 0;
}

/* Sections may be stripped, so the dynamic section is found as the loader finds it. */
static int read_dynamic(struct elf_object *obj)
{
	const Elf64_Phdr *segment = NULL;
	uint64_t strings_vaddr = 0, strings_bytes = 0, offset, left;
	char *blob;
	int err;

	for (size_t i = 0; i < obj->segment_count && !segment; i++) {
		if (obj->segments[i].p_type == PT_DYNAMIC)
			segment = &obj->segments[i];
	}
	/* A segment without file content: a separate debug file. */
	if (!segment || !segment->p_filesz || obj->is_debug_file)
		return 0;
	err = read_blob(obj, segment->p_offset, segment->p_filesz, DYNAMIC_MAX, &blob);
	if (err)
		return err == -EINVAL ? elf_object__damaged(obj, "dynamic section") : err;
	obj->dynamic = (Elf64_Dyn *)blob;
	obj->dynamic_count = segment->p_filesz / sizeof(Elf64_Dyn);

	for (size_t i = 0; i < obj->dynamic_count; i++) {
		const Elf64_Dyn *entry = &obj->dynamic[i];

		if (entry->d_tag == DT_NULL) {
			obj->dynamic_count = i;
			break;
		}
		if (entry->d_tag == DT_STRTAB)
			strings_vaddr = entry->d_un.d_ptr;
		else if (entry->d_tag == DT_STRSZ)
			strings_bytes = entry->d_un.d_val;
	}
	if (!strings_vaddr || !strings_bytes)
		return 0;
	if (!elf_object__loaded_offset(obj, strings_vaddr, 0, &offset, &left) ||
	    strings_bytes > left)
		return elf_object__damaged(obj, "dynamic strings lie outside the file");
	obj->dynamic_strings_offset = offset;
	obj->dynamic_strings_bytes = strings_bytes;
	return read_soname(obj);
}

/*
 * A name of the dynamic section. The strings are read when first asked for: those of libLLVM take
 * 6 ms, and most objects are only asked for their soname.
 */
static const char *dynamic_string(struct elf_object *obj, int64_t tag, size_t index)
{
	if (!obj->dynamic_strings && obj->dynamic_strings_bytes &&
	    read_blob(obj, obj->dynamic_strings_offset, obj->dynamic_strings_bytes,
		      ELF_STRINGS_MAX_BYTES, &obj->dynamic_strings)) {
		elf_object__damaged(obj, "dynamic strings cannot be read");
		obj->dynamic_strings_bytes = 0;
	}
	for (size_t i = 0; i < obj->dynamic_count; i++) {
		const Elf64_Dyn *entry = &obj->dynamic[i];

		if (entry->d_tag != tag || index--)
			continue;
		if (entry->d_un.d_val >= obj->dynamic_strings_bytes)
			return NULL;
		return obj->dynamic_strings + entry->d_un.d_val;
	}
	return NULL;
}

int elf_object__open(int fd, const char *display_name, struct elf_object **out)
{
	struct elf_object *obj;
	struct stat st;
	int err;

	*out = NULL;
	/* Once per process is enough, but it is cheap and this needs no state of ours. */
	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOTSUP;
	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;

	obj = calloc(1, sizeof(*obj));
	if (!obj)
		return -ENOMEM;
	obj->fd = fd;
	obj->file_bytes = (uint64_t)st.st_size;
	obj->name = text_printable_dup(display_name);
	err = obj->name ? 0 : -ENOMEM;
	if (err)
		goto fail;
	/* Not ELF_C_READ_MMAP: a target may truncate the file while it is read. */
	obj->elf = elf_begin(fd, ELF_C_READ, NULL);
	err = obj->elf ? check_header(obj) : -EINVAL;
	if (!err)
		err = read_segments(obj);
	if (!err)
		err = elf_object__index_sections(obj, SECTIONS_MAX);
	if (!err)
		err = read_interpreter(obj);
	if (!err)
		err = read_dynamic(obj);
	if (err)
		goto fail;
	*out = obj;
	return 0;
fail:
	elf_object__close(obj);
	return err;
}

void elf_object__close(struct elf_object *obj)
{
	if (!obj)
		return;
	elf_end(obj->elf);
	free(obj->dynamic_strings);
	free(obj->dynamic);
	free(obj->interpreter);
	free(obj->name);
	free(obj);
}

enum elf_type elf_object__type(const struct elf_object *obj)
{
	switch (elf64_getehdr(obj->elf)->e_type) {
	case ET_EXEC:
		return ELF_TYPE_EXECUTABLE;
	case ET_DYN:
		return ELF_TYPE_SHARED;
	}
	return ELF_TYPE_OTHER;
}

const char *elf_object__soname(const struct elf_object *obj)
{
	return obj->soname[0] ? obj->soname : NULL;
}

const char *elf_object__interpreter(const struct elf_object *obj)
{
	return obj->interpreter;
}

const char *elf_object__needed(struct elf_object *obj, size_t index)
{
	return dynamic_string(obj, DT_NEEDED, index);
}

const char *elf_object__rpath(struct elf_object *obj)
{
	return dynamic_string(obj, DT_RPATH, 0);
}

const char *elf_object__runpath(struct elf_object *obj)
{
	return dynamic_string(obj, DT_RUNPATH, 0);
}

bool elf_object__is_program(const struct elf_object *obj)
{
	const Elf64_Dyn *flags = find_dynamic(obj, DT_FLAGS_1);

	return elf_object__type(obj) == ELF_TYPE_EXECUTABLE ||
	       (flags && flags->d_un.d_val & DF_1_PIE);
}

bool elf_object__is_dynamic(const struct elf_object *obj)
{
	return obj->dynamic_count;
}

int elf_object__file_offset(const struct elf_object *obj, uint64_t vaddr, uint64_t *file_offset)
{
	uint64_t left;

	return elf_object__loaded_offset(obj, vaddr, PF_X, file_offset, &left) ? 0 : -ERANGE;
}

bool elf_object__code_segment(const struct elf_object *obj, size_t index,
			      struct elf_code_segment *code)
{
	for (size_t i = 0; i < obj->segment_count; i++) {
		const Elf64_Phdr *segment = &obj->segments[i];

		if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X) || index--)
			continue;
		*code = (struct elf_code_segment){segment->p_vaddr, segment->p_offset,
						  segment->p_filesz};
		return true;
	}
	return false;
}

uint64_t elf_object__code_left(const struct elf_object *obj, uint64_t vaddr)
{
	uint64_t offset, left;

	return elf_object__loaded_offset(obj, vaddr, PF_X, &offset, &left) ? left : 0;
}

long elf_object__read_code(const struct elf_object *obj, uint64_t file_offset, void *buf,
			   size_t size)
{
	for (size_t i = 0; i < obj->segment_count; i++) {
		const Elf64_Phdr *segment = &obj->segments[i];
		uint64_t left;

		if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
			continue;
		if (!elf_object__in_file(obj, segment->p_offset, segment->p_filesz))
			continue;
		if (file_offset < segment->p_offset ||
		    file_offset - segment->p_offset >= segment->p_filesz)
			continue;
		left = segment->p_filesz - (file_offset - segment->p_offset);
		return elf_object__read(obj, file_offset, buf, size < left ? size : (size_t)left);
	}
	return -ERANGE;
}
