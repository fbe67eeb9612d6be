/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_CLOSER_H
#define MEMDRIFT_PROBE_CLOSER_H

/*
 * Taking a probe off waits for a grace period of the kernel, up to 0.1 s each. Whoever takes
 * requests must not wait that long, so links are closed by threads beside it.
 */
struct closer;

/* NULL when memory is out or no thread can be had: closer__add then closes at once. */
struct closer *closer__new(void);
/* Closes what is left, and waits for it. NULL is fine. */
void closer__free(struct closer *closer);

/* Hands over something and the function that closes it, both safe to use from another thread. */
void closer__add(struct closer *closer, void (*close_fn)(void *thing), void *thing);

#endif
