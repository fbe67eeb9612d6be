// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What runs in the keeper's own process: see keeper.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uthash.h>

#include "probe/closer.h"
#include "probe/keeper_internal.h"

/* Not memdrift's: who kills that by its name must not kill the keeper with it. */
#define NAME "drift-keeper"

struct kept {
	UT_hash_handle hh; /* by number */
	uint64_t number;
	struct probe_link *link;
	bool is_usdt;
};

struct keeping {
	int socket;
	struct closer *closer;
	struct kept *all;
	uint64_t last_number;
};

/* The arguments are one string after the other; as they are seen (ps, pkill -f) they are replaced.
 */
static void take_name(void)
{
	char arguments[4096];
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? 0 : read(fd, arguments, sizeof(arguments));

	close(fd);
	prctl(PR_SET_NAME, NAME);
	if (len < (ssize_t)sizeof(NAME))
		return;
	memset(program_invocation_name, 0, (size_t)len);
	memcpy(program_invocation_name, NAME, sizeof(NAME));
}

/* It is small and ends by itself. Where CAP_SYS_RESOURCE is missing it stays as likely as others.
 */
static void avoid_oom_killer(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? 0 : write(fd, "-1000", 5);

	if (len >= 0)
		close(fd);
}

/* The number under which it is kept; 0: no memory, and it is closed. */
static uint64_t keep(struct keeping *keeping, struct probe_link *link, bool is_usdt)
{
	struct kept *kept = calloc(1, sizeof(*kept));

	if (!kept) {
		probe_link__close(link);
		return 0;
	}
	kept->number = ++keeping->last_number;
	kept->link = link;
	kept->is_usdt = is_usdt;
	HASH_ADD(hh, keeping->all, number, sizeof(kept->number), kept);
	return kept->number;
}

static void close_link(void *link)
{
	probe_link__close(link);
}

static void drop(struct keeping *keeping, struct kept *kept, bool later)
{
	/* libbpf keeps a list of USDT sites that is for one thread alone. */
	if (later && !kept->is_usdt)
		closer__add(keeping->closer, close_link, kept->link);
	else
		probe_link__close(kept->link);
	HASH_DEL(keeping->all, kept);
	free(kept);
}

static void drop_number(struct keeping *keeping, uint64_t number, bool later)
{
	struct kept *kept;

	HASH_FIND(hh, keeping->all, &number, sizeof(number), kept);
	if (kept)
		drop(keeping, kept, later);
}

static void attach(struct keeping *keeping, struct keeper_request *request,
		   struct keeper_reply *reply)
{
	struct probe_link *link = NULL;

	if (request->task == KEEPER_ATTACH_USDT)
		reply->err = attach__usdt(request->prog, request->pid, request->path, request->usdt,
					  &link);
	else
		reply->err = attach__uprobes(request->prog, request->where, request->pid,
					     request->path, request->sites, request->count, &link);
	for (uint32_t i = 0; i < request->count; i++)
		reply->errors[i] = request->sites[i].error;
	if (reply->err)
		return;
	reply->link = keep(keeping, link, request->task == KEEPER_ATTACH_USDT);
	if (!reply->link)
		reply->err = -ENOMEM;
}

static void serve(struct keeping *keeping, struct keeper_request *request)
{
	struct keeper_reply reply = {0};

	switch (request->task) {
	case KEEPER_ATTACH:
	case KEEPER_ATTACH_USDT:
		attach(keeping, request, &reply);
		break;
	case KEEPER_CLOSE:
		drop_number(keeping, request->link, false);
		break;
	case KEEPER_CLOSE_LATER:
		drop_number(keeping, request->link, true);
		return;
	}
	/* Nobody may be there to hear it: the next recv tells. */
	send(keeping->socket, &reply, sizeof(reply), MSG_NOSIGNAL);
}

void keeper_process__run(int socket)
{
	static struct keeper_request request;
	struct keeping keeping = {.socket = socket};
	struct kept *kept, *next;

	/* Not in the terminal's process group, nor in memdrift's. */
	setsid();
	take_name();
	avoid_oom_killer();
	keeping.closer = closer__new();
	while (recv(socket, &request, sizeof(request), 0) > 0)
		serve(&keeping, &request);
	HASH_ITER (hh, keeping.all, kept, next)
		drop(&keeping, kept, true);
	closer__free(keeping.closer);
	/* Neither exit handlers nor buffers: those are memdrift's. */
	_exit(0);
}
