// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/allocators.h"

#include <errno.h>
#include <string.h>

#include "heap/jemalloc.h"

int allocators__read(struct subject *subject, struct claims *claims, struct allocators *out)
{
	memset(out, 0, sizeof(*out));
	return jemalloc__read(subject, claims, out);
}
