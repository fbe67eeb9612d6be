/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STORE_STORE_H
#define MEMDRIFT_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drift/judgement.h"
#include "drift/series.h"
#include "store/incident.h"
#include "watch/subject_name.h"

/*
 * watch's history: one SQLite file in WAL mode. A transaction an interval; a kill at any moment
 * loses at most the interval that was not committed, a loss of power what the system had not
 * written out by itself (some 30 s); neither damages it. Samples, minutes and hours are tables:
 * hours that are over are folded into the coarser ones at once, and each is kept for its time;
 * --max-db bounds all of it, with WAL and free pages.
 *
 * Times are seconds of Unix time, kept in ms. One writer ("-lock" beside the file has its lock);
 * readers (report) open it read-only beside it and see what is committed. Not for several threads.
 * Functions return 0 or a negative errno; what happened is in store__error: -ENOSPC (a full disk,
 * or --max-db), -EROFS, -EACCES, -EBUSY (another writer, or a lock), -ESTALE (the file was removed
 * or replaced: close and open anew), -EUCLEAN (not a history, or damaged), -EPROTONOSUPPORT
 * (another version's), -EIO, -ENOMEM.
 */
struct store;

#define STORE_ERROR_MAX         512
#define STORE_MAX_BYTES_DEFAULT (1ull << 30)

struct store_options {
	const char *path;   /* copied */
	bool read_only;     /* report: must exist; nothing is migrated or written */
	uint64_t max_bytes; /* 0: STORE_MAX_BYTES_DEFAULT; at least 4 MB */
	/* How long samples and minutes are kept; 0: 6 hours, 2 days. Hours are for 400 days. */
	double hours_full, days_minutes;
};

/*
 * Creates or migrates it; a database of a newer version, or none of ours, is refused unharmed.
 * A writer begins a session: of what went on before, nothing is known to go on, so each subject's
 * first sample has to be added.
 */
int store__open(struct store **store, const struct store_options *options,
		char error[STORE_ERROR_MAX]);
void store__close(struct store *store);
const char *store__error(const struct store *store);

/*
 * All that is written between the two is there together or not at all. When a function in between
 * failed for the file's sake, commit keeps nothing and returns that error; samples that were
 * added in it have to be added anew (sample__differs).
 */
int store__begin(struct store *store);
int store__commit(struct store *store);

/* The id under which the name is kept, made when it is new; its cgroup is brought up to date. */
int store__subject(struct store *store, const struct subject_name *name, int64_t *id);
/* What is known of a subject beside its samples; see series.h. */
int store__set_limits(struct store *store, int64_t subject, int64_t limit_bytes,
		      int64_t arena_limit, double cpus);

/*
 * Whether now has to be added when kept was the last one that was: it is of another process, has
 * another number of threads, anything from a census, or a component that differs by at least
 * SAMPLE_DIFFERS_BYTES. So what the history says of a component is off by less than that.
 */
#define SAMPLE_DIFFERS_BYTES 65536
bool sample__differs(const struct sample *kept, const struct sample *now);

/*
 * sample->t_s is Unix time here, later than the last committed pass. Only a sample that differs
 * from the subject's last one needs to be added: a row holds until the next one, or until the
 * subject is gone.
 */
int store__add_sample(struct store *store, int64_t subject, const struct sample *sample);
/*
 * A pass was made at this time: what has no row since then had not changed. Passes that are missing
 * are gaps: more than 2.5 times as long as the interval before.
 */
int store__add_pass(struct store *store, double t_unix);
/* The subject had ended, or was not to be read, at this time. */
int store__gone(struct store *store, int64_t subject, double t_unix);

/*
 * The subject's history since then, a sample per resolution_s at most (0: one for every pass). A
 * coarse sample has the mean over time of each component that was known in it, of the process that
 * was longest there, at the mean of that time. What is older is coarser: minutes, then hours; of
 * heaps (COMPONENTS_CENSUS) it has what a census in that time told. series->start_unix is the first
 * sample's time. The caller frees it with series__free. 28 days by hours take about 1 ms. -ENOENT:
 * no such subject; -E2BIG: more than 350,000 samples.
 */
int store__read_series(struct store *store, int64_t subject, double since_unix, double resolution_s,
		       struct series *series);

/* The first and the last pass that it has; NAN: none. */
int store__span(struct store *store, double *first_unix, double *last_unix);

struct store_subject {
	int64_t id;
	struct subject_name name;
	uint32_t pid; /* of its latest process */
	uint64_t start_time;
	double first_unix, last_unix; /* of its samples; NAN when the file does not say */
	bool running;                 /* at the last pass */
};
/* May read, but not begin a pass; anything but 0 ends it and is returned. */
typedef int (*store_subject_fn)(void *ctx, const struct store_subject *subject);
int store__each_subject(struct store *store, store_subject_fn fn, void *ctx);

/* State of watch over its own restarts: any bytes under a subject and a key ("alarm", ...). */
int store__put_state(struct store *store, int64_t subject, const char *key, const void *bytes,
		     size_t size);
/* -ENOENT; -EINVAL when it has another size. */
int store__get_state(struct store *store, int64_t subject, const char *key, void *bytes,
		     size_t size);

/* A new incident, or the next state of one that has an id; sets incident->id. */
int store__put_incident(struct store *store, struct incident *incident);
/*
 * A file's bytes, kept with the incident (deflated), and had again by its name (no '/' in it, 255
 * bytes at most). -EFBIG past 64 MB, or past 1/32 of max_bytes when deflated; all evidence has a
 * quarter of max_bytes, that of the oldest incidents goes. What get gives is freed by the caller.
 */
int store__put_evidence(struct store *store, int64_t incident, const char *name, const void *bytes,
			size_t size);
int store__get_evidence(struct store *store, int64_t incident, const char *name, void **bytes,
			size_t *size);
typedef int (*store_evidence_fn)(void *ctx, const char *name, size_t size);
int store__each_evidence(struct store *store, int64_t incident, store_evidence_fn fn, void *ctx);
typedef int (*store_incident_fn)(void *ctx, const struct incident *incident);
/* By time of begin; subject 0: of all. */
int store__each_incident(struct store *store, int64_t subject, double since_unix,
			 store_incident_fn fn, void *ctx);

/*
 * Folds what is old enough and drops what is beyond max_bytes, oldest and finest first: samples to
 * 10 minutes, minutes to 2 hours, hours to 7 days, then incidents. Some 5 to 20 ms of work a call,
 * true in *more when there is more to do. Once a pass, outside of begin and commit.
 */
int store__tidy(struct store *store, double now_unix, bool *more);

struct store_size {
	uint64_t bytes; /* of the file and its WAL */
	uint64_t samples, minutes, hours, incidents;
	uint64_t dropped; /* rows, and incidents, that --max-db removed before their time */
};
int store__size(struct store *store, struct store_size *out);

#endif
