// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <math.h>
#include <string.h>

#include "output/diff.h"
#include "output/json.h"

#define JSON_FLAGS (JSON_REAL_PRECISION(12) | JSON_ENCODE_ANY)

static json_t *json_signed_if(bool known, int64_t value)
{
	return known ? json_integer(value) : json_null();
}

/* null on the side of a report that does not have the process. */
static json_t *json_change(const struct diff_pair *pair, const struct diff_change *change,
			   bool known)
{
	bool a = known && pair->a, b = known && pair->b;

	return json_pack("{s:o, s:o, s:o}", "a", json_signed_if(a, change->a), "b",
			 json_signed_if(b, change->b), "delta",
			 json_signed_if(a && b, diff_change__delta(change)));
}

/* The same with the error of the difference. */
static json_t *json_estimate(const struct diff_change *change, json_t *object)
{
	json_object_set_new(object, "error",
			    change->error == 0 ? json_integer(0) : json_number(change->error));
	json_object_set_new(object, "within_error",
			    isnan(change->error) ? json_null()
						 : json_boolean(diff_change__within_error(change)));
	return object;
}

static json_t *json_frames(const char *stack)
{
	json_t *frames;

	if (!stack)
		return json_null();
	frames = json_array();
	for (const char *frame = stack;; frame++) {
		size_t length = strcspn(frame, "\n");

		json_array_append_new(frames, json_stringn(frame, length));
		frame += length;
		if (!*frame)
			return frames;
	}
}

static json_t *json_group(const struct diff_pair *pair, const struct diff_group *group)
{
	return json_pack("{s:o, s:I, s:I, s:o, s:o}", "stack", json_frames(group->stack),
			 "min_bytes", (json_int_t)group->min_bytes, "max_bytes",
			 (json_int_t)group->max_bytes, "bytes",
			 json_estimate(&group->bytes, json_change(pair, &group->bytes, true)),
			 "count", json_change(pair, &group->count, true));
}

static json_t *json_groups(const struct diff_pair *pair)
{
	json_t *groups;

	if (!pair->live_known || !pair->match)
		return json_null();
	groups = json_array();
	for (size_t i = 0; i < pair->group_count; i++)
		json_array_append_new(groups, json_group(pair, &pair->groups[i]));
	return groups;
}

/* Known on one side alone: that side's figure, and no difference. */
static json_t *json_one_sided(const struct report_live *a, const struct report_live *b, bool bytes)
{
	bool a_known = a && a->known, b_known = b && b->known;

	return json_pack("{s:o, s:o, s:n, s:n, s:n}", "a",
			 json_signed_if(a_known, a_known ? (bytes ? a->bytes : a->count) : 0), "b",
			 json_signed_if(b_known, b_known ? (bytes ? b->bytes : b->count) : 0),
			 "delta", "error", "within_error");
}

static json_t *json_outstanding(const struct diff_pair *pair)
{
	const struct report_live *a = pair->a ? &pair->a->live : NULL;
	const struct report_live *b = pair->b ? &pair->b->live : NULL;
	bool known = pair->live_known;
	json_t *bytes, *count;

	if (!known && !(a && a->known) && !(b && b->known))
		return json_null();
	if (known) {
		bytes = json_estimate(&pair->live_bytes,
				      json_change(pair, &pair->live_bytes, true));
		count = json_estimate(&pair->live_count,
				      json_change(pair, &pair->live_count, true));
	} else {
		bytes = json_one_sided(a, b, true);
		count = json_one_sided(a, b, false);
	}
	return json_pack("{s:o, s:o, s:o, s:b, s:b, s:o}", "bytes", bytes, "count", count,
			 "not_listed_bytes", json_change(pair, &pair->unlisted, known), "sampled_a",
			 a && a->sampled, "sampled_b", b && b->sampled, "groups",
			 json_groups(pair));
}

static json_t *json_side(const struct report_process *process)
{
	if (!process)
		return json_null();
	return json_pack("{s:I, s:o, s:o, s:o}", "pid", (json_int_t)process->pid,
			 "start_time_ticks",
			 json_signed_if(process->start_ticks >= 0, process->start_ticks), "comm",
			 json_text(process->comm), "exe", json_text(process->exe));
}

static json_t *json_pair(const struct diff_pair *pair)
{
	struct diff_change rss = diff_pair__rss(pair);
	bool by_name = pair->match > DIFF_SAME_PROCESS;
	json_t *side =
		json_pack("{s:o, s:o, s:o}", "a", json_signed_if(pair->a && rss.a >= 0, rss.a), "b",
			  json_signed_if(pair->b && rss.b >= 0, rss.b), "delta",
			  json_signed_if(pair->match && diff_pair__rss_known(pair), rss.b - rss.a));

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "matched_by",
			 json_text(diff_match__name(pair->match)), "alike_a",
			 json_count_if(by_name, pair->a_alike), "alike_b",
			 json_count_if(by_name, pair->b_alike), "a", json_side(pair->a), "b",
			 json_side(pair->b), "rss_bytes", side, "live", json_outstanding(pair));
}

static json_t *json_source(const struct report *report)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "file", json_text(report->file),
			 "version", json_text(report->version), "duration_s",
			 json_number(report->duration_s), "kernel", json_text(report->kernel),
			 "losses", json_signed_if(report->losses >= 0, report->losses), "processes",
			 json_count(report->process_count));
}

static json_t *json_total(const struct diff_change *change)
{
	return json_pack("{s:I, s:I, s:I}", "a", (json_int_t)change->a, "b", (json_int_t)change->b,
			 "delta", (json_int_t)diff_change__delta(change));
}

static json_t *json_totals(const struct diff_totals *totals)
{
	return json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "rss_bytes", json_total(&totals->rss),
		"live_bytes", json_estimate(&totals->live_bytes, json_total(&totals->live_bytes)),
		"live_count", json_estimate(&totals->live_count, json_total(&totals->live_count)),
		"processes_matched", json_count(totals->matched), "processes_only_in_a",
		json_count(totals->only_a), "processes_only_in_b", json_count(totals->only_b),
		"rss_left_out", json_count(totals->rss_left_out), "live_left_out",
		json_count(totals->live_left_out));
}

static int dump(FILE *out, const char *before, json_t *value)
{
	int err;

	if (!value)
		return -ENOMEM;
	fputs(before, out);
	errno = 0;
	err = json_dumpf(value, out, JSON_FLAGS) ? (errno ? -errno : -EIO) : 0;
	json_decref(value);
	return err;
}

/* One process after the other, so that the tree of all is never in memory beside both reports. */
int diff_json__write(FILE *out, const struct report_diff *diff)
{
	int err = dump(out, "{\"schema\": ", json_string("memdrift.diff/1"));

	if (!err)
		err = dump(out, ",\n\"version\": ", json_string(MEMDRIFT_VERSION));
	if (!err)
		err = dump(out, ",\n\"a\": ", json_source(diff->a));
	if (!err)
		err = dump(out, ",\n\"b\": ", json_source(diff->b));
	if (!err)
		err = dump(out, ",\n\"totals\": ", json_totals(&diff->totals));
	if (!err)
		fputs(",\n\"processes\": [", out);
	for (size_t i = 0; i < diff->pair_count && !err; i++)
		err = dump(out, i ? ",\n" : "\n", json_pair(&diff->pairs[i]));
	if (err)
		return err;
	fputs("]}\n", out);
	if (fflush(out))
		return -errno;
	return ferror(out) ? -EIO : 0;
}
