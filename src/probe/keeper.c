// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe/keeper_internal.h"

struct keeper {
	pid_t pid;
	int socket;
	pthread_mutex_t lock; /* from a request to its reply */
};

/* All signals are blocked from before it exists, so that none of memdrift's handlers runs in it. */
static pid_t start_process(const int sockets[2])
{
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (!pid) {
		/* It would never see the end of a socket whose other end it has as well. */
		close(sockets[0]);
		keeper_process__run(sockets[1]);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pid;
}

/* Not where stdout was, if memdrift was started without: a report is no request. */
static int open_sockets(int sockets[2])
{
	int low[2], err = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, low))
		return -errno;
	for (int i = 0; i < 2; i++) {
		sockets[i] = fcntl(low[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		if (sockets[i] < 0)
			err = -errno;
		close(low[i]);
	}
	for (int i = 0; i < 2 && err; i++)
		if (sockets[i] >= 0)
			close(sockets[i]);
	return err;
}

int keeper__start(struct keeper **out)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	int sockets[2], err;

	*out = NULL;
	if (!keeper)
		return -ENOMEM;
	err = open_sockets(sockets);
	if (err) {
		free(keeper);
		return err;
	}
	keeper->pid = start_process(sockets);
	err = -errno;
	close(sockets[1]);
	if (keeper->pid < 0) {
		close(sockets[0]);
		free(keeper);
		return err;
	}
	keeper->socket = sockets[0];
	pthread_mutex_init(&keeper->lock, NULL);
	*out = keeper;
	return 0;
}

void keeper__end(struct keeper *keeper)
{
	if (!keeper)
		return;
	close(keeper->socket);
	while (waitpid(keeper->pid, NULL, 0) < 0 && errno == EINTR)
		;
	pthread_mutex_destroy(&keeper->lock);
	free(keeper);
}

pid_t keeper__pid(const struct keeper *keeper)
{
	return keeper->pid;
}

bool keeper__lives(const struct keeper *keeper)
{
	struct pollfd end = {.fd = keeper->socket};

	return poll(&end, 1, 0) <= 0 || !(end.revents & POLLHUP);
}

static int tell(struct keeper *keeper, const struct keeper_request *request, size_t bytes)
{
	while (send(keeper->socket, request, bytes, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -EOWNERDEAD;
	return 0;
}

static int hear(struct keeper *keeper, struct keeper_reply *reply)
{
	ssize_t n;

	do
		n = recv(keeper->socket, reply, sizeof(*reply), 0);
	while (n < 0 && errno == EINTR);
	return n == sizeof(*reply) ? 0 : -EOWNERDEAD;
}

static int ask(struct keeper *keeper, const struct keeper_request *request, size_t bytes,
	       struct keeper_reply *reply)
{
	int err;

	pthread_mutex_lock(&keeper->lock);
	err = tell(keeper, request, bytes);
	if (!err)
		err = hear(keeper, reply);
	pthread_mutex_unlock(&keeper->lock);
	return err;
}

/* As the keeper finds it: what memdrift has open is not among its own descriptors. */
static int set_path(struct keeper_request *request, const char *path)
{
	static const char own[] = "/proc/self/";
	int len;

	if (!strncmp(path, own, sizeof(own) - 1))
		len = snprintf(request->path, sizeof(request->path), "/proc/%d/%s", getpid(),
			       path + sizeof(own) - 1);
	else
		len = snprintf(request->path, sizeof(request->path), "%s", path);
	return len < (int)sizeof(request->path) ? 0 : -ENAMETOOLONG;
}

int keeper__attach(struct keeper *keeper, const struct bpf_program *prog, enum attach_where where,
		   pid_t pid, const char *path, struct attach_site *sites, size_t count,
		   uint64_t *link)
{
	struct keeper_request request = {.task = KEEPER_ATTACH,
					 .prog = prog,
					 .where = where,
					 .pid = pid,
					 .count = (uint32_t)count};
	struct keeper_reply reply = {0};
	int err = count > KEEPER_SITES_MAX ? -E2BIG : set_path(&request, path);

	*link = 0;
	if (err)
		return err;
	memcpy(request.sites, sites, count * sizeof(*sites));
	err = ask(keeper, &request, offsetof(struct keeper_request, sites) + count * sizeof(*sites),
		  &reply);
	if (err)
		return err;
	for (size_t i = 0; i < count; i++)
		sites[i].error = reply.errors[i];
	*link = reply.link;
	return reply.err;
}

int keeper__attach_usdt(struct keeper *keeper, const struct bpf_program *prog, pid_t pid,
			const char *path, const char *name, uint64_t *link)
{
	struct keeper_request request = {.task = KEEPER_ATTACH_USDT, .prog = prog, .pid = pid};
	struct keeper_reply reply = {0};
	int err = set_path(&request, path);

	*link = 0;
	snprintf(request.usdt, sizeof(request.usdt), "%s", name);
	if (!err)
		err = ask(keeper, &request, offsetof(struct keeper_request, sites), &reply);
	if (err)
		return err;
	*link = reply.link;
	return reply.err;
}

void keeper__close(struct keeper *keeper, uint64_t link)
{
	struct keeper_request request = {.task = KEEPER_CLOSE, .link = link};
	struct keeper_reply reply;

	if (link)
		ask(keeper, &request, KEEPER_CLOSE_BYTES, &reply);
}

void keeper__close_later(struct keeper *keeper, uint64_t *link)
{
	struct keeper_request request = {.task = KEEPER_CLOSE_LATER, .link = *link};

	/* Not under the lock: who holds it may wait for an attach. A message is sent whole. */
	if (*link)
		tell(keeper, &request, KEEPER_CLOSE_BYTES);
	*link = 0;
}
