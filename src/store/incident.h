/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STORE_INCIDENT_H
#define MEMDRIFT_STORE_INCIDENT_H

#include <stdint.h>

#include "drift/judgement.h"
#include "watch/subject_name.h"

enum incident_kind {
	INCIDENT_DRIFT, /* judgement says what drifts */
	INCIDENT_OOM,   /* killed for memory; judgement is the last one that there was */
};

struct incident {
	int64_t id; /* 0: not stored yet */
	enum incident_kind kind;
	int64_t subject; /* 0: a process that was not followed */
	struct subject_name name;
	uint32_t pid;
	uint64_t start_time;
	double begin_unix;              /* when it was raised */
	double onset_unix;              /* NAN unknown */
	double end_unix;                /* NAN: still open */
	int64_t rss_bytes, limit_bytes; /* SERIES_UNKNOWN */
	struct judgement judgement;     /* its times (_s) are Unix time here */
};

#endif
