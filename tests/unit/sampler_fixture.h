/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_TESTS_SAMPLER_FIXTURE_H
#define MEMDRIFT_TESTS_SAMPLER_FIXTURE_H

/*
 * Processes for the sampler to look at, what its passes told of them, and what the kernel says page
 * by page. For a test in a pid namespace of its own (pid_world.h); cmocka.h comes first.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "census/proc_stat.h"
#include "watch/sampler.h"

#include "census_child.h"

#define KB 1024
#define MB (1024 * 1024)
/* Pages that others' uprobes, placed or removed, can take, and what a thread keeps to itself. */
#define SLACK (512 * KB)

/* ---- processes to look at ---------------------------------------------------------------- */

static inline void *map(size_t bytes, int flags)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		_exit(1);
	memset(p, 1, bytes);
	return p;
}

static inline void *rest(void *arg)
{
	for (;;)
		pause();
	return NULL;
}

static inline void start_thread(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	/* On memory that is there: no page more is touched than the kernel's. */
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, map(256 * KB, MAP_PRIVATE), 256 * KB);
	if (pthread_create(&thread, &attr, rest, NULL))
		_exit(1);
}

static size_t next_kb;

/* Anonymous, shared and file pages, other numbers in each. */
static inline void be_idle(struct child *child)
{
	char byte;
	int fd = open("/proc/self/exe", O_RDONLY);
	char *file = mmap(NULL, 16 * KB, PROT_READ, MAP_PRIVATE, fd, 0);

	map(next_kb * KB, MAP_PRIVATE);
	map((4 + next_kb / 8 * 4) * KB, MAP_SHARED);
	byte = file == MAP_FAILED ? 0 : *(volatile char *)file;
	child->told[0] = (uint64_t)byte;
	child_ready(child);
	for (;;)
		pause();
}

static inline void grow_when_told(struct child *child)
{
	child_ready(child);
	map(3 * MB, MAP_PRIVATE);
	child_ready(child);
	map(5 * MB, MAP_SHARED);
	child_ready(child);
	start_thread();
	child_ready(child);
	child_ready(child);
}

static inline void exec_when_told(struct child *child)
{
	child_ready(child);
	execl("/bin/sleep", "sleep", "100000", NULL);
	_exit(1);
}

static inline void *end_leader_then_grow(void *arg)
{
	struct child *child = arg;

	child_ready(child);
	map(2 * MB, MAP_PRIVATE);
	child_ready(child);
	child_ready(child);
	_exit(0);
}

static inline void lose_leader(struct child *child)
{
	pthread_t thread;

	child_ready(child);
	if (pthread_create(&thread, NULL, end_leader_then_grow, child))
		_exit(1);
	pthread_exit(NULL);
}

/* ---- what a pass told ---------------------------------------------------------------------- */

#define SEEN_MAX 4096
#define PID_MAX  32768

struct seen {
	struct sampler *sampler;
	uint64_t losses[WATCH_LOSS_MAX];
	double t_unix;
	size_t each, fresh, gone;
	struct watched list[SEEN_MAX]; /* copies, of the last pass */
	struct watched last_gone;
};

static struct seen seen;

/* Against what the last pass said of it. Somebody who places uprobes in a library changes all that
 * map it. */
static inline void check_changed(const struct watched *watched)
{
	static struct sample before[PID_MAX];
	struct sample *last = &before[watched->pid];

	assert_true(watched->pid < PID_MAX);
	assert_int_equal(watched->changed,
			 watched->is_new ||
				 memcmp(last->value, watched->sample.value, sizeof(last->value)));
	*last = watched->sample;
}

static inline void see(void *ctx, struct watched *watched)
{
	assert_true(seen.each < SEEN_MAX);
	assert_true(watched->sample.t_s == seen.t_unix);
	assert_int_equal(watched->sample.pid, watched->pid);
	assert_int_equal(watched->sample.start_time, watched->start_time);
	seen.list[seen.each++] = *watched;
	seen.fresh += watched->is_new;
	check_changed(watched);
	assert_true(!watched->is_new || !watched->user);
	watched->user = &seen;
}

static inline void see_gone(void *ctx, struct watched *watched)
{
	assert_ptr_equal(watched->user, &seen);
	seen.last_gone = *watched;
	seen.gone++;
}

static inline void pass(void)
{
	const struct sampler_handlers handlers = {see, see_gone, NULL};

	seen.each = seen.fresh = seen.gone = 0;
	seen.t_unix += 10;
	assert_int_equal(sampler__pass(seen.sampler, seen.t_unix, &handlers), 0);
}

static inline void passes(int count)
{
	while (count--)
		pass();
}

static inline const struct watched *seen_pid(uint32_t pid)
{
	for (size_t i = 0; i < seen.each; i++) {
		if (seen.list[i].pid == pid)
			return &seen.list[i];
	}
	return NULL;
}

static inline size_t open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* Start times are in ticks: who started in this one is not old yet. */
static inline void outlast_tick(void)
{
	struct timespec start, now;

	clock_gettime(CLOCK_BOOTTIME, &start);
	do {
		clock_gettime(CLOCK_BOOTTIME, &now);
	} while ((now.tv_sec - start.tv_sec) * 1000000000 + now.tv_nsec - start.tv_nsec <
		 2000000000 / sysconf(_SC_CLK_TCK));
}

static inline void begin(size_t subjects_max)
{
	/* So short that all that are there are old. */
	const struct sampler_options options = {
		.interval_s = 1e-6, .subjects_max = subjects_max, .losses = seen.losses};

	memset(&seen, 0, sizeof(seen));
	seen.t_unix = 1e9;
	outlast_tick();
	assert_int_equal(sampler__open(&seen.sampler, &options), 0);
}

static inline void end(void)
{
	sampler__close(seen.sampler);
}

/* ---- the truth, page by page ------------------------------------------------------------------
 */

struct truth {
	int64_t rss, anon, swap;
};

/* smaps counts the pages that are mapped. Those of the vDSO, the kernel's own, are in no counter.
 */
static inline struct truth read_truth(pid_t pid)
{
	char path[64], line[4400];
	struct truth truth = {0};
	bool skip = false;
	long long kb;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long long start, stop;

		if (sscanf(line, "%llx-%llx", &start, &stop) == 2)
			skip = strstr(line, "[vdso]") || strstr(line, "[vvar");
		if (skip)
			continue;
		if (sscanf(line, "Rss: %lld", &kb) == 1)
			truth.rss += kb * KB;
		if (sscanf(line, "Anonymous: %lld", &kb) == 1)
			truth.anon += kb * KB;
		if (sscanf(line, "Swap: %lld", &kb) == 1)
			truth.swap += kb * KB;
	}
	fclose(f);
	return truth;
}

static inline bool is_near(int64_t value, int64_t truth, uint64_t error)
{
	return value >= 0 && (uint64_t)llabs(value - truth) <= error;
}

static inline bool is_true(const struct watched *watched, const struct truth *truth)
{
	const int64_t *value = watched->sample.value;
	uint64_t error = proc_stat__rss_error_bytes((uint32_t)value[COMPONENT_THREADS]);

	for (int i = COMPONENT_THREADS + 1; i < COMPONENT_MAX; i++)
		assert_int_equal(value[i], SERIES_UNKNOWN);
	assert_int_equal(value[COMPONENT_RSS],
			 value[COMPONENT_ANON] + value[COMPONENT_FILE] + value[COMPONENT_SHMEM]);
	return is_near(value[COMPONENT_RSS], truth->rss, error) &&
	       is_near(value[COMPONENT_ANON], truth->anon, error) &&
	       is_near(value[COMPONENT_SWAP], truth->swap, error);
}

#define CHILDREN_MAX 300
#define TRIES        10

/* Passes until each was told as it is. Who places uprobes meanwhile changes all that stand still.
 */
static inline void assert_true_to(const struct child *children, size_t count)
{
	static bool told[CHILDREN_MAX];
	size_t left = count;

	assert_true(count <= CHILDREN_MAX);
	memset(told, 0, sizeof(told));
	for (int try = 0; left && try < TRIES; try++) {
		pass();
		for (size_t i = 0; i < count; i++) {
			struct truth truth = read_truth(children[i].pid);

			assert_non_null(seen_pid(children[i].pid));
			if (told[i] || !is_true(seen_pid(children[i].pid), &truth))
				continue;
			told[i] = true;
			left--;
		}
	}
	assert_int_equal(left, 0);
}

#endif
