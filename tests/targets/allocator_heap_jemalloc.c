// flags: -O2 -g -fno-builtin -s
// link: -l:libjemalloc.a -lpthread -ldl -lm
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* jemalloc inside the executable, as Rust programs have it, and no symbols. */
#define STATIC_JEMALLOC
#include "allocator_heap.c"
