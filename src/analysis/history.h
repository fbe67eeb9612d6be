/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_ANALYSIS_HISTORY_H
#define MEMDRIFT_ANALYSIS_HISTORY_H

#include "store/store.h"

/* What `memdrift report --db` tells, read out of watch's database. */

struct history_subject {
	struct store_subject subject;
	/* Since history.since_unix; without samples unless these were asked for. */
	struct series series;
	struct sample then, now; /* t_s is Unix time; NAN: there is none */
	int64_t open_incidents;
};

struct history_evidence {
	char *name; /* owned */
	size_t size;
};

struct history_incident {
	struct incident incident;
	struct history_evidence *evidence; /* owned */
	size_t evidence_count;
};

struct history_choice {
	uint32_t pid;     /* of the latest process; 0: any */
	const char *unit; /* a unit with or without its suffix, or the beginning of a container's id
			   * (12 letters); NULL: any */
	double since_unix; /* NAN: since_s before the last pass */
	double since_s;
	bool samples;        /* keep series */
	double resolution_s; /* 0: by the time that it is over */
};

struct history {
	const char *path;
	double first_unix, last_unix; /* passes; NAN: none */
	double since_unix;
	bool chosen;                      /* by pid or unit */
	size_t known;                     /* subjects in the database */
	struct history_subject *subjects; /* that grew most first */
	size_t count;
	struct history_incident
		*incidents; /* of these subjects; open ones first, then the latest */
	size_t incident_count;
};

/* 0, or a negative errno; store__error tells unless it is -ENOMEM. */
int history__read(struct history *history, struct store *store, const char *path,
		  const struct history_choice *choice);
void history__free(struct history *history);

/* Resident and swapped-out memory; what of the two is unknown counts as none. SERIES_UNKNOWN when
 * the resident memory is. */
int64_t history__held(const struct sample *sample);
/* From then to now; 0 when one is not known. */
int64_t history_subject__growth(const struct history_subject *subject);
/* "nginx.service", the executable's name when there is no unit. Raw. */
const char *history__name(const struct subject_name *name);

#endif
