// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "watch/service.h"

#define NS_PER_S 1000000000ull

/* A manager that listens at an address of the abstract namespace or a path. */
struct manager {
	int fd;
	char address[64];
};

static void start_manager(struct manager *manager, const char *format)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t size;

	snprintf(manager->address, sizeof(manager->address), format, getpid());
	strcpy(address.sun_path, manager->address);
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(address.sun_path));
	if (*address.sun_path == '@')
		*address.sun_path = '\0';
	manager->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_true(manager->fd >= 0);
	assert_int_equal(bind(manager->fd, (struct sockaddr *)&address, size), 0);
	setenv("NOTIFY_SOCKET", manager->address, 1);
}

static void end_manager(struct manager *manager)
{
	close(manager->fd);
	if (*manager->address == '/')
		unlink(manager->address);
}

static void assert_heard(const struct manager *manager, const char *text)
{
	char heard[1024] = "";

	assert_true(recv(manager->fd, heard, sizeof(heard) - 1, 0) >= 0);
	assert_string_equal(heard, text);
}

static void assert_silent(const struct manager *manager)
{
	char heard[1024];

	assert_int_equal(recv(manager->fd, heard, sizeof(heard), 0), -1);
	assert_int_equal(errno, EAGAIN);
}

static void talk(const char *format)
{
	struct manager manager;
	struct service service;
	char heard[128] = "";
	unsigned long long us;

	start_manager(&manager, format);
	assert_int_equal(service__init(&service), 0);
	/* No child speaks for us. */
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_int_equal(service__ready(&service), 0);
	assert_heard(&manager, "READY=1");
	assert_int_equal(service__status(&service, "%d processes\nREADY=1", 812), 0);
	assert_heard(&manager, "STATUS=812 processes READY=1");
	assert_int_equal(service__reloading(&service), 0);
	assert_true(recv(manager.fd, heard, sizeof(heard) - 1, 0) > 0);
	assert_int_equal(sscanf(heard, "RELOADING=1\nMONOTONIC_USEC=%llu", &us), 1);
	assert_true(us > 0);
	assert_int_equal(service__stopping(&service), 0);
	assert_heard(&manager, "STOPPING=1");
	service__close(&service);
	end_manager(&manager);
}

static void a_manager_at_an_abstract_address_hears_us(void **state)
{
	talk("@memdrift-test-%d");
}

static void a_manager_at_a_path_hears_us(void **state)
{
	talk("/tmp/memdrift-test-%d");
}

static void without_a_manager_nothing_happens(void **state)
{
	struct service service;

	unsetenv("NOTIFY_SOCKET");
	setenv("WATCHDOG_USEC", "1000000", 1);
	assert_int_equal(service__init(&service), 0);
	assert_int_equal(service__ready(&service), 0);
	assert_int_equal(service__ping(&service, NS_PER_S), 0);
	assert_int_equal(service__timeout_ms(&service, NS_PER_S), -1);
	service__close(&service);
}

static void addresses_that_cannot_be_are_refused(void **state)
{
	char path[200];
	struct service service;

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	path[0] = '/';
	setenv("NOTIFY_SOCKET", path, 1);
	assert_int_equal(service__init(&service), -EINVAL);
	setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
	assert_int_equal(service__init(&service), -EAFNOSUPPORT);
	setenv("NOTIFY_SOCKET", "@", 1);
	assert_int_equal(service__init(&service), -EINVAL);
	setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
	assert_int_equal(service__init(&service), 0);
	assert_int_equal(service__ready(&service), -ENOENT);
	service__close(&service);
}

static void the_watchdog_is_pinged_twice_in_its_time(void **state)
{
	struct manager manager;
	struct service service;
	uint64_t now = 100 * NS_PER_S;

	start_manager(&manager, "@memdrift-test-%d");
	setenv("WATCHDOG_USEC", "20000000", 1);
	unsetenv("WATCHDOG_PID");
	assert_int_equal(service__init(&service), 0);
	assert_null(getenv("WATCHDOG_USEC"));
	assert_int_equal(service__timeout_ms(&service, now), 0);
	assert_int_equal(service__ping(&service, now), 0);
	assert_heard(&manager, "WATCHDOG=1");
	assert_int_equal(service__timeout_ms(&service, now), 10000);
	assert_int_equal(service__ping(&service, now + 9 * NS_PER_S), 0);
	assert_silent(&manager);
	assert_int_equal(service__timeout_ms(&service, now + 9 * NS_PER_S), 1000);
	assert_int_equal(service__ping(&service, now + 10 * NS_PER_S), 0);
	assert_heard(&manager, "WATCHDOG=1");
	service__close(&service);
	end_manager(&manager);
}

static void another_process_s_watchdog_is_not_ours(void **state)
{
	static const char *const numbers[][2] = {
		{"20000000", "1"}, {"-5", ""}, {"x", ""}, {"99999999999999999999", ""}};
	struct manager manager;
	struct service service;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		start_manager(&manager, "@memdrift-test-%d");
		setenv("WATCHDOG_USEC", numbers[i][0], 1);
		setenv("WATCHDOG_PID", numbers[i][1], 1);
		assert_int_equal(service__init(&service), 0);
		assert_int_equal(service__timeout_ms(&service, NS_PER_S), -1);
		service__close(&service);
		end_manager(&manager);
	}
}

/* A manager that does not read: each call returns, and the loop does not spin. */
static void a_manager_that_does_not_listen_blocks_nothing(void **state)
{
	struct manager manager;
	struct service service;
	uint64_t now = 100 * NS_PER_S;
	int err = 0;

	start_manager(&manager, "@memdrift-test-%d");
	setenv("WATCHDOG_USEC", "20000000", 1);
	unsetenv("WATCHDOG_PID");
	assert_int_equal(service__init(&service), 0);
	for (int i = 0; i < 100000 && !err; i++)
		err = service__ready(&service);
	assert_int_equal(err, -EAGAIN);
	assert_int_equal(service__ping(&service, now), -EAGAIN);
	assert_in_range(service__timeout_ms(&service, now), 1, 1000);
	service__close(&service);
	end_manager(&manager);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_manager_at_an_abstract_address_hears_us),
		cmocka_unit_test(a_manager_at_a_path_hears_us),
		cmocka_unit_test(without_a_manager_nothing_happens),
		cmocka_unit_test(addresses_that_cannot_be_are_refused),
		cmocka_unit_test(the_watchdog_is_pinged_twice_in_its_time),
		cmocka_unit_test(another_process_s_watchdog_is_not_ours),
		cmocka_unit_test(a_manager_that_does_not_listen_blocks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
