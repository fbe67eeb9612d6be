// flags: -O2 -g -fno-builtin -static
// link: -lpthread
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The allocator inside the executable: glibc, static. */
#include "live_mix.c"
