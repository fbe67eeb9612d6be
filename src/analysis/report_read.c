// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "analysis/report_read.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/report_json.h"
#include "base/text.h"

#define SCHEMA "memdrift.trace/1"
/* The kernel's PID_MAX_LIMIT on 64 bits. */
#define PID_MAX 4194304

/* 0 or an error after the message: `*sum` keeps below 2^63 whatever the file says. */
static int add_up(struct json_reader *reader, const char *key, int64_t value, int64_t *sum)
{
	if (value > 0 && __builtin_add_overflow(*sum, value, sum))
		return json_reader__refuse(reader, key,
					   "figures that add up to at most 2^63 - 1 in a report");
	return 0;
}

/* Frames in one text, so that stacks are compared and sorted as texts are. */
static int read_stack(struct json_reader *reader, const json_t *group, char **stack)
{
	const json_t *frames = json_object_get(group, "stack");
	size_t size, n = json_array_size(frames);
	FILE *out;
	int err = 0;

	*stack = NULL;
	if (!json_is_array(frames) && !json_is_null(frames))
		return json_reader__found(reader, "stack", "a list of frames, or null", frames);
	if (!n)
		return 0;
	out = open_memstream(stack, &size);
	if (!out)
		return json_reader__no_memory(reader);
	for (size_t i = 0; i < n && !err; i++) {
		const json_t *frame = json_array_get(frames, i);
		char *text = NULL;

		if (!json_is_string(frame))
			err = json_reader__found(reader, "stack", "frames that are text", frame);
		else if (!(text = text_printable_dup(json_string_value(frame))))
			err = json_reader__no_memory(reader);
		else
			fprintf(out, "%s%s", i ? "\n" : "", text);
		free(text);
	}
	if (fclose(out) && !err)
		err = json_reader__no_memory(reader);
	if (err) {
		free(*stack);
		*stack = NULL;
	}
	return err;
}

static int read_group(struct json_reader *reader, const json_t *value, struct report_group *group)
{
	int err = json_reader__object(reader, NULL, value);

	if (!err)
		err = json_reader__whole(reader, value, "min_bytes", JSON_REQUIRED,
					 &group->min_bytes);
	if (!err)
		err = json_reader__whole(reader, value, "max_bytes", JSON_REQUIRED,
					 &group->max_bytes);
	if (!err && group->max_bytes < group->min_bytes)
		err = json_reader__refuse(reader, "max_bytes", "no less than min_bytes");
	if (!err)
		err = json_reader__whole(reader, value, "bytes", JSON_REQUIRED, &group->bytes);
	if (!err)
		err = json_reader__whole(reader, value, "count", JSON_REQUIRED, &group->count);
	if (!err)
		err = json_reader__number(reader, value, "bytes_error", &group->bytes_error);
	return err ? err : read_stack(reader, value, &group->stack);
}

static int compare_groups(const void *left, const void *right)
{
	const struct report_group *a = left, *b = right;

	return report_group__compare(a, b);
}

/* Different stacks can have the same names. Their errors are of independent samples. */
void report_groups__merge(struct report_group *groups, size_t *count)
{
	size_t kept = 0;

	if (!*count)
		return;
	qsort(groups, *count, sizeof(*groups), compare_groups);
	for (size_t i = 1; i < *count; i++) {
		struct report_group *last = &groups[kept];

		if (report_group__compare(last, &groups[i])) {
			groups[++kept] = groups[i];
			continue;
		}
		last->bytes += groups[i].bytes;
		last->count += groups[i].count;
		last->bytes_error = hypot(last->bytes_error, groups[i].bytes_error);
		free(groups[i].stack);
	}
	*count = kept + 1;
}

static int64_t *sum_of(struct report_group *group, bool bytes)
{
	return bytes ? &group->bytes : &group->count;
}

/*
 * Estimates are rounded group by group, so that they may add up to a little more than the rounded
 * sum: at most one each. That is taken off again; more than that is no report.
 */
static int settle_sum(struct json_reader *reader, struct report_live *live, bool bytes)
{
	int64_t sum = bytes ? live->bytes : live->count, listed = 0;

	/* Below 2^63: see add_up(). */
	for (size_t i = 0; i < live->group_count; i++)
		listed += *sum_of(&live->groups[i], bytes);
	for (size_t i = 0; i < live->group_count && listed > sum; i++) {
		int64_t *value = sum_of(&live->groups[i], bytes);

		if (*value > 0) {
			--*value;
			listed--;
		}
	}
	if (listed > sum)
		return json_reader__refuse(reader, bytes ? "bytes" : "count",
					   "no less than its groups add up to");
	*(bytes ? &live->unlisted_bytes : &live->unlisted_count) = sum - listed;
	return 0;
}

static int read_groups(struct json_reader *reader, const json_t *value, struct report_live *live)
{
	const json_t *groups = json_object_get(value, "groups");
	int64_t bytes = 0, count = 0;
	size_t n = json_array_size(groups);
	int err = 0;

	if (!json_is_array(groups))
		return json_reader__found(reader, "groups", "a list", groups);
	live->groups = calloc(n + 1, sizeof(*live->groups));
	if (!live->groups)
		return json_reader__no_memory(reader);
	for (size_t i = 0; i < n && !err; i++) {
		size_t mark = json_reader__enter(reader, "groups", i);
		struct report_group *group = &live->groups[live->group_count++];

		err = read_group(reader, json_array_get(groups, i), group);
		if (!err)
			err = add_up(reader, "bytes", group->bytes, &bytes);
		if (!err)
			err = add_up(reader, "count", group->count, &count);
		if (!err)
			json_reader__leave(reader, mark);
	}
	if (err)
		return err;
	report_groups__merge(live->groups, &live->group_count);
	err = settle_sum(reader, live, true);
	return err ? err : settle_sum(reader, live, false);
}

/* An error that was not written is that of the whole at most: variances of groups add up. */
static void fill_errors(struct report_live *live)
{
	if (!live->sampled) {
		live->bytes_error = live->count_error = 0;
		for (size_t i = 0; i < live->group_count; i++)
			live->groups[i].bytes_error = 0;
		return;
	}
	for (size_t i = 0; i < live->group_count; i++)
		if (isnan(live->groups[i].bytes_error))
			live->groups[i].bytes_error = live->bytes_error;
}

static int read_live(struct json_reader *reader, const json_t *process, struct report_live *live)
{
	const json_t *value = json_object_get(process, "live");
	size_t mark;
	int err;

	if (!value || json_is_null(value))
		return 0;
	mark = json_reader__enter(reader, "live", JSON_NO_INDEX);
	err = json_reader__object(reader, NULL, value);
	if (!err)
		err = json_reader__whole(reader, value, "bytes", JSON_REQUIRED, &live->bytes);
	if (!err)
		err = json_reader__whole(reader, value, "count", JSON_REQUIRED, &live->count);
	if (!err && !json_is_boolean(json_object_get(value, "sampled")))
		err = json_reader__found(reader, "sampled", "true or false",
					 json_object_get(value, "sampled"));
	live->sampled = json_is_true(json_object_get(value, "sampled"));
	if (!err)
		err = json_reader__number(reader, value, "bytes_error", &live->bytes_error);
	if (!err)
		err = json_reader__number(reader, value, "count_error", &live->count_error);
	if (!err)
		err = read_groups(reader, value, live);
	if (err)
		return err;
	fill_errors(live);
	live->known = true;
	json_reader__leave(reader, mark);
	return 0;
}

static int read_rss(struct json_reader *reader, const json_t *process, int64_t *rss_bytes)
{
	const json_t *rss = json_object_get(process, "rss");
	size_t mark;
	int err;

	*rss_bytes = -1;
	if (!rss || json_is_null(rss))
		return 0;
	mark = json_reader__enter(reader, "rss", JSON_NO_INDEX);
	err = json_reader__object(reader, NULL, rss);
	if (!err)
		err = json_reader__whole(reader, rss, "end_bytes", JSON_OPTIONAL, rss_bytes);
	if (!err)
		json_reader__leave(reader, mark);
	return err;
}

struct sums {
	int64_t rss, bytes, count;
};

static int read_process(struct json_reader *reader, const json_t *value,
			struct report_process *process, struct sums *sums)
{
	int err = json_reader__object(reader, NULL, value);

	if (!err)
		err = json_reader__whole(reader, value, "pid", JSON_REQUIRED, &process->pid);
	if (!err && (!process->pid || process->pid > PID_MAX))
		err = json_reader__refuse(reader, "pid", "a PID from 1 to %d", PID_MAX);
	if (!err)
		err = json_reader__whole(reader, value, "start_time_ticks", JSON_OPTIONAL,
					 &process->start_ticks);
	if (!err)
		err = json_reader__text(reader, value, "comm", &process->comm);
	if (!err)
		err = json_reader__text(reader, value, "exe", &process->exe);
	if (!err)
		err = read_rss(reader, value, &process->rss_bytes);
	if (!err)
		err = read_live(reader, value, &process->live);
	if (!err)
		err = add_up(reader, "rss.end_bytes", process->rss_bytes, &sums->rss);
	if (!err && process->live.known)
		err = add_up(reader, "live.bytes", process->live.bytes, &sums->bytes);
	if (!err && process->live.known)
		err = add_up(reader, "live.count", process->live.count, &sums->count);
	return err;
}

static int read_processes(struct json_reader *reader, const json_t *root, struct report *report)
{
	const json_t *list = json_object_get(root, "processes");
	size_t n = json_array_size(list);
	struct sums sums = {0};
	int err = 0;

	if (!json_is_array(list))
		return json_reader__found(reader, "processes", "a list", list);
	report->processes = calloc(n + 1, sizeof(*report->processes));
	if (!report->processes)
		return json_reader__no_memory(reader);
	for (size_t i = 0; i < n && !err; i++) {
		size_t mark = json_reader__enter(reader, "processes", i);

		err = read_process(reader, json_array_get(list, i),
				   &report->processes[report->process_count++], &sums);
		if (!err)
			json_reader__leave(reader, mark);
	}
	return err;
}

/* What is said of the trace as a whole; older versions may lack some of it. */
static int read_head(struct json_reader *reader, const json_t *root, struct report *report)
{
	const json_t *host = json_object_get(root, "host");
	const json_t *losses = json_object_get(root, "losses");
	int err;

	report->losses = -1;
	err = json_reader__text(reader, root, "version", &report->version);
	if (!err)
		err = json_reader__number(reader, root, "duration_s", &report->duration_s);
	if (!err && json_is_object(host))
		err = json_reader__text(reader, host, "kernel", &report->kernel);
	if (!err && json_is_object(losses))
		err = json_reader__whole(reader, losses, "total", JSON_OPTIONAL, &report->losses);
	return err;
}

static int check_schema(struct json_reader *reader, const json_t *root)
{
	const json_t *schema = json_object_get(root, "schema");
	int err = json_reader__object(reader, "the file", root);
	char found[80];

	if (err)
		return err;
	if (!json_is_string(schema))
		return json_reader__found(reader, "schema", "\"" SCHEMA "\"", schema);
	if (!strcmp(json_string_value(schema), SCHEMA))
		return 0;
	text_printable(found, sizeof(found), json_string_value(schema));
	return json_reader__refuse(reader, "schema",
				   "\"" SCHEMA "\", as `memdrift trace --json` writes it; this is "
				   "\"%s\"",
				   found);
}

int report__parse(struct report *report, FILE *in, const char *name, char error[REPORT_ERROR_MAX])
{
	struct json_reader reader;
	json_t *root;
	int err;

	*report = (struct report){0};
	json_reader__init(&reader, name, error, REPORT_ERROR_MAX);
	report->file = text_printable_dup(name);
	if (!report->file)
		return json_reader__no_memory(&reader);
	root = json_reader__load(&reader, in, REPORT_BYTES_MAX, &err);
	if (root)
		err = check_schema(&reader, root);
	if (root && !err)
		err = read_head(&reader, root, report);
	if (root && !err)
		err = read_processes(&reader, root, report);
	json_decref(root);
	if (err)
		report__free(report);
	return err;
}

int report__read(struct report *report, const char *path, char error[REPORT_ERROR_MAX])
{
	FILE *in = fopen(path, "re");
	char name[256];
	int err;

	if (!in) {
		err = -errno;
		*report = (struct report){0};
		snprintf(error, REPORT_ERROR_MAX, "cannot read %s: %s",
			 text_printable(name, sizeof(name), path), strerror(-err));
		return err;
	}
	err = report__parse(report, in, path, error);
	fclose(in);
	return err;
}

void report__free(struct report *report)
{
	for (size_t i = 0; i < report->process_count; i++) {
		struct report_process *process = &report->processes[i];

		for (size_t j = 0; j < process->live.group_count; j++)
			free(process->live.groups[j].stack);
		free(process->live.groups);
		free(process->comm);
		free(process->exe);
	}
	free(report->processes);
	free(report->file);
	free(report->version);
	free(report->kernel);
	*report = (struct report){0};
}

bool report__has_live(const struct report *report)
{
	for (size_t i = 0; i < report->process_count; i++)
		if (report->processes[i].live.known)
			return true;
	return false;
}

int report_group__compare(const struct report_group *a, const struct report_group *b)
{
	int order;

	if (!a->stack != !b->stack)
		return a->stack ? -1 : 1;
	order = a->stack ? strcmp(a->stack, b->stack) : 0;
	if (order)
		return order;
	if (a->min_bytes != b->min_bytes)
		return a->min_bytes < b->min_bytes ? -1 : 1;
	return (a->max_bytes > b->max_bytes) - (a->max_bytes < b->max_bytes);
}
