// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "census/proc_stat.h"
#include "watch/census_child.h"
#include "watch/own_cost.h"

#define MB      (1024 * 1024)
#define TARGETS "/targets/heap_mix"

struct target {
	pid_t pid;
	int to_fd, from_fd;
};

/* A program beside the test in build/ or build/asan/. */
static void find_program(const char *name, char *path, size_t size)
{
	char self[3000];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	assert_true(n > 0);
	self[n] = '\0';
	for (char *cut = strrchr(self, '/'); cut; cut = strrchr(self, '/')) {
		*cut = '\0';
		snprintf(path, size, "%s/targets/%s", self, name);
		if (access(path, X_OK) == 0)
			return;
	}
	skip();
}
