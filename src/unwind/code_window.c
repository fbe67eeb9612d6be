// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "unwind/code_window.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

int code_window__init(struct code_window *window, code_read_fn read, void *ctx)
{
	*window =
		(struct code_window){.read = read, .ctx = ctx, .bytes = malloc(CODE_WINDOW_BYTES)};
	return window->bytes ? 0 : -ENOMEM;
}

void code_window__clear(struct code_window *window)
{
	free(window->bytes);
	window->bytes = NULL;
}

const uint8_t *code_window__look(struct code_window *window, uint64_t start, uint64_t end)
{
	if (start < window->start || end > window->start + window->size) {
		long got = window->read(window->ctx, start, window->bytes, CODE_WINDOW_BYTES);

		window->start = start;
		window->size = got < 0 ? 0 : (size_t)got;
		if (end - start > window->size)
			return NULL;
	}
	return window->bytes + (start - window->start);
}

size_t code__measure_modrm(const uint8_t *modrm, size_t left)
{
	uint8_t mode, base;
	bool has_index;

	if (!left)
		return 0;
	mode = modrm[0] >> 6;
	base = modrm[0] & 7;
	has_index = mode != 3 && base == 4;
	if (has_index && left < 2)
		return 0;
	if (has_index)
		base = modrm[1] & 7;
	switch (mode) {
	case 0:
		return 1u + has_index + (base == 5 ? 4 : 0);
	case 1:
		return 1u + has_index + 1;
	case 2:
		return 1u + has_index + 4;
	}
	return 1;
}
