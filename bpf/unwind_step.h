/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_UNWIND_STEP_H
#define MEMDRIFT_UNWIND_STEP_H

/*
 * One step of a walk up a stack: from a frame to its caller. Compiled for BPF (bpf/unwind.h) and
 * for user space, where it is tested on stored stacks (tests/unit/test_unwind_step.c). Everything
 * read is the target's: any value may be anything.
 *
 * The includer defines, before it includes this:
 *	bool read_user(void *into, uint32_t bytes, uint64_t address)
 *	const union unwind_block *block_at(uint32_t index)       NULL outside the pool, likewise:
 *	const struct unwind_rule *rule_at(uint32_t index)
 *	const struct unwind_object *object_at(uint32_t index)
 *	bool find_behind_trampoline(struct unwind_walk *walk, uint64_t slot, uint64_t *address)
 *	bool find_probed(uint64_t copy, uint64_t *address)
 */
#include "memdrift/unwind.h"
#include "unwind_search.h"

/*
 * Stack memory is read in pieces of this size: one bpf_probe_read_user() costs 60 ns and more
 * whatever it reads, and most frames are small. A piece begins below the address asked for, as the
 * caller's registers lie there.
 */
#define WINDOW_BYTES 512
#define WINDOW_BELOW 64

/* What bp is when nobody knows it: an address that no frame can have. */
#define BP_NOWHERE 1

/* User addresses are below, with five levels of page tables as well (x86/x86_64/mm.rst). */
#define USER_ADDRESS_BITS 56

struct unwind_walk {
	uint64_t ip, sp, bp;
	uint64_t hash; /* of the frames */
	uint32_t depth;
	uint32_t end;         /* enum stack_end, once it is over */
	uint32_t exact;       /* ip is an instruction of its own, not a return address */
	uint32_t guessed;     /* by frame pointers, in code that nobody has looked at */
	uint32_t mapping;     /* of the frame before, plus 1; 0: there is none */
	uint32_t returned;    /* the first frame is a return address */
	uint64_t trampolines; /* where find_behind_trampoline() goes on */
	uint64_t window_at;
	uint64_t window[WINDOW_BYTES / sizeof(uint64_t)];
	/* As it is kept: word 0 is the header. One more, as the last block's rest is filled
	 * blindly. */
	struct stack_block blocks[STACK_BLOCKS_EACH + 1];
};

#define WALK_WORDS (STACK_BLOCKS_EACH * STACK_BLOCK_WORDS)
_Static_assert((WALK_WORDS & (WALK_WORDS - 1)) == 0, "a mask bounds it");
_Static_assert(WALK_WORDS > STACK_DEPTH, "room for every frame");

/* The step's answer. */
enum { WALK_ON, WALK_ENDED };

/* Stacks are aligned, what a hostile stack pointer says need not be. */
static inline __attribute__((always_inline)) uint64_t load_word(const char *at)
{
#ifdef __bpf__
	return *(const uint64_t *)at;
#else
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
#endif
}

static inline __attribute__((always_inline)) long end_walk(struct unwind_walk *walk, uint32_t end)
{
	walk->end = walk->guessed ? STACK_END_no_tables : end;
	return WALK_ENDED;
}

static inline __attribute__((always_inline)) bool fill_window(struct unwind_walk *walk,
							      uint64_t address)
{
	uint64_t at = address - WINDOW_BELOW;

	if (!read_user(walk->window, WINDOW_BYTES, at)) {
		walk->window_at = 1ull << 63; /* nobody's */
		return false;
	}
	walk->window_at = at;
	return true;
}

/* A word of the target's memory. */
static inline __attribute__((always_inline)) bool read_word(struct unwind_walk *walk,
							    uint64_t address, uint64_t *word)
{
	uint64_t at = address - walk->window_at;

	if (address >> USER_ADDRESS_BITS)
		return false;
	if (at > WINDOW_BYTES - sizeof(*word)) {
		/* At the end of a stack the window does not fit. */
		if (!fill_window(walk, address))
			return read_user(word, sizeof(*word), address);
		at = WINDOW_BELOW;
	}
#ifdef __bpf__
	/* The bound for the verifier, on the very register that is used. */
	at = BELOW(at, WINDOW_BYTES);
	if (at > WINDOW_BYTES - sizeof(*word))
		return false;
#endif
	*word = load_word((const char *)walk->window + at);
	return true;
}

/* Runs of frames lie in one object: where the last one was is looked at first. */
static inline __attribute__((always_inline)) const struct unwind_mapping *
find_mapping(struct unwind_walk *walk, const struct unwind_image *image, uint64_t pc)
{
	uint32_t index = walk->mapping - 1;

	if (!is_in_mapping(image, index, pc)) {
		index = search_mapping(image, pc);
		if (!is_in_mapping(image, index, pc))
			return NULL;
		walk->mapping = index + 1;
	}
	return &image->mappings[BELOW(index, UNWIND_MAPPINGS_MAX)];
}

static inline __attribute__((always_inline)) void keep_frame(struct unwind_walk *walk, uint64_t ip)
{
	uint64_t *words = walk->blocks[0].words;
	uint64_t at = BELOW((uint64_t)walk->depth + 1, WALK_WORDS);

	words[at] = ip;
	/* Multiplicative hashing, the constant is 2^64 over the golden ratio; what it cannot tell
	 * apart is told apart by comparing. */
	walk->hash = (walk->hash ^ ip) * 0x9e3779b97f4a7c15ull;
	walk->hash ^= walk->hash >> 32;
	walk->depth++;
}

/* The caller of a frame whose CFA is known: its return address is right below it. */
static inline __attribute__((always_inline)) long go_to_caller(struct unwind_walk *walk,
							       uint64_t cfa)
{
	uint64_t address;

	if (!read_word(walk, cfa - 8, &address))
		return end_walk(walk, STACK_END_unread_memory);
	if (!address)
		return end_walk(walk, STACK_END_address_zero);
	walk->ip = address;
	walk->sp = cfa;
	walk->exact = 0;
	return WALK_ON;
}

/* bp points to the caller's bp, with the return address above it (psABI 3.2.2). */
static inline __attribute__((always_inline)) long step_by_frame_pointer(struct unwind_walk *walk)
{
	uint64_t frame = walk->bp;

	if (!frame)
		return end_walk(walk, STACK_END_bp_zero);
	if (frame & 7 || !read_word(walk, frame, &walk->bp))
		return end_walk(walk, STACK_END_bad_pointer);
	return go_to_caller(walk, frame + 16);
}

/*
 * The kernel has laid a struct rt_sigframe above the return address to the restorer: the registers
 * are in uc.uc_mcontext (arch/x86/include/uapi/asm/sigcontext.h, struct sigcontext_64).
 */
static inline __attribute__((always_inline)) long step_over_signal(struct unwind_walk *walk)
{
	uint64_t sp = walk->sp, ip, interrupted_sp;

	if (!read_word(walk, sp + 120, &walk->bp) || !read_word(walk, sp + 160, &interrupted_sp) ||
	    !read_word(walk, sp + 168, &ip))
		return end_walk(walk, STACK_END_unread_memory);
	if (!ip)
		return end_walk(walk, STACK_END_address_zero);
	walk->ip = ip;
	walk->sp = interrupted_sp;
	walk->exact = 1;
	return WALK_ON;
}

/*
 * runtime.asmcgocall (runtime/asm_amd64.s) keeps on the system stack the goroutine and how deep
 * below its stack's end it stood: g at 0x30, the depth at 0x28; without a g the stack pointer.
 */
static inline __attribute__((always_inline)) long step_to_goroutine(struct unwind_walk *walk)
{
	uint64_t g, depth, top = 0;

	if (!read_word(walk, walk->sp + 0x28, &depth) || !read_word(walk, walk->sp + 0x30, &g) ||
	    (g && !read_word(walk, g + 8, &top)))
		return end_walk(walk, STACK_END_unread_memory);
	return go_to_caller(walk, (g ? top - depth : depth) + 8);
}

/* The CFA of a rule that has one; false: the memory that it goes by cannot be read. */
static inline __attribute__((always_inline)) bool find_cfa(struct unwind_walk *walk, uint32_t kind,
							   int32_t offset, uint64_t *cfa)
{
	uint64_t base = walk->sp;

	if (kind == UNWIND_PLT) {
		*cfa = base + 8 + ((walk->ip & 15) >= (uint64_t)(int64_t)offset ? 8 : 0);
		return true;
	}
	if (kind == UNWIND_BP || kind == UNWIND_BP_DEREF)
		base = walk->bp;
	if (kind == UNWIND_SP || kind == UNWIND_BP) {
		*cfa = base + (int64_t)offset;
		return true;
	}
	if (!read_word(walk, base + UNWIND_DEREF_AT(offset), cfa))
		return false;
	*cfa += UNWIND_DEREF_ADD(offset);
	return true;
}

static inline __attribute__((always_inline)) long apply_rule(struct unwind_walk *walk,
							     const struct unwind_rule *rule)
{
	uint32_t kind = rule->kind, bp_kind = rule->bp_kind;
	int64_t bp_offset = rule->bp_offset;
	uint64_t cfa;

	if (kind == UNWIND_ROOT)
		return end_walk(walk, STACK_END_root);
	if (kind == UNWIND_FRAME_POINTER)
		return step_by_frame_pointer(walk);
	if (kind == UNWIND_SIGNAL)
		return step_over_signal(walk);
	if (kind == UNWIND_GO_SWITCH)
		return step_to_goroutine(walk);
	if (kind == UNWIND_UNKNOWN || kind > UNWIND_GO_SWITCH)
		return end_walk(walk, STACK_END_no_rule);
	if (!find_cfa(walk, kind, rule->offset, &cfa))
		return end_walk(walk, STACK_END_unread_memory);
	if (bp_kind == UNWIND_BP_LOST) {
		walk->bp = BP_NOWHERE;
	} else if (bp_kind != UNWIND_BP_SAME) {
		if (!read_word(walk, (bp_kind == UNWIND_BP_AT_CFA ? cfa : walk->bp) + bp_offset,
			       &walk->bp))
			return end_walk(walk, STACK_END_unread_memory);
	}
	return go_to_caller(walk, cfa);
}

/*
 * ip is outside of all code. It may be in the page that the kernel maps for probes, its own ones or
 * another tracer's: a return address that a return probe has replaced, which a thread whose page
 * fault is looked at may stand at itself, or the copy of a probed instruction that it executes.
 */
static inline __attribute__((always_inline)) long leave_probes_page(struct unwind_walk *walk)
{
	bool stands_there = !walk->depth;

	if (stands_there && find_probed(walk->ip, &walk->ip))
		return WALK_ON;
	if (walk->exact && !stands_there)
		return end_walk(walk, STACK_END_no_mapping);
	if (!find_behind_trampoline(walk, walk->sp - 8, &walk->ip))
		return end_walk(walk, STACK_END_no_mapping);
	walk->exact = 0;
	walk->returned |= stands_there;
	return WALK_ON;
}

/*
 * From the frame at ip to its caller: keeps the frame, and finds the rule that leads on. `image`
 * NULL: what the process has mapped is not known. WALK_ENDED: walk->end says why.
 */
static inline __attribute__((always_inline)) long walk_step(struct unwind_walk *walk,
							    const struct unwind_image *image)
{
	uint64_t pc = walk->ip - !walk->exact, page;
	const struct unwind_mapping *mapping;
	const struct unwind_object *object;
	const struct unwind_rule *rule;
	uint32_t index;

	if (!image) {
		walk->guessed = 1;
		if (walk->ip >> USER_ADDRESS_BITS)
			return end_walk(walk, STACK_END_no_mapping);
	}
	mapping = image ? find_mapping(walk, image, pc) : NULL;
	if (image && !mapping)
		return leave_probes_page(walk);
	if (walk->depth >= STACK_DEPTH)
		return end_walk(walk, STACK_END_too_deep);
	keep_frame(walk, walk->ip);
	if (!mapping)
		return step_by_frame_pointer(walk);
	object = object_at(mapping->object);
	if (!object)
		return end_walk(walk, STACK_END_no_rule);
	index = object->index[UNWIND_FULL];
	if (!walk->exact && object->index[UNWIND_CALL_SITES])
		index = object->index[UNWIND_CALL_SITES];
	if (!index) {
		if (object->index[UNWIND_CALL_SITES])
			return end_walk(walk, STACK_END_interrupted);
		walk->guessed |= object->otherwise == UNWIND_UNKNOWN;
		return step_by_frame_pointer(walk);
	}
	page = mapping->file_page + ((pc - mapping->start) >> UNWIND_PAGE_SHIFT);
	rule = find_rule(object, index, page, pc & ((1u << UNWIND_PAGE_SHIFT) - 1));
	if (!rule)
		return end_walk(walk, STACK_END_no_rule);
	return apply_rule(walk, rule);
}

#endif
