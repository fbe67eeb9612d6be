/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_UNWIND_UNWINDER_H
#define MEMDRIFT_UNWIND_UNWINDER_H

#include <stdbool.h>
#include <stdint.h>

#include "unwind/unwind_pool.h"

struct memdrift;

/*
 * What user space does so that the kernel's side can walk stacks: for each followed process it
 * reads what code is mapped, has the tables of those files built, and moves the process to an
 * image of them (memdrift/unwind.h). A process that was not looked at yet has its stacks by frame
 * pointers, marked as truncated.
 */
struct unwinder;

/*
 * For loaded programs. full: full tables of every object, from the first look at it on, for walks
 * that begin where a program was interrupted. 0 or a negative errno.
 */
int unwinder__open(struct memdrift *skel, bool full, struct unwinder **out);
/* NULL is fine, here and below. */
void unwinder__close(struct unwinder *unwinder);

/*
 * Looks at the process's code now, and moves it to a new image when it has changed. 0; -ESRCH when
 * the process is gone, -EAGAIN when it changes faster than it can be read (it is asked for again),
 * -ENOSPC when all images are in use (counted), -ENOMEM, or what reading gave.
 */
int unwinder__look(struct unwinder *unwinder, uint32_t pid);
/* The same soon, by unwinder__serve: code was mapped. */
void unwinder__ask(struct unwinder *unwinder, uint32_t pid);
/* Has the full tables of what it has mapped built: it has probes inside of functions. */
void unwinder__load_full(struct unwinder *unwinder, uint32_t pid);
/*
 * memdrift's own stacks are walked from now on, as far as they lie in the file that `code` is in:
 * to measure what walks cost. 0 or a negative errno; to be undone by unwinder__forget_own either
 * way.
 */
int unwinder__look_at_own(struct unwinder *unwinder, const void *code);
void unwinder__forget_own(struct unwinder *unwinder);
/* It ended; also when the pid is to be given to another one. */
void unwinder__ended(struct unwinder *unwinder, uint32_t pid);
/* Does what is due, and what walks have asked for. To be called often: it costs little. */
void unwinder__serve(struct unwinder *unwinder);

/*
 * Builds the table of a file that is going to be mapped, and has the kernel's side know it: then
 * its frames are found from the first call on. Best effort.
 */
void unwinder__prepare(struct unwinder *unwinder, const char *path);

void unwinder__stats(const struct unwinder *unwinder, struct unwind_pool_stats *stats);
/* Programs that got no image. */
uint64_t unwinder__images_full(const struct unwinder *unwinder);

#endif
