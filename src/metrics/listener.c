// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "metrics/listener.h"

#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "metrics/listen_socket.h"

/* A request's line and headers, and the head of its answer; MHD answers 431 beyond. */
#define CONNECTION_MEMORY_BYTES 8192
/* A text has some 200 kB; ten clients that read slowly are more than a host has. */
#define TEXTS_MAX_BYTES (4u << 20)
#define IDLE_TIMEOUT_S  5u
/* Until an overdue connection is ended: as exact as anyone needs. */
#define AGE_CHECK_MS 1000

#define CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define PLAIN_TEXT   "text/plain; charset=utf-8"

/* A connection's socket, for its end: MHD bounds how long one is idle, not how long it lasts. */
struct client {
	int fd; /* -1: free */
	uint64_t since_ns;
};

struct listener {
	struct listener_options options;
	char url[LISTENER_URL_MAX];
	int epoll_fd;
	struct MHD_Daemon *daemon;
	struct client clients[LISTENER_CONNECTIONS_MAX];
	/* The latest text, shared by those that ask within LISTENER_FRESH_NS. A slow client holds
	 * the one that it is sent. */
	struct MHD_Response *metrics;
	uint64_t rendered_ns;
	size_t texts_bytes; /* of all that are held */
};

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

/* One header for all: a request a connection, nothing is kept for who may not come again. Destroys
 * a response that it cannot complete. */
static struct MHD_Response *with_headers(struct MHD_Response *response, const char *type)
{
	if (!response)
		return NULL;
	if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) != MHD_YES ||
	    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") != MHD_YES ||
	    MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") != MHD_YES) {
		MHD_destroy_response(response);
		return NULL;
	}
	return response;
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned int status,
			      const char *text)
{
	struct MHD_Response *response = with_headers(
		MHD_create_response_from_buffer(strlen(text), (char *)text, MHD_RESPMEM_MUST_COPY),
		PLAIN_TEXT);
	enum MHD_Result queued;

	if (!response)
		return MHD_NO;
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	queued = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return queued;
}

/* A text that is sent, until nobody needs it. */
struct text {
	struct listener *listener;
	size_t size;
	char *bytes;
};

static void free_text(void *ctx)
{
	struct text *text = ctx;

	text->listener->texts_bytes -= text->size;
	free(text->bytes);
	free(text);
}

/* NULL when memory is out. */
static struct text *render(struct listener *listener)
{
	struct text *text = calloc(1, sizeof(*text));
	FILE *out = text ? open_memstream(&text->bytes, &text->size) : NULL;
	struct metrics metrics;
	bool failed;

	if (!out) {
		free(text);
		return NULL;
	}
	failed = metrics__init(&metrics, listener->options.subjects_max) != 0;
	if (!failed) {
		listener->options.fill(listener->options.ctx, &metrics);
		metrics__write(&metrics, out);
		metrics__free(&metrics);
	}
	failed = failed || ferror(out);
	if (fclose(out) || failed) {
		free(text->bytes);
		free(text);
		return NULL;
	}
	text->listener = listener;
	listener->texts_bytes += text->size;
	return text;
}

static struct MHD_Response *make_metrics(struct listener *listener)
{
	struct text *text = render(listener);
	struct MHD_Response *response;

	if (!text)
		return NULL;
	response = MHD_create_response_from_buffer_with_free_callback_cls(text->size, text->bytes,
									  free_text, text);
	if (!response)
		free_text(text);
	return with_headers(response, CONTENT_TYPE);
}

static enum MHD_Result answer_metrics(struct listener *listener, struct MHD_Connection *connection)
{
	uint64_t now_ns = monotonic_ns();

	if (listener->metrics && now_ns - listener->rendered_ns >= LISTENER_FRESH_NS) {
		MHD_destroy_response(listener->metrics);
		listener->metrics = NULL;
	}
	if (!listener->metrics) {
		if (listener->texts_bytes > TEXTS_MAX_BYTES)
			return answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
				      "clients that read slowly hold too much\n");
		listener->metrics = make_metrics(listener);
		listener->rendered_ns = now_ns;
	}
	if (!listener->metrics)
		return answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
	return MHD_queue_response(connection, MHD_HTTP_OK, listener->metrics);
}

static enum MHD_Result answer_health(struct listener *listener, struct MHD_Connection *connection)
{
	const struct listener_options *options = &listener->options;

	if (options->healthy && !options->healthy(options->ctx))
		return answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "passes are overdue\n");
	return answer(connection, MHD_HTTP_OK, "ok\n");
}

static enum MHD_Result handle_request(void *ctx, struct MHD_Connection *connection, const char *url,
				      const char *method, const char *version, const char *upload,
				      size_t *upload_size, void **request)
{
	struct listener *listener = ctx;

	/* MHD asks first when the headers are there, when no answer but a refusal may be given. */
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
	if (!*request) {
		*request = listener;
		return MHD_YES;
	}
	if (*upload_size)
		return MHD_NO;
	if (!strcmp(url, "/metrics"))
		return answer_metrics(listener, connection);
	if (!strcmp(url, "/-/healthy"))
		return answer_health(listener, connection);
	if (!strcmp(url, "/"))
		return answer(connection, MHD_HTTP_OK,
			      "memdrift watch " MEMDRIFT_VERSION "\n\n"
			      "/metrics    for Prometheus\n"
			      "/-/healthy  whether passes are made\n");
	return answer(connection, MHD_HTTP_NOT_FOUND, "not here; metrics are at /metrics\n");
}

static int start_daemon(struct listener *listener, int socket_fd)
{
	const union MHD_DaemonInfo *info;

	listener->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle_request, listener,
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
