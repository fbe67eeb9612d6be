/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_UNWIND_PADDING_H
#define MEMDRIFT_UNWIND_PADDING_H

#include "unwind/code_window.h"
#include "unwind/eh_frame.h"

/*
 * Takes out the rows of short gaps that hold nothing but what linkers and assemblers fill up with:
 * nobody runs it, and a function's end needs no row of its own then. A fifth of all rows. Gaps that
 * cannot be read stay. 0 or -ENOMEM, with the rows as they were.
 */
int padding__drop_rows(struct frame_rows *rows, code_read_fn read, void *ctx);

#endif
