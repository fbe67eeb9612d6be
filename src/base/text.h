/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_BASE_TEXT_H
#define MEMDRIFT_BASE_TEXT_H

#include <stddef.h>

/*
 * Process and file names are anyone's bytes. Before one reaches a terminal, a table or JSON it
 * passes here: control characters, line breaks and bytes that are not UTF-8 become \xNN, and so
 * do the Unicode bidirectional controls and C1 controls that can disguise text on a terminal.
 */

/*
 * Writes the printable form of `raw` (NUL-terminated) into buf, cut at a whole character so that
 * it fits size with its NUL. Returns buf. Four bytes of room for each byte always suffice.
 */
const char *text_printable(char *buf, size_t size, const char *raw);

/* The same in memory that the caller frees. NULL only when memory is out. */
char *text_printable_dup(const char *raw);

#endif
