// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "watch/command.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "watch/incident_json.h"

#define SHELL "/bin/sh"

static char *make_variable(const char *name, const char *raw)
{
	char *text = text_printable_dup(raw);
	char *variable = NULL;

	if (text && asprintf(&variable, "MEMDRIFT_%s=%s", name, text) < 0)
		variable = NULL;
	free(text);
	return variable;
}

int command_input__make(struct command_input *input, const struct incident *incident,
			const char *line)
{
	char id[24], pid[16];
	const char *const values[COMMAND_VARIABLE_MAX] = {
		[COMMAND_INCIDENT] = id,
		[COMMAND_STATE] = incident__state(incident),
		[COMMAND_VERDICT] = drift_verdict__text(incident->judgement.verdict),
		[COMMAND_UNIT] = incident->name.unit,
		[COMMAND_EXE] = incident->name.exe,
		[COMMAND_PID] = pid,
	};
	static const char *const names[COMMAND_VARIABLE_MAX] = {
#define COMMAND_VARIABLE_NAME(name) [COMMAND_##name] = #name,
		COMMAND_VARIABLES(COMMAND_VARIABLE_NAME)
#undef COMMAND_VARIABLE_NAME
	};

	snprintf(id, sizeof(id), "%lld", (long long)incident->id);
	snprintf(pid, sizeof(pid), "%u", incident->pid);
	*input = (struct command_input){.id = incident->id, .line = strdup(line)};
	for (int i = 0; i < COMMAND_VARIABLE_MAX; i++) {
		input->variables[i] = make_variable(names[i], values[i]);
		if (!input->variables[i] || !input->line) {
			command_input__free(input);
			return -ENOMEM;
		}
	}
	return 0;
}

void command_input__free(struct command_input *input)
{
	free(input->line);
	for (int i = 0; i < COMMAND_VARIABLE_MAX; i++)
		free(input->variables[i]);
	*input = (struct command_input){0};
}

/* A file in memory and no pipe: it waits for no reader. */
static int open_input(const char *line)
{
	int fd = memfd_create("incident", MFD_CLOEXEC), err;
	size_t length = strlen(line);

	if (fd < 0)
		return -errno;
	if (write(fd, line, length) == (ssize_t)length && write(fd, "\n", 1) == 1 &&
	    lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	err = errno ? -errno : -EIO;
	close(fd);
	return err;
}

static bool is_ours(const char *variable)
{
	return !strncmp(variable, "MEMDRIFT_", strlen("MEMDRIFT_"));
}

/* Ours and what is inherited; only the array is new. */
static char **make_environment(const struct command_input *input)
{
	size_t inherited = 0, n = 0;
	char **environment;

	while (environ && environ[inherited])
		inherited++;
	environment = calloc(inherited + COMMAND_VARIABLE_MAX + 1, sizeof(*environment));
	if (!environment)
		return NULL;
	for (size_t i = 0; i < inherited; i++)
		if (!is_ours(environ[i]))
			environment[n++] = environ[i];
	for (int i = 0; i < COMMAND_VARIABLE_MAX; i++)
		environment[n++] = input->variables[i];
	return environment;
}

static int prepare_files(posix_spawn_file_actions_t *actions, int input_fd)
{
	int err = posix_spawn_file_actions_adddup2(actions, input_fd, STDIN_FILENO);

	if (!err)
		err = posix_spawn_file_actions_adddup2(actions, STDERR_FILENO, STDOUT_FILENO);
	if (!err)
		err = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
	return err;
}

/* Our loop blocks signals, to read them from a descriptor: a shell would inherit that. */
static int prepare_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	int err;

	sigemptyset(&none);
	sigfillset(&all);
	err = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
							   POSIX_SPAWN_SETSIGDEF);
	if (!err)
		err = posix_spawnattr_setpgroup(attributes, 0);
	if (!err)
		err = posix_spawnattr_setsigmask(attributes, &none);
	if (!err)
		err = posix_spawnattr_setsigdefault(attributes, &all);
	return err;
}

/* 0 or an errno, as posix_spawn gives it. */
static int spawn(pid_t *pid, const char *text, int input_fd, char **environment)
{
	char *const arguments[] = {(char *)"sh", (char *)"-c", (char *)text, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int err = posix_spawn_file_actions_init(&actions);

	if (err)
		return err;
	err = posix_spawnattr_init(&attributes);
	if (!err) {
		err = prepare_files(&actions, input_fd);
		if (!err)
			err = prepare_attributes(&attributes);
		if (!err)
			err = posix_spawn(pid, SHELL, &actions, &attributes, arguments,
					  environment);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return err;
}

int command__start(struct command *command, const char *text, const struct command_input *input,
		   uint64_t deadline_ns)
{
	char **environment = make_environment(input);
	int input_fd, err;

	*command = (struct command){.pidfd = -1, .id = input->id, .deadline_ns = deadline_ns};
	if (!environment)
		return -ENOMEM;
	input_fd = open_input(input->line);
	if (input_fd < 0) {
		free(environment);
		return input_fd;
	}
	err = spawn(&command->pid, text, input_fd, environment);
	close(input_fd);
	free(environment);
	if (err) {
		command->pid = 0;
		return -err;
	}
	/* It is not reaped yet, so this is it. The descriptor is closed on exec. */
	command->pidfd = pidfd_open(command->pid, 0);
	if (command->pidfd < 0) {
		err = -errno;
		command__kill(command);
	}
	return err;
}

void command__signal(const struct command *command)
{
	kill(-command->pid, SIGKILL);
}

bool command__reap(struct command *command, int *status)
{
	siginfo_t info = {0};

	if (waitid(P_PID, (id_t)command->pid, &info, WEXITED | WNOHANG | WNOWAIT)) {
		if (errno != ECHILD)
			return false;
		/* Somebody ignores SIGCHLD: its number may be another's by now. */
		info.si_code = CLD_EXITED;
	} else if (!info.si_pid) {
		return false;
	} else {
		/* Its number is the group's as long as it is not reaped. */
		command__signal(command);
		while (waitpid(command->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	*status = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
	if (command->pidfd >= 0)
		close(command->pidfd);
	*command = (struct command){.pidfd = -1};
	return true;
}

void command__kill(struct command *command)
{
	command__signal(command);
	while (waitpid(command->pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (command->pidfd >= 0)
		close(command->pidfd);
	*command = (struct command){.pidfd = -1};
}
