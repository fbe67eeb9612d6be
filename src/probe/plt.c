// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/plt.h"

#include <stdlib.h>
#include <string.h>

#include "probe/family.h"
#include "probe/insn.h"

/* endbr64, then jmp through a slot of the GOT, with its prefix: the longest PLT entry's start. */
#define PLT_ENTRY_BYTES 16

/* Chromium has some 10,000 with a definition of its own. */
#define SLOTS_MAX 65536

struct slot {
	uint64_t vaddr;
	struct plt_target target;
};

struct plt {
	const struct elf_object *elf;
	struct slot *slots; /* by vaddr */
	size_t count;
};

static void add_slot(void *ctx, uint64_t vaddr, const char *symbol, uint64_t own_vaddr)
{
	const struct plt_target target = {.name = family__find(symbol), .vaddr = own_vaddr};
	struct plt *plt = ctx;

	if ((target.name < 0 && !own_vaddr) || plt->count == SLOTS_MAX)
		return;
	if (plt->count % 64 == 0) {
		struct slot *bigger = reallocarray(plt->slots, plt->count + 64, sizeof(*bigger));

		if (!bigger)
			return;
		plt->slots = bigger;
	}
	plt->slots[plt->count++] = (struct slot){vaddr, target};
}

static int compare_slots(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;

	return (x->vaddr > y->vaddr) - (x->vaddr < y->vaddr);
}

struct plt *plt__new(const struct elf_object *elf)
{
	struct plt *plt = calloc(1, sizeof(*plt));

	if (!plt)
		return NULL;
	plt->elf = elf;
	elf_object__each_slot(elf, add_slot, plt);
	if (plt->count)
		qsort(plt->slots, plt->count, sizeof(plt->slots[0]), compare_slots);
	return plt;
}

void plt__free(struct plt *plt)
{
	if (plt)
		free(plt->slots);
	free(plt);
}

struct plt_target plt__slot(const struct plt *plt, uint64_t vaddr)
{
	const struct slot key = {.vaddr = vaddr};
	const struct slot *found = NULL;

	if (plt->count)
		found = bsearch(&key, plt->slots, plt->count, sizeof(key), compare_slots);
	return found ? found->target : (struct plt_target){.name = -1};
}

/* Bytes read, after an endbr64 and the bnd prefix of MPX builds, which change nothing here. */
static size_t read_jump(const struct elf_object *elf, uint64_t *vaddr, uint8_t *code)
{
	uint64_t offset;
	size_t at = 0;

	if (elf_object__file_offset(elf, *vaddr, &offset) ||
	    elf_object__read_code(elf, offset, code, PLT_ENTRY_BYTES) < PLT_ENTRY_BYTES)
		return 0;
	if (insn__is_endbr64(code, PLT_ENTRY_BYTES))
		at = 4;
	if (code[at] == 0xf2)
		at++;
	memmove(code, code + at, PLT_ENTRY_BYTES - at);
	*vaddr += at;
	return PLT_ENTRY_BYTES - at;
}

bool plt__entry_at(const struct plt *plt, uint64_t vaddr, struct plt_target *target)
{
	uint8_t code[PLT_ENTRY_BYTES];
	uint64_t slot;
	bool is_call;

	*target = (struct plt_target){.name = -1};
	if (!read_jump(plt->elf, &vaddr, code) ||
	    !insn__branch_slot(code, 6, vaddr + 6, &slot, &is_call) || is_call)
		return false;
	*target = plt__slot(plt, slot);
	return true;
}

bool plt__is_thunk(const struct elf_object *elf, uint64_t vaddr, uint64_t *target)
{
	uint8_t code[PLT_ENTRY_BYTES];
	int64_t displacement;
	size_t len;

	if (!read_jump(elf, &vaddr, code) || (code[0] != 0xe9 && code[0] != 0xeb))
		return false;
	len = code[0] == 0xe9 ? 5 : 2;
	if (!insn__branch_displacement(code, len, &displacement))
		return false;
	*target = vaddr + len + (uint64_t)displacement;
	return true;
}
