// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/v8.h"

#include <errno.h>
#include <stdbool.h>

#include "heap/allocators_report.h"
#include "heap/allocators_scan.h"

#define CHUNK_ALIGN (256ull << 10)
#define HEAD_WORDS  24u
/* A chunk's header with its bitmap of marks, the largest of all versions. */
#define HEADER_MAX (64ull << 10)

struct v8 {
	struct subject *subject;
	struct claims *claims;
	uint64_t bytes;
	uint64_t end; /* of the chunk before */
};

/* The heap, then where its area begins and ends. */
static bool has_area(const struct v8 *v8, uint64_t addr, const uint64_t *words)
{
	for (size_t i = 2; i < 8; i++) {
		uint64_t heap = words[i - 1], start = words[i], end = words[i + 1];
		const struct maps_entry *entry;

		if (start <= addr || start - addr > HEADER_MAX || end <= start ||
		    end > addr + words[0])
			continue;
		entry = subject__entry(v8->subject, heap);
		if (heap && heap % 8 == 0 && entry && !entry->shared && !entry->inode)
			return true;
	}
	return false;
}

static bool has_reservation(uint64_t addr, const uint64_t *words)
{
	for (size_t i = 6; i + 1 < HEAD_WORDS; i++)
		if (words[i] == addr && words[i + 1] == words[0])
			return true;
	return false;
}

static int take_chunk(void *ctx, uint64_t addr, const uint64_t *words)
{
	struct v8 *v8 = ctx;
	uint64_t size = words[0];
	int err;

	if (addr < v8->end || size < 4096 || size % 4096 || size >> 40 ||
	    !has_reservation(addr, words) || !has_area(v8, addr, words) ||
	    !scan__is_anonymous(v8->subject, addr, addr + size))
		return 0;
	v8->end = addr + size;
	v8->bytes += size;
	err = claims__add(v8->claims, addr, addr + size, COMPONENT_V8, "headers of V8's chunks");
	return err == -ENOMEM ? err : 0;
}

int v8__read(struct subject *subject, struct claims *claims, struct allocators *out)
{
	struct v8 v8 = {.subject = subject, .claims = claims};
	int err = scan__each_head(subject, CHUNK_ALIGN, HEAD_WORDS * 8, take_chunk, &v8);

	if (err >= 0 && v8.bytes)
		allocators__add(out, &(struct allocator_facts){
					     .name = "v8",
					     .how = "headers of its chunks",
					     .bytes = v8.bytes,
				     });
	return err < 0 ? err : 0;
}
