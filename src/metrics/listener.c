// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "metrics/listen_socket.h"
#include "metrics/listener_internal.h"

/* A request's line and headers, and the head of its answer; MHD answers 431 beyond. */
#define CONNECTION_MEMORY_BYTES 8192
#define IDLE_TIMEOUT_S          5u
/* Until an overdue connection is ended: as exact as anyone needs. */
#define AGE_CHECK_MS 1000

static void log_http(void *ctx, const char *fmt, va_list args)
{
	char text[LISTENER_ERROR_MAX];

	vsnprintf(text, sizeof(text), fmt, args);
	text[strcspn(text, "\n")] = '\0';
	log_debug("metrics: %s", text);
}

static struct client *find_client(struct listener *listener, int fd)
{
	for (size_t i = 0; i < LISTENER_CONNECTIONS_MAX; i++)
		if (listener->clients[i].fd == fd)
			return &listener->clients[i];
	return NULL;
}

static void note_connection(void *ctx, struct MHD_Connection *connection, void **socket_ctx,
			    enum MHD_ConnectionNotificationCode code)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	bool begins = code == MHD_CONNECTION_NOTIFY_STARTED;
	struct client *client;

	if (!info)
		return;
	client = find_client(ctx, begins ? -1 : info->connect_fd);
	if (client)
		*client = (struct client){begins ? info->connect_fd : -1, monotonic_ns()};
}

static int start_daemon(struct listener *listener, int socket_fd)
{
	const union MHD_DaemonInfo *info;

	listener->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, listener__answer, listener,
		MHD_OPTION_EXTERNAL_LOGGER, log_http, NULL, MHD_OPTION_LISTEN_SOCKET, socket_fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)LISTENER_CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_NOTIFY_CONNECTION, note_connection,
		listener, MHD_OPTION_END);
	if (!listener->daemon)
		return -ENOMEM;
	info = MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info || info->epoll_fd < 0) {
		MHD_stop_daemon(listener->daemon);
		return -ENOTSUP;
	}
	listener->epoll_fd = info->epoll_fd;
	return 0;
}

int listener__open(struct listener **out, const struct listener_options *options,
		   char error[LISTENER_ERROR_MAX])
{
	struct listener *listener = calloc(1, sizeof(*listener));
	int fd, err;

	*out = NULL;
	if (!listener) {
		snprintf(error, LISTENER_ERROR_MAX, "cannot listen: out of memory");
		return -ENOMEM;
	}
	listener->options = *options;
	if (!listener->options.age_max_ns)
		listener->options.age_max_ns = LISTENER_AGE_MAX_NS;
	for (size_t i = 0; i < LISTENER_CONNECTIONS_MAX; i++)
		listener->clients[i].fd = -1;
	fd = listen_socket__open(options->address, listener->url, error);
	if (fd < 0) {
		free(listener);
		return fd;
	}
	err = start_daemon(listener, fd);
	if (err) {
		snprintf(error, LISTENER_ERROR_MAX, "cannot serve metrics: %s", strerror(-err));
		close(fd);
		free(listener);
		return err;
	}
	*out = listener;
	return 0;
}

int listener__fd(const struct listener *listener)
{
	return listener->epoll_fd;
}

static bool has_clients(const struct listener *listener)
{
	for (size_t i = 0; i < LISTENER_CONNECTIONS_MAX; i++)
		if (listener->clients[i].fd >= 0)
			return true;
	return false;
}

int listener__timeout_ms(const struct listener *listener)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (MHD_get_timeout(listener->daemon, &ms) != MHD_YES)
		ms = ULLONG_MAX;
	if (has_clients(listener) && ms > AGE_CHECK_MS)
		ms = AGE_CHECK_MS;
	return ms == ULLONG_MAX ? -1 : (int)ms;
}

/* MHD sees the end of the stream, closes the socket and says so to note_connection. */
static void end_overdue(struct listener *listener)
{
	uint64_t now_ns = monotonic_ns();

	for (size_t i = 0; i < LISTENER_CONNECTIONS_MAX; i++) {
		struct client *client = &listener->clients[i];

		if (client->fd >= 0 && now_ns - client->since_ns > listener->options.age_max_ns)
			shutdown(client->fd, SHUT_RDWR);
	}
}

void listener__run(struct listener *listener)
{
	end_overdue(listener);
	MHD_run(listener->daemon);
}

const char *listener__url(const struct listener *listener)
{
	return listener->url;
}

void listener__close(struct listener *listener)
{
	if (!listener)
		return;
	MHD_stop_daemon(listener->daemon);
	if (listener->metrics)
		MHD_destroy_response(listener->metrics);
	free(listener);
}
