// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/elf_object_internal.h"

/* Chromium's PLT has some thousands of entries, its GOT ten times as many. 16 bytes each. */
#define PLT_SLOTS_MAX 262144
#define PLT_MAX_BYTES (8ull << 20)

/* Longer ones are left without a name. */
#define PLT_NAME_MAX 1024

/* psABI x86-64: `jmp *disp32(%rip)`; entries are aligned to 8 bytes (.plt.got) or 16. */
#define JUMP_BYTES 6
#define ENTRY_STEP 8

struct plt_slot {
	uint64_t vaddr;
	const char *name;
};

struct plt_slots {
	struct plt_slot *slots;
	size_t count, room;
	bool out_of_memory;
};

static void take_slot(void *ctx, uint64_t vaddr, const char *name, uint64_t own_vaddr)
{
	struct plt_slots *slots = ctx;

	if (slots->count == PLT_SLOTS_MAX || slots->out_of_memory)
		return;
	if (slots->count == slots->room) {
		size_t room = slots->room ? 2 * slots->room : 256;
		struct plt_slot *bigger = reallocarray(slots->slots, room, sizeof(*bigger));

		slots->out_of_memory = !bigger;
		if (!bigger)
			return;
		slots->slots = bigger;
		slots->room = room;
	}
	slots->slots[slots->count++] = (struct plt_slot){vaddr, name};
}

static int compare_slots(const void *a, const void *b)
{
	const struct plt_slot *x = a, *y = b;

	return (x->vaddr > y->vaddr) - (x->vaddr < y->vaddr);
}

/* Bytes before the jump: endbr64 and the prefix of MPX builds. */
static size_t skip_prefixes(const uint8_t *code, size_t size)
{
	static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
	size_t at = 0;

	if (size >= sizeof(endbr64) && !memcmp(code, endbr64, sizeof(endbr64)))
		at = sizeof(endbr64);
	if (at < size && code[at] == 0xf2)
		at++;
	return at;
}

/* What the entry at `at` jumps to, or NULL when that is not one. */
static const char *entry_name(const struct plt_slots *slots, const uint8_t *code, size_t size,
			      uint64_t vaddr)
{
	size_t at = skip_prefixes(code, size);
	struct plt_slot key, *found;
	int32_t displacement;

	if (size - at < JUMP_BYTES || code[at] != 0xff || code[at + 1] != 0x25)
		return NULL;
	memcpy(&displacement, code + at + 2, sizeof(displacement));
	key.vaddr = vaddr + at + JUMP_BYTES + (uint64_t)(int64_t)displacement;
	found = bsearch(&key, slots->slots, slots->count, sizeof(key), compare_slots);
	return found ? found->name : NULL;
}

static int each_entry(const struct elf_object *obj, Elf_Scn *section, const struct plt_slots *slots,
		      elf_function_fn fn, void *ctx)
{
	Elf_Data *data = elf_object__section_data(obj, section, PLT_MAX_BYTES, 1);
	uint64_t step = ENTRY_STEP, vaddr;
	char name[PLT_NAME_MAX];

	if (!data)
		return 0;
	vaddr = elf64_getshdr(section)->sh_addr;
	if (elf64_getshdr(section)->sh_entsize == 16)
		step = 16;
	for (uint64_t at = 0; at < data->d_size; at += step) {
		const char *target = entry_name(slots, (const uint8_t *)data->d_buf + at,
						data->d_size - at, vaddr + at);
		struct elf_function function = {
			.name = name, .local = true, .vaddr = vaddr + at, .size = step};
		int err;

		if (!target ||
		    (size_t)snprintf(name, sizeof(name), "%s@plt", target) >= sizeof(name) ||
		    elf_object__file_offset(obj, vaddr + at, &function.file_offset))
			continue;
		err = fn(ctx, &function);
		if (err)
			return err;
	}
	return 0;
}

int elf_object__each_plt(const struct elf_object *obj, elf_function_fn fn, void *ctx)
{
	struct plt_slots slots = {0};
	int err = 0;

	elf_object__each_slot(obj, take_slot, &slots);
	if (slots.count)
		qsort(slots.slots, slots.count, sizeof(slots.slots[0]), compare_slots);
	for (size_t i = 0; i < ELF_PLTS_MAX && slots.count && !err; i++)
		err = each_entry(obj, obj->plts[i], &slots, fn, ctx);
	free(slots.slots);
	return slots.out_of_memory && !err ? -ENOMEM : err;
}
