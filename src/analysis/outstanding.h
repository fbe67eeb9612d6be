/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_ANALYSIS_OUTSTANDING_H
#define MEMDRIFT_ANALYSIS_OUTSTANDING_H

#include "model/live_view.h"

/*
 * Outstanding allocations in the order in which somebody who looks for a leak wants them: first
 * the groups that grow for certain, by the lower end of their growth; a large cache that is full
 * grows at no certain rate and comes after them, with the rest, by bytes.
 */
struct outstanding {
	const struct live_group *group;
	struct live_growth growth;
};

/* *list is the caller's. Groups that hold nothing are left out. 0 or -ENOMEM. */
int outstanding__list(const struct live_view *view, struct outstanding **list, size_t *count);
#endif
