// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "unwind/padding.h"

#include <stdbool.h>

/* Functions are aligned to 16 or 32 bytes, now and then to 64. */
#define PADDING_MAX 64

/* Bytes of one piece of padding: int3, zeros, nop (90, 0F 1F /0) with 66 and 2E before it. 0 for
 * anything else. */
static size_t measure_padding(const uint8_t *code, size_t left)
{
	size_t at = 0, operand;

	if (*code == 0xcc || *code == 0)
		return 1;
	while (at < left && (code[at] == 0x66 || code[at] == 0x2e))
		at++;
	if (at < left && code[at] == 0x90)
		return at + 1;
	if (left - at < 3 || code[at] != 0x0f || code[at + 1] != 0x1f)
		return 0;
	operand = code__measure_modrm(code + at + 2, left - at - 2);
	return operand ? at + 2 + operand : 0;
}

static bool is_padding(struct code_window *window, uint64_t start, uint64_t end)
{
	const uint8_t *code = code_window__look(window, start, end);
	size_t left = (size_t)(end - start);

	while (code && left) {
		size_t length = measure_padding(code, left);

		if (!length || length > left)
			return false;
		code += length;
		left -= length;
	}
	return code;
}

int padding__drop_rows(struct frame_rows *rows, code_read_fn read, void *ctx)
{
	struct code_window window;
	size_t kept = 0;
	int err = code_window__init(&window, read, ctx);

	if (err)
		return err;
	for (size_t i = 0; i < rows->count; i++) {
		struct frame_row row = rows->rows[i];

		/* The first one stays, and the last one: what it ends at is not known here. */
		if (kept && i + 1 < rows->count && unwind_rule__equal(row.rule, frame_gap_rule) &&
		    rows->rows[i + 1].vaddr - row.vaddr < PADDING_MAX &&
		    is_padding(&window, row.vaddr, rows->rows[i + 1].vaddr))
			continue;
		if (kept && unwind_rule__equal(rows->rows[kept - 1].rule, row.rule))
			continue;
		rows->rows[kept++] = row;
	}
	rows->count = kept;
	code_window__clear(&window);
	return 0;
}
