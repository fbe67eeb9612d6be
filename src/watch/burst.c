// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "watch/burst.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "census/proc_file.h"
#include "census/proc_stat.h"
#include "watch/burst_run.h"

#define NS_PER_S 1000000000ull

#define RESULT_NAME(name, file) file,
static const char *const results[] = {BURST_RESULTS(RESULT_NAME)};
#undef RESULT_NAME

/* What is in the directory meanwhile. */
#define RECORDING "recording.mdr"
#define MESSAGES  "messages.txt"

const char *burst_result__name(enum burst_result result)
{
	return results[result];
}

static void path_of(const struct burst *burst, const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s", burst->directory, name);
}

static void remove_files(const struct burst *burst)
{
	burst_run__remove_files(burst->directory, NULL);
}

int burst__init(struct burst *burst, const char *directory)
{
	struct stat found;

	*burst = (struct burst){.pidfd = -1};
	burst->directory = strdup(directory);
	if (!burst->directory)
		return -ENOMEM;
	if (mkdir(directory, 0700) && errno != EEXIST)
		return -errno;
	/* Somebody else's, or a link, is not written to. */
	if (lstat(directory, &found))
		return -errno;
	if (!S_ISDIR(found.st_mode) || found.st_uid != geteuid() || (found.st_mode & 022))
		return -EPERM;
	remove_files(burst);
	burst_run__remove_files(directory, MAPPINGS_PREFIX);
	return 0;
}

static void end_child(struct burst *burst)
{
	if (burst->child > 0)
		kill(burst->child, SIGKILL);
	burst->cpu_ns += burst_run__reap(&burst->child, &burst->pidfd, NULL);
}

void burst__free(struct burst *burst)
{
	end_child(burst);
	if (!burst->directory)
		return;
	remove_files(burst);
	rmdir(burst->directory);
	free(burst->directory);
	*burst = (struct burst){.pidfd = -1};
}

uint64_t burst__deadline_ns(const struct burst *burst)
{
	return burst->stage == BURST_IDLE ? UINT64_MAX : burst->deadline_ns;
}

int burst__start(struct burst *burst, uint32_t pid, uint64_t start_time, double seconds)
{
	struct proc_stat stat;

	if (burst__runs(burst))
		return -EBUSY;
	if (proc_stat__read(pid, &stat) || stat.start_ticks != start_time || stat.is_zombie)
		return -ESRCH;
	remove_files(burst);
	burst->stage = BURST_MEASURING;
	burst->pid = pid;
	burst->start_time = start_time;
	burst->seconds = seconds;
	burst->first_ticks = stat.cpu_ticks;
	burst->began_ns = monotonic_ns();
	burst->deadline_ns = burst->began_ns + BURST_MEASURE_NS;
	burst->cpu_ns = 0;
	return 0;
}

/* In percent of the process's CPU time, as `trace --budget` has it. */
static double budget_for(double cpus)
{
	double share = BURST_BUDGET_CPUS / (cpus > BURST_CPUS_MIN ? cpus : BURST_CPUS_MIN);

	return 100 * (share < BURST_BUDGET_SHARE ? BURST_BUDGET_SHARE : share);
}

static int run(struct burst *burst, char *const *args, uint64_t for_ns)
{
	char messages[PATH_MAX];
	int err;

	path_of(burst, MESSAGES, messages);
	err = burst_run__start(args, messages, &burst->child, &burst->pidfd);
	if (!err)
		burst->deadline_ns = monotonic_ns() + for_ns;
	return err;
}

static int start_trace(struct burst *burst, uint64_t now_ns)
{
	char pid[16], seconds[32], budget[32];
	char recording[PATH_MAX], report[PATH_MAX], pprof[PATH_MAX];
	/* A ring and a live set for one process; every eleventh fault, at 2 us each. */
	char *args[] = {"memdrift",
			"trace",
			"-p",
			pid,
			"-d",
			seconds,
			"--budget",
			budget,
			"--live",
			"--faults",
			"--fault-period",
			"11",
			"--ring-size",
			"4M",
			"--live-memory",
			"16M",
			"--record",
			recording,
			"-o",
			report,
			"--pprof",
			pprof,
			NULL};
	struct proc_stat stat;
	double passed_s = (double)(now_ns - burst->began_ns) / NS_PER_S;

	if (proc_stat__read(burst->pid, &stat) || stat.start_ticks != burst->start_time)
		return -ESRCH;
	burst->budget = budget_for((double)(stat.cpu_ticks - burst->first_ticks) /
				   (double)sysconf(_SC_CLK_TCK) / passed_s);
	snprintf(pid, sizeof(pid), "%u", burst->pid);
	snprintf(seconds, sizeof(seconds), "%.3f", burst->seconds);
	snprintf(budget, sizeof(budget), "%.1f", burst->budget);
	path_of(burst, RECORDING, recording);
	path_of(burst, results[BURST_REPORT], report);
	path_of(burst, results[BURST_PPROF], pprof);
	burst->stage = BURST_TRACING;
	return run(burst, args, (uint64_t)(burst->seconds * NS_PER_S) + BURST_BEGIN_NS_MAX);
}

static int start_report(struct burst *burst)
{
	char recording[PATH_MAX], folded[PATH_MAX], weight[32], older[32];
	char *args[] = {"memdrift", "report", recording,   "--folded", folded, "--weight",
			weight,     "-o",     "/dev/null", NULL,       NULL,   NULL};

	path_of(burst, RECORDING, recording);
	path_of(burst, results[burst->reporting], folded);
	/* The file's name, but for its end, is the weight's. */
	snprintf(weight, sizeof(weight), "%.*s", (int)strcspn(results[burst->reporting], "."),
		 results[burst->reporting]);
	if (burst->reporting == BURST_LIVE) {
		/* What is in use for a moment, or is soon replaced, does not grow. */
		snprintf(older, sizeof(older), "%.3fs", burst->seconds * BURST_OLDER_SHARE);
		args[9] = "--older";
		args[10] = older;
	}
	burst->stage = BURST_REPORTING;
	return run(burst, args, BURST_REPORT_NS_MAX);
}

static int finish(struct burst *burst, int err, uint64_t *cpu_ns)
{
	char path[PATH_MAX];

	end_child(burst);
	burst->stage = BURST_IDLE;
	path_of(burst, RECORDING, path);
	unlink(path);
	*cpu_ns = burst->cpu_ns;
	return err;
}

/* What it said last, for people who ask why there is no evidence. */
static void log_messages(const struct burst *burst)
{
	char path[PATH_MAX], text[512];
	ssize_t size;
	int fd;

	path_of(burst, MESSAGES, path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	size = read_fully(fd, text, sizeof(text) - 1);
	close(fd);
	if (size <= 0)
		return;
	text[size] = '\0';
	log_info("the burst of tracing of process %u failed: %s", burst->pid, text);
}

int burst__work(struct burst *burst, uint64_t now_ns, uint64_t *cpu_ns)
{
	int err = 0, status = 0;

	if (burst->stage == BURST_IDLE)
		return -EINVAL;
	if (burst->stage == BURST_MEASURING) {
		if (now_ns < burst->deadline_ns)
			return -EAGAIN;
		err = start_trace(burst, now_ns);
		return err ? finish(burst, err, cpu_ns) : -EAGAIN;
	}
	if (!burst_run__ended(burst->pidfd)) {
		if (now_ns < burst->deadline_ns)
			return -EAGAIN;
		return finish(burst, -ETIMEDOUT, cpu_ns);
	}
	burst->cpu_ns += burst_run__reap(&burst->child, &burst->pidfd, &status);
	if (burst->stage == BURST_TRACING) {
		if (!WIFEXITED(status) || WEXITSTATUS(status)) {
			log_messages(burst);
			return finish(burst, proc_exists(burst->pid) ? -EIO : -ESRCH, cpu_ns);
		}
		burst->reporting = BURST_LIVE;
	} else {
		/* A weight that the trace does not have is none of the evidence. */
		burst->reporting++;
	}
	if (burst->reporting == BURST_RESULT_MAX)
		return finish(burst, 0, cpu_ns);
	err = start_report(burst);
	return err ? finish(burst, err, cpu_ns) : -EAGAIN;
}

int burst__read(const struct burst *burst, enum burst_result result, void **bytes, size_t *size)
{
	char path[PATH_MAX];
	struct stat stat;
	ssize_t got;
	int fd, err = 0;

	path_of(burst, results[result], path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &stat))
		err = -errno;
	else if (!stat.st_size)
		err = -ENOENT;
	else if ((uint64_t)stat.st_size > BURST_RESULT_BYTES_MAX)
		err = -EFBIG;
	*bytes = err ? NULL : malloc((size_t)stat.st_size);
	if (!err && !*bytes)
		err = -ENOMEM;
	got = err ? err : read_fully(fd, *bytes, (size_t)stat.st_size);
	close(fd);
	if (!err && got <= 0) {
		free(*bytes);
		err = got ? (int)got : -ENOENT;
	}
	if (!err)
		*size = (size_t)got;
	return err;
}
