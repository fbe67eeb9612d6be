// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/seccomp_trial.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe/calibrate.h"

/* Of the perf events of uprobes: /sys/bus/event_source/devices/uprobe/format/retprobe. */
#define CONFIG_RETPROBE 1

/* Begins with an instruction that is emulated, so that only the return is on trial. */
__asm__(".pushsection .text.memdrift_trial, \"ax\", @progbits\n"
	"	.balign 16\n"
	"	.type trial_function, @function\n"
	"trial_function:\n"
	"	push %r12\n	pop %r12\n	ret\n"
	".popsection\n");

void trial_function(void);

static int read_pmu_type(uint32_t *type)
{
	FILE *file = fopen("/sys/bus/event_source/devices/uprobe/type", "re");
	int err = 0;

	if (!file)
		return -errno;
	if (fscanf(file, "%u", type) != 1)
		err = -EINVAL;
	fclose(file);
	return err;
}

/* A descriptor or -errno. No program hangs on it: the kernel places the probe all the same. */
static int open_return_probe(pid_t pid)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.config = CONFIG_RETPROBE,
		.config1 = (uintptr_t) "/proc/self/exe",
		.sample_period = 1,
	};
	uint64_t offset;
	long fd;
	int err = read_pmu_type(&attr.type);

	if (err)
		return err;
	if (!calibrate__own_offset((uintptr_t)trial_function, &offset))
		return -ENOTSUP;
	attr.config2 = offset;
	fd = syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : (int)fd;
}

/* The child: anything but exit_group kills it, and the probe is all that could do anything. */
static _Noreturn void stand_trial(int go_fd)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog filter = {sizeof(rules) / sizeof(rules[0]), rules};
	char go;

	if (read(go_fd, &go, 1) != 1 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		_exit(2);
	trial_function();
	_exit(0);
}

static int judge(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 1;
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? 0 : -EPERM;
}

int seccomp_trial__run(void)
{
	int pipe_fds[2], event, verdict;
	pid_t child;

	if (pipe2(pipe_fds, O_CLOEXEC))
		return -errno;
	child = fork();
	if (!child) {
		/* Its own copy would keep it waiting for a word that never comes. */
		close(pipe_fds[1]);
		stand_trial(pipe_fds[0]);
	}
	close(pipe_fds[0]);
	if (child < 0) {
		close(pipe_fds[1]);
		return -errno;
	}
	event = open_return_probe(child);
	/* Without the probe nothing is proven: an end of the pipe sends the child away. */
	if (event >= 0 && write(pipe_fds[1], "g", 1) != 1)
		event = -EIO;
	close(pipe_fds[1]);
	verdict = judge(child);
	if (event < 0)
		return event;
	close(event);
	return verdict;
}
