/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_WATCH_SERVICE_H
#define MEMDRIFT_WATCH_SERVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/*
 * The service manager's side of watch: sd_notify(3)'s protocol, datagrams to $NOTIFY_SOCKET.
 * Without one every call does nothing and succeeds. No call blocks.
 */
struct service {
	int fd; /* -1: there is no manager */
	struct sockaddr_un address;
	socklen_t address_size;
	uint64_t watchdog_ns; /* a ping is due this often (half of $WATCHDOG_USEC); 0: never */
	uint64_t pinged_ns;
};

/*
 * Takes $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID out of the environment, so that no child
 * speaks for us. 0, or a negative errno for a socket that cannot be: -EAFNOSUPPORT is one that is
 * neither a path nor abstract; the service is then as without a manager.
 */
int service__init(struct service *service);
void service__close(struct service *service);

/* 0 or a negative errno; -EAGAIN when the manager does not take it now. */
int service__ready(struct service *service);
/* After SIGHUP; service__ready follows when it is done. */
int service__reloading(struct service *service);
int service__stopping(struct service *service);
/* A line for `systemctl status`; control characters are replaced. */
int service__status(struct service *service, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* WATCHDOG=1 when one is due: called on each turn of the loop, and costs a comparison. */
int service__ping(struct service *service, uint64_t now_ns);
/* Until the next ping is due, for the loop's poll; -1: never. */
int service__timeout_ms(const struct service *service, uint64_t now_ns);

#endif
