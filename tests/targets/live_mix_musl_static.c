// cc: musl-gcc
// flags: -O2 -g -fno-builtin -static
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The allocator of musl inside the executable. */
#include "live_mix.c"
