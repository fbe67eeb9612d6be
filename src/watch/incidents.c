// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <bsd/string.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "watch/incident_json.h"
#include "watch/stack_text.h"
#include "watch/watch_impl.h"

/* An incident's line waits so long for its evidence, in wall time. */
#define EVIDENCE_WAIT_NS 420000000000ull
/* Names of evidence in a line. */
#define NAMES_MAX 32

static void put(struct watch *watch, struct incident *incident)
{
	if (watch__begin(watch))
		watch__store_error(watch, store__put_incident(watch->store, incident),
				   "keep an incident");
}

struct search {
	int64_t id;
	struct incident *found;
	bool has;
};

static int match(void *ctx, const struct incident *incident)
{
	struct search *search = ctx;

	if (incident->id != search->id)
		return 0;
	*search->found = *incident;
	search->has = true;
	return 1;
}

int incidents__find(struct watch *watch, int64_t subject, int64_t id, struct incident *out)
{
	struct search search = {id, out, false};
	int err = watch->store ? store__each_incident(watch->store, subject, 0, match, &search)
			       : -ENODEV;

	return search.has ? 0 : err < 0 ? err : -ENOENT;
}

struct names {
	char *name[NAMES_MAX];
	size_t count;
};

static int add_name(void *ctx, const char *name, size_t size)
{
	struct names *names = ctx;

	if (names->count < NAMES_MAX) {
		names->name[names->count] = strdup(name);
		names->count += names->name[names->count] != NULL;
	}
	return 0;
}

void incidents__tell(struct watch *watch, const struct incident *incident)
{
	struct names names = {.count = 0};
	char *line;
	int err;

	if (watch->store && incident->id)
		store__each_evidence(watch->store, incident->id, add_name, &names);
	line = incident_json__line(incident, (const char *const *)names.name, names.count);
	err = line ? incident_json__write(stdout, line) : -ENOMEM;
	if (err)
		log_error("cannot write an incident's line: %s", strerror(-err));
	if (line && watch->on_incident)
		on_incident__add(watch->on_incident, incident, line);
	for (size_t i = 0; i < names.count; i++)
		free(names.name[i]);
	free(line);
}

void incidents__tell_of(struct watch *watch, struct followed *followed)
{
	struct incident incident;

	if (!incidents__find(watch, followed->subject, followed->state.incident, &incident))
		incidents__tell(watch, &incident);
	followed->state.told = 1;
	followed->raised_ns = 0;
	watch__save_state(watch, followed);
}

void incidents__raise(struct watch *watch, struct followed *followed,
		      const struct judgement *judgement)
{
	struct incident incident = {
		.kind = INCIDENT_DRIFT,
		.subject = followed->subject,
		.name = followed->watched->name,
		.pid = followed->watched->pid,
		.start_time = followed->watched->start_time,
		.begin_unix = watch->last_pass_unix,
		.onset_unix = judgement->onset_s,
		.end_unix = NAN,
		.rss_bytes = followed->latest[COMPONENT_RSS],
		.limit_bytes = followed->watched->limit_bytes,
		.judgement = *judgement,
	};

	put(watch, &incident);
	watch->incidents[INCIDENT_DRIFT][judgement->verdict]++;
	followed->state.incident = incident.id;
	followed->state.told = 0;
	followed->state.bursts = 0;
	followed->raised_ns = monotonic_ns();
}

/* What evidence adds to the reason. */
#define GROWS_IN "; grows in "

void incidents__add_stack(struct watch *watch, int64_t subject, int64_t id, const char *stack)
{
	struct incident incident;
	char text[JUDGEMENT_WHY_MAX / 2];

	if (incidents__find(watch, subject, id, &incident) ||
	    strstr(incident.judgement.why, GROWS_IN))
		return;
	stack_text__cause(stack, text, sizeof(text));
	strlcat(incident.judgement.why, GROWS_IN, sizeof(incident.judgement.why));
	strlcat(incident.judgement.why, text, sizeof(incident.judgement.why));
	put(watch, &incident);
}

static void keep_stack(const char *before, char *why)
{
	const char *stack = strstr(before, GROWS_IN);

	if (stack)
		strlcat(why, stack, JUDGEMENT_WHY_MAX);
}

void incidents__update(struct watch *watch, struct followed *followed,
		       const struct judgement *judgement)
{
	char before[JUDGEMENT_WHY_MAX];
	struct incident incident;

	if (incidents__find(watch, followed->subject, followed->state.incident, &incident))
		return;
	strlcpy(before, incident.judgement.why, sizeof(before));
	incident.pid = followed->watched->pid;
	incident.start_time = followed->watched->start_time;
	incident.onset_unix = judgement->onset_s;
	incident.rss_bytes = followed->latest[COMPONENT_RSS];
	incident.limit_bytes = followed->watched->limit_bytes;
	incident.judgement = *judgement;
	keep_stack(before, incident.judgement.why);
	put(watch, &incident);
}

void incidents__clear(struct watch *watch, struct followed *followed)
{
	struct incident incident;

	if (!incidents__find(watch, followed->subject, followed->state.incident, &incident)) {
		incident.end_unix = watch->last_pass_unix;
		put(watch, &incident);
		incidents__tell(watch, &incident);
	}
	followed->state.incident = 0;
	followed->raised_ns = 0;
}

struct work {
	struct watch *watch;
	bool all;
};

static void tell_in_time(void *ctx, struct watched *watched)
{
	struct followed *followed = watched->user;
	struct work *work = ctx;

	if (!followed || !followed->state.incident || followed->state.told)
		return;
	if (work->all || !evidence__comes(work->watch, followed) ||
	    monotonic_ns() - followed->raised_ns > EVIDENCE_WAIT_NS)
		incidents__tell_of(work->watch, followed);
}

void incidents__work(struct watch *watch, bool all)
{
	struct work work = {watch, all};

	sampler__each(watch->sampler, tell_in_time, &work);
}

/* ---- those of processes that do not come back ------------------------------------------------ */

/* A service that is not started again for so long, in the time of series. */
#define STALE_S   86400.0
#define STALE_MAX 256

struct stale {
	struct watch *watch;
	int64_t alive[SAMPLER_SUBJECTS_DEFAULT]; /* subjects with an open incident that are here */
	size_t alive_count;
	struct incident found[STALE_MAX];
	size_t count;
};

static void add_alive(void *ctx, struct watched *watched)
{
	struct followed *followed = watched->user;
	struct stale *stale = ctx;

	if (followed && followed->state.incident && stale->alive_count < SAMPLER_SUBJECTS_DEFAULT)
		stale->alive[stale->alive_count++] = followed->subject;
}

static int add_stale(void *ctx, const struct incident *incident)
{
	struct stale *stale = ctx;

	if (incident->kind != INCIDENT_DRIFT || !isnan(incident->end_unix) ||
	    stale->watch->last_pass_unix - incident->judgement.t_s < STALE_S)
		return 0;
	for (size_t i = 0; i < stale->alive_count; i++)
		if (stale->alive[i] == incident->subject)
			return 0;
	stale->found[stale->count++] = *incident;
	return stale->count == STALE_MAX;
}

void incidents__end_stale(struct watch *watch)
{
	struct stale *stale;

	if (!watch->store)
		return;
	stale = calloc(1, sizeof(*stale));
	if (!stale)
		return;
	stale->watch = watch;
	sampler__each(watch->sampler, add_alive, stale);
	store__each_incident(watch->store, 0, 0, add_stale, stale);
	for (size_t i = 0; i < stale->count; i++) {
		struct followed none = {.subject = stale->found[i].subject};

		stale->found[i].end_unix = watch->last_pass_unix;
		put(watch, &stale->found[i]);
		incidents__tell(watch, &stale->found[i]);
		watch__load_state(watch, &none);
		none.state.incident = 0;
		none.state.alarm = (struct alarm){.on = false};
		watch__save_state(watch, &none);
	}
	free(stale);
}
