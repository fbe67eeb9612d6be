// flags: -O2 -g -fno-builtin
// link: -l:libjemalloc.a -lpthread -ldl -lm
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* jemalloc inside the executable, glibc beside it. */
#define OTHER_ALLOCATOR
#include "alloc_mix.c"
