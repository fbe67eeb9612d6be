// flags: -O2 -g -fno-builtin -static
// link: -lpthread
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* glibc inside the executable. */
#include "heap_mix.c"
