// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/text.h"
#include "output/history_text.h"

static bool is_count(enum component component)
{
	return component == COMPONENT_THREADS || component == COMPONENT_ARENAS;
}

static void put_value(char buf[UNIT_TEXT_MAX], enum component component, int64_t value)
{
	if (value < 0)
		snprintf(buf, UNIT_TEXT_MAX, "unknown");
	else if (is_count(component))
		units_format_count(buf, (uint64_t)value);
	else
		units_format_bytes(buf, (uint64_t)value);
}

static void put_change(char buf[UNIT_TEXT_MAX], enum component component, int64_t then, int64_t now)
{
	if (then < 0 || now < 0)
		*buf = '\0';
	else if (is_count(component))
		snprintf(buf, UNIT_TEXT_MAX, now > then ? "+%" PRId64 : "%" PRId64, now - then);
	else
		units_format_delta(buf, now - then);
}

/* Each component that was ever known since then. */
static void write_components(struct text_writer *writer, const struct history_subject *subject)
{
	char now[UNIT_TEXT_MAX], then[UNIT_TEXT_MAX], change[UNIT_TEXT_MAX];
	struct table table;

	table__init(&table, "lrrr");
	table__add(&table, "component");
	table__add(&table, "now");
	table__add(&table, "before");
	table__add(&table, "growth");
	for (int i = 0; i < COMPONENT_MAX; i++) {
		if (subject->now.value[i] < 0)
			continue;
		put_value(now, i, subject->now.value[i]);
		put_value(then, i, subject->then.value[i]);
		put_change(change, i, subject->then.value[i], subject->now.value[i]);
		table__add(&table, "%s", component__text(i));
		table__add(&table, "%s", now);
		table__add(&table, "%s", then);
		table__add(&table, "%s", change);
	}
	fputc('\n', writer->out);
	text__table(writer, &table);
}

/* "mail.service (pid 812): 1,018.0 MB resident and swapped out, +616.0 MB since 2026-11-20 16:00,
 * when it was 402.0 MB" */
static void put_who(FILE *out, const struct text_writer *writer,
		    const struct history_subject *subject)
{
	const struct store_subject *who = &subject->subject;
	bool colour = writer->options->colour;
	char name[HISTORY_NAME_MAX], now[UNIT_TEXT_MAX], then[UNIT_TEXT_MAX], delta[UNIT_TEXT_MAX],
		time[HISTORY_TIME_MAX];

	fprintf(out, "%s%s%s (pid %u%s): ", colour ? COLOUR_BOLD : "",
		history_text__name(name, &who->name), colour ? COLOUR_RESET : "", who->pid,
		who->running ? "" : ", ended");
	if (isnan(subject->now.t_s)) {
		fputs("nothing is known of this time", out);
		return;
	}
	fprintf(out, "%s resident and swapped out, %s since %s, when it was %s",
		history_text__bytes(now, history__held(&subject->now)),
		units_format_delta(delta, history_subject__growth(subject)),
		history_text__time(time, subject->then.t_s),
		history_text__bytes(then, history__held(&subject->then)));
}

static void put_headline(struct text_writer *writer, const struct history_subject *subject)
{
	char *text = NULL;
	size_t size = 0;
	FILE *line = open_memstream(&text, &size);

	fputc('\n', writer->out);
	if (!line) {
		writer->err = -ENOMEM;
		return;
	}
	put_who(line, writer, subject);
	if (fclose(line))
		writer->err = -ENOMEM;
	else
		text_paragraph(writer->out, text_options__columns(writer->options), 0, text);
	free(text);
}

static void say_who(const struct text_writer *writer, const struct history_subject *subject)
{
	const struct store_subject *who = &subject->subject;
	char exe[512], cgroup[512], limit[UNIT_TEXT_MAX];

	text__say(writer, "%s in %s%s%s",
		  *who->name.exe ? text_printable(exe, sizeof(exe), who->name.exe)
				 : "a program that is not known",
		  *who->name.cgroup ? text_printable(cgroup, sizeof(cgroup), who->name.cgroup)
				    : "no control group that is known",
		  subject->series.limit_bytes >= 0 ? ", limit " : "",
		  subject->series.limit_bytes >= 0
			  ? history_text__bytes(limit, subject->series.limit_bytes)
			  : "");
}

void history_process__write(struct text_writer *writer, const struct history *history,
			    const struct history_subject *subject)
{
	int64_t id = subject->subject.id;

	put_headline(writer, subject);
	if (history_incidents__count(history, id, true))
		history_incidents__write(writer, history, id, true);
	else
		text__say(writer, "No incident is open.");
	say_who(writer, subject);
	if (!isnan(subject->now.t_s)) {
		history_chart__write(writer, history, subject);
		write_components(writer, subject);
	}
	history_incidents__write(writer, history, id, false);
}
