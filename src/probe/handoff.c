// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/handoff.h"

#include <capstone/capstone.h>
#include <stdlib.h>
#include <string.h>

#include "probe/insn.h"

/* endbr64, then jmp through a slot of the GOT, with its prefix: the longest PLT entry's start. */
#define PLT_ENTRY_BYTES 16

/* How far a jump is followed: _mid_memalign of glibc has some 150 instructions and 20 branches. */
#define WALK_STEPS_MAX    2048
#define WALK_BRANCHES_MAX 256

static bool key_has_name(const char *key, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = key; (at = strstr(at, name)); at += len)
		if ((at == key || at[-1] == '|') && (!at[len] || at[len] == '|'))
			return true;
	return false;
}

/* The slot that a PLT entry at vaddr jumps through; 0 when the code there is no such jump. */
static uint64_t plt_slot(const struct elf_object *elf, uint64_t vaddr)
{
	uint8_t code[PLT_ENTRY_BYTES];
	uint64_t offset;
	size_t at = 0;
	int32_t displacement;

	if (elf_object__file_offset(elf, vaddr, &offset) ||
	    elf_object__read_code(elf, offset, code, sizeof(code)) < (long)sizeof(code))
		return 0;
	if (insn__is_endbr64(code, sizeof(code)))
		at = 4;
	if (code[at] == 0xf2) /* bnd, of MPX builds */
		at++;
	if (code[at] != 0xff || code[at + 1] != 0x25)
		return 0;
	memcpy(&displacement, code + at + 2, sizeof(displacement));
	return vaddr + at + 6 + (uint64_t)(int64_t)displacement;
}

/* The entry point that code at `target` is, or leads to through the PLT; NULL: none. */
static const struct allocator_function *entry_at(const struct allocator_object *object,
						 const struct elf_object *elf, uint64_t target)
{
	const char *name;
	uint64_t slot;

	for (size_t i = 0; i < object->function_count; i++)
		if (object->functions[i].vaddr == target)
			return &object->functions[i];
	slot = plt_slot(elf, target);
	name = slot ? elf_object__slot_symbol(elf, slot) : NULL;
	for (size_t i = 0; name && i < object->function_count; i++)
		if (key_has_name(object->functions[i].key, name))
			return &object->functions[i];
	return NULL;
}

/* Code between the addresses is followed once; what is not there yet waits in `todo`. */
struct walk {
	const struct allocator_object *object;
	const struct elf_object *elf;
	csh decoder;
	cs_insn *insn;
	uint64_t todo[WALK_BRANCHES_MAX];
	size_t todo_count;
	uint64_t seen[WALK_BRANCHES_MAX];
	size_t seen_count;
	size_t steps;
};

static void walk_later(struct walk *walk, uint64_t vaddr)
{
	for (size_t i = 0; i < walk->seen_count; i++)
		if (walk->seen[i] == vaddr)
			return;
	if (walk->seen_count == WALK_BRANCHES_MAX || walk->todo_count == WALK_BRANCHES_MAX)
		return;
	walk->seen[walk->seen_count++] = vaddr;
	walk->todo[walk->todo_count++] = vaddr;
}

/* Straight on from vaddr to the end of the path. True when it jumps to an entry point. */
static bool walk_path(struct walk *walk, uint64_t vaddr)
{
	uint8_t code[PLT_ENTRY_BYTES];
	uint64_t offset;

	while (walk->steps++ < WALK_STEPS_MAX) {
		const uint8_t *cursor = code;
		uint64_t next = vaddr;
		int64_t displacement;
		enum insn_class cls;
		size_t left;
		long got;

		if (elf_object__file_offset(walk->elf, vaddr, &offset))
			return false;
		got = elf_object__read_code(walk->elf, offset, code, sizeof(code));
		left = got > 0 ? (size_t)got : 0;
		/* Capstone 4 does not know endbr64. */
		if (insn__is_endbr64(code, left)) {
			vaddr += 4;
			continue;
		}
		if (!left || !cs_disasm_iter(walk->decoder, &cursor, &left, &next, walk->insn))
			return false;
		cls = insn__classify(code, walk->insn->size);
		if (cls == INSN_JMP || cls == INSN_JCC) {
			insn__branch_displacement(code, walk->insn->size, &displacement);
			if (entry_at(walk->object, walk->elf, next + (uint64_t)displacement))
				return true;
			walk_later(walk, next + (uint64_t)displacement);
		}
		/* Jumps through a register or memory lead who knows where. */
		if (walk->insn->id == X86_INS_JMP || walk->insn->id == X86_INS_RET ||
		    walk->insn->id == X86_INS_UD2 || walk->insn->id == X86_INS_HLT)
			return false;
		vaddr = next;
	}
	return false;
}

static bool reaches_entry(struct walk *walk, uint64_t vaddr)
{
	walk->todo_count = walk->seen_count = walk->steps = 0;
	walk_later(walk, vaddr);
	while (walk->todo_count)
		if (walk_path(walk, walk->todo[--walk->todo_count]))
			return true;
	return false;
}

static enum handoff find_handoff(struct walk *walk, const struct allocator_function *function,
				 const uint8_t *code, size_t len)
{
	enum handoff handoff = HANDOFF_NONE;
	size_t at = 0, left = len;

	while (left) {
		const struct allocator_function *entry;
		uint64_t next = function->vaddr + at, target;
		const uint8_t *from = code + at, *cursor = from;
		int64_t displacement;

		if (insn__is_endbr64(from, left)) {
			at += 4;
			left -= 4;
			continue;
		}
		if (!cs_disasm_iter(walk->decoder, &cursor, &left, &next, walk->insn))
			break;
		at = (size_t)(cursor - code);
		if (insn__classify(from, walk->insn->size) == INSN_CALL ||
		    !insn__branch_displacement(from, walk->insn->size, &displacement))
			continue;
		target = next + (uint64_t)displacement;
		if (target >= function->vaddr && target < function->vaddr + len)
			continue;
		entry = entry_at(walk->object, walk->elf, target);
		if (entry)
			return entry->layout == function->layout ? HANDOFF_ALIAS : HANDOFF_JUMP;
		if (function->layout == ARG_ALIGNED && !handoff && reaches_entry(walk, target))
			handoff = HANDOFF_SMALL_ALIGN;
	}
	return handoff;
}

void handoff__mark(struct allocator_object *object, const struct elf_object *elf)
{
	struct walk *walk = calloc(1, sizeof(*walk));

	if (!walk)
		return;
	walk->object = object;
	walk->elf = elf;
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &walk->decoder) != CS_ERR_OK)
		goto out;
	walk->insn = cs_malloc(walk->decoder);
	for (size_t i = 0; walk->insn && i < object->function_count; i++) {
		struct allocator_function *function = &object->functions[i];
		uint8_t *code;
		long got;

		if (!function->size || function->size > SITE_CODE_MAX)
			continue;
		code = malloc(function->size);
		if (!code)
			break;
		got = elf_object__read_code(elf, function->file_offset, code, function->size);
		if (got > 0)
			function->handoff = find_handoff(walk, function, code, (size_t)got);
		free(code);
	}
	if (walk->insn)
		cs_free(walk->insn, 1);
	cs_close(&walk->decoder);
out:
	free(walk);
}
