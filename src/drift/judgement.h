/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_DRIFT_JUDGEMENT_H
#define MEMDRIFT_DRIFT_JUDGEMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "drift/series.h"

/* X(name, text): what a series comes to. The first ones are drift. */
#define DRIFT_VERDICTS(X)                                 \
	X(LEAK, "leak")                                   \
	X(FRAGMENTATION, "fragmentation")                 \
	X(ARENA_GROWTH, "arena-growth")                   \
	X(DIRECT_MAPPING_GROWTH, "direct-mapping-growth") \
	X(GO_HEAP_GROWTH, "go-heap-growth")               \
	X(GO_HEAP_FRAGMENTATION, "go-heap-fragmentation") \
	X(THREAD_GROWTH, "thread-growth")                 \
	X(FILE_GROWTH, "file-growth")                     \
	X(SHMEM_GROWTH, "shmem-growth")                   \
	X(NONE, "none")                                   \
	X(INSUFFICIENT_DATA, "insufficient-data")
#define DRIFT_VERDICT_ENUM(name, text) DRIFT_##name,
enum drift_verdict { DRIFT_VERDICTS(DRIFT_VERDICT_ENUM) DRIFT_VERDICT_MAX };
#undef DRIFT_VERDICT_ENUM

const char *drift_verdict__text(enum drift_verdict verdict);

#define JUDGEMENT_WHY_MAX 512
#define JUDGEMENT_DO_MAX  256

struct judgement {
	bool drift;
	enum drift_verdict verdict;
	enum component component; /* whose growth it is; COMPONENT_MAX: none */
	bool plateau;             /* no drift: it grew and has settled (cache warm-up) */
	bool ends;                /* no drift: it grows, up to a bound that it will reach soon */
	double t_s;               /* of the last sample that it is judged by */
	double span_s;            /* of the data that it is judged by */
	double onset_s;           /* NAN: no drift */
	/* Of resident plus swapped-out memory, the cycles taken out; bounds of 95 %. NAN: unknown.
	 */
	double slope_bytes_per_h, slope_low, slope_high;
	double level_bytes;          /* robust level now */
	double grown_bytes;          /* since the onset */
	double confidence;           /* that it drifts; 0..1 */
	double reaches_limit_s;      /* NAN: no limit, or never at this slope */
	double ends_at_bytes;        /* growth that is bounded by configuration ends there; NAN */
	double ends_s;               /* when; NAN */
	char why[JUDGEMENT_WHY_MAX]; /* the evidence, a line */
	char todo[JUDGEMENT_DO_MAX]; /* what helps, a line; "" nothing known */
};

struct outlook_work; /* drift/outlook.h */

/*
 * Judges by the first count samples. Bounded in time by the series' length; no error but -ENOMEM.
 * work is the caller's, for one judgement after the other.
 */
int drift__judge(struct outlook_work *work, const struct series *series, size_t count,
		 struct judgement *out);

/*
 * The alarm that is raised online: on when looks have spoken for drift clearly enough, off when
 * they have spoken against it. Looks overlap in what they see, so that none counts for much by
 * itself. What watch keeps of a process between two looks.
 */
struct alarm {
	bool on;
	int evidence;   /* for drift, summed over looks and bounded; hundredths of a log-odds */
	double since_s; /* t_s of the look from which on it has grown towards the other state */
};

enum alarm_change { ALARM_SAME, ALARM_RAISED, ALARM_CLEARED };
enum alarm_change alarm__update(struct alarm *alarm, const struct judgement *judgement);

/* Time between two looks at a series: of watch and of a replay. */
#define DRIFT_LOOK_S 21600

#endif
