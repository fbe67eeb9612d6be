// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/series_line.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* More memory than a machine can address: such a value is a mistake, not a size. */
#define VALUE_MAX 0x1p56
/* Seconds: more than thirty thousand years, and far below where doubles lose them. */
#define TIME_MAX 1e12

static int fail(char *error, const char *what, const char *key)
{
	snprintf(error, SERIES_WHAT_MAX, "%s \"%s\"", what, key);
	return -EINVAL;
}

/* A number; missing and null leave *value as it is. */
static int read_number(const json_t *root, const char *key, double *value, char *error)
{
	const json_t *number = json_object_get(root, key);

	if (!number || json_is_null(number))
		return 0;
	if (!json_is_number(number))
		return fail(error, "not a number:", key);
	*value = json_number_value(number);
	return 0;
}

static int read_amount(const json_t *root, const char *key, struct series_line *line,
		       int64_t *amount, char *error)
{
	double value = NAN;
	int err = read_number(root, key, &value, error);

	*amount = SERIES_UNKNOWN;
	if (err || isnan(value))
		return err;
	if (value < 0 || value > VALUE_MAX)
		line->odd++;
	else
		*amount = (int64_t)value;
	return 0;
}

static int read_name(const json_t *root, struct series_line *line, char *error)
{
	const json_t *name = json_object_get(root, "series");
	int length = -1;

	if (json_is_string(name))
		length = snprintf(line->name, sizeof(line->name), "%s", json_string_value(name));
	else if (json_is_integer(name))
		length = snprintf(line->name, sizeof(line->name), "%lld",
				  (long long)json_integer_value(name));
	if (length < 0)
		return fail(error, "there is no text", "series");
	if ((size_t)length >= sizeof(line->name))
		return fail(error, "too long:", "series");
	return 0;
}

/* Only compared: any number does. */
static uint64_t number_bits(double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static int read_sample(const json_t *root, struct series_line *line, char *error)
{
	double t_s = NAN, pid = 0, start_time = 0;
	int err;

	if (read_number(root, "t_s", &t_s, error) || read_number(root, "pid", &pid, error) ||
	    read_number(root, "start_time", &start_time, error))
		return -EINVAL;
	if (!(fabs(t_s) <= TIME_MAX))
		return fail(error, "no time:", "t_s");
	if (!(pid >= 0 && pid <= UINT32_MAX))
		return fail(error, "out of range:", "pid");
	sample__init(&line->sample, t_s);
	line->sample.pid = (uint32_t)pid;
	line->sample.start_time = number_bits(start_time);
	for (int i = 0; i < COMPONENT_MAX; i++) {
		err = read_amount(root, component__key((enum component)i), line,
				  &line->sample.value[i], error);
		if (err)
			return err;
	}
	return 0;
}

static int read_header(const json_t *root, struct series_line *line, char *error)
{
	if (read_number(root, "interval_s", &line->interval_s, error) ||
	    read_number(root, "start_unix", &line->start_unix, error) ||
	    read_number(root, "cpus", &line->cpus, error) ||
	    read_amount(root, "limit_bytes", line, &line->limit_bytes, error) ||
	    read_amount(root, "arena_limit", line, &line->arena_limit, error))
		return -EINVAL;
	if (!(line->interval_s >= 0 && line->interval_s <= TIME_MAX))
		return fail(error, "out of range:", "interval_s");
	if (!(fabs(line->start_unix) <= TIME_MAX))
		return fail(error, "out of range:", "start_unix");
	if (!(line->cpus >= 0 && line->cpus <= 1e6))
		return fail(error, "out of range:", "cpus");
	return 0;
}

static int read_root(const json_t *root, struct series_line *line, char *error)
{
	if (!json_is_object(root)) {
		snprintf(error, SERIES_WHAT_MAX, "not an object");
		return -EINVAL;
	}
	*line = (struct series_line){.is_sample = json_object_get(root, "t_s") != NULL};
	if (read_name(root, line, error))
		return -EINVAL;
	return line->is_sample ? read_sample(root, line, error) : read_header(root, line, error);
}

static void replace_by_minus_1(char *text)
{
	text[0] = '-';
	text[1] = '1';
}

/*
 * NaN and Infinity are no JSON, but what Python's json writes for them: null, in place and as long.
 * Outside of strings only.
 */
static bool replace_nan(char *text, size_t length)
{
	bool in_string = false, found = false;

	for (size_t i = 0; i < length; i++) {
		if (in_string && text[i] == '\\') {
			i++;
		} else if (text[i] == '"') {
			in_string = !in_string;
		} else if (!in_string && length - i >= 3 && !memcmp(text + i, "NaN", 3)) {
			/* No room for null: the least number that is no amount. */
			text[i] = ' ';
			replace_by_minus_1(text + i + 1);
			found = true;
		} else if (!in_string && length - i >= 8 && !memcmp(text + i, "Infinity", 8)) {
			memset(text + i, ' ', 8);
			/* One of minus infinity has its sign before it. */
			if (i && text[i - 1] == '-')
				text[i] = '1';
			else
				replace_by_minus_1(text + i);
			found = true;
		}
	}
	return found;
}

int series_line__parse(char *text, size_t length, struct series_line *line, char *error)
{
	json_error_t detail;
	json_t *root = json_loadb(text, length, 0, &detail);
	int err;

	if (!root && replace_nan(text, length))
		root = json_loadb(text, length, 0, &detail);
	if (!root) {
		snprintf(error, SERIES_WHAT_MAX, "not JSON: %s", detail.text);
		return -EINVAL;
	}
	err = read_root(root, line, error);
	json_decref(root);
	return err;
}
