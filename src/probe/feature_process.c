// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What the kernel lets memdrift learn about processes, and what it does in them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe/attach.h"
#include "probe/feature_internal.h"

/* include/uapi/linux/fs.h from 6.7 on; Debian 12's header is older. */
struct pagemap_scan {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
struct pagemap_region {
	uint64_t start, end, categories;
};
#define PAGEMAP_SCAN_IOCTL   _IOWR('f', 16, struct pagemap_scan)
#define PAGEMAP_PAGE_PRESENT (1u << 3)

void probe_pagemap_scan(struct feature *feature)
{
	uint64_t page = sysconf(_SC_PAGESIZE);
	uint64_t address = (uintptr_t)&page & ~(page - 1);
	struct pagemap_region region;
	struct pagemap_scan scan = {
		.size = sizeof(scan),
		.start = address,
		.end = address + page,
		.vec = (uintptr_t)&region,
		.vec_len = 1,
		.category_anyof_mask = PAGEMAP_PAGE_PRESENT,
		.return_mask = PAGEMAP_PAGE_PRESENT,
	};
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		feature__set_no(feature, "", "cannot read /proc/self/pagemap: %s", strerror(errno));
		return;
	}
	if (ioctl(fd, PAGEMAP_SCAN_IOCTL, &scan) == 1)
		feature__set_yes(feature, "finds resident pages of large reservations fast");
	else
		feature__set_no(feature, "", "not in this kernel; pagemap is read page by page");
	close(fd);
}

void probe_map_files(struct feature *feature)
{
	char maps[128], path[96];
	unsigned long start, end;
	int fd;

	/* The first mapping of a program is its own file. */
	if (feature_read_file("/proc/self/maps", maps, sizeof(maps)) < 0 ||
	    sscanf(maps, "%lx-%lx", &start, &end) != 2) {
		feature__set_unknown(feature, "cannot read /proc/self/maps");
		return;
	}
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", start, end);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		feature__set_no(feature, "run it as root, for example with sudo",
				"cannot follow /proc/PID/map_files: %s; deleted files and those of "
				"other mount namespaces stay unread",
				strerror(errno));
		return;
	}
	feature__set_yes(feature, "reaches deleted files and those of other mount namespaces");
	close(fd);
}

void probe_process_memory(struct feature *feature)
{
	bool ptrace = feature_capabilities() & (1ull << CAP_SYS_PTRACE);
	char text[16];

	/* Yama (Documentation/admin-guide/LSM/Yama.rst): 3 refuses every attach, and reading
	 * another's memory asks for the same access. */
	if (feature_read_file("/proc/sys/kernel/yama/ptrace_scope", text, sizeof(text)) > 0 &&
	    atoi(text) >= 3)
		feature__set_no(feature, "kernel.yama.ptrace_scope must be below 3 from boot on",
				"kernel.yama.ptrace_scope = %d forbids it to everyone", atoi(text));
	else if (ptrace)
		feature__set_yes(feature, "of every process (CAP_SYS_PTRACE)");
	else
		feature__set_no(feature, "run it as root, for example with sudo",
				"of own processes at best: CAP_SYS_PTRACE is missing");
}

void probe_memory_cgroup(struct feature *feature)
{
	char text[8192], *line, *next;
	bool v2 = false;

	if (feature_read_file("/proc/self/cgroup", text, sizeof(text)) < 0) {
		feature__set_no(feature, "", "the kernel has no control groups");
		return;
	}
	/* hierarchy:controllers:path; the second version is "0::path" */
	for (line = text; *line; line = next) {
		char *controllers = strchr(line, ':'), *end;

		next = line + strcspn(line, "\n");
		next += *next == '\n';
		if (!controllers || controllers >= next)
			continue;
		end = strchr(++controllers, ':');
		if (!end || end >= next)
			continue;
		if (end == controllers)
			v2 = true;
		*end = '\0';
		if (strstr(controllers, "memory")) {
			feature__set_yes(feature, "version 1");
			return;
		}
	}
	if (v2)
		feature__set_yes(feature, "version 2");
	else
		feature__set_no(feature, "", "no memory controller");
}

void probe_bpf_jit(struct feature *feature)
{
	char text[16];
	long n = feature_read_file("/proc/sys/net/core/bpf_jit_enable", text, sizeof(text));

	if (n == -EACCES || n == -EPERM)
		feature__set_unknown(feature, "net.core.bpf_jit_enable is for root only");
	else if (n < 0)
		feature__set_unknown(feature, "cannot read net.core.bpf_jit_enable: %s",
				     strerror(-n));
	else if (atoi(text))
		feature__set_yes(feature, "net.core.bpf_jit_enable = %d", atoi(text));
	else
		feature__set_no(feature, "sysctl net.core.bpf_jit_enable=1",
				"BPF programs are interpreted: every probe costs more");
}

void probe_perf_events(struct feature *feature)
{
	char text[16];
	long n = feature_read_file("/proc/sys/kernel/perf_event_paranoid", text, sizeof(text));

	if (n < 0)
		feature__set_no(feature, "the kernel must have CONFIG_PERF_EVENTS",
				"cannot read kernel.perf_event_paranoid: %s", strerror(-n));
	else
		feature__set_yes(feature,
				 "kernel.perf_event_paranoid = %d, which does not bind CAP_PERFMON",
				 atoi(text));
}

enum syscall_answer { SYSCALL_ABSENT = 40, SYSCALL_PRESENT, SYSCALL_REFUSED };

static void note_signal(int signal)
{
	(void)signal;
	_exit(SYSCALL_PRESENT);
}

/*
 * Calls it in a child, because the kernel answers uretprobe() from anywhere but its own
 * trampoline with SIGILL.
 */
static int try_syscall(long number)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid) {
		signal(SIGILL, note_signal);
		syscall(number);
		_exit(errno == ENOSYS  ? SYSCALL_ABSENT
		      : errno == EPERM ? SYSCALL_REFUSED
				       : SYSCALL_PRESENT);
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -ECHILD;
}

static void probe_syscall(struct feature *feature, const char *name, long number, const char *yes,
			  const char *no)
{
	int answer = try_syscall(number);

	if (answer == SYSCALL_PRESENT)
		feature__set_yes(feature, "%s", yes);
	else if (answer == SYSCALL_ABSENT)
		feature__set_no(feature, "", "%s", no);
	else
		feature__set_unknown(feature, "%s() cannot be tried here: %s", name,
				     answer == SYSCALL_REFUSED ? "refused, by seccomp?"
							       : strerror(-answer));
}

/* Numbers of arch/x86/entry/syscalls/syscall_64.tbl, which no header of Debian 12 has. */
void probe_uretprobe_syscall(struct feature *feature)
{
	probe_syscall(
		feature, "uretprobe", 335,
		attach__return_probes_safe()
			? "return probes use it, and seccomp filters let it pass (6.14)"
			: "return probes would use it, and a seccomp filter that does not know "
			  "it would kill their process: no return probes",
		"not in this kernel; return probes use a breakpoint");
}

void probe_uprobe_syscall(struct feature *feature)
{
	probe_syscall(feature, "uprobe", 336, "probes on five-byte nops become calls",
		      "not in this kernel; all probes are breakpoints");
}
