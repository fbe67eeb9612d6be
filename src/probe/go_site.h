/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_GO_SITE_H
#define MEMDRIFT_PROBE_GO_SITE_H

#include "probe/site.h"

/*
 * Where in a Go function a probe is hit once by each call, with the first arguments (rax, rbx, by
 * Go's register ABI) as the caller gave them.
 *
 * A Go function begins with a comparison of the stack pointer with the stack's limit. When the
 * stack is too small it calls runtime.morestack, which moves the stack, and then begins again: a
 * probe at the entry would count such a call twice. So the site lies behind the comparison's
 * jump; that the jump leads to nothing but a call and a jump back to the entry is told from the
 * code. Of the instructions there the first that the kernel emulates is taken, else the first.
 *
 * code holds the whole function. costs may be NULL: insn_costs__assume. 0 and *site filled in
 * (sp_delta is 0: nobody asks for the stack), -EPROTOTYPE when the function takes its arguments
 * from the stack (built by Go before 1.17), -ENOTSUP when there is no such site, -ENOMEM.
 */
int go_site__choose(const uint8_t *code, size_t len, uint64_t vaddr, uint64_t file_offset,
		    const struct insn_costs *costs, struct site *site);

#endif
