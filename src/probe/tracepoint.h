/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_TRACEPOINT_H
#define MEMDRIFT_PROBE_TRACEPOINT_H

struct bpf_link;
struct bpf_program;

/*
 * Tracepoints by their number, which only tracefs tells. Hosts need not have it mounted, so a
 * mount that hangs in no tree is made (fsmount, Linux 5.2) and read through its descriptor: it
 * goes with the descriptor, and no mount table ever shows it.
 */

/* A directory descriptor of tracefs that the caller closes, or a negative errno. */
int tracefs__open(void);

/*
 * Attaches prog to category/name ("syscalls/sys_enter_mmap") for every process.
 * 0, -ENOENT when this kernel has no such tracepoint, or another negative errno.
 */
int tracepoint__attach(int tracefs, const char *name, const struct bpf_program *prog,
		       struct bpf_link **link);

#endif
