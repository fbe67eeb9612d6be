/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_METRICS_LISTENER_INTERNAL_H
#define MEMDRIFT_METRICS_LISTENER_INTERNAL_H

#include <microhttpd.h>

#include "metrics/listener.h"

/* Shared by src/metrics/listener*.c only. */

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

/* libmicrohttpd's MHD_AccessHandlerCallback; ctx is the listener. */
enum MHD_Result listener__answer(void *ctx, struct MHD_Connection *connection, const char *url,
				 const char *method, const char *version, const char *upload,
				 size_t *upload_size, void **request);

#endif
