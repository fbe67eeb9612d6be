/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_UNWIND_GO_TEXT_H
#define MEMDRIFT_UNWIND_GO_TEXT_H

#include "probe/elf_object.h"
#include "unwind/eh_frame.h"

/*
 * Go's own code has no .eh_frame and keeps frame pointers: that is what gaps get anyway. What is
 * left is where goroutines and threads begin (UNWIND_ROOT), and runtime.asmcgocall, which calls C
 * on another stack: where its calls return to, the rule is UNWIND_GO_SWITCH. Without that one the
 * walk goes on all the same, but for runtime.cgocall's frame.
 */

/*
 * Puts the rows in; none when the object has no Go code, and none for another asmcgocall than the
 * one whose frame is known: from Go 1.21 on the assembler gives it a frame pointer of its own, with
 * which nothing is skipped (1.27.3's has it; 1.19.8's has not). 0 or -ENOMEM.
 */
int go_text__add_rows(const struct elf_object *obj, struct frame_rows *rows);

#endif
