/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_WATCH_OOM_H
#define MEMDRIFT_WATCH_OOM_H

#include <stdint.h>

#include "memdrift/oom.h"

/* The kernel's tracepoint for processes that are killed for memory (oom:mark_victim). */
struct oom;

/*
 * -EPERM without the right to load BPF programs, -ENXIO from within another pid namespace, where
 * the kernel's pids name nobody; nothing is said of it: watch goes on without.
 */
int oom__open(struct oom **oom);
void oom__close(struct oom *oom);

/* Readable when there is a victim. -1 for NULL. */
int oom__fd(const struct oom *oom);
/* Those since the last call; record->pid is looked up when the kernel did not tell, and stays 0 for
 * one that has gone already. */
typedef void (*oom_victim_fn)(void *ctx, const struct oom_record *record);
void oom__read(struct oom *oom, oom_victim_fn fn, void *ctx);

/* Victims that found the ring full, since it was opened. */
uint64_t oom__lost(const struct oom *oom);
#endif
