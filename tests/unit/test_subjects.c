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

#include "census/proc_stat.h"
#include "watch/subjects.h"

#define ID  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID "01234567-89ab-cdef-0123-456789abcdef"

static struct subject_name named(const char *unit, const char *exe)
{
	struct subject_name name = {0};

	snprintf(name.unit, sizeof(name.unit), "%s", unit);
	snprintf(name.exe, sizeof(name.exe), "%s", exe);
	return name;
}

static struct subject_process process(uint32_t pid, uint64_t command_hash)
{
	return (struct subject_process){pid, 1000 + pid, command_hash};
}

/* The slot that it gets. */
static uint32_t take(struct subjects *subjects, struct subject_name *name,
		     struct subject_process process)
{
	assert_int_equal(subjects__take(subjects, name, &process), 0);
	return name->slot;
}

static void units_are_told(void **state)
{
	static const struct {
		const char *text, *unit, *cgroup;
	} cases[] = {
		{"0::/system.slice/nginx.service\n", "nginx.service",
		 "/system.slice/nginx.service"},
		{"0::/system.slice/docker-" ID ".scope\n", ID, "/system.slice/docker-" ID ".scope"},
		{"0::/kubepods.slice/kubepods-burstable.slice/"
		 "kubepods-burstable-pod01234567_89ab_cdef_0123_456789abcdef.slice/"
		 "cri-containerd-" ID ".scope\n",
		 "pod:" UID, NULL},
		{"0::/batch/job7\n", "/batch/job7", "/batch/job7"},
		{"0::/\n", "", "/"},
		{"", "", ""},
		{"nonsense", "", ""},
		/* Version 1: memory has no groups for units, systemd's hierarchy has. */
		{"5:memory:/\n4:cpu:/x\n1:name=systemd:/system.slice/cron.service\n0::/\n",
		 "cron.service", "/"},
		{"5:memory:/system.slice/a.service\n1:name=systemd:/system.slice/b.service\n",
		 "a.service", "/system.slice/a.service"},
		/* Innermost. */
		{"0::/user.slice/user-1.slice/user@1.service/app.slice/web.service\n",
		 "web.service", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct subject_name name = named("old", "/bin/x");

		assert_int_equal(subject_name__place(&name, cases[i].text), 0);
		assert_string_equal(name.unit, cases[i].unit);
		if (cases[i].cgroup)
			assert_string_equal(name.cgroup, cases[i].cgroup);
	}
}

static void long_groups_are_cut(void **state)
{
	struct subject_name name = {0};
	char text[4096];

	snprintf(text, sizeof(text), "0::/%*s\n", 3000, "x");
	memset(text + 4, 'a', 3000);
	assert_int_equal(subject_name__place(&name, text), 0);
	assert_int_equal(strlen(name.cgroup), SUBJECT_GROUP_MAX - 1);
	assert_int_equal(strlen(name.unit), SUBJECT_UNIT_MAX - 1);
}

static void programs_are_told(void **state)
{
	struct subject_name name = {.comm = "work(er) 1"};
	char path[4096];

	subject_name__program(&name, "/usr/sbin/nginx");
	assert_string_equal(name.exe, "/usr/sbin/nginx");
	subject_name__program(&name, "/usr/sbin/nginx (deleted)");
	assert_string_equal(name.exe, "/usr/sbin/nginx");
	subject_name__program(&name, " (deleted)");
	assert_string_equal(name.exe, " (deleted)");
	subject_name__program(&name, NULL);
	assert_string_equal(name.exe, "[work(er) 1]");
	memset(path, 'a', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	subject_name__program(&name, path);
	assert_int_equal(strlen(name.exe), SUBJECT_EXE_MAX - 1);
}

static void slots_are_by_unit_and_program(void **state)
{
	struct subjects *subjects = subjects__new();
	struct subject_name a = named("u", "/a"), b = named("u", "/b"), c = named("v", "/a");
	/* The same text when put together. */
	struct subject_name d = named("u/", "a");

	assert_int_equal(take(subjects, &a, process(1, 7)), 0);
	assert_int_equal(take(subjects, &b, process(2, 7)), 0);
	assert_int_equal(take(subjects, &c, process(3, 7)), 0);
	assert_int_equal(take(subjects, &d, process(4, 7)), 0);
	assert_int_equal(take(subjects, &a, process(5, 7)), 1);
	assert_int_equal(subjects__count(subjects), 5);
	subjects__free(subjects);
}

static void a_restart_takes_the_free_slot(void **state)
{
	struct subjects *subjects = subjects__new();
	struct subject_name names[4], next = named("u", "/a");

	for (uint32_t i = 0; i < 4; i++) {
		names[i] = named("u", "/a");
		assert_int_equal(take(subjects, &names[i], process(i + 1, 100 + i)), i);
	}
	subjects__release(subjects, &names[2]);
	subjects__release(subjects, &names[2]); /* twice: nothing happens */
	assert_int_equal(take(subjects, &next, process(10, 999)), 2);
	subjects__release(subjects, &names[1]);
	subjects__release(subjects, &names[3]);
	/* The same command line comes before the lower number. */
	assert_int_equal(take(subjects, &next, process(11, 103)), 3);
	assert_int_equal(take(subjects, &next, process(12, 103)), 1);
	assert_int_equal(take(subjects, &next, process(13, 103)), 4);
	subjects__free(subjects);
}

/* The process's own slot, as watch had stored it before it was started again. */
static void one_that_still_lives_has_its_slot_again(void **state)
{
	struct subjects *subjects = subjects__new();
	struct subject_name name = named("u", "/a"), other = named("u", "/a");
	struct subject_process self = {.pid = getpid(), .command_hash = 1}, gone = self;
	struct proc_stat stat;

	assert_int_equal(proc_stat__read(getpid(), &stat), 0);
	self.start_time = stat.start_ticks;
	gone.start_time = stat.start_ticks + 1; /* had its pid */
	name.slot = 5;
	assert_int_equal(subjects__remember(subjects, &name, &self), 0);
	name.slot = 3;
	assert_int_equal(subjects__remember(subjects, &name, &gone), 0);
	/* Another one with that command line comes first: the slot is not free. */
	assert_int_equal(take(subjects, &other, process(77, 1)), 3);
	assert_int_equal(take(subjects, &other, process(78, 1)), 0);
	assert_int_equal(take(subjects, &name, self), 5);
	subjects__free(subjects);
}

static void what_is_remembered_is_checked(void **state)
{
	struct subjects *subjects = subjects__new();
	struct subject_name name = named("u", "");
	struct subject_process one = process(1, 1);

	assert_int_equal(subjects__remember(subjects, &name, &one), -EINVAL);
	name = named("u", "/a");
	name.slot = SUBJECTS_NAMES_MAX;
	assert_int_equal(subjects__remember(subjects, &name, &one), -EINVAL);
	name.slot = 2;
	/* Its own bytes at the bound, unterminated. */
	memset(name.exe, 'x', sizeof(name.exe));
	assert_int_equal(subjects__remember(subjects, &name, &one), 0);
	assert_int_equal(subjects__remember(subjects, &name, &one), 0);
	assert_int_equal(subjects__count(subjects), 1);
	/* What nobody holds cannot be given back. */
	subjects__release(subjects, &name);
	name = named("never", "/seen");
	subjects__release(subjects, &name);
	subjects__free(subjects);
}

static void names_are_bounded(void **state)
{
	struct subjects *subjects = subjects__new();
	struct subject_name held = named("held", "/a"), again = named("held", "/a");

	assert_int_equal(take(subjects, &held, process(1, 1)), 0);
	for (uint32_t i = 0; i < 2 * SUBJECTS_NAMES_MAX; i++) {
		struct subject_name name = named("", "/a");

		snprintf(name.unit, sizeof(name.unit), "run-%u.scope", i);
		take(subjects, &name, process(i, 1));
		subjects__release(subjects, &name);
		assert_true(subjects__count(subjects) <= SUBJECTS_NAMES_MAX);
	}
	assert_int_equal(take(subjects, &again, process(2, 1)), 1);
	subjects__free(subjects);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units_are_told),
		cmocka_unit_test(long_groups_are_cut),
		cmocka_unit_test(programs_are_told),
		cmocka_unit_test(slots_are_by_unit_and_program),
		cmocka_unit_test(a_restart_takes_the_free_slot),
		cmocka_unit_test(one_that_still_lives_has_its_slot_again),
		cmocka_unit_test(what_is_remembered_is_checked),
		cmocka_unit_test(names_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
