/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_METRICS_METRICS_H
#define MEMDRIFT_METRICS_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "drift/judgement.h"
#include "store/store.h"
#include "watch/on_incident.h"
#include "watch/own_cost.h"
#include "watch/subject_name.h"

/*
 * What a scrape shows, as the Prometheus text format 0.0.4. watch fills one struct a scrape: the
 * plain members at once, its processes one by one with metrics__add_subject, which keeps the
 * largest and those that drift and only sums up the rest. So the number of series is bounded
 * however many processes the host has.
 */

/* The largest processes that are shown one by one. A process has some 20 series at most. */
#define METRICS_SUBJECTS_DEFAULT 50
/* Those with an open incident that are shown beside them; more than that is no host at work. */
#define METRICS_DRIFTING_MAX 200

struct metrics_subject {
	/* Both belong to the caller and stay as they are until metrics__free. */
	const struct subject_name *name;
	const int64_t *value; /* COMPONENT_MAX of them, the latest; SERIES_UNKNOWN */
	int64_t limit_bytes;  /* of its control group; SERIES_UNKNOWN */
	bool drift;           /* an incident of it is open */
	/* The open incident's; else the last look's, INSUFFICIENT_DATA before the first. */
	enum drift_verdict verdict;
	double slope_bytes_per_h;  /* NAN unknown */
	double onset_unix;         /* NAN: no drift */
	double reaches_limit_unix; /* NAN */
};

/* How incidents are told apart in memdrift_incidents_total. */
#define METRICS_KINDS 2 /* by enum incident_kind */

struct metrics_list; /* src/metrics only */

struct metrics {
	struct own_cost cost;
	struct store_size store;
	struct on_incident_counts commands;
	double start_unix;     /* of watch */
	double last_pass_unix; /* NAN: none yet */
	double interval_s;     /* between two passes */
	/* Raised since watch started. */
	uint64_t incidents[METRICS_KINDS][DRIFT_VERDICT_MAX];
	uint64_t open_incidents[DRIFT_VERDICT_MAX];
	struct metrics_list *list; /* set by metrics__init, filled by metrics__add_subject */
};

/* All zero, times unknown. 0 or -ENOMEM. subjects_max: 0 takes the default. */
int metrics__init(struct metrics *metrics, size_t subjects_max);
/* No allocation; what does not fit is summed up. */
void metrics__add_subject(struct metrics *metrics, const struct metrics_subject *subject);
void metrics__free(struct metrics *metrics);

/* The whole text. Once for each metrics: it settles the list. Errors are in ferror(out). */
void metrics__write(struct metrics *metrics, FILE *out);

/* Fills what metrics__init made; called while a scrape waits, so it only copies. */
typedef void (*metrics_fill_fn)(void *ctx, struct metrics *metrics);

#endif
