// cc: musl-gcc
// flags: -O2 -g -fno-builtin
// link: -lpthread
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* On musl, which is libc and loader. */
#include "allocator_heap.c"
