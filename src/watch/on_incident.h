/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_WATCH_ON_INCIDENT_H
#define MEMDRIFT_WATCH_ON_INCIDENT_H

#include <stddef.h>
#include <stdint.h>

#include "store/incident.h"

/*
 * --on-incident COMMAND: `sh -c COMMAND` for each incident, its JSON line on standard input and
 *	MEMDRIFT_INCIDENT  its id         MEMDRIFT_STATE  raised, cleared, oom
 *	MEMDRIFT_VERDICT   "leak", ...    MEMDRIFT_UNIT, MEMDRIFT_EXE, MEMDRIFT_PID
 * in its environment (printable text, base/text.h). Its standard output is our standard error:
 * standard output is the stream of incidents. It inherits no other descriptor and no signal mask.
 *
 * Nothing waits for it: it runs beside, in a process group of its own which is killed when it has
 * not ended in time, and what it leaves behind in that group when it ends. An exit status that is
 * not 0 is a warning in the log.
 */
struct on_incident;

/* At once; a host with more incidents than that has them one after the other. */
#define ON_INCIDENT_RUNNING_MAX 4
/* Waiting; each holds a line of some kilobytes. More are dropped, logged and counted. */
#define ON_INCIDENT_WAITING_MAX 64
#define ON_INCIDENT_TIMEOUT_S   60

struct on_incident_counts {
	uint64_t succeeded;
	uint64_t failed;    /* could not be started, ended by a signal or with another status */
	uint64_t timed_out; /* killed */
	uint64_t dropped;   /* too many waited */
	uint64_t running, waiting;
};

/* timeout_s: 0 takes the default. 0 or a negative errno. */
int on_incident__new(struct on_incident **on_incident, const char *command, double timeout_s);
/* Starts it or lets it wait; copies what it needs. -ENOBUFS: dropped. */
int on_incident__add(struct on_incident *on_incident, const struct incident *incident,
		     const char *line);
/* Readable when on_incident__work has something to do: a command ended, or its time is up. */
int on_incident__fd(const struct on_incident *on_incident);
void on_incident__work(struct on_incident *on_incident);
void on_incident__counts(const struct on_incident *on_incident, struct on_incident_counts *out);
/* Kills what runs and forgets what waits. */
void on_incident__free(struct on_incident *on_incident);

#endif
