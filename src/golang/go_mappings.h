/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_GOLANG_GO_MAPPINGS_H
#define MEMDRIFT_GOLANG_GO_MAPPINGS_H

#include <stdint.h>

#include "census/claims.h"
#include "census/subject.h"
#include "golang/go_program.h"

/*
 * Claims the heap, by the runtime's own index of its arenas where that can be read, else by the
 * address range that it places them in; and what the runtime mapped for itself. Only private
 * anonymous mappings are claimed, whatever the runtime's data says. Stores the resident bytes of
 * the heap's arenas in *heap_resident. 0, -ENOMEM, -ENOSPC (CLAIMS_MAX).
 */
int go_mappings__claim(const struct go_program *program, struct subject *subject,
		       struct claims *claims, uint64_t *heap_resident);

#endif
