// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "unwind/call_sites.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Code is looked at through a window: all of libLLVM's text at a time would be 50 MB. */
#define WINDOW_BYTES (256u << 10)

/* A call of the longest form, FF /2 with an index and 32 bits of displacement, but its last byte.
 * Prefixes come before and do not matter: it is the end of a call that is looked for. */
#define LOOK_BACK 6

struct window {
	call_sites_read_fn read;
	void *ctx;
	uint8_t *bytes;
	uint64_t start;
	size_t size;
};

/* The bytes from `start` to `end`, at most WINDOW_BYTES; NULL when they cannot be read. */
static const uint8_t *look_at(struct window *window, uint64_t start, uint64_t end)
{
	if (start < window->start || end > window->start + window->size) {
		long got = window->read(window->ctx, start, window->bytes, WINDOW_BYTES);

		window->start = start;
		window->size = got < 0 ? 0 : (size_t)got;
		if (end - start > window->size)
			return NULL;
	}
	return window->bytes + (start - window->start);
}

/* Bytes of an FF /2 (Intel SDM 2, 2.1.5), without prefixes; 0 for other instructions. */
static size_t measure_indirect_call(const uint8_t *code, size_t left)
{
	uint8_t mode, base;
	bool has_index;

	if (left < 2 || (code[1] & 0x38) != 0x10)
		return 0;
	mode = code[1] >> 6;
	base = code[1] & 7;
	has_index = mode != 3 && base == 4;
	if (has_index && left < 3)
		return 0;
	if (has_index)
		base = code[2] & 7;
	switch (mode) {
	case 0:
		return 2u + has_index + (base == 5 ? 4 : 0);
	case 1:
		return 2u + has_index + 1;
	case 2:
		return 2u + has_index + 4;
	}
	return 2;
}

/* Bytes of a call or system call that may begin here; 0 for none. */
static size_t measure_call(const uint8_t *code, size_t left)
{
	switch (*code) {
	case 0xe8:
		return 5;
	case 0xff:
		return measure_indirect_call(code, left);
	case 0x0f:
		return left >= 2 && code[1] == 0x05 ? 2 : 0;
	}
	return 0;
}

/* Whether the last byte of a call may lie in code[from, size). */
static bool has_call_end(const uint8_t *code, size_t from, size_t size)
{
	size_t first = from > LOOK_BACK ? from - LOOK_BACK : 0;

	for (size_t at = first; at < size; at++) {
		size_t length = measure_call(code + at, size - at);

		if (length && at + length > from && at + length <= size)
			return true;
	}
	return false;
}

/* The same of addresses. What cannot be read may hold one. */
static bool may_end_call(struct window *window, uint64_t start, uint64_t end)
{
	while (start < end) {
		uint64_t piece = end - start > WINDOW_BYTES / 2 ? WINDOW_BYTES / 2 : end - start;
		const uint8_t *code = NULL;
		uint64_t back = LOOK_BACK + 1;

		/* The first bytes of a segment have fewer before them. */
		while (!code && back--)
			code = look_at(window, start - back, start + piece);
		if (!code || has_call_end(code, (size_t)back, (size_t)(back + piece)))
			return true;
		start += piece;
	}
	return false;
}

/* Entered otherwise than by a call's return: a handler's return, the first frame of a thread. */
static bool is_always_kept(const struct unwind_rule *rule)
{
	return rule->kind == UNWIND_SIGNAL || rule->kind == UNWIND_ROOT;
}

int call_sites__prune(struct frame_rows *rows, uint64_t end, call_sites_read_fn read, void *ctx)
{
	struct window window = {.read = read, .ctx = ctx, .bytes = malloc(WINDOW_BYTES)};
	size_t kept = 0;

	if (!window.bytes)
		return -ENOMEM;
	for (size_t i = 0; i < rows->count; i++) {
		struct frame_row row = rows->rows[i];
		uint64_t next = i + 1 < rows->count ? rows->rows[i + 1].vaddr : end;

		if (kept && unwind_rule__equal(rows->rows[kept - 1].rule, row.rule))
			continue;
		if (!kept || is_always_kept(&row.rule) || may_end_call(&window, row.vaddr, next))
			rows->rows[kept++] = row;
	}
	rows->count = kept;
	free(window.bytes);
	return 0;
}
