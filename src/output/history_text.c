// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/history_text.h"

#include <errno.h>
#include <math.h>
#include <time.h>

#include "base/text.h"

/* A screen, with what is above it. */
#define TOP_GROWN 20
/* A process that is younger than the others, by more than hours are apart. */
#define LATE_S 7200

const char *history_text__time(char buf[HISTORY_TIME_MAX], double t_unix)
{
	time_t seconds = (time_t)t_unix;
	struct tm tm;

	if (isnan(t_unix) || !localtime_r(&seconds, &tm) ||
	    !strftime(buf, HISTORY_TIME_MAX, "%Y-%m-%d %H:%M", &tm))
		snprintf(buf, HISTORY_TIME_MAX, "unknown");
	return buf;
}

const char *history_text__name(char buf[HISTORY_NAME_MAX], const struct subject_name *name)
{
	char raw[SUBJECT_UNIT_MAX + SUBJECT_EXE_MAX];
	const char *slash = strrchr(name->exe, '/');
	const char *exe = slash && slash[1] ? slash + 1 : *name->exe ? name->exe : name->comm;
	int size = snprintf(raw, sizeof(raw), "%s", history__name(name));

	/* A unit says who it is for; the program in it is told when it is not the name itself. */
	if (*name->unit && *exe && strncmp(name->unit, exe, strlen(exe)) != 0)
		size += snprintf(raw + size, sizeof(raw) - (size_t)size, " (%s)", exe);
	if (name->slot && (size_t)size < sizeof(raw))
		snprintf(raw + size, sizeof(raw) - (size_t)size, " #%u", name->slot + 1);
	return text_printable(buf, HISTORY_NAME_MAX, raw);
}

const char *history_text__bytes(char buf[UNIT_TEXT_MAX], int64_t bytes)
{
	if (bytes >= 0)
		return units_format_bytes(buf, (uint64_t)bytes);
	snprintf(buf, UNIT_TEXT_MAX, "unknown");
	return buf;
}

static void put_open(const struct text_writer *writer, const struct history *history)
{
	size_t open = history_incidents__count(history, 0, true);
	bool colour = writer->options->colour;

	if (!open)
		fputs("; no incident is open", writer->out);
	else
		fprintf(writer->out, "; %s%zu incident%s open%s", colour ? COLOUR_YELLOW : "", open,
			open == 1 ? " is" : "s are", colour ? COLOUR_RESET : "");
}

static void put_headline(const struct text_writer *writer, const struct history *history)
{
	char path[256], count[UNIT_TEXT_MAX], span[UNIT_TEXT_MAX], time[HISTORY_TIME_MAX];

	fprintf(writer->out, "%s: ", text_printable(path, sizeof(path), history->path));
	if (isnan(history->last_unix)) {
		fputs("nothing in it yet\n", writer->out);
		return;
	}
	fprintf(writer->out, "%s until %s, %s process%s",
		units_format_seconds(span, history->last_unix - history->first_unix),
		history_text__time(time, history->last_unix),
		units_format_count(count, history->known), history->known == 1 ? "" : "es");
	/* Of a chosen process it is told with it. */
	if (!history->chosen)
		put_open(writer, history);
	fputc('\n', writer->out);
}

static void add_row(struct table *table, const struct history *history,
		    const struct history_subject *subject)
{
	int64_t growth = history_subject__growth(subject);
	bool late = subject->then.t_s > history->since_unix + LATE_S;
	double days = (subject->now.t_s - subject->then.t_s) / 86400;
	char name[HISTORY_NAME_MAX], now[UNIT_TEXT_MAX], then[UNIT_TEXT_MAX], delta[UNIT_TEXT_MAX],
		rate[UNIT_TEXT_MAX], time[HISTORY_TIME_MAX];

	table__add(table, "%s", history_text__bytes(now, history__held(&subject->now)));
	table__add(table, "%s", history_text__bytes(then, history__held(&subject->then)));
	table__add(table, "%s", units_format_delta(delta, growth));
	/* Of hours, a rate per day is a guess. */
	table__add(table, "%s",
		   days >= 0.5 ? units_format_delta(rate, units_whole_signed((double)growth / days))
			       : "");
	table__add(table, "%u", subject->subject.pid);
	table__add(table, "%s%s%s%s%s", history_text__name(name, &subject->subject.name),
		   subject->open_incidents ? ", incident open" : "",
		   subject->subject.running ? "" : ", ended", late ? ", since " : "",
		   late ? history_text__time(time, subject->then.t_s) : "");
}

static void write_grown(struct text_writer *writer, const struct history *history)
{
	size_t limit = writer->options->top ? writer->options->top : TOP_GROWN;
	size_t shown = text__top(writer, history->count, limit);
	char since[HISTORY_TIME_MAX];
	struct table table;

	if (!shown)
		return;
	table__init(&table, "rrrrrl");
	table__add(&table, "now");
	table__add(&table, "before");
	table__add(&table, "growth");
	table__add(&table, "a day");
	table__add(&table, "pid");
	table__add(&table, "process");
	for (size_t i = 0; i < shown; i++)
		add_row(&table, history, &history->subjects[i]);
	fprintf(writer->out, "\n  Resident and swapped-out memory since %s\n",
		history_text__time(since, history->since_unix));
	text__table(writer, &table);
	text__more(writer, history->count, shown);
}

static void write_host(struct text_writer *writer, const struct history *history)
{
	history_incidents__write(writer, history, 0, true);
	write_grown(writer, history);
	history_incidents__write(writer, history, 0, false);
}

static void write_all(FILE *out, const struct history *history, const struct text_options *options,
		      int *err)
{
	struct text_writer writer = {.out = out, .options = options};

	put_headline(&writer, history);
	if (!history->chosen)
		write_host(&writer, history);
	for (size_t i = 0; history->chosen && i < history->count; i++)
		history_process__write(&writer, history, &history->subjects[i]);
	*err = writer.err;
}

int history_text__write(FILE *out, const struct history *history,
			const struct text_options *options)
{
	char *text = NULL;
	size_t size = 0;
	FILE *plain;
	int err;

	if (options->utf8) {
		write_all(out, history, options, &err);
		return err ? err : ferror(out) ? -EIO : 0;
	}
	plain = open_memstream(&text, &size);
	if (!plain)
		return -ENOMEM;
	write_all(plain, history, options, &err);
	if (fclose(plain) && !err)
		err = -ENOMEM;
	if (!err)
		text__plain(out, text);
	free(text);
	return err ? err : ferror(out) ? -EIO : 0;
}
