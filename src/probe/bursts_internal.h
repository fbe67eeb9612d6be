/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_BURSTS_INTERNAL_H
#define MEMDRIFT_PROBE_BURSTS_INTERNAL_H

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <uthash.h>

#include "analysis/burst_log.h"
#include "probe/bursts.h"
#include "probe/governor.h"

/* Shared by src/probe/bursts.c (when probes come and go) and bursts_member.c (who pays). */

/* A process. */
struct member {
	UT_hash_handle hh; /* by pid */
	uint32_t pid;
	uint64_t start_ns;
	clockid_t clock;        /* of its CPU time */
	bool gone;              /* its last readings stand */
	double base_cpu_ns;     /* used before it was traced */
	double cpu_ns, cost_ns; /* as of the last reading */
	struct alloc_counts counts;
	struct burst_log log;
	uint64_t detached_ns; /* the first time; 0: never */
	struct unit *unit;
	struct member *next; /* of its unit */
};

/* Processes that have and lose their probes together. */
struct unit {
	UT_hash_handle hh; /* by pid */
	uint32_t pid;      /* 0: all */
	struct governor governor;
	struct member *members;
	double ended_cpu_ns, ended_cost_ns; /* of members that have ended */
	double edges_ns;                    /* paid at edges besides hits */
	double edge_cost_ns;                /* cost when the last window ended */
	double read_ns;                     /* that reading it took */
	uint64_t look_ns;
	uint64_t wants_since_ns; /* it is to be attached; 0: it is not */
	bool failed;             /* and the user knows */
};

struct bursts {
	struct tracer *tracer;
	struct coverage *coverage;
	double budget;
	pthread_t thread;
	pthread_mutex_t lock; /* taken before that of coverage */
	pthread_cond_t changed;
	bool running, stopped;
	uint64_t stopped_ns;
	struct member *members;
	struct unit *units;
	uint64_t attach_at_ns; /* no attach before */
	struct bursts_totals totals;
	double ended_cpu_ns, ended_cost_ns; /* of units that are gone, edges included */
};

void member__read(struct bursts *bursts, struct member *member);
struct burst_reading member__reading(const struct member *member, uint64_t now_ns);
/* Takes it out of its unit, and the unit away when it was the last one of its own. */
void member__remove(struct bursts *bursts, struct member *member);

#endif
