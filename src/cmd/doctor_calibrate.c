// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/doctor_calibrate.h"

#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "ingest/tracer.h"
#include "probe/hit_cost.h"

int doctor_calibrate(struct insn_costs *costs)
{
	struct tracer_options options = {
		.config = {.target_mode = TARGET_LISTED, .own_pid = getpid(), .count_mallocs = 1},
		.ring_bytes = sysconf(_SC_PAGESIZE),
		.counted_max = 1,
	};
	struct tracer *tracer;
	int err = tracer__open(&options, &tracer);

	if (err)
		return err;
	/* doctor has the time that a trace has not. */
	err = hit_cost__measure(tracer, true, costs);
	if (err)
		log_warning("cannot measure what a probe hit costs: %s", strerror(-err));
	tracer__close(tracer);
	return err;
}
