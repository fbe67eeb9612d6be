// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The loader's list of objects, read from outside. */
#include <errno.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "census/link_map.h"
#include "census_child.h"

/* The loader's own list, as it tells debuggers. */
static void expect_own_list(uint32_t pid)
{
	static uint64_t dynamic[LINK_MAP_MAX];
	int n = link_map__read(pid, dynamic, LINK_MAP_MAX), i = 0;

	assert_true(n >= 2);
	for (struct link_map *entry = _r_debug.r_map; entry; entry = entry->l_next)
		assert_true(i < n && dynamic[i++] == (uintptr_t)entry->l_ld);
	assert_int_equal(i, n);
	/* The program is the first. */
	assert_true(dynamic[0] == (uintptr_t)_DYNAMIC);
	assert_int_equal(link_map__read(pid, dynamic, 1), 1);
}

static void test_self(void **state)
{
	expect_own_list((uint32_t)getpid());
}

static void hold_still(struct child *child)
{
	child_ready(child);
	pause();
}

/* A copy of this process has its list where this one has. */
static void test_child(void **state)
{
	struct child child = child__start(hold_still);

	expect_own_list((uint32_t)child.pid);
	kill(child.pid, SIGKILL);
	assert_int_equal(waitpid(child.pid, NULL, 0), child.pid);
	assert_int_equal(link_map__read((uint32_t)child.pid, &(uint64_t){0}, 1), -ESRCH);
}

static int read_with_end(struct link_map *end)
{
	static uint64_t dynamic[LINK_MAP_MAX];
	struct link_map *last = _r_debug.r_map;
	int n;

	while (last->l_next)
		last = last->l_next;
	last->l_next = end;
	n = link_map__read((uint32_t)getpid(), dynamic, LINK_MAP_MAX);
	last->l_next = NULL;
	return n;
}

/* A list that runs in a circle ends at the bound, and one that leads nowhere is none. */
static void test_broken(void **state)
{
	assert_int_equal(read_with_end(_r_debug.r_map), LINK_MAP_MAX);
	assert_int_equal(read_with_end((struct link_map *)16), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_self),
		cmocka_unit_test(test_child),
		cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
