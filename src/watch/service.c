// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "watch/service.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define NS_PER_US     1000u
#define NS_PER_MS     1000000ull
#define DATAGRAM_MAX  512
#define STATUS_PREFIX "STATUS="

/* The number in the environment, 0 for none; it is taken out of there. */
static uint64_t take_number(const char *name)
{
	const char *text = getenv(name);
	unsigned long long value;
	char *end;

	if (!text)
		return 0;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9')
		value = 0;
	unsetenv(name);
	return value;
}

/* sd_notify(3): a path, or @ and a name of the abstract namespace, which has no NUL at its end. */
static int read_address(const char *text, struct service *service)
{
	size_t length = strlen(text);
	struct sockaddr_un *address = &service->address;

	if (text[0] != '/' && text[0] != '@')
		return -EAFNOSUPPORT;
	if (length < 2 || length >= sizeof(address->sun_path))
		return -EINVAL;
	address->sun_family = AF_UNIX;
	memcpy(address->sun_path, text, length);
	service->address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	if (text[0] == '@')
		address->sun_path[0] = '\0';
	else
		service->address_size++;
	return 0;
}

int service__init(struct service *service)
{
	const char *address = getenv("NOTIFY_SOCKET");
	uint64_t watchdog_us = take_number("WATCHDOG_USEC");
	uint64_t watchdog_pid = take_number("WATCHDOG_PID");
	int err;

	*service = (struct service){.fd = -1};
	if (!address)
		return 0;
	err = read_address(address, service);
	unsetenv("NOTIFY_SOCKET");
	if (err)
		return err;
	service->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (service->fd < 0)
		return -errno;
	/* Set for another process when there is a shell between. */
	if (watchdog_us && watchdog_us < UINT64_MAX / NS_PER_US &&
	    (!watchdog_pid || watchdog_pid == (uint64_t)getpid()))
		service->watchdog_ns = watchdog_us * NS_PER_US / 2;
	return 0;
}

void service__close(struct service *service)
{
	if (service->fd >= 0)
		close(service->fd);
	service->fd = -1;
	service->watchdog_ns = 0;
}

static int send_text(struct service *service, const char *text)
{
	if (service->fd < 0)
		return 0;
	if (sendto(service->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
		   (const struct sockaddr *)&service->address, service->address_size) < 0)
		return -errno;
	return 0;
}

int service__ready(struct service *service)
{
	return send_text(service, "READY=1");
}

/* With the clock, as Type=notify-reload wants it (systemd 253). */
int service__reloading(struct service *service)
{
	char text[DATAGRAM_MAX];

	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		 monotonic_ns() / NS_PER_US);
	return send_text(service, text);
}

int service__stopping(struct service *service)
{
	return send_text(service, "STOPPING=1");
}

int service__status(struct service *service, const char *fmt, ...)
{
	char text[DATAGRAM_MAX] = STATUS_PREFIX;
	size_t prefix = strlen(STATUS_PREFIX);
	va_list args;

	va_start(args, fmt);
	vsnprintf(text + prefix, sizeof(text) - prefix, fmt, args);
	va_end(args);
	/* A line break would begin another assignment. */
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
	return send_text(service, text);
}

int service__ping(struct service *service, uint64_t now_ns)
{
	int err;

	if (!service->watchdog_ns || now_ns - service->pinged_ns < service->watchdog_ns)
		return 0;
	err = send_text(service, "WATCHDOG=1");
	/* One that was not taken is due again soon, but not in a busy loop. */
	service->pinged_ns = err ? now_ns - service->watchdog_ns / 10 * 9 : now_ns;
	return err;
}

int service__timeout_ms(const struct service *service, uint64_t now_ns)
{
	uint64_t since_ns = now_ns - service->pinged_ns, left_ms;

	if (!service->watchdog_ns)
		return -1;
	if (since_ns >= service->watchdog_ns)
		return 0;
	left_ms = (service->watchdog_ns - since_ns + NS_PER_MS - 1) / NS_PER_MS;
	return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}
