/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_MODEL_LIVE_VIEW_IMPL_H
#define MEMDRIFT_MODEL_LIVE_VIEW_IMPL_H

#include "model/live_view.h"

/* What a reading and a filter after it do alike; shared by src/model/live_*.c only. */
void live_sum__add(struct live_sum *sum, const struct live_item *item);
bool live_filter__passes(const struct live_filter *filter, double now_s,
			 const struct live_item *item);
/* Of its items; it stays as it is when memory is out. */
void live_group__find_median(struct live_group *group);
void live_view__drop_group(struct live_view *view, struct live_group *group);

#endif
