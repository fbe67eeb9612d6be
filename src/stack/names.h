/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_NAMES_H
#define MEMDRIFT_STACK_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/process.h"
#include "stack/kept_stack.h"
#include "stack/namer.h"

/*
 * Names of stacks. A stack is noted while its process runs: its addresses become offsets into
 * files, which are opened and kept. Names are read when somebody asks, perhaps after the process
 * ended. A forked child that has not been seen by itself has its parent's stacks.
 */
struct stack_names;

struct stack_source {
	void *ctx;
	/* A stack that the kernel's side has kept. 0 or a negative errno. */
	int (*read_stack)(void *ctx, int32_t id, struct kept_stack *stack);
	/* As in struct model_reader. */
	int (*read_maps)(void *ctx, uint32_t pid, uint64_t start_ticks, struct maps_entry **entries,
			 size_t *n);
};

/*
 * Executable mappings are kept for this many processes at once, oldest out first; a process that
 * comes back is read again.
 */
#define STACK_IMAGES_MAX 4096
/* Of one process; a JIT can map code in any number of pieces. */
#define IMAGE_RANGES_MAX 16384
/* Parents of forked processes; 24 bytes each and a hash entry. Past this, children have no names.
 */
#define LINEAGE_MAX 65536

struct stack_names *stack_names__new(const struct stack_source *source);
void stack_names__free(struct stack_names *names);
/*
 * To be called before the first stack: source lines and inlined functions of frames are wanted;
 * debug files that are not here are asked for at debuginfod's servers (after debuginfod__load()).
 */
void stack_names__want(struct stack_names *names, bool lines, bool servers);

/*
 * Keeps a stack of a running process; does nothing for one that is known or for STACK_NONE. To be
 * called as soon as a record or a weight brings one. 0, -ENOMEM, -ENOSPC (room is out), or what
 * reading the stack gave. A process that is gone gets addresses for names.
 */
int stack_names__note(struct stack_names *names, const struct process *process, int32_t stack);

/* Reads what code a running process has mapped now, so that its stacks can be named later. */
void stack_names__learn(struct stack_names *names, const struct process *process);

/* Whether it has, of the program that the process runs or ran last. */
bool stack_names__knows(const struct stack_names *names, const struct process *process);

/* What /proc shows is another program's code by now: its stacks are named by what is known. */
void stack_names__freeze(struct stack_names *names, const struct process *process);

/* A process was forked (not a thread). */
void stack_names__fork(struct stack_names *names, uint32_t child_pid, uint64_t child_start_ns,
		       uint32_t parent_pid, uint64_t parent_start_ns);
/* A process ended: its stacks stay, what only noting needs goes. */
void stack_names__ended(struct stack_names *names, uint32_t pid, uint64_t start_ns);

/* For analysis and output; valid as long as names. */
struct stack_namer stack_names__namer(struct stack_names *names);

#endif
