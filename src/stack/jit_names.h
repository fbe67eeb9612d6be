/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_JIT_NAMES_H
#define MEMDRIFT_STACK_JIT_NAMES_H

#include <stdint.h>

/*
 * Names of code that programs make themselves, as they write them down for perf: lines "START SIZE
 * NAME" in /tmp/perf-PID.map of their own mount namespace, with the PID of their own PID namespace
 * (Linux: tools/perf/Documentation/jit-interface.txt). As for perf, the file must be the target's
 * or root's. Lines are only ever added; a later one replaces what lay there, so that a name is
 * looked up while the stack is new and then kept.
 */
struct jit_names;

/* Bytes read of one process's file; node's have 10 MB after some hours. */
#define JIT_MAP_MAX_BYTES (128u << 20)
/* Lines kept of all files together, 32 bytes each, and their names. */
#define JIT_ENTRIES_MAX     2097152
#define JIT_NAMES_MAX_BYTES (256u << 20)
/* Processes at once, the oldest out first; each that has such a file holds a descriptor. */
#define JIT_PROCESSES_MAX 256
/* Distinct frames. */
#define JIT_FRAMES_MAX 4194304

#define JIT_NONE UINT64_MAX

struct jit_frame {
	uint64_t address;
	uint64_t start;   /* of the function */
	const char *name; /* raw */
};

struct jit_names *jit_names__new(void);
void jit_names__free(struct jit_names *jit);

/*
 * The frame at an address of a running process, for jit_names__frame(); its name is that of the
 * byte before when is_return. JIT_NONE when there is no such file, or no such name in it.
 */
uint64_t jit_names__find(struct jit_names *jit, uint32_t pid, uint64_t start_ns, uint64_t address,
			 int is_return);
/* NULL for what jit_names__find() did not give. Valid until the next jit_names__find(). */
const struct jit_frame *jit_names__frame(const struct jit_names *jit, uint64_t frame);

/* A process ended: its frames stay. */
void jit_names__ended(struct jit_names *jit, uint32_t pid, uint64_t start_ns);

#endif
