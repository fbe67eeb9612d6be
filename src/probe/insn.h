/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_INSN_H
#define MEMDRIFT_PROBE_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/site.h"

/*
 * Single x86-64 instructions by their bytes, looked at as the kernel's uprobes do. code holds one
 * whole instruction of len bytes, whose length a decoder has found.
 */
enum insn_class insn__classify(const uint8_t *code, size_t len);
bool insn__is_endbr64(const uint8_t *code, size_t size);

/* A relative jmp, jcc, loop or call: how far from its end. False for all others. */
bool insn__branch_displacement(const uint8_t *code, size_t len, int64_t *displacement);
/* jmp or call through a slot of the GOT, ending at `next`: where the slot is. False for all others.
 */
bool insn__branch_slot(const uint8_t *code, size_t len, uint64_t next, uint64_t *slot,
		       bool *is_call);
/* jmp to a register's content or into a table: anywhere. */
bool insn__is_computed_jump(const uint8_t *code, size_t len);
/* pop, leave or add to the stack pointer: the end of a function's frame. */
bool insn__gives_back_stack(const uint8_t *code, size_t len);

#endif
