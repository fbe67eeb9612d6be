/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_WATCH_WATCH_IMPL_H
#define MEMDRIFT_WATCH_WATCH_IMPL_H

#include "drift/judgement.h"
#include "drift/outlook.h"
#include "metrics/listener.h"
#include "store/store.h"
#include "watch/burst.h"
#include "watch/census_child.h"
#include "watch/mappings.h"
#include "watch/movers.h"
#include "watch/on_incident.h"
#include "watch/oom.h"
#include "watch/own_cost.h"
#include "watch/sampler.h"
#include "watch/series_clock.h"
#include "watch/service.h"
#include "watch/watch.h"

/* What is known of a subject beside its history, kept over restarts of it and of watch. */
#define SUBJECT_STATE_KEY     "watch"
#define SUBJECT_STATE_VERSION 1
struct subject_state {
	uint32_t version;
	uint32_t told;      /* the open incident's line has been written */
	int64_t incident;   /* the open one; 0: none */
	struct alarm alarm; /* its time is Unix time */
	double looked_unix; /* 0: never */
	uint32_t bursts;    /* for the open incident */
	uint32_t verdict;   /* of the last look; enum drift_verdict */
	double slope_bytes_per_h, onset_unix, reaches_limit_unix;
	uint64_t command_hash;
};
/* The last judgement, its times being Unix time: what a killed process is told with. */
#define JUDGEMENT_KEY "judgement"

/* A followed process: `user` of struct watched. Some 800 bytes. */
struct followed {
	struct watched *watched;
	int64_t subject;
	struct subject_state state;
	double next_look_unix;
	struct mover mover;
	int64_t latest[COMPONENT_MAX]; /* of the last pass, and of the last census */
	bool has_kept;
	struct sample kept;  /* the last row in the database */
	bool census_fresh;   /* a census came in since the last row was written */
	int64_t arena_limit; /* SERIES_UNKNOWN */
	int64_t limit_bytes;
	double cpus;
	bool limits_changed;
	uint64_t raised_ns; /* monotonic; of an incident that waits for its evidence */
};

/* Budgets are shares of one CPU. Under --speed the work of a day comes in seconds: they grow
 * alike, up to BUDGET_SHARE_MAX. */
#define LOOKS_SHARE      0.003
#define BURSTS_SHARE     0.0015
#define BUDGET_SHARE_MAX 0.5

struct budget {
	double share;
	int64_t balance_ns, most_ns;
	uint64_t filled_ns;
};
void budget__init(struct budget *budget, double share, double speed, uint64_t most_ns);
bool budget__has(struct budget *budget, uint64_t now_ns);
void budget__spend(struct budget *budget, uint64_t ns);

/*
 * What was last known of a process that ended: without the tracepoint, of those of this pass; with
 * it, of the latest, for a record that comes after the pass that found its process gone.
 */
#define ENDED_MAX 16
struct ended {
	struct subject_name name;
	int64_t subject;
	uint32_t pid;
	uint64_t start_time;
	int64_t limit_bytes;
	int64_t latest[COMPONENT_MAX];
	uint64_t ended_ns; /* monotonic; 0: none */
};

static inline bool component_is_census(int component)
{
	return component >= COMPONENT_BRK;
}

struct watch {
	const struct watch_options *options;

	struct store *store;
	bool in_transaction, store_failed; /* failed: since the last pass began */
	struct series_clock clock;
	double start_unix, last_pass_unix, told_unix;
	struct service service;
	struct listener *listener;
	struct on_incident *on_incident;
	int timer, signals;
	bool stop, reload;

	char *cgroup; /* its name, as processes have it; owned; NULL: all of the host */
	struct sampler *sampler;
	struct movers movers;
	struct census_child census;
	struct followed *census_of; /* NULL: it has gone meanwhile */
	struct mover nobody;

	struct budget looks, bursts;
	struct outlook_work *work; /* of looks */

	struct burst burst;
	bool has_burst;
	int64_t burst_incident, burst_subject;
	double burst_expected_bytes; /* that the process grows by meanwhile */
	uint64_t burst_next_ns;
	bool has_mappings;
	struct mappings mappings; /* --mappings */
	uint64_t mappings_seen;   /* of its runs, by incidents that wait for a mapper */

	struct oom *oom;
	int oom_err;
	int64_t host_kills;  /* oom_kill of /proc/vmstat; -1 unknown */
	uint64_t kills_open; /* of these, whose processes have not been seen to end */
	uint64_t kills_ns;   /* monotonic; when the last of them was seen */
	struct ended ended[ENDED_MAX];
	size_t ended_count; /* with the tracepoint: of all that there were; the array is a ring */

	struct own_cost cost;
	uint64_t incidents[METRICS_KINDS][DRIFT_VERDICT_MAX];
};

/* ---- watch_store.c: errors are counted and said once ---------------------------------------- */

/* Begins a transaction when none is open. False: the database cannot be written now. */
bool watch__begin(struct watch *watch);
void watch__commit(struct watch *watch);
/* Counts it when err is one. */
void watch__store_error(struct watch *watch, int err, const char *what);
int watch__open_store(struct watch *watch);
void watch__save_state(struct watch *watch, const struct followed *followed);
void watch__load_state(struct watch *watch, struct followed *followed);

/* ---- watch_open.c -------------------------------------------------------------------------- */

/* 0, or after a message a negative errno; to be closed in either case. */
int watch__open(struct watch *watch);
void watch__close(struct watch *watch);
/* Where killed processes are known from. */
const char *watch__oom_text(int err);
/* What /proc/PID/cgroup calls a group; NULL for NULL. 0, or after a message a negative errno. */
int watch__name_cgroup(const char *path, char **name);

/* ---- watch_pass.c ---------------------------------------------------------------------------- */

void watch__pass(struct watch *watch);
void watch__free_followed(struct watch *watch);
/* Whether a process of this group is followed; cgroup NULL: of any. */
bool watch__covers(const char *cgroup, const struct subject_name *name);
/* The database is another one, or opened anew: subjects get their ids there. */
void watch__rename_followed(struct watch *watch);
/* The names of the last run, before the first pass. */
int watch__remember(struct watch *watch);

/* ---- watch_census.c -------------------------------------------------------------------------- */

/* Of whoever's turn it is; nothing while one runs. */
void watch__start_census(struct watch *watch);
void watch__finish_census(struct watch *watch);

/* ---- looks.c --------------------------------------------------------------------------------- */

/* Judges a subject's history up to now; times of *out are Unix time. */
int looks__judge(struct outlook_work *work, struct store *store, int64_t subject, double now_unix,
		 struct judgement *out);
/* Those that are due, as far as the budget goes. */
void looks__work(struct watch *watch);
void looks__begin(struct watch *watch, struct followed *followed);

/* ---- incidents.c ----------------------------------------------------------------------------- */

void incidents__raise(struct watch *watch, struct followed *followed,
		      const struct judgement *judgement);
/* A further look at a subject with an open incident. */
void incidents__update(struct watch *watch, struct followed *followed,
		       const struct judgement *judgement);
/* The stack that grows, "root;...;leaf", to the reason. */
void incidents__add_stack(struct watch *watch, int64_t subject, int64_t id, const char *stack);
void incidents__clear(struct watch *watch, struct followed *followed);
/* Writes the line of an incident, and runs the command. */
void incidents__tell(struct watch *watch, const struct incident *incident);
/* The same of a process's open incident, as the database has it. */
void incidents__tell_of(struct watch *watch, struct followed *followed);
/* -ENOENT. */
int incidents__find(struct watch *watch, int64_t subject, int64_t id, struct incident *out);
/* Lines of what has waited for evidence long enough. */
void incidents__work(struct watch *watch, bool all);
/* Those that were left open by subjects which are gone for good. */
void incidents__end_stale(struct watch *watch);

/* ---- incident_oom.c -------------------------------------------------------------------------- */

void incident_oom__victim(void *watch, const struct oom_record *record);
/* After a pass, where there is no tracepoint. */
void incident_oom__counters(struct watch *watch);
void incident_oom__ended(struct watch *watch, const struct followed *followed);

/* ---- evidence.c ------------------------------------------------------------------------------ */

void evidence__work(struct watch *watch);
/* Whether a burst for this incident runs, or is still to come soon. */
bool evidence__burst_comes(const struct watch *watch, const struct followed *followed);
/* That, or a mapper. */
bool evidence__comes(const struct watch *watch, const struct followed *followed);
/* Replaces one of that name; bytes stay the caller's. */
void evidence__keep_file(struct watch *watch, int64_t incident, const char *name, const void *bytes,
			 size_t size);

/* ---- evidence_mappings.c --------------------------------------------------------------------- */

/* Of a process, with an incident: its heaviest stack, for the caller to free; NULL: they have none
 * of it. */
char *evidence_mappings__keep(struct watch *watch, int64_t incident, uint32_t pid,
			      uint64_t start_time);
/* An untold incident about a mapper: who maps seldom may have come between two of the traces, or
 * come after the burst. */
bool evidence_mappings__awaited(const struct watch *watch, const struct followed *followed);
/* When another trace has ended. */
void evidence_mappings__work(struct watch *watch);

/* ---- watch_metrics.c ------------------------------------------------------------------------- */

void watch__fill_metrics(void *watch, struct metrics *metrics);
bool watch__healthy(void *watch);

#endif
