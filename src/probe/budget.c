// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/budget.h"

void budget_meter__start(struct budget_meter *meter, double cost_ns, double cpu_ns)
{
	meter->started = true;
	meter->cost_ns = meter->first_cost_ns = meter->last_cost_ns = cost_ns;
	meter->cpu_ns = meter->first_cpu_ns = meter->last_cpu_ns = cpu_ns;
}

bool budget_meter__update(struct budget_meter *meter, double cost_ns, double cpu_ns, double limit)
{
	double share;

	if (!meter->started)
		budget_meter__start(meter, cost_ns, cpu_ns);
	meter->last_cost_ns = cost_ns;
	meter->last_cpu_ns = cpu_ns;
	if (cpu_ns - meter->cpu_ns < BUDGET_WINDOW_NS)
		return false;
	share = (cost_ns - meter->cost_ns) / (cpu_ns - meter->cpu_ns);
	meter->cost_ns = cost_ns;
	meter->cpu_ns = cpu_ns;
	return limit >= 0 && share > limit;
}

void budget_meter__add(const struct budget_meter *meter, double *cost_ns, double *cpu_ns)
{
	*cost_ns += meter->last_cost_ns - meter->first_cost_ns;
	*cpu_ns += meter->last_cpu_ns - meter->first_cpu_ns;
}
