/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_UNWIND_RULES_H
#define MEMDRIFT_UNWIND_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "memdrift/unwind.h"

/*
 * The rules of all objects, each once: an array of UNWIND_RULES_MAX that the kernel's side reads
 * at any time. Rules are only ever added; the first is UNWIND_UNKNOWN.
 */
struct unwind_rules;

/* `rules` stays the caller's and must outlive this. NULL when memory is out. */
struct unwind_rules *unwind_rules__new(struct unwind_rule *rules);
void unwind_rules__free(struct unwind_rules *rules);
/* The index of a rule; 0 (unknown) when there is no room, which is counted. */
uint16_t unwind_rules__intern(struct unwind_rules *rules, struct unwind_rule rule);
uint32_t unwind_rules__count(const struct unwind_rules *rules);
/* How many times a rule found no room. */
uint64_t unwind_rules__refused(const struct unwind_rules *rules);

static inline bool unwind_rule__equal(struct unwind_rule a, struct unwind_rule b)
{
	return a.kind == b.kind && a.bp_kind == b.bp_kind && a.bp_offset == b.bp_offset &&
	       a.offset == b.offset;
}

#endif
