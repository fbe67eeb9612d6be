// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "census/cgroup.h"
#include "census/proc_stat.h"
#include "cmd/cmd.h"
#include "cmd/trace_session.h"
#include "probe/keeper.h"
#include "unwind/unwinder.h"

/* The start as the kernel's records give it is finer than /proc's ticks: 0 until a record tells. */
static struct process *follow_pid(struct trace_session *session, uint32_t pid,
				  const struct proc_stat *stat, bool is_target)
{
	uint64_t tick_ns = 1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK);
	uint64_t start_ns = stat->start_ticks * tick_ns;
	struct process *process;

	/* First of all, as stacks are cut without; the command is a copy of memdrift still. */
	if (pid != (uint32_t)session->command.pid)
		unwinder__look(tracer__unwinder(session->tracer), pid);
	if (session->options->target != TRACE_HOST &&
	    tracer__follow(session->tracer, pid, start_ns))
		session->model.losses[LOSS_targets_full]++;
	if (session->counts_mallocs && tracer__count(session->tracer, pid))
		session->model.losses[LOSS_counters_full]++;
	process = model__add(&session->model, pid, start_ns, stat->comm, monotonic_ns());
	if (!process)
		return NULL;
	/* From before it was followed. */
	process->faults.before = stat->faults;
	trace_process__joined(session, process, is_target);
	return process;
}

static int follow_given_pid(struct trace_session *session, uint32_t pid)
{
	struct proc_stat stat;
	uint32_t tgid;

	if (proc_tgid(pid, &tgid) || proc_stat__read(tgid, &stat) || stat.is_zombie) {
		log_error("there is no process %u; is it in this host's /proc, and has it ended?",
			  pid);
		return EXIT_FAILED;
	}
	if (tgid == (uint32_t)getpid()) {
		log_error("process %u is memdrift itself, which cannot trace itself", pid);
		return EXIT_FAILED;
	}
	if (stat.is_kernel_thread) {
		log_error("process %u is a kernel thread: it has no memory of its own to trace",
			  pid);
		return EXIT_FAILED;
	}
	if (!follow_pid(session, tgid, &stat, true)) {
		log_error("process %u ended before it could be traced", pid);
		return EXIT_FAILED;
	}
	return 0;
}

static bool is_new_target(struct trace_session *session, uint32_t pid, struct proc_stat *stat)
{
	if (pid == (uint32_t)getpid() ||
	    pid == (uint32_t)keeper__pid(tracer__keeper(session->tracer)) ||
	    proc_stat__read(pid, stat) || stat->is_kernel_thread || stat->is_zombie)
		return false;
	return !model__find(&session->model, pid);
}

static int follow_member(void *ctx, uint32_t pid)
{
	struct trace_session *session = ctx;
	struct proc_stat stat;

	if (is_new_target(session, pid, &stat))
		follow_pid(session, pid, &stat, session->options->target != TRACE_HOST);
	return 0;
}

static int follow_namesake(void *ctx, uint32_t pid)
{
	struct trace_session *session = ctx;
	struct proc_stat stat;

	if (is_new_target(session, pid, &stat) &&
	    !strncmp(stat.comm, session->options->comm, sizeof(session->options->comm) - 1))
		follow_pid(session, pid, &stat, true);
	return 0;
}

static void find_lost(void *ctx, uint32_t pid)
{
	struct trace_session *session = ctx;
	struct process *process;
	struct proc_stat stat;

	if (!is_new_target(session, pid, &stat))
		return;
	process = follow_pid(session, pid, &stat, false);
	if (process)
		process->needs_reread = true;
}

void trace_targets__find_lost(struct trace_session *session)
{
	if (session->options->target == TRACE_HOST)
		proc_each(follow_member, session);
	else
		tracer__each_target(session->tracer, find_lost, session);
}

static int follow_command(struct trace_session *session)
{
	struct proc_stat stat;

	if (proc_stat__read((uint32_t)session->command.pid, &stat) ||
	    !follow_pid(session, (uint32_t)session->command.pid, &stat, true)) {
		log_error("the command ended before it could be traced");
		return EXIT_FAILED;
	}
	return trace_command__go(session);
}

int trace_targets__follow(struct trace_session *session)
{
	const struct trace_options *options = session->options;
	int code = 0;

	switch (options->target) {
	case TRACE_HOST:
		proc_each(follow_member, session);
		return 0;
	case TRACE_COMM:
		proc_each(follow_namesake, session);
		return 0;
	case TRACE_CGROUP:
		return cgroup__each_process(options->cgroup, follow_member, session) ? EXIT_FAILED
										     : 0;
	case TRACE_COMMAND:
		return follow_command(session);
	case TRACE_PIDS:
		for (uint32_t i = 0; !code && i < options->pid_count; i++)
			code = follow_given_pid(session, options->pids[i]);
		return code;
	}
	return 0;
}

void trace_targets__refresh(struct trace_session *session)
{
	/* Processes can be moved into a group at any time; births inside it have their records. */
	if (session->options->target == TRACE_CGROUP)
		cgroup__each_process(session->options->cgroup, follow_member, session);
}

bool trace_targets__ended(struct trace_session *session)
{
	struct process *process, *next;

	if (session->options->target == TRACE_COMMAND)
		return session->command.ended;
	if (session->options->target != TRACE_PIDS)
		return false;
	HASH_ITER (hh, session->model.running, process, next)
		if (process->is_target)
			return false;
	return true;
}

/* In the child, until exec: waits for the word to start, and says why exec failed. */
static void __attribute__((noreturn))
run_command(const struct trace_session *session, int go_fd, int error_fd)
{
	char **argv = session->options->command;
	char byte;
	int err;

	if (read(go_fd, &byte, 1) != 1)
		_exit(125);
	signal(SIGPIPE, session->sigpipe);
	execvp(argv[0], argv);
	err = errno;
	if (write(error_fd, &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

int trace_command__spawn(struct trace_session *session)
{
	int go[2] = {-1, -1}, error[2] = {-1, -1};
	pid_t pid;

	if (pipe2(go, O_CLOEXEC) || pipe2(error, O_CLOEXEC) || (pid = fork()) < 0) {
		log_error("cannot start %s: %s", session->options->command[0], strerror(errno));
		return EXIT_FAILED;
	}
	if (!pid) {
		/* Else it would keep waiting when memdrift is gone. */
		close(go[1]);
		run_command(session, go[0], error[1]);
	}
	close(go[0]);
	close(error[1]);
	session->command.pid = pid;
	session->command.go_fd = go[1];
	session->command.error_fd = error[0];
	return 0;
}

/* As execvp finds it. */
static char *find_program(const char *name)
{
	char *path, *save = NULL, *found = NULL;
	const char *variable = getenv("PATH");

	if (strchr(name, '/'))
		return strdup(name);
	path = strdup(variable ? variable : "/usr/local/bin:/usr/bin:/bin");
	if (!path)
		return NULL;
	for (char *dir = strtok_r(path, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
		if (asprintf(&found, "%s/%s", dir, name) < 0)
			found = NULL;
		if (found && !access(found, X_OK))
			break;
		free(found);
		found = NULL;
	}
	free(path);
	return found;
}

void trace_command__prepare(struct trace_session *session)
{
	char *program = find_program(session->options->command[0]);

	if (program)
		trace_program__prepare_command(session, program);
	free(program);
}

int trace_command__go(struct trace_session *session)
{
	struct trace_command_run *run = &session->command;
	int err = 0;

	if (write(run->go_fd, "", 1) != 1)
		err = errno;
	close(run->go_fd);
	run->go_fd = -1;
	if (!err && read(run->error_fd, &err, sizeof(err)) != sizeof(err))
		err = 0;
	close(run->error_fd);
	if (!err)
		return 0;
	log_error("cannot run %s: %s", session->options->command[0], strerror(err));
	return EXIT_FAILED;
}

void trace_command__reap(struct trace_session *session)
{
	struct trace_command_run *run = &session->command;

	if (run->pid && !run->ended && waitpid(run->pid, &run->wait_status, WNOHANG) == run->pid)
		run->ended = true;
}
