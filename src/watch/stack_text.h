/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_WATCH_STACK_TEXT_H
#define MEMDRIFT_WATCH_STACK_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * The heaviest line of a folded file: its stack, "root;...;leaf" without the process's name, as a
 * copy that the caller frees, and its weight. -ENOENT: there is none; -ENOMEM.
 */
int folded__heaviest(const char *text, size_t size, char **stack, uint64_t *weight);

/* "leaf < caller < caller < ...", printable, of so many frames. */
void stack_text__write(FILE *out, const char *stack, unsigned int frames);
/* The same in a line's room, from the first frame that is no allocator's and no runtime's. */
void stack_text__cause(const char *stack, char *buf, size_t size);

#endif
