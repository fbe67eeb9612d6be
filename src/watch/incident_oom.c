// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Processes that were killed for memory: told at once, with what was known of them before. */
#include <bsd/string.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "census/cgroup_find.h"
#include "census/cgroup_memory.h"
#include "census/proc_file.h"
#include "watch/subjects.h"
#include "watch/watch_impl.h"

static void begin_incident(struct watch *watch, struct incident *incident)
{
	*incident = (struct incident){
		.kind = INCIDENT_OOM,
		.begin_unix = series_clock__now(&watch->clock),
		.onset_unix = NAN,
		.end_unix = NAN,
		.rss_bytes = SERIES_UNKNOWN,
		.limit_bytes = SERIES_UNKNOWN,
		.judgement = {.verdict = DRIFT_INSUFFICIENT_DATA,
			      .component = COMPONENT_MAX,
			      .onset_s = NAN,
			      .slope_bytes_per_h = NAN,
			      .slope_low = NAN,
			      .slope_high = NAN,
			      .level_bytes = NAN,
			      .grown_bytes = NAN,
			      .reaches_limit_s = NAN,
			      .ends_at_bytes = NAN,
			      .ends_s = NAN},
	};
	/* It is over when it is told. */
	incident->end_unix = incident->begin_unix;
	incident->judgement.t_s = incident->begin_unix;
}

static void add_judgement(struct watch *watch, struct incident *incident)
{
	struct judgement last;

	if (!watch->store || !incident->subject ||
	    store__get_state(watch->store, incident->subject, JUDGEMENT_KEY, &last, sizeof(last)) ||
	    last.verdict >= DRIFT_VERDICT_MAX)
		return;
	last.why[sizeof(last.why) - 1] = '\0';
	last.todo[sizeof(last.todo) - 1] = '\0';
	incident->judgement = last;
	incident->onset_unix = last.onset_s;
}

/* How it ended comes before why. */
static void add_cause(struct incident *incident, const char *how)
{
	char before[JUDGEMENT_WHY_MAX - 160], rss[UNIT_TEXT_MAX] = "", limit[UNIT_TEXT_MAX] = "";

	/* Cut so that both fit. */
	strlcpy(before, incident->judgement.why, sizeof(before));
	if (incident->rss_bytes >= 0)
		units_format_bytes(rss, (uint64_t)incident->rss_bytes);
	if (incident->limit_bytes >= 0)
		units_format_bytes(limit, (uint64_t)incident->limit_bytes);
	snprintf(incident->judgement.why, sizeof(incident->judgement.why),
		 "killed for memory%s at %s resident%s%s%s%s", how, *rss ? rss : "an unknown size",
		 *limit ? ", limit " : "", limit, *before ? "; before: " : "", before);
}

/* The last figures of each component that was known. */
static void keep_last_state(struct watch *watch, int64_t incident, const int64_t *value)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	for (int i = 0; i < COMPONENT_MAX; i++)
		if (value[i] >= 0)
			fprintf(out, "%s %lld\n", component__key(i), (long long)value[i]);
	if (!fclose(out) && size)
		watch__store_error(
			watch,
			store__put_evidence(watch->store, incident, "last_state.txt", text, size),
			"keep a process's last state");
	free(text);
}

static void put_and_tell(struct watch *watch, struct incident *incident, const int64_t *value)
{
	int err;

	if (watch__begin(watch)) {
		err = store__put_incident(watch->store, incident);
		watch__store_error(watch, err, "keep an incident");
		if (!err && value)
			keep_last_state(watch, incident->id, value);
	}
	watch->incidents[INCIDENT_OOM][incident->judgement.verdict]++;
	incidents__tell(watch, incident);
}

/* One that was not followed: what /proc still has of it. */
static void name_stranger(const struct oom_record *record, struct incident *incident)
{
	char path[64], text[4096], exe[SUBJECT_EXE_MAX];
	ssize_t size;

	snprintf(incident->name.comm, sizeof(incident->name.comm), "%s", record->comm);
	incident->pid = record->pid ? record->pid : record->tid;
	if (proc_file__read(incident->pid, "cgroup", text, sizeof(text)) > 0)
		subject_name__place(&incident->name, text);
	snprintf(path, sizeof(path), "/proc/%u/exe", incident->pid);
	size = readlink(path, exe, sizeof(exe) - 1);
	exe[size > 0 ? size : 0] = '\0';
	subject_name__program(&incident->name, size > 0 ? exe : NULL);
}

static struct ended last_of(const struct followed *followed)
{
	struct ended last = {
		.name = followed->watched->name,
		.subject = followed->subject,
		.pid = followed->watched->pid,
		.start_time = followed->watched->start_time,
		.limit_bytes = followed->watched->limit_bytes,
		.ended_ns = monotonic_ns(),
	};

	memcpy(last.latest, followed->latest, sizeof(last.latest));
	return last;
}

void incident_oom__ended(struct watch *watch, const struct followed *followed)
{
	if (watch->oom)
		watch->ended[watch->ended_count++ % ENDED_MAX] = last_of(followed);
	else if (watch->ended_count < ENDED_MAX)
		watch->ended[watch->ended_count++] = last_of(followed);
}

/* A pass may find that the process is gone before its record is read. */
#define RECORD_LATE_NS 30000000000ull

static bool find_last(const struct watch *watch, uint32_t pid, struct ended *last)
{
	const struct watched *watched = sampler__find(watch->sampler, pid);
	uint64_t now_ns = monotonic_ns();

	if (watched && watched->user) {
		*last = last_of(watched->user);
		return true;
	}
	/* The latest first: a pid may have come again. */
	for (size_t back = 1; back <= ENDED_MAX; back++) {
		const struct ended *ended = &watch->ended[(watch->ended_count - back) % ENDED_MAX];

		if (ended->ended_ns && ended->pid == pid &&
		    now_ns - ended->ended_ns < RECORD_LATE_NS) {
			*last = *ended;
			return true;
		}
	}
	return false;
}

static void take_last(struct watch *watch, struct incident *incident, const struct ended *last)
{
	incident->subject = last->subject;
	incident->name = last->name;
	incident->pid = last->pid;
	incident->start_time = last->start_time;
	incident->limit_bytes = last->limit_bytes;
	incident->rss_bytes = last->latest[COMPONENT_RSS];
	add_judgement(watch, incident);
}

void incident_oom__victim(void *ctx, const struct oom_record *record)
{
	struct watch *watch = ctx;
	struct incident incident;
	struct ended last;
	bool known = find_last(watch, record->pid ? record->pid : record->tid, &last);

	begin_incident(watch, &incident);
	if (known) {
		take_last(watch, &incident, &last);
	} else {
		name_stranger(record, &incident);
		if (watch->cgroup && !*incident.name.cgroup)
			watch->cost.losses[WATCH_LOSS_oom_unplaced]++;
		if (!watch__covers(watch->cgroup, &incident.name))
			return;
	}
	if (record->anon_bytes >= 0 && record->file_bytes >= 0 && record->shmem_bytes >= 0)
		incident.rss_bytes = record->anon_bytes + record->file_bytes + record->shmem_bytes;
	add_cause(&incident, "");
	put_and_tell(watch, &incident, known ? last.latest : NULL);
}

/* ---- without the tracepoint ------------------------------------------------------------------ */

/* Since the host started; -1 unknown. */
static int64_t host_kills(void)
{
	char line[128];
	unsigned long long kills;
	int64_t found = -1;
	FILE *file = fopen("/proc/vmstat", "re");

	if (!file)
		return -1;
	while (found < 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "oom_kill %llu", &kills) == 1)
			found = (int64_t)kills;
	fclose(file);
	return found;
}

/* Whether the group counts a kill; a group that is gone does not tell. */
static bool group_has_kills(const char *cgroup)
{
	struct cgroup_found found;
	struct cgroup_stat stat;

	if (!*cgroup || cgroup_find__group(cgroup, &found))
		return false;
	cgroup_stat__read(found.memory.dir, found.memory.version, &stat);
	cgroup_found__free(&found);
	return stat.oom_kills > 0;
}

static void tell_ended(struct watch *watch, const struct ended *ended)
{
	struct incident incident;

	begin_incident(watch, &incident);
	take_last(watch, &incident, ended);
	add_cause(&incident, ", by its control group's counter,");
	put_and_tell(watch, &incident, ended->latest);
}

/* Memory of many GB takes its time to go, and the process is there until then. */
#define ENDING_NS_MAX 60000000000ull

void incident_oom__counters(struct watch *watch)
{
	uint64_t now_ns = monotonic_ns();
	int64_t kills;

	if (watch->oom)
		return;
	kills = host_kills();
	if (watch->host_kills >= 0 && kills > watch->host_kills) {
		watch->kills_open += (uint64_t)(kills - watch->host_kills);
		watch->kills_ns = now_ns;
	}
	watch->host_kills = kills;
	if (now_ns - watch->kills_ns > ENDING_NS_MAX) {
		watch->cost.losses[WATCH_LOSS_oom_unplaced] += watch->kills_open;
		watch->kills_open = 0;
	}
	/* Of those that ended, as many as were killed, and no others than those whose group says
	 * so. */
	for (size_t i = 0; i < watch->ended_count && watch->kills_open; i++)
		if (group_has_kills(watch->ended[i].name.cgroup)) {
			tell_ended(watch, &watch->ended[i]);
			watch->kills_open--;
		}
	watch->ended_count = 0;
}
