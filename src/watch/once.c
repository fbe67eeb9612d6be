// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* watch --once: what is followed, largest first, with what its history says when there is one. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "output/table.h"
#include "watch/watch_impl.h"

/* Rows of the text; JSON has all. */
#define ROWS_MAX 30

struct row {
	const struct watched *watched;
	bool judged;
	struct judgement judgement;
};

struct once {
	struct store *store; /* NULL: there is no history */
	char *cgroup;
	struct outlook_work *work;
	double now_unix;
	struct row *rows;
	size_t count, room;
	int err;
};

static void add_row(void *ctx, struct watched *watched)
{
	struct once *once = ctx;
	struct row *rows;

	if (!watch__covers(once->cgroup, &watched->name))
		return;
	if (once->count == once->room) {
		once->room = once->room ? 2 * once->room : 256;
		rows = reallocarray(once->rows, once->room, sizeof(*rows));
		if (!rows) {
			once->room = once->count;
			once->err = -ENOMEM;
			return;
		}
		once->rows = rows;
	}
	once->rows[once->count++] = (struct row){.watched = watched};
}

static int by_rss(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int64_t p = x->watched->sample.value[COMPONENT_RSS],
		q = y->watched->sample.value[COMPONENT_RSS];

	return (p < q) - (p > q);
}

static bool same_name(const struct subject_name *a, const struct subject_name *b)
{
	return a->slot == b->slot && !strcmp(a->unit, b->unit) && !strcmp(a->exe, b->exe);
}

/* What is in the database of a process that is followed. */
static int judge_subject(void *ctx, const struct store_subject *subject)
{
	struct once *once = ctx;

	for (size_t i = 0; i < once->count; i++) {
		struct row *row = &once->rows[i];

		if (same_name(&row->watched->name, &subject->name)) {
			row->judged = !looks__judge(once->work, once->store, subject->id,
						    once->now_unix, &row->judgement);
			return 0;
		}
	}
	return 0;
}

static json_t *known(int64_t value)
{
	return value >= 0 ? json_integer(value) : json_null();
}

static json_t *text_value(const char *raw)
{
	char printable[4 * SUBJECT_GROUP_MAX];

	return json_string(text_printable(printable, sizeof(printable), raw));
}

static json_t *row_json(const struct row *row)
{
	const struct watched *watched = row->watched;
	json_t *object = json_object();

	json_object_set_new(object, "pid", json_integer(watched->pid));
	json_object_set_new(object, "unit", text_value(watched->name.unit));
	json_object_set_new(object, "exe", text_value(watched->name.exe));
	json_object_set_new(object, "comm", text_value(watched->name.comm));
	json_object_set_new(object, "slot", json_integer(watched->name.slot));
	json_object_set_new(object, "limit_bytes", known(watched->limit_bytes));
	for (int i = 0; i < COMPONENT_BRK; i++)
		json_object_set_new(object, component__key(i), known(watched->sample.value[i]));
	json_object_set_new(object, "verdict",
			    row->judged ? json_string(drift_verdict__text(row->judgement.verdict))
					: json_null());
	json_object_set_new(object, "slope_bytes_per_h",
			    row->judged && isfinite(row->judgement.slope_bytes_per_h)
				    ? json_real(row->judgement.slope_bytes_per_h)
				    : json_null());
	json_object_set_new(object, "why",
			    row->judged ? text_value(row->judgement.why) : json_null());
	return object;
}

static int print_json(const struct once *once, const struct own_cost *cost)
{
	json_t *root = json_object(), *rows = json_array();
	int err;

	json_object_set_new(root, "schema", json_string("memdrift.watch/1"));
	json_object_set_new(root, "time_unix", json_real(once->now_unix));
	json_object_set_new(root, "pass_cpu_ns", json_integer((json_int_t)cost->pass_ns));
	for (size_t i = 0; i < once->count; i++)
		json_array_append_new(rows, row_json(&once->rows[i]));
	json_object_set_new(root, "processes", rows);
	err = json_dumpf(root, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15)) ||
			      putchar('\n') == EOF || fflush(stdout)
		      ? -EIO
		      : 0;
	json_decref(root);
	return err;
}

static void add_bytes(struct table *table, int64_t value)
{
	char text[UNIT_TEXT_MAX];

	table__add(table, "%s", value >= 0 ? units_format_bytes(text, (uint64_t)value) : "unknown");
}

static int print_text(const struct once *once)
{
	struct table table;
	char unit[4 * SUBJECT_UNIT_MAX], comm[4 * SUBJECT_COMM_MAX];

	printf("%zu processes are followed%s.\n\n", once->count,
	       once->store ? "" : "; there is no history of them to judge by");
	table__init(&table, "rlrrrll");
	for (const char *const *head = (const char *const[]){"pid", "name", "RSS", "swap",
							     "threads", "verdict", "unit", NULL};
	     *head; head++)
		table__add(&table, "%s", *head);
	for (size_t i = 0; i < once->count && i < ROWS_MAX; i++) {
		const struct row *row = &once->rows[i];
		const struct watched *watched = row->watched;

		table__add(&table, "%u", watched->pid);
		table__add(&table, "%s", text_printable(comm, sizeof(comm), watched->name.comm));
		add_bytes(&table, watched->sample.value[COMPONENT_RSS]);
		add_bytes(&table, watched->sample.value[COMPONENT_SWAP]);
		table__add(&table, "%lld", (long long)watched->sample.value[COMPONENT_THREADS]);
		table__add(&table, "%s",
			   row->judged ? drift_verdict__text(row->judgement.verdict) : "-");
		table__add(&table, "%s", text_printable(unit, sizeof(unit), watched->name.unit));
	}
	if (table__print(&table, stdout, REPORT_COLUMNS, true, false))
		return -ENOMEM;
	if (once->count > ROWS_MAX)
		printf("  ... %zu more (--json has all)\n", once->count - ROWS_MAX);
	return fflush(stdout) ? -errno : 0;
}

static void open_history(struct once *once, const struct watch_options *options)
{
	struct store_options store = {.path = options->db, .read_only = true};
	char error[STORE_ERROR_MAX] = "";

	if (!store__open(&once->store, &store, error))
		return;
	once->store = NULL;
	log_info("no history: %s", error);
}

static double wall_unix(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void each(void *ctx, struct watched *watched)
{
}

int watch__once(const struct watch_options *options)
{
	struct own_cost cost = {.passes = 1};
	/* Whatever lives now is shown: none is too young. */
	struct sampler_options sampler_options = {.interval_s = 1e-3, .losses = cost.losses};
	struct sampler_handlers handlers = {.each = each};
	struct once once = {.now_unix = wall_unix()};
	struct sampler *sampler = NULL;
	struct timespec used;
	int err = watch__name_cgroup(options->cgroup, &once.cgroup);

	if (err)
		return err;
	err = sampler__open(&sampler, &sampler_options);
	if (!err)
		err = sampler__pass(sampler, once.now_unix, &handlers);
	if (err) {
		log_error("cannot read /proc: %s", strerror(-err));
		sampler__close(sampler);
		free(once.cgroup);
		return err;
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	cost.pass_ns = (uint64_t)used.tv_sec * 1000000000ull + (uint64_t)used.tv_nsec;
	sampler__each(sampler, add_row, &once);
	if (once.count)
		qsort(once.rows, once.count, sizeof(*once.rows), by_rss);
	open_history(&once, options);
	once.work = outlook_work__new();
	if (!once.work)
		once.err = -ENOMEM;
	else if (once.store)
		store__each_subject(once.store, judge_subject, &once);
	err = once.err ? once.err : options->json ? print_json(&once, &cost) : print_text(&once);
	if (err)
		log_error("cannot print what is followed: %s", strerror(-err));
	store__close(once.store);
	outlook_work__free(once.work);
	free(once.rows);
	free(once.cgroup);
	sampler__close(sampler);
	return err;
}
