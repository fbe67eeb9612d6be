// flags: -O2 -g -fno-omit-frame-pointer
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Maps memory by a function that is inlined into another one, at lines that say so, without libc's
 * wrapper. (The nop is where the program stands in the system call.) Says "ready", does it after a
 * line came on stdin, says "done", and ends after another.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define MAPPED_BYTES (1u << 20)
#define TIMES        10

static inline __attribute__((always_inline)) long inlined_get(void)
{
	register long flags __asm__("r10") = MAP_PRIVATE | MAP_ANONYMOUS;
	register long fd __asm__("r8") = -1;
	register long offset __asm__("r9") = 0;
	long got;

	__asm__ volatile("syscall; nop" /* get */
			 : "=a"(got)
			 : "a"(SYS_mmap), "D"(0), "S"(MAPPED_BYTES), "d"(PROT_READ), "r"(flags),
			   "r"(fd), "r"(offset)
			 : "rcx", "r11", "memory");
	return got;
}

__attribute__((noinline)) static long outer_get(void)
{
	return inlined_get() < 0; /* call */
}

static void wait_after(const char *word)
{
	puts(word);
	fflush(stdout);
	while (getchar() != '\n' && !feof(stdin))
		;
}

int main(void)
{
	long failed = 0;

	wait_after("ready");
	for (int i = 0; i < TIMES; i++)
		failed += outer_get();
	wait_after("done");
	return failed != 0;
}
