// flags: -O2 -g -fno-builtin
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* For dlopen by alloc_mix: an object of its own that calls the allocator and counts. */
#define _GNU_SOURCE
#include "alloc_ops.h"

void plugin_run(struct alloc_worker *w, uint64_t rounds);

void plugin_run(struct alloc_worker *w, uint64_t rounds)
{
	alloc_worker__run(w, rounds);
}
