/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_WATCH_WATCH_H
#define MEMDRIFT_WATCH_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#define WATCH_DB_DEFAULT         "/var/lib/memdrift/watch.db"
#define WATCH_INTERVAL_S_DEFAULT 10

struct watch_options {
	const char *db;          /* NULL: WATCH_DB_DEFAULT, its directory made when it is missing */
	const char *listen;      /* NULL: no metrics */
	const char *on_incident; /* NULL: no command */
	const char *cgroup;      /* only processes of it and of those below; NULL: of the host */
	double interval_s;       /* of wall time */
	double speed;            /* seconds of the series that pass in one of wall time */
	uint64_t max_db_bytes;   /* 0: the store's default */
	bool mappings;           /* mapping tracepoints always on */
	bool no_evidence;        /* no bursts of tracing */
	bool once, json;         /* one pass, printed */
};

/*
 * One thread and one poll(): a pass over /proc each interval, a look at a process's history now and
 * then, what comes of it to the database, standard output and the outlets. What reads the memory of
 * others or traces is a process of its own, within a budget. Runs until SIGTERM or SIGINT; SIGHUP
 * opens the database again. 0 or, after a message, a negative errno: -EWOULDBLOCK when another
 * watch has the database.
 */
int watch__run(const struct watch_options *options);

/* One pass, and looks at what the database knows already, to standard output. Writes nothing to the
 * database. */
int watch__once(const struct watch_options *options);

#endif
