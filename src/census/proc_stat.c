// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/proc_stat.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "census/host.h"
#include "census/proc_file.h"

#define PF_KTHREAD 0x00200000 /* include/linux/sched.h */

/* Fields of /proc/PID/stat, numbered from 1 as in proc(5). */
enum stat_field {
	STAT_STATE = 3,
	STAT_PPID = 4,
	STAT_FLAGS = 9,
	STAT_MINFLT = 10,
	STAT_MAJFLT = 12,
	STAT_UTIME = 14,
	STAT_STIME = 15,
	STAT_CUTIME = 16,
	STAT_CSTIME = 17,
	STAT_NUM_THREADS = 20,
	STAT_STARTTIME = 22,
	STAT_START_BRK = 47,
	STAT_FIELDS = 52,
};

/* The numbers behind "pid (comm) S": values[i] is field i. Fewer than `last` fields is -EINVAL. */
static int read_fields(const char *p, uint64_t *values, int last)
{
	for (int field = STAT_PPID; field <= last; field++) {
		char *end;

		if (*p != ' ')
			return -EINVAL;
		p++;
		/* Negative ones (priority, an untold tty) are none that we use. */
		if (*p != '-' && (*p < '0' || *p > '9'))
			return -EINVAL;
		errno = 0;
		values[field] = strtoull(p, &end, 10);
		if (errno || end == p)
			return -EINVAL;
		p = end;
	}
	return 0;
}

static int parse_stat(const char *text, size_t size, struct proc_stat *out)
{
	uint64_t values[STAT_FIELDS + 1];
	const char *open = memchr(text, '(', size);
	/* Behind the name come numbers only: the last bracket closes it, whatever it contains. */
	const char *close = memrchr(text, ')', size);
	size_t len;

	if (!open || !close || close < open || close + 3 >= text + size || close[1] != ' ' ||
	    read_fields(close + 3, values, STAT_START_BRK))
		return -EINVAL;
	memset(out, 0, sizeof(*out));
	len = close - open - 1;
	if (len >= sizeof(out->comm))
		len = sizeof(out->comm) - 1;
	memcpy(out->comm, open + 1, len);
	out->state = close[2];
	out->ppid = values[STAT_PPID];
	out->flags = values[STAT_FLAGS];
	out->faults = values[STAT_MINFLT] + values[STAT_MAJFLT];
	out->cpu_ticks = values[STAT_UTIME] + values[STAT_STIME];
	out->children_cpu_ticks = values[STAT_CUTIME] + values[STAT_CSTIME];
	out->nr_threads = values[STAT_NUM_THREADS];
	out->start_ticks = values[STAT_STARTTIME];
	out->start_brk = values[STAT_START_BRK];
	out->is_kernel_thread = out->flags & PF_KTHREAD;
	/* A leader that ended before its other threads waits as a zombie, the process lives. */
	out->is_zombie = (out->state == 'Z' || out->state == 'X') && out->nr_threads <= 1;
	return 0;
}

int proc_stat__read(uint32_t pid, struct proc_stat *out)
{
	/* 52 numbers of at most 20 digits, and a name. */
	char text[2048];
	ssize_t n = proc_file__read(pid, "stat", text, sizeof(text));

	if (n < 0)
		return n;
	if (n == 0)
		return -ESRCH;
	return parse_stat(text, n, out);
}

int proc_tgid(uint32_t tid, uint32_t *tgid)
{
	/* The fourth line; before it comes a name of at most 63 bytes, each escaped. */
	char text[1024];
	ssize_t n = proc_file__read(tid, "status", text, sizeof(text));
	const char *line;

	if (n < 0)
		return n;
	/* The kernel escapes line breaks in the name: a line of its own is the kernel's. */
	line = strstr(text, "\nTgid:");
	if (!line)
		return -ESRCH;
	*tgid = strtoul(line + strlen("\nTgid:"), NULL, 10);
	return *tgid ? 0 : -ESRCH;
}

bool proc_exists(uint32_t pid)
{
	struct proc_stat stat;
	uint32_t tgid;

	return proc_stat__read(pid, &stat) == 0 && !stat.is_zombie && proc_tgid(pid, &tgid) == 0 &&
	       tgid == pid;
}

/* Resident pages as in a text of statm; -EINVAL. */
static int parse_statm(const char *text, uint64_t *pages)
{
	unsigned long long total, resident;

	if (sscanf(text, "%llu %llu", &total, &resident) != 2)
		return -EINVAL;
	*pages = resident;
	return total ? 0 : -ENODATA;
}

int proc_stat__rss(uint32_t pid, uint64_t *bytes)
{
	char text[256], name[64];
	uint64_t pages = 0;
	uint32_t tid;
	ssize_t n = proc_file__read(pid, "statm", text, sizeof(text));
	int err;

	if (n <= 0)
		return n ? n : -ESRCH;
	err = parse_statm(text, &pages);
	if (err == -ENODATA) {
		/* No memory at all, or only its leader has none left. */
		err = proc_memory_tid(pid, &tid);
		if (err == -ENOENT) {
			*bytes = 0;
			return 0;
		}
		if (err)
			return err;
		snprintf(name, sizeof(name), "task/%u/statm", tid);
		n = proc_file__read(pid, name, text, sizeof(text));
		if (n <= 0)
			return n ? n : -ESRCH;
		err = parse_statm(text, &pages);
	}
	if (err == -EINVAL)
		return err;
	*bytes = pages * host__page_bytes();
	return 0;
}

uint64_t rss_error_bytes(unsigned int major, unsigned int minor, uint32_t cpus, uint32_t nr_threads)
{
	/* RSS is the sum of three counters: file, anonymous and shared memory pages. */
	const uint64_t counters = 3;
	uint64_t page_bytes = host__page_bytes();

	if (major < 6 || (major == 6 && minor < 2)) {
		/*
		 * Each thread keeps its changes to itself for 66 page faults
		 * (TASK_RSS_EVENTS_THRESH in mm/memory.c), of 16 pages each where the kernel maps
		 * around the fault (fault_around_bytes, 64 KiB).
		 */
		return (uint64_t)nr_threads * 66 * 16 * page_bytes;
	}
	if (major > 6 || minor >= 17)
		return 0; /* 82241a83cd15: statm sums the CPUs up. Older ones may have it too. */
	/*
	 * f1a7941243c1: a percpu_counter, read without its CPUs' parts, which stay below
	 * percpu_counter_batch = max(32, 2 x CPUs) in each (lib/percpu_counter.c).
	 */
	return counters * cpus * ((cpus > 16 ? 2 * cpus : 32) - 1) * page_bytes;
}

uint64_t proc_stat__rss_error_bytes(uint32_t nr_threads)
{
	struct utsname names;
	unsigned int major = 0, minor = 0;

	if (uname(&names) || sscanf(names.release, "%u.%u", &major, &minor) != 2)
		major = minor = 0; /* the widest answer */
	return rss_error_bytes(major, minor, host__cpus_online(), nr_threads);
}

bool proc_in_initial_pid_ns(void)
{
	const ino_t initial = 0xEFFFFFFC; /* PROC_PID_INIT_INO, include/linux/proc_ns.h */
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == initial;
}
