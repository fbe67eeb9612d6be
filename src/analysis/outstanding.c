// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "analysis/outstanding.h"

#include <errno.h>
#include <stdlib.h>

static int compare_outstanding(const void *a, const void *b)
{
	const struct outstanding *x = a, *y = b;
	bool x_grows = x->growth.certain, y_grows = y->growth.certain;
	double x_weight = x_grows ? x->growth.low : x->group->now.bytes;
	double y_weight = y_grows ? y->growth.low : y->group->now.bytes;

	if (x_grows != y_grows)
		return x_grows ? -1 : 1;
	if (x_weight != y_weight)
		return x_weight < y_weight ? 1 : -1;
	/* The same order in each run. */
	if (x->group->key.bucket != y->group->key.bucket)
		return x->group->key.bucket < y->group->key.bucket ? 1 : -1;
	return (x->group->key.stack > y->group->key.stack) -
	       (x->group->key.stack < y->group->key.stack);
}

int outstanding__list(const struct live_view *view, struct outstanding **list, size_t *count)
{
	size_t n = 0;

	*count = 0;
	*list = calloc(HASH_COUNT(view->groups) + 1, sizeof(**list));
	if (!*list)
		return -ENOMEM;
	for (const struct live_group *group = view->groups; group; group = group->hh.next)
		if (group->now.count > 0)
			(*list)[n++] = (struct outstanding){group, live_group__growth(view, group)};
	qsort(*list, n, sizeof(**list), compare_outstanding);
	*count = n;
	return 0;
}
