// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "base/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* strtod also takes hexadecimal, "inf" and leading blanks; people's sizes are plain decimals. */
static int parse_decimal(const char *text, double *value, const char **rest)
{
	char *end;

	if (!isdigit((unsigned char)*text) ||
	    tolower((unsigned char)text[strspn(text, "0")]) == 'x')
		return -EINVAL;
	*value = strtod(text, &end);
	*rest = end;
	return 0;
}

int units_parse_bytes(const char *text, uint64_t *bytes)
{
	static const char letters[] = "BKMGT";
	const char *rest, *letter;
	double value;

	if (parse_decimal(text, &value, &rest))
		return -EINVAL;
	if (*rest) {
		letter = strchr(letters, toupper((unsigned char)*rest));
		if (!letter)
			return -EINVAL;
		value = ldexp(value, 10 * (int)(letter - letters));
		rest++;
		if (letter != letters && *rest == 'i')
			rest++;
		if (letter != letters && toupper((unsigned char)*rest) == 'B')
			rest++;
		if (*rest)
			return -EINVAL;
	}
	if (value >= 0x1p63)
		return -ERANGE;
	*bytes = (uint64_t)value;
	return 0;
}

int units_parse_seconds(const char *text, double *seconds)
{
	static const struct {
		const char *name;
		double seconds;
	} units[] = {{"", 1}, {"s", 1}, {"ms", 1e-3}, {"m", 60}, {"h", 3600}, {"d", 86400}};
	const char *rest;
	double value;

	if (parse_decimal(text, &value, &rest))
		return -EINVAL;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (!strcmp(rest, units[i].name)) {
			*seconds = value * units[i].seconds;
			return 0;
		}
	}
	return -EINVAL;
}

int units_parse_percent(const char *text, double *share)
{
	const char *rest;
	double value;

	if (parse_decimal(text, &value, &rest) || (*rest && strcmp(rest, "%")))
		return -EINVAL;
	if (value <= 0 || value > UNIT_PERCENT_MAX)
		return -EINVAL;
	*share = value / 100;
	return 0;
}

/* Digits in groups of three; works on the text so that any integer part is served. */
static void group_digits(char *buf, const char *digits)
{
	size_t n = strspn(digits, "0123456789");

	for (size_t i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			*buf++ = ',';
		*buf++ = digits[i];
	}
	snprintf(buf, UNIT_TEXT_MAX - n - n / 3, "%s", digits + n);
}

uint64_t units_whole(double value)
{
	if (!(value > 0))
		return 0;
	return value < 0x1p64 ? (uint64_t)value : UINT64_MAX;
}

int64_t units_whole_signed(double value)
{
	if (isnan(value))
		return 0;
	if (value >= 0x1p63)
		return INT64_MAX;
	return value > -0x1p63 ? (int64_t)value : INT64_MIN;
}

const char *units_format_bytes(char *buf, uint64_t bytes)
{
	static const char *const names[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
	char digits[UNIT_TEXT_MAX];
	double value = (double)bytes;
	int i = -1;

	if (bytes < 1024) {
		snprintf(buf, UNIT_TEXT_MAX, "%" PRIu64 " B", bytes);
		return buf;
	}
	/* Up to 9,999.9 of a unit stays in it: "1,018.3 MB" says more than "1.0 GB". */
	do {
		value /= 1024;
		i++;
	} while (value >= 9999.95 && i < 5);
	snprintf(digits, sizeof(digits), "%.1f %s", value, names[i]);
	group_digits(buf, digits);
	return buf;
}

const char *units_format_delta(char *buf, int64_t bytes)
{
	uint64_t magnitude = bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes;

	if (!bytes)
		return strcpy(buf, "0 B");
	buf[0] = bytes < 0 ? '-' : '+';
	units_format_bytes(buf + 1, magnitude);
	return buf;
}

const char *units_format_seconds(char *buf, double seconds)
{
	if (seconds < 10)
		snprintf(buf, UNIT_TEXT_MAX, "%.3f s", seconds);
	else if (seconds < 120)
		snprintf(buf, UNIT_TEXT_MAX, "%.1f s", seconds);
	else if (seconds < 2 * 3600)
		snprintf(buf, UNIT_TEXT_MAX, "%.1f min", seconds / 60);
	else if (seconds < 2 * 86400)
		snprintf(buf, UNIT_TEXT_MAX, "%.1f h", seconds / 3600);
	else
		snprintf(buf, UNIT_TEXT_MAX, "%.1f d", seconds / 86400);
	return buf;
}

const char *units_format_count(char *buf, uint64_t count)
{
	char digits[UNIT_TEXT_MAX];

	snprintf(digits, sizeof(digits), "%" PRIu64, count);
	group_digits(buf, digits);
	return buf;
}
