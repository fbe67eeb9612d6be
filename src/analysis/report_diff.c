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

/* a or b, or both when they are alike. */
static void add_group(struct diff_pair *pair, const struct report_group *one,
		      const struct report_group *a, const struct report_group *b)
{
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
static int compare_groups_of(struct diff_pair *pair, const struct report_group *a, size_t a_count,
			     const struct report_group *b, size_t b_count)
{
	size_t i = 0, j = 0;

	pair->groups = calloc(a_count + b_count + 1, sizeof(*pair->groups));
	if (!pair->groups)
		return -ENOMEM;
	while (i < a_count || j < b_count) {
		int order = i == a_count   ? 1
			    : j == b_count ? -1
					   : report_group__compare(&a[i], &b[j]);

		add_group(pair, order <= 0 ? &a[i] : &b[j], order <= 0 ? &a[i] : NULL,
			  order >= 0 ? &b[j] : NULL);
		i += order <= 0;
		j += order >= 0;
	}
	qsort(pair->groups, pair->group_count, sizeof(*pair->groups), compare_groups);
	return 0;
}

/* Length of a frame up to its address when that is all there is: "[unknown]+0x…", "[anon]+0x…". */
static size_t length_without_address(const char *frame, size_t length)
{
	const char *end = memmem(frame, length, "]+0x", 4);

	/* The vdso is the same in all processes. */
	if (*frame != '[' || !end || !strncmp(frame, "[vdso]", 6))
		return length;
	return (size_t)(end + 1 - frame);
}

/* A copy; *changed when there was an address. NULL: out of memory. */
static char *drop_addresses(const char *stack, bool *changed)
{
	char *copy = strdup(stack), *to = copy;

	*changed = false;
	while (copy && *stack) {
		size_t length = strcspn(stack, "\n");
		size_t kept = length_without_address(stack, length);

		*changed |= kept < length;
		memcpy(to, stack, kept);
		to += kept;
		stack += length;
		if (*stack)
			*to++ = *stack++;
	}
	if (copy)
		*to = '\0';
	return copy;
}

/* Groups of one side without addresses into pair->own[side], their bytes into *nameless. */
static int own_groups(struct diff_pair *pair, int side, const struct report_live *live,
		      int64_t *nameless)
{
	struct report_group *groups = calloc(live->group_count + 1, sizeof(*groups));

	pair->own[side] = groups;
	if (!groups)
		return -ENOMEM;
	for (size_t i = 0; i < live->group_count; i++) {
		bool changed = false;

		groups[i] = live->groups[i];
		if (groups[i].stack)
			groups[i].stack = drop_addresses(groups[i].stack, &changed);
		pair->own_count[side]++;
		if (live->groups[i].stack && !groups[i].stack)
			return -ENOMEM;
		if (changed)
			*nameless += groups[i].bytes;
	}
	report_groups__merge(groups, &pair->own_count[side]);
	return 0;
}

static int compare_live(struct diff_pair *pair, const struct report_live *a,
			const struct report_live *b)
{
	int err;

	if (pair->match == DIFF_SAME_PROCESS)
		return compare_groups_of(pair, a->groups, a->group_count, b->groups,
					 b->group_count);
	err = own_groups(pair, 0, a, &pair->nameless.a);
	if (!err)
		err = own_groups(pair, 1, b, &pair->nameless.b);
	return err ? err
		   : compare_groups_of(pair, pair->own[0], pair->own_count[0], pair->own[1],
				       pair->own_count[1]);
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
	return pair->match ? compare_live(pair, a, b) : 0;
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

static void free_pair(struct diff_pair *pair)
{
	for (int side = 0; side < 2; side++) {
		for (size_t i = 0; i < pair->own_count[side]; i++)
			free(pair->own[side][i].stack);
		free(pair->own[side]);
	}
	free(pair->groups);
}

void report_diff__free(struct report_diff *diff)
{
	for (size_t i = 0; i < diff->pair_count; i++)
		free_pair(&diff->pairs[i]);
	free(diff->pairs);
	*diff = (struct report_diff){0};
}
