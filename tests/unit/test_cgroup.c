// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "census/cgroup.h"
#include "census/cgroup_mounts.h"
#include "census/host.h"

#include "census_child.h"

static void lists_of_cpus_are_counted(void **state)
{
	assert_int_equal(cpu_list__count("0\n"), 1);
	assert_int_equal(cpu_list__count("0-1\n"), 2);
	assert_int_equal(cpu_list__count("0-3,8,10-11\n"), 7);
	assert_int_equal(cpu_list__count("5"), 1);
	assert_int_equal(cpu_list__count("\n"), -EINVAL);
	assert_int_equal(cpu_list__count(""), -EINVAL);
	assert_int_equal(cpu_list__count("0-\n"), -EINVAL);
	assert_int_equal(cpu_list__count("3-1\n"), -EINVAL);
	assert_int_equal(cpu_list__count("0,\n"), -EINVAL);
	assert_int_equal(cpu_list__count("0 1\n"), -EINVAL);
	assert_int_equal(cpu_list__count("0-99999999999\n"), -EINVAL);
	assert_int_equal(cpu_list__count("0-60000,0-60000\n"), -EINVAL);
	assert_int_equal(host__cpus_online(), sysconf(_SC_NPROCESSORS_ONLN));
}

static void parse_mounts(const char *text, struct cgroup_mounts *mounts)
{
	FILE *file = fmemopen((void *)text, strlen(text), "r");

	assert_non_null(file);
	assert_int_equal(cgroup_mounts__parse(file, "", mounts), 0);
	fclose(file);
}

static void hierarchies_are_tried_in_order(void **state)
{
	static const char *const expected[] = {
		"/sys/fs/cgroup/unified", "/sys/fs/cgroup/memory",      "/mnt/a b\n",
		"/sys/fs/cgroup/systemd", "/sys/fs/cgroup/cpu,cpuacct",
	};
	struct cgroup_mounts mounts;

	parse_mounts("31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
		     "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup "
		     "rw,cpu,cpuacct\n"
		     "33 31 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup "
		     "rw,xattr,name=systemd\n"
		     "34 31 0:31 / /sys/fs/cgroup/memory rw shared:1 master:2 - cgroup cgroup "
		     "rw,memory\n"
		     "35 31 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
		     "36 31 0:31 /docker /mnt/a\\040b\\012 rw - cgroup none rw,memory\n"
		     "37 31 0:33 / /memory rw - ext4 /dev/memory rw,memory\n"
		     "garbage\n"
		     " - cgroup2 x y\n"
		     "1 2 - cgroup2\n",
		     &mounts);
	assert_int_equal(mounts.count, sizeof(expected) / sizeof(*expected));
	for (size_t i = 0; i < mounts.count; i++)
		assert_string_equal(mounts.list[i].path, expected[i]);
	cgroup_mounts__free(&mounts);
	assert_int_equal(mounts.count, 0);
}

static void only_so_many_mounts_are_kept(void **state)
{
	struct cgroup_mounts mounts;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	for (int i = 0; i < 2 * CGROUP_MOUNTS_MAX; i++)
		fprintf(out, "1 2 0:3 / /cg/%d rw - cgroup2 cgroup2 rw\n", i);
	fclose(out);
	parse_mounts(text, &mounts);
	assert_int_equal(mounts.count, CGROUP_MOUNTS_MAX);
	cgroup_mounts__free(&mounts);
	free(text);
}

struct seen {
	uint32_t pids[64];
	size_t count;
	size_t stop_after;
};

static int note_pid(void *ctx, uint32_t pid)
{
	struct seen *seen = ctx;

	if (seen->count < 64)
		seen->pids[seen->count] = pid;
	seen->count++;
	return seen->stop_after && seen->count == seen->stop_after ? 7 : 0;
}

static void wait_quietly(struct child *child)
{
	child_ready(child);
	pause();
}

static void *wait_as_thread(void *arg)
{
	struct child *child = arg;

	child->told[0] = syscall(SYS_gettid);
	child_ready(child);
	pause();
	return NULL;
}

static void wait_with_thread(struct child *child)
{
	pthread_t thread;

	pthread_create(&thread, NULL, wait_as_thread, child);
	pause();
}

static bool put(const char *group, const char *name, pid_t pid)
{
	char path[4200];
	FILE *file;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s", group, name);
	file = fopen(path, "r+");
	if (!file)
		return false;
	fprintf(file, "%d\n", pid);
	ok = fclose(file) == 0;
	return ok;
}

/* Two processes, one in a group and one in a group below it. */
struct groups {
	bool made;
	char upper[4096], lower[4100];
	char name[64];
	struct child in_upper, in_lower;
};

static bool make_groups(struct groups *groups, const char *mount)
{
	snprintf(groups->name, sizeof(groups->name), "memdrift-test-%d", getpid());
	snprintf(groups->upper, sizeof(groups->upper), "%s/%s", mount, groups->name);
	snprintf(groups->lower, sizeof(groups->lower), "%s/b c", groups->upper);
	if (mkdir(groups->upper, 0755) || mkdir(groups->lower, 0755)) {
		rmdir(groups->upper);
		return false;
	}
	groups->in_upper = child__start(wait_with_thread);
	groups->in_lower = child__start(wait_quietly);
	groups->made = true;
	return true;
}

/* A group can be removed once the kernel has taken the last process out of it, soon after its end.
 */
static void remove_group(const char *path)
{
	while (rmdir(path) && errno == EBUSY)
		;
}

static void remove_groups(struct groups *groups)
{
	groups->made = false;
	child__end(&groups->in_upper);
	child__end(&groups->in_lower);
	remove_group(groups->lower);
	remove_group(groups->upper);
}

static void expect_both(const struct groups *groups, const char *path)
{
	struct seen seen = {0};
	uint32_t a = groups->in_upper.pid, b = groups->in_lower.pid;

	assert_int_equal(cgroup__each_process(path, note_pid, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.pids[0], a < b ? a : b);
	assert_int_equal(seen.pids[1], a < b ? b : a);
}

static struct groups groups;

/* Also after a test that failed. */
static int clean_up(void **state)
{
	if (groups.made)
		remove_groups(&groups);
	return 0;
}

/* In every hierarchy that lets us make groups. */
static void groups_are_read_with_those_below(void **state)
{
	struct cgroup_mounts mounts;
	int tested = 0;

	assert_int_equal(cgroup_mounts__read(&mounts), 0);
	for (size_t i = 0; i < mounts.count; i++) {
		struct seen seen = {.stop_after = 1};
		char path[4200];

		if (!make_groups(&groups, mounts.list[i].path))
			continue;
		if (put(groups.upper, "cgroup.procs", groups.in_upper.pid) &&
		    put(groups.lower, "cgroup.procs", groups.in_lower.pid)) {
			assert_int_equal(cgroup__each_process(groups.lower, note_pid, &seen), 7);
			assert_int_equal(seen.pids[0], groups.in_lower.pid);
			/* Version 1 lets threads of one process lie in several groups. */
			put(groups.lower, "tasks", groups.in_upper.told[0]);
			expect_both(&groups, groups.upper);
			expect_both(&groups, groups.name);
			snprintf(path, sizeof(path), "/%s", groups.name);
			expect_both(&groups, path);
			tested++;
		}
		remove_groups(&groups);
	}
	cgroup_mounts__free(&mounts);
	if (!tested)
		skip();
}

static void an_empty_group_has_no_process(void **state)
{
	struct cgroup_mounts mounts;
	struct seen seen = {0};
	char path[4096];
	bool made = false;

	assert_int_equal(cgroup_mounts__read(&mounts), 0);
	for (size_t i = 0; !made && i < mounts.count; i++) {
		snprintf(path, sizeof(path), "%s/memdrift-test-empty-%d", mounts.list[i].path,
			 getpid());
		made = mkdir(path, 0755) == 0;
	}
	cgroup_mounts__free(&mounts);
	if (!made)
		skip();
	assert_int_equal(cgroup__each_process(path, note_pid, &seen), 0);
	assert_int_equal(cgroup__each_process(strrchr(path, '/'), note_pid, &seen), 0);
	assert_int_equal(seen.count, 0);
	rmdir(path);
}

static void what_is_no_group_is_refused(void **state)
{
	struct seen seen = {0};

	assert_int_equal(cgroup__each_process("/no/such/group\x1b[31m", note_pid, &seen), -ENOENT);
	assert_int_equal(cgroup__each_process("/tmp", note_pid, &seen), -EINVAL);
	assert_int_equal(cgroup__each_process("/etc/passwd", note_pid, &seen), -EINVAL);
	assert_true(cgroup__each_process("no-such-group", note_pid, &seen) < 0);
	assert_true(cgroup__each_process("../../tmp", note_pid, &seen) < 0);
	assert_int_equal(seen.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_of_cpus_are_counted),
		cmocka_unit_test(hierarchies_are_tried_in_order),
		cmocka_unit_test(only_so_many_mounts_are_kept),
		cmocka_unit_test_teardown(groups_are_read_with_those_below, clean_up),
		cmocka_unit_test(an_empty_group_has_no_process),
		cmocka_unit_test(what_is_no_group_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
