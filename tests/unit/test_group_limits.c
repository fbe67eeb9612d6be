// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "census/cgroup_mounts.h"
#include "census/cgroup_place.h"
#include "census/host.h"
#include "census/proc_file.h"
#include "watch/group_limits.h"

#include "census_child.h"

#define MB      (1ll << 20)
#define KEEP_NS 1000ull

/* A process in a group of its own that has a limit. */
static struct {
	bool made;
	char dir[4096], path[4096], text[65536];
	const char *limit_file;
	struct child child;
} group;

static void wait_quietly(struct child *child)
{
	child_ready(child);
	for (;;)
		pause();
}

static bool put(const char *file, long long value)
{
	char path[4200];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s", group.dir, file);
	f = fopen(path, "r+e");
	if (!f)
		return false;
	ok = fprintf(f, "%lld\n", value) > 0;
	return !fclose(f) && ok;
}

static int clean_up(void **state)
{
	if (!group.made)
		return 0;
	group.made = false;
	child__end(&group.child);
	while (rmdir(group.dir) && errno == EBUSY)
		; /* the kernel takes the process out soon after its end */
	return 0;
}

static bool make_group(const struct cgroup_mount *mount)
{
	const struct cgroup_mounts none = {0};
	struct cgroup_place place;

	group.limit_file = mount->version == 1 ? "memory.limit_in_bytes" : "memory.max";
	snprintf(group.dir, sizeof(group.dir), "%s/memdrift-limits-%d", mount->path, getpid());
	if (mkdir(group.dir, 0755))
		return false;
	group.child = child__start(wait_quietly);
	group.made = true;
	if (!put(group.limit_file, 300 * MB) || !put("cgroup.procs", group.child.pid) ||
	    proc_file__read((uint32_t)group.child.pid, "cgroup", group.text, sizeof(group.text)) <=
		    0 ||
	    cgroup_place__find(group.text, &none, "memory", &place))
		return false;
	snprintf(group.path, sizeof(group.path), "%s", place.path);
	cgroup_place__free(&place);
	return true;
}

static int make_any_group(void **state)
{
	struct cgroup_mounts mounts;
	bool made = false;

	if (cgroup_mounts__read(&mounts))
		return 0;
	for (size_t i = 0; i < mounts.count && !made; i++) {
		if (mounts.list[i].version == 1 &&
		    !cgroup_mount__controls(&mounts.list[i], "memory"))
			continue;
		made = make_group(&mounts.list[i]);
		if (!made)
			clean_up(state);
	}
	cgroup_mounts__free(&mounts);
	return 0;
}

static int get(struct group_limits *limits, const char *path, uint64_t now_ns,
	       struct group_limit *limit)
{
	return group_limits__get(limits, path, (uint32_t)group.child.pid, now_ns, limit);
}

static void a_limit_is_kept_and_read_again(void **state)
{
	struct group_limits *limits = group_limits__new(KEEP_NS);
	struct group_limit limit;

	if (!group.made)
		skip(); /* no group can be made here */
	assert_int_equal(get(limits, group.path, 1, &limit), 0);
	assert_int_equal(limit.limit_bytes, 300 * MB);
	assert_true(limit.cpus > 0 && limit.cpus <= host__cpus_online());
	assert_non_null(strstr(limit.path, "memdrift-limits-"));
	assert_true(put(group.limit_file, 200 * MB));
	assert_int_equal(get(limits, group.path, KEEP_NS, &limit), 0);
	assert_int_equal(limit.limit_bytes, 300 * MB);
	assert_int_equal(get(limits, group.path, KEEP_NS + 1, &limit), 0);
	assert_int_equal(limit.limit_bytes, 200 * MB);
	group_limits__free(limits);
}

/* What a group allows is not taken for another's. */
static void one_that_was_moved_is_said_to_be(void **state)
{
	struct group_limits *limits = group_limits__new(KEEP_NS);
	struct group_limit limit;

	if (!group.made)
		skip();
	assert_int_equal(get(limits, "/where/it/was", 1, &limit), -EAGAIN);
	kill(group.child.pid, SIGKILL);
	waitpid(group.child.pid, NULL, 0);
	assert_int_equal(get(limits, group.path, 1, &limit), -ESRCH);
	group_limits__free(limits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_limit_is_kept_and_read_again, make_any_group,
						clean_up),
		cmocka_unit_test_setup_teardown(one_that_was_moved_is_said_to_be, make_any_group,
						clean_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
