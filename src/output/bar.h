/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_BAR_H
#define MEMDRIFT_OUTPUT_BAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Small drawings of one line. A column takes at most three bytes. */
#define BAR_TEXT_MAX(columns) (3 * (columns) + 1)

/*
 * A bar of value/most of `columns`, in eighths of a column; anything above 0 shows. buf has
 * BAR_TEXT_MAX(columns) bytes and is returned.
 */
const char *bar__draw(char *buf, uint64_t value, uint64_t most, unsigned int columns, bool utf8);

/*
 * One column per value, or per several neighbours (their last known) when there are more values
 * than columns, between the least and the greatest. 0 is unknown and leaves a gap.
 */
const char *sparkline__draw(char *buf, const uint64_t *values, size_t n, unsigned int columns,
			    bool utf8);

/* Columns that a printable UTF-8 text takes on a terminal: one each code point, none a colour. */
size_t text_columns(const char *text);

#endif
