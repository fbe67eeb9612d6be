// flags: -O2 -g -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer -fno-optimize-sibling-calls
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* With frame pointers. */
#include "stack_depth.c"
