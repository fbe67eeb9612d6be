/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_SECCOMP_TRIAL_H
#define MEMDRIFT_PROBE_SECCOMP_TRIAL_H

/*
 * Whether this kernel lets a process under a strict seccomp filter run into a return probe: a child
 * of memdrift's own gets one on a function of its own, forbids itself all system calls but the one
 * that ends it, and calls the function. Takes some 10 ms, and up to 200 ms to take the probe off.
 *
 * 1: it lived, 0: the kernel killed it, or a negative errno when it could not be tried.
 */
int seccomp_trial__run(void);

#endif
