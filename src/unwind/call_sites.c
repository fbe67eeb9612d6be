// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "unwind/call_sites.h"

#include <errno.h>
#include <stdbool.h>

/* A call of the longest form, FF /2 with an index and 32 bits of displacement, but its last byte.
 * Prefixes come before and do not matter. */
#define LOOK_BACK 6

/* Bytes of a call or system call that may begin here; 0 for none. */
static size_t measure_call(const uint8_t *code, size_t left)
{
	size_t operand;

	switch (*code) {
	case 0xe8:
		return 5;
	case 0xff: /* /2: through a register or memory */
		if (left < 2 || (code[1] & 0x38) != 0x10)
			return 0;
		operand = code__measure_modrm(code + 1, left - 1);
		return operand ? 1 + operand : 0;
	case 0x0f:
		return left >= 2 && code[1] == 0x05 ? 2 : 0;
	}
	return 0;
}

static bool has_call(const uint8_t *code, size_t size)
{
	for (size_t at = 0; at < size; at++) {
		size_t length = measure_call(code + at, size - at);

		if (length && length <= size - at)
			return true;
	}
	return false;
}

/*
 * Rows begin and end between instructions, where the assembler's directives stand: a call that ends
 * in a row lies in it as a whole. What cannot be read may hold one.
 */
static bool may_end_call(struct code_window *window, uint64_t start, uint64_t end)
{
	uint64_t at = start;

	while (at < end) {
		uint64_t piece =
			end - at > CODE_WINDOW_BYTES / 2 ? CODE_WINDOW_BYTES / 2 : end - at;
		uint64_t back = at - start > LOOK_BACK ? LOOK_BACK : at - start;
		const uint8_t *code = code_window__look(window, at - back, at + piece);

		if (!code || has_call(code, (size_t)(back + piece)))
			return true;
		at += piece;
	}
	return false;
}

/* Entered otherwise than by a call's return: a handler's return, the first frame of a thread. */
static bool is_always_kept(const struct unwind_rule *rule)
{
	return rule->kind == UNWIND_SIGNAL || rule->kind == UNWIND_ROOT;
}

int call_sites__prune(struct frame_rows *rows, uint64_t end, code_read_fn read, void *ctx)
{
	struct code_window window;
	size_t kept = 0;
	int err = code_window__init(&window, read, ctx);

	if (err)
		return err;
	for (size_t i = 0; i < rows->count; i++) {
		struct frame_row row = rows->rows[i];
		uint64_t next = i + 1 < rows->count ? rows->rows[i + 1].vaddr : end;

		if (kept && unwind_rule__equal(rows->rows[kept - 1].rule, row.rule))
			continue;
		if (!kept || is_always_kept(&row.rule) || may_end_call(&window, row.vaddr, next))
			rows->rows[kept++] = row;
	}
	rows->count = kept;
	code_window__clear(&window);
	return 0;
}
