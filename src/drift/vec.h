/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_DRIFT_VEC_H
#define MEMDRIFT_DRIFT_VEC_H

#include <stddef.h>

/* Four columns at once; the compiler splits it to what the machine has. */
#define VEC_WIDTH 4
typedef double vec __attribute__((vector_size(32), may_alias));

static inline size_t vec__count(size_t columns)
{
	return (columns + VEC_WIDTH - 1) / VEC_WIDTH;
}

#endif
