/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * heap_decoys N: N pages at 64 MiB that begin as heaps of one arena do, each leading to the one
 * before it, none to an arena. Says "ready PID" and stands still until a line comes.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>
#include "truth.h"

#define HEAP_BYTES (64ULL << 20)
#define USED_BYTES 16384ULL
#define FIRST      0x100000000000ULL

int main(int argc, char **argv)
{
	uint64_t n = argc == 2 ? strtoull(argv[1], NULL, 10) : 0;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t base = FIRST + i * HEAP_BYTES;
		uint64_t *words = mmap((void *)base, USED_BYTES, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		if (words == MAP_FAILED)
			die("mmap");
		/* struct heap_info of malloc/arena.c: ar_ptr, prev, size, mprotect_size. */
		words[0] = FIRST + 32;
		words[1] = i ? base - HEAP_BYTES : FIRST + n * HEAP_BYTES;
		words[2] = USED_BYTES;
		words[3] = USED_BYTES;
	}
	printf("ready %d\n", getpid());
	fflush(stdout);
	return getchar() == EOF;
}
