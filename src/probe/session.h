/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_SESSION_H
#define MEMDRIFT_PROBE_SESSION_H

struct bpf_program;

/*
 * Replaces the calls of SESSION_COOKIE_CALL in a program that is not loaded yet by calls of the
 * kernel function bpf_session_cookie(). libbpf would do so for a declared one, but insists on the
 * kernel's prototype: (void) up to 6.19, (void *ctx) from 7.0 on. The program passes ctx always;
 * what the older one does not take is ignored.
 *
 * 0, -ENOENT when the kernel has no such function, or another negative errno.
 */
int session__resolve_cookie(struct bpf_program *prog);

#endif
