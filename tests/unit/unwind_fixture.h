/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef TESTS_UNIT_UNWIND_FIXTURE_H
#define TESTS_UNIT_UNWIND_FIXTURE_H

/* Installed programs and libraries, and their rows as the parser under test has them. */

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "probe/elf_object.h"
#include "unwind/eh_frame.h"
#include "unwind/go_text.h"

/* Built by different compilers, with hand-written code, realigned stacks, Go, C++. Those that are
 * not installed are left out. */
static const char *const unwind_files[] = {
	"/lib/x86_64-linux-gnu/libc.so.6",
	"/lib64/ld-linux-x86-64.so.2",
	"/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
	"/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
	"/usr/lib/x86_64-linux-gnu/libgcc_s.so.1",
	"/usr/bin/python3",
	"/usr/bin/git",
	"/usr/bin/perl",
	"/usr/bin/bash",
};

#define UNWIND_FILE_COUNT (sizeof(unwind_files) / sizeof(unwind_files[0]))

#define SEGMENTS_MAX 32

struct loaded {
	int fd;
	struct elf_object *elf;
	struct frame_rows rows;
	struct elf_code_segment segments[SEGMENTS_MAX]; /* the file's order, which is by address */
	size_t segment_count;
	uint64_t end; /* of the last segment */
};

/* False when there is no such file. */
static inline bool load_file(struct loaded *loaded, const char *path)
{
	struct frame_range ranges[SEGMENTS_MAX];
	struct frame_section section;
	struct elf_frame_info info;

	memset(loaded, 0, sizeof(*loaded));
	loaded->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (loaded->fd < 0)
		return false;
	assert_int_equal(elf_object__open(loaded->fd, path, &loaded->elf), 0);
	loaded->segment_count =
		elf_object__code_segments(loaded->elf, loaded->segments, SEGMENTS_MAX);
	assert_in_range(loaded->segment_count, 1, SEGMENTS_MAX);
	for (size_t i = 0; i < loaded->segment_count; i++) {
		loaded->end = loaded->segments[i].vaddr + loaded->segments[i].size;
		ranges[i] = (struct frame_range){loaded->segments[i].vaddr, loaded->end};
	}
	assert_int_equal(elf_object__frame_info(loaded->elf, FRAME_SECTION_MAX_BYTES, &info), 0);
	section = (struct frame_section){.bytes = info.bytes,
					 .size = info.size,
					 .vaddr = info.vaddr,
					 .is_debug_frame = info.is_debug_frame,
					 .ends_at_zero = info.ends_at_zero};
	assert_int_equal(frame_rows__read(&loaded->rows, &section, ranges, loaded->segment_count),
			 0);
	elf_frame_info__clear(&info);
	return true;
}

static inline void unload_file(struct loaded *loaded)
{
	frame_rows__clear(&loaded->rows);
	elf_object__close(loaded->elf);
	close(loaded->fd);
}

#endif
