/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_KEEPER_INTERNAL_H
#define MEMDRIFT_PROBE_KEEPER_INTERNAL_H

#include <limits.h>
#include <stddef.h>

#include "probe/keeper.h"

/* Shared by keeper.c, memdrift's side of the socket, and keeper_process.c, the other one. */

enum keeper_task { KEEPER_ATTACH, KEEPER_ATTACH_USDT, KEEPER_CLOSE, KEEPER_CLOSE_LATER };

/* One message each. What is behind the part that a task uses is not sent. */
struct keeper_request {
	enum keeper_task task;
	uint64_t link; /* to be closed */
	/* To be attached. The keeper is a fork: the pointer is as good there. */
	const struct bpf_program *prog;
	enum attach_where where;
	pid_t pid;
	uint32_t count;
	char usdt[32];
	char path[PATH_MAX];
	struct attach_site sites[KEEPER_SITES_MAX];
};

#define KEEPER_CLOSE_BYTES offsetof(struct keeper_request, prog)

/* To all tasks but KEEPER_CLOSE_LATER. */
struct keeper_reply {
	int err;
	uint64_t link;
	int errors[KEEPER_SITES_MAX]; /* of each site */
};

/* The keeper's life: until the other end of the socket is closed. */
_Noreturn void keeper_process__run(int socket);

#endif
