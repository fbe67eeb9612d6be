/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_METRICS_LISTEN_SOCKET_H
#define MEMDRIFT_METRICS_LISTEN_SOCKET_H

#include "metrics/listener.h"

/* A socket that listens at listener_options.address, and where: src/metrics only. The descriptor,
 * or a negative errno with its message. */
int listen_socket__open(const char *address, char url[LISTENER_URL_MAX],
			char error[LISTENER_ERROR_MAX]);

#endif
