// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "census/cgroup_facts.h"
#include "census/cgroup_file.h"
#include "census/cgroup_names.h"
#include "census/cgroup_place.h"

#include "cgroup_tree.h"

#define ID   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID  "11111111-2222-3333-4444-555555555555"
#define UID_ "11111111_2222_3333_4444_555555555555"
#define M    (1024 * 1024LL)

struct name_case {
	const char *path, *id, *runtime, *pod, *unit;
};

static const struct name_case names[] = {
	{"/", "", "", "", ""},
	{"", "", "", "", ""},
	{"/docker/" ID, ID, "docker", "", ""},
	{"/system.slice/docker-" ID ".scope", ID, "docker", "", "docker-" ID ".scope"},
	{"/docker/" ID "/system.slice/ssh.service", ID, "docker", "", "ssh.service"},
	{"/default/" ID, ID, "containerd", "", ""},
	{"/system.slice/nerdctl-" ID ".scope", ID, "containerd", "", "nerdctl-" ID ".scope"},
	{"/machine.slice/libpod-" ID ".scope/container", ID, "podman", "", "libpod-" ID ".scope"},
	{"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope", ID,
	 "podman", "", "libpod-" ID ".scope"},
	{"/libpod_parent/libpod-" ID, ID, "podman", "", ""},
	/* Monitors are beside their containers. */
	{"/machine.slice/libpod-conmon-" ID ".scope", "", "", "", "libpod-conmon-" ID ".scope"},
	{"/x.slice/crio-conmon-" ID ".scope", "", "", "", "crio-conmon-" ID ".scope"},
	{"/lxc.monitor.web", "", "", "", ""},
	{"/kubepods/burstable/pod" UID "/" ID, ID, "kubernetes", UID, ""},
	{"/kubepods/pod" UID "/" ID, ID, "kubernetes", UID, ""},
	{"/kubepods/besteffort/pod0123456789abcdef0123456789abcdef/crio-" ID, ID, "cri-o",
	 "0123456789abcdef0123456789abcdef", ""},
	{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_
	 ".slice/cri-containerd-" ID ".scope",
	 ID, "containerd", UID, "cri-containerd-" ID ".scope"},
	{"/kubepods.slice/kubepods-pod" UID_ ".slice/crio-" ID ".scope", ID, "cri-o", UID,
	 "crio-" ID ".scope"},
	{"/kubepods.slice/kubepods-pod" UID_ ".slice/docker-" ID ".scope", ID, "docker", UID,
	 "docker-" ID ".scope"},
	{"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/"
	 "kubelet-kubepods-besteffort-pod" UID_ ".slice/cri-containerd-" ID ".scope",
	 ID, "containerd", UID, "cri-containerd-" ID ".scope"},
	{"/system.slice/containerd.service/kubepods-burstable-pod" UID_ ".slice:cri-containerd:" ID,
	 ID, "containerd", UID, "containerd.service"},
	{"/ecs/task/" ID, ID, "", "", ""},
	{"/lxc/web", "web", "lxc", "", ""},
	{"/lxc.payload.web/system.slice/cron.service", "web", "lxc", "", "cron.service"},
	{"/machine.slice/systemd-nspawn@web.service/payload", "web", "systemd-nspawn", "",
	 "systemd-nspawn@web.service"},
	{"/system.slice/_cgroup.service", "", "", "", "cgroup.service"},
	{"/user.slice/user-0.slice/session-3.scope", "", "", "", "session-3.scope"},
	/* Not quite. */
	{"/docker/" ID "0", "", "", "", ""},
	{"/docker-" ID ".slice", "", "", "", ""},
	{"/evil-docker-" ID ".scope", "", "", "", "evil-docker-" ID ".scope"},
	{"/kubepods/podnothing/x", "", "", "", ""},
	{"/kubepods-pod.slice/-pod.slice/pod/.slice/:/.scope", "", "", "", ".scope"},
	{"/\x01\xff/docker/\xff", "", "", "", ""},
};

static void a_groups_name_tells_its_container(void **state)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct cgroup_facts facts;

		memset(&facts, 'x', sizeof(facts));
		cgroup_names__parse(names[i].path, &facts);
		assert_string_equal(facts.container_id, names[i].id);
		assert_string_equal(facts.runtime, names[i].runtime);
		assert_string_equal(facts.pod_uid, names[i].pod);
		assert_string_equal(facts.unit, names[i].unit);
	}
}

static void a_long_name_is_cut(void **state)
{
	char path[4096] = "/lxc/";
	struct cgroup_facts facts;

	memset(path + 5, 'u', 4000);
	strcpy(path + 4005, ".service");
	cgroup_names__parse(path, &facts);
	assert_int_equal(strlen(facts.container_id), sizeof(facts.container_id) - 1);
	assert_int_equal(strlen(facts.unit), sizeof(facts.unit) - 1);
}

static void expect_number(const char *dir, const char *text, int64_t value)
{
	tree__put(dir, "number", text);
	assert_int_equal(cgroup_file__bytes(dir, "number"), value);
}

static void files_are_read_with_suspicion(void **state)
{
	char dir[PATH_MAX], path[PATH_MAX + 16];
	char *huge = malloc(1 << 20);

	tree__make(dir);
	expect_number(dir, "0\n", 0);
	expect_number(dir, "4096\n", 4096);
	expect_number(dir, "4096", 4096);
	expect_number(dir, "max\n", CGROUP_NO_LIMIT);
	expect_number(dir, "9223372036854771712\n", CGROUP_NO_LIMIT);
	expect_number(dir, "4611686018427387904\n", CGROUP_NO_LIMIT);
	expect_number(dir, "4611686018427387903\n", 4611686018427387903);
	expect_number(dir, "99999999999999999999999\n", -1);
	expect_number(dir, "-1\n", -1);
	expect_number(dir, "", -1);
	expect_number(dir, "maximum\n", -1);
	expect_number(dir, "12 kB\n", -1);
	expect_number(dir,
		      "\x7f"
		      "ELF",
		      -1);
	memset(huge, '1', (1 << 20) - 1);
	huge[(1 << 20) - 1] = '\0';
	expect_number(dir, huge, -1);
	assert_int_equal(cgroup_file__bytes(dir, "missing"), -1);
	assert_int_equal(cgroup_file__bytes(dir, "."), -1);
	/* Neither a FIFO (nobody writes to it) nor a link is waited for or followed. */
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(cgroup_file__bytes(dir, "fifo"), -1);
	snprintf(path, sizeof(path), "%s/link", dir);
	assert_int_equal(symlink("number", path), 0);
	assert_int_equal(cgroup_file__bytes(dir, "link"), -1);
	free(huge);
	tree__remove(dir);
}

static void values_are_found_by_their_whole_key(void **state)
{
	static const char text[] = "total_cache 1\ncache 2\n\nrss 3\nlast 4";
	char dir[PATH_MAX], *cut, buf[64];

	assert_int_equal(cgroup_text__value(text, "cache"), 2);
	assert_int_equal(cgroup_text__value(text, "total_cache"), 1);
	assert_int_equal(cgroup_text__value(text, "rss"), 3);
	assert_int_equal(cgroup_text__value(text, "last"), 4);
	assert_int_equal(cgroup_text__value(text, "rs"), -1);
	assert_int_equal(cgroup_text__value("cache\nrss x\n", "cache"), -1);
	assert_int_equal(cgroup_text__value("cache\nrss x\n", "rss"), -1);
	assert_int_equal(cgroup_text__value("", "rss"), -1);
	/* A text that does not fit loses its last, cut line and not half of a number. */
	tree__make(dir);
	assert_true(asprintf(&cut, "a 1\nbbbbbbbbbbbbbbbbb %060d\n", 1) > 0);
	tree__put(dir, "stat", cut);
	assert_int_equal(cgroup_file__read(dir, "stat", buf, sizeof(buf)), 4);
	assert_string_equal(buf, "a 1\n");
	free(cut);
	tree__remove(dir);
}

static void quotas_are_cpus(void **state)
{
	char dir[PATH_MAX];

	tree__make(dir);
	assert_true(cgroup_file__cpu_quota(dir, 1) == 0);
	assert_true(cgroup_file__cpu_quota(dir, 2) == 0);
	tree__put(dir, "cpu.max", "max 100000\n");
	assert_true(cgroup_file__cpu_quota(dir, 2) == 0);
	tree__put(dir, "cpu.max", "150000 100000\n");
	assert_true(cgroup_file__cpu_quota(dir, 2) == 1.5);
	tree__put(dir, "cpu.max", "150000\n");
	assert_true(cgroup_file__cpu_quota(dir, 2) == 0);
	tree__put(dir, "cpu.max", "150000 0\n");
	assert_true(cgroup_file__cpu_quota(dir, 2) == 0);
	tree__put(dir, "cpu.cfs_quota_us", "-1\n");
	tree__put(dir, "cpu.cfs_period_us", "100000\n");
	assert_true(cgroup_file__cpu_quota(dir, 1) == 0);
	tree__put(dir, "cpu.cfs_quota_us", "50000\n");
	assert_true(cgroup_file__cpu_quota(dir, 1) == 0.5);
	tree__remove(dir);
}

/* A host of version 2: 300 MB above 500 MB, half a CPU above two. */
static void make_v2(const char *dir)
{
	tree__put(dir, "v2/cgroup.procs", "");
	tree__put(dir, "v2/cgroup.controllers", "cpuset cpu io memory pids\n");
	tree__put(dir, "v2/cpuset.cpus.effective", "0-63\n");
	tree__put(dir, "v2/a.slice/cgroup.procs", "");
	tree__put(dir, "v2/a.slice/memory.max", "314572800\n");
	tree__put(dir, "v2/a.slice/memory.high", "max\n");
	tree__put(dir, "v2/a.slice/memory.current", "209715200\n");
	tree__put(dir, "v2/a.slice/cpu.max", "50000 100000\n");
	tree__put(dir, "v2/a.slice/b.service/cgroup.procs", "1\n");
	tree__put(dir, "v2/a.slice/b.service/memory.max", "524288000\n");
	tree__put(dir, "v2/a.slice/b.service/memory.high", "262144000\n");
	tree__put(dir, "v2/a.slice/b.service/memory.current", "104857600\n");
	tree__put(dir, "v2/a.slice/b.service/cpu.max", "200000 100000\n");
	tree__put(dir, "v2/a.slice/b.service/cpuset.cpus.effective", "0-3,8\n");
}

static void read_facts(const char *dir, const char *mountinfo, const char *proc_cgroup,
		       struct cgroup_facts *facts)
{
	FILE *file = fmemopen((void *)mountinfo, strlen(mountinfo), "r");
	struct cgroup_mounts mounts;

	assert_non_null(file);
	assert_int_equal(cgroup_mounts__parse(file, dir, &mounts), 0);
	fclose(file);
	assert_int_equal(cgroup_facts__parse(proc_cgroup, &mounts, facts), 0);
	cgroup_mounts__free(&mounts);
}

static void version_2_gives_the_nearest_limit(void **state)
{
	static const char mounts[] = "1 2 0:3 / /v2 rw - cgroup2 cgroup2 rw\n";
	struct cgroup_facts facts;
	char dir[PATH_MAX];

	tree__make(dir);
	make_v2(dir);
	read_facts(dir, mounts, "0::/a.slice/b.service\n", &facts);
	assert_string_equal(facts.path, "/a.slice/b.service");
	assert_int_equal(facts.version, 2);
	assert_true(facts.visible);
	assert_int_equal(facts.limit_bytes, 300 * M);
	assert_string_equal(facts.limit_path, "/a.slice");
	assert_int_equal(facts.high_bytes, 250 * M);
	assert_int_equal(facts.usage_bytes, 100 * M);
	assert_true(facts.cpu_quota == 0.5);
	assert_int_equal(facts.cpuset_cpus, 5);
	assert_string_equal(facts.unit, "b.service");
	assert_false(facts.limit_check.done);
	cgroup_facts__free(&facts);

	/* Its own limit when that is the least; the CPUs of the nearest group that says. */
	tree__put(dir, "v2/a.slice/memory.max", "max\n");
	read_facts(dir, mounts, "0::/a.slice/b.service\n", &facts);
	assert_int_equal(facts.limit_bytes, 500 * M);
	assert_string_equal(facts.limit_path, "/a.slice/b.service");
	cgroup_facts__free(&facts);
	read_facts(dir, mounts, "0::/a.slice\n", &facts);
	assert_int_equal(facts.limit_bytes, -1);
	assert_null(facts.limit_path);
	assert_int_equal(facts.cpuset_cpus, 64);
	cgroup_facts__free(&facts);

	/* The root has neither limit nor usage of its own. */
	read_facts(dir, mounts, "0::/\n", &facts);
	assert_int_equal(facts.version, 2);
	assert_int_equal(facts.limit_bytes, -1);
	assert_int_equal(facts.usage_bytes, -1);
	cgroup_facts__free(&facts);
	tree__remove(dir);
}

static void version_1_is_checked_against_the_kernels_own_limit(void **state)
{
	static const char mounts[] = "1 2 0:3 / /memory rw - cgroup cgroup rw,memory\n"
				     "1 2 0:4 / /cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
				     "1 2 0:5 / /cpuset rw - cgroup cgroup rw,cpuset\n";
	static const char own[] = "9:name=systemd:/x/c.service\n4:memory:/a/b\n3:cpuset:/\n"
				  "2:cpu,cpuacct:/q/r\n0::/\n";
	struct cgroup_facts facts;
	char dir[PATH_MAX];

	tree__make(dir);
	tree__put(dir, "memory/cgroup.procs", "");
	tree__put(dir, "memory/memory.limit_in_bytes", "9223372036854771712\n");
	tree__put(dir, "memory/a/cgroup.procs", "");
	tree__put(dir, "memory/a/memory.limit_in_bytes", "314572800\n");
	tree__put(dir, "memory/a/b/cgroup.procs", "");
	tree__put(dir, "memory/a/b/memory.limit_in_bytes", "524288000\n");
	tree__put(dir, "memory/a/b/memory.usage_in_bytes", "1048576\n");
	tree__put(dir, "memory/a/b/memory.stat", "cache 1\nhierarchical_memory_limit 314572800\n");
	tree__put(dir, "cpu/q/cgroup.procs", "");
	tree__put(dir, "cpu/q/cpu.cfs_quota_us", "50000\n");
	tree__put(dir, "cpu/q/cpu.cfs_period_us", "100000\n");
	tree__put(dir, "cpu/q/r/cgroup.procs", "");
	tree__put(dir, "cpu/q/r/cpu.cfs_quota_us", "-1\n");
	tree__put(dir, "cpu/q/r/cpu.cfs_period_us", "100000\n");
	tree__put(dir, "cpuset/cgroup.procs", "");
	tree__put(dir, "cpuset/cpuset.cpus", "0-1\n");

	read_facts(dir, mounts, own, &facts);
	assert_string_equal(facts.path, "/a/b");
	assert_int_equal(facts.version, 1);
	assert_int_equal(facts.limit_bytes, 300 * M);
	assert_string_equal(facts.limit_path, "/a");
	assert_true(facts.limit_check.done && facts.limit_check.ok);
	assert_int_equal(facts.usage_bytes, M);
	assert_int_equal(facts.high_bytes, -1);
	assert_true(facts.cpu_quota == 0.5);
	assert_int_equal(facts.cpuset_cpus, 2);
	assert_string_equal(facts.unit, "c.service");
	cgroup_facts__free(&facts);

	/* A limit that is nowhere to be seen (above a container), and none at all. */
	tree__put(dir, "memory/a/b/memory.stat", "hierarchical_memory_limit 104857600\n");
	read_facts(dir, mounts, own, &facts);
	assert_int_equal(facts.limit_bytes, 100 * M);
	assert_null(facts.limit_path);
	assert_true(facts.limit_check.done && !facts.limit_check.ok);
	cgroup_facts__free(&facts);
	tree__put(dir, "memory/a/b/memory.stat", "hierarchical_memory_limit 9223372036854771712\n");
	read_facts(dir, mounts, own, &facts);
	assert_int_equal(facts.limit_bytes, -1);
	cgroup_facts__free(&facts);
	tree__remove(dir);
}

/* Memory in version 1, CPU and cpuset in version 2, as on a hybrid host. */
static void each_controller_is_looked_for_where_it_is(void **state)
{
	static const char mounts[] = "1 2 0:3 / /v2 rw - cgroup2 cgroup2 rw\n"
				     "1 2 0:4 / /memory rw - cgroup cgroup rw,memory\n";
	struct cgroup_facts facts;
	char dir[PATH_MAX];

	tree__make(dir);
	make_v2(dir);
	tree__put(dir, "v2/cgroup.controllers", "hugetlb\n");
	tree__put(dir, "memory/m/cgroup.procs", "");
	tree__put(dir, "memory/m/memory.limit_in_bytes", "1073741824\n");
	read_facts(dir, mounts, "4:memory:/m\n0::/a.slice/b.service\n", &facts);
	assert_int_equal(facts.version, 1);
	assert_string_equal(facts.path, "/m");
	assert_int_equal(facts.limit_bytes, 1024 * M);
	assert_true(facts.cpu_quota == 0.5);
	assert_int_equal(facts.cpuset_cpus, 5);
	/* The memory hierarchy has no groups for units: systemd's place tells. */
	assert_string_equal(facts.unit, "b.service");
	cgroup_facts__free(&facts);
	/* Without the controller anywhere there is nothing to say, and no error. */
	read_facts(dir, mounts, "0::/x\n", &facts);
	assert_int_equal(facts.version, 0);
	assert_int_equal(facts.limit_bytes, -1);
	assert_int_equal(facts.usage_bytes, -1);
	cgroup_facts__free(&facts);
	tree__remove(dir);
}

/* "root" of the mount and the process's path are both as the reader's namespace sees them. */
static void paths_are_relative_to_the_readers_namespace(void **state)
{
	struct {
		const char *root, *path;
		int64_t limit;
		const char *limit_path;
	} cases[] = {
		{"/", "/a.slice/b.service", 300 * M, "/a.slice"},
		/* A bind mount of a part, as in containers of version 1. */
		{"/docker", "/docker/a.slice/b.service", 300 * M, "/docker/a.slice"},
		{"/docker", "/dockery/a.slice/b.service", -1, NULL},
		{"/docker", "/a.slice/b.service", -1, NULL},
		/* The host's mount seen from a container's namespace. */
		{"/../..", "/../../a.slice/b.service", 300 * M, "/../../a.slice"},
		{"/..", "/../../a.slice/b.service", -1, NULL},
		/* A process outside of what is mounted here. */
		{"/", "/../../a.slice/b.service", -1, NULL},
		{"/", "/..", -1, NULL},
		{"/", "/a.slice/../a.slice", -1, NULL},
	};
	char dir[PATH_MAX];

	tree__make(dir);
	make_v2(dir);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct cgroup_facts facts;
		char mounts[128], own[128];

		snprintf(mounts, sizeof(mounts), "1 2 0:3 %s /v2 rw - cgroup2 cgroup2 rw\n",
			 cases[i].root);
		snprintf(own, sizeof(own), "0::%s\n", cases[i].path);
		read_facts(dir, mounts, own, &facts);
		assert_int_equal(facts.limit_bytes, cases[i].limit);
		assert_int_equal(facts.visible, cases[i].limit_path != NULL);
		if (cases[i].limit_path)
			assert_string_equal(facts.limit_path, cases[i].limit_path);
		assert_string_equal(facts.path, cases[i].path);
		cgroup_facts__free(&facts);
	}
	tree__remove(dir);
}

static void garbage_is_no_group(void **state)
{
	static const char *const texts[] = {"",
					    "\n\n",
					    "0::\n",
					    "::/a",
					    "0:/a",
					    "memory",
					    "4:memory",
					    "0::a\n",
					    "\xff\xfe:memory:\n",
					    ":memory:/",
					    "0::/a.slice (deleted)"};
	static const char mounts[] = "1 2 0:3 / /v2 rw - cgroup2 cgroup2 rw\n"
				     "1 2 0:3 / /v2 rw - cgroup2 cgroup2\n"
				     "x - cgroup2\n";
	char dir[PATH_MAX];

	tree__make(dir);
	make_v2(dir);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct cgroup_facts facts;

		read_facts(dir, mounts, texts[i], &facts);
		assert_int_equal(facts.limit_bytes, -1);
		assert_int_equal(facts.usage_bytes, -1);
		assert_true(facts.cpu_quota == 0);
		cgroup_facts__free(&facts);
	}
	tree__remove(dir);
}

/* Of the running kernel: whatever it has, our own group is found and agrees with it. */
static void our_own_group_is_read(void **state)
{
	struct cgroup_facts facts;

	assert_int_equal(cgroup_facts__read(getpid(), &facts), 0);
	if (facts.version == 1) {
		assert_true(facts.limit_check.done && facts.limit_check.ok);
		assert_true(facts.usage_bytes > 0);
	}
	cgroup_facts__free(&facts);
	assert_int_equal(cgroup_facts__read(4194304 + 1, &facts), -ESRCH);
	cgroup_facts__free(&facts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_groups_name_tells_its_container),
		cmocka_unit_test(a_long_name_is_cut),
		cmocka_unit_test(files_are_read_with_suspicion),
		cmocka_unit_test(values_are_found_by_their_whole_key),
		cmocka_unit_test(quotas_are_cpus),
		cmocka_unit_test(version_2_gives_the_nearest_limit),
		cmocka_unit_test(version_1_is_checked_against_the_kernels_own_limit),
		cmocka_unit_test(each_controller_is_looked_for_where_it_is),
		cmocka_unit_test(paths_are_relative_to_the_readers_namespace),
		cmocka_unit_test(garbage_is_no_group),
		cmocka_unit_test(our_own_group_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
