/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_UNWIND_CODE_WINDOW_H
#define MEMDRIFT_UNWIND_CODE_WINDOW_H

#include <stddef.h>
#include <stdint.h>

/* Code is looked at through a window that moves up: all of libLLVM's text at a time would be 50 MB.
 */
#define CODE_WINDOW_BYTES (256u << 10)

/* Bytes of code at an address into buf: size, fewer at the end of its segment, or negative errno.
 */
typedef long (*code_read_fn)(void *ctx, uint64_t vaddr, void *buf, size_t size);

struct code_window {
	code_read_fn read;
	void *ctx;
	uint8_t *bytes;
	uint64_t start;
	size_t size;
};

/* 0 or -ENOMEM. */
int code_window__init(struct code_window *window, code_read_fn read, void *ctx);
void code_window__clear(struct code_window *window);
/* The bytes from start to end, at most CODE_WINDOW_BYTES; NULL when they cannot be read. Valid
 * until the next call. */
const uint8_t *code_window__look(struct code_window *window, uint64_t start, uint64_t end);
/* Bytes of a ModRM byte and of what belongs to it (Intel SDM 2, 2.1.5); 0 when it is cut off before
 * that can be told. */
size_t code__measure_modrm(const uint8_t *modrm, size_t left);

#endif
