/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef TARGETS_MAP_CALLS_H
#define TARGETS_MAP_CALLS_H

/* The system calls that change mappings, raw and counted. Needs _GNU_SOURCE. */
#include <sys/mman.h>
#include "truth.h"

#define PAGE 4096UL

enum call { CALL_MMAP, CALL_MUNMAP, CALL_MREMAP, CALL_MPROTECT, CALL_MADVISE, CALL_BRK, CALLS };

struct call_counts {
	uint64_t calls, failed; /* failed ones are not in calls */
	uint64_t bytes;         /* of the calls that succeeded, rounded up to pages */
	uint64_t asked_bytes;   /* the same, as asked for */
	uint64_t fixed;         /* with MAP_FIXED or MREMAP_FIXED */
	uint64_t partly;        /* failed after acting on a part of the range */
};

/* syscall(2) without its -1: the kernel's own result, and no errno. */
static inline long raw(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static inline long count_call(struct call_counts *all, enum call call, long result, size_t bytes,
			      bool fixed)
{
	struct call_counts *c = &all[call];

	if (result < 0 && result > -4096) {
		add(&c->failed, 1);
		return result;
	}
	add(&c->calls, 1);
	add(&c->bytes, (bytes + PAGE - 1) & -PAGE);
	add(&c->asked_bytes, bytes);
	add(&c->fixed, fixed);
	return result;
}

static inline long do_mmap(struct call_counts *c, uintptr_t at, size_t bytes, int prot, int flags,
			   int fd, size_t offset)
{
	long r = raw(SYS_mmap, at, bytes, prot, flags, fd, offset);

	return count_call(c, CALL_MMAP, r, bytes, flags & MAP_FIXED);
}

static inline long do_munmap(struct call_counts *c, uintptr_t at, size_t bytes)
{
	return count_call(c, CALL_MUNMAP, raw(SYS_munmap, at, bytes, 0, 0, 0, 0), bytes, false);
}

static inline long do_mremap(struct call_counts *c, uintptr_t at, size_t old, size_t bytes,
			     int flags, uintptr_t to)
{
	long r = raw(SYS_mremap, at, old, bytes, flags, to, 0);

	return count_call(c, CALL_MREMAP, r, bytes, flags & MREMAP_FIXED);
}

static inline long do_mprotect(struct call_counts *c, uintptr_t at, size_t bytes, int prot)
{
	return count_call(c, CALL_MPROTECT, raw(SYS_mprotect, at, bytes, prot, 0, 0, 0), bytes,
			  false);
}

static inline long do_madvise(struct call_counts *c, uintptr_t at, size_t bytes, int advice)
{
	return count_call(c, CALL_MADVISE, raw(SYS_madvise, at, bytes, advice, 0, 0, 0), bytes,
			  false);
}

/* brk never reports an error: a refused call leaves the break where it was. */
static inline uintptr_t do_brk(struct call_counts *c, uintptr_t to)
{
	uintptr_t now = raw(SYS_brk, to, 0, 0, 0, 0, 0);

	count_call(c, CALL_BRK, 0, 0, false);
	return now;
}

#endif
