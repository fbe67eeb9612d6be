// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "census/proc_stat.h"
#include "watch/census_child.h"
#include "watch/own_cost.h"

#define KB (1ll << 10)
#define MB (1ll << 20)

struct target {
	pid_t pid;
	uint64_t start_time;
	int to_fd;
	json_t *truth;
};

static void become(const char *path, int in, int out, const char *truth)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(in, 0);
	dup2(out, 1);
	setenv("TRUTH", truth, 1);
	execl(path, path, "--threads", "4", "--mb", "10", "--keep", "50", "--min-bytes", "100",
	      "--max-bytes", "5000", NULL);
	_exit(127);
}

/* heap_mix, with what its glibc says of itself. */
static struct target start_target(void)
{
	char self[PATH_MAX - 64], path[PATH_MAX], truth[] = "/tmp/test_census_child.XXXXXX";
	struct target target = {0};
	struct proc_stat stat;
	int in[2] = {-1, -1}, out[2] = {-1, -1}, fd = mkstemp(truth);
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char line[64] = "";

	assert_true(n > 0 && fd >= 0 && !pipe(in) && !pipe(out));
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	snprintf(path, sizeof(path), "%s/../targets/heap_mix", self);
	if (access(path, X_OK))
		snprintf(path, sizeof(path), "%s/../../targets/heap_mix", self);
	target.pid = access(path, X_OK) ? 0 : fork();
	if (!target.pid && !access(path, X_OK))
		become(path, in[0], out[1], truth);
	close(in[0]);
	close(out[1]);
	target.to_fd = in[1];
	if (target.pid > 0 && read(out[0], line, sizeof(line) - 1) > 0)
		target.truth = json_load_file(truth, 0, NULL);
	close(out[0]);
	close(fd);
	unlink(truth);
	if (!target.truth)
		skip(); /* its programs were not built */
	assert_int_equal(proc_stat__read(target.pid, &stat), 0);
	target.start_time = stat.start_ticks;
	return target;
}

static int64_t told(const struct target *target, const char *key)
{
	json_t *value = json_object_get(target->truth, key);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

static void end_target(struct target *target)
{
	kill(target->pid, SIGKILL);
	waitpid(target->pid, NULL, 0);
	close(target->to_fd);
	json_decref(target->truth);
}

static int finish(struct census_child *census, struct census_figures *figures, uint64_t *cpu_ns)
{
	struct pollfd readable = {.fd = census->child.fd, .events = POLLIN};
	int err;

	do {
		assert_true(poll(&readable, 1, 60000) >= 0);
		err = census_child__finish(census, monotonic_ns(), figures, cpu_ns);
	} while (err == -EAGAIN);
	assert_false(census_child__runs(census));
	return err;
}

static size_t open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static void a_census_is_what_glibc_says(void **state)
{
	struct target target = start_target();
	size_t fds = open_fds();
	struct census_child census;
	struct census_figures figures;
	struct sample sample;
	uint64_t cpu_ns = 0, rss_bytes;
	int64_t live, all;

	assert_int_equal(census_child__start(&census, target.pid, target.start_time), 0);
	assert_int_equal(finish(&census, &figures, &cpu_ns), 0);
	assert_int_equal(open_fds(), fds);
	assert_true(cpu_ns > 100000 && cpu_ns < 60000000000ull);

	sample__init(&sample, 1);
	sample.value[COMPONENT_RSS] = 77;
	census_figures__into(&figures, &sample);
	assert_int_equal(sample.value[COMPONENT_RSS], 77);
	assert_int_equal(sample.value[COMPONENT_SWAP], SERIES_UNKNOWN);
	live = told(&target, "live_bytes");
	all = told(&target, "uordblks") + told(&target, "fordblks") + told(&target, "hblkhd");
	assert_true(live > 20 * MB);
	assert_in_range(sample.value[COMPONENT_MALLOC_IN_USE], live, live + MB);
	assert_in_range(sample.value[COMPONENT_MALLOC_IN_USE] + sample.value[COMPONENT_MALLOC_FREE],
			all - 64 * KB, all + 64 * KB);
	assert_int_equal(sample.value[COMPONENT_ARENAS], told(&target, "arenas"));
	assert_in_range(sample.value[COMPONENT_ARENA_COMMITTED] + sample.value[COMPONENT_BRK],
			told(&target, "arena") - MB, told(&target, "arena") + MB);
	assert_in_range(sample.value[COMPONENT_ARENA_RESIDENT], 30 * MB,
			sample.value[COMPONENT_ARENA_COMMITTED]);
	assert_in_range(sample.value[COMPONENT_THREAD_STACK], 4 * 4 * KB, 2 * MB);
	assert_in_range(sample.value[COMPONENT_DIRECT_MAPPING], 0, MB);
	assert_int_equal(sample.value[COMPONENT_GO_HEAP], SERIES_UNKNOWN);

	assert_int_equal(proc_stat__rss(target.pid, &rss_bytes), 0);
	assert_true(figures.ledger_agrees);
	assert_in_range(figures.rss_bytes, rss_bytes - MB, rss_bytes + MB);
	assert_string_equal(figures.malloc_owner, "glibc");
	assert_true(figures.arena_limit >= 1 && figures.arena_limit_source[0]);
	assert_true(figures.cpus_online >= 1);
	assert_string_equal(figures.rows[0].name, "malloc-arenas");
	for (uint32_t i = 1; i < figures.row_count; i++)
		assert_true(figures.rows[i].resident_bytes <= figures.rows[i - 1].resident_bytes);
	end_target(&target);
}

static void another_process_is_not_taken_for_it(void **state)
{
	struct census_child census;
	struct census_figures figures;
	struct proc_stat stat;
	uint64_t cpu_ns;
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	assert_int_equal(proc_stat__read(pid, &stat), 0);
	assert_int_equal(census_child__start(&census, pid, stat.start_ticks + 1), 0);
	assert_int_equal(finish(&census, &figures, &cpu_ns), -ESRCH);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(census_child__start(&census, pid, stat.start_ticks), 0);
	assert_int_equal(finish(&census, &figures, &cpu_ns), -ESRCH);
}

static void one_that_hangs_is_ended(void **state)
{
	struct census_child census;
	struct census_figures figures;
	uint64_t cpu_ns = 0;
	pid_t pid;
	int status;

	/* Itself stopped it has not answered, or has: then there is nothing to see. */
	assert_int_equal(census_child__start(&census, getpid(), 1), 0);
	pid = census.child.pid;
	kill(pid, SIGSTOP);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	if (!WIFSTOPPED(status))
		skip();
	assert_int_equal(census_child__finish(&census, census.deadline_ns - 1, &figures, &cpu_ns),
			 -EAGAIN);
	assert_int_equal(census_child__finish(&census, census.deadline_ns, &figures, &cpu_ns),
			 -ETIMEDOUT);
	assert_false(census_child__runs(&census));
	assert_int_equal(kill(pid, 0), -1);
	census_child__stop(&census); /* nothing */
}

static void one_that_is_killed_is_an_error(void **state)
{
	struct census_child census;
	struct census_figures figures;
	uint64_t cpu_ns;
	int err;

	/* One that has answered before it was killed is the answer: another is killed. */
	do {
		assert_int_equal(census_child__start(&census, getpid(), 1), 0);
		kill(census.child.pid, SIGSTOP);
		kill(census.child.pid, SIGKILL);
		err = finish(&census, &figures, &cpu_ns);
	} while (err == -ESRCH);
	assert_int_equal(err, -EPIPE);
	assert_int_equal(census_child__start(&census, getpid(), 1), 0);
	census_child__stop(&census);
	assert_false(census_child__runs(&census));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void what_is_negative_is_unknown(void **state)
{
	struct census_figures figures = {.brk = -5, .arenas = INT64_MIN, .go_heap = 7};
	struct sample sample;

	sample__init(&sample, 1);
	census_figures__into(&figures, &sample);
	assert_int_equal(sample.value[COMPONENT_BRK], SERIES_UNKNOWN);
	assert_int_equal(sample.value[COMPONENT_ARENAS], SERIES_UNKNOWN);
	assert_int_equal(sample.value[COMPONENT_GO_HEAP], 7);
}

static void burn(void)
{
	struct proc_stat stat;

	do {
		assert_int_equal(proc_stat__read(getpid(), &stat), 0);
	} while (stat.cpu_ticks < 5);
}

static void own_cost_is_told(void **state)
{
	struct own_cost cost = {0}, after = {0};
	pid_t pid;

	own_cost__read(&cost);
	assert_in_range(cost.rss_bytes, MB, 4000 * MB);
	pid = fork();
	if (!pid) {
		burn();
		_exit(0);
	}
	burn();
	waitpid(pid, NULL, 0);
	own_cost__read(&after);
	assert_true(after.cpu_ns >= 30000000 && after.cpu_ns >= cost.cpu_ns);
	assert_in_range(after.children_cpu_ns - cost.children_cpu_ns, 30000000, 10000000000);
}

static void maps_are_counted_once(void **state)
{
	uint64_t before = own_cost__bpf_map_bytes(), with;
	int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "cost", 4, 4096, 100, NULL), again;

	if (map < 0)
		skip(); /* no BPF for us here */
	with = own_cost__bpf_map_bytes();
	assert_in_range(with - before, 100 * 4096, 110 * 4096);
	again = dup(map);
	assert_int_equal(own_cost__bpf_map_bytes(), with);
	close(again);
	close(map);
	assert_int_equal(own_cost__bpf_map_bytes(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_census_is_what_glibc_says),
		cmocka_unit_test(another_process_is_not_taken_for_it),
		cmocka_unit_test(one_that_hangs_is_ended),
		cmocka_unit_test(one_that_is_killed_is_an_error),
		cmocka_unit_test(what_is_negative_is_unknown),
		cmocka_unit_test(own_cost_is_told),
		cmocka_unit_test(maps_are_counted_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
