// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "analysis/report_diff.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/report_match.h"

int64_t diff_change__delta(const struct diff_change *change)
{
	/* Neither is negative. */
	return change->b - change->a;
}

bool diff_change__within_error(const struct diff_change *change)
{
	int64_t delta = diff_change__delta(change);

	return delta && fabs((double)delta) <= change->error;
}

bool diff_pair__rss_known(const struct diff_pair *pair)
{
	return (!pair->a || pair->a->rss_bytes >= 0) && (!pair->b || pair->b->rss_bytes >= 0);
}

struct diff_change diff_pair__rss(const struct diff_pair *pair)
{
	return (struct diff_change){.a = pair->a ? pair->a->rss_bytes : 0,
				    .b = pair->b ? pair->b->rss_bytes : 0};
}

const char *diff_match__name(enum diff_match match)
{
	static const char *const names[DIFF_MATCHES] = {
		[DIFF_SAME_PROCESS] = "process",
		[DIFF_COMM_AND_EXE] = "comm-and-exe",
		[DIFF_EXE] = "exe",
		[DIFF_COMM] = "comm",
	};

	return names[match];
}

static uint64_t magnitude(int64_t delta)
{
	return delta < 0 ? -(uint64_t)delta : (uint64_t)delta;
}

static int compare_changes(const struct diff_change *a, const struct diff_change *b)
{
	uint64_t x = magnitude(diff_change__delta(a)), y = magnitude(diff_change__delta(b));

	return (x < y) - (x > y);
}

static int compare_groups(const void *left, const void *right)
{
	const struct diff_group *a = left, *b = right;
	int order = compare_changes(&a->bytes, &b->bytes);

	if (!order)
		order = compare_changes(&a->count, &b->count);
	if (order)
		return order;
	/* The same order in each run. */
	if (a->min_bytes != b->min_bytes)
		return a->min_bytes < b->min_bytes ? 1 : -1;
	if (!a->stack || !b->stack)
		return (a->stack != NULL) - (b->stack != NULL);
	return strcmp(a->stack, b->stack);
}

static void add_group(struct diff_pair *pair, const struct report_group *a,
		      const struct report_group *b)
{
	const struct report_group *one = a ? a : b;

	/* The samples of two traces are independent. */
	pair->groups[pair->group_count++] = (struct diff_group){
		.stack = one->stack,
		.min_bytes = one->min_bytes,
		.max_bytes = one->max_bytes,
		.bytes = {a ? a->bytes : 0, b ? b->bytes : 0,
			  hypot(a ? a->bytes_error : 0, b ? b->bytes_error : 0)},
		.count = {a ? a->count : 0, b ? b->count : 0, NAN},
	};
}

/* Both lists are in the order of report_group__compare(). */
static int compare_live(struct diff_pair *pair)
{
	const struct report_live *a = &pair->a->live, *b = &pair->b->live;
	size_t i = 0, j = 0;

	pair->groups = calloc(a->group_count + b->group_count + 1, sizeof(*pair->groups));
	if (!pair->groups)
		return -ENOMEM;
	while (i < a->group_count || j < b->group_count) {
		int order = i == a->group_count ? 1
			    : j == b->group_count
				    ? -1
				    : report_group__compare(&a->groups[i], &b->groups[j]);

		add_group(pair, order <= 0 ? &a->groups[i] : NULL,
			  order >= 0 ? &b->groups[j] : NULL);
		i += order <= 0;
		j += order >= 0;
	}
	qsort(pair->groups, pair->group_count, sizeof(*pair->groups), compare_groups);
	return 0;
}

static int compare_pair(struct diff_pair *pair)
{
	static const struct report_live none = {.known = true};
	const struct report_live *a = pair->a ? &pair->a->live : &none;
	const struct report_live *b = pair->b ? &pair->b->live : &none;

	pair->live_known = a->known && b->known;
	if (!pair->live_known)
		return 0;
	pair->live_bytes =
		(struct diff_change){a->bytes, b->bytes, hypot(a->bytes_error, b->bytes_error)};
	pair->live_count =
		(struct diff_change){a->count, b->count, hypot(a->count_error, b->count_error)};
	pair->unlisted = (struct diff_change){a->unlisted_bytes, b->unlisted_bytes, NAN};
	return pair->match ? compare_live(pair) : 0;
}

static int compare_pairs(const void *left, const void *right)
{
	const struct diff_pair *a = left, *b = right;
	struct diff_change zero = {0}, a_rss = diff_pair__rss(a), b_rss = diff_pair__rss(b);
	int order;

	if (!a->match != !b->match)
		return a->match ? -1 : 1;
	order = compare_changes(a->live_known ? &a->live_bytes : &zero,
				b->live_known ? &b->live_bytes : &zero);
	if (!order)
		order = compare_changes(diff_pair__rss_known(a) ? &a_rss : &zero,
					diff_pair__rss_known(b) ? &b_rss : &zero);
	/* As they came: by report, then by place in it. */
	if (order || !a->a != !b->a)
		return order ? order : a->a ? -1 : 1;
	return a->a ? (a->a > b->a) - (a->a < b->a) : (a->b > b->b) - (a->b < b->b);
}

static void add_change(struct diff_change *sum, const struct diff_change *change)
{
	/* Below 2^63 on either side: see report_read.h. */
	sum->a += change->a;
	sum->b += change->b;
	sum->error = hypot(sum->error, change->error);
}

static void add_to_totals(struct diff_totals *totals, const struct diff_pair *pair)
{
	struct diff_change rss = diff_pair__rss(pair);

	if (pair->match)
		totals->matched++;
	else if (pair->a)
		totals->only_a++;
	else
		totals->only_b++;
	if (diff_pair__rss_known(pair))
		add_change(&totals->rss, &rss);
	else if (pair->match && (pair->a->rss_bytes >= 0 || pair->b->rss_bytes >= 0))
		totals->rss_left_out++;
	if (pair->live_known) {
		add_change(&totals->live_bytes, &pair->live_bytes);
		add_change(&totals->live_count, &pair->live_count);
	} else if (pair->match && (pair->a->live.known || pair->b->live.known)) {
		totals->live_left_out++;
	}
}

int report_diff__build(struct report_diff *diff, const struct report *a, const struct report *b)
{
	int err;

	*diff = (struct report_diff){.a = a, .b = b};
	err = report_diff__match(diff);
	for (size_t i = 0; i < diff->pair_count && !err; i++) {
		err = compare_pair(&diff->pairs[i]);
		if (!err)
			add_to_totals(&diff->totals, &diff->pairs[i]);
	}
	if (err) {
		report_diff__free(diff);
		return err;
	}
	qsort(diff->pairs, diff->pair_count, sizeof(*diff->pairs), compare_pairs);
	return 0;
}

void report_diff__free(struct report_diff *diff)
{
	for (size_t i = 0; i < diff->pair_count; i++)
		free(diff->pairs[i].groups);
	free(diff->pairs);
	*diff = (struct report_diff){0};
}

/* "[unknown]+0x…", "[anon]+0x…": places in one process, not names. */
static bool has_address(const char *stack)
{
	for (const char *frame = stack; frame && *frame;) {
		size_t length = strcspn(frame, "\n");
		const char *at = memmem(frame, length, "]+0x", 4);

		if (*frame == '[' && at)
			return true;
		frame += length + (frame[length] == '\n');
	}
	return false;
}

struct diff_change diff_pair__addresses_only(const struct diff_pair *pair)
{
	struct diff_change sum = {0};

	if (pair->match == DIFF_SAME_PROCESS)
		return sum;
	for (size_t i = 0; i < pair->group_count; i++)
		if (has_address(pair->groups[i].stack))
			add_change(&sum, &pair->groups[i].bytes);
	return sum;
}
