// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>

#include "output/history.h"
#include "output/json.h"

#define JSON_FLAGS (JSON_REAL_PRECISION(15) | JSON_COMPACT)

static json_t *json_value(int64_t value)
{
	return value < 0 ? json_null() : json_integer(value);
}

static int write_line(FILE *out, json_t *line)
{
	int err = 0;

	if (!line)
		return -ENOMEM;
	if (json_dumpf(line, out, JSON_FLAGS) || fputc('\n', out) == EOF)
		err = -EIO;
	json_decref(line);
	return err;
}

static json_t *json_header(const struct series *series)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "series", json_text(series->name),
			 "interval_s", json_number(series->interval_s), "start_unix",
			 json_number(series->start_unix), "limit_bytes",
			 json_value(series->limit_bytes), "arena_limit",
			 json_value(series->arena_limit), "cpus",
			 series->cpus > 0 ? json_number(series->cpus) : json_null());
}

/* What is unknown is left out: most of a line, of most processes. */
static json_t *json_sample(const struct series *series, const struct sample *sample)
{
	json_t *line = json_pack("{s:o, s:o, s:I, s:I}", "series", json_text(series->name), "t_s",
				 json_number(sample->t_s), "pid", (json_int_t)sample->pid,
				 "start_time", (json_int_t)sample->start_time);

	for (int i = 0; line && i < COMPONENT_MAX; i++)
		if (sample->value[i] >= 0)
			json_object_set_new(line, component__key(i),
					    json_integer(sample->value[i]));
	return line;
}

int history_series__write(FILE *out, const struct series *series)
{
	int err = write_line(out, json_header(series));

	for (size_t i = 0; !err && i < series->count; i++)
		err = write_line(out, json_sample(series, &series->samples[i]));
	return err;
}
