// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "analysis/history.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Samples that a chart needs: several for each of its columns. */
#define SAMPLES_WANTED 280
/* Shorter names of containers are no names. */
#define CONTAINER_ID_LEAST 12
/* The latest state is that of the last passes. */
#define NOW_S 600

struct reading {
	struct history *history;
	struct store *store;
	const struct history_choice *choice;
	size_t room, incident_room;
	double resolution_s;
};

int64_t history__held(const struct sample *sample)
{
	int64_t swap = sample->value[COMPONENT_SWAP];

	if (sample->value[COMPONENT_RSS] < 0)
		return SERIES_UNKNOWN;
	return sample->value[COMPONENT_RSS] + (swap > 0 ? swap : 0);
}

int64_t history_subject__growth(const struct history_subject *subject)
{
	int64_t then = history__held(&subject->then), now = history__held(&subject->now);

	return then < 0 || now < 0 ? 0 : now - then;
}

const char *history__name(const struct subject_name *name)
{
	const char *slash = strrchr(name->exe, '/');

	if (*name->unit)
		return name->unit;
	if (slash && slash[1])
		return slash + 1;
	return *name->exe ? name->exe : name->comm;
}

static bool is_unit(const char *unit, const char *wanted)
{
	size_t size = strlen(wanted);

	if (!size || strncmp(unit, wanted, size) != 0)
		return false;
	if (!unit[size] || (unit[size] == '.' && !strchr(unit + size + 1, '.')))
		return true;
	return size >= CONTAINER_ID_LEAST && strspn(unit, "0123456789abcdef") == strlen(unit);
}

static bool is_chosen(const struct history_choice *choice, const struct store_subject *subject)
{
	if (choice->pid && choice->pid != subject->pid)
		return false;
	return !choice->unit || is_unit(subject->name.unit, choice->unit);
}

static void *grow(void *array, size_t count, size_t *room, size_t size)
{
	size_t wanted = *room ? 2 * *room : 64;
	void *grown;

	if (count < *room)
		return array;
	grown = reallocarray(array, wanted, size);
	if (grown)
		*room = wanted;
	return grown;
}

static int add_subject(void *ctx, const struct store_subject *subject)
{
	struct reading *reading = ctx;
	struct history *history = reading->history;
	struct history_subject *grown;

	history->known++;
	if (!is_chosen(reading->choice, subject))
		return 0;
	grown = grow(history->subjects, history->count, &reading->room, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	history->subjects = grown;
	grown = &grown[history->count++];
	*grown = (struct history_subject){.subject = *subject};
	series__init(&grown->series);
	sample__init(&grown->then, NAN);
	sample__init(&grown->now, NAN);
	return 0;
}

/* Each component as it was known first. */
static void take_then(struct history_subject *subject)
{
	const struct series *series = &subject->series;

	if (!series->count)
		return;
	subject->then = series->samples[0];
	subject->then.t_s += series->start_unix;
	for (int i = 0; i < COMPONENT_MAX; i++)
		for (size_t j = 0; j < series->count && subject->then.value[i] < 0; j++)
			subject->then.value[i] = series->samples[j].value[i];
}

/* Each component as it was known last. */
static void take_now(struct history_subject *subject, const struct series *series)
{
	struct sample *now = &subject->now;

	for (size_t j = series->count; j-- > 0;) {
		const struct sample *sample = &series->samples[j];

		if (isnan(now->t_s)) {
			*now = *sample;
			now->t_s += series->start_unix;
		}
		for (int i = 0; i < COMPONENT_MAX; i++)
			if (now->value[i] < 0)
				now->value[i] = sample->value[i];
	}
}

static int read_now(struct reading *reading, struct history_subject *subject)
{
	struct series latest;
	int err;

	if (subject->subject.running) {
		err = store__read_series(reading->store, subject->subject.id,
					 reading->history->last_unix - NOW_S, 0, &latest);
		if (err)
			return err;
		take_now(subject, &latest);
		series__free(&latest);
	}
	take_now(subject, &subject->series);
	return 0;
}

static void drop_samples(struct series *series)
{
	free(series->samples);
	series->samples = NULL;
	series->count = series->room = 0;
}

static int read_subject(struct reading *reading, struct history_subject *subject)
{
	int err = store__read_series(reading->store, subject->subject.id,
				     reading->history->since_unix, reading->resolution_s,
				     &subject->series);

	if (err)
		return err;
	take_then(subject);
	err = read_now(reading, subject);
	if (!reading->choice->samples)
		drop_samples(&subject->series);
	return err;
}

static int add_evidence(void *ctx, const char *name, size_t size)
{
	struct history_incident *incident = ctx;
	size_t count = incident->evidence_count;
	struct history_evidence *grown =
		reallocarray(incident->evidence, count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	incident->evidence = grown;
	grown[count] = (struct history_evidence){strdup(name), size};
	if (!grown[count].name)
		return -ENOMEM;
	incident->evidence_count++;
	return 0;
}

static struct history_subject *find_subject(const struct history *history, int64_t id)
{
	for (size_t i = 0; i < history->count; i++)
		if (history->subjects[i].subject.id == id)
			return &history->subjects[i];
	return NULL;
}

static int add_incident(void *ctx, const struct incident *incident)
{
	struct reading *reading = ctx;
	struct history *history = reading->history;
	struct history_subject *subject = find_subject(history, incident->subject);
	struct history_incident *grown;

	/* Of one that is no more, only the host's list tells. */
	if (!subject && history->chosen)
		return 0;
	if (subject && isnan(incident->end_unix))
		subject->open_incidents++;
	grown = grow(history->incidents, history->incident_count, &reading->incident_room,
		     sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	history->incidents = grown;
	grown = &grown[history->incident_count++];
	*grown = (struct history_incident){.incident = *incident};
	return store__each_evidence(reading->store, incident->id, add_evidence, grown);
}

static int compare_subjects(const void *a, const void *b)
{
	int64_t x = history_subject__growth(a), y = history_subject__growth(b);

	if (x != y)
		return x > y ? -1 : 1;
	x = history__held(&((const struct history_subject *)a)->now);
	y = history__held(&((const struct history_subject *)b)->now);
	return (x < y) - (x > y);
}

static int compare_incidents(const void *a, const void *b)
{
	const struct incident *x = &((const struct history_incident *)a)->incident;
	const struct incident *y = &((const struct history_incident *)b)->incident;
	bool x_open = isnan(x->end_unix), y_open = isnan(y->end_unix);

	if (x_open != y_open)
		return x_open ? -1 : 1;
	if (x->begin_unix != y->begin_unix)
		return x->begin_unix > y->begin_unix ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

static int read_all(struct reading *reading)
{
	struct history *history = reading->history;
	int err = store__each_subject(reading->store, add_subject, reading);

	for (size_t i = 0; !err && i < history->count; i++)
		err = read_subject(reading, &history->subjects[i]);
	err = err ? err
		  : store__each_incident(reading->store, 0, history->since_unix, add_incident,
					 reading);
	if (err)
		return err;
	if (history->count)
		qsort(history->subjects, history->count, sizeof(*history->subjects),
		      compare_subjects);
	if (history->incident_count)
		qsort(history->incidents, history->incident_count, sizeof(*history->incidents),
		      compare_incidents);
	return 0;
}

int history__read(struct history *history, struct store *store, const char *path,
		  const struct history_choice *choice)
{
	struct reading reading = {.history = history, .store = store, .choice = choice};
	int err;

	*history = (struct history){.path = path, .chosen = choice->pid || choice->unit};
	err = store__span(store, &history->first_unix, &history->last_unix);
	if (err)
		return err;
	history->since_unix = choice->since_unix;
	if (isnan(history->since_unix))
		history->since_unix = history->last_unix - choice->since_s;
	/* Also when there are no passes. */
	if (!(history->since_unix > history->first_unix))
		history->since_unix = history->first_unix;
	reading.resolution_s = choice->resolution_s;
	if (reading.resolution_s <= 0)
		reading.resolution_s =
			fmax((history->last_unix - history->since_unix) / SAMPLES_WANTED, 60);
	err = read_all(&reading);
	if (err)
		history__free(history);
	return err;
}

void history__free(struct history *history)
{
	for (size_t i = 0; i < history->count; i++)
		series__free(&history->subjects[i].series);
	for (size_t i = 0; i < history->incident_count; i++) {
		for (size_t j = 0; j < history->incidents[i].evidence_count; j++)
			free(history->incidents[i].evidence[j].name);
		free(history->incidents[i].evidence);
	}
	free(history->subjects);
	free(history->incidents);
	*history = (struct history){0};
}
