/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_WATCH_COMMAND_H
#define MEMDRIFT_WATCH_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/incident.h"

/* One run of a shell command for an incident, as on_incident.h says. */

/* X(variable, what it holds): see on_incident.h. */
#define COMMAND_VARIABLES(X)        X(INCIDENT) X(STATE) X(VERDICT) X(UNIT) X(EXE) X(PID)
#define COMMAND_VARIABLE_ENUM(name) COMMAND_##name,
enum { COMMAND_VARIABLES(COMMAND_VARIABLE_ENUM) COMMAND_VARIABLE_MAX };
#undef COMMAND_VARIABLE_ENUM

struct command_input {
	int64_t id; /* of the incident */
	char *line;
	char *variables[COMMAND_VARIABLE_MAX]; /* "MEMDRIFT_UNIT=…" */
};

/* 0 or -ENOMEM. */
int command_input__make(struct command_input *input, const struct incident *incident,
			const char *line);
void command_input__free(struct command_input *input);

struct command {
	pid_t pid; /* and its process group; 0: none */
	int pidfd; /* readable once it has ended */
	int64_t id;
	uint64_t deadline_ns;
	bool timed_out;
};

/* 0 or a negative errno. */
int command__start(struct command *command, const char *text, const struct command_input *input,
		   uint64_t deadline_ns);
/* SIGKILL for its process group. */
void command__signal(const struct command *command);
/* False while it runs. Else what is left of its group is killed, and the status is its exit status,
 * or a signal's number, negated. */
bool command__reap(struct command *command, int *status);
/* Ends it and waits for its end, which is at once. */
void command__kill(struct command *command);

#endif
