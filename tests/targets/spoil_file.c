// link: -lelf
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * spoil_file FILE SEED SECTION...: overwrites bytes of these sections of an ELF file, in place; of
 * the section headers where SECTION is "headers". None of them is needed to run a program, but for
 * what Go's runtime reads of .gopclntab and .data. Says how many bytes it changed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <stdio.h>
#include "truth.h"

struct range {
	uint64_t start, size;
};

static uint64_t seed;

static uint64_t below(uint64_t n)
{
	return random__below(&seed, n);
}

static bool find_range(Elf *elf, const char *name, struct range *out)
{
	Elf_Scn *section = NULL;
	GElf_Ehdr header;
	GElf_Shdr found;
	size_t names;

	if (!gelf_getehdr(elf, &header) || elf_getshdrstrndx(elf, &names))
		return false;
	*out = (struct range){header.e_shoff, (uint64_t)header.e_shnum * header.e_shentsize};
	if (!strcmp(name, "headers"))
		return true;
	while ((section = elf_nextscn(elf, section))) {
		const char *is = NULL;

		if (gelf_getshdr(section, &found))
			is = elf_strptr(elf, names, found.sh_name);
		if (!is || strcmp(is, name) != 0 || found.sh_type == SHT_NOBITS)
			continue;
		*out = (struct range){found.sh_offset, found.sh_size};
		return out->size > 0;
	}
	return false;
}

/* Lengths, offsets, LEB128 numbers without an end, and references to elsewhere in the section. */
static size_t any_bytes(uint8_t bytes[8], const uint8_t old[8], uint64_t size)
{
	uint64_t value;

	memcpy(&value, old, 8);
	switch (below(8)) {
	case 0:
		value = random__next(&seed);
		break;
	case 1:
		value = UINT64_MAX;
		break;
	case 2:
		value = 0;
		break;
	case 3:
		value = below(size);
		break;
	case 4:
		value ^= 1ULL << below(64);
		break;
	case 5:
		value += below(33) - 16;
		break;
	case 6:
		value = 0x8080808080808080ULL;
		break;
	default:
		value = 1ULL << below(64);
		break;
	}
	memcpy(bytes, &value, 8);
	return 1ULL << below(4);
}

/* One in two is near the beginning, where headers are. */
static uint64_t spoil_range(int fd, const struct range *range)
{
	uint64_t changed = 0, tries = 1 + below(1ULL << below(11));

	while (tries--) {
		uint64_t at = below(2) ? below(range->size)
				       : below(range->size < 256 ? range->size : 256);
		uint8_t old[8] = {0}, bytes[8];
		size_t n;

		if (pread(fd, old, 8, (off_t)(range->start + at)) < 1)
			die("read");
		n = any_bytes(bytes, old, range->size);
		n = n < range->size - at ? n : range->size - at;
		if (pwrite(fd, bytes, n, (off_t)(range->start + at)) != (ssize_t)n)
			die("write");
		changed += n;
	}
	return changed;
}

int main(int argc, char **argv)
{
	uint64_t changed = 0;
	struct range ranges[32];
	int n = 0, fd;
	Elf *elf;

	if (argc < 4 || argc > 35) {
		fprintf(stderr, "usage: spoil_file FILE SEED SECTION...\n");
		return 2;
	}
	seed = strtoull(argv[2], NULL, 10) * 0xd1342543de82ef95ULL;
	fd = open(argv[1], O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die(argv[1]);
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	for (int i = 3; elf && i < argc; i++)
		n += find_range(elf, argv[i], &ranges[n]);
	elf_end(elf);
	for (int i = 0; i < n; i++) {
		/* Not all of them each time. */
		if (n == 1 || below(2))
			changed += spoil_range(fd, &ranges[i]);
	}
	printf("%" PRIu64 " bytes of %d sections\n", changed, n);
	return n ? 0 : 1;
}
