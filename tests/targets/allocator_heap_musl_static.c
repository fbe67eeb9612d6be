// cc: musl-gcc
// flags: -O2 -g -fno-builtin -static
// link: -lpthread
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* musl inside a static program. */
#include "allocator_heap.c"
