// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/analysis.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>

/* Enough for bytes in years and to see every second; not the noise of the last bits. */
#define DIGITS 12

static json_t *number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *alarms(const struct replay *replay)
{
	json_t *list = json_array();

	for (size_t i = 0; i < replay->alarm_count; i++) {
		const struct alarm_span *span = &replay->alarms[i];
		json_t *pair = json_pack("[o,o]", number(span->on_s), number(span->off_s));

		if (json_array_append_new(list, pair)) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *build(const struct series *series, const struct replay *replay)
{
	const struct judgement *last = &replay->last;

	return json_pack("{s:s,s:b,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:b,s:o,s:o,s:o,s:o,s:s,s:s}",
			 "series", series->name ? series->name : "", "drift", last->drift,
			 "verdict", drift_verdict__text(last->verdict), "onset_s",
			 number(last->onset_s), "slope_bytes_per_h",
			 number(last->slope_bytes_per_h), "slope_low", number(last->slope_low),
			 "slope_high", number(last->slope_high), "alarms", alarms(replay),
			 "confidence", number(last->confidence), "reaches_limit_s",
			 number(last->reaches_limit_s), "plateau", last->plateau, "level_bytes",
			 number(last->level_bytes), "grown_bytes", number(last->grown_bytes),
			 "ends_at_bytes", number(last->ends_at_bytes), "ends_s",
			 number(last->ends_s), "why", last->why, "todo", last->todo);
}

int analysis_json__write(FILE *out, const struct series *series, const struct replay *replay)
{
	json_t *root = build(series, replay);
	int err;

	if (!root)
		return -ENOMEM;
	err = json_dumpf(root, out, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS)) ||
	      fputc('\n', out) == EOF;
	json_decref(root);
	return err ? -EIO : 0;
}
