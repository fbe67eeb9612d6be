// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "metrics/listener.h"

#define PATIENCE_NS 20000000000ull
#define ANSWER_MAX  (1 << 20)

/* What the metrics are filled from. */
struct source {
	struct listener *listener;
	unsigned int fills;
	bool healthy;
	struct subject_name *names;
	int64_t value[COMPONENT_MAX];
	size_t subjects;
};

static void fill(void *ctx, struct metrics *metrics)
{
	struct source *source = ctx;

	source->fills++;
	metrics->cost.passes = 12345;
	for (size_t i = 0; i < source->subjects; i++) {
		struct metrics_subject subject = {.name = &source->names[i],
						  .value = source->value,
						  .drift = true,
						  .verdict = DRIFT_LEAK};

		metrics__add_subject(metrics, &subject);
	}
}

static bool is_healthy(void *ctx)
{
	struct source *source = ctx;

	return source->healthy;
}

static struct listener_options options_of(struct source *source, const char *address)
{
	return (struct listener_options){
		.address = address, .fill = fill, .ctx = source, .healthy = is_healthy};
}

static void open_at(struct source *source, const char *address)
{
	struct listener_options options = options_of(source, address);
	char error[LISTENER_ERROR_MAX] = "";

	if (listener__open(&source->listener, &options, error))
		fail_msg("%s", error);
}

static int port_of(const struct source *source)
{
	const char *url = listener__url(source->listener);

	return atoi(strrchr(url, ':') + 1);
}

static int connect_to(const struct source *source)
{
	/* Little is on its way to a client that does not read. */
	int buffer_bytes = 4096;
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)port_of(source)),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof(buffer_bytes));
	assert_true(!connect(fd, (struct sockaddr *)&address, sizeof(address)) ||
		    errno == EINPROGRESS);
	return fd;
}

static void send_text(int fd, const char *text)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

	assert_int_equal(poll(&poll_fd, 1, 20000), 1);
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* A turn of the loop, which also ends when one of these is readable. */
static void turn(struct source *source, int fd)
{
	struct pollfd fds[] = {{.fd = listener__fd(source->listener), .events = POLLIN},
			       {.fd = fd, .events = POLLIN}};
	int timeout_ms = listener__timeout_ms(source->listener);

	assert_true(poll(fds, 2, timeout_ms < 0 ? 1000 : timeout_ms) >= 0);
	listener__run(source->listener);
}

/* Reads until the server closes the connection. */
static void read_answer(struct source *source, int fd, char answer[ANSWER_MAX])
{
	uint64_t end_ns = monotonic_ns() + PATIENCE_NS;
	size_t size = 0;

	while (monotonic_ns() < end_ns) {
		ssize_t n = recv(fd, answer + size, ANSWER_MAX - 1 - size, 0);

		if (!n || (n < 0 && errno == ECONNRESET)) {
			answer[size] = '\0';
			close(fd);
			return;
		}
		if (n > 0)
			size += (size_t)n;
		else
			turn(source, fd);
	}
	fail_msg("the connection is not closed; so far: %.*s", (int)size, answer);
}

static void ask(struct source *source, const char *request, char answer[ANSWER_MAX])
{
	int fd = connect_to(source);

	send_text(fd, request);
	read_answer(source, fd, answer);
}

static bool begins(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

static int make_answer(void **state)
{
	*state = calloc(1, ANSWER_MAX);
	return *state ? 0 : -1;
}

static int free_answer(void **state)
{
	free(*state);
	return 0;
}

static void serves_metrics(void **state)
{
	struct source source = {.healthy = true};
	char *answer = *state;

	open_at(&source, "127.0.0.1:0");
	ask(&source, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", answer);
	assert_true(begins(answer, "HTTP/1.1 200 "));
	assert_non_null(strstr(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8"));
	assert_non_null(strstr(answer, "\nmemdrift_passes_total 12345\n"));
	ask(&source, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", answer);
	assert_true(begins(answer, "HTTP/1.1 200 "));
	assert_null(strstr(answer, "memdrift_passes_total"));
	ask(&source, "GET / HTTP/1.0\r\n\r\n", answer);
	assert_true(begins(answer, "HTTP/1.0 200 ") || begins(answer, "HTTP/1.1 200 "));
	assert_non_null(strstr(answer, "/metrics"));
	listener__close(source.listener);
}

static void health_is_the_caller_s(void **state)
{
	struct source source = {.healthy = true};
	char *answer = *state;

	open_at(&source, "127.0.0.1:0");
	ask(&source, "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n", answer);
	assert_true(begins(answer, "HTTP/1.1 200 "));
	source.healthy = false;
	ask(&source, "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n", answer);
	assert_true(begins(answer, "HTTP/1.1 503 "));
	assert_int_equal(source.fills, 0);
	listener__close(source.listener);
}

static void refuses_everything_else(void **state)
{
	struct source source = {.healthy = true};
	char *answer = *state, *request = calloc(1, 200000);

	assert_non_null(request);
	open_at(&source, "127.0.0.1:0");
	ask(&source, "GET /metrics/ HTTP/1.1\r\nHost: x\r\n\r\n", answer);
	assert_true(begins(answer, "HTTP/1.1 404 "));
	ask(&source, "GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", answer);
	assert_true(begins(answer, "HTTP/1.1 404 "));
	ask(&source, "DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n", answer);
	assert_true(begins(answer, "HTTP/1.1 405 "));
	ask(&source,
	    "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nxxxxxxxxxxx",
	    answer);
	assert_true(begins(answer, "HTTP/1.1 405 ") || !*answer);
	ask(&source, "GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nxxxxx", answer);
	assert_false(begins(answer, "HTTP/1.1 200 "));
	/* No request at all, and headers that are larger than anyone's. */
	ask(&source, "\x16\x03\x01\x02\n\n\r\n\r\n", answer);
	assert_false(begins(answer, "HTTP/1.1 200 "));
	memset(request, 'x', 100000);
	for (size_t i = 0; i < 5; i++)
		request[i] = "GET /"[i];
	ask(&source, request, answer);
	assert_false(begins(answer, "HTTP/1.1 200 "));
	assert_int_equal(source.fills, 0);
	free(request);
	listener__close(source.listener);
}

/* Those that ask at the same time share one text. */
static void a_flood_of_scrapes_is_rendered_once(void **state)
{
	enum { SCRAPES = 20 };
	struct source source = {.healthy = true};
	uint64_t begin_ns = monotonic_ns(), longest;

	open_at(&source, "127.0.0.1:0");
	for (int i = 0; i < SCRAPES; i++)
		ask(&source, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", *state);
	longest = (monotonic_ns() - begin_ns) / LISTENER_FRESH_NS;
	assert_in_range(source.fills, 1, longest + 1);
	listener__close(source.listener);
}

/* Clients that say nothing, half of a request, or do not read, and one that does. */
static void slow_clients_do_not_hold_up_others(void **state)
{
	enum { SLOW = LISTENER_CONNECTIONS_MAX - 2 };
	struct source source = {.healthy = true};
	int fds[SLOW];

	open_at(&source, "127.0.0.1:0");
	for (int i = 0; i < SLOW; i++) {
		fds[i] = connect_to(&source);
		send_text(fds[i], i % 3 == 0   ? "G"
				  : i % 3 == 1 ? "GET /metrics HTTP/1.1\r\nHost: x\r\nX: "
					       : "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
		turn(&source, -1);
	}
	ask(&source, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", *state);
	assert_true(begins(*state, "HTTP/1.1 200 "));
	for (int i = 0; i < SLOW; i++)
		close(fds[i]);
	listener__close(source.listener);
}

/* Asks and looks at no more than the first line of the answer. */
static int ask_only(struct source *source, char status[16])
{
	uint64_t end_ns = monotonic_ns() + PATIENCE_NS;
	int fd = connect_to(source);
	ssize_t size;

	send_text(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	do {
		turn(source, fd);
		size = recv(fd, status, 12, MSG_PEEK);
	} while (size < 12 && monotonic_ns() < end_ns);
	assert_int_equal(size, 12);
	status[12] = '\0';
	return fd;
}

/* Texts as large as processes can make them, held by clients that do not read. */
static void slow_clients_do_not_take_memory(void **state)
{
	const size_t subjects = METRICS_SUBJECTS_DEFAULT + METRICS_DRIFTING_MAX;
	struct source source = {.healthy = true, .subjects = subjects};
	int slow[8], held = 0;
	char status[16];

	source.names = calloc(subjects, sizeof(*source.names));
	assert_non_null(source.names);
	for (size_t i = 0; i < subjects; i++) {
		memset(source.names[i].unit, '\\', SUBJECT_UNIT_MAX - 1);
		memset(source.names[i].exe, '"', SUBJECT_EXE_MAX - 1);
		source.names[i].slot = (uint32_t)i;
	}
	open_at(&source, "127.0.0.1:0");
	do {
		uint64_t fresh_ns = monotonic_ns() + LISTENER_FRESH_NS;

		assert_in_range(held, 0, 7);
		slow[held++] = ask_only(&source, status);
		while (monotonic_ns() < fresh_ns)
			turn(&source, -1);
	} while (begins(status, "HTTP/1.1 200"));
	assert_string_equal(status, "HTTP/1.1 503");
	/* Those who ask for less are served. */
	ask(&source, "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n", *state);
	assert_true(begins(*state, "HTTP/1.1 200 "));
	while (held)
		close(slow[--held]);
	listener__close(source.listener);
	free(source.names);
}

/* A byte from time to time keeps no connection for ever: more than fit make room for others. */
static void a_connection_ends_at_its_age(void **state)
{
	enum { SLOW = LISTENER_CONNECTIONS_MAX + 8 };
	struct source source = {.healthy = true};
	struct listener_options options = options_of(&source, "127.0.0.1:0");
	char error[LISTENER_ERROR_MAX];
	uint64_t end_ns = monotonic_ns() + PATIENCE_NS;
	int fds[SLOW], open_fds = SLOW;

	options.age_max_ns = 50000000;
	assert_int_equal(listener__open(&source.listener, &options, error), 0);
	for (int i = 0; i < SLOW; i++) {
		fds[i] = connect_to(&source);
		send_text(fds[i], "GET /metrics HTTP/1.1\r\n");
	}
	while (open_fds && monotonic_ns() < end_ns) {
		turn(&source, -1);
		for (int i = 0; i < SLOW; i++) {
			char byte;

			bool ended = fds[i] >= 0 &&
				     ((send(fds[i], "x", 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN) ||
				      recv(fds[i], &byte, 1, 0) == 0);

			if (!ended)
				continue;
			close(fds[i]);
			fds[i] = -1;
			open_fds--;
		}
	}
	assert_int_equal(open_fds, 0);
	listener__close(source.listener);
}

static void assert_refused(const char *address, int err, const char *why)
{
	struct source source = {0};
	struct listener_options options = options_of(&source, address);
	char error[LISTENER_ERROR_MAX] = "";

	assert_int_equal(listener__open(&source.listener, &options, error), err);
	assert_null(source.listener);
	if (!strstr(error, why))
		fail_msg("%s: %s", address, error);
}

static void a_taken_port_is_said(void **state)
{
	struct source source = {.healthy = true};
	char address[32];

	open_at(&source, ":0");
	snprintf(address, sizeof(address), "127.0.0.1:%d", port_of(&source));
	assert_refused(address, -EADDRINUSE, "another program");
	listener__close(source.listener);
	open_at(&source, address);
	listener__close(source.listener);
}

static void addresses_of_all_forms(void **state)
{
	static const struct {
		const char *address, *url;
	} good[] = {
		{":0", "http://127.0.0.1:"},
		{"0", "http://127.0.0.1:"},
		{"localhost:0", "http://127.0.0.1:"},
		{"127.0.0.2:0", "http://127.0.0.2:"},
	};
	static const char *const bad[] = {"",
					  ":",
					  "127.0.0.1",
					  "127.0.0.1:",
					  ":65536",
					  ":-1",
					  ": 80",
					  ":80x",
					  "[::1:80",
					  "example:80",
					  "::1:80",
					  "300.0.0.1:80",
					  "[::1]80",
					  "[]:80",
					  "1.2.3.4:80:",
					  ":99999999999999999999",
					  "[fe80::1%eth0]:80"};
	struct source source = {.healthy = true};
	char all[128];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		open_at(&source, good[i].address);
		assert_true(begins(listener__url(source.listener), good[i].url));
		assert_non_null(strstr(listener__url(source.listener), "/metrics"));
		listener__close(source.listener);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(bad[i], -EINVAL, "give ADDRESS:PORT");
	memset(all, '1', sizeof(all) - 1);
	strcpy(all + 100, ":80");
	assert_refused(all, -EINVAL, "give ADDRESS:PORT");
	/* TEST-NET-1 is nobody's. */
	assert_refused("192.0.2.1:0", -EADDRNOTAVAIL, "does not have that address");
}

static void all_addresses_include_ipv4(void **state)
{
	struct source source = {.healthy = true};
	char *answer = *state;

	open_at(&source, "*:0");
	ask(&source, "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n", answer);
	assert_true(begins(answer, "HTTP/1.1 200 "));
	listener__close(source.listener);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_answer, free_answer)
	const struct CMUnitTest tests[] = {
		TEST(serves_metrics),
		TEST(health_is_the_caller_s),
		TEST(refuses_everything_else),
		TEST(a_flood_of_scrapes_is_rendered_once),
		TEST(slow_clients_do_not_hold_up_others),
		TEST(slow_clients_do_not_take_memory),
		TEST(a_connection_ends_at_its_age),
		TEST(a_taken_port_is_said),
		TEST(addresses_of_all_forms),
		TEST(all_addresses_include_ipv4),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
