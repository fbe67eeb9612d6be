// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/ledger_images.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/param.h>

#include "census/host.h"

/* Program headers follow the ELF header: what is read of each file. */
#define HEAD_BYTES 4096

static struct file_id id_of(const struct maps_entry *entry)
{
	return (struct file_id){.inode = entry->inode,
				.dev_major = entry->dev_major,
				.dev_minor = entry->dev_minor};
}

static int compare_files(const void *left, const void *right)
{
	const struct file_id *a = left, *b = right;

	if (a->inode != b->inode)
		return a->inode < b->inode ? -1 : 1;
	if (a->dev_major != b->dev_major)
		return a->dev_major < b->dev_major ? -1 : 1;
	return (a->dev_minor > b->dev_minor) - (a->dev_minor < b->dev_minor);
}

/* "libicudata.so.72": data alone, nothing of which is executed. */
static bool is_named_as_library(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	const char *suffix = strstr(name, ".so");

	return suffix && (suffix[3] == '\0' || suffix[3] == '.' || suffix[3] == ' ');
}

static int gather_files(const struct maps_entry *entries, size_t n, struct images *images)
{
	size_t kept = 0;

	images->files = calloc(n + 1, sizeof(*images->files));
	if (!images->files)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (entries[i].inode && !entries[i].shared &&
		    (entries[i].prot & PROT_EXEC || is_named_as_library(entries[i].path)))
			images->files[kept++] = id_of(&entries[i]);
	}
	qsort(images->files, kept, sizeof(*images->files), compare_files);
	for (size_t i = 0; i < kept; i++) {
		size_t *count = &images->file_count;

		if (!*count || compare_files(&images->files[*count - 1], &images->files[i]))
			images->files[(*count)++] = images->files[i];
	}
	return 0;
}

bool images__is_binary(const struct images *images, const struct maps_entry *entry)
{
	struct file_id id = id_of(entry);

	return entry->inode && !entry->shared && images->file_count &&
	       bsearch(&id, images->files, images->file_count, sizeof(id), compare_files);
}

/* The highest end of a segment and the address of the one that begins the file, both as linked. */
static bool read_segments(const uint8_t *head, size_t size, const Elf64_Ehdr *ehdr, uint64_t *end,
			  uint64_t *base)
{
	bool has_base = false;

	*end = *base = 0;
	for (size_t i = 0; i < ehdr->e_phnum; i++) {
		uint64_t at = ehdr->e_phoff + i * sizeof(Elf64_Phdr);
		Elf64_Phdr phdr;

		if (at < ehdr->e_phoff || at > size - sizeof(phdr))
			return false;
		memcpy(&phdr, head + at, sizeof(phdr));
		if (phdr.p_type != PT_LOAD)
			continue;
		if (phdr.p_vaddr + phdr.p_memsz < phdr.p_vaddr)
			return false;
		*end = MAX(*end, phdr.p_vaddr + phdr.p_memsz);
		/* Go's linker begins position-independent programs elsewhere than at 0. */
		if (!has_base && phdr.p_offset < HEAD_BYTES) {
			*base = phdr.p_vaddr - phdr.p_offset;
			has_base = true;
		}
	}
	return has_base;
}

uint64_t image_end(const uint8_t *head, size_t size, uint64_t start)
{
	const uint64_t mask = host__page_bytes() - 1;
	uint64_t end, base, length;
	Elf64_Ehdr ehdr;

	if (size < sizeof(ehdr) || size < sizeof(Elf64_Phdr))
		return 0;
	memcpy(&ehdr, head, sizeof(ehdr));
	if (memcmp(ehdr.e_ident, ELFMAG, SELFMAG) || ehdr.e_ident[EI_CLASS] != ELFCLASS64 ||
	    ehdr.e_phentsize != sizeof(Elf64_Phdr) ||
	    !read_segments(head, size, &ehdr, &end, &base) || end <= base)
		return 0;
	length = end - base;
	if (start + length < start || start + length + mask < start + length)
		return 0;
	return (start + length + mask) & ~mask;
}

int images__read(const struct maps_entry *entries, size_t n, struct memory *memory,
		 struct images *out)
{
	uint8_t head[HEAD_BYTES];
	int err;

	memset(out, 0, sizeof(*out));
	err = gather_files(entries, n, out);
	if (err)
		return err;
	out->items = calloc(n + 1, sizeof(*out->items));
	if (!out->items) {
		images__free(out);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		uint64_t end = 0;
		ssize_t got;

		if (entries[i].offset || !images__is_binary(out, &entries[i]))
			continue;
		got = memory__read_some(memory, entries[i].start, head, sizeof(head));
		if (got > 0)
			end = image_end(head, got, entries[i].start);
		if (end)
			out->items[out->count++] =
				(struct image){.start = entries[i].start, .end = end};
	}
	return 0;
}

void images__free(struct images *images)
{
	free(images->files);
	free(images->items);
	memset(images, 0, sizeof(*images));
}

const struct image *images__find(const struct images *images, uint64_t addr)
{
	size_t low = 0, high = images->count;

	/* The last one that starts at or below addr. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (images->items[middle].start <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low && addr < images->items[low - 1].end ? &images->items[low - 1] : NULL;
}
