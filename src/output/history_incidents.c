// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <math.h>
#include <stdlib.h>

#include "base/text.h"
#include "output/history_text.h"

/* Of those that are over, and of all of the host; the rest is counted. */
#define TOP_INCIDENTS 20

static bool is_meant(const struct history_incident *incident, int64_t subject, bool open)
{
	return (!subject || incident->incident.subject == subject) &&
	       isnan(incident->incident.end_unix) == open;
}

size_t history_incidents__count(const struct history *history, int64_t subject, bool open)
{
	size_t count = 0;

	for (size_t i = 0; i < history->incident_count; i++)
		count += is_meant(&history->incidents[i], subject, open);
	return count;
}

/* "  mail.service: leak since 2026-11-14 03:20, confidence 0.97, ended ..." */
static void put_what(FILE *out, const struct incident *incident)
{
	const struct judgement *judgement = &incident->judgement;
	char name[HISTORY_NAME_MAX], time[HISTORY_TIME_MAX];

	history_text__name(name, &incident->name);
	if (incident->kind == INCIDENT_OOM) {
		fprintf(out, "%s, pid %u: killed for memory at %s", name, incident->pid,
			history_text__time(time, incident->begin_unix));
		if (judgement->drift)
			fprintf(out, ", after %s", drift_verdict__text(judgement->verdict));
	} else {
		fprintf(out, "%s: %s since %s", name, drift_verdict__text(judgement->verdict),
			history_text__time(time, incident->onset_unix));
		if (!isnan(judgement->confidence))
			fprintf(out, ", confidence %.2f", judgement->confidence);
		if (!isnan(incident->end_unix))
			fprintf(out, ", over at %s", history_text__time(time, incident->end_unix));
	}
}

static void put_rate(FILE *out, const struct judgement *judgement)
{
	char rate[UNIT_TEXT_MAX], low[UNIT_TEXT_MAX], high[UNIT_TEXT_MAX];

	if (isnan(judgement->slope_bytes_per_h))
		return;
	fprintf(out, "; %s/h",
		units_format_delta(rate, units_whole_signed(judgement->slope_bytes_per_h)));
	if (!isnan(judgement->slope_low) && !isnan(judgement->slope_high))
		fprintf(out, " (%s to %s)",
			units_format_delta(low, units_whole_signed(judgement->slope_low)),
			units_format_delta(high, units_whole_signed(judgement->slope_high)));
}

static void put_where(FILE *out, const struct incident *incident)
{
	const struct judgement *judgement = &incident->judgement;
	char bytes[UNIT_TEXT_MAX], time[HISTORY_TIME_MAX];

	if (incident->rss_bytes >= 0)
		fprintf(out, "; RSS %s", history_text__bytes(bytes, incident->rss_bytes));
	if (incident->limit_bytes >= 0)
		fprintf(out, ", limit %s", history_text__bytes(bytes, incident->limit_bytes));
	if (!isnan(judgement->reaches_limit_s))
		fprintf(out, ", reached at %s",
			history_text__time(time, judgement->reaches_limit_s));
	if (!isnan(judgement->ends_at_bytes)) {
		fprintf(out, "; ends at %s",
			units_format_bytes(bytes, units_whole(judgement->ends_at_bytes)));
		if (!isnan(judgement->ends_s))
			fprintf(out, ", at %s", history_text__time(time, judgement->ends_s));
	}
}

/* Below what it belongs to. */
static void say_more(const struct text_writer *writer, const char *label, const char *raw)
{
	char text[1024];
	size_t size = (size_t)snprintf(text, sizeof(text), "%s", label);

	if (!*raw)
		return;
	text_printable(text + size, sizeof(text) - size, raw);
	text_paragraph(writer->out, text_options__columns(writer->options), 4, text);
}

static void write_evidence(const struct text_writer *writer,
			   const struct history_incident *incident)
{
	char size[UNIT_TEXT_MAX], line[400];

	for (size_t i = 0; i < incident->evidence_count; i++) {
		snprintf(line, sizeof(line), "%lld-%s, %s", (long long)incident->incident.id,
			 incident->evidence[i].name,
			 units_format_bytes(size, incident->evidence[i].size));
		say_more(writer, "evidence: ", line);
	}
}

static void write_one(struct text_writer *writer, const struct history_incident *incident)
{
	bool open = isnan(incident->incident.end_unix);
	char *text = NULL;
	size_t size = 0;
	FILE *line = open_memstream(&text, &size);

	if (!line)
		return;
	put_what(line, &incident->incident);
	put_rate(line, &incident->incident.judgement);
	put_where(line, &incident->incident);
	if (!fclose(line)) {
		if (open)
			text__warn(writer, "%s", text);
		else
			text__say(writer, "%s", text);
	}
	free(text);
	say_more(writer, "", incident->incident.judgement.why);
	say_more(writer, "What helps: ", incident->incident.judgement.todo);
	write_evidence(writer, incident);
}

void history_incidents__write(struct text_writer *writer, const struct history *history,
			      int64_t subject, bool open)
{
	size_t count = history_incidents__count(history, subject, open), written = 0;
	size_t shown = text__top(writer, count, TOP_INCIDENTS);

	if (!count)
		return;
	if (!open)
		fputs("\n  incidents that are over\n", writer->out);
	for (size_t i = 0; i < history->incident_count && written < shown; i++) {
		if (!is_meant(&history->incidents[i], subject, open))
			continue;
		write_one(writer, &history->incidents[i]);
		written++;
	}
	text__more(writer, count, shown);
}
