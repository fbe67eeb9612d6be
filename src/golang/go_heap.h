/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_GOLANG_GO_HEAP_H
#define MEMDRIFT_GOLANG_GO_HEAP_H

#include <stdbool.h>
#include <stdint.h>

/* Whether a program is Go's, and where such a program asks for its heap (runtime/malloc.go,
 * mallocinit), for whoever cannot ask the runtime's own index of arenas. */
enum go_heap {
	GO_HEAP_NONE,   /* not a Go program */
	GO_HEAP_HINTED, /* before Go 1.26: at i x 2^40 + (0xc0 << 32), i = 0 as long as nothing is
			 * in the way there */
	GO_HEAP_RANDOM, /* from Go 1.26 on: at a random multiple of 64 MiB below 2^46 */
	GO_HEAP_EITHER, /* of an unknown version */
};

/* version: "go1.26.1"; "" unknown. */
enum go_heap go_heap__of_version(const char *version);

/*
 * Whether such a program's heap may be at addr. Left out is what the kernel's own choices can
 * reach, where an address is no evidence, and for the random place the first 4 GiB, where programs
 * at fixed addresses and their brk area are.
 */
bool go_heap__may_hold(enum go_heap rule, uint64_t addr);

/* The same of a mapping that the program asked for at this very address. */
bool go_heap__may_ask_for(enum go_heap rule, uint64_t addr);

#endif
