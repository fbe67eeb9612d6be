/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_ATTACH_H
#define MEMDRIFT_PROBE_ATTACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The system calls behind uprobes. Those that attach and close are made by the keeper's process
 * alone (see keeper.h); nothing else calls them.
 */
struct bpf_program;

/* Every process that maps the file. */
#define ATTACH_ALL (-1)

/*
 * Links of the kind uprobe_multi hold any number of sites and are opened and closed as one: a perf
 * link for each site takes up to 120 ms to close. They came with 6.6; until 6.10 (46ba0e49b642) a
 * process given by pid meant its first thread alone.
 */
bool attach__multi_usable(void);
/*
 * To be called for a program that shall have such links, where they are usable, before it is
 * loaded. One for which it was not gets a perf link for each site.
 */
void attach__choose_type(struct bpf_program *prog);

/*
 * One program and one link for entry and return, which keeps a word between them and can spare the
 * return call by call: from 6.13 on (d920179b3d48). To be called before the program is loaded; also
 * resolves its call of bpf_session_cookie(). 0, or a negative errno when the kernel has no such
 * links: then entry and return take a program each.
 */
int attach__choose_session(struct bpf_program *prog);

struct attach_site {
	uint64_t offset; /* in the file */
	uint64_t cookie; /* reaches the program */
	int error; /* out: 0 or a negative errno; -ENOTSUP: the kernel refuses this instruction */
};

struct probe_link;

enum attach_where { ATTACH_HERE, ATTACH_RETURN };

/*
 * Puts uprobes at sites of the file at path (which may be /proc/self/fd/N) for one process or for
 * ATTACH_ALL. 0 when at least one site was attached, else the first error: -ESRCH when the process
 * is gone.
 */
int attach__uprobes(const struct bpf_program *prog, enum attach_where where, pid_t pid,
		    const char *path, struct attach_site *sites, size_t count,
		    struct probe_link **link);
/* Libc's own note of this name ("memory_arena_new"). 0 or a negative errno. */
int attach__usdt(const struct bpf_program *prog, pid_t pid, const char *path, const char *name,
		 struct probe_link **link);
/* NULL is fine. */
void probe_link__close(struct probe_link *link);

/*
 * A return probe makes its process enter the kernel by the system call uretprobe() from 6.11 on;
 * a seccomp filter that does not know the call then kills the process (systemd issue 34615). From
 * 6.14 on (cf6cb56ef244) seccomp lets it pass, and so do some stable kernels before, whose version
 * does not tell: between the two it is tried on a child of memdrift's own, once. True: no process
 * is harmed by return probes.
 */
bool attach__return_probes_safe(void);

#endif
