/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_KEEPER_H
#define MEMDRIFT_PROBE_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "probe/attach.h"

/*
 * The process that puts uprobes on and takes them off for memdrift, so that a SIGKILL of memdrift
 * leaves none behind. The kernel reads and writes the target's pages in the calling task, and gives
 * up when that is being killed (fatal_signal_pending() in __get_user_pages(), mm/gup.c): the
 * breakpoint stays for good ("failed to unregister, leaking uprobe", kernel/events/uprobes.c). The
 * keeper is not killed with memdrift. It ends what it was asked for, in order; when memdrift has
 * gone it closes all links and goes, too.
 *
 * It is a child of memdrift's in a session of its own, blocks all signals, has another name, and
 * alone has the descriptors of the links. What is left is a SIGKILL of the keeper itself (of its
 * whole cgroup, say) while it places or removes probes.
 *
 * The memory is its own as well, a copy from before the trace: the kernel's OOM killer ends all
 * processes that share the memory of the one it chose.
 */
struct keeper;

/* Sites of one link; each allocator object and each Go program has fewer. */
#define KEEPER_SITES_MAX 256

/*
 * Forks: BPF programs that are loaded, and no others, can be attached by it later on. To be called
 * before there are other threads. 0 or a negative errno.
 */
int keeper__start(struct keeper **keeper);
/* Waits until all links are closed and it has gone. NULL is fine. */
void keeper__end(struct keeper *keeper);

pid_t keeper__pid(const struct keeper *keeper);
/* False: somebody has killed it, and all probes are gone. */
bool keeper__lives(const struct keeper *keeper);

/*
 * attach__uprobes and attach__usdt of attach.h, but the link is known by a number that is never 0;
 * *link is 0 after an error. -EOWNERDEAD: there is no keeper any more. These and what follows may
 * be called from any thread.
 */
int keeper__attach(struct keeper *keeper, const struct bpf_program *prog, enum attach_where where,
		   pid_t pid, const char *path, struct attach_site *sites, size_t count,
		   uint64_t *link);
int keeper__attach_usdt(struct keeper *keeper, const struct bpf_program *prog, pid_t pid,
			const char *path, const char *name, uint64_t *link);

/* Waits until it is closed. 0 is fine. */
void keeper__close(struct keeper *keeper, uint64_t link);
/*
 * Does not wait: taking a probe off waits for a grace period of the kernel, up to 0.1 s each, and
 * whoever reads the ring must not wait that long. Sets *link to 0.
 */
void keeper__close_later(struct keeper *keeper, uint64_t *link);

#endif
