/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_METRICS_LISTENER_H
#define MEMDRIFT_METRICS_LISTENER_H

#include "metrics/metrics.h"

/*
 * HTTP for Prometheus: /metrics, /-/healthy and a page at / that names them. No thread: it is
 * driven by the caller's own poll. Clients are not trusted: their number, memory and time are
 * bounded, nothing that they do blocks, and metrics are rendered at most once in LISTENER_FRESH_NS.
 *
 *	poll(listener__fd(l), POLLIN, min(own timeout, listener__timeout_ms(l)));
 *	listener__run(l);	after each poll, whatever it returned
 */
struct listener;

/* Enough for several Prometheus servers and a person; more wait in the socket's backlog. */
#define LISTENER_CONNECTIONS_MAX 32
/* A connection serves one request and is ended at this age, whatever its state. */
#define LISTENER_AGE_MAX_NS 10000000000ull
#define LISTENER_FRESH_NS   500000000ull
#define LISTENER_ERROR_MAX  256
#define LISTENER_URL_MAX    80

struct listener_options {
	/*
	 * "127.0.0.1:9753", "[::1]:9753"; without a host (":9753", "9753") it is 127.0.0.1,
	 * "*:9753" is every address of the host. Numeric, or "localhost". Port 0: any that is free.
	 */
	const char *address;
	size_t subjects_max;  /* as for metrics__init */
	metrics_fill_fn fill; /* called from within listener__run */
	void *ctx;
	uint64_t age_max_ns; /* 0: LISTENER_AGE_MAX_NS */
	/* False answers /-/healthy with 503; NULL: always healthy. */
	bool (*healthy)(void *ctx);
};

/* 0 or a negative errno, -EINVAL for an address of another form; the message is a whole sentence.
 */
int listener__open(struct listener **listener, const struct listener_options *options,
		   char error[LISTENER_ERROR_MAX]);
/* Readable when there is work. Stays the same until listener__close. */
int listener__fd(const struct listener *listener);
/* Until listener__run must be called even if the descriptor is not readable; -1: need not. */
int listener__timeout_ms(const struct listener *listener);
void listener__run(struct listener *listener);
/* "http://127.0.0.1:9753/metrics", with the port that it got. */
const char *listener__url(const struct listener *listener);
void listener__close(struct listener *listener);

#endif
