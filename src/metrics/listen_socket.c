// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "metrics/listen_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Those that wait while LISTENER_CONNECTIONS_MAX are served. */
#define BACKLOG 64

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* 0 is "any that is free". */
static int parse_port(const char *text, in_port_t *port)
{
	unsigned long value;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || value > UINT16_MAX)
		return -EINVAL;
	*port = htons((uint16_t)value);
	return 0;
}

/* An empty host is loopback: what an operator did not ask for is not open to the network. */
static int parse_host(char *host, union address *out)
{
	size_t length = strlen(host);

	if (!length || !strcmp(host, "localhost"))
		host = "127.0.0.1";
	if (!strcmp(host, "*")) {
		out->v6.sin6_family = AF_INET6;
		out->v6.sin6_addr = in6addr_any;
		return 0;
	}
	if (length > 2 && host[0] == '[' && host[length - 1] == ']') {
		host[length - 1] = '\0';
		out->v6.sin6_family = AF_INET6;
		return inet_pton(AF_INET6, host + 1, &out->v6.sin6_addr) == 1 ? 0 : -EINVAL;
	}
	out->v4.sin_family = AF_INET;
	return inet_pton(AF_INET, host, &out->v4.sin_addr) == 1 ? 0 : -EINVAL;
}

static int parse_address(const char *text, union address *out)
{
	/* Longer than any numeric address. */
	char host[INET6_ADDRSTRLEN + 8] = "";
	const char *colon = strrchr(text, ':');
	const char *port_text = colon ? colon + 1 : text;
	size_t host_length = colon ? (size_t)(colon - text) : 0;
	in_port_t port;
	int err;

	*out = (union address){0};
	if (host_length >= sizeof(host) || parse_port(port_text, &port))
		return -EINVAL;
	memcpy(host, text, host_length);
	err = parse_host(host, out);
	if (out->any.sa_family == AF_INET6)
		out->v6.sin6_port = port;
	else
		out->v4.sin_port = port;
	return err;
}

static socklen_t size_of(const union address *address)
{
	return address->any.sa_family == AF_INET6 ? sizeof(address->v6) : sizeof(address->v4);
}

/* On a host without IPv6 "*" is all of IPv4. */
static int open_socket(union address *address)
{
	int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
	int fd = socket(address->any.sa_family, type, 0);

	if (fd >= 0 || errno != EAFNOSUPPORT || address->any.sa_family != AF_INET6 ||
	    memcmp(&address->v6.sin6_addr, &in6addr_any, sizeof(in6addr_any)) != 0)
		return fd < 0 ? -errno : fd;
	address->v4 =
		(struct sockaddr_in){.sin_family = AF_INET, .sin_port = address->v6.sin6_port};
	fd = socket(AF_INET, type, 0);
	return fd < 0 ? -errno : fd;
}

static int bind_and_listen(int fd, union address *address)
{
	int on = 1, off = 0;
	socklen_t size = sizeof(*address);

	/* A restart need not wait for connections of the one before. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
		return -errno;
	if (address->any.sa_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)))
		return -errno;
	if (bind(fd, &address->any, size_of(address)) || listen(fd, BACKLOG) ||
	    getsockname(fd, &address->any, &size))
		return -errno;
	return 0;
}

static void write_url(const union address *address, char url[LISTENER_URL_MAX])
{
	bool v6 = address->any.sa_family == AF_INET6;
	char host[INET6_ADDRSTRLEN] = "";

	inet_ntop(address->any.sa_family,
		  v6 ? (const void *)&address->v6.sin6_addr : (const void *)&address->v4.sin_addr,
		  host, sizeof(host));
	snprintf(url, LISTENER_URL_MAX, v6 ? "http://[%s]:%u/metrics" : "http://%s:%u/metrics",
		 host, ntohs(v6 ? address->v6.sin6_port : address->v4.sin_port));
}

static const char *what_to_do(int err)
{
	switch (err) {
	case -EADDRINUSE:
		return "; another program, or another memdrift watch, listens there: take another "
		       "port with --listen";
	case -EADDRNOTAVAIL:
		return "; this host does not have that address";
	case -EACCES:
		return "; ports below 1024 need CAP_NET_BIND_SERVICE";
	default:
		return "";
	}
}

int listen_socket__open(const char *text, char url[LISTENER_URL_MAX],
			char error[LISTENER_ERROR_MAX])
{
	union address address;
	int fd, err;

	if (parse_address(text, &address)) {
		snprintf(error, LISTENER_ERROR_MAX,
			 "cannot listen at \"%s\": give ADDRESS:PORT with a numeric address, as "
			 "127.0.0.1:9753, [::1]:9753, or *:9753 for all",
			 text);
		return -EINVAL;
	}
	fd = open_socket(&address);
	err = fd < 0 ? fd : bind_and_listen(fd, &address);
	if (err) {
		snprintf(error, LISTENER_ERROR_MAX, "cannot listen at %s: %s%s", text,
			 strerror(-err), what_to_do(err));
		if (fd >= 0)
			close(fd);
		return err;
	}
	write_url(&address, url);
	return fd;
}
