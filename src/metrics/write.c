// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "metrics/metrics.h"

#include "metrics/families.h"
#include "metrics/list.h"

void metrics__write(struct metrics *metrics, FILE *out)
{
	metrics_list__name(metrics->list);
	metrics__write_processes(metrics, out);
	metrics__write_incidents(metrics, out);
	metrics__write_own(metrics, out);
}
