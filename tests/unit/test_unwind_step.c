// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The step of the kernel's side, compiled for user space: on stacks and tables made by hand, and on
 * hostile ones.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "memdrift/config.h"
#include "memdrift/unwind.h"

/* One stack, readable from STACK to its end; what lies outside is not mapped. */
#define STACK       0x7ffc00000000ull
#define STACK_WORDS 256
#define BLOCKS      4

static uint64_t stack[STACK_WORDS];
static union unwind_block blocks[BLOCKS];
static struct unwind_rule rules[16];
static struct unwind_object objects[4];
static uint64_t trampoline_slot, trampoline_address, copy, probed;
static int reads;

static bool read_user(void *into, uint32_t bytes, uint64_t address)
{
	reads++;
	memset(into, 0, bytes);
	if (address < STACK || address - STACK > sizeof(stack) ||
	    sizeof(stack) - (address - STACK) < bytes)
		return false;
	memcpy(into, (const char *)stack + (address - STACK), bytes);
	return true;
}

static const union unwind_block *block_at(uint32_t index)
{
	return index < BLOCKS ? &blocks[index] : NULL;
}

static const struct unwind_rule *rule_at(uint32_t index)
{
	return index < sizeof(rules) / sizeof(*rules) ? &rules[index] : NULL;
}

static const struct unwind_object *object_at(uint32_t index)
{
	return index < sizeof(objects) / sizeof(*objects) ? &objects[index] : NULL;
}

struct unwind_walk;

static bool find_behind_trampoline(struct unwind_walk *walk, uint64_t slot, uint64_t *address)
{
	if (!trampoline_slot || slot != trampoline_slot)
		return false;
	*address = trampoline_address;
	return true;
}

static bool find_probed(uint64_t at, uint64_t *address)
{
	if (!copy || at != copy)
		return false;
	*address = probed;
	return true;
}

#include "../../bpf/unwind_step.h"

/* The object's code: mapped from its page 16 on, at CODE. Call sites in block 1, rows in 2. */
#define CODE       0x400000ull
#define TRAMPOLINE 0x7fffffffe000ull
#define OBJECT     2
#define FULL_BLOCK 3

static struct unwind_image image;
static struct unwind_walk walk;

/* One rule from each 256 bytes of the first page of code on: function n has rule n. */
#define FUNCTION(n) (CODE + (n)*256ull)

static int set_up(void **state)
{
	(void)state;
	memset(stack, 0, sizeof(stack));
	memset(blocks, 0, sizeof(blocks));
	memset(rules, 0, sizeof(rules));
	memset(objects, 0, sizeof(objects));
	memset(&image, 0, sizeof(image));
	memset(&walk, 0xa5, sizeof(walk));
	trampoline_slot = copy = 0;
	reads = 0;
	blocks[1].pages[0] = (struct unwind_page){.block = 2, .first = 0, .count = 16};
	for (uint16_t i = 0; i < 16; i++)
		blocks[2].rows[i] = (struct unwind_row){.from = i * 256, .rule = i};
	objects[UNWIND_OBJECT_ANONYMOUS].otherwise = UNWIND_FRAME_POINTER;
	objects[OBJECT] = (struct unwind_object){
		.first_page = 16, .page_count = 1, .index = {1, UNWIND_NO_TABLE}};
	image.count = 1;
	image.mappings[0] = (struct unwind_mapping){
		.start = CODE, .page_count = 2, .file_page = 16, .object = OBJECT};
	return 0;
}

/* A walk from there with sp and bp as words of the stack; bp -1: 0. */
static void run_from(uint64_t ip, int sp, int bp, bool exact, const struct unwind_image *of)
{
	walk.ip = ip;
	walk.sp = STACK + (uint64_t)sp * 8;
	walk.bp = bp < 0 ? 0 : STACK + (uint64_t)bp * 8;
	walk.depth = walk.guessed = walk.mapping = 0;
	walk.hash = walk.trampolines = 0;
	walk.exact = exact;
	walk.returned = 0;
	walk.end = STACK_END_too_deep;
	walk.window_at = 1ull << 63;
	for (int i = 0; i < 2 * STACK_DEPTH; i++)
		if (walk_step(&walk, of) == WALK_ENDED)
			return;
}

static void run(uint64_t ip, int sp, int bp)
{
	run_from(ip, sp, bp, false, &image);
}

static void expect(enum stack_end end, uint32_t depth)
{
	assert_int_equal(walk.end, end);
	assert_int_equal(walk.depth, depth);
}

static uint64_t frame(uint32_t i)
{
	return walk.blocks[(i + 1) / STACK_BLOCK_WORDS].words[(i + 1) % STACK_BLOCK_WORDS];
}

static void set_rule(int n, uint8_t kind, int32_t offset, uint8_t bp_kind, int16_t bp_offset)
{
	rules[n] = (struct unwind_rule){
		.kind = kind, .bp_kind = bp_kind, .bp_offset = bp_offset, .offset = offset};
}

static void the_stack_pointer_leads_to_the_caller(void **state)
{
	set_rule(1, UNWIND_SP, 32, UNWIND_BP_SAME, 0);
	set_rule(2, UNWIND_ROOT, 0, UNWIND_BP_SAME, 0);
	stack[3] = FUNCTION(2) + 9;
	run(FUNCTION(1) + 40, 0, -1);
	expect(STACK_END_root, 2);
	assert_int_equal(frame(0), FUNCTION(1) + 40);
	assert_int_equal(frame(1), FUNCTION(2) + 9);
}

/* A call that is the last instruction of its function returns to the next one's first byte. */
static void a_return_address_belongs_to_the_byte_before_it(void **state)
{
	set_rule(1, UNWIND_ROOT, 0, UNWIND_BP_SAME, 0);
	run(FUNCTION(2), 0, -1);
	expect(STACK_END_root, 1);
	/* Where it was interrupted it stands in that one. */
	objects[OBJECT].index[UNWIND_FULL] = 1;
	run_from(FUNCTION(1), 0, -1, true, &image);
	expect(STACK_END_root, 1);
	run_from(FUNCTION(2), 0, -1, true, &image);
	expect(STACK_END_no_rule, 1);
}

static void the_frame_pointer_is_found_again_where_it_was_saved(void **state)
{
	set_rule(1, UNWIND_SP, 32, UNWIND_BP_AT_CFA, -16);
	set_rule(2, UNWIND_BP, 16, UNWIND_BP_AT_BP, 0);
	set_rule(3, UNWIND_ROOT, 0, UNWIND_BP_SAME, 0);
	stack[2] = STACK + 40 * 8; /* bp of function 2 */
	stack[3] = FUNCTION(2) + 1;
	stack[40] = STACK + 60 * 8;
	stack[41] = FUNCTION(2) + 1;
	stack[60] = 5;
	stack[61] = FUNCTION(3) + 1;
	run(FUNCTION(1) + 1, 0, -1);
	expect(STACK_END_root, 4);
	assert_int_equal(walk.bp, 5);
	/* Lost: not a frame that looks like the outermost one. */
	set_rule(1, UNWIND_SP, 32, UNWIND_BP_LOST, 0);
	run(FUNCTION(1) + 1, 0, 50);
	expect(STACK_END_unread_memory, 2);
	set_rule(2, UNWIND_FRAME_POINTER, 0, UNWIND_BP_SAME, 0);
	run(FUNCTION(1) + 1, 0, 50);
	expect(STACK_END_bad_pointer, 2);
}

static void aligned_stacks_keep_their_way_back_in_memory(void **state)
{
	set_rule(1, UNWIND_BP_DEREF, UNWIND_DEREF_MAKE(-8, 0), UNWIND_BP_AT_BP, 0);
	set_rule(2, UNWIND_SP_DEREF, UNWIND_DEREF_MAKE(16, 8), UNWIND_BP_SAME, 0);
	set_rule(3, UNWIND_ROOT, 0, UNWIND_BP_SAME, 0);
	stack[9] = STACK + 21 * 8;
	stack[20] = FUNCTION(2) + 1;
	stack[23] = STACK + 30 * 8;
	stack[30] = FUNCTION(3) + 1;
	run(FUNCTION(1) + 1, 0, 10);
	expect(STACK_END_root, 3);
}

static void a_linkage_stub_has_pushed_or_not(void **state)
{
	set_rule(1, UNWIND_PLT, 11, UNWIND_BP_SAME, 0);
	set_rule(2, UNWIND_ROOT, 0, UNWIND_BP_SAME, 0);
	set_rule(3, UNWIND_ROOT, 0, UNWIND_BP_SAME, 0);
	objects[OBJECT].index[UNWIND_FULL] = 1;
	stack[0] = FUNCTION(2) + 1;
	stack[1] = FUNCTION(3) + 1;
	run_from(FUNCTION(1) + 10, 0, -1, true, &image);
	expect(STACK_END_root, 2);
	assert_int_equal(frame(1), FUNCTION(2) + 1);
	run_from(FUNCTION(1) + 11, 0, -1, true, &image);
	assert_int_equal(frame(1), FUNCTION(3) + 1);
}

static void a_signal_leads_to_what_was_interrupted(void **state)
{
	set_rule(1, UNWIND_SIGNAL, 0, UNWIND_BP_SAME, 0);
	set_rule(2, UNWIND_BP, 16, UNWIND_BP_AT_CFA, -16);
	set_rule(3, UNWIND_ROOT, 0, UNWIND_BP_SAME, 0);
	stack[15] = STACK + 100 * 8; /* bp */
	stack[20] = STACK + 90 * 8;  /* sp */
	stack[21] = FUNCTION(2);     /* ip: the first instruction */
	stack[101] = FUNCTION(3) + 1;
	/* Without the full table: the frame is true, what is above it is not known. */
	run(FUNCTION(1) + 1, 0, -1);
	expect(STACK_END_interrupted, 2);
	assert_int_equal(frame(1), FUNCTION(2));
	blocks[FULL_BLOCK] = blocks[1];
	objects[OBJECT].index[UNWIND_FULL] = FULL_BLOCK;
	run(FUNCTION(1) + 1, 0, -1);
	expect(STACK_END_root, 3);
	assert_int_equal(frame(2), FUNCTION(3) + 1);
	stack[21] = 0;
	run(FUNCTION(1) + 1, 0, -1);
	expect(STACK_END_address_zero, 1);
	run(FUNCTION(1) + 1, STACK_WORDS - 10, -1);
	expect(STACK_END_unread_memory, 1);
}

static void frame_pointers_lead_where_there_is_no_table(void **state)
{
	image.count = 2;
	image.mappings[1] = (struct unwind_mapping){
		.start = 0x900000, .page_count = 1, .object = UNWIND_OBJECT_ANONYMOUS};
	set_rule(1, UNWIND_SP, 8, UNWIND_BP_SAME, 0);
	stack[0] = 0x900010;
	stack[10] = STACK + 20 * 8;
	stack[11] = 0x900020;
	stack[20] = 0;
	stack[21] = 0x900030;
	run(FUNCTION(1) + 1, 0, 10);
	expect(STACK_END_bp_zero, 4);
	assert_int_equal(frame(3), 0x900030);
	stack[20] = 3;
	run(FUNCTION(1) + 1, 0, 10);
	expect(STACK_END_bad_pointer, 4);
	/* Its own caller: it ends all the same. */
	stack[10] = STACK + 10 * 8;
	run(FUNCTION(1) + 1, 0, 10);
	expect(STACK_END_too_deep, STACK_DEPTH);
}

static void what_nobody_has_looked_at_is_a_guess(void **state)
{
	stack[10] = 0;
	stack[11] = 0x900020;
	run_from(0x900010, 0, 10, false, NULL);
	expect(STACK_END_no_tables, 2);
	/* A file that user space has not read yet, on the way to a root. */
	image.count = 2;
	image.mappings[1] = (struct unwind_mapping){
		.start = 0x900000, .page_count = 1, .object = UNWIND_OBJECT_UNREAD};
	set_rule(3, UNWIND_ROOT, 0, UNWIND_BP_SAME, 0);
	stack[11] = FUNCTION(3) + 1;
	run(0x900010, 0, 10);
	expect(STACK_END_no_tables, 2);
	run_from(1ull << 60, 0, 10, false, NULL);
	expect(STACK_END_no_tables, 0);
}

static void a_goroutine_is_found_on_its_own_stack(void **state)
{
	set_rule(1, UNWIND_GO_SWITCH, 0, UNWIND_BP_SAME, 0);
	set_rule(2, UNWIND_ROOT, 0, UNWIND_BP_SAME, 0);
	stack[5] = 0x80;            /* how deep below the end */
	stack[6] = STACK + 100 * 8; /* g */
	stack[101] = STACK + 200 * 8;
	stack[184] = FUNCTION(2) + 1;
	run(FUNCTION(1) + 1, 0, -1);
	expect(STACK_END_root, 2);
	assert_int_equal(walk.sp, STACK + 185 * 8);
	/* Without one: the stack pointer itself. */
	stack[6] = 0;
	stack[5] = STACK + 184 * 8;
	run(FUNCTION(1) + 1, 0, -1);
	expect(STACK_END_root, 2);
}

static void a_return_probe_is_looked_behind(void **state)
{
	set_rule(1, UNWIND_SP, 16, UNWIND_BP_SAME, 0);
	set_rule(2, UNWIND_ROOT, 0, UNWIND_BP_SAME, 0);
	stack[1] = TRAMPOLINE;
	trampoline_slot = STACK + 8;
	trampoline_address = FUNCTION(2) + 1;
	run(FUNCTION(1) + 1, 0, -1);
	expect(STACK_END_root, 2);
	assert_int_equal(frame(1), FUNCTION(2) + 1);
	/* One of another place is not taken. */
	trampoline_slot = STACK + 16;
	run(FUNCTION(1) + 1, 0, -1);
	expect(STACK_END_no_mapping, 1);
}

/* The first time a thread comes to the page for probes, the page itself is what faults. */
static void a_thread_that_stands_in_the_page_for_probes(void **state)
{
	set_rule(1, UNWIND_SP, 16, UNWIND_BP_SAME, 0);
	set_rule(2, UNWIND_ROOT, 0, UNWIND_BP_SAME, 0);
	objects[OBJECT].index[UNWIND_FULL] = objects[OBJECT].index[UNWIND_CALL_SITES];
	stack[1] = FUNCTION(2) + 1;
	/* It has returned there: the slot is below the stack pointer. */
	trampoline_slot = STACK - 8;
	trampoline_address = FUNCTION(1) + 1;
	run_from(TRAMPOLINE, 0, -1, true, &image);
	expect(STACK_END_root, 2);
	assert_int_equal(frame(0), FUNCTION(1) + 1);
	assert_int_equal(walk.returned, 1);
	/* It executes the copy of an instruction. */
	trampoline_slot = 0;
	copy = TRAMPOLINE + 128;
	probed = FUNCTION(1);
	run_from(copy, 0, -1, true, &image);
	expect(STACK_END_root, 2);
	assert_int_equal(frame(0), FUNCTION(1));
	assert_int_equal(walk.returned, 0);
	/* Of one that is outside of all code as well nothing is known, and the walk ends. */
	probed = copy;
	run_from(copy, 0, -1, true, &image);
	expect(STACK_END_too_deep, 0);
	/* Further up it is an address as any other. */
	copy = TRAMPOLINE;
	probed = FUNCTION(1);
	stack[1] = TRAMPOLINE;
	run_from(FUNCTION(1), 0, -1, true, &image);
	expect(STACK_END_no_mapping, 1);
}

static void each_end_is_told(void **state)
{
	run(FUNCTION(1) + 1, 0, -1);
	expect(STACK_END_no_rule, 1); /* UNWIND_UNKNOWN */
	rules[1].kind = 200;
	run(FUNCTION(1) + 1, 0, -1);
	expect(STACK_END_no_rule, 1);
	/* The second page is mapped, and not in the table. */
	run(CODE + 5000, 0, -1);
	expect(STACK_END_no_rule, 1);
	blocks[1].pages[0].count = 0;
	run(FUNCTION(1) + 1, 0, -1);
	expect(STACK_END_no_rule, 1);
	run(CODE + 2 * 4096 + 1, 0, -1);
	expect(STACK_END_no_mapping, 0);
	run(CODE, 0, -1);
	expect(STACK_END_no_mapping, 0);
	set_up(state);
	set_rule(1, UNWIND_SP, 8, UNWIND_BP_SAME, 0);
	run(FUNCTION(1) + 1, 0, -1);
	expect(STACK_END_address_zero, 1);
	run(FUNCTION(1) + 1, STACK_WORDS, -1);
	expect(STACK_END_unread_memory, 1);
}

static void depth_is_bounded(void **state)
{
	set_rule(1, UNWIND_SP, 8, UNWIND_BP_SAME, 0);
	for (int i = 0; i < STACK_WORDS; i++)
		stack[i] = FUNCTION(1) + 1 + (uint64_t)i % 200;
	run(FUNCTION(1) + 1, 16, -1);
	expect(STACK_END_too_deep, STACK_DEPTH);
	assert_int_equal(frame(STACK_DEPTH - 1), stack[16 + STACK_DEPTH - 2]);
	/* A window for each 56 frames. */
	assert_true(reads < 6);
	/* The last frames of a stack do not fill a window. */
	for (int i = 0; i < STACK_WORDS; i++)
		stack[i] = FUNCTION(1) + 1;
	run(FUNCTION(1) + 1, STACK_WORDS - 3, -1);
	expect(STACK_END_unread_memory, 4);
}

static void many_mappings_and_rows_are_searched(void **state)
{
	for (uint32_t i = 0; i < UNWIND_MAPPINGS_MAX; i++)
		image.mappings[i] = (struct unwind_mapping){.start = CODE + i * 0x10000ull,
							    .page_count = 1,
							    .file_page = 16,
							    .object = OBJECT};
	image.count = UNWIND_MAPPINGS_MAX;
	for (uint16_t i = 0; i < UNWIND_ROWS_PER_BLOCK; i++)
		blocks[2].rows[i] = (struct unwind_row){.from = i * 4, .rule = i % 3 + 1};
	blocks[1].pages[0].count = UNWIND_ROWS_PER_BLOCK;
	set_rule(1, UNWIND_SP, 8, UNWIND_BP_SAME, 0);
	set_rule(2, UNWIND_SP, 16, UNWIND_BP_SAME, 0);
	set_rule(3, UNWIND_ROOT, 0, UNWIND_BP_SAME, 0);
	for (uint32_t i = 0; i < UNWIND_MAPPINGS_MAX; i += 73) {
		for (uint64_t byte = 0; byte < 4096; byte += 59) {
			uint64_t row = byte / 4 % 3;

			memset(stack, 0, sizeof(stack));
			stack[row] = CODE + 8 + 1; /* row 2: the root */
			run(CODE + i * 0x10000ull + byte + 1, 0, -1);
			expect(STACK_END_root, row == 2 ? 1 : 2);
		}
		run(CODE + i * 0x10000ull + 4096 + 1, 0, -1);
		expect(STACK_END_no_mapping, 0);
	}
}

static uint64_t random_word(void)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static void fill(void *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		((uint8_t *)at)[i] = (uint8_t)random_word();
}

/* Anything in the tables, the image and on the stack: it ends, inside its bounds. */
static void hostile_values_end_the_walk(void **state)
{
	for (int round = 0; round < 20000; round++) {
		set_up(state);
		fill(rules, sizeof(rules));
		for (size_t i = 0; i < 16; i++)
			rules[i].kind %= 12;
		if (round % 4 == 1)
			fill(blocks, sizeof(blocks));
		if (round % 4 == 2)
			fill(objects, sizeof(objects));
		if (round % 4 == 3)
			fill(&image, 16 + 64 * sizeof(image.mappings[0]));
		for (int i = 0; i < STACK_WORDS; i++)
			stack[i] = random_word() % 3   ? CODE + random_word() % 8192
				   : random_word() % 2 ? STACK + random_word() % sizeof(stack)
						       : random_word();
		run(CODE + random_word() % 8192, (int)(random_word() % STACK_WORDS),
		    (int)(random_word() % STACK_WORDS));
		assert_true(walk.end < STACK_ENDS_COUNT);
		assert_true(walk.depth <= STACK_DEPTH);
		/* From registers that are anything as well. */
		walk.sp = random_word();
		walk.bp = random_word();
		walk.ip = random_word();
		walk_step(&walk, &image);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_stack_pointer_leads_to_the_caller, set_up),
		cmocka_unit_test_setup(a_return_address_belongs_to_the_byte_before_it, set_up),
		cmocka_unit_test_setup(the_frame_pointer_is_found_again_where_it_was_saved, set_up),
		cmocka_unit_test_setup(aligned_stacks_keep_their_way_back_in_memory, set_up),
		cmocka_unit_test_setup(a_linkage_stub_has_pushed_or_not, set_up),
		cmocka_unit_test_setup(a_signal_leads_to_what_was_interrupted, set_up),
		cmocka_unit_test_setup(frame_pointers_lead_where_there_is_no_table, set_up),
		cmocka_unit_test_setup(what_nobody_has_looked_at_is_a_guess, set_up),
		cmocka_unit_test_setup(a_goroutine_is_found_on_its_own_stack, set_up),
		cmocka_unit_test_setup(a_return_probe_is_looked_behind, set_up),
		cmocka_unit_test_setup(a_thread_that_stands_in_the_page_for_probes, set_up),
		cmocka_unit_test_setup(each_end_is_told, set_up),
		cmocka_unit_test_setup(depth_is_bounded, set_up),
		cmocka_unit_test_setup(many_mappings_and_rows_are_searched, set_up),
		cmocka_unit_test_setup(hostile_values_end_the_walk, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
