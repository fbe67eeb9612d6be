/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_NESTING_H
#define MEMDRIFT_PROBE_NESTING_H

#include "probe/allocator.h"

struct tracer;

/*
 * The numbers under which the programs know the calls that entry points make to each other. One
 * function of one file keeps its number, however often it is probed.
 */
struct nesting;

/* tracer must outlive it. NULL when memory is out. */
struct nesting *nesting__new(struct tracer *tracer);
void nesting__free(struct nesting *nesting);

/*
 * Makes the function's calls known: its number, 0 when it makes none; -ENOSPC when there are too
 * many of them in all, -ENOMEM or what the kernel said.
 */
int nesting__number(struct nesting *nesting, const struct allocator_object *object,
		    const struct allocator_function *function);

#endif
