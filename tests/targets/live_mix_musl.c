// cc: musl-gcc
// flags: -O2 -g -fno-builtin
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The allocator of musl, in its shared library. */
#include "live_mix.c"
