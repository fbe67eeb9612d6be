// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "probe/elf_object_internal.h"

/* Notes: the build-id has 36 bytes, libc's and libstdc++'s SDT notes 6 kB. */
#define NOTES_MAX_BYTES (16ull << 20)

/* The type of SystemTap's SDT notes: a location, a base and a semaphore, then three strings. */
#define SDT_NOTE_TYPE  3
#define SDT_NOTE_OWNER "stapsdt"
#define SDT_NOTE_FIXED (3 * sizeof(uint64_t))

static void index_go_section(struct elf_object *obj, Elf_Scn *section, const char *name)
{
	if (!strcmp(name, ".go.buildinfo"))
		obj->go_buildinfo = section;
	else if (!strcmp(name, ".gopclntab") || !strcmp(name, ".data.rel.ro.gopclntab"))
		obj->go_functab = section;
	else if (!strcmp(name, ".data.rel.ro"))
		obj->relro = section;
	else if (!strcmp(name, ".go.module"))
		obj->go_module = section;
}

/* What only names are read from. */
static void index_name_section(struct elf_object *obj, Elf_Scn *section, const char *name)
{
	static const char *const plts[ELF_PLTS_MAX] = {".plt", ".plt.sec", ".plt.got"};

	if (!strcmp(name, ".gnu_debugdata"))
		obj->mini_debug = section;
	else if (!strcmp(name, ".gnu_debuglink"))
		obj->debug_link = section;
	for (size_t i = 0; i < ELF_PLTS_MAX; i++) {
		if (!strcmp(name, plts[i]))
			obj->plts[i] = section;
	}
}

static void index_section(struct elf_object *obj, Elf_Scn *section, const Elf64_Shdr *header,
			  const char *name)
{
	switch (header->sh_type) {
	case SHT_DYNSYM:
		obj->dynsym = section;
		break;
	case SHT_SYMTAB:
		obj->symtab = section;
		break;
	case SHT_GNU_versym:
		obj->versym = section;
		break;
	case SHT_GNU_verdef:
		obj->verdef = section;
		break;
	case SHT_GNU_HASH:
		obj->gnu_hash = section;
		break;
	case SHT_NOTE:
		if (!strcmp(name, ".note.stapsdt"))
			obj->stapsdt = section;
		else if (!strcmp(name, ".note.gnu.build-id"))
			obj->build_id = section;
		break;
	case SHT_NOBITS:
		if (header->sh_flags & SHF_EXECINSTR)
			obj->is_debug_file = true;
		break;
	case SHT_PROGBITS:
		index_go_section(obj, section, name);
		index_name_section(obj, section, name);
		if (!strcmp(name, ".eh_frame"))
			obj->eh_frame = section;
		break;
	}
}

int elf_object__index_sections(struct elf_object *obj, size_t max)
{
	const Elf64_Shdr *names_header;
	size_t count, names;
	Elf_Scn *section = NULL;
	Elf_Data *data;

	if (elf_getshdrnum(obj->elf, &count))
		return elf_object__damaged(obj, "section header count");
	if (!count)
		return 0; /* stripped of them altogether: legal, and loaders do not care */
	if (count > max)
		return elf_object__damaged(obj, "too many sections");
	if (elf_getshdrstrndx(obj->elf, &names))
		return elf_object__damaged(obj, "section names");
	names_header = elf64_getshdr(elf_getscn(obj->elf, names));
	data = elf_object__section_data(obj, elf_getscn(obj->elf, names), NOTES_MAX_BYTES, 1);
	if (!names_header || !data || ((const char *)data->d_buf)[data->d_size - 1])
		return elf_object__damaged(obj, "section names");

	while ((section = elf_nextscn(obj->elf, section))) {
		const Elf64_Shdr *header = elf64_getshdr(section);

		if (!header)
			return elf_object__damaged(obj, "section headers");
		if (header->sh_name >= data->d_size)
			return elf_object__damaged(obj, "name of a section");
		index_section(obj, section, header, (const char *)data->d_buf + header->sh_name);
	}
	return 0;
}

bool elf_object__is_go(const struct elf_object *obj)
{
	return obj->go_buildinfo;
}

/* gelf_getnote keeps name and content of a note inside the data. */
size_t elf_object__build_id(const struct elf_object *obj, uint8_t id[ELF_BUILD_ID_MAX])
{
	size_t off = 0, next, name, content;
	Elf_Data *data;
	GElf_Nhdr note;

	data = elf_object__section_data(obj, obj->build_id, NOTES_MAX_BYTES, 1);
	while (data && (next = gelf_getnote(data, off, &note, &name, &content))) {
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof("GNU") &&
		    !memcmp((const char *)data->d_buf + name, "GNU", sizeof("GNU")) &&
		    note.n_descsz && note.n_descsz <= ELF_BUILD_ID_MAX) {
			memcpy(id, (const char *)data->d_buf + content, note.n_descsz);
			return note.n_descsz;
		}
		off = next;
	}
	return 0;
}

static bool is_sdt(const char *strings, size_t size, const char *provider, const char *name)
{
	size_t provider_bytes = strlen(provider) + 1, name_bytes = strlen(name) + 1;

	return size >= provider_bytes + name_bytes && !memcmp(strings, provider, provider_bytes) &&
	       !memcmp(strings + provider_bytes, name, name_bytes);
}

bool elf_object__has_sdt(const struct elf_object *obj, const char *provider, const char *name)
{
	size_t off = 0, next, owner, content;
	Elf_Data *data;
	GElf_Nhdr note;

	data = elf_object__section_data(obj, obj->stapsdt, NOTES_MAX_BYTES, 1);
	while (data && (next = gelf_getnote(data, off, &note, &owner, &content))) {
		const char *bytes = data->d_buf;

		if (note.n_type == SDT_NOTE_TYPE && note.n_namesz == sizeof(SDT_NOTE_OWNER) &&
		    !memcmp(bytes + owner, SDT_NOTE_OWNER, sizeof(SDT_NOTE_OWNER)) &&
		    note.n_descsz > SDT_NOTE_FIXED &&
		    is_sdt(bytes + content + SDT_NOTE_FIXED, note.n_descsz - SDT_NOTE_FIXED,
			   provider, name))
			return true;
		off = next;
	}
	return false;
}

/* Links below root are followed as a process with that root would: none leads out of it. */
int elf_object__open_below(const char *root, const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	int root_fd, fd;

	root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return -errno;
	fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	if (fd < 0)
		fd = -errno;
	close(root_fd);
	return fd;
}

int elf_object__check_debug_file(const struct elf_object *obj, int fd, const char *path)
{
	uint8_t id[ELF_BUILD_ID_MAX], other[ELF_BUILD_ID_MAX];
	size_t id_bytes = elf_object__build_id(obj, id), other_bytes;
	struct elf_object *debug;
	int err;

	err = elf_object__open(fd, path, &debug);
	if (err)
		return err;
	other_bytes = elf_object__build_id(debug, other);
	if (other_bytes != id_bytes || memcmp(id, other, id_bytes)) {
		log_warning("not using the debug file %s: its build-id is not that of its name",
			    path);
		err = -ENOENT;
	}
	elf_object__close(debug);
	return err;
}

int elf_object__open_debug_file(const struct elf_object *obj, const char *root)
{
	/* Two digits a byte, a slash, and the parts around them. */
	char path[sizeof("usr/lib/debug/.build-id//.debug") + 2 * ELF_BUILD_ID_MAX];
	uint8_t id[ELF_BUILD_ID_MAX];
	size_t bytes = elf_object__build_id(obj, id), at;
	int fd, err;

	if (bytes < 2)
		return -ENOENT;
	at = (size_t)sprintf(path, "usr/lib/debug/.build-id/%02x/", id[0]);
	for (size_t i = 1; i < bytes; i++)
		at += (size_t)sprintf(path + at, "%02x", id[i]);
	strcpy(path + at, ".debug");

	fd = elf_object__open_below(root, path);
	if (fd < 0)
		return fd;
	err = elf_object__check_debug_file(obj, fd, path);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}
