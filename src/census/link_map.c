// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/link_map.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "census/proc_file.h"

/* A program has about 13 segments, and some 30 tags. */
#define SEGMENTS_MAX 64
#define TAGS_MAX     256

struct reader {
	int memory; /* /proc/PID/mem */
};

static bool read_at(const struct reader *reader, uint64_t addr, void *buf, size_t size)
{
	return addr <= INT64_MAX &&
	       pread_fully(reader->memory, buf, size, (off_t)addr) == (ssize_t)size;
}

/* Where the kernel put the program's segment headers, and how many there are. */
static int find_headers(uint32_t pid, uint64_t *headers, size_t *count)
{
	static const uint64_t types[] = {AT_PHDR, AT_PHNUM};
	uint64_t values[2];
	int err = proc_auxv(pid, types, 2, values);

	if (err)
		return err;
	*headers = values[0];
	*count = values[1];
	return *headers && *count && *count <= SEGMENTS_MAX ? 0 : -EINVAL;
}

/* The program's dynamic section; 0 when it has none. */
static int find_dynamic(const struct reader *reader, uint64_t headers, size_t count,
			uint64_t *dynamic)
{
	Elf64_Phdr segments[SEGMENTS_MAX];
	uint64_t bias = 0, vaddr = 0;

	if (!read_at(reader, headers, segments, count * sizeof(segments[0])))
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (segments[i].p_type == PT_PHDR)
			bias = headers - segments[i].p_vaddr;
		else if (segments[i].p_type == PT_DYNAMIC)
			vaddr = segments[i].p_vaddr;
	}
	*dynamic = vaddr ? bias + vaddr : 0;
	return 0;
}

/* The first entry of the list; 0 when nobody keeps one. */
static uint64_t find_list(const struct reader *reader, uint64_t dynamic)
{
	struct r_debug debug;
	Elf64_Dyn tag;

	for (size_t i = 0; i < TAGS_MAX; i++) {
		if (!read_at(reader, dynamic + i * sizeof(tag), &tag, sizeof(tag)) ||
		    tag.d_tag == DT_NULL)
			return 0;
		if (tag.d_tag == DT_DEBUG)
			return tag.d_un.d_ptr && read_at(reader, tag.d_un.d_ptr, &debug,
							 sizeof(debug))
				       ? (uintptr_t)debug.r_map
				       : 0;
	}
	return 0;
}

static int read_list(const struct reader *reader, uint64_t at, uint64_t *dynamic, size_t max)
{
	size_t n = 0;

	while (at && n < max) {
		struct link_map entry;

		if (!read_at(reader, at, &entry, sizeof(entry)))
			return -EINVAL;
		dynamic[n++] = (uintptr_t)entry.l_ld;
		at = (uintptr_t)entry.l_next;
	}
	return (int)n;
}

int link_map__read(uint32_t pid, uint64_t *dynamic, size_t max)
{
	uint64_t headers, own, list;
	struct reader reader;
	size_t count;
	int err;

	err = find_headers(pid, &headers, &count);
	if (err)
		return err;
	reader.memory = proc_file__open(pid, "mem", O_RDONLY | O_CLOEXEC);
	if (reader.memory < 0)
		return reader.memory;
	err = find_dynamic(&reader, headers, count, &own);
	if (!err && own) {
		list = find_list(&reader, own);
		/* A static position-independent program has a dynamic section, and no loader. */
		err = list ? read_list(&reader, list, dynamic, max) : 0;
	}
	close(reader.memory);
	return err;
}
