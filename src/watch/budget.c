// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "base/clock.h"
#include "watch/watch_impl.h"

void budget__init(struct budget *budget, double share, double speed, uint64_t most_ns)
{
	share *= speed;
	*budget = (struct budget){
		.share = share < BUDGET_SHARE_MAX ? share : BUDGET_SHARE_MAX,
		.balance_ns = (int64_t)most_ns,
		.most_ns = (int64_t)most_ns,
		.filled_ns = monotonic_ns(),
	};
}

bool budget__has(struct budget *budget, uint64_t now_ns)
{
	budget->balance_ns += (int64_t)(budget->share * (double)(now_ns - budget->filled_ns));
	if (budget->balance_ns > budget->most_ns)
		budget->balance_ns = budget->most_ns;
	budget->filled_ns = now_ns;
	return budget->balance_ns > 0;
}

void budget__spend(struct budget *budget, uint64_t ns)
{
	budget->balance_ns -= (int64_t)ns;
}
