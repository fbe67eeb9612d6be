// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/glibc_layout.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/param.h>

/* Distances from the bins that all versions share: struct malloc_state from `top` on. Before it
 * lie the fastbins, where there are any. */
enum {
	TOP = -0x10,
	FASTBINS = -0x10 - GLIBC_FASTBINS * 8,
	ATTACHED_THREADS = 0x810,
	SYSTEM_MEM = 0x818,
	STATE_END = 0x828,
	/* Behind the lock and the flags there is no room for fastbins: 2.43. */
	BINS_WITHOUT_FASTBINS = 0x18,
	STATE_BYTES_MAX = 0x70 + STATE_END,
};

void glibc_layout__init(struct glibc_layout *layout, uint16_t bins)
{
	*layout = (struct glibc_layout){.from = 26, .to = GLIBC_LATER, .bins = bins};
	if (bins == 0x68)
		glibc_layout__narrow(layout, 26, 26);
	else if (bins == BINS_WITHOUT_FASTBINS)
		glibc_layout__narrow(layout, 43, GLIBC_LATER);
	else
		glibc_layout__narrow(layout, 27, 42);
}

bool glibc_layout__narrow(struct glibc_layout *layout, uint32_t from, uint32_t to)
{
	if (from > layout->to || to < layout->from)
		return false;
	layout->from = MAX(layout->from, from);
	layout->to = MIN(layout->to, to);
	return true;
}

void glibc_layout__name(const struct glibc_layout *layout, char *name, size_t size)
{
	if (layout->to == GLIBC_LATER)
		snprintf(name, size, "2.%u or later", layout->from);
	else if (layout->from == layout->to)
		snprintf(name, size, "2.%u", layout->from);
	else
		snprintf(name, size, "2.%u to 2.%u", layout->from, layout->to);
}

uint64_t glibc_state__bytes(const struct glibc_layout *layout)
{
	return layout->bins + STATE_END;
}

uint64_t glibc_digest(uint64_t seed, const void *data, size_t size)
{
	const char *bytes = data;

	for (size_t at = 0; at + 8 <= size; at += 8) {
		uint64_t word;

		memcpy(&word, bytes + at, sizeof(word));
		seed = (seed ^ word) * 0x100000001b3ULL;
		seed ^= seed >> 29;
	}
	return seed;
}

static uint64_t word_at(const uint8_t *data, size_t at)
{
	uint64_t word;

	memcpy(&word, data + at, sizeof(word));
	return word;
}

int glibc_state__read(struct memory *memory, const struct glibc_layout *layout, uint64_t address,
		      struct glibc_state *out)
{
	uint8_t data[STATE_BYTES_MAX];
	size_t size = glibc_state__bytes(layout);
	int err = memory__read(memory, address, data, size);

	if (err)
		return err;
	*out = (struct glibc_state){
		.address = address,
		.top = word_at(data, layout->bins + TOP),
		.threads = word_at(data, layout->bins + ATTACHED_THREADS),
		.system_bytes = word_at(data, layout->bins + SYSTEM_MEM),
		.digest = glibc_digest(GLIBC_DIGEST_SEED, data, size),
	};
	if (layout->bins != BINS_WITHOUT_FASTBINS)
		memcpy(out->fastbins, data + layout->bins + FASTBINS, sizeof(out->fastbins));
	return out->system_bytes % 16 || out->top % 16 ? -EINVAL : 0;
}
