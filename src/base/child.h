/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_BASE_CHILD_H
#define MEMDRIFT_BASE_CHILD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A process of our own for libraries that read what others wrote and have no bounds of their own:
 * the kernel bounds its time and memory, and what it does to itself stays there. It has none of our
 * descriptors (probes live as long as one is open) but those it is given, and dies with us.
 */
struct child {
	pid_t pid; /* 0: not running */
	int fd;    /* both directions */
};

struct child_limits {
	unsigned int cpu_s;
	uint64_t memory_bytes; /* of address space, beyond what is mapped when it starts */
};

/* fd: its end. It ends when this returns. */
typedef void (*child_fn)(void *ctx, int fd);

/* keep: descriptors that it needs, at most CHILD_KEEP_MAX; -1 is skipped. 0 or a negative errno. */
#define CHILD_KEEP_MAX 4
int child__start(struct child *child, const struct child_limits *limits, const int *keep,
		 size_t keep_count, child_fn fn, void *ctx);
/* Kills it when it still runs; nothing for one that is not. */
void child__stop(struct child *child);

/* All bytes, or a negative errno: -EPIPE when the other side is gone. Raises no signal. */
int child__send(int fd, const void *bytes, size_t size);
/* All bytes until the deadline (monotonic_ns()); -ETIMEDOUT, or -EPIPE when the other side ended.
 */
int child__receive(int fd, void *bytes, size_t size, uint64_t deadline_ns);

#endif
